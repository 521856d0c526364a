from __future__ import annotations

import json

import pytest

from support.cli import trimtab
from trimtab.sessions.preset import PRESETS, get_preset


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    done = trimtab(capsys, "presets")
    assert done.code == 0
    for name in PRESETS:
        assert f"\n{name} " in done.out
    assert "helpfulness, harmlessness, honesty" in done.out
    assert "trimtab run --preset NAME" in done.out
    documents = json.loads(trimtab(capsys, "presets", "--json").out)
    assert [one["name"] for one in documents] == [*PRESETS]


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
    document = json.loads(trimtab(capsys, "presets", name, "--json").out)
    assert [one["id"] for one in document["examples"]] == [task.id for task in preset.examples]


def test_an_unknown_one_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    done = trimtab(capsys, "presets", "contend")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"Error: no preset is called 'contend'; there are {', '.join(PRESETS)}; did you mean content?\n"
