"""Futures where states are known: scores have no noise, or estimates pass for the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.control.goal import Carried, Goal
from trimtab.control.lookahead_parts import Transition

__all__ = ["Exact", "ExactState"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ExactState:
    """States (G, D, S, M, d), what is carried (G, D, S, M) or (..., 4), and the filter's covariance (G, S, d, d)."""

    z: Floats
    carry: Carried
    covariance: Floats

    @property
    def size(self) -> int:
        """Numbers that one plan holds."""
        return (self.z.size + self.carry.size) // len(self.z)

    def take(self, plans: Ints) -> ExactState:
        """Return the state of some of the plans."""
        return ExactState(self.z[plans], self.carry[plans], self.covariance[plans])


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """Futures on estimates.

    Parameters
    ----------
    R
        (n, n) score noise.
    exact
        True where the scores of an iterate are its state.
    noise
        (looks, D, 1 or S, M, n) standard normal.
    """

    goal: Goal
    R: Floats
    exact: bool
    noise: Floats

    def step(self, state: ExactState, by: Transition, strategies: Ints, look: int) -> tuple[ExactState, Floats]:
        """See `Futures`."""
        n = self.goal.space.n
        z, covariance = state.z, state.covariance
        (_, D, S, M, d), G = z.shape, len(strategies)
        mean_F = by.mean_F[strategies, None]
        predicted = mean_F @ covariance @ mean_F.swapaxes(-1, -2) + by.Q[strategies, None]
        total = predicted[..., :n, :n] + self.R
        F = by.F[:, strategies].swapaxes(0, 1).swapaxes(-1, -2)
        c = by.c[:, strategies].swapaxes(0, 1)[:, :, None]
        moved = (z.reshape(-1, D, S * M, d) @ F + c).reshape(G, D, S, M, d)
        if self.exact and d == n:
            root = np.linalg.cholesky(total[:, :1])
            moved += self.noise[look] @ root[:, None].swapaxes(-1, -2)
            after = np.broadcast_to(covariance, (G, S, d, d))
        else:
            gain = np.linalg.solve(total, predicted[..., :n, :])  # (G, S, n, d)
            after = predicted - gain.swapaxes(-1, -2) @ predicted[..., :n, :]
            if self.exact:
                after[..., :n, :] = after[..., :, :n] = 0.0
            # The filter expects the mean drift, and takes only a part of what differs from it for a change of state.
            expected = z @ mean_F[:, None].swapaxes(-1, -2) + by.mean_c[strategies, None, None, None]
            shock = self.noise[look] @ np.linalg.cholesky(total)[:, None].swapaxes(-1, -2)
            moved = expected + (moved[..., :n] - expected[..., :n] + shock) @ gain[:, None]
        np.clip(moved[..., :n], self.goal.space.low, self.goal.space.high, out=moved[..., :n])
        spread = None if self.exact else after[:, None, :, None, :n, :n]
        carry, worth = self.goal.keep(state.carry, moved[..., :n], spread)
        return ExactState(moved, carry, after), worth
