"""A text that comes again is not scored again, and gets the same scores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.scoring.base import ScoringContext
from trimtab.scoring.python_static import PythonStaticScorer
from trimtab.scoring.registry import get_any_scorer
from trimtab.scoring.remembered import Remembered, remembering

AT = ScoringContext("task", "Do it.", "start", session_id="s", iteration=3, seed=7)


class Counting:
    name = "counting"
    objectives = (Objective("length"),)
    by_text = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        self.asked.append(artefact)
        if artefact == "broken":
            raise ValueError("broken")
        return (Score("length", float(len(artefact))),)


def test_a_text_of_a_task_is_scored_once_whatever_the_session_and_iteration() -> None:
    scorer = Counting()
    known = Remembered(scorer)
    first = known.score("abc", AT)
    assert known.score("abc", replace(AT, session_id="other", iteration=9, seed=1)) is first
    assert scorer.asked == ["abc"]
    for other in (replace(AT, task_id="another"), replace(AT, reference=None), replace(AT, prompt="Do that.")):
        known.score("abc", other)
    assert len(scorer.asked) == 4


def test_what_was_not_asked_for_the_longest_is_forgotten() -> None:
    scorer = Counting()
    known = Remembered(scorer, most=2_500)
    for text in ("a", "b", "a", "c", "a", "b"):
        known.score(text, AT)
    assert scorer.asked == ["a", "b", "c", "b"]
    known.score("x" * 5_000, AT)
    known.score("a", AT)
    assert scorer.asked[-2:] == ["x" * 5_000, "a"]


def test_a_failure_is_not_remembered() -> None:
    known = Remembered(Counting())
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            known.score("broken", AT)
    assert known.score("ab", AT) == (Score("length", 2.0),)


def test_only_scorers_that_say_so_are_remembered() -> None:
    plain = Counting()
    plain.by_text = False  # type: ignore[misc]
    assert remembering(plain) is plain
    for name in ("python-static", "lexical"):
        scorer = get_any_scorer(name)
        known = remembering(scorer)
        assert isinstance(known, Remembered)
        assert (known.name, known.objectives, known.languages) == (scorer.name, scorer.objectives, scorer.languages)
    text = "def f(x):\n    return eval(x)\n"
    assert Remembered(PythonStaticScorer()).score(text, AT) == PythonStaticScorer().score(text, AT)
