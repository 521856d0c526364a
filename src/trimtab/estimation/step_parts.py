"""The covariance of steps in additive parts, and how much each of them depends on every session.

Parts are functions of sums over sessions, and their derivatives with respect to weights on sessions say what each
session contributes. Leaving out these contributions in turn gives standard errors in one pass: a jackknife (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapters 11 and 22) that refits nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps
from trimtab.dynamics.interference import pull_and_coupling, step_covariance_parts
from trimtab.estimation.least_squares import independent_objectives
from trimtab.estimation.two_way import two_way

__all__ = ["BETWEEN", "DRIFT_PARTS", "NOISE", "PARTS", "UNEQUAL", "StepParts", "step_parts"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNEQUAL, NOISE, BETWEEN = "unequal lengths", "score noise", "between strategies"

PARTS = ("own pull", "coupling", "transients", "session levels", UNEQUAL, "innovations", NOISE, BETWEEN)
"""All parts there can be, in the order in which they are shown."""

DRIFT_PARTS = ("own pull", "coupling", "innovations", NOISE, BETWEEN)
"""Parts of the coarser split, in which the first two are made of the whole Cov(x)."""

RELIABLE = 0.1
"""Least share of the variance of scores, in any direction, that must not be scoring noise for A to be corrected."""

PERFECT = 1 - 1e-12
"""A correlation that counts as perfect."""

_TINY = 1e-12  # share of a mean square below which a variance is rounding error
_PRODUCTS = 600_000  # products of one block of steps
_SMALLEST = 1_000  # steps of a block, however many objectives


@dataclass(frozen=True, slots=True, eq=False)
class StepParts:
    """Parts of the covariance of steps relative to both standard deviations: `PARTS`, `DRIFT_PARTS` and their sum.

    Parameters
    ----------
    shares
        (14, n, n). The diagonals are shares of variances; nan for an objective whose steps are all alike.
    errors
        (14, n, n), their standard errors over sessions; nan for a single session.
    fisher, fisher_error
        (n, n): artanh of the correlations of steps as they were recorded, and its standard errors.
    sessions, strategies
        Numbers of those with a step.
    """

    shares: Floats
    errors: Floats
    fisher: Floats
    fisher_error: Floats
    sessions: int
    strategies: int


@dataclass(frozen=True, slots=True, eq=False)
class _Strategy:
    """One strategy's steps: their mean, the parts of their covariance, and what the derivatives of these need.

    Matrices are (n, n). With scoring noise R, `within` and `whole` are without it, and A = (Cov(dx, x) + R) `inverse`,
    so that `unexplained` = Cov(dx, x) - A Cov(x) is not zero.
    """

    steps: int
    shift: Floats
    parts: Floats
    A: Floats
    inverse: Floats
    unexplained: Floats
    within: Floats
    whole: Floats
    transient: Floats
    level: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """All steps, by session and within it by strategy, about their strategies' means, in units of `unit` (n,).

    A spell is what one session does under one strategy. `group` and `spell` (M,) say which row of `means` and `levels`
    belongs to a step; `means` has the mean of the iteration and, beside it, the two weights that `TwoWay.pull_back`
    gives for transients and for levels, (n columns each).
    """

    x: Floats
    dx: Floats
    session: Ints
    code: Ints
    group: Ints
    spell: Ints
    means: Floats
    levels: Floats
    noise: Floats
    unit: Floats
    strategies: list[_Strategy]


def step_parts(steps: Steps, noise: Floats | None, *, of_states: bool = False) -> StepParts:
    """Split the covariance of `steps`.

    Parameters
    ----------
    noise
        (n, n) covariance of the error of one score, if known.
    of_states
        Take the standard deviations of steps without that error, so that correlations are those of the states behind
        the scores where errors are independent between objectives.
    """
    sample = _sample(steps, noise)
    M = len(sample.x)
    S = len(np.unique(sample.session))
    shift = np.stack([one.shift for one in sample.strategies])
    weight = np.array([one.steps for one in sample.strategies]) / M
    shift = shift - weight @ shift
    parts = np.einsum("k,kpij->pij", weight, np.stack([one.parts for one in sample.strategies]))
    between = (weight * shift.T) @ shift
    for at in (PARTS.index(BETWEEN), len(PARTS) + DRIFT_PARTS.index(BETWEEN), -1):
        parts[at] += between
    recorded = np.diagonal(parts[-1])
    # Steps that are all alike, such as a counter's, vary by rounding error only.
    recorded = np.where(recorded * sample.unit**2 > _TINY * _mean(steps.dx) ** 2, recorded, np.nan)
    fisher = _artanh(parts[-1] / np.sqrt(recorded[:, None] * recorded))
    error = 2 * np.diagonal(sample.noise) if of_states else np.zeros_like(recorded)
    variance = _remaining(recorded, error)
    shares = parts / np.sqrt(variance[:, None] * variance)
    squares = np.zeros_like(parts)
    moved, moved_squares = np.zeros_like(fisher), np.zeros_like(fisher)
    for u, changes, count in _contributions(sample, shift):
        # What remains of the sums without session s; the number of steps cancels.
        rest = parts[:, None] - u / M
        left = np.maximum(M - count, 1.0)
        own = _remaining(np.einsum("sii->si", rest[-1]), error * left[:, None] / M)
        change = rest / _roots(own) - shares[:, None]
        squares += np.einsum("psij,psij->pij", change, change)
        # Of the whole covariance exactly: without session s the mean is another one.
        exact = rest[-1] - changes[:, :, None] * changes[:, None, :] / left[:, None, None] / M
        move = _artanh(exact / _roots(np.einsum("sii->si", exact))) - fisher
        moved += move.sum(axis=0)
        moved_squares += (move**2).sum(axis=0)
    if S == 1:
        nothing = np.full_like(shares, np.nan)
        return StepParts(shares, nothing, fisher, nothing[0], S, len(sample.strategies))
    errors = np.sqrt(squares * (S - 1) / S)
    fisher_error = np.sqrt(np.maximum(moved_squares - moved**2 / S, 0.0) * (S - 1) / S)
    return StepParts(shares, errors, fisher, fisher_error, S, len(sample.strategies))


def _artanh(correlation: Floats) -> Floats:
    """Return Fisher's z, finite also for a perfect correlation."""
    return np.arctanh(np.clip(correlation, -PERFECT, PERFECT))


def _remaining(variance: Floats, error: Floats) -> Floats:
    """Return variances without those of errors; at least a hundredth is left."""
    return np.maximum(variance - error, 0.01 * variance)


def _roots(variance: Floats) -> Floats:
    """Return products of standard deviations (S, n, n) from variances (S, n); nan where these are 0."""
    deviation = np.sqrt(np.where(variance > _TINY, variance, np.nan))
    return np.asarray(deviation[:, :, None] * deviation[:, None, :])


def _sample(steps: Steps, noise: Floats | None) -> _Sample:
    steps, n = _ordered(steps), steps.x.shape[1]
    x, dx, session = steps.x, steps.dx, steps.session
    center = _mean(x)
    x = x - center
    spread = np.sqrt(_mean(x**2) + _mean(dx**2))
    unit = np.where(spread > _TINY * np.abs(center), spread, 1.0)
    R = np.zeros((n, n)) if noise is None else noise / unit[:, None] / unit
    x, dx = x / unit, dx / unit
    _, code = np.unique(steps.strategy, return_inverse=True)
    group, spell = np.empty(len(x), dtype=np.int64), np.empty(len(x), dtype=np.int64)
    means: list[Floats] = []
    levels: list[Floats] = []
    strategies = []
    groups = spells = 0
    for rows in np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1]):
        own, changes = x[rows], dx[rows]
        split = two_way(own, session[rows], steps.iteration[rows])
        group[rows], spell[rows] = split.group + groups, split.owner + spells
        groups, spells = groups + len(split.iteration), spells + len(split.session)
        mean, level = split.iteration[split.group], split.session[split.owner]
        means.append(np.hstack([split.iteration, split.pull_back(mean), -split.pull_back(level)]))
        levels.append(split.session)
        middle, shift = _mean(own), _mean(changes)
        own -= middle
        changes -= shift
        x[rows], dx[rows] = own, changes
        active = _active(own, center / unit + middle)
        strategies.append(_strategy(own, changes, mean, level, shift, active, R))
    return _Sample(x, dx, session, code, group, spell, np.vstack(means), np.vstack(levels), R, unit, strategies)


def _ordered(steps: Steps) -> Steps:
    """Return the steps by session and, within it, by strategy."""
    new = np.diff(steps.session)
    if (new >= 0).all() and (np.diff(steps.strategy)[new == 0] >= 0).all():
        return steps
    order = np.lexsort((steps.iteration, steps.strategy, steps.session))
    return Steps(steps.x[order], steps.dx[order], steps.session[order], steps.strategy[order], steps.iteration[order])


def _strategy(
    x: Floats, dx: Floats, mean: Floats, level: Floats, shift: Floats, active: NDArray[np.bool_], R: Floats
) -> _Strategy:
    """Fit the drift of one strategy and split the covariance of its steps.

    x, dx (M, n) are its states and changes about their means; `mean` and `level` (M, n) the parts of x that are due to
    iterations and sessions; `shift` (n,) the mean of the changes.
    """
    M, n = x.shape
    rest = x - mean - level
    C, K, V = x.T @ x / M, dx.T @ x / M, dx.T @ dx / M
    transient, lasting, within = mean.T @ mean / M, level.T @ level / M, rest.T @ rest / M
    A, inverse = _drift(C, K, R, active)
    states = {"transients": transient, "session levels": lasting, UNEQUAL: C - transient - lasting - within}
    fine = step_covariance_parts(A, states, within, V, R)
    own, coupling = pull_and_coupling(A, C - R)
    nothing = np.zeros((n, n))
    coarse = (own, coupling, fine["innovations"], fine[NOISE], nothing)
    return _Strategy(
        steps=M,
        shift=shift,
        parts=np.stack([*fine.values(), nothing, *coarse, V]),
        A=A,
        inverse=inverse,
        unexplained=K - A @ C,
        within=within - R,
        whole=C - R,
        transient=transient,
        level=lasting,
    )


def _active(x: Floats, center: Floats) -> NDArray[np.bool_]:
    """Say which objectives can explain steps, (n,), by the rules of the fit; x (M, n) is about its `center`."""
    M, n = x.shape
    if n + 1 >= M:
        return np.zeros(n, dtype=bool)
    spread = np.sqrt(_mean(x**2))
    u = x / np.where(spread > _TINY * np.abs(center), spread, 1.0)
    total = np.zeros((1 + 2 * n, 1 + 2 * n))
    total[0, 0], total[1 : 1 + n, 1 : 1 + n] = M, u.T @ u
    return independent_objectives(total)


def _drift(C: Floats, K: Floats, R: Floats, active: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return A (n, n) and H with A = K H, or (K + R) H where scoring noise R leaves enough to correct for it."""
    n = len(C)
    A, H = np.zeros((n, n)), np.zeros((n, n))
    at = np.ix_(active, active)
    size = np.sqrt(np.diagonal(C)[active])
    correlation, error = C[at] / size[:, None] / size, R[at] / size[:, None] / size
    if not active.any():
        return A, H
    corrected = False
    if R.any():
        root = np.linalg.inv(np.linalg.cholesky(correlation))
        corrected = bool(np.linalg.eigvalsh(root @ error @ root.T)[-1] < 1 - RELIABLE)
    H[at] = np.linalg.inv(correlation - error if corrected else correlation) / size[:, None] / size
    A[:] = (K + R if corrected else K) @ H
    return A, H


def _contributions(sample: _Sample, shift: Floats) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield for blocks of sessions what each contributes to the sums behind the parts.

    These are u (14, sessions, n, n), its sum of changes about the mean of all (sessions, n), and its number of steps.

    u_s is the derivative of M times a part with respect to the weight of session s; over all sessions it sums to M
    times the part. For A C A' it is A U A' + E C A' + (E C A')' with U the same for C, and E for A.
    """
    n = sample.x.shape[1]
    A, H, unexplained, within, whole, transient, level = (
        np.stack([getattr(one, name) for one in sample.strategies])
        for name in ("A", "inverse", "unexplained", "within", "whole", "transient", "level")
    )
    for rows in _blocks(sample.session, max(_SMALLEST, _PRODUCTS // n**2)):
        x, dx = sample.x[rows], sample.dx[rows]
        mean, pull, level_pull = np.split(sample.means[sample.group[rows]], 3, axis=1)
        own_level = sample.levels[sample.spell[rows]]
        rest = x - mean - own_level
        starts = _starts(sample.spell[rows])
        k = sample.code[rows][starts]
        count = np.diff(starts, append=len(x)).astype(np.float64)[:, None, None]
        R = count * sample.noise
        drift = A[k]
        X, Z = _products(x, x, starts), _products(dx, dx, starts)
        E = (_products(dx, x, starts) - drift @ X - count * unexplained[k]) @ H[k]

        def acted(C: Floats, U: Floats, drift: Floats = drift, E: Floats = E) -> Floats:
            moved = np.swapaxes(drift, 1, 2)
            return np.asarray(drift @ U @ moved + _twice(E @ C @ moved))

        def pulled(C: Floats, U: Floats, drift: Floats = drift, E: Floats = E) -> Floats:
            d, e = np.einsum("sii->si", drift), np.einsum("sii->si", E)
            return np.asarray(d[:, :, None] * U * d[:, None, :] + C * _twice(e[:, :, None] * d[:, None, :]))

        W = _products(rest, rest, starts) - R
        U = _products(mean, mean, starts) + _twice(_products(pull, rest, starts))
        L = _products(own_level, own_level, starts) + _twice(_products(level_pull, rest, starts))
        all_states, all_within = acted(whole[k], X - R), acted(within[k], W)
        moving, lasting = acted(transient[k], U), acted(level[k], L)
        own, own_states = pulled(within[k], W), pulled(whole[k], X - R)
        new = Z - all_states - 2 * R
        changes = np.add.reduceat(dx, starts, axis=0)
        between = _twice(changes[:, :, None] * shift[k][:, None, :]) + count * shift[k][:, :, None] * shift[k][:, None]
        fine = (own, all_within - own, moving, lasting, all_states - all_within - moving - lasting, new, 2 * R, between)
        coarse = (own_states, all_states - own_states, new, 2 * R, between)
        sessions = _starts(sample.session[rows][starts])
        moved = np.add.reduceat(changes + count[:, :, 0] * shift[k], sessions, axis=0)
        u = np.add.reduceat(np.stack([*fine, *coarse, Z + between]), sessions, axis=1)
        yield u, moved, np.add.reduceat(count[:, 0, 0], sessions)


def _blocks(session: Ints, size: int) -> Iterator[slice]:
    """Yield rows of whole sessions, about `size` at a time."""
    starts = _starts(session)
    firsts = starts[_starts(starts // size)]
    for first, last in zip(firsts, [*firsts[1:], len(session)], strict=True):
        yield slice(int(first), int(last))


def _starts(labels: Ints) -> Ints:
    """Return where runs of equal labels begin."""
    return np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))


def _products(u: Floats, v: Floats, starts: Ints) -> Floats:
    """Return the sums of u v' over runs of steps, (runs, n, n)."""
    return np.stack([np.add.reduceat(column[:, None] * v, starts, axis=0) for column in u.T], axis=1)


def _mean(values: Floats) -> Floats:
    """Return the mean over rows; numpy's own is many times slower for few columns."""
    return np.asarray(np.ones(len(values)) @ values / len(values))


def _twice(values: Floats) -> Floats:
    """Return values + values', (..., n, n)."""
    return np.asarray(values + np.swapaxes(values, -1, -2))
