"""Moments within and between runs of consecutive steps, from which score noise can be taken out.

For each run of T steps the moments are sums of w w' with w = [1, x, V' x_0, dx], in units of each objective's spread; V
spans the m <= n directions in which the starts differ by more than noise. The moments are linear in the second moments
of (x_0, ..., x_T), and the noise of scores adds only to the diagonal blocks of those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Trajectories
from trimtab.estimation.score_noise import ScoreNoise

__all__ = ["Runs", "Sample", "Sums", "run_sample", "weighted_sums"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


DIFFERENT = 0.1
"""Least share of the variance of the starts that is not noise in a direction in which they count as different."""

_CONSTANT = 1e-10  # variance, in units of the states' own, below which the starts are all alike


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Moments of the U runs of T steps each, with p = 1 + 2n + m.

    Parameters
    ----------
    T
        Steps of each run.
    session
        (U,) index of each run's session in the sample.
    full, between
        (U, p, p) sum over t of w w', and (sum over t of w)(sum over t of w)' / T.
    shares
        (U, 3, n, n) `ScoreNoise.share` summed over t = 0 to T - 1, at t = 0 and at t = T.
    """

    T: int
    session: Ints
    full: Floats
    between: Floats
    shares: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """All that an estimate and its replicates need of S sessions.

    Parameters
    ----------
    runs
        By length, shortest first.
    products, degrees
        (S, n, n) sums of `ScoreNoise.products` and `degrees` over the rows of each session's runs.
    covariance
        (n, n) covariance of one judgement, for entries without degrees of freedom.
    center, scale
        (n,) origin and unit of x; dx has the same unit.
    V
        (n, m) directions of x_0.
    """

    runs: tuple[Runs, ...]
    products: Floats
    degrees: Floats
    covariance: Floats
    center: Floats
    scale: Floats
    V: Floats

    @property
    def n(self) -> int:
        """Number of objectives."""
        return len(self.center)

    @property
    def m(self) -> int:
        """Number of directions in which the starts differ."""
        return int(self.V.shape[1])

    @property
    def n_sessions(self) -> int:
        """Number of sessions with a step."""
        return len(self.products)

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return sum(runs.T * len(runs.session) for runs in self.runs)

    @property
    def lengths(self) -> Floats:
        """Steps of the runs of each length, (G,)."""
        return np.array([runs.T for runs in self.runs], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Weighted sums with the noise taken out, for a batch (...) of weights on sessions.

    Parameters
    ----------
    within
        (..., p, p) sums of squares and products about the means of the runs, all lengths together.
    between
        (..., G, p, p) those of the runs' means, times T, by length.
    taken
        (..., 1 + G, p, p) what was taken out of `within` and of `between`.
    count
        (..., G) number of runs.
    R
        (..., n, n) mean covariance of the noise in a score that starts a step.
    """

    within: Floats
    between: Floats
    taken: Floats
    count: Floats
    R: Floats


def run_sample(trajectories: Trajectories, code: int | None, noise: ScoreNoise, chosen: Ints) -> Sample:
    """Form the moments of a strategy's runs, stretches of complete steps without a gap; of all steps if `code` is None.

    Parameters
    ----------
    noise
        Of the rows of `trajectories`, on all its objectives.
    chosen
        Indices of the objectives that matter. A step is complete where all objectives are scored, chosen or not.
    """
    usable = trajectories.complete[1:] & trajectories.complete[:-1] & (np.diff(trajectories.session) == 0)
    usable &= np.diff(trajectories.iteration) == 1
    if code is not None:
        usable &= trajectories.strategy[1:] == code
    at = np.flatnonzero(usable)
    first = np.flatnonzero(np.diff(at, prepend=-2) != 1)
    lengths = np.diff(np.append(first, len(at)))
    start = at[first]
    owners, session = np.unique(trajectories.session[start], return_inverse=True)
    scores, n = trajectories.scores[:, chosen], len(chosen)
    center = scores[at].mean(axis=0) if len(at) else np.zeros(n)
    spread = scores[at].std(axis=0) if len(at) else np.ones(n)
    scale = np.where(spread > 1e-12 * np.abs(center), spread, 1.0)
    unit = scale[:, None] * scale
    square = chosen[:, None], chosen
    V = _directions((scores[start] - center) / scale, noise.share[start][:, *square] * noise.covariance[square] / unit)
    m = V.shape[1]
    found = []
    products, degrees = np.zeros((len(owners), n, n)), np.zeros((len(owners), n, n))
    for T in np.unique(lengths):
        own = lengths == T
        rows = start[own][:, None] + np.arange(T + 1)
        y = (scores[rows] - center) / scale
        w = np.ones((len(rows), T, 1 + 2 * n + m))
        w[..., 1 : 1 + n] = y[:, :-1]
        w[..., 1 + n : 1 + n + m] = y[:, :1] @ V
        w[..., 1 + n + m :] = np.diff(y, axis=1)
        total = w.sum(axis=1)
        share = noise.share[rows[..., None, None], *square]
        found.append(
            Runs(
                T=int(T),
                session=session[own],
                full=np.swapaxes(w, 1, 2) @ w,
                between=total[:, :, None] * total[:, None, :] / T,
                shares=np.stack([share[:, :-1].sum(axis=1), share[:, 0], share[:, -1]], axis=1),
            )
        )
        for sums, each in ((products, noise.products), (degrees, noise.degrees)):
            np.add.at(sums, session[own], each[rows[..., None, None], *square].sum(axis=1))
    covariance = noise.covariance[square] / unit
    return Sample(tuple(found), products / unit, degrees, covariance, center, scale, V)


def _directions(starts: Floats, noise: Floats) -> Floats:
    """Return an orthonormal basis (n, m) of the directions in which starts (U, n) differ by more than their noise.

    `noise` (U, n, n) is its covariance. At least `DIFFERENT` of the variance must be left without it.
    """
    if len(starts) < 2:
        return np.empty((starts.shape[1], 0))
    raw = np.cov(starts, rowvar=False).reshape(noise.shape[1:])
    values, vectors = np.linalg.eigh(raw)
    varies = values > _CONSTANT
    root = vectors[:, varies] / np.sqrt(values[varies])
    left, within = np.linalg.eigh(np.eye(root.shape[1]) - root.T @ noise.mean(axis=0) @ root)
    return np.asarray(np.linalg.qr(root @ within[:, left > DIFFERENT])[0])


def weighted_sums(sample: Sample, weights: Floats) -> Sums:
    """Return sums over sessions with `weights` (B, S), each with the noise that its own judgements show."""
    n, p, size = sample.n, 1 + 2 * sample.n + sample.m, len(weights)
    degrees = (weights @ sample.degrees.reshape(-1, n * n)).reshape(size, n, n)
    products = (weights @ sample.products.reshape(-1, n * n)).reshape(size, n, n)
    told = degrees > 0
    covariance = np.where(told, products / np.where(told, degrees, 1.0), sample.covariance)
    groups = len(sample.runs)
    within, between = np.zeros((size, p, p)), np.empty((size, groups, p, p))
    taken, count = np.zeros((size, 1 + groups, p, p)), np.empty((size, groups))
    R = np.zeros((size, n, n))
    for g, runs in enumerate(sample.runs):
        own = weights[:, runs.session]
        full = (own @ runs.full.reshape(-1, p * p)).reshape(size, p, p)
        between[:, g] = (own @ runs.between.reshape(-1, p * p)).reshape(size, p, p)
        shares = (own @ runs.shares.reshape(-1, 3 * n * n)).reshape(size, 3, n, n)
        inside, first, last = np.moveaxis(shares * covariance[:, None], 1, 0)
        of_full, taken[:, 1 + g] = _noise_moments(inside, first, last, runs.T, sample.V)
        taken[:, 0] += of_full - taken[:, 1 + g]
        within += full - between[:, g]
        count[:, g] = own.sum(axis=1)
        R += inside
    steps = (count @ sample.lengths)[:, None, None]
    return Sums(within - taken[:, 0], between - taken[:, 1:], taken, count, R / np.where(steps == 0, 1.0, steps))


def _noise_moments(inside: Floats, first: Floats, last: Floats, T: int, V: Floats) -> tuple[Floats, Floats]:
    """Return what noise v_0, ..., v_T adds to the sums `Runs.full` and `Runs.between`, (..., p, p) each.

    `inside`, `first` and `last` (..., n, n) are the sums of its covariances over t = 0 to T - 1, at 0 and at T. It
    enters x_t as v_t, x_0 as v_0, and dx_t as v_{t+1} - v_t, which sums to v_T - v_0.
    """
    n, m = V.shape
    x, start, dx = slice(1, 1 + n), slice(1 + n, 1 + n + m), slice(1 + n + m, 1 + 2 * n + m)
    full = np.zeros((*inside.shape[:-2], 1 + 2 * n + m, 1 + 2 * n + m))
    between = np.zeros_like(full)
    crossed = first @ V
    for one, other, in_full, in_between in (
        (x, x, inside, inside),
        (x, start, crossed, T * crossed),
        (x, dx, -inside, -first),
        (start, start, T * (V.T @ crossed), T * T * (V.T @ crossed)),
        (dx, start, -crossed, -T * crossed),
        (dx, dx, 2 * inside - first + last, first + last),
    ):
        for into, what in ((full, in_full), (between, in_between / T)):
            into[..., one, other] = what
            into[..., other, one] = np.swapaxes(what, -1, -2)
    return full, between
