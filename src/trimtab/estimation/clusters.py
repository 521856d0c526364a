"""Eigenvalues of a fitted drift that cannot be told apart, taken together: what four objectives or more call for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core import plain
from trimtab.dynamics.spectral_clusters import spectral_clusters
from trimtab.estimation.bootstrap import normal_interval
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.spectral import nearly_repeated

__all__ = [
    "MANY_OBJECTIVES",
    "ClusterEstimate",
    "cluster_documents",
    "cluster_estimates",
    "eigenvalue_spread",
    "least_assignment",
]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

MANY_OBJECTIVES = 4
"""Objectives from which on eigenvalues are always given by cluster."""

_CLOSE = 2.0  # standard deviations of a difference of eigenvalues within which they cannot be told apart
_FEW = 5  # eigenvalues up to which all assignments are compared
_MATCHED = 200  # replicates whose eigenvalues are matched with the estimate's


@dataclass(frozen=True, slots=True, eq=False)
class ClusterEstimate:
    """Eigenvalues of a fitted drift that lie within its uncertainty of each other, mostly one alone.

    Parameters
    ----------
    eigenvalues
        (k,) the members.
    mean
        Their mean: steady where the members are not.
    real
        Real part of the mean with its interval. To first order the mean moves by tr(P dA) / k, P being the spectral
        projector, however close the members are (Kato 1980, Perturbation Theory for Linear Operators, II.2.2).
    conditions
        (k,) condition number of each member, objectives being measured in their own spread: an error of size e in A
        moves it by up to that times e.
    mean_condition
        The same for the mean.
    """

    eigenvalues: Complexes
    mean: complex
    real: Estimate
    conditions: Floats
    mean_condition: float

    @property
    def size(self) -> int:
        """Number of eigenvalues in the cluster."""
        return len(self.eigenvalues)


def eigenvalue_spread(lam: Complexes, draws: Complexes) -> Floats:
    """Return the standard deviation (k,) of each eigenvalue (k,) over replicates (draws, k), in the complex plane.

    The eigenvalues of each replicate are assigned to those of the estimate so that the sum of squared distances is
    least, and a pair of conjugates gets one figure, the larger.
    """
    some = draws[np.linspace(0, len(draws) - 1, min(len(draws), _MATCHED)).astype(int)]
    distance = np.abs(some[:, None, :] - lam[:, None]) ** 2
    squares = least_assignment(distance)
    spread = np.sqrt(squares.mean(axis=0))
    conjugate = np.abs(lam.conj()[:, None] - lam).argmin(axis=1)
    return np.asarray(np.maximum(spread, spread[conjugate]))


def least_assignment(costs: Floats) -> Floats:
    """Return the costs (draws, k) of the assignments of rows to columns whose sum is least, given (draws, k, k)."""
    k = costs.shape[1]
    if k <= _FEW:
        choices = np.array(list(permutations(range(k))))
        each = costs[:, np.arange(k), choices]
        return np.asarray(each[np.arange(len(costs)), each.sum(axis=2).argmin(axis=1)])
    from scipy.optimize import linear_sum_assignment  # a tenth of a second to import

    return np.stack([one[linear_sum_assignment(one)] for one in costs])


def cluster_estimates(
    A: Floats, scale: Floats, drawn: Floats, drawn_eigenvalues: Complexes, lam: Complexes, level: float, sessions: int
) -> tuple[ClusterEstimate, ...]:
    """Return the clusters of a drift's eigenvalues, where there are many objectives or eigenvalues nearly repeat.

    Parameters
    ----------
    A, lam
        Drift (k, k) of the objectives that explain steps, and its eigenvalues.
    scale
        (k,) their spreads, the units in which conditions are measured.
    drawn, drawn_eigenvalues
        Replicates (draws, k, k) and (draws, k). Without two of them how far eigenvalues can be told apart is unknown,
        and there are no clusters.
    level, sessions
        Coverage of the intervals, and the number of sessions behind the replicates.
    """
    if len(drawn) < 2 or not np.isfinite(A).all() or not np.isfinite(drawn_eigenvalues).all():
        return ()
    if len(lam) < MANY_OBJECTIVES and not nearly_repeated(lam, drawn_eigenvalues):
        return ()
    unit = scale / scale[:, None]
    spread = eigenvalue_spread(lam, drawn_eigenvalues)

    def reach(values: Complexes) -> Floats:
        own = spread[np.abs(values[:, None] - lam).argmin(axis=1)]
        return np.asarray(_CLOSE * np.hypot(own[:, None], own))

    found = []
    for one in spectral_clusters(A * unit, reach):
        means = np.einsum("ij,dji->d", one.projector, drawn * unit).real / one.size
        low, high = normal_interval(np.asarray(one.mean.real), means, level, sessions)
        real = Estimate(one.mean.real, float(low), float(high))
        found.append(ClusterEstimate(one.eigenvalues, one.mean, real, one.conditions, one.mean_condition))
    return tuple(found)


def cluster_documents(clusters: tuple[ClusterEstimate, ...]) -> list[dict[str, Any]]:
    """Return clusters as plain Python values."""
    return [
        {
            "size": one.size,
            "mean": {"re": float(one.mean.real), "im": float(one.mean.imag)},
            "real_interval": {"low": one.real.low, "high": one.real.high},
            "mean_condition": one.mean_condition,
            "eigenvalues": plain.complexes(one.eigenvalues),
            "conditions": [float(v) for v in one.conditions],
        }
        for one in clusters
    ]
