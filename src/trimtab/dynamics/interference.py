"""Interference: correlation of step changes between objectives (paper, eq. 4), and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["interference_from_covariance", "interference_matrix", "pull_and_coupling", "step_covariance_parts"]

Floats = NDArray[np.float64]


def interference_from_covariance(covariance: Floats) -> Floats:
    """Return I_ij = C_ij / sqrt(C_ii C_jj) with I_ii = 0, for covariances (..., n, n) of step changes.

    Entries of an objective that never changes are not-a-number: a correlation with a constant does not exist.
    """
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(variance > 0, variance, np.nan))
    result = np.clip(covariance / (scale[..., :, None] * scale[..., None, :]), -1.0, 1.0)
    result[..., np.arange(result.shape[-1]), np.arange(result.shape[-1])] = 0.0
    return np.asarray(result)


def interference_matrix(dx: Floats) -> Floats:
    """Return the interference matrix (n, n) of step changes dx (M, n), M >= 2."""
    return interference_from_covariance(np.atleast_2d(np.cov(dx, rowvar=False)))


def pull_and_coupling(A: Floats, C: Floats) -> tuple[Floats, Floats]:
    """Return D C D and A C A' - D C D with D = diag A, (n, n) each, for the covariance C (n, n) of states.

    The first is what each objective's own pull A_ii x_i makes of states that are correlated; the second needs entries
    of A off the diagonal, by which one objective's state moves another.
    """
    d = np.diagonal(A)
    own = d[:, None] * C * d
    return own, A @ C @ A.T - own


def step_covariance_parts(
    A: Floats, states: Mapping[str, Floats], within: Floats, steps: Floats, noise: Floats
) -> dict[str, Floats]:
    """Split the covariance of steps dx = A x + e into parts, each (n, n), that sum to it exactly.

    With Cov(x) = C_within + sum of the named C_k, and Cov(x, e) = 0 as least squares has it::

        Cov(dx) = D (C_within - R) D + [A (C_within - R) A' - D (C_within - R) D] + sum A C_k A' + innovations + 2 R

    D = diag A. Scores y = x + v with independent scoring noise v of covariance R have Cov(y) = Cov(x) + R and steps
    with Cov(dy) = Cov(dx) + 2 R; with the A of x, not of y, innovations is then the covariance Q of dx given x. Without
    noise it is Cov(e).

    Parameters
    ----------
    A
        (n, n) drift per step.
    states
        Covariances (n, n) of named parts of the scores x.
    within
        C_within, (n, n): the covariance of what remains of them.
    steps
        Cov(dx), (n, n).
    noise
        R, (n, n); zeros where there is none or it is not known.

    Returns
    -------
    dict
        ``own pull``, ``coupling``, then the names in `states`, ``innovations``, ``score noise``.
    """
    own, coupling = pull_and_coupling(A, within - noise)
    parts = {"own pull": own, "coupling": coupling, **{name: A @ C @ A.T for name, C in states.items()}}
    parts["innovations"] = steps - sum(parts.values()) - 2 * noise
    parts["score noise"] = 2 * noise
    return parts
