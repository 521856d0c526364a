from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import trimtab as tt
from support.cli import trimtab

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    x = [np.tile(np.linspace(-1.6, 1.6, 30), 2)]
    for _ in range(6):
        pull = np.repeat([0.0, -1.0], 30)  # the second half goes straight to 0
        x.append(x[-1] + 0.5 * np.where(pull, -x[-1], x[-1] - x[-1] ** 3) + 0.1 * rng.standard_normal(60))
    data = tt.Trajectories.from_arrays(np.stack(x, axis=1)[..., None], ["lean:-2:2"], ["EF"] * 30 + ["SF"] * 30)
    return tt.save(data, tmp_path / "runs.csv")


def test_it_prints_what_was_chosen_and_where_it_leads(capsys, runs: Path) -> None:
    ran = trimtab(capsys, "nonlinear", runs, "--basis", "cubic", "--objective", "lean:-2:2", "--draws", 40)
    assert (ran.code, ran.err) == (0, "")
    assert "EF (30 sessions, 180 steps): nonlinear drift" in ran.out
    assert "SF (30 sessions, 180 steps): linear drift" in ran.out
    assert "How to read this" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 118


def test_it_prints_one_json_document(capsys, runs: Path) -> None:
    options = ("--strategy", "EF", "--basis", "cubic", "--objective", "lean:-2:2", "--draws", 20, "--seed", 3)
    document = json.loads(trimtab(capsys, "nonlinear", runs, *options, "--json").out)
    data = tt.load(runs, objectives=["lean:-2:2"])
    assert document == tt.fit_nonlinear(data, strategy="EF", basis="cubic", draws=20, seed=3).to_dict()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.csv"], "does not exist"),
        (["RUNS", "--basis", "quintic"], "'quadratic' or 'cubic'"),
        (["RUNS", "--drift", "bent"], "'auto', 'linear' or 'nonlinear'"),
        (["RUNS", "--strategy", "XX"], "there are EF, SF"),
    ],
)
def test_mistakes_get_one_sentence(capsys, runs: Path, arguments: list[str], words: str) -> None:
    ran = trimtab(capsys, "nonlinear", *[a.replace("RUNS", str(runs)) for a in arguments])
    assert ran.code == 1
    assert words in ran.err


def test_hostile_names_reach_no_terminal(capsys, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["session_id,strategy,iteration,[bold]quality"]
    rows += [f"s{s},\x1b[2Jevil,{t},{rng.normal(5, 1):.3f}" for s in range(20) for t in range(5)]
    (tmp_path / "x.csv").write_text("\n".join(rows) + "\n")
    ran = trimtab(capsys, "nonlinear", tmp_path / "x.csv", "--draws", 10)
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "[bold]quality" in ran.out


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the recorded sessions are not beside this clone")
@pytest.mark.parametrize("name", ["selfrefine_sentiment_a", "openevolve_agents_a"])
def test_recorded_sources_are_fitted(capsys, name: str) -> None:
    ran = trimtab(capsys, "nonlinear", DATA / f"{name}.jsonl.gz", "--json", "--draws", 20)
    assert ran.code == 0, ran.err
    for one in json.loads(ran.out)["strategies"].values():
        assert one["says"]
