"""Per-session sufficient statistics: everything the estimators need from the data, in one pass.

For each session s the moments are M_s = sum over its steps of w w' with w = [1, u, du], where u = (x - center) / scale
and du = dx / scale. Regression coefficients, residual covariances, interference and both kinds of R2, for any set of
sessions or any weights on them, are functions of weighted sums of the M_s. They are additive over steps and sessions.

Where sessions are so many that their bootstrap has reached its Gaussian limit, only sums over them are kept: of the
M_s, and of the products of their entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import OK, Steps, Trajectories
from trimtab.errors import InputError

__all__ = [
    "FOLDS",
    "WIDE_ENOUGH",
    "AnyMoments",
    "MomentSums",
    "Moments",
    "effective_sessions",
    "session_moments",
    "step_blocks",
    "trajectory_moments",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS = 10
"""Folds of whole sessions for held-out figures."""

MANY = 20_000
"""Sessions above which only sums over them are kept."""

WIDE_ENOUGH = 12.0
"""Effective sessions from which on the bootstrap is drawn from its Gaussian limit."""

MOST_PATHS = 20_000
"""Sessions of a strategy that are looked at as whole paths, by every test and by all rungs but least squares: with so
many, their standard errors are small beside what else may be wrong."""

_TINY = 1e-10  # share of a correlation matrix's size below which an eigenvalue counts as zero
_BLOCK = 65_536  # steps whose products are held at once, so that memory does not grow with their number


@cache
def _packed(p: int) -> tuple[Ints, Ints]:
    """Return rows and columns of the upper triangle of a (p, p) matrix, (q,) each with q = p (p + 1) / 2."""
    return np.triu_indices(p)


def _unpacked(packed: Floats, p: int) -> Floats:
    """Return symmetric matrices (..., p, p) from their upper triangles (..., q)."""
    rows, columns = _packed(p)
    result = np.empty((*packed.shape[:-1], p, p))
    result[..., rows, columns] = packed
    result[..., columns, rows] = packed
    return result


def _chosen(n: int, chosen: Ints) -> Ints:
    return np.concatenate([[0], 1 + chosen, 1 + n + chosen])


def _fold_of(seed: int, S: int) -> tuple[Ints, int]:
    folds = min(FOLDS, S)
    return stream(seed, "folds").permutation(S) % max(folds, 1), folds


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of S sessions on n objectives, each session's own.

    Parameters
    ----------
    outer
        (S, 1 + 2n, 1 + 2n): M_s. ``outer[:, 0, 0]`` is the number of steps of each session.
    session
        (S,) index of each session in the trajectories, increasing.
    center, scale
        (n,) origin and unit of u; they keep the sums well conditioned and drop out of every result.
    """

    outer: Floats
    session: Ints
    center: Floats
    scale: Floats

    @property
    def n(self) -> int:
        """Number of objectives."""
        return len(self.center)

    @property
    def n_sessions(self) -> int:
        """Number of sessions with at least one step."""
        return len(self.session)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return round(float(self.outer[:, 0, 0].sum()))

    @property
    def total(self) -> Floats:
        """Sum of the M_s, (1 + 2n, 1 + 2n)."""
        return np.asarray(self.outer.sum(axis=0))

    @property
    def packed(self) -> Floats:
        """Upper triangles of the M_s row by row, (S, q), q = (1 + 2n)(1 + n)."""
        rows, columns = _packed(self.outer.shape[-1])
        return np.asarray(self.outer[:, rows, columns])

    def part(self, chosen: Ints) -> Moments:
        """Return the moments of the objectives with the given indices alone."""
        index = _chosen(self.n, chosen)
        return Moments(self.outer[:, index[:, None], index], self.session, self.center[chosen], self.scale[chosen])

    def products(self, J: Floats) -> Floats:
        """Return the sum over sessions of (J m)(J m)', (r, r), m being the packed M_s and J (r, q)."""
        found = self.packed @ J.T
        return np.asarray(found.T @ found)

    def spread(self) -> Floats:
        """Return the sum over sessions of (m - mean)(m - mean)', (q, q), m being the packed M_s."""
        packed = self.packed
        packed -= packed.mean(axis=0)
        return np.asarray(packed.T @ packed)

    def folds(self, seed: int) -> Floats:
        """Return the moments of up to `FOLDS` random folds of whole sessions, (folds, 1 + 2n, 1 + 2n)."""
        fold_of, folds = _fold_of(seed, self.n_sessions)
        return np.stack([self.outer[fold_of == fold].sum(axis=0) for fold in range(folds)])

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of steps; sessions in both are added up.

        Raises
        ------
        InputError
            If the two were formed about different centers or scales.
        """
        if not (np.array_equal(self.center, other.center) and np.array_equal(self.scale, other.scale)):
            raise InputError("moments can be merged only if they share center and scale")
        session, inverse = np.unique(np.concatenate([self.session, other.session]), return_inverse=True)
        outer = np.zeros((len(session), *self.outer.shape[1:]))
        np.add.at(outer, inverse, np.concatenate([self.outer, other.outer]))
        return Moments(outer, session, self.center, self.scale)


@dataclass(frozen=True, slots=True, eq=False)
class MomentSums:
    """Sums over the moments of very many sessions, of a size that does not depend on their number.

    Parameters
    ----------
    total
        (1 + 2n, 1 + 2n): sum of the M_s.
    second
        (q, q): sum of m m', m being the packed M_s.
    parts
        (folds, 1 + 2n, 1 + 2n): sums over the folds, as `Moments.folds` returns them.
    n_sessions
        Number of sessions.
    center, scale
        (n,) as in `Moments`.
    """

    total: Floats
    second: Floats
    parts: Floats
    n_sessions: int
    center: Floats
    scale: Floats

    @property
    def n(self) -> int:
        """Number of objectives."""
        return len(self.center)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return round(float(self.total[0, 0]))

    def part(self, chosen: Ints) -> MomentSums:
        """Return the sums of the objectives with the given indices alone."""
        index = _chosen(self.n, chosen)
        p = 1 + 2 * self.n
        place = _unpacked(np.arange(p * (p + 1) // 2, dtype=np.float64), p).astype(np.int64)
        packed = place[np.ix_(index, index)][_packed(len(index))]
        square = np.ix_(index, index)
        return MomentSums(
            self.total[square],
            self.second[np.ix_(packed, packed)],
            self.parts[:, index[:, None], index],
            self.n_sessions,
            self.center[chosen],
            self.scale[chosen],
        )

    def products(self, J: Floats) -> Floats:
        """As `Moments.products`; where J m is small against m, with fewer correct digits."""
        return np.asarray(J @ self.second @ J.T)

    def spread(self) -> Floats:
        """As `Moments.spread`."""
        packed = self.total[_packed(len(self.total))]
        return np.asarray(self.second - packed[:, None] * packed / self.n_sessions)

    def folds(self, seed: int) -> Floats:
        """Return the sums over the folds, which were drawn when the sums were formed."""
        return self.parts


AnyMoments = Moments | MomentSums


def effective_sessions(moments: AnyMoments) -> float:
    """Return in how many sessions the states vary, (sum v)^2 / sum v^2, for the direction in which they do in fewest.

    v is a session's sum of squared deviations of the states from their mean in one principal direction of their
    correlations; directions in which they do not vary at all are left out. Infinite where there is no other.
    """
    n, total = moments.n, moments.total
    mean = total[0, 1 : 1 + n] / max(total[0, 0], 1.0)
    states = total[1 : 1 + n, 1 : 1 + n] - mean[:, None] * total[0, 1 : 1 + n]
    own = np.diagonal(states)
    varies = own > 1e-12 * np.maximum(np.diagonal(total)[1 : 1 + n], total[0, 0])
    size = np.where(varies, np.sqrt(np.where(varies, own, 1.0)), np.inf)
    values, vectors = np.linalg.eigh(states / size[:, None] / size)
    kept = values > _TINY
    # v = a' M_s a with a = (-mean' d, d, 0): a linear function of the packed M_s.
    a = np.zeros((int(kept.sum()), len(total)))
    a[:, 1 : 1 + n] = (vectors[:, kept] / size[:, None]).T
    a[:, 0] = -a[:, 1 : 1 + n] @ mean
    rows, columns = _packed(len(total))
    J = a[:, rows] * a[:, columns] * np.where(rows == columns, 1.0, 2.0)
    squares = np.diagonal(moments.products(J))
    return float((values[kept] ** 2 / squares).min(initial=np.inf))


def session_moments(steps: Steps, center: Floats | None = None, scale: Floats | None = None) -> Moments:
    """Form the moments of `steps`, which must be ordered by session.

    Parameters
    ----------
    steps
        Complete step changes.
    center, scale
        (n,). Mean and standard deviation of x where not given; an objective that never varies gets the scale 1.
    """
    n = steps.x.shape[1]
    if center is None:
        center = steps.x.mean(axis=0) if len(steps) else np.zeros(n)
    if scale is None:
        scale = _unit(center, steps.x.std(axis=0) if len(steps) else np.ones(n))
    session, starts = np.unique(steps.session, return_index=True)
    packed = np.zeros((len(session), (1 + 2 * n) * (1 + n)))
    owner = np.searchsorted(session, steps.session)
    for at in range(0, len(steps), _BLOCK):
        block = slice(at, at + _BLOCK)
        first, last = owner[block][0], owner[block][-1]
        cuts = np.concatenate([[0], np.maximum(starts[first + 1 : last + 1] - at, 0)])
        packed[first : last + 1] += _sums(steps.x[block], steps.dx[block], cuts, center, scale)
    return Moments(_unpacked(packed, 1 + 2 * n), session.astype(np.int64), center, scale)


def _unit(center: Floats, spread: Floats) -> Floats:
    # The standard deviation of a constant column is rounding error, not exactly zero.
    return np.where(spread > 1e-12 * np.abs(center), spread, 1.0)


def _sums(x: Floats, dx: Floats, cuts: Ints, center: Floats, scale: Floats) -> Floats:
    """Return the packed sums of w w' over the rows between `cuts`, (len(cuts), q)."""
    w = np.concatenate([np.ones((1, len(x))), ((x - center) / scale).T, (dx / scale).T])
    rows, columns = _packed(len(w))
    result = np.empty((len(rows), len(cuts)))
    for k, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        np.add.reduceat(w[j] if i == 0 else w[i] * w[j], cuts, out=result[k])
    return result.T


def step_blocks(trajectories: Trajectories, code: int | None = None) -> Iterator[Steps]:
    """Yield the complete steps of strategy `code` (None: of all) in blocks of whole sessions, without copying the rest.

    Together they are ``trajectories.steps()``, restricted to the strategy.
    """
    offsets = trajectories.offsets
    for first, last in trajectories.blocks():
        rows = slice(int(offsets[first]), int(offsets[last]))
        iteration, strategy = trajectories.iteration[rows], trajectories.strategy[rows]
        follows = np.ones(len(iteration) - 1, dtype=bool) if code is None else strategy[1:] == code
        follows[offsets[first + 1 : last] - offsets[first] - 1] = False
        at = np.flatnonzero(follows)
        at = at[iteration[at + 1] - iteration[at] == 1]
        status = trajectories.status[rows]
        if (status != OK).any():
            complete = (status == OK).all(axis=1)
            at = at[complete[at] & complete[at + 1]]
        session = np.repeat(np.arange(first, last), np.diff(offsets[first : last + 1]))
        if len(at):
            scores = trajectories.scores[rows]
            x = scores.take(at, axis=0)  # four times as fast as an index
            yield Steps(x, scores.take(at + 1, axis=0) - x, session[at], strategy[at + 1], iteration[at])


def steps_of(trajectories: Trajectories, code: int | None = None) -> Steps:
    """Return all that `step_blocks` yields as one."""
    parts = list(step_blocks(trajectories, code))
    n = trajectories.space.n
    none = np.empty(0, dtype=np.int64)
    if not parts:
        return Steps(np.empty((0, n)), np.empty((0, n)), none, none, none)
    return Steps(*(np.concatenate([getattr(part, name) for part in parts]) for name in Steps.__dataclass_fields__))


def stepping_sessions(trajectories: Trajectories, code: int | None = None) -> Ints:
    """Return the sessions that hold a complete step of strategy `code` (None: of any), in increasing order."""
    found = [steps.session[_starts(steps.session)] for steps in step_blocks(trajectories, code)]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def path_sample(trajectories: Trajectories, code: int | None = None) -> Trajectories:
    """Return the sessions that are looked at as whole paths: all, or `MOST_PATHS` of the strategy's, evenly spread."""
    if trajectories.n_sessions <= MOST_PATHS:
        return trajectories
    own = stepping_sessions(trajectories, code)
    if not len(own):
        return trajectories
    count = min(MOST_PATHS, len(own))
    return trajectories.select(own[np.arange(count) * len(own) // count])


def _starts(session: Ints) -> Ints:
    """Return where each session's steps begin among steps ordered by session."""
    return np.concatenate([[0], np.flatnonzero(np.diff(session)) + 1])


def trajectory_moments(trajectories: Trajectories, code: int | None = None, *, seed: int = 0) -> AnyMoments:
    """Form the moments of the steps of strategy `code` (None: of all), in memory that does not grow with the rows.

    Up to `MANY` sessions, and where the states vary in fewer than `WIDE_ENOUGH` of them, each session's moments are
    kept; otherwise only sums over sessions.

    Parameters
    ----------
    seed
        Of the folds of held-out figures, which have to be drawn at once where only sums are kept.
    """
    n = trajectories.space.n
    S, count, origin = 0, 0, np.zeros(n)
    sums, squares = np.zeros(n), np.zeros(n)
    for steps in step_blocks(trajectories, code):
        if not count:
            origin = steps.x[0].copy()
        x = steps.x - origin
        S += 1 + int((np.diff(steps.session) != 0).sum())
        count += len(steps)
        sums += x.sum(axis=0)
        squares += np.einsum("ij,ij->j", x, x)
    mean = sums / max(count, 1)
    center = origin + mean
    scale = _unit(center, np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0.0)) if count else np.ones(n))
    if S > MANY:
        found = _summed(trajectories, code, seed, S, center, scale)
        if effective_sessions(found) >= WIDE_ENOUGH:
            return found
    packed = np.empty((S, (1 + 2 * n) * (1 + n)))
    session = np.empty(S, dtype=np.int64)
    at = 0
    for own, part in _blocks_of_sums(trajectories, code, center, scale):
        packed[at : at + len(own)], session[at : at + len(own)] = part, own
        at += len(own)
    return Moments(_unpacked(packed, 1 + 2 * n), session, center, scale)


def _blocks_of_sums(
    trajectories: Trajectories, code: int | None, center: Floats, scale: Floats
) -> Iterator[tuple[Ints, Floats]]:
    """Yield sessions and their packed moments, block by block."""
    for steps in step_blocks(trajectories, code):
        cuts = _starts(steps.session)
        yield steps.session[cuts], _sums(steps.x, steps.dx, cuts, center, scale)


def _summed(
    trajectories: Trajectories, code: int | None, seed: int, S: int, center: Floats, scale: Floats
) -> MomentSums:
    fold_of, folds = _fold_of(seed, S)
    p = 1 + 2 * len(center)
    q = p * (p + 1) // 2
    second, parts = np.zeros((q, q)), np.zeros((folds, q))
    at = 0
    for own, packed in _blocks_of_sums(trajectories, code, center, scale):
        second += packed.T @ packed
        folds_here = np.zeros((folds, len(own)))
        folds_here[fold_of[at : at + len(own)], np.arange(len(own))] = 1.0
        parts += folds_here @ packed
        at += len(own)
    unpacked = _unpacked(parts, p)
    return MomentSums(np.asarray(unpacked.sum(axis=0)), second, unpacked, S, center, scale)
