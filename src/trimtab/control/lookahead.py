"""Lookahead: what going on with each strategy is worth, keeping the best iterate and stopping counted in.

The value of a first step by strategy k is the mean, over drifts theta that the data leave possible and outcomes of that
step, of the best that can be done after it: to stop at once, or to hold any strategy for any number of further steps.
So the second decision knows the first outcome, and later ones are planned without knowing theirs; because the plan is
made anew after every iteration, that is enough (Bertsekas 2005 calls it open-loop feedback after one closed-loop step).

Outcomes are those of the *estimated* state, whose law is closed-form: with score noise R, predicted covariance P and
gain G = P H' (H P H' + R)^-1, the next estimate is normal about the prediction with covariance G (H P H' + R) G'. It
moves less than the scores do, and an iterate counts by its estimate's expected utility: a lucky score wins nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.control.belief import augmented
from trimtab.control.goal import Goal, passed_chance
from trimtab.control.knowledge import Drifts, Knowledge
from trimtab.core.streams import stream

__all__ = ["Effort", "Plan", "look_ahead"]

Floats = NDArray[np.float64]

_HELD = 400_000  # numbers held in one array of outcomes


@dataclass(frozen=True, slots=True)
class Effort:
    """How finely values are computed.

    Parameters
    ----------
    draws
        Drifts drawn from the posterior.
    outcomes
        Of the first step, for each drift; even.
    paths
        Of the steps after it, for each outcome; even.
    horizon
        Steps looked ahead in all.
    """

    draws: int = 8
    outcomes: int = 4
    paths: int = 8
    horizon: int = 5


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What S sessions may gain.

    Parameters
    ----------
    value
        (S, K) expected utility of what is kept in the end, less the cost, if the next step is by strategy k.
    by_drift
        (S, K, D) the same if the drift is draw d, drawn towards `value` by as much as few outcomes scatter it.
    now
        (S,) utility of what would be kept if the session stopped now.
    chance
        (S, K) largest chance that the next iterate passes a floor set on each of them, as a multiple of its alpha.
    """

    value: Floats
    by_drift: Floats
    now: Floats
    chance: Floats


def look_ahead(
    goal: Goal,
    knowledge: Knowledge,
    drifts: Drifts,
    mean: Floats,
    covariance: Floats,
    best: Floats,
    left: int,
    effort: Effort,
    seed: int = 0,
) -> Plan:
    """Return what S sessions may gain by each strategy.

    Parameters
    ----------
    drifts
        D of them.
    mean, covariance
        (S, d) and (S, d, d) of the state now, see `Beliefs`.
    best
        (S,) utility of what would be kept now; for a set-valued utility (S, 256) cells dominated so far.
    left
        Iterations that the session may still have, 1 or more.
    """
    S, n = len(mean), goal.space.n
    exact = not covariance[:, :n, :n].any() and not knowledge.score_noise.any()
    sizes = len(drifts) * effort.outcomes * effort.paths * mean.shape[1] * (256 // 8 if goal.set_valued else 1)
    block = max(1, _HELD // sizes)
    shared = _Shared(goal, knowledge, drifts, min(left, effort.horizon), effort, seed, exact)
    parts = [
        shared.block(mean[at : at + block], covariance[at : at + block], best[at : at + block])
        for at in range(0, S, block)
    ]
    return Plan(*(np.concatenate([part[i] for part in parts]) for i in range(4)))


class _Shared:
    """What all sessions have in common. States are arrays (D, S, M, d) of D drifts, S sessions and M outcomes."""

    def __init__(
        self, goal: Goal, knowledge: Knowledge, drifts: Drifts, depth: int, effort: Effort, seed: int, exact: bool
    ) -> None:
        n = goal.space.n
        self.goal, self.depth, self.n = goal, depth, n
        self.costs = goal.cost_of(knowledge.strategies)
        self.R = np.diag(knowledge.score_noise) + np.eye(n) * 1e-12
        F, c, Q, mean = drifts.F, drifts.c, drifts.Q, knowledge.mean
        mean_F, mean_c = mean.F[0], mean.c[0]
        if knowledge.has_levels:
            mean_F, mean_c, _ = augmented(mean_F, mean_c, Q, knowledge.session_sd)
            F, c, Q = augmented(F, c, Q, np.broadcast_to(knowledge.session_sd, c.shape))
        self.jumps = _jumps(depth - 1)
        self.one = _Transition(F, c, Q, mean_F, mean_c)
        self.held = {jump: self.one.held(jump) for jump in set(self.jumps)}
        self.exact = exact
        self.observed = exact and not knowledge.has_levels
        self.low, self.high = goal.space.low, goal.space.high
        # Every drift has outcomes of its own, so that together they cover more of what may happen.
        first = _normals(effort.outcomes * len(drifts), 1, n, seed)[:, 0]
        self.first = first.reshape(effort.outcomes, len(drifts), n).swapaxes(0, 1)[:, None]
        later = _normals(effort.paths, max(len(self.jumps), 1), n, seed + 1)
        self.later = np.tile(later, (effort.outcomes, 1, 1))
        self.paths = effort.paths

    def block(self, mean: Floats, covariance: Floats, best: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        S, (D, K) = len(mean), self.one.F.shape[:2]
        value, by_drift, chance = np.empty((S, K)), np.empty((S, K, D)), np.empty((S, K))
        outcomes = self.first.shape[-2]
        carry = np.broadcast_to(best[None, :, None], (D, S, outcomes, *best.shape[1:]))
        start = np.broadcast_to(mean[None, :, None], (D, S, outcomes, mean.shape[1]))
        for k in range(K):
            filtered = self._filtered(self.one, k, covariance)
            z = self._step(self.one, k, start, self.first, filtered)
            kept, worth = self._keep(carry, z, filtered.after)
            after = self._after(z, kept, worth, filtered.after) - self.costs[k]
            value[:, k], by_drift[:, k] = _by_drift(after)
            chance[:, k] = self._chance(k, mean, filtered.predicted)
        now = self.goal.worth(best)
        return value, by_drift, np.array(now), chance

    def _after(self, z: Floats, carry: Floats, worth: Floats, covariance: Floats) -> Floats:
        """Return the value (D, S, B) of the best plan from states z, of which stopping at once is one."""
        best = worth
        if self.depth == 1:
            return best
        z, carry = np.repeat(z, self.paths, axis=2), np.repeat(carry, self.paths, axis=2)
        for k in range(self.one.F.shape[1]):
            state, kept, after, steps = z, carry, covariance, 0
            for h, jump in enumerate(self.jumps):
                held, steps = self.held[jump], steps + jump
                filtered = self._filtered(held, k, after)
                state = self._step(held, k, state, self.later[:, h], filtered)
                after = filtered.after
                kept, value = self._keep(kept, state, after)
                mean = value.reshape(*best.shape, self.paths).mean(axis=-1)
                best = np.maximum(best, mean - steps * self.costs[k])
        return best

    def _filtered(self, by: _Transition, k: int, covariance: Floats) -> _Filtered:
        F, n = by.mean_F[k], self.n
        predicted = F @ covariance @ F.T + by.Q[k]
        S = predicted[:, :n, :n] + self.R
        if self.observed:
            return _Filtered(predicted, covariance, np.linalg.cholesky(S[:1]), None)
        gain = np.linalg.solve(S, predicted[:, :n]).swapaxes(-1, -2)
        after = predicted - gain @ predicted[:, :n]
        if self.exact:
            after[:, :n] = after[:, :, :n] = 0.0
        return _Filtered(predicted, after, np.linalg.cholesky(S), gain)

    def _step(self, by: _Transition, k: int, z: Floats, noise: Floats, filtered: _Filtered) -> Floats:
        """Return the next estimates, clipped to the bounds, for standard normal noise (..., M, n)."""
        D, S, M, d = z.shape
        moved = z.reshape(D, S * M, d) @ by.F[:, k].swapaxes(-1, -2) + by.c[:, k, None]
        moved = moved.reshape(D, S, M, d)
        shock = noise @ filtered.root.swapaxes(-1, -2)  # (S, M, n)
        if filtered.gain is None:
            moved = moved + shock
        else:
            # The filter expects the mean drift, and takes only a part of what differs from it for a change of state.
            expected = z @ by.mean_F[k].T + by.mean_c[k]
            surprise = moved[..., : self.n] - expected[..., : self.n] + shock
            moved = expected + surprise @ filtered.gain.swapaxes(-1, -2)
        np.clip(moved[..., : self.n], self.low, self.high, out=moved[..., : self.n])
        return np.asarray(moved)

    def _keep(self, carry: Floats, z: Floats, covariance: Floats) -> tuple[Floats, Floats]:
        """Return what is carried on, and its utility, once the iterates z may be kept as well."""
        x = z[..., : self.n]
        spread = None if self.exact else covariance[:, None, : self.n, : self.n]
        return self.goal.keep(carry, x, spread)

    def _chance(self, k: int, mean: Floats, predicted: Floats) -> Floats:
        """Return the largest chance of passing a floor on each iterate, in multiples of its alpha, (S,)."""
        result = np.zeros(len(mean))
        for floor in self.goal.floors:
            if floor.on == "each":
                j = self.goal.space.index(floor.objective)
                centers = mean @ self.one.F[:, k, j].T + self.one.c[:, k, j]  # (S, D)
                chance = passed_chance(self.goal.space, floor, centers, predicted[:, None, j, j]).mean(axis=1)
                result = np.maximum(result, chance / floor.alpha)
        return result


@dataclass(frozen=True, slots=True, eq=False)
class _Transition:
    """D drifts of K strategies, (D, K, d, d) and (D, K, d), innovations (K, d, d), and the mean drift (K, ...)."""

    F: Floats
    c: Floats
    Q: Floats
    mean_F: Floats
    mean_c: Floats

    def held(self, steps: int) -> _Transition:
        """Return the transition over so many steps by one strategy."""
        F, c, mean_F, mean_c, Q = self.F, self.c, self.mean_F, self.mean_c, self.Q
        for _ in range(steps - 1):
            c = (self.F @ c[..., None])[..., 0] + self.c
            mean_c = (self.mean_F @ mean_c[..., None])[..., 0] + self.mean_c
            Q = self.mean_F @ Q @ self.mean_F.swapaxes(-1, -2) + self.Q
            F, mean_F = self.F @ F, self.mean_F @ mean_F
        return _Transition(F, c, Q, mean_F, mean_c)


def _jumps(steps: int) -> list[int]:
    """Return by how many steps to look on each time, so that looks are at 1, 2, 4, 8, ... and at the last step."""
    looks = [2**i for i in range(steps.bit_length())]
    if steps > 0 and looks[-1] < steps:
        looks.append(steps)
    return [int(jump) for jump in np.diff([0, *looks])]


@dataclass(frozen=True, slots=True, eq=False)
class _Filtered:
    """One step of the filter: predicted and updated covariance, root of the scores' covariance, gain (S, d, n)."""

    predicted: Floats
    after: Floats
    root: Floats
    gain: Floats | None


def _by_drift(values: Floats) -> tuple[Floats, Floats]:
    """Return means over drifts and outcomes, (S,), and over the outcomes of each drift, (S, D), of values (D, S, B).

    A mean of B outcomes differs from drift to drift even where drifts do not matter. So each is drawn towards the mean
    of all, by the root of the share of the variance between drifts that is more than that (analysis of variance).
    """
    D, _, B = values.shape
    each = values.mean(axis=-1)
    mean = each.mean(axis=0)
    if D == 1 or B == 1:
        return mean, each.T
    between = each.var(axis=0, ddof=1)
    within = values.var(axis=-1, ddof=1).mean(axis=0) / B
    share = np.maximum(between - within, 0.0) / np.where(between > 0, between, 1.0)
    return mean, (mean + np.sqrt(share) * (each - mean)).T


def _normals(count: int, steps: int, n: int, seed: int) -> Floats:
    """Return standard normal numbers (count, steps, n), each with its negative, and of unit size in every component."""
    half = stream(seed, "lookahead", count, steps, n).standard_normal(((count + 1) // 2, steps, n))
    half = half / np.sqrt((half**2).mean(axis=0))
    return np.concatenate([half, -half])[:count]
