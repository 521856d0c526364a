from __future__ import annotations

import gzip
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import trimtab as tt
from simulated import panel
from support.cli import trimtab
from trimtab.estimation.document import json_schema

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tt.save(panel(sessions=30), tmp_path / "runs.csv")


def test_fit_prints_figures_and_verdicts(capsys, runs: Path) -> None:
    ran = trimtab(capsys, "fit", runs)
    assert ran.code == 0
    assert "Dynamics" in ran.out
    assert "Converges steadily" in ran.out
    assert ran.err == ""


def test_fit_prints_one_json_document(capsys, runs: Path, tmp_path: Path) -> None:
    ran = trimtab(capsys, "fit", runs, "--json", "--out", tmp_path / "new" / "fit.json")
    document = json.loads(ran.out)
    jsonschema.validate(document, json_schema())
    assert document == json.loads((tmp_path / "new" / "fit.json").read_text())
    assert document["strategies"]["EF"]["rate"]["estimate"] == pytest.approx(float(tt.fit(tt.load(runs))["EF"].rate))


def test_columns_and_objectives_can_be_mapped(capsys, runs: Path, tmp_path: Path) -> None:
    text = runs.read_text().splitlines()
    head = text[0].replace("session_id", "run").replace("strategy", "mode").replace("iteration", "t")
    mapped = tmp_path / "mapped.csv"
    mapped.write_text("\n".join([head, *text[1:]]) + "\n")
    names = ("--session-column", "run", "--strategy-column", "mode", "--iteration-column", "t")
    ran = trimtab(
        capsys, "fit", mapped, *names, "--objective", "security:0:20", "--objective", "efficiency:min", "--json"
    )
    document = json.loads(ran.out)
    assert [o["name"] for o in document["objectives"]] == ["security", "efficiency"]
    assert document["objectives"][0]["high"] == 20
    assert document["objectives"][1]["direction"] == "min"
    assert "EF" in document["strategies"]


def test_report_and_export_write_files(capsys, runs: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert trimtab(capsys, "report", runs, "--out", page, "--pair", "security,efficiency").code == 0
    assert page.read_text().lower().startswith("<!doctype html>")
    for suffix in ("parquet", "jsonl", "jsonl.gz", "csv"):
        target = tmp_path / f"out.{suffix}"
        assert trimtab(capsys, "export", runs, "--to", target, "--layout", "long").code == 0
        np.testing.assert_allclose(tt.load(target).scores, tt.load(runs).scores)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "missing.csv"], "does not exist"),
        (["fit", "sqlite:///missing.db"], "no store"),
        (["report", "RUNS", "--out", "x.docx"], ".html"),
        (["report", "RUNS", "--pair", "security"], "NAME,NAME"),
        (["report", "RUNS", "--pair", "security,speed"], "speed"),
        (["export", "RUNS", "--to", "x.xls"], ".parquet"),
        (["export", "RUNS", "--to", "RUNS"], "the source itself"),
        (["fit", "RUNS", "--objective", "speed"], "speed"),
        (["fit", "RUNS", "--objective", "a:1"], "NAME[:LOW:HIGH]"),
        (["fit", "RUNS", "--level", "1.5"], "between 0 and 1"),
        (["fit", "RUNS", "--session-column", "nope"], "session_id"),
        (["import", "missing.csv", "--store", "STORE"], "does not exist"),
        (["import", "RUNS", "--store", "STORE", "--score", "--scorer", "nope"], "python-static"),
        (["score", "missing.py"], "cannot be read"),
        (["score", "RUNS.jsonl", "-"], "not both"),
    ],
)
def test_mistakes_get_one_sentence(
    capsys, runs: Path, tmp_path: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = f"sqlite:///{tmp_path / 'new.db'}"
    ran = trimtab(capsys, *[a.replace("RUNS", str(runs)).replace("STORE", store) for a in arguments])
    assert ran.code == 1
    assert words in ran.err
    assert ran.err.startswith("Error: ")
    assert "Traceback" not in ran.err
    assert not (tmp_path / "new.db").exists()


def test_a_table_with_faults_is_fitted_and_every_fault_is_counted(capsys, tmp_path: Path) -> None:
    rows = tt.save(panel(sessions=20), tmp_path / "x.csv").read_text().splitlines()
    rows[3] = ",".join([*rows[3].split(",")[:-1], "n/a"])
    rows[5] = ",".join([*rows[5].split(",")[:-1], "inf"])
    rows.append(rows[2])
    (tmp_path / "x.csv").write_text("\n".join(rows) + "\n")
    document = json.loads(trimtab(capsys, "fit", tmp_path / "x.csv", "--json").out)
    counted = {e["unit"]: 0 for e in document["exclusions"]}
    for e in document["exclusions"]:
        counted[e["unit"]] += e["count"]
    assert counted == {"scores": 2, "rows": 1, "steps": 4}


@pytest.mark.parametrize("name", ["selfrefine_sentiment_a", "intercode_sql_a", "openevolve_agents_a"])
def test_real_logs_are_fitted(capsys, name: str) -> None:
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this clone")
    ran = trimtab(capsys, "fit", path, "--json")
    assert ran.code == 0
    jsonschema.validate(json.loads(ran.out), json_schema())


def test_real_programs_are_scored_and_fitted_both_ways(capsys, tmp_path: Path) -> None:
    path = DATA / "ldb_humaneval.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this clone")
    lines = gzip.decompress(path.read_bytes()).splitlines()
    sessions = dict.fromkeys(json.loads(line)["session_id"] for line in lines)
    every_fifth = {*list(sessions)[::5]}
    some = tmp_path / path.name
    some.write_bytes(gzip.compress(b"\n".join(x for x in lines if json.loads(x)["session_id"] in every_fifth)))
    scored, store = tmp_path / "scored.jsonl.gz", f"sqlite:///{tmp_path / 'ldb.db'}"
    assert trimtab(capsys, "score", some, "--to", scored).code == 0
    assert trimtab(capsys, "import", some, "--score", "--store", store).code == 0
    quick = ("--estimator", "least-squares", "--draws", "100", "--json")
    one, other = (json.loads(trimtab(capsys, "fit", source, *quick).out) for source in (scored, store))
    assert [o["name"] for o in one["objectives"]] == ["security", "efficiency", "functionality"]
    for name, fitted in one["strategies"].items():
        for key in ("A", "rate", "reached", "interference", "steps"):
            assert fitted[key] == other["strategies"][name][key]
