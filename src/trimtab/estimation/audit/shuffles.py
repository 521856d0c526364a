"""Refits of scores in random order: what rate, R2, eigenvalues and interference show without any dynamics.

Scores that are independent draws around a level, lasting or not, are as likely in any order within their session.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import Steps
from trimtab.dynamics import spectrum
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.estimation import least_squares as ls
from trimtab.estimation.audit.finding import CannotSayError

__all__ = ["Figures", "shuffled_figures", "shuffled_orders"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NUMBERS = 4_000_000  # numbers held at once
_ROWS = 2_000  # rows looked at at once


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Figures of the fit in the order observed, and of its refits in random order, (shuffles,) each.

    Parameters
    ----------
    rate, r2, turning, interference
        -max Re(lambda); R2 of steps; largest abs(Im(lambda)); largest abs(I_ij). Pairs of (observed, shuffled).
    """

    rate: tuple[float, Floats]
    r2: tuple[float, Floats]
    turning: tuple[float, Floats]
    interference: tuple[float, Floats]


def shuffled_orders(session: Ints, shuffles: int, rng: np.random.Generator) -> Ints:
    """Return `shuffles` independent uniformly random orders of the rows within each session, (shuffles, N).

    `session` (N,) names each row's session, in blocks.
    """
    starts = np.flatnonzero(np.diff(session, prepend=session[:1] - 1) != 0)
    lengths = np.diff(np.append(starts, len(session)))
    orders = np.empty((shuffles, len(session)), dtype=np.int64)
    for length in np.unique(lengths):
        rows = starts[lengths == length][:, None] + np.arange(length)
        drawn = rng.permuted(np.broadcast_to(rows, (shuffles, *rows.shape)), axis=2)
        orders[:, rows] = drawn
    return orders


def _rows(steps: Steps) -> tuple[Floats, Ints, Ints]:
    """Return the score vectors that steps connect (N, n), their sessions (N,), and the row each step starts from (M,).

    A step that follows another one starts from the row that the other ends in.
    """
    follows = (np.diff(steps.session) == 0) & (np.diff(steps.iteration) == 1)
    ends = np.append(~follows, True)
    at = np.arange(len(steps)) + np.concatenate([[0], np.cumsum(ends)[:-1]])
    values = np.empty((len(steps) + int(ends.sum()), steps.x.shape[1]))
    session = np.empty(len(values), dtype=np.int64)
    values[at], session[at] = steps.x, steps.session
    values[at[ends] + 1], session[at[ends] + 1] = (steps.x + steps.dx)[ends], steps.session[ends]
    return values, session, at


def shuffled_figures(steps: Steps, center: Floats, scale: Floats, shuffles: int, seed: int) -> Figures:
    """Refit `steps`, ordered by session, with each session's rows in random order, `shuffles` times.

    Whole score vectors change places, and only with scored ones, so that what is missing stays where it is.

    Raises
    ------
    CannotSayError
        If most shuffled scores do not identify a fit.
    """
    values, session, at = _rows(steps)
    values = (values - center) / scale
    n = values.shape[1]
    rng = stream(seed, "shuffles")
    totals = np.zeros((1 + shuffles, 1 + 2 * n, 1 + 2 * n))
    # Some sessions at a time, so that what is looked at stays in the processor's cache.
    for first, last in pairwise(_cuts(session).tolist()):
        own, here = values[first:last], at[np.searchsorted(at, first) : np.searchsorted(at, last)] - first
        totals[0] += _outer(own, np.arange(last - first)[None], here)[0]
        block = max(1, _NUMBERS // (len(here) * (1 + 2 * n)))
        for k in range(1, 1 + shuffles, block):
            orders = shuffled_orders(session[first:last], min(block, 1 + shuffles - k), rng)
            totals[k : k + block] += _outer(own, orders, here)
    fitted = ls.estimate(totals, center, scale)
    usable = fitted.rank == n
    if not usable[0] or usable.mean() < 0.5:
        raise CannotSayError("in random order the scores no longer identify a fit")
    lam = spectrum.eigenvalues(fitted.A[usable])
    with np.errstate(invalid="ignore", divide="ignore"):
        explained = 1 - fitted.residual / np.where(fitted.total_steps > 0, fitted.total_steps, np.nan)
    varies = (fitted.total_steps > 0).all(axis=0)
    r2 = explained[usable][:, varies].mean(axis=1) if varies.any() else np.full(int(usable.sum()), np.nan)
    strongest = np.abs(interference_from_covariance(fitted.step_covariance[usable])).max(axis=(1, 2))
    figures = (spectrum.rate(lam), r2, np.abs(lam.imag).max(axis=1), strongest)
    rate, share, turning, together = ((float(values[0]), values[1:]) for values in figures)
    return Figures(rate, share, turning, together)


def _cuts(session: Ints) -> Ints:
    """Return where to cut the rows so that parts hold whole sessions and about `_ROWS` rows each."""
    starts = np.flatnonzero(np.diff(session, prepend=session[:1] - 1) != 0)
    first = starts[np.diff(starts // _ROWS, prepend=-1) != 0]
    return np.append(first, len(session))


def _outer(values: Floats, orders: Ints, at: Ints) -> Floats:
    """Return the moment sums (B, 1 + 2n, 1 + 2n) of steps that start at rows `at` (M,) of the reordered values."""
    B, M, n = len(orders), len(at), values.shape[1]
    w = np.empty((B, M, 1 + 2 * n))
    w[..., 0] = 1.0
    w[..., 1 : 1 + n] = values[orders[:, at]]
    np.subtract(values[orders[:, at + 1]], w[..., 1 : 1 + n], out=w[..., 1 + n :])
    return np.asarray(np.swapaxes(w, 1, 2) @ w)
