"""Monitor: is what happens still what the fit described? During one session, and over a stream of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.control.cusum import THETA, alarm_chance, allowance, cusum, threshold
from trimtab.control.knowledge import CERTAIN
from trimtab.control.situation import Situation
from trimtab.errors import InputError

__all__ = ["Alarm", "StreamWatch", "session_alarm", "step_surprises", "surprise_of"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_LEAST = 1e-300
_TABLE = 257


def surprise_of(
    distance: Floats, scores: Floats, steps: Floats | float = np.inf, doubt: Floats | float = 0.0
) -> Floats:
    """Return -log p of squared distances from their predictions: standard exponential while nothing changes.

    With m scores and known dynamics, d is chi-squared with m degrees of freedom. With a posterior that tells as much as
    s steps, whose innovations' covariance is inverse Wishart with s + n + 2 degrees of freedom, a step's law is
    multivariate t, and::

        d (s + 3) / (s + 1) / (1 + doubt) / m ~ F(m, s + 3)

    Parameters
    ----------
    distance
        d, see `Beliefs.surprise`.
    scores
        m; where it is 0, not-a-number is returned.
    steps
        s.
    doubt
        What doubt about the drift adds to a step's covariance, as a multiple of Q (`trimtab.control.leverage`). Where
        scores have noise as well, it adds less than that, and surprises are somewhat too small.
    """
    distance, scores = np.broadcast_arrays(np.asarray(distance, dtype=np.float64), np.asarray(scores, dtype=np.float64))
    seen = scores > 0
    m, d = np.where(seen, scores, 1.0), np.where(seen, distance, 0.0) / (1 + np.asarray(doubt))
    s = np.minimum(np.asarray(steps, dtype=np.float64), CERTAIN)
    p = np.where(s < CERTAIN, scipy.special.fdtrc(m, s + 3, d * (s + 3) / (s + 1) / m), scipy.special.chdtrc(m, d))
    return np.asarray(np.where(seen, -np.log(np.maximum(p, _LEAST)), np.nan))


def step_surprises(now: Situation) -> Floats:
    """Return the surprise of iterations 1..t, (S, t); not-a-number where no score was given.

    That of iteration 0 is left out: it says something of the task, and not of the dynamics. Scores at the ends of their
    scales surprise less than exponentially, so that there are fewer false alarms than stated.
    """
    beliefs = now.beliefs
    counts = np.isfinite(now.scores[:, 1:]).sum(axis=-1)
    return surprise_of(beliefs.surprise[:, 1:], counts, beliefs.told, beliefs.doubt)


@dataclass(frozen=True, slots=True, eq=False)
class Alarm:
    """Whether S sessions still follow the dynamics that are known.

    Parameters
    ----------
    fired
        (S,) true where they do not.
    p
        (S,) chance that a session in which nothing changes gets as far by its end.
    """

    fired: Bools
    p: Floats


def session_alarm(now: Situation, alpha: float = 0.01, theta: float = THETA) -> Alarm:
    """Return which sessions have moved, at any iteration so far, in ways that the dynamics known do not explain.

    A session in which nothing changes gives an alarm at any of the iterations that its budget allows with chance
    `alpha`, see `trimtab.control.cusum`.

    Parameters
    ----------
    theta
        Mean surprise to be noticed soonest; 1 while nothing changes.
    """
    height = threshold(alpha, now.budget, theta)
    if not now.t:
        return Alarm(np.zeros(len(now), dtype=bool), np.ones(len(now)))
    reached = cusum(step_surprises(now), theta).max(axis=1)
    return Alarm(reached >= height, _p_value(reached, now.budget, theta))


@dataclass(frozen=True, slots=True)
class StreamWatch:
    """The same over a stream of sessions, one after another, which shows changes that last.

    It never changes: `after` returns a new one.

    Parameters
    ----------
    alpha, length
        Chance of a false alarm within so many steps.
    theta
        Mean surprise to be noticed soonest.
    total, steps, alarm
        The cumulative sum, the steps it is of, and the step at which it first gave an alarm.

    Examples
    --------
    >>> StreamWatch(alpha=0.01, length=1000).after([0.3, 9.1, 14.2, 11.0]).alarm
    3
    """

    alpha: float = 0.01
    length: int = 1000
    theta: float = THETA
    total: float = 0.0
    steps: int = 0
    alarm: int | None = None

    def __post_init__(self) -> None:
        threshold(self.alpha, self.length, self.theta)

    @property
    def height(self) -> float:
        """What the cumulative sum has to reach for an alarm."""
        return threshold(self.alpha, self.length, self.theta)

    def after(self, surprise: Floats | list[float]) -> StreamWatch:
        """Return the watch after the surprises (T,) of one more session, or of a part of it, in their order."""
        given = np.asarray(surprise, dtype=np.float64)
        if given.ndim != 1:
            raise InputError(f"the surprises of one session are needed, shape (T,), but got shape {given.shape}")
        total, steps, alarm, k = self.total, self.steps, self.alarm, allowance(self.theta)
        for e in given[~np.isnan(given)].tolist():
            total, steps = max(total + e - k, 0.0), steps + 1
            if alarm is None and total >= self.height:
                alarm = steps
        return replace(self, total=total, steps=steps, alarm=alarm)


def _p_value(reached: Floats, length: int, theta: float) -> Floats:
    heights, logs = _table(length, theta)
    slope = (logs[-1] - logs[-2]) / (heights[-1] - heights[-2])
    beyond = np.maximum(reached - heights[-1], 0.0) * slope
    return np.asarray(np.where(reached > 0, np.exp(np.interp(reached, heights, logs) + beyond), 1.0))


@lru_cache(maxsize=32)
def _table(length: int, theta: float) -> tuple[Floats, Floats]:
    heights = np.linspace(1e-6, threshold(1e-9, length, theta), _TABLE)
    return heights, np.log(alarm_chance(heights, length, theta))
