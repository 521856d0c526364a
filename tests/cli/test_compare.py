from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import trimtab as tt
from simulated import REAL, panel
from support.cli import trimtab
from support.sides import retries
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.comparison.document import json_schema

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    faster = AffineSDE([[-0.5, 0, 0], [0.1, -0.8, 0], [0, -0.1, -1]], REAL.b, REAL.Q)
    return tt.save(panel(sessions=30), tmp_path / "old.csv"), tt.save(panel(faster, 30, seed=1), tmp_path / "new.csv")


def test_two_files_are_compared_in_words(capsys, files: tuple[Path, Path]) -> None:
    ran = trimtab(capsys, "compare", *files)
    assert ran.code == 0
    assert ran.err == ""
    assert "new - old" in ran.out
    assert "paired by session_id" in ran.out
    assert "What it means" in ran.out
    assert "not paired" in trimtab(capsys, "compare", *files, "--unpaired").out


def test_two_files_are_compared_as_one_json_document(capsys, files: tuple[Path, Path], tmp_path: Path) -> None:
    ran = trimtab(capsys, "compare", *files, "--json", "--out", tmp_path / "new" / "c.json", "--seed", 3)
    document = json.loads(ran.out)
    jsonschema.validate(document, json_schema())
    assert document == json.loads((tmp_path / "new" / "c.json").read_text())
    assert (document["a"], document["b"]) == ("old", "new")
    rate = next(row for row in document["strategies"]["EF"]["figures"] if row["figure"] == "rate")
    expected = tt.compare(tt.load(files[0]), tt.load(files[1]), seed=3)["EF"]["rate"]
    assert rate["difference"]["low"] == pytest.approx(expected.difference.low)


def test_two_strategies_of_one_file_are_compared(capsys, files: tuple[Path, Path], tmp_path: Path) -> None:
    head, *rows = files[0].read_text().splitlines()
    more = [row.replace("EF", "SF").replace("s", "z", 1) for row in files[1].read_text().splitlines()[1:]]
    (tmp_path / "both.csv").write_text("\n".join([head, *rows, *more]) + "\n")
    ran = trimtab(capsys, "compare", tmp_path / "both.csv", "--between", "strategy=EF,SF")
    assert ran.code == 0
    assert "EF vs SF: 30 and 30 sessions, not paired" in ran.out


def test_a_loop_of_zeros_and_ones_is_compared_by_its_chances(capsys, tmp_path: Path) -> None:
    sides = [
        tt.save(retries(np.full(40, chance), 5, np.random.default_rng(seed)), tmp_path / f"{name}.csv")
        for seed, (name, chance) in enumerate({"old": 0.1, "new": 0.5}.items())
    ]
    ran = trimtab(capsys, "compare", *sides, "--unpaired", "--objective", "solved:0:1")
    assert ran.code == 0, ran.err
    assert "new reaches solved 1 more often per try than old" in " ".join(ran.out.split())


def test_the_estimator_is_passed_on(capsys, files: tuple[Path, Path]) -> None:
    ran = trimtab(capsys, "compare", *files, "--estimator", "least-squares", "--json")
    sides = json.loads(ran.out)["strategies"]["EF"]["sides"]
    assert sides["a"]["trust"] == ["the least squares estimate was asked for"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["OLD"], "--between strategy=EF,SF"),
        (["OLD", "NEW", "--between", "strategy=EF,SF"], "both were given"),
        (["OLD", "--between", "colour=a,b"], "columns are 'strategy'"),
        (["OLD", "missing.csv"], "does not exist"),
        (["OLD", "NEW", "--strategy", "SF"], "it has 'EF'"),
        (["OLD", "NEW", "--by", "task_id"], "no column 'task_id'"),
        (["OLD", "NEW", "--level", "7"], "between 0 and 1"),
        (["OLD", "NEW", "--estimator", "best"], "estimator must be one of"),
    ],
)
def test_mistakes_get_one_sentence(capsys, files: tuple[Path, Path], arguments: list[str], words: str) -> None:
    places = {"OLD": str(files[0]), "NEW": str(files[1])}
    ran = trimtab(capsys, "compare", *[places.get(argument, argument) for argument in arguments])
    assert ran.code == 1
    assert words in ran.err
    assert ran.err.startswith("Error: ")
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("name", "selection", "objective"),
    [
        ("ldb_humaneval", "strategy=ldb_block,ldb_line", "visible_pass_frac"),
        ("selfrefine_sentiment_a", "model=gpt-3.5-turbo,vicuna", "sentiment"),
        ("reflexion_alfworld", "strategy=base,reflexion", "success"),
    ],
)
def test_real_logs_are_compared(capsys, name: str, selection: str, objective: str) -> None:
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this clone")
    if selection.startswith("model"):
        selection = "model=" + ",".join(sorted(set(tt.load(path).covariates["model"]))[:2])
    ran = trimtab(capsys, "compare", path, "--between", selection, "--objective", objective, "--json")
    assert ran.code == 0, ran.err
    document = json.loads(ran.out)
    jsonschema.validate(document, json_schema())
    assert all(one["by"] == "task_id" for one in document["strategies"].values())
