from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

import trimtab as tt
from grouped_panels import labelled, tasks
from support.cli import trimtab
from trimtab.estimation.document import json_schema
from trimtab.estimation.pooling.document import json_schema as pooling_schema

DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tt.save(tasks(12, 3, levels=1.5), tmp_path / "runs.csv")


def test_sessions_are_pooled_by_a_column_of_a_table(capsys, runs: Path) -> None:
    assert "task_id" in runs.read_text().splitlines()[0]
    ran = trimtab(capsys, "fit", runs, "--group", "task_id")
    assert ran.code == 0
    assert ran.err == ""
    assert "EF: 12 groups by task_id, 36 sessions, 288 steps" in ran.out
    assert "EF by task_id  Groups by task_id differ in level for good" in ran.out
    assert "by task_id: only 12 groups" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 118
    assert "task_id" not in trimtab(capsys, "fit", runs).out


def test_pooling_is_part_of_the_json_document(capsys, runs: Path, tmp_path: Path) -> None:
    ran = trimtab(capsys, "fit", runs, "--group", "task_id", "--json", "--seed", 3, "--out", tmp_path / "fit.json")
    document = json.loads(ran.out)
    jsonschema.validate(document, json_schema())
    jsonschema.validate(document["pooling"], pooling_schema())
    assert document == json.loads((tmp_path / "fit.json").read_text())
    assert document["pooling"] == json.loads(tt.pool(tt.load(runs), "task_id", seed=3).to_json())
    again = trimtab(capsys, "fit", runs, "--group", "task_id", "--json", "--seed", 3).out
    assert json.loads(again)["pooling"] == document["pooling"]


def test_a_report_takes_the_same_option(capsys, runs: Path, tmp_path: Path) -> None:
    ran = trimtab(capsys, "report", runs, "--group", "task_id", "--out", tmp_path / "page.html")
    assert ran.code == 0
    assert (tmp_path / "page.html").exists()


def test_a_column_that_is_not_there_gets_one_sentence(capsys, runs: Path) -> None:
    ran = trimtab(capsys, "fit", runs, "--group", "colour")
    assert ran.code == 1
    assert "has no column 'colour', named as the label column; it has 'session_id', 'strategy'" in ran.err
    assert ran.err.startswith("Error: ")
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("name", "column", "strategies"),
    [
        ("intercode_sql_a", "model", ["try_again"]),
        ("mint_humaneval", "model", ["tool_loop", "tool_loop+gpt-4_feedback"]),
        ("selfrefine_sentiment_a", "task_id", ["self_refine"]),
    ],
)
def test_real_logs_are_pooled(capsys, name: str, column: str, strategies: list[str]) -> None:
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside this clone")
    ran = trimtab(capsys, "fit", path, "--group", column, "--json", "--draws", 200)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)["pooling"]
    jsonschema.validate(found, pooling_schema())
    assert [*found["strategies"]] == strategies
    for one in found["strategies"].values():
        assert one["rate"]["low"] < one["rate"]["estimate"] < one["rate"]["high"]
        assert sum(group["sessions"] for group in one["groups"]) == one["sessions"]


def test_too_few_groups_leave_the_rest_of_the_fit(capsys, tmp_path: Path) -> None:
    data = tasks(12, 3)
    both = labelled(data, task_id=[*data.covariates["task_id"]], model=["x", "y"] * 18)
    path = tt.save(both, tmp_path / "runs.csv")
    ran = trimtab(capsys, "fit", path, "--group", "model")
    assert ran.code == 0
    assert "not pooled by model: pooling 1 objective needs at least 4 groups, but model has 2" in " ".join(
        ran.out.split()
    )
    assert json.loads(trimtab(capsys, "fit", path, "--group", "model", "--json").out)["pooling"] is None


def test_any_column_of_a_table_can_group_sessions(capsys, runs: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "prompts.csv"
    renamed.write_text(runs.read_text().replace("task_id", "prompt", 1))
    ran = trimtab(capsys, "fit", renamed, "--group", "prompt", "--json")
    pooled = json.loads(ran.out)["pooling"]
    assert pooled["group"] == "prompt"
    assert (
        pooled["strategies"]["EF"]["rate"] == json.loads(tt.pool(runs, "task_id").to_json())["strategies"]["EF"]["rate"]
    )
    assert tt.pool(renamed, "prompt").group == tt.fit(renamed, group="prompt").pooling.group == "prompt"
    assert "prompt" not in tt.load(renamed).covariates
