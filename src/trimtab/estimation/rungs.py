"""A rung of the ladder of estimators: one estimate of the dynamics, with everything that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.clusters import ClusterEstimate
from trimtab.estimation.estimates import ArrayEstimate, Draws, Estimate, RegimeEstimate

__all__ = ["RUNGS", "Rung", "RungName"]

Floats = NDArray[np.float64]

RungName = Literal["least_squares", "tobit", "repeats", "state_space"]

RUNGS: dict[RungName, str] = {
    "least_squares": "least squares",
    "tobit": "Tobit",
    "repeats": "repeats",
    "state_space": "state space",
}
"""What each rung is called in text."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rung:
    """The dynamics as one estimator sees them.

    Parameters
    ----------
    name
        ``"least_squares"`` is the paper's eq. 5. ``"tobit"`` allows for scores cut off at the bounds, ``"repeats"`` for
        score noise known from repeated judgements and for lasting differences between sessions, ``"state_space"`` for
        both of these by likelihood, also without repeats.
    A, b, Q
        Drift matrix (n, n), drift at the origin (n,), innovation covariance of a step (n, n); nan where not identified.
    R
        (n,) variance of the score noise, or None where the estimator knows none.
    session_sd
        (n,) standard deviation of a session's own lasting drift, per unit of time, or None likewise.
    eigenvalues
        Of A over the active objectives, by decreasing real part.
    rate
        -max Re(lambda), per unit of time.
    smooth_rate
        -tr(A)/n: the average rate, smooth also where eigenvalues meet.
    multiplier
        abs(1 + lambda dt) of the eigenvalue that sets the rate.
    multipliers
        abs(1 + lambda dt) of all, in decreasing order.
    spectral_radius
        The largest of them: below 1 the loop converges.
    half_life, period
        Iterations until a deviation along the slowest mode halves; iterations per turn of that mode.
    stable_continuous, stable_discrete
        All Re(lambda) < 0; all abs(1 + lambda dt) < 1.
    nearly_repeated
        True where the eigenvalue that sets the rate is within two standard errors of another: then the rate's interval
        is unreliable, and the smooth rate is the figure to read.
    clusters
        The eigenvalues in clusters of those that cannot be told apart, where there are four objectives or more or
        `nearly_repeated` holds; else empty.
    equilibrium
        -A^-1 b, (n,).
    interference
        (n, n), eq. 4, of the true step changes: score noise, where known, is taken off.
    draws
        Replicates of A, b and the eigenvalues, from the bootstrap or the posterior.
    converged
        False where the search for the estimate did not settle.
    seconds
        What it cost.
    """

    name: RungName
    A: Floats
    b: Floats
    Q: Floats
    R: Floats | None
    session_sd: Floats | None
    eigenvalues: NDArray[np.complex128]
    rate: Estimate
    smooth_rate: Estimate
    multiplier: Estimate
    multipliers: ArrayEstimate
    spectral_radius: Estimate
    half_life: Estimate
    period: float
    stable_continuous: bool | None
    stable_discrete: bool | None
    nearly_repeated: bool
    clusters: tuple[ClusterEstimate, ...]
    regime: RegimeEstimate
    equilibrium: ArrayEstimate
    interference: ArrayEstimate
    draws: Draws
    converged: bool
    seconds: float

    def __repr__(self) -> str:
        return f"Rung({self.name!r}, rate={self.rate!s}, regime={self.regime!s})"
