"""Lyapunov exponents of a map: how fast nearby paths of the loop come together or drift apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.errors import InputError

__all__ = ["LyapunovExponents", "lyapunov_exponents"]

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class LyapunovExponents:
    """Exponents of a batch of orbits.

    Parameters
    ----------
    exponents
        (..., k) the k largest, per iteration, in decreasing order; not-a-number for orbits that escaped.
    escaped
        (...) orbits that left the box, or whose next state was no number.
    end
        (..., n) the last state within the box.
    """

    exponents: Floats
    escaped: NDArray[np.bool_]
    end: Floats


def lyapunov_exponents(
    step: Function,
    jacobian: Function,
    start: Floats,
    iterations: int,
    low: Floats,
    high: Floats,
    *,
    discard: int = 100,
    largest: int | None = None,
    noise: Callable[[int], Floats] | None = None,
) -> LyapunovExponents:
    """Return the Lyapunov exponents of the map x -> step(x) along orbits, by propagating tangent vectors.

    lambda_1 >= lambda_2 >= ... are the means of log R_ii over the iterations, where J(x_t) V_t = V_{t+1} R_{t+1} with
    orthonormal V and upper triangular R (Benettin, Galgani, Giorgilli and Strelcyn 1980, Meccanica 15; Eckmann and
    Ruelle 1985, Reviews of Modern Physics 57). Above 0 neighbours drift apart; below 0 they come together, by e^lambda
    in an iteration.

    Parameters
    ----------
    step, jacobian
        Functions of states (..., n) that return the next states (..., n) and (..., n, n), its derivative.
    start
        (..., n).
    iterations, discard
        Over which the mean is taken, after as many as `discard` that only bring orbit and vectors to their long run.
    low, high
        (n,) the box; an orbit that leaves it is followed no further.
    largest
        How many exponents; all n if None.
    noise
        Function of the iteration that returns what is added to the next states, (..., n); none if None.

    Raises
    ------
    InputError
        If ``iterations < 1``, ``discard < 0`` or `largest` is not in 1..n.

    Examples
    --------
    >>> logistic, slope = lambda x: 4 * x * (1 - x), lambda x: (4 - 8 * x)[..., None]
    >>> found = lyapunov_exponents(logistic, slope, np.array([0.3]), 5000, np.zeros(1), np.ones(1))
    >>> found.exponents.round(2)  # ln 2
    array([0.69])
    """
    n = start.shape[-1]
    k = n if largest is None else largest
    if iterations < 1 or discard < 0 or not 1 <= k <= n:
        raise InputError(
            f"Lyapunov exponents need iterations >= 1, discard >= 0 and from 1 to {n} exponents, "
            f"but got {iterations}, {discard} and {k}"
        )
    x = start.astype(np.float64)
    escaped = np.asarray(~((x >= low) & (x <= high)).all(axis=-1))
    # Directions that no structure of the map singles out.
    V = np.broadcast_to(np.linalg.qr(stream(0, "tangent").standard_normal((n, n)))[0][:, :k], (*x.shape, k))
    total = np.zeros((*x.shape[:-1], k))
    with np.errstate(all="ignore"):
        for t in range(discard + iterations):
            V, growth = _orthonormal(jacobian(x) @ V, V)
            after = step(x) if noise is None else step(x) + noise(t)
            escaped = escaped | np.asarray(~((after >= low) & (after <= high)).all(axis=-1))
            x = np.where(escaped[..., None], x, after)
            if t >= discard:
                total += growth
    exponents = -np.sort(-total / iterations, axis=-1)
    return LyapunovExponents(np.where(escaped[..., None], np.nan, exponents), escaped, x)


def _orthonormal(W: Floats, before: Floats) -> tuple[Floats, Floats]:
    """Return an orthonormal basis of W (..., n, k) by modified Gram-Schmidt, and the logs of R's diagonal (..., k).

    A vector that the map sends to nothing keeps its direction before, so that the next iteration has one.
    """
    W = W.copy()
    k = W.shape[-1]
    growth = np.empty((*W.shape[:-2], k))
    for i in range(k):
        own = W[..., i]
        for j in range(i):
            own -= (W[..., j] * own).sum(axis=-1, keepdims=True) * W[..., j]
        length = np.sqrt((own**2).sum(axis=-1))
        alive = length > np.finfo(float).tiny
        growth[..., i] = np.log(np.where(alive, length, np.finfo(float).tiny))
        W[..., i] = np.where(alive[..., None], own / np.where(alive, length, 1.0)[..., None], before[..., i])
    return W, growth
