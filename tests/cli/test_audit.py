from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import trimtab as tt
from simulated import COMPLEX, NAMES, REAL, panel
from support.cli import trimtab
from trimtab.core.trajectories import Trajectories

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    parts = [panel(model, 25, 6).scores.reshape(25, 7, 3) for model in (REAL, COMPLEX)]
    data = Trajectories.from_arrays(np.concatenate(parts), NAMES, ["EF"] * 25 + ["SF"] * 25)
    return tt.save(data, tmp_path / "runs.csv")


def test_audit_prints_a_table_for_each_strategy(capsys, runs: Path) -> None:
    ran = trimtab(capsys, "audit", runs)
    assert ran.code == 0
    assert ran.err == ""
    assert "EF (25 sessions, 150 steps)" in ran.out
    assert "SF (25 sessions, 150 steps)" in ran.out
    assert "Holm" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 118


def test_audit_prints_one_json_document(capsys, runs: Path) -> None:
    document = json.loads(trimtab(capsys, "audit", runs, "--json", "--seed", 3, "--shuffles", 50).out)
    assert document == tt.audit(tt.load(runs), seed=3, shuffles=50).to_dict()
    assert [*document["strategies"]] == ["EF", "SF"]
    for found in document["strategies"]["EF"]["findings"]:
        assert set(found) == {"name", "question", "statistic", "p_value", "low", "high", "holds", "says"}


def test_one_strategy_can_be_looked_at_alone(capsys, runs: Path) -> None:
    document = json.loads(trimtab(capsys, "audit", runs, "--strategy", "SF", "--json").out)
    assert [*document["strategies"]] == ["SF"]


def test_columns_and_objectives_can_be_mapped(capsys, runs: Path, tmp_path: Path) -> None:
    text = runs.read_text().splitlines()
    head = text[0].replace("session_id", "run").replace("strategy", "mode").replace("iteration", "t")
    mapped = tmp_path / "mapped.csv"
    mapped.write_text("\n".join([head, *text[1:]]) + "\n")
    names = ("--session-column", "run", "--strategy-column", "mode", "--iteration-column", "t")
    ran = trimtab(capsys, "audit", mapped, *names, "--objective", "security:0:20", "--json")
    found = {f["name"]: f for f in json.loads(ran.out)["strategies"]["EF"]["findings"]}
    assert found["shuffled_interference"]["holds"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["audit", "missing.csv"], "does not exist"),
        (["audit", "RUNS", "--strategy", "XX"], "there are EF, SF"),
        (["audit", "RUNS", "--level", "1.5"], "between 0 and 1"),
        (["audit", "RUNS", "--shuffles", "3"], "from 20 to"),
        (["audit", "RUNS", "--objective", "speed"], "speed"),
    ],
)
def test_mistakes_get_one_sentence(capsys, runs: Path, arguments: list[str], words: str) -> None:
    ran = trimtab(capsys, *[a.replace("RUNS", str(runs)) for a in arguments])
    assert ran.code == 1
    assert words in ran.err
    assert ran.err.startswith("Error: ")


def test_hostile_names_reach_no_terminal(capsys, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["session_id,strategy,iteration,[bold]quality"]
    rows += [f"s{s},\x1b[2Jevil,{t},{rng.normal(5, 1):.3f}" for s in range(20) for t in range(5)]
    (tmp_path / "x.csv").write_text("\n".join(rows) + "\n")
    ran = trimtab(capsys, "audit", tmp_path / "x.csv")
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "[2Jevil" in ran.out
    assert "[bold]quality" in ran.out


SOURCES = sorted(path.name for path in DATA.glob("*.jsonl.gz") if not path.name.startswith("tasks_"))


@pytest.mark.slow
@pytest.mark.skipif(not SOURCES, reason="the recorded sessions are not beside this clone")
@pytest.mark.parametrize("name", SOURCES)
def test_every_recorded_source_is_audited(capsys, name: str) -> None:
    ran = trimtab(capsys, "audit", DATA / name, "--json", "--shuffles", 20)
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    for one in document["strategies"].values():
        assert len(one["findings"]) == 22
        assert all(found["says"] for found in one["findings"])
