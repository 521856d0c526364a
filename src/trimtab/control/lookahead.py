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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.control.belief import augmented
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Drifts, Knowledge
from trimtab.control.lookahead_exact import Exact, ExactState
from trimtab.control.lookahead_noisy import Kept, first_step, start_noisy
from trimtab.control.lookahead_parts import Transition, by_session, deviations, normals, repeated
from trimtab.control.lookahead_plans import MOST_SWITCHED, Plans
from trimtab.control.outlook import floor_chance
from trimtab.errors import InputError

__all__ = ["Effort", "Plan", "look_ahead"]

Floats = NDArray[np.float64]

MOST_DRAWS = 256
MOST_STEPS = 1000
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

    Raises
    ------
    InputError
        If there are fewer than one of anything, more than 256 draws, or more than 1,000 steps.
    """

    draws: int = 8
    outcomes: int = 2
    paths: int = 16
    horizon: int = 10

    def __post_init__(self) -> None:
        if min(self.draws, self.outcomes, self.paths, self.horizon) < 1:
            raise InputError(f"a lookahead needs one or more of everything, but got {self}")
        if self.draws > MOST_DRAWS or self.horizon > MOST_STEPS:
            raise InputError(
                f"a lookahead has at most {MOST_DRAWS} draws and {MOST_STEPS:,} steps, but got {self.draws:,} and "
                f"{self.horizon:,}"
            )


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
        (S, K) see `trimtab.control.outlook.floor_chance`.
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
        (S,) utility of what would be kept now; for a set-valued utility bits (S, 4) of what is dominated so far.
    left
        Iterations that the session may still have, 1 or more.
    kept
        What would be kept now. Where scores are noisy and this is given, gains are of true quality
        (`trimtab.control.lookahead_noisy`); without it, and for a set-valued utility, estimates pass for the truth.
    """
    n, K = goal.space.n, len(knowledge.strategies)
    exact = not covariance[:, :n, :n].any() and not knowledge.score_noise.any()
    outcomes = len(drifts) * effort.outcomes * max(effort.paths, len(drifts))
    block = max(1, _HELD // (K * (K - 1 or 1) * outcomes * mean.shape[1]))
    if K > MOST_SWITCHED:  # which strategies those are is a matter of each session
        block = 1
    ahead = _Ahead(goal, knowledge, drifts, min(left, effort.horizon), effort, seed, exact)
    parts = []
    for at in range(0, len(mean), block):
        some = slice(at, at + block)
        held = None if kept is None or exact or goal.set_valued else kept.take(some)
        parts.append(ahead.block(mean[some], covariance[some], best[some], held))
    value, by_drift, now = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return Plan(value, by_drift, now, floor_chance(goal, knowledge, mean, covariance))


class _Ahead:
    """What all sessions have in common."""

    def __init__(
        self, goal: Goal, knowledge: Knowledge, drifts: Drifts, depth: int, effort: Effort, seed: int, exact: bool
    ) -> None:
        n, D = goal.space.n, len(drifts)
        self.goal, self.seed, self.exact = goal, seed, exact
        self.costs = goal.cost_of(knowledge.strategies)
        self.R = np.diag(knowledge.score_noise) + np.eye(n) * 1e-12
        F, c, Q, mean = drifts.F, drifts.c, drifts.Q, knowledge.mean
        mean_F, mean_c = mean.F[0], mean.c[0]
        if knowledge.has_levels:
            mean_F, mean_c, _ = augmented(mean_F, mean_c, Q, knowledge.session_sd)
            F, c, Q = augmented(F, c, Q, np.broadcast_to(knowledge.session_sd, c.shape))
        self.one = Transition(F, c, Q, mean_F, mean_c)
        self.plans: Plans[Any] = Plans(self.one, depth - 1, self.costs)
        self.paths = max(1, effort.paths // D)
        # Every drift has outcomes of its own, so that together they cover more of what may happen.
        first = normals(effort.outcomes * D, 1, n, seed)[:, 0]
        self.first = first.reshape(effort.outcomes, D, n).swapaxes(0, 1)[:, None]
        later = normals(self.paths * D, self.plans.looks, n, seed + 1).reshape(self.paths, D, -1, n)
        self.later = np.tile(later.transpose(2, 1, 0, 3), (1, 1, D * effort.outcomes, 1))[:, :, None]

    def block(self, mean: Floats, covariance: Floats, best: Floats, kept: Kept | None) -> tuple[Floats, Floats, Floats]:
        S, (D, K) = len(mean), self.one.F.shape[:2]
        now = np.array(self.goal.worth(best))
        after, told = (
            self._on_estimates(mean, covariance, best) if kept is None else self._on_truth(mean, covariance, kept, now)
        )
        # Sessions stand strategy by strategy, and outcomes drift by drift.
        value = after.reshape(K, S, -1).mean(axis=-1).T - self.costs
        own = told.reshape(D, K, S, D, -1)[range(D), :, :, range(D)]  # (D, K, S, B)
        by_drift = value[..., None] + deviations(own.reshape(D, K * S, -1)).reshape(K, S, D).swapaxes(0, 1)
        return value, by_drift, now

    def _on_estimates(self, mean: Floats, covariance: Floats, best: Floats) -> tuple[Floats, Floats]:
        """Return the value of the best plan after each first step: means (K S, O), and by drift, (D, K S, O)."""
        S, (D, K), d = len(mean), self.one.F.shape[:2], mean.shape[1]
        B = self.first.shape[-2]
        begin = ExactState(
            np.broadcast_to(mean[None, None, :, None], (1, D, S, B, d)),
            np.broadcast_to(best[None, None, :, None], (1, D, S, B, *best.shape[1:])),
            covariance[None],
        )
        state, worth = Exact(self.goal, self.R, self.exact, self.first[None]).step(begin, self.one, np.arange(K), 0)
        z, carry, value = (
            np.concatenate([by_session(part[k]) for k in range(K)]) for part in (state.z, state.carry, worth)
        )
        told = np.broadcast_to(value, (D, *value.shape))
        if not self.plans.jumps:
            return value, told
        z, carry = repeated(z, self.paths), repeated(carry, self.paths)
        start = ExactState(
            np.broadcast_to(z, (1, D, *z.shape)),
            np.broadcast_to(carry, (1, D, *carry.shape)),
            state.covariance.reshape(1, K * S, d, d),
        )
        return self.plans.best(Exact(self.goal, self.R, self.exact, self.later), start, value, told)

    def _on_truth(self, mean: Floats, covariance: Floats, kept: Kept, now: Floats) -> tuple[Floats, Floats]:
        """Return the same where scores are noisy."""
        D, K = self.one.F.shape[:2]
        parts = [first_step(self.goal, self.one, k, mean, covariance, kept, self.R, self.first) for k in range(K)]
        state, keep, joint = (np.concatenate([part[i] for part in parts]) for i in range(3))
        futures, start = start_noisy(
            self.goal, self.R, state, keep, joint, np.tile(kept.allowed, K), np.tile(now, K), D, self.paths,
            self.plans.looks, self.seed + 2,
        )  # fmt: skip
        gain = start.chosen[0] - futures.before
        told = gain.reshape(D, len(state), state.shape[1], -1).mean(axis=-1)
        best, told = self.plans.best(futures, start, told.mean(axis=0), told)
        return best + np.tile(now, K)[:, None], told + np.tile(now, K)[:, None]
