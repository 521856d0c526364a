from __future__ import annotations

import math
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.lexical_examples import EXAMPLES, PROMPT, REFERENCE
from support.texts import TEXTS
from trimtab.core.records import Score
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.evidence import BOOKKEEPING, EVIDENCE_LIMIT
from trimtab.scoring.lexical import LexicalScorer
from trimtab.scoring.lexical.lexicon import LEXICON
from trimtab.scoring.lexical.marks import Lexicon
from trimtab.scoring.lexical.reading import FIGURE, read
from trimtab.scoring.lexical.scorer import JUDGED, MAX_TEXT_BYTES
from trimtab.scoring.python_static import PythonStaticScorer
from trimtab.scoring.text import score_text

SCORER: Scorer = LexicalScorer()
CONTEXT = ScoringContext("examples", PROMPT, None)
RULES = [(one.scale.objective.name, rule.id) for one in JUDGED for rule in one.rules]
NAMES = (
    *("creativity", "accuracy", "engagement", "speed", "thoroughness", "interpretability", "autonomy", "user_control"),
    *("efficiency", "latency", "resource_use", "helpfulness", "harmlessness", "honesty"),
)


def scores(text: str, context: ScoringContext = CONTEXT) -> dict[str, Score]:
    return {score.objective: score for score in SCORER.score(text, context)}


def fired(text: str, objective: str, rule: str) -> Counter[str]:
    reference = REFERENCE if rule == "lost-content" else None
    score = scores(text, ScoringContext("examples", PROMPT, reference))[objective]
    return Counter(e.rule for e in score.evidence if e.rule not in BOOKKEEPING)


def test_fourteen_objectives_from_0_to_10_and_more_is_better() -> None:
    assert tuple(objective.name for objective in SCORER.objectives) == NAMES
    assert {(o.low, o.high, o.direction) for o in SCORER.objectives} == {(0.0, 10.0, "max")}


@pytest.mark.parametrize(("objective", "rule"), RULES, ids=lambda part: part)
def test_each_rule_fires_where_it_should_and_only_there(objective: str, rule: str) -> None:
    shows, does_not = EXAMPLES[rule]
    assert fired(shows, objective, rule)[rule] >= 1
    assert fired(does_not, objective, rule)[rule] == 0


def test_every_example_belongs_to_a_rule_and_rules_are_unique() -> None:
    assert set(EXAMPLES) == {rule for _, rule in RULES}
    assert len(set(RULES)) == len(RULES)


def test_every_mark_is_asked_for() -> None:
    source = "".join(
        file.read_text(encoding="utf-8")
        for file in (Path(__file__).parents[2] / "src/trimtab/scoring/lexical").glob("*.py")
    )
    assert [name for name in LEXICON.names if f'"{name}"' not in source] == []


def test_a_text_is_scored_whole_even_with_a_program_in_it() -> None:
    text = "It always rains.\n\n```python\nx = 1\n```\n"
    assert score_text(text, SCORER, CONTEXT).program == text
    assert score_text("x = 1", SCORER, CONTEXT).method == "whole"
    assert score_text(text, PythonStaticScorer(), CONTEXT).program.strip() == "x = 1"


@pytest.mark.parametrize("field", TEXTS)
def test_a_score_is_the_sum_of_its_evidence(field: str) -> None:
    task, text = TEXTS[field]
    for score in SCORER.score(text, ScoringContext(field, task, text)):
        assert score.value is not None
        assert 0 < score.value < 10
        total = math.fsum(e.weight for e in score.evidence)
        assert score.value == min(max(total, 0.0), 10.0)
        assert len(score.evidence) <= EVIDENCE_LIMIT
        assert score.evidence[0].message.startswith("where every text starts on")
        lines = text.count("\n") + 1
        assert all(e.line is None or 1 <= e.line <= lines for e in score.evidence)


def test_evidence_names_the_line_and_the_words() -> None:
    score = scores("It rains.\n\nExperts say\nthat dogs always bark.")["honesty"]
    assert {(e.rule, e.line, e.message.rsplit(": ", 1)[-1]) for e in score.evidence if e.weight in (-0.7, -0.6)} == {
        ("anonymous-authority", 3, "'experts say'"),
        ("absolute", 4, "'always'"),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the text holds no word"),
        ("… — !?\n\n---", "the text holds no word"),
        ("```\ncode\n```", "the text holds no word"),
        ("x" * (MAX_TEXT_BYTES + 1), "the text is larger than 64 KB"),
        ("é" * (MAX_TEXT_BYTES // 2 + 1), "the text is larger than 64 KB"),
    ],
)
def test_what_cannot_be_scored_has_no_number(text: str, reason: str) -> None:
    for score in scores(text).values():
        assert (score.value, score.status, score.reason) == (None, "failed", reason)


def test_negations_turn_phrases_off_and_two_on_again() -> None:
    lexicon = Lexicon({"approval": ["approval", "approv*"], "send": ["send"]})

    def negated(text: str) -> list[bool]:
        return [hit.negated for hit in lexicon.find(read(text))["approval"]]

    assert negated("It waits for approval.") == [False]
    assert negated("It works without approval.") == [True]
    assert negated("Never send it without approval.") == [False]
    # Neither another sentence nor what is further away counts.
    assert negated("No. It has approval.") == [False]
    assert negated("It is not the case that we want approval.") == [False]


def test_the_longest_phrase_counts_once() -> None:
    lexicon = Lexicon({"a": ["in order", "in order to", "order"], "b": ["order"], "c": ["as _ as a"], "d": ["up to #"]})
    found = lexicon.find(read("In order to sit. In\norder. As loud as a bell, up to 7 dogs, up to them."))
    assert [hit.text for hit in found["a"]] == ["in order to", "in order"]
    assert [hit.line for hit in found["a"]] == [1, 1]
    assert len(found["b"]) == 2
    assert [hit.text for hit in found["c"]] == ["as loud as a"]
    assert [hit.text for hit in found["d"]] == [f"up to {FIGURE}"]


def test_reading_finds_blocks_sentences_and_lines() -> None:
    reading = read(
        "# A title\r\n\r\nDr. Who asked, e.g. Ann. It cost $3.50!\nReally?\n\n1. Go (now); stay.\n   More.\n- item\n"
        "> quoted text\n\n| a | b |\n|---|---|\n\n~~~\nnot. read.\n~~~\nThe NASA (agency) and the ESA. See file.txt now"
    )
    kinds = [block.kind for block in reading.blocks]
    assert kinds == ["heading", "paragraph", "step", "item", "paragraph", "item", "item", "code", "paragraph"]
    said = [" ".join(reading.sentence_words(sentence)) for sentence in reading.sentences]
    assert said == [
        *(
            "a title",
            "dr who asked e.g ann",
            "it cost #",
            "really",
            "go now stay",
            "more",
            "item",
            "quoted text",
            "a b",
        ),
        *("the nasa agency and the esa", "see file txt now"),
    ]
    assert [sentence.line for sentence in reading.sentences] == [1, 3, 3, 4, 6, 7, 8, 9, 11, 17, 17]
    assert [sentence.asks for sentence in reading.sentences].index(True) == 3
    assert reading.figures == [("$3.50", 3)]
    assert reading.exclamations == [3]
    assert [word for word, _ in reading.capitals if word not in reading.explained] == ["ESA"]
    assert reading.sentences[4].nested == 2


def test_more_of_what_is_asked_for_scores_higher() -> None:
    """Small rewritings that a reader would agree with, each on its objective and its price on another."""
    plain = "The lighthouse is old. Many people visit it, and experts say that it always guides every ship home."
    exact = (
        "The lighthouse is from 1871. About 9,000 people visit it, and according to the harbour log it usually guides "
        "ships home."
    )
    assert scores(exact)["accuracy"].value > scores(plain)["accuracy"].value + 1  # type: ignore[operator]
    vivid = "Imagine a candle as tall as a house. The lighthouse hums, and its cold beam sweeps over the silver bay."
    assert scores(vivid)["creativity"].value > scores(plain)["creativity"].value + 1  # type: ignore[operator]
    assert scores(vivid)["accuracy"].value < scores(exact)["accuracy"].value - 1  # type: ignore[operator]


@pytest.mark.parametrize(
    "text",
    [
        *("." * 60_000, "a" * 60_000, "a " * 30_000, "( " * 30_000, "always " * 9_000, "1. x\n" * 12_000),
        *("# \n" * 20_000, "very\n\n" * 9_000, "as a as a " * 6_000, "'’-" * 15_000, "`" * 60_000, "3." * 30_000),
        *(" " * 60_000 + "x", "etc. " * 12_000, "\U0001f600" * 16_000, "in order in order to " * 3_000),
    ],
    ids=lambda text: repr(text[:6]),
)
def test_the_largest_texts_take_no_longer_than_their_size(text: str) -> None:
    start = time.process_time()
    scores(text)
    assert time.process_time() - start < 1.5


@settings(max_examples=150, deadline=None)
@given(
    text=st.one_of(st.text(max_size=300), st.text(alphabet="#-*1.>`~|\n Aa中é!?;(){}%3'", max_size=300)),
    prompt=st.text(max_size=50),
    reference=st.none() | st.text(max_size=50),
)
def test_no_text_is_too_strange(text: str, prompt: str, reference: str | None) -> None:
    context = ScoringContext("strange", prompt, reference)
    first = SCORER.score(text, context)
    assert first == SCORER.score(text, context)
    for score in first:
        assert score.value is None or 0 <= score.value <= 10
