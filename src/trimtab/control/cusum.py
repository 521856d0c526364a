"""Cumulative sums of standard exponential surprises, and how often they give a false alarm.

While nothing changes, -log p of each step is standard exponential, whatever the number of scores that the p-value p is
of. The cumulative sum (Page 1954; for exponential variables Lucas 1985)::

    C_0 = 0,    C_t = max(0, C_{t-1} + e_t - k),    k = theta log(theta) / (theta - 1)

is, up to a factor, the greatest log likelihood ratio of "since some step, e has had mean theta" to "mean 1", which no
other rule beats in how soon it notices such a change for its false alarms (Moustakides 1986).

Its law is computed and not tabled: between 0 and h, C_t has the density e^-y g_t(y), and an atom p_t at 0, with::

    g_{t+1}(y) = e^-k (p_t + integral of g_t from 0 to min(y + k, h)),
    P(C_{t+1} >= h, no alarm before) = e^-(h + k) (p_t + integral of g_t from 0 to h).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from trimtab.errors import InputError

__all__ = ["THETA", "alarm_chance", "allowance", "cusum", "threshold"]

Floats = NDArray[np.float64]

THETA = 2.0
"""Mean of the surprise from which on a change is to be noticed: twice what it should be."""

_GRID = 1024  # intervals of a sum's range
_SETTLED = 1e-12  # change of the chance per step, relative, from which on it stays as it is


def allowance(theta: float) -> float:
    """Return k, what a step's surprise must exceed to speak for a change to mean theta > 1."""
    if not 1 < theta < np.inf:
        raise InputError(f"the mean surprise to be noticed must be more than 1, but got {theta!r:.80}")
    return float(theta * np.log(theta) / (theta - 1))


def cusum(surprise: Floats, theta: float = THETA) -> Floats:
    """Return C_1..C_T, (S, T), of surprises e (S, T); where one is not-a-number, the sum stays as it was."""
    k = allowance(theta)
    result = np.empty_like(surprise)
    total = np.zeros(len(surprise))
    for t in range(surprise.shape[1]):
        step = surprise[:, t] - k
        total = np.where(np.isnan(step), total, np.maximum(total + step, 0.0))
        result[:, t] = total
    return result


def alarm_chance(h: Floats | float, length: int, theta: float = THETA) -> Floats:
    """Return P(max C_t >= h) over `length` steps in which nothing changes, for heights h > 0 of any shape.

    The integral equation above on 1,024 intervals; its relative error is below 1e-5 for sessions of 50 steps, and below
    1e-3 for 20,000.
    """
    k = allowance(theta)
    height = np.atleast_1d(np.asarray(h, dtype=np.float64))
    flat = height.reshape(-1, 1)
    width = flat / _GRID
    y = width * np.arange(_GRID + 1)
    at = np.minimum((y + k) / width, _GRID)
    below = np.minimum(at.astype(np.int64), _GRID - 1)
    part = at - below
    density = np.exp(-y) * width
    density[:, [0, -1]] /= 2
    g, atom, alive, alarm = np.zeros_like(y), np.ones(len(flat)), np.ones(len(flat)), np.zeros(len(flat))
    out, before = np.exp(-(flat[:, 0] + k)), np.zeros(len(flat))
    for t in range(length):
        integral = np.concatenate([np.zeros((len(flat), 1)), np.cumsum((g[:, 1:] + g[:, :-1]) / 2, axis=1)], axis=1)
        crossed = out * (atom + integral[:, -1] * width[:, 0])
        alarm, alive = alarm + crossed, alive - crossed
        hazard = crossed / (alive + crossed)
        if t > 10 and (np.abs(hazard - before) <= _SETTLED * hazard).all():
            # From here on the sum forgets how it began: each step gives an alarm with the same chance.
            alarm = alarm + alive * -np.expm1((length - t - 1) * np.log1p(-hazard))
            break
        before = hazard
        low, high = np.take_along_axis(g, below, 1), np.take_along_axis(g, below + 1, 1)
        upto = np.take_along_axis(integral, below, 1) + part * low + part**2 / 2 * (high - low)
        g = np.exp(-k) * (atom[:, None] + upto * width)
        atom = alive - (g * density).sum(axis=1)
    return np.asarray(np.minimum(alarm, 1.0).reshape(np.shape(h)))


@lru_cache(maxsize=256)
def threshold(alpha: float, length: int, theta: float = THETA) -> float:
    """Return the height h at which `length` steps in which nothing changes give an alarm with chance alpha.

    Raises
    ------
    InputError
        If alpha is no chance between 0 and 1, or there is no step.
    """
    if not 0 < alpha < 1 or length < 1:
        raise InputError(
            f"a false-alarm rate needs 0 < alpha < 1 and one step or more, but got alpha={alpha!r:.80} over "
            f"{length!r:.80} steps"
        )
    least = 1e-6
    if alarm_chance(least, length, theta) <= alpha:
        return least
    high = float(np.log(length / alpha)) + 1.0
    while alarm_chance(high, length, theta) > alpha:
        high *= 1.5
    found = scipy.optimize.brentq(
        lambda h: float(np.log(alarm_chance(h, length, theta)) - np.log(alpha)), least, high, xtol=1e-9
    )
    return float(found)
