"""Scores that are remembered: a text that comes again is not scored again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.scoring.base import AnyScorer, Judge, Scorer, ScoringContext

__all__ = ["Remembered", "remembering"]

MOST_CHARACTERS = 8_000_000
"""Of the texts whose scores are remembered; those that were not asked for the longest are forgotten first."""

_SCORES = 1_000  # characters that the scores of a text count as


class Remembered:
    """A scorer that goes by text and task alone, and remembers its scores.

    Answers of a loop that has settled often change nothing, and all sessions of a task begin with one text.
    """

    def __init__(self, scorer: Scorer, most: int = MOST_CHARACTERS) -> None:
        self.name: str = scorer.name
        self.objectives: tuple[Objective, ...] = scorer.objectives
        self.languages: tuple[str, ...] = getattr(scorer, "languages", ())
        self._scorer, self._most, self._held = scorer, most, 0
        self._known: OrderedDict[tuple[str, ScoringContext], tuple[Score, ...]] = OrderedDict()

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        """See `Scorer`."""
        key = artefact, replace(context, session_id="", iteration=0, seed=0)
        scores = self._known.get(key)
        if scores is not None:
            self._known.move_to_end(key)
            return scores
        scores = self._scorer.score(artefact, context)
        self._known[key] = scores
        self._held += len(artefact) + _SCORES
        while self._held > self._most:
            (forgotten, _), _ = self._known.popitem(last=False)
            self._held -= len(forgotten) + _SCORES
        return scores


def remembering(scorer: AnyScorer) -> AnyScorer:
    """Return a scorer that remembers if it says that it goes by text and task alone (``by_text``), else as it is."""
    if isinstance(scorer, Judge) or not getattr(scorer, "by_text", False):
        return scorer
    return Remembered(scorer)
