"""Frozen records of what happened: sessions, their iterations, and the scores of each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trimtab.errors import InputError

__all__ = ["RESTARTED", "Evidence", "Iteration", "IterationStatus", "Score", "ScoreStatus", "Session", "made_from"]

RESTARTED = "restarted_from"
"""Key in the meta of an iteration that was made from another iterate than the one before: the index of that one."""

ScoreStatus = Literal["ok", "unscored", "failed"]
IterationStatus = Literal["ok", "failed"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason for a score: which rule fired, where, and what it weighed.

    Parameters
    ----------
    rule
        Stable identifier of the rule, for example ``"eval"``.
    weight
        What it added to (positive) or took from (negative) the score, in score units.
    line
        1-based line of the scored text, or None where the rule concerns the whole.
    message
        A few words for the reader.
    """

    rule: str
    weight: float
    line: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """One objective's value at one iteration. A missing value is None with a status, never a number.

    Parameters
    ----------
    value
        Finite number when `status` is ``"ok"``, otherwise None.
    reason
        Why there is no value.
    repeat
        Index of a repeated judgement of the same text, 0 for the first.

    Raises
    ------
    InputError
        If value and status contradict each other, or the value is not finite.
    """

    objective: str
    value: float | None
    status: ScoreStatus = "ok"
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    repeat: int = 0

    def __post_init__(self) -> None:
        if (self.status == "ok") != (self.value is not None):
            raise InputError(
                f"a score has a value exactly when its status is 'ok', but {self.objective!r} came with "
                f"value {self.value!r} and status {self.status!r}"
            )
        if self.value is not None and not math.isfinite(self.value):
            raise InputError(f"a score must be finite, but {self.objective!r} came with {self.value!r}")


@dataclass(frozen=True, slots=True)
class Session:
    """One task carried through iterations.

    Parameters
    ----------
    id
        Unique within a store.
    strategy
        The strategy the session was planned with, or the policy that steered it; each iteration names the strategy
        actually in force.
    meta
        Anything else worth keeping, as JSON values.
    """

    id: str
    task_id: str = ""
    strategy: str = ""
    replicate: int = 0
    model: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


def made_from(meta: Mapping[str, Any], index: int) -> int:
    """Return the index of the iterate that an iteration was made from, whatever else an import left in its meta."""
    base = meta.get(RESTARTED)
    return base if type(base) is int and 0 <= base < index else index - 1


@dataclass(frozen=True, slots=True)
class Iteration:
    """One model output and its scores.

    Parameters
    ----------
    session_id, index
        Which session, and t = 0, 1, ...; t = 0 is the starting artefact.
    strategy
        The strategy that produced this iteration (for t = 0: the session's own, or the first that its policy chose).
    status, reason
        ``"failed"`` with its reason where the provider gave nothing usable.
    artefact
        The text in force after this iteration: the extracted program, or the previous one where the answer failed.
    answer
        What the model wrote, whole; None at t = 0.
    extraction
        How the artefact was found in the answer.
    meta
        Provider details such as token counts, as JSON values; in a steered session also the decision taken after this
        iteration, and `RESTARTED`.
    """

    session_id: str
    index: int
    strategy: str
    artefact: str | None
    scores: tuple[Score, ...] = ()
    status: IterationStatus = "ok"
    reason: str = ""
    answer: str | None = None
    extraction: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> int:
        """Index of the iterate that this one was made from; -1 for the start."""
        return made_from(self.meta, self.index)

    @property
    def values(self) -> dict[str, float | None]:
        """By objective, the mean of its judgements that have a value; None where none has."""
        found: dict[str, list[float]] = {score.objective: [] for score in self.scores}
        for score in self.scores:
            if score.value is not None:
                found[score.objective].append(score.value)
        return {name: math.fsum(given) / len(given) if given else None for name, given in found.items()}
