"""The figures that the paper reports, computed by its own estimator for many experiments at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics import spectrum
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.dynamics.pareto import pareto_efficiencies
from trimtab.errors import InputError
from trimtab.estimation.least_squares import estimate

__all__ = ["MIDDLE", "Figures", "experiment_figures", "moment_sums"]

Floats = NDArray[np.float64]

MIDDLE = 5.0
"""Origin of the sums on a scale of 0 to 10, so that little precision is lost."""

_REAL = 1e-9  # imaginary part, relative to the eigenvalue's size, below which a leading eigenvalue is real


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """What least squares of dx on [1, x] (paper, eq. 5) reports for each of E experiments on n objectives.

    Parameters
    ----------
    sums
        (E, 1 + 2n, 1 + 2n) sums of w w', w = [1, x, dx], over all steps; they add up over strategies.
    eigenvalues
        (E, n) of the estimated A, by decreasing real part.
    rate
        (E,) -max Re(lambda).
    multiplier
        (E,) abs(1 + lambda) of the eigenvalue that sets the rate.
    oscillates
        (E,) whether that eigenvalue is one of a complex pair.
    r2_steps, r2_levels
        (E,) mean over objectives of 1 - RSS/TSS of the step changes, and of the levels they lead to.
    reached
        (E, n) mean scores at the last iteration.
    interference
        (E, n, n) correlation of step changes, zero diagonal (eq. 4).
    pareto
        (E,) mean share of a session's iterates that none of its others dominates.
    """

    sums: Floats
    eigenvalues: NDArray[np.complex128]
    rate: Floats
    multiplier: Floats
    oscillates: NDArray[np.bool_]
    r2_steps: Floats
    r2_levels: Floats
    reached: Floats
    interference: Floats
    pareto: Floats


def moment_sums(scores: Floats) -> Floats:
    """Return the sums of w w', w = [1, x, dx], over the steps of each experiment, (E, 1 + 2n, 1 + 2n).

    Parameters
    ----------
    scores
        (E, S, T + 1, n).
    """
    experiments, n = len(scores), scores.shape[-1]
    x, dx = scores[:, :, :-1], np.diff(scores, axis=2)
    w = np.concatenate([np.ones((*x.shape[:-1], 1)), x, dx], axis=-1).reshape(experiments, -1, 1 + 2 * n)
    return np.asarray(np.swapaxes(w, 1, 2) @ w)


def experiment_figures(scores: Floats) -> Figures:
    """Return the figures of experiments whose objectives are all to be maximised.

    Parameters
    ----------
    scores
        (E, S, T + 1, n): E experiments of S sessions of T steps on n objectives.

    Raises
    ------
    InputError
        If there is no experiment, session or step, or a score is missing.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(5.0, 1.0, (50, 100, 11, 3))
    >>> found = experiment_figures(noise)
    >>> round(float(np.median(found.r2_steps)), 2), round(float(np.median(found.pareto)), 2)
    (0.5, 0.49)
    """
    if scores.ndim != 4 or 0 in scores.shape or scores.shape[2] < 2 or not np.isfinite(scores).all():
        raise InputError(
            "figures of experiments need finite scores (experiments, sessions, iterations, objectives) with two or "
            f"more iterations, but got shape {scores.shape}"
        )
    experiments, sessions, rows, n = scores.shape
    sums = moment_sums(scores - MIDDLE)
    found = estimate(sums, np.full(n, MIDDLE), np.ones(n))
    lam = spectrum.eigenvalues(found.A)
    paths = np.ascontiguousarray(scores).reshape(-1, n)
    efficiency = pareto_efficiencies(paths, np.arange(experiments * sessions + 1) * rows)
    return Figures(
        sums=sums,
        eigenvalues=lam,
        rate=spectrum.rate(lam),
        multiplier=spectrum.leading(lam),
        oscillates=np.abs(lam[:, 0].imag) > _REAL * np.abs(lam[:, 0]),
        r2_steps=_explained(found.residual, found.total_steps),
        r2_levels=_explained(found.residual, found.total_levels),
        reached=np.asarray(scores[:, :, -1].mean(axis=1)),
        interference=interference_from_covariance(found.step_covariance),
        pareto=efficiency.reshape(experiments, sessions).mean(axis=1),
    )


def _explained(residual: Floats, total: Floats) -> Floats:
    """Return the mean of 1 - residual / total over the objectives that vary, (E,) from (E, n)."""
    varies = total > 0
    ratio = np.where(varies, residual / np.where(varies, total, 1.0), 0.0)
    count = varies.sum(axis=1)
    return np.where(count > 0, 1.0 - ratio.sum(axis=1) / np.maximum(count, 1), np.nan)
