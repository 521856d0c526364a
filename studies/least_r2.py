"""The least mean R2 of steps of a stationary affine loop that has the rate of FF, by how its steps are correlated.

A loop x' = F x + w with Cov(w) = Q has Cov(x) = P = F P F' + Q and Cov(dx) = 2 P - F P - P F', of which Q is not
explained: R2_j = 1 - Q_jj / Cov(dx)_jj. The search is over all F with real multipliers of at most 1 - rate, and all Q,
under the paper's two correlations of steps and a limit on the third.

Run from the root of the repository: ``python studies/least_r2.py``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from trimtab.core.streams import stream
from trimtab.reproduction.paper import INTERFERENCE, OBJECTIVES, REPORTED

Floats = NDArray[np.float64]

RATE = REPORTED["FF"].rate
STARTS = 12
NEAREST = 0.98  # largest modulus of a multiplier


def loop(theta: Floats) -> tuple[Floats, Floats]:
    """Return F, whose multipliers lie between -`NEAREST` and 1 - `RATE`, and Q, from (15,) parameters."""
    skew = np.zeros((3, 3))
    skew[np.triu_indices(3, 1)] = theta[:3]
    skew -= skew.T
    U = np.linalg.solve(np.eye(3) + skew, np.eye(3) - skew)  # Cayley's rotation
    T = np.diag(1 - RATE - (NEAREST - RATE + 1) / (1 + np.exp(-theta[3:6])))
    T[np.triu_indices(3, 1)] = theta[6:9]
    L = np.zeros((3, 3))
    L[np.tril_indices(3)] = theta[9:]
    return U @ T @ U.T, L @ L.T + 1e-6 * np.eye(3)


def figures(theta: Floats) -> tuple[float, Floats]:
    """Return the mean R2 of steps, and the correlations of steps (3, 3)."""
    F, Q = loop(theta)
    P = np.linalg.solve(np.eye(9) - np.kron(F, F), Q.ravel()).reshape(3, 3)
    V = 2 * P - F @ P - P @ F.T
    sd = np.sqrt(np.diag(V))
    return float(1 - (np.diag(Q) / np.diag(V)).mean()), V / np.outer(sd, sd)


def least(limit: float | None) -> tuple[float, Floats]:
    """Return the least R2 found, and the correlations there; without a limit no correlation is held at all."""
    rows, columns = np.array([[OBJECTIVES.index(name) for name in pair] for pair in INTERFERENCE]).T
    wanted = np.array([*INTERFERENCE.values()])
    constraints = []
    if limit is not None:
        constraints = [
            {"type": "eq", "fun": lambda t: figures(t)[1][rows, columns] - wanted},
            {"type": "ineq", "fun": lambda t: limit - np.abs(figures(t)[1][0, 1])},
        ]
    best = (1.0, np.eye(3))
    for k in range(STARTS):
        theta = stream(1, "least R2", k).normal(0, 1, 15)
        found = minimize(
            lambda t: figures(t)[0], theta, method="SLSQP", constraints=constraints, bounds=[(-6, 6)] * 15,
            options={"maxiter": 300},
        )  # fmt: skip
        r2, correlations = figures(found.x)
        held = limit is None or (
            np.abs(correlations[rows, columns] - wanted).max() < 1e-3 and abs(correlations[0, 1]) < limit + 1e-3
        )
        if held and r2 < best[0]:
            best = (r2, correlations)
    return best


def main() -> None:
    """Print the least R2 under each limit."""
    print(f"rate {RATE:g}; objectives without correlation: R2 {RATE / 2:.3f}; FF's R2: {REPORTED['FF'].r2:g}")
    for limit in (None, 1.0, 0.8, 0.5, 0.2, 0.0):
        r2, correlations = least(limit)
        held = "no correlation held" if limit is None else f"the paper's two held, the third within {limit:g}"
        print(f"{held}: R2 {r2:.3f}, correlations {np.round(correlations[np.triu_indices(3, 1)], 2)}", flush=True)


if __name__ == "__main__":
    main()
