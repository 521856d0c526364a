"""What an audit says: questions, answers, findings, and the correction for asking many questions at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trimtab.estimation.multiplicity import holm

if TYPE_CHECKING:
    from trimtab.estimation.audit.sample import Sample

__all__ = ["TOO_EXTREME", "Answer", "AuditOptions", "CannotSayError", "Finding", "Question", "answered", "corrected"]

NAN = float("nan")
TOO_EXTREME = "the scores are too extreme to compute it"


class CannotSayError(Exception):
    """The data cannot answer a question; the message says why, in words that follow "Cannot be said: "."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The options of an audit.

    Parameters
    ----------
    level
        Coverage of the intervals; tests reject below ``1 - level``.
    seed
        Of shuffles, folds and bootstrap replicates.
    shuffles
        Refits of scores in random order.
    """

    level: float = 0.95
    seed: int = 0
    shuffles: int = 200

    @property
    def alpha(self) -> float:
        """p-value below which a test rejects."""
        return 1 - self.level


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question's function returns: see `Finding`."""

    statistic: float
    says: str
    p_value: float = NAN
    low: float = NAN
    high: float = NAN
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question about one strategy.

    Parameters
    ----------
    name
        Stable identifier such as ``"memory"``.
    question
        One line; "yes" is the answer that speaks for the fit.
    statistic
        The figure that answers it; `says` names it.
    p_value
        Of the hypothesis tested, as it is, uncorrected; nan where nothing is tested.
    low, high
        Interval of the statistic, or the range that shuffled scores show; nan where none is given.
    holds
        True where what the fit assumes or claims holds; None where that cannot be said. Where a rejection speaks
        against the fit it counts only if it stands after Holm's correction.
    says
        One sentence with the figures.
    """

    name: str
    question: str
    statistic: float
    p_value: float
    low: float
    high: float
    holds: bool | None
    says: str

    @property
    def answer(self) -> str:
        """``"yes"``, ``"no"`` or ``"cannot say"``."""
        return "cannot say" if self.holds is None else "yes" if self.holds else "no"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the function that answers it.

    Parameters
    ----------
    name, text
        As in `Finding`.
    ask
        Answers it, or raises `CannotSayError`.
    assumption
        True where the test's rejection speaks against the fit, so that the number of such tests has to be allowed for.
    """

    name: str
    text: str
    ask: Callable[[Sample], Answer]
    assumption: bool = False


def answered(question: Question, sample: Sample) -> Finding:
    """Ask `question` of `sample`."""
    try:
        with np.errstate(all="ignore"):
            a = question.ask(sample)
        if a.holds is not None and (np.isnan(a.statistic) or (question.assumption and np.isnan(a.p_value))):
            raise CannotSayError(TOO_EXTREME)
    except CannotSayError as reason:
        a = Answer(NAN, f"Cannot be said: {reason}.")
    except np.linalg.LinAlgError:
        a = Answer(NAN, f"Cannot be said: {TOO_EXTREME}.")
    return Finding(question.name, question.text, a.statistic, a.p_value, a.low, a.high, a.holds, a.says)


def corrected(findings: Sequence[Finding], assumptions: frozenset[str], alpha: float) -> tuple[Finding, ...]:
    """Return `findings` with the rejections among `assumptions` kept only where they stand after Holm's correction.

    The chance of one false rejection or more among them is then at most alpha, whatever the tests have to do with each
    other.
    """
    tested = [i for i, f in enumerate(findings) if f.name in assumptions and np.isfinite(f.p_value)]
    adjusted = holm(np.array([findings[i].p_value for i in tested]))
    result = list(findings)
    for i, p in zip(tested, adjusted, strict=True):
        if findings[i].holds is False and p > alpha:
            text = f"{findings[i].says[:-1]}; among {len(tested)} such tests that is no proof."
            result[i] = replace(findings[i], holds=True, says=text)
    return tuple(result)
