"""What a model implies for the steps of its true states, for many parameter vectors at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.interference import interference_from_covariance
from trimtab.estimation.state_space.likelihood import Model
from trimtab.estimation.state_space.moments import PanelMoments

__all__ = ["implied_interference", "steps_by_iteration"]

Floats = NDArray[np.float64]


def steps_by_iteration(moments: PanelMoments) -> Floats:
    """Return how many runs have a complete step from iteration t to the next, (T,)."""
    count = np.zeros(moments.span - 1)
    for pattern in moments.patterns:
        at = pattern.index[:: moments.n] // moments.n
        count[at[:-1][np.diff(at) == 1]] += pattern.count
    return count


def implied_interference(model: Model, weights: Floats) -> Floats:
    """Return the correlation of the true steps dx_t = (Phi - I) x_t + c + u + w_t pooled over iterations, (..., n, n).

    With B = Phi - I, S_t = Cov(x_t), K_t = Cov(u, x_t) and d_t the mean step at t,

        Cov(dx) = sum_t h_t (B S_t B' + B K_t' + K_t B' + U + Q + d_t d_t') - d d',    d = sum_t h_t d_t,

    h_t being the share of the steps that start at t. Score noise has no part in it.

    Parameters
    ----------
    model
        With any number of leading axes.
    weights
        (T,) steps that start at each iteration.
    """
    phi, n = model.phi, model.phi.shape[-1]
    turned = np.swapaxes(phi, -1, -2)
    B = phi - np.eye(n)
    back = np.swapaxes(B, -1, -2)
    mean, S, K = model.m, model.P, model.C
    total, middle = np.zeros_like(phi), np.zeros_like(mean)
    for h in weights / weights.sum():
        step = (B @ mean[..., None])[..., 0] + model.c
        crossed = K @ back
        moved = B @ S @ back + crossed + np.swapaxes(crossed, -1, -2) + model.U + model.Q
        total += h * (moved + step[..., :, None] * step[..., None, :])
        middle += h * step
        crossed = K @ turned
        mean = mean + step
        S = phi @ S @ turned + crossed + np.swapaxes(crossed, -1, -2) + model.U + model.Q
        K = crossed + model.U
    return interference_from_covariance(total - middle[..., :, None] * middle[..., None, :])
