"""Score a text that may be what a scorer reads, or a model's whole answer with a program in it."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.records import Score
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.extraction import extract
from trimtab.scoring.syntax import Unparsable, parse_module

__all__ = ["ScoredText", "score_text"]


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A text's program, how it was found, and its scores.

    Parameters
    ----------
    program
        What was scored: the text itself where it parses or the scorer reads no Python, else the program found in it,
        else the text.
    method
        ``"whole"`` where the text was scored as it is for one of those reasons, otherwise as in
        `extraction.Extraction`.
    scores
        One per objective of the scorer.
    """

    program: str
    method: str
    scores: tuple[Score, ...]


def score_text(text: str, scorer: Scorer, context: ScoringContext) -> ScoredText:
    """Score `text` as it is if it is a program or the scorer reads none, else the program in it."""
    languages = getattr(scorer, "languages", ("python",))
    if "python" not in languages or not isinstance(parse_module(text), Unparsable):
        return ScoredText(text, "whole", scorer.score(text, context))
    found = extract(text)
    program = text if found.code is None else found.code
    return ScoredText(program, found.method, scorer.score(program, context))
