"""What a scorer is: a function from an artefact to scores of its objectives, with evidence.

A `Scorer` computes; a `Judge` waits for something, such as a model that reads the artefact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from trimtab.core.objectives import Objective
from trimtab.core.records import Score

__all__ = ["AnyScorer", "Judge", "Judgement", "Scorer", "ScoringContext"]


@dataclass(frozen=True, slots=True)
class ScoringContext:
    """What a scorer may know besides the text.

    Parameters
    ----------
    task_id, prompt
        The task the text answers, where known.
    reference
        The task's starting artefact, where known: some scales adjust to its size.
    language
        What the text is written in, as behind a code fence.
    session_id, iteration
        Which iteration the text is, where it is one of a run. They name what is scored and are no property of it: a
        judge that were told the strategy or the time would score those.
    seed
        63-bit seed of this very scoring: whatever a judge draws depends on nothing else.
    """

    task_id: str = ""
    prompt: str = ""
    reference: str | None = None
    language: str = "python"
    session_id: str = ""
    iteration: int = 0
    seed: int = 0


class Scorer(Protocol):
    """Turns one artefact into one `Score` per objective. Pure: same text and context, same scores.

    A scorer that reads some languages only names them in an attribute ``languages``, and a run on other tasks is
    refused before it starts. One that goes by the text and its task alone, whatever the iteration, may say so by an
    attribute ``by_text = True``: a run then scores a text that comes again only once.
    """

    name: str
    objectives: tuple[Objective, ...]

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        """Score `artefact`; a text that cannot be scored gives scores with status ``"failed"`` and a reason."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge gave.

    Parameters
    ----------
    scores
        Of each objective one or more, told apart by `Score.repeat`.
    usage
        What each answer behind it took, as JSON values: ``model``, ``prompt_tokens``, ``completion_tokens``,
        ``cached_tokens`` and ``finish_reason``, as far as they are known.
    """

    scores: tuple[Score, ...]
    usage: tuple[Mapping[str, Any], ...] = ()


@runtime_checkable
class Judge(Protocol):
    """Scores as a `Scorer` does, but has to wait for it; other sessions go on meanwhile."""

    name: str
    objectives: tuple[Objective, ...]

    async def judge(self, artefact: str, context: ScoringContext) -> Judgement:
        """Judge `artefact`.

        Scores that cannot be had are ``"failed"`` with a reason. ``ProviderError`` with ``fatal`` ends the run.
        """
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...


AnyScorer = Scorer | Judge
