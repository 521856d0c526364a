"""What the paper reports, figure by figure: arXiv:2510.10739, on a scale of 0 to 10, 100 sessions per strategy."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ABSTRACT", "COMPANION", "INTERFERENCE", "OBJECTIVES", "REPORTED", "SESSIONS", "STEPS", "Reported"]

OBJECTIVES = ("security", "efficiency", "functionality")
SESSIONS = 100
STEPS = 10


@dataclass(frozen=True, slots=True)
class Reported:
    """The figures of one strategy.

    Parameters
    ----------
    rate, rate_error
        Convergence rate, and what the paper gives after its plus-minus sign, None where it gives nothing.
    multiplier
        abs(1 - rate), the modulus of the multiplier.
    regime
        As the paper names it.
    r2
        Of which kind it does not say.
    reached
        Levels reached, in the order of `OBJECTIVES`.
    pareto
        Pareto efficiency, None where the paper says "high".
    """

    rate: float
    rate_error: float | None
    multiplier: float
    regime: str
    r2: float
    reached: tuple[float, float, float]
    pareto: float | None


REPORTED = {
    "EF": Reported(0.33, 0.08, 0.67, "exponential convergence", 0.58, (5.25, 4.65, 7.26), None),
    "SF": Reported(1.08, 0.15, 0.08, "oscillatory convergence", 0.72, (5.75, 3.9, 8.20), None),
    "FF": Reported(1.29, 0.21, 0.29, "boundary attraction", 0.50, (0.0, 2.1, 8.75), 0.5),
    "AI": Reported(0.15, None, 0.85, "stable, balanced", 0.74, (4.0, 4.2, 8.20), None),
}

INTERFERENCE = {("functionality", "efficiency"): -0.17, ("functionality", "security"): -0.09}
"""Correlations of step changes."""

ABSTRACT = (0.33, 1.29)
"""Least and greatest rate, as the abstract has it."""

COMPANION = 0.376
"""Relative increase of critical findings after five iterations in the companion study, arXiv:2506.11022."""
