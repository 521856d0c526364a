from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.scoring.evidence import rule_table
from trimtab.scoring.lexical.rules import Judged
from trimtab.scoring.lexical.scorer import JUDGED, MAX_TEXT_BYTES
from trimtab.scoring.lexical.text import LONG_SENTENCE, WALL

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "lexical.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("judged", JUDGED, ids=lambda judged: judged.scale.objective.name)
def test_the_rules_of_an_objective_stand_on_the_page_as_they_are(judged: Judged) -> None:
    name = judged.scale.objective.name
    section = PAGE.split(f"### {name}\n\n")[1]
    assert section.startswith(rule_table(judged.rules) + "\n\n") or section == rule_table(judged.rules) + "\n"
    scale = judged.scale
    assert f"| {name} | {scale.base:g} | {scale.credit_limit:g} | {scale.penalty_limit:g} |\n" in PAGE


@pytest.mark.parametrize(
    "sentence",
    [
        f"over 64 KB ({MAX_TEXT_BYTES:,} bytes of UTF-8)",
        f"A sentence is long above {LONG_SENTENCE} words, a paragraph a wall above {WALL}.",
        "**a stand-in for a judge, not a judge**",
    ],
)
def test_constants_and_the_warning_stand_on_the_page(sentence: str) -> None:
    assert sentence in PAGE
