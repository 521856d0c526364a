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

    With B = Phi - I, and S = sum_t h_t E[x_t x_t'], K = sum_t h_t E[(c + u) x_t'] and m = sum_t h_t E[x_t], h_t being
    the share of the steps that start at t,

        Cov(dx) = B S B' + B K' + K B' + U + c c' + Q - d d',    d = B m + c.

    Score noise has no part in it.

    Parameters
    ----------
    model
        With any number of leading axes.
    weights
        (T,) steps that start at each iteration.
    """
    phi, c = model.phi, model.c[..., None]
    turned = np.swapaxes(phi, -1, -2)
    drive = model.U + c * model.c[..., None, :]
    pushed = drive + model.Q
    mean = model.m[..., None]
    S, K = model.P + mean * model.m[..., None, :], model.C + c * model.m[..., None, :]
    # The sums over iterations of all that the moments at one are made of.
    sums = [np.zeros_like(each) for each in (S, K, mean)]
    for h in weights / weights.sum():
        for total, each in zip(sums, (S, K, mean), strict=True):
            total += h * each
        crossed = K @ turned
        S = (phi @ S + K) @ turned + np.swapaxes(crossed, -1, -2) + pushed
        K = crossed + drive
        mean = phi @ mean + c
    S, K, mean = sums
    B = phi - np.eye(phi.shape[-1])
    crossed = K @ np.swapaxes(B, -1, -2)
    step = B @ mean + c
    moved = (B @ S) @ np.swapaxes(B, -1, -2) + crossed + np.swapaxes(crossed, -1, -2) + pushed
    return interference_from_covariance(moved - step * np.swapaxes(step, -1, -2))
