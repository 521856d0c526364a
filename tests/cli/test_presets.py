from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from support.cli import trimtab
from trimtab.sessions.preset import PRESETS, get_preset
from trimtab.sessions.schemas import json_schema
from trimtab.store.open import open_store


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    done = trimtab(capsys, "presets")
    assert done.code == 0
    for name in PRESETS:
        assert f"\n{name} " in done.out
    assert "helpfulness, harmlessness, honesty" in done.out
    assert "trimtab run --preset NAME" in done.out
    found = json.loads(trimtab(capsys, "presets", "--json").out)
    assert [one["name"] for one in found["presets"]] == [*PRESETS]
    Draft202012Validator(json_schema("presets")).validate(found)


@pytest.mark.parametrize("name", PRESETS)
def test_one_is_shown_whole(capsys: pytest.CaptureFixture[str], name: str) -> None:
    preset = get_preset(name)
    done = trimtab(capsys, "presets", name)
    shown = " ".join(done.out.split())
    for rubric in preset.rubrics:
        assert rubric.text in shown
        assert all(" ".join(said.split()) in shown for _, said in rubric.anchors)
    for strategy in preset.strategies:
        assert " ".join(strategy.instruction.split()) in shown
    for task in preset.examples:
        assert task.prompt in shown
    assert ("stand-in for a judge" in shown) == (preset.scorer == "lexical")
    found = json.loads(trimtab(capsys, "presets", name, "--json").out)
    Draft202012Validator(json_schema("presets")).validate(found)
    (document,) = found["presets"]
    assert [one["id"] for one in document["examples"]] == [task.id for task in preset.examples]


def test_an_unknown_one_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    done = trimtab(capsys, "presets", "contend")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"Error: no preset is called 'contend'; there are {', '.join(PRESETS)}; did you mean content?\n"


@pytest.mark.parametrize("name", [name for name in PRESETS if get_preset(name).judged])
def test_one_runs_offline_from_start_to_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    preset = get_preset(name)
    strategies = f"{preset.strategies[0].name},balanced"
    size = ("--sessions", 6, "--iterations", 2, "--strategies", strategies)
    done = trimtab(capsys, "run", "--preset", name, *size, "--out", "o")
    assert done.code == 0, done.err
    assert "scorer: lexical (Embedded stand-in for a judge of prose and plans, not a judge)" in done.err
    assert "24 of 24 are stored" in done.err
    assert all(objective in done.out for objective in preset.objectives)
    fit = json.loads(Path("o/fit.json").read_text("utf-8"))
    assert [one["name"] for one in fit["objectives"]] == [*preset.objectives]
    assert [*fit["strategies"]] == strategies.split(",")
    page = Path("o/report.html").read_text("utf-8")
    assert "a stand-in for a judge, not a judge" in page
    store = open_store("sqlite:///o/trimtab.db")
    moved = [record.values for record in store.iterations() if record.index == 2 and record.status == "ok"]
    starts = {tuple(record.values.values()) for record in store.iterations() if record.index == 0}
    store.close()
    assert len(starts) == 6
    assert sum(tuple(values.values()) not in starts for values in moved) > len(moved) / 2


def test_mistakes_in_running_one_are_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for options, said in (
        (("--preset", "nope"), "no preset is called 'nope'"),
        (
            ("--preset", "safety", "--scorers", "judge"),
            "the scorer judge needs the name of a model: give --judge-model",
        ),
        (("--preset", "safety", "--judge-repeats", "3"), "judge_repeats is given, but no scorer asks a model"),
        (
            ("--preset", "safety", "--scorers", "python-static"),
            "reads python, py, python3 only, but task 'painkillers'",
        ),
        (("--scorers", "judge", "--judge-model", "m"), "the scorer judge needs a rubric for each objective"),
    ):
        done = trimtab(capsys, "run", *options)
        assert done.code == 1, options
        assert said in done.err.splitlines()[-1]
        assert "Traceback" not in done.err
    assert not [*tmp_path.iterdir()]
