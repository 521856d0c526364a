"""Where a drift leads, with the uncertainty of its replicates: fixed points that are followed, orbits that are run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from trimtab.core.streams import stream
from trimtab.dynamics.drift_basis import BasisDrift
from trimtab.dynamics.fixed_points import TYPES, fixed_point_type, fixed_points, spread_points
from trimtab.dynamics.lyapunov import lyapunov_exponents
from trimtab.estimation.bootstrap import robust_interval
from trimtab.estimation.nonlinear.results import FixedPoint, LongRun

__all__ = ["GUARD", "followed_points", "long_run"]

Floats = NDArray[np.float64]

GUARD = 10.0
"""Orbits have left once they are outside a box this many times as wide as the one for fixed points, about its middle.

A loop that settles near a bound may pass it on the way, and noise may carry it further; one that leaves this box is
not coming back."""

_STARTS = 256
_STARTS_DRAWN, _STARTS_MOST = 12, 96  # for each replicate, beside the estimate's points: times 2^n, and at most
_DISCARD, _ITERATIONS, _ITERATIONS_DRAWN = 100, 1000, 300
_EXPONENTS_DRAWN = 100  # replicates whose orbits are run


def followed_points(
    drift: BasisDrift, low: Floats, high: Floats, seen: tuple[Floats, Floats], level: float, sessions: int
) -> tuple[tuple[FixedPoint, ...], Mapping[int, float]]:
    """Return the fixed points of the first of B drifts, followed through the others, and the shares of their numbers.

    As a drift changes, a fixed point goes on as one until it meets another whose Jacobian has a determinant of the
    other sign, and both vanish (or it leaves the box). So the points of each replicate are assigned to those of the
    estimate with the same sign, at the least sum of distances, and points without a partner are gone.

    Parameters
    ----------
    drift
        In scaled states; drift 0 is the estimate.
    low, high
        (n,) the box, in scaled states.
    seen
        Least and largest states seen, (n,) each.
    """
    first = BasisDrift(drift.theta[:1], drift.basis)
    points = fixed_points(first, first.jacobian, low, high, spread_points(low, high, _STARTS)[None])[0]
    B, n = len(drift.theta) - 1, drift.n
    others = BasisDrift(drift.theta[1:], drift.basis)
    starts = np.concatenate([points, spread_points(low, high, min(_STARTS_DRAWN * 2**n, _STARTS_MOST))])
    drawn = fixed_points(others, others.jacobian, low, high, np.broadcast_to(starts, (B, *starts.shape)))
    slopes = _slopes(first, 0, points)
    sign = _signs(slopes)
    matched = np.full((B, len(points), n), np.nan)
    kinds: list[Counter[str]] = [Counter() for _ in points]
    for b, candidates in enumerate(drawn):
        own_slopes = _slopes(others, b, candidates)
        own = _signs(own_slopes)
        for s in (-1.0, 1.0):
            mine, theirs = np.flatnonzero(sign == s), np.flatnonzero(own == s)
            distance = np.linalg.norm(points[mine, None] - candidates[theirs], axis=-1)
            for i, j in zip(*linear_sum_assignment(distance), strict=True):
                matched[b, mine[i]] = candidates[theirs[j]]
                kinds[mine[i]][fixed_point_type(_multipliers(own_slopes[theirs[j]]))] += 1
    found = []
    for i, point in enumerate(points):
        have = int(np.isfinite(matched[:, i, 0]).sum())
        below, above = robust_interval(point, matched[:, i], level, sessions)
        multipliers = _multipliers(slopes[i])
        stable = sum(times for kind, times in kinds[i].items() if kind.startswith("stable"))
        found.append(
            FixedPoint(
                point=point,
                low=below,
                high=above,
                kind=fixed_point_type(multipliers),
                multipliers=multipliers,
                probability=have / B if B else float("nan"),
                kinds={kind: kinds[i][kind] / have for kind in TYPES if kinds[i][kind]},
                stable=stable / have if have else float("nan"),
                seen=bool(((point >= seen[0]) & (point <= seen[1])).all()),
            )
        )
    counts = Counter(map(len, drawn))
    return tuple(found), {count: counts[count] / B for count in sorted(counts)}


def _slopes(drift: BasisDrift, b: int, points: Floats) -> Floats:
    """Return the Jacobians (k, n, n) of drift b at points (k, n)."""
    if not len(points):
        return np.empty((0, drift.n, drift.n))
    return np.asarray(BasisDrift(drift.theta[b : b + 1], drift.basis).jacobian(points[None])[0])


def _signs(slopes: Floats) -> Floats:
    return np.where(np.linalg.det(slopes) < 0, -1.0, 1.0)


def _multipliers(slope: Floats) -> NDArray[np.complex128]:
    values = np.linalg.eigvals(np.eye(len(slope)) + slope).astype(np.complex128)
    return values[np.lexsort((-values.imag, -np.abs(values).round(12)))]


def long_run(
    drift: BasisDrift,
    starts: Floats,
    low: Floats,
    high: Floats,
    level: float,
    sessions: int,
    root: Floats | None = None,
    seed: int = 0,
) -> LongRun:
    """Return the largest Lyapunov exponent of the first of B maps with its interval over the others.

    Parameters
    ----------
    drift
        In scaled states; drift 0 is the estimate.
    starts
        (K, n) states from which orbits are run for each drift.
    low, high
        (n,) the box for fixed points, which is widened by `GUARD`.
    root
        (n, n) root of the innovation covariance in scaled states; None for the loop without innovations, which are the
        same for all drifts.
    """
    middle, half = (low + high) / 2, GUARD * (high - low) / 2
    box = middle - half, middle + half
    estimate, left = _exponents(BasisDrift(drift.theta[:1], drift.basis), starts, *box, _ITERATIONS, root, seed)
    some = BasisDrift(drift.theta[1 : 1 + _EXPONENTS_DRAWN], drift.basis)
    drawn, gone = _exponents(some, starts, *box, _ITERATIONS_DRAWN, root, seed)
    below, above = robust_interval(estimate[0], drawn, level, sessions)
    stay = np.isfinite(drawn)
    return LongRun(
        exponent=float(estimate[0]),
        low=float(below),
        high=float(above),
        positive=float((drawn[stay] > 0).mean()) if stay.any() else float("nan"),
        escaped=float(left.mean()),
        escaped_draws=float(gone.any(axis=1).mean()) if len(gone) else float("nan"),
    )


def _exponents(
    drift: BasisDrift, starts: Floats, low: Floats, high: Floats, iterations: int, root: Floats | None, seed: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the exponents (B,) averaged over the orbits that stay, and which orbits leave, (B, K)."""
    noise: Callable[[int], Floats] | None = None
    if root is not None:
        rng = stream(seed, "nonlinear", "innovations")
        K, n, L = *starts.shape, root

        def noise(t: int) -> Floats:
            return np.asarray(rng.standard_normal((K, n)) @ L.T)

    found = lyapunov_exponents(
        drift.step,
        drift.step_jacobian,
        np.broadcast_to(starts, (len(drift.theta), *starts.shape)),
        iterations,
        low,
        high,
        discard=_DISCARD,
        largest=1,
        noise=noise,
    )
    stay = ~found.escaped
    total = np.where(stay, found.exponents[..., 0], 0.0).sum(axis=1)
    return np.where(stay.any(axis=1), total / np.maximum(stay.sum(axis=1), 1), np.nan), found.escaped
