"""Futures where scores are noisy: what is kept is chosen by estimates, and counts by what is true.

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
from trimtab.control.lookahead_parts import Transition, by_session, normals, repeated, root_of

__all__ = ["Kept", "Noisy", "NoisyState", "first_step", "start_noisy"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


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
class NoisyState:
    """Paths of G plans, D drifts, S sessions and M outcomes.

    Parameters
    ----------
    true, state
        (G, D, S, M, d) true states, and the filter's estimates of them.
    chosen, estimate
        (G, D, S, M) true and estimated utility of what is kept.
    covariance
        (G, S, d, d) of the filter.
    """

    true: Floats
    state: Floats
    chosen: Floats
    estimate: Floats
    covariance: Floats

    @property
    def size(self) -> int:
        """Numbers that one plan holds."""
        return 2 * (self.true.size + self.chosen.size) // len(self.true)

    def take(self, plans: Ints) -> NoisyState:
        """Return the state of some of the plans."""
        return NoisyState(
            self.true[plans], self.state[plans], self.chosen[plans], self.estimate[plans], self.covariance[plans]
        )


def first_step(
    goal: Goal, by: Transition, k: int, mean: Floats, covariance: Floats, kept: Kept, R: Floats, noise: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return what the filter knows after a first step by strategy k.

    Parameters
    ----------
    mean, covariance
        (S, d) and (S, d, d) of the state.
    noise
        (D, 1, B, n) standard normal.

    Returns
    -------
    Floats, Floats, Floats
        Estimates of the state (S, D B, d) and of the kept iterate (S, D B, n), and the covariance of both, (S, d + n,
        d + n), which no outcome changes.
    """
    n, d = goal.space.n, mean.shape[1]
    F, low, high = by.mean_F[k], goal.space.low, goal.space.high
    predicted, shared = F @ covariance @ F.T + by.Q[k], kept.cross @ F.T
    total = predicted[:, :n, :n] + R
    solved = np.linalg.solve(total, np.concatenate([predicted[:, :n], shared[:, :, :n].swapaxes(-1, -2)], axis=-1))
    gain, kept_gain = solved[..., :d], solved[..., d:]  # (S, n, d) and (S, n, n)
    expected = mean @ F.T + by.mean_c[k]
    other = (mean @ by.F[:, k].swapaxes(-1, -2) + by.c[:, k, None])[..., :n] - expected[:, :n]  # (D, S, n)
    surprise = other[:, :, None] + noise @ np.linalg.cholesky(total).swapaxes(-1, -2)
    state = by_session(expected[:, None] + surprise @ gain)
    np.clip(state[..., :n], low, high, out=state[..., :n])
    joint = np.empty((len(mean), d + n, d + n))
    joint[:, :d, :d] = predicted - gain.swapaxes(-1, -2) @ predicted[:, :n]
    joint[:, d:, d:] = kept.covariance - kept_gain.swapaxes(-1, -2) @ shared[:, :, :n].swapaxes(-1, -2)
    joint[:, d:, :d] = shared - kept_gain.swapaxes(-1, -2) @ predicted[:, :n]
    joint[:, :d, d:] = joint[:, d:, :d].swapaxes(-1, -2)
    return state, by_session(kept.mean[:, None] + surprise @ kept_gain), joint


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """Futures of true states and of estimates.

    Parameters
    ----------
    noise
        (looks, D, 1, M, 2 n) standard normal: innovations, and score noise.
    before
        (D, S, M) true utility of the iterate kept now.
    """

    goal: Goal
    R: Floats
    noise: Floats
    before: Floats

    def step(self, state: NoisyState, by: Transition, strategies: Ints, look: int) -> tuple[NoisyState, Floats]:
        """See `Futures`; utilities are gains over what is kept now."""
        n, low, high = self.goal.space.n, self.goal.space.low, self.goal.space.high
        (_, D, S, M, d), G = state.true.shape, len(strategies)
        mean_F = by.mean_F[strategies, None]
        predicted = mean_F @ state.covariance @ mean_F.swapaxes(-1, -2) + by.Q[strategies, None]
        gain = np.linalg.solve(predicted[..., :n, :n] + self.R, predicted[..., :n, :])  # (G, S, n, d)
        after = predicted - gain.swapaxes(-1, -2) @ predicted[..., :n, :]
        F = by.F[:, strategies].swapaxes(0, 1).swapaxes(-1, -2)
        c = by.c[:, strategies].swapaxes(0, 1)[:, :, None]
        true = (state.true.reshape(-1, D, S * M, d) @ F + c).reshape(G, D, S, M, d)
        innovation, error = self.noise[look, ..., :n], self.noise[look, ..., n:]
        true[..., :n] += innovation @ root_of(by.Q[strategies, :n, :n])[:, None, None]
        np.clip(true[..., :n], low, high, out=true[..., :n])
        mean = state.state @ mean_F[:, None].swapaxes(-1, -2) + by.mean_c[strategies, None, None, None]
        scores = true[..., :n] + error * np.sqrt(np.diagonal(self.R))
        mean = mean + (scores - mean[..., :n]) @ gain[:, None]
        chosen, estimate = self.choose(state.chosen, state.estimate, true[..., :n], mean, after)
        return NoisyState(true, mean, chosen, estimate, after), chosen - self.before

    def choose(
        self, chosen: Floats, estimate: Floats, x: Floats, state: Floats, covariance: Floats
    ) -> tuple[Floats, Floats]:
        """Return true and estimated utility of what is kept, once an iterate of true quality x may be kept too."""
        n, low, high = x.shape[-1], self.goal.space.low, self.goal.space.high
        mean = np.clip(state[..., :n], low, high)
        utility = self.goal.value(mean)
        better = utility > estimate
        if self.goal.floors:
            better &= self.goal.acceptable(mean, covariance[:, None, :, None, :n, :n])
        return np.where(better, self.goal.value(x), chosen), np.where(better, utility, estimate)


def start_noisy(
    goal: Goal, R: Floats, state: Floats, keep: Floats, joint: Floats, allowed: Bools, now: Floats,
    drifts: int, paths: int, looks: int, seed: int,
) -> tuple[Noisy, NoisyState]:  # fmt: skip
    """Return the futures after a first step, and where they begin: the next iterate may be kept already.

    Parameters
    ----------
    state, keep, joint
        See `first_step`.
    allowed, now
        (S,) whether there is an iterate to keep now, and the utility of stopping now, which counts where there is none.
    paths
        For each outcome and drift.
    """
    (S, outcomes, d), n = state.shape, keep.shape[-1]
    low, high = goal.space.low, goal.space.high
    z = normals(paths * drifts, 1 + looks, d + 2 * n, seed).reshape(paths, drifts, 1 + looks, -1).transpose(2, 1, 0, 3)
    z = np.tile(z, (1, 1, outcomes, 1))[:, :, None]  # (1 + looks, D, 1, M, ...)
    drawn = repeated(np.concatenate([state, keep], axis=-1), paths) + z[0, ..., : d + n] @ root_of(joint)
    true = np.ascontiguousarray(drawn[..., :d])
    np.clip(true[..., :n], low, high, out=true[..., :n])
    state, keep = repeated(state, paths), repeated(keep, paths)
    shape = (drifts, S, outcomes * paths)
    before = np.where(allowed[:, None], goal.value(np.clip(drawn[..., d:], low, high)), now[:, None])
    estimate = np.where(allowed[:, None], goal.value(np.clip(keep, low, high)), now[:, None])
    futures = Noisy(goal, R, z[1:, ..., : 2 * n], before)
    states = np.broadcast_to(state, (*shape, d))[None]
    chosen, estimate = futures.choose(
        before[None], np.broadcast_to(estimate, shape)[None], true[None, ..., :n], states, joint[None, :, :d, :d]
    )
    return futures, NoisyState(true[None], states, chosen, estimate, joint[None, :, :d, :d])
