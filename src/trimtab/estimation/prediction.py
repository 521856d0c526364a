"""How well the fitted drift predicts: R2 of steps and of levels, in sample and held out, beside two baselines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import normal_interval
from trimtab.estimation.estimates import R2, Estimate
from trimtab.estimation.moments import FOLDS, AnyMoments

__all__ = ["FOLDS", "r_squared"]

Floats = NDArray[np.float64]


def _mean_over(active: NDArray[np.bool_], residual: Floats, total: Floats) -> Floats:
    """Return the mean of 1 - residual / total over the active objectives whose total is not 0, (...), from (..., n)."""
    counted = active & (total > 0)
    ratio = np.where(counted, residual / np.where(total > 0, total, 1.0), 0.0).sum(axis=-1)
    count = counted.sum(axis=-1)
    return np.asarray(np.where(count > 0, 1.0 - ratio / np.maximum(count, 1), np.nan))


def r_squared(
    moments: AnyMoments,
    total: ls.AffineEstimate,
    drawn: ls.AffineEstimate | None,
    active: NDArray[np.bool_],
    level: float,
    seed: int,
) -> R2:
    """Return every R2 of one fit. An R2 is 1 - RSS/TSS per objective, TSS about the objective's own mean.

    Held-out figures come from folds of whole sessions; their TSS is that of the whole sample, so that the baseline
    "jumps to the mean" is slightly negative and not zero by construction. All of it follows from the moments: the
    residual sum of squares of a fold under coefficients beta from the others is D - 2 beta'H + beta'G beta.
    """
    if not active.any():
        unknown = float("nan")
        nothing = Estimate(unknown)
        return R2(nothing, nothing, unknown, unknown, unknown, unknown, np.full(moments.n, np.nan))
    steps = float(_mean_over(active, total.residual, total.total_steps))
    levels = float(_mean_over(active, total.residual, total.total_levels))
    steps_interval = levels_interval = np.full(2, np.nan)
    if drawn is not None:
        clusters = moments.n_sessions
        for_steps = _mean_over(active, drawn.residual, drawn.total_steps)
        for_levels = _mean_over(active, drawn.residual, drawn.total_levels)
        steps_interval = np.clip(normal_interval(np.asarray(steps), for_steps, level, clusters), 0.0, 1.0)
        levels_interval = np.clip(normal_interval(np.asarray(levels), for_levels, level, clusters), 0.0, 1.0)
    model, mean = _held_out(moments, seed)
    varies = active & (total.total_steps > 0)
    per_objective = np.where(varies, 1.0 - total.residual / np.where(varies, total.total_steps, 1.0), np.nan)
    return R2(
        steps=Estimate(steps, *map(float, steps_interval)),
        levels=Estimate(levels, *map(float, levels_interval)),
        steps_held_out=float(_mean_over(active, model, total.total_steps)),
        levels_held_out=float(_mean_over(active, model, total.total_levels)),
        levels_persistence=float(_mean_over(active, total.squared_steps, total.total_levels)),
        levels_mean=float(_mean_over(active, mean, total.total_levels)),
        per_objective=per_objective,
    )


def _held_out(moments: AnyMoments, seed: int) -> tuple[Floats, Floats]:
    """Return held-out residual sums of squares (n,) of the fit and of the training mean of x_{t+1}."""
    n = moments.n
    k = 1 + n
    if moments.n_sessions < 2:
        return np.full(n, np.nan), np.full(n, np.nan)
    parts = moments.folds(seed)
    beta, _ = ls.coefficients(moments.total - parts)
    G, H, D = parts[:, :k, :k], parts[:, :k, k:], parts[:, k:, k:]
    model = (
        np.einsum("fjj->fj", D) - 2 * np.einsum("fij,fij->fj", beta, H) + np.einsum("fij,fik,fkj->fj", beta, G, beta)
    )
    # Next levels y = u + du: their sums and sums of squares within each fold.
    count = parts[:, 0, 0][:, None]
    sums = parts[:, 0, 1:k] + parts[:, 0, k:]
    squares = np.einsum("fjj->fj", parts[:, 1:k, 1:k] + D) + 2 * np.einsum("fjj->fj", H[:, 1:])
    predicted = (sums.sum(axis=0) - sums) / (count.sum() - count)
    mean = squares - 2 * predicted * sums + count * predicted**2
    return model.sum(axis=0) * moments.scale**2, mean.sum(axis=0) * moments.scale**2
