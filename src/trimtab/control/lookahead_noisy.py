"""Lookahead where scores are noisy: what is kept is chosen by estimates, and counts by what is true.

An estimate that rises with the next score says nothing for going on if what was kept would have risen with it: where
quality does not move, all iterates are the same one. So every path carries true states beside the estimates that a
filter would make of their scores, and true and estimated quality of the kept iterate, jointly normal with the rest.
Gains are differences of true utilities between the iterate that the estimates choose in the end, and the one kept now.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.control.goal import Goal
from trimtab.control.lookahead_parts import Transition, normals

__all__ = ["Kept", "NoisyPaths"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The iterate that S sessions would keep now.

    Parameters
    ----------
    mean, covariance
        (S, n) and (S, n, n) of its true quality.
    cross
        (S, n, d) its covariance with the state now.
    allowed
        (S,) false where the floors forbid every iterate, so that there is none.
    """

    mean: Floats
    covariance: Floats
    cross: Floats
    allowed: Bools

    def take(self, chosen: slice) -> Kept:
        """Return those of some sessions."""
        return Kept(self.mean[chosen], self.covariance[chosen], self.cross[chosen], self.allowed[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class NoisyPaths:
    """Paths of D drifts, S sessions and M outcomes: arrays (D, S, M, ...)."""

    goal: Goal
    one: Transition
    held: dict[int, Transition]
    jumps: list[int]
    costs: Floats
    R: Floats
    first: Floats
    paths: int
    seed: int

    def values(
        self, k: int, mean: Floats, covariance: Floats, kept: Kept, now: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return what a first step by strategy k gains over stopping now, before its cost.

        Parameters
        ----------
        mean, covariance
            (S, d) and (S, d, d) of the state.
        now
            (S,) utility of stopping now, which counts where there is nothing to keep.

        Returns
        -------
        Floats, Floats, Floats
            Means over drifts, (S, D B), under the drift that led to each outcome, (D, S, B), and the state's predicted
            covariance (S, d, d).
        """
        n, d = self.goal.space.n, mean.shape[1]
        D, (S, B) = len(self.one.F), (len(mean), self.first.shape[-2])
        by = self.one
        predicted, shared = self._predicted(by, k, covariance), kept.cross @ by.mean_F[k].T
        total = predicted[:, :n, :n] + self.R
        solved = np.linalg.solve(total, np.concatenate([predicted[:, :n], shared[:, :, :n].swapaxes(-1, -2)], axis=-1))
        gain, kept_gain = solved[..., :d].swapaxes(-1, -2), solved[..., d:].swapaxes(-1, -2)
        expected = mean @ by.mean_F[k].T + by.mean_c[k]
        other = (mean @ by.F[:, k].swapaxes(-1, -2) + by.c[:, k, None])[..., :n] - expected[:, :n]  # (D, S, n)
        surprise = other[:, :, None] + self.first @ np.linalg.cholesky(total).swapaxes(-1, -2)
        state = self._by_session(expected[:, None] + surprise @ gain.swapaxes(-1, -2))
        np.clip(state[..., :n], self.goal.space.low, self.goal.space.high, out=state[..., :n])
        keep = self._by_session(kept.mean[:, None] + surprise @ kept_gain.swapaxes(-1, -2))
        after = predicted - gain @ predicted[:, :n]
        joint = np.empty((S, d + n, d + n))
        joint[:, :d, :d] = after
        joint[:, d:, d:] = kept.covariance - kept_gain @ shared[:, :, :n].swapaxes(-1, -2)
        joint[:, d:, :d] = shared - kept_gain @ predicted[:, :n]
        joint[:, :d, d:] = joint[:, d:, :d].swapaxes(-1, -2)
        best, told = self._plans(state, keep, joint, kept.allowed, now)
        return best, told.reshape(D, S, D, B)[range(D), :, range(D)], predicted

    def _plans(self, state: Floats, keep: Floats, joint: Floats, allowed: Bools, now: Floats) -> tuple[Floats, Floats]:
        """Return the gain of the best plan from estimates (S, O, d) and (S, O, n): means (S, O) and by drift."""
        S, outcomes, d = state.shape
        n, D, P = keep.shape[-1], len(self.one.F), self.paths
        shape = (D, S, outcomes * P)
        looks = max(len(self.jumps), 1)
        z = normals(P * D, 1 + looks, d + 2 * n, self.seed).reshape(P, D, 1 + looks, -1).transpose(2, 1, 0, 3)
        z = np.tile(z, (1, 1, outcomes, 1))[:, :, None]  # (looks, D, 1, outcomes P, ...)
        true = _repeated(np.concatenate([state, keep], axis=-1), P) + z[0, ..., : d + n] @ _root(joint)
        state, keep = _repeated(state, P), _repeated(keep, P)
        low, high = self.goal.space.low, self.goal.space.high
        np.clip(true[..., :n], low, high, out=true[..., :n])
        nothing = now[:, None]
        kept_true = np.where(allowed[:, None], self.goal.value(np.clip(true[..., d:], low, high)), nothing)
        estimate = np.broadcast_to(
            np.where(allowed[:, None], self.goal.value(np.clip(keep, low, high)), nothing), shape
        )
        chosen, estimate = self._choose(kept_true, estimate, true[..., :n], state, joint[:, :d, :d])
        best = self._mean(chosen - kept_true, outcomes).mean(axis=0)
        told = self._mean(chosen - kept_true, outcomes)
        for k in range(self.one.F.shape[1]):
            x, e, c, g, after, steps = true[..., :d], state, chosen, estimate, joint[:, :d, :d], 0
            for h, jump in enumerate(self.jumps):
                by, steps = self.held[jump], steps + jump
                predicted = self._predicted(by, k, after)
                total = predicted[:, :n, :n] + self.R
                gain = np.linalg.solve(total, predicted[:, :n])  # (S, n, d)
                after = predicted - gain.swapaxes(-1, -2) @ predicted[:, :n]
                x = self._moved(by, k, x)
                x[..., :n] += z[1 + h, ..., :n] @ _root(by.Q[k][:n, :n])
                x[..., :n] = np.clip(x[..., :n], low, high)
                e = e @ by.mean_F[k].T + by.mean_c[k]
                scores = x[..., :n] + z[1 + h, ..., n : 2 * n] * np.sqrt(np.diagonal(self.R))
                e = e + (scores - e[..., :n]) @ gain
                c, g = self._choose(c, g, x[..., :n], e, after)
                each = self._mean(c - kept_true, outcomes) - steps * self.costs[k]
                mean = each.mean(axis=0)
                better = mean > best
                best, told = np.where(better, mean, best), np.where(better, each, told)
        return best, told

    def _choose(
        self, chosen: Floats, estimate: Floats, x: Floats, state: Floats, covariance: Floats
    ) -> tuple[Floats, Floats]:
        """Return true and estimated utility of what is kept, once an iterate of true quality x may be kept too."""
        n, (low, high) = x.shape[-1], (self.goal.space.low, self.goal.space.high)
        mean = np.clip(state[..., :n], low, high)
        utility = self.goal.value(mean)
        better = utility > estimate
        if self.goal.floors:
            better &= self.goal.acceptable(mean, covariance[:, None, :n, :n])
        return np.where(better, self.goal.value(np.clip(x, low, high)), chosen), np.where(better, utility, estimate)

    def _moved(self, by: Transition, k: int, x: Floats) -> Floats:
        D, S, M, d = x.shape
        moved = x.reshape(D, S * M, d) @ by.F[:, k].swapaxes(-1, -2) + by.c[:, k, None]
        return np.asarray(moved.reshape(D, S, M, d))

    def _predicted(self, by: Transition, k: int, covariance: Floats) -> Floats:
        return np.asarray(by.mean_F[k] @ covariance @ by.mean_F[k].T + by.Q[k])

    def _by_session(self, values: Floats) -> Floats:
        D, S, B, width = values.shape
        return np.asarray(values.swapaxes(0, 1).reshape(S, D * B, width))

    def _mean(self, values: Floats, outcomes: int) -> Floats:
        return np.asarray(values.reshape(*values.shape[:2], outcomes, -1).mean(axis=-1))


def _repeated(values: Floats, paths: int) -> Floats:
    return np.repeat(values, paths, axis=1)


def _root(covariance: Floats) -> Floats:
    """Return L' with L L' = covariance (..., n, n), which may be singular."""
    values, vectors = np.linalg.eigh((covariance + covariance.swapaxes(-1, -2)) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]).swapaxes(-1, -2))
