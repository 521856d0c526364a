"""Outlook: where each strategy would take a session, and whether that passes a floor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.control.belief import Beliefs, augmented
from trimtab.control.floor import passed_chance
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.leverage import leverage

__all__ = ["floor_chance", "held", "next_iterate", "standing"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def standing(beliefs: Beliefs, base: Ints | None = None) -> tuple[Floats, Floats]:
    """Return the mean (S, d) and covariance (S, d, d) of z = [x, xi] at an iterate; the latest one if `base` is None.

    Parameters
    ----------
    base
        (S,) iterations.
    """
    if base is None:
        return beliefs.mean, beliefs.covariance
    n, rows = beliefs.knowledge.n, np.arange(len(base))
    mean, covariance = beliefs.mean.copy(), beliefs.covariance.copy()
    mean[:, :n] = beliefs.past[rows, base]
    covariance[:, :n, :n] = beliefs.past_covariance[rows, base]
    shared = beliefs.cross[rows, base][:, :, n:]
    covariance[:, :n, n:], covariance[:, n:, :n] = shared, shared.swapaxes(-1, -2)
    return mean, covariance


def next_iterate(knowledge: Knowledge, mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Return the law of the next true state by each strategy: mean (S, K, n) and covariance (S, K, n, n).

    Cov(x') = F P F' + Q (1 + E[z' K^-1 z]): what is not known of the state, the innovations, and the doubt about the
    drift, which is normal about its mean with covariance K^-1 (x) Q.

    Parameters
    ----------
    mean, covariance
        (S, d) and (S, d, d) of z = [x, xi], see `standing`.
    """
    n, known = knowledge.n, knowledge.mean
    F, c, Q = known.F[0], known.c[0], known.Q
    doubt = leverage(knowledge, mean[:, :n], covariance[:, :n, :n])
    if mean.shape[1] > n:
        F, c, _ = augmented(F, c, Q, knowledge.session_sd)
        F, c = F[:, :n], c[:, :n]
    center = np.einsum("kij,sj->ski", F, mean) + c
    spread = F @ covariance[:, None] @ F.swapaxes(-1, -2)
    return center, spread + (1 + doubt)[:, :, None, None] * Q


def floor_chance(goal: Goal, knowledge: Knowledge, mean: Floats, covariance: Floats) -> Floats:
    """Return the largest chance that the next iterate passes a floor set on each, as a multiple of its alpha, (S, K).

    Above 1 the strategy is not to be used.
    """
    floors = [floor for floor in goal.floors if floor.on == "each"]
    result = np.zeros((len(mean), len(knowledge.strategies)))
    if not floors:
        return result
    center, spread = next_iterate(knowledge, mean, covariance)
    for floor in floors:
        j = goal.space.index(floor.objective)
        chance = passed_chance(goal.space, floor, center[..., j], spread[..., j, j])
        result = np.maximum(result, chance / floor.alpha)
    return result


def held(knowledge: Knowledge, mean: Floats, steps: int) -> Floats:
    """Return where `steps` steps by one strategy lead on average, clipped to the bounds, (S, K, n).

    Parameters
    ----------
    mean
        (S, d) of z = [x, xi].
    """
    n, known, space = knowledge.n, knowledge.mean, knowledge.space
    x = np.repeat(mean[:, None, :n], len(knowledge.strategies), axis=1)
    c = known.c[0] + (knowledge.session_sd * mean[:, None, n:] if mean.shape[1] > n else 0.0)
    for _ in range(steps):
        x = np.clip(np.einsum("kij,skj->ski", known.F[0], x) + c, space.low, space.high)
    return x
