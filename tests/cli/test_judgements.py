"""Options that say which columns hold repeated judgements, for every command that reads a source."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import trimtab as tt
from simulated import panel
from support.cli import trimtab


@pytest.fixture
def judged(tmp_path: Path) -> tt.Trajectories:
    truth = panel(sessions=12, steps=6)
    noise = np.random.default_rng(0).normal(0, 0.5, (*truth.scores.shape, 2))
    noise[::3, :, 1] = np.nan
    judgements = np.split((truth.scores[..., None] + noise).round(3), truth.offsets[1:-1])
    return tt.Trajectories.from_arrays(None, [f"{name}:-10:20" for name in truth.space.names], judgements=judgements)


def same(found: tt.Trajectories, expected: tt.Trajectories) -> None:
    np.testing.assert_array_equal(found.judgements, expected.judgements)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_a_column_of_repeats_goes_through_import_export_and_fit(
    capsys, judged: tt.Trajectories, tmp_path: Path
) -> None:
    columns = judged.to_columns()
    columns["judge"] = np.array(["ben", "ann"], dtype=object)[columns.pop("repeat")]
    lines = zip(*([name, *map(str, column)] for name, column in columns.items()), strict=True)
    path = tmp_path / "named.csv"
    path.write_text("".join(",".join(line).replace("nan", "") + "\n" for line in lines))
    store, out = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "out.parquet"
    assert trimtab(capsys, "import", path, "--store", store, "--repeat-column", "judge").code == 0
    found = tt.load(store)
    np.testing.assert_array_equal(found.judgements, judged.judgements[:, :, ::-1])  # ann before ben
    assert trimtab(capsys, "export", store, "--to", out).code == 0
    same(tt.load(out), found)
    direct = tmp_path / "direct.csv"
    assert trimtab(capsys, "export", path, "--to", direct, "--repeat-column", "judge", "--layout", "long").code == 0
    same(tt.load(direct), found)
    fits = [
        trimtab(capsys, "fit", *source, "--json", "--draws", "50")
        for source in ([path, "--repeat-column", "judge"], [store], [out])
    ]
    assert [ran.code for ran in fits] == [0, 0, 0]
    rates = [json.loads(ran.out)["strategies"]["all"]["rate"]["estimate"] for ran in fits]
    assert rates == pytest.approx([rates[0]] * 3)
    notes = json.loads(fits[0].out)["notes"]
    assert any("the mean of two or more judgements, of 2 at most" in note for note in notes)


def test_judgements_in_columns_go_through_report_and_export(capsys, judged: tt.Trajectories, tmp_path: Path) -> None:
    path, page, out = tmp_path / "a.csv", tmp_path / "page.html", tmp_path / "out.jsonl"
    names = judged.space.names
    head = ["session_id", "iteration", *(f"{who}_{name}" for name in names for who in ("ann", "ben"))]
    rows = [",".join(head)]
    for i, judgements in enumerate(judged.judgements.reshape(judged.n_rows, -1)):
        cells = ["" if np.isnan(value) else str(value) for value in judgements]
        rows.append(",".join([judged.session_ids[judged.session[i]], str(judged.iteration[i]), *cells]))
    path.write_text("\n".join(rows) + "\n")
    options = [part for name in names for part in ("--judgements", f"{name} = ann_{name}, ben_{name}")]
    assert trimtab(capsys, "export", path, "--to", out, *options).code == 0
    same(tt.load(out), judged)
    assert trimtab(capsys, "report", path, "--out", page, "--draws", "50", *options).code == 0
    assert page.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--judgements", "x"], "NAME=COLUMN,COLUMN"),
        (["--judgements", "x=security"], "two or more"),
        (["--judgements", "x=security,"], "two or more"),
        (["--judgements", "x=security,speed"], "nothing called 'speed'"),
        (["--judgements", "x=security,repeat", "--judgements", "x=a,b"], "each objective once"),
        (["--repeat-column", "judge"], "no column 'judge'"),
    ],
)
def test_mistakes_get_one_sentence(
    capsys, judged: tt.Trajectories, tmp_path: Path, options: list[str], words: str
) -> None:
    path = tt.save(judged, tmp_path / "a.csv")
    ran = trimtab(capsys, "fit", path, *options)
    assert ran.code == 1
    assert ran.err.startswith("Error: ")
    assert words in ran.err
    assert "Traceback" not in ran.err
