"""What a scorer is: a function from an artefact to one score per objective, with evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trimtab.core.objectives import Objective
from trimtab.core.records import Score

__all__ = ["Scorer", "ScoringContext"]


@dataclass(frozen=True, slots=True)
class ScoringContext:
    """What a scorer may know besides the text.

    Parameters
    ----------
    task_id, prompt
        The task the text answers, where known.
    reference
        The task's starting artefact, where known: some scales adjust to its size.
    """

    task_id: str = ""
    prompt: str = ""
    reference: str | None = None


class Scorer(Protocol):
    """Turns one artefact into one `Score` per objective. Pure: same text and context, same scores."""

    name: str
    objectives: tuple[Objective, ...]

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        """Score `artefact`; a text that cannot be scored gives scores with status ``"failed"`` and a reason."""
        ...
