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
from trimtab.control.lookahead_noisy import Kept, NoisyPaths
from trimtab.control.lookahead_parts import Transition, deviations, jumps_of, normals

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
        Of the steps after it, for each outcome; a multiple of the draws.
    horizon
        Steps looked ahead in all.
    """

    draws: int = 8
    outcomes: int = 4
    paths: int = 16
    horizon: int = 10


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What S sessions may gain.

    Parameters
    ----------
    value
        (S, K) expected utility of what is kept in the end, less the cost, if the next step is by strategy k.
    by_drift
        (S, K, D) the same plans if the drift is draw d, drawn towards `value` by as much as few outcomes scatter it.
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
    kept: Kept | None = None,
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
    kept
        What would be kept now. Where scores are noisy and this is given, gains are of true quality
        (`trimtab.control.lookahead_noisy`); without it, and for a set-valued utility, estimates pass for the truth.
    """
    S, n = len(mean), goal.space.n
    exact = not covariance[:, :n, :n].any() and not knowledge.score_noise.any()
    sizes = len(drifts) * effort.outcomes * effort.paths * mean.shape[1] * (256 // 8 if goal.set_valued else 1)
    block = max(1, _HELD // sizes)
    shared = _Shared(goal, knowledge, drifts, min(left, effort.horizon), effort, seed, exact)
    noisy = None if exact or goal.set_valued else kept
    parts = []
    for at in range(0, S, block):
        some = slice(at, at + block)
        held = None if noisy is None else noisy.take(some)
        parts.append(shared.block(mean[some], covariance[some], best[some], held))
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
        self.jumps = jumps_of(depth - 1)
        self.one = Transition(F, c, Q, mean_F, mean_c)
        self.held = {jump: self.one.held(jump) for jump in set(self.jumps)}
        self.exact = exact
        self.observed = exact and not knowledge.has_levels
        self.low, self.high = goal.space.low, goal.space.high
        # Every drift has outcomes of its own, so that together they cover more of what may happen.
        first = normals(effort.outcomes * len(drifts), 1, n, seed)[:, 0]
        self.first = first.reshape(effort.outcomes, len(drifts), n).swapaxes(0, 1)[:, None]
        D, self.paths = len(drifts), max(1, effort.paths // len(drifts))
        later = normals(self.paths * D, max(len(self.jumps), 1), n, seed + 1)
        later = later.reshape(self.paths, D, -1, n).transpose(2, 1, 0, 3)  # (looks, D, paths, n)
        self.later = np.tile(later, (1, 1, D * effort.outcomes, 1))[:, :, None]
        self.noisy = NoisyPaths(
            goal, self.one, self.held, self.jumps, self.costs, self.R, self.first, self.paths, seed + 2
        )

    def block(
        self, mean: Floats, covariance: Floats, best: Floats, kept: Kept | None
    ) -> tuple[Floats, Floats, Floats, Floats]:
        S, (D, K) = len(mean), self.one.F.shape[:2]
        value, by_drift, chance = np.empty((S, K)), np.empty((S, K, D)), np.empty((S, K))
        now = np.array(self.goal.worth(best))
        if kept is not None:
            for k in range(K):
                after, own, predicted = self.noisy.values(k, mean, covariance, kept, now)
                value[:, k] = now + after.mean(axis=-1) - self.costs[k]
                by_drift[:, k] = value[:, k, None] + deviations(own)
                chance[:, k] = self._chance(k, mean, predicted)
            return value, by_drift, now, chance
        outcomes = self.first.shape[-2]
        carry = np.broadcast_to(best[None, :, None], (D, S, outcomes, *best.shape[1:]))
        start = np.broadcast_to(mean[None, :, None], (D, S, outcomes, mean.shape[1]))
        for k in range(K):
            filtered = self._filtered(self.one, k, covariance)
            z = self._step(self.one, k, start, self.first, filtered)
            reached, worth = self._keep(carry, z, filtered.after)
            after, own = self._after(z, reached, worth, filtered.after)
            value[:, k] = after.mean(axis=-1) - self.costs[k]
            by_drift[:, k] = value[:, k, None] + deviations(own)
            chance[:, k] = self._chance(k, mean, filtered.predicted)
        return value, by_drift, now, chance

    def _after(self, z: Floats, carry: Floats, worth: Floats, covariance: Floats) -> tuple[Floats, Floats]:
        """Return the value of the best plan from states z (D, S, B, d), of which stopping at once is one.

        A plan is made for each outcome without knowing the drift that led to it: by its mean over all D drifts.

        Returns
        -------
        Floats, Floats
            Means over the drifts, (S, D B), and under the drift that led to each outcome, (D, S, B).
        """
        D, S, B, d = z.shape
        outcomes = D * B
        best = _by_session(worth)
        told = np.broadcast_to(best, (D, S, outcomes))
        if self.depth > 1:
            width = outcomes * self.paths
            z = np.broadcast_to(np.repeat(_by_session(z), self.paths, axis=1), (D, S, width, d))
            kept = np.repeat(_by_session(carry), self.paths, axis=1)
            carry = np.broadcast_to(kept, (D, *kept.shape))
            for k in range(self.one.F.shape[1]):
                state, kept, after, steps = z, carry, covariance, 0
                for h, jump in enumerate(self.jumps):
                    held, steps = self.held[jump], steps + jump
                    filtered = self._filtered(held, k, after)
                    state = self._step(held, k, state, self.later[h], filtered)
                    after = filtered.after
                    kept, value = self._keep(kept, state, after)
                    each = value.reshape(D, S, outcomes, -1).mean(axis=-1) - steps * self.costs[k]
                    mean = each.mean(axis=0)
                    better = mean > best
                    best, told = np.where(better, mean, best), np.where(better, each, told)
        return best, told.reshape(D, S, D, B)[range(D), :, range(D)]

    def _filtered(self, by: Transition, k: int, covariance: Floats) -> _Filtered:
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

    def _step(self, by: Transition, k: int, z: Floats, noise: Floats, filtered: _Filtered) -> Floats:
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
class _Filtered:
    """One step of the filter: predicted and updated covariance, root of the scores' covariance, gain (S, d, n)."""

    predicted: Floats
    after: Floats
    root: Floats
    gain: Floats | None


def _by_session(values: Floats) -> Floats:
    """Return values (D, S, B, ...) as (S, D B, ...)."""
    D, S, B = values.shape[:3]
    return np.asarray(values.swapaxes(0, 1).reshape(S, D * B, *values.shape[3:]))
