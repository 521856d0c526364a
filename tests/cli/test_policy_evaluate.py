from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import trimtab as tt
from simulated import REAL, panel
from support.cli import trimtab
from trimtab.control.evaluation.document import json_schema
from trimtab.control.evaluation.evaluate import evaluate
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.forecasting.sources import loops_of

MODELS = """
[[objectives]]
name = "quality"

[strategies.up]
A = [[-0.5]]
equilibrium = [8]
sd = [0.5]

[strategies.down]
A = [[-0.5]]
equilibrium = [2]
sd = [0.5]
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(MODELS)
    return path


def words(text: str) -> str:
    return " ".join(text.split())


def test_policies_are_run_side_by_side_on_a_file_of_models(capsys, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    options = ("--sessions", 200, "--iterations", 4, "--cost", 0.05, "--floor", "quality>=3@0.1", "--out", out)
    ran = trimtab(capsys, "policy", "evaluate", models, *options)
    assert ran.code == 0, ran.err
    assert "always up" in ran.out
    assert "The floor quality>=3@0.1, by true states" in ran.out
    assert "Handled one after another" in words(ran.out)
    assert max(map(len, ran.out.splitlines())) <= 118
    assert "predictive ..." in ran.err
    document = json.loads(out.read_text())
    jsonschema.Draft202012Validator(json_schema()).validate(document)
    assert document["best_fixed"] == "fixed:strategy=up"
    assert document["schedule"] is None
    assert document["policies"]["predictive"]["over_fixed"][1] > -0.05
    page = tmp_path / "found.html"
    ran = trimtab(capsys, "policy", "evaluate", models, "--sessions", 20, "--policy", "predictive", "--out", page)
    assert f"Page:   {page}" in ran.out
    assert "trimtab policy evaluate" in page.read_text()


def test_the_output_folder_of_a_run_is_a_source(capsys, tmp_path: Path) -> None:
    runs, store = tt.save(panel(REAL, sessions=12), tmp_path / "runs.csv"), f"sqlite:///{tmp_path}/out/trimtab.db"
    (tmp_path / "out").mkdir()
    assert trimtab(capsys, "import", runs, "--store", store).code == 0
    options = ("--sessions", 20, "--iterations", 2, "--policy", "best_of_n", "--json")
    found, same = (trimtab(capsys, "policy", "evaluate", place, *options) for place in (tmp_path / "out", store))
    assert found.code == 0, found.err
    assert found.out == same.out


def test_the_document_is_that_of_python(capsys) -> None:
    options = ("--policy", "schedule", "--policy", "best_of_n:strategy=SF", "--weights", "security=0.6,efficiency=0.4")
    ran = trimtab(
        capsys, "policy", "evaluate", "--sessions", 50, "--iterations", 3, *options, "--floor", "security>=2:each",
        "--trigger", "security<2", "--seed", 3, "--no-oracle", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    loops = loops_of("reference")
    goal = Goal(
        loops.space, "weighted", {"security": 0.6, "efficiency": 0.4}, (Floor("security", 2.0, 0.05, on="each"),)
    )
    found = evaluate(
        loops, goal, ["schedule", "best_of_n:strategy=SF"], sessions=50, budget=3, seed=3, triggers=["security<2"],
        oracle=False,
    )  # fmt: skip
    assert json.loads(ran.out) == json.loads(found.to_json())


def test_what_policies_know_can_be_learned_first_or_be_wrong(capsys, models: Path) -> None:
    ran = trimtab(
        capsys, "policy", "evaluate", models, "--sessions", 40, "--iterations", 3, "--policy", "predictive",
        "--learn", 8, "--robustness",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "learning from 8 sessions" in ran.err
    assert "What it costs to be wrong" in ran.out
    assert "score noise understated" in ran.out
    assert "What policies know was learned from 8 sessions" in words(ran.out)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--out", "x.txt"), "an evaluation is written to a .json"),
        (("--policy", "magic"), "no policy is called 'magic'"),
        (("--floor", "security"), "a floor is written NAME>=LEVEL"),
        (("--weights", "security"), "--weights needs each objective once"),
        (("--utility", "best"), "a utility is one of"),
        (("--sessions", 0), "sessions must be a whole number"),
        (("--trigger", "security>2"), "a trigger watches its bad side"),
        (("--learn", -1), "sessions to learn from must be a whole number"),
    ],
)
def test_what_cannot_be_used_is_said(capsys, options: tuple[object, ...], says: str) -> None:
    ran = trimtab(capsys, "policy", "evaluate", "reference", *options)
    assert ran.code == 1
    assert says in words(ran.err)
    assert "Traceback" not in ran.err
