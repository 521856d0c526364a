"""best_of_n: no iteration at all, but independent answers to the first iterate, of which the best is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trimtab.control.goal import POINTS
from trimtab.control.lookahead_parts import root_of
from trimtab.control.outlook import standing
from trimtab.control.policies.preference import preferred, strategy_index
from trimtab.control.situation import Choice, Situation
from trimtab.core.streams import stream

__all__ = ["BestOfN"]

Floats = NDArray[np.float64]

_OUTCOMES = 128  # of one answer; even
_BLOCK = 200  # sessions whose hypervolumes are counted at a time
_REASONS = (
    "{draws} more answers to the first iterate by {strategy} promise a gain of {gain}, the most of all",
    "no number of further answers promises a gain of {least} or more after its cost: the most is {gain} by {best}",
)


@dataclass(frozen=True)
class BestOfN:
    """Let every answer start anew from iterate 0, and keep the best of up to as many as the budget allows.

    With independent outcomes of expected utility law G under a strategy and m answers left, what is kept is worth
    E max(best so far, U_1, ..., U_m) - m cost, U_i ~ G. The strategy and m are those for which that is most, and the
    session stops where it is no more than what it has by the goal's least gain. The gain of one more answer falls as m
    grows, so that this is optimal for one strategy (DeGroot 1970, ch. 13).

    The law is that of the estimated state after one step from iterate 0, by the mean drift: a lucky score wins nothing.
    Strategies hardly known are first tried in turn, unless one is given.

    Parameters
    ----------
    strategy
        The one to use; the best if None.
    """

    strategy: str | None = None
    name: str = field(default="best_of_n", init=False)

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        S, K = len(now), len(now.knowledge.strategies)
        only = None if self.strategy is None else strategy_index(self.strategy, now.knowledge.strategies, self.name)
        base = np.zeros(S, dtype=np.int64)
        costs = now.goal.cost_of(now.knowledge.strategies)
        value, draws = np.full((S, K), -np.inf), np.zeros((S, K), dtype=np.int64)
        m = np.arange(1, max(now.left, 1) + 1)
        for k in range(K) if only is None else [only]:
            worth = _kept(now, k, m) - m * costs[k]
            draws[:, k] = worth.argmax(axis=1)
            value[:, k] = worth.max(axis=1)
        gain = np.full((S, K, 3), np.nan)
        gain[..., 0] = np.where(np.isfinite(value), value - now.goal.worth(now.carry)[:, None], np.nan)
        facts = {"draws": m[draws[np.arange(S), value.argmax(axis=1)]]}
        first = np.zeros(S, dtype=np.int64)
        return preferred(
            now, value, first, _REASONS, facts, explore=float(only is None), base=base, gain=gain, little=1
        )


def _kept(now: Situation, k: int, m: NDArray[np.int64]) -> Floats:
    """Return the expected utility of what is kept after m further answers by strategy k, (S, len(m))."""
    goal = now.goal
    x, after = _outcomes(now, k)
    exact = None if now.beliefs.exact else after[:, None]
    if goal.set_valued:
        result = np.empty((len(now), len(m)))
        for at in range(0, len(now), _BLOCK):
            part = slice(at, at + _BLOCK)
            cells = goal.cells(goal.dominated(x[part]))
            cells &= goal.acceptable(x[part], None if exact is None else exact[part])[..., None]
            missed = 1 - cells.mean(axis=1)  # chance that an answer does not dominate a cell, (S, 256)
            carry = goal.cells(now.carry[part])
            result[part] = np.stack(
                [np.maximum(carry, 1 - missed**count).mean(axis=-1) * POINTS for count in m], axis=1
            )
        return result
    utility = goal.expected(x, exact)
    utility = np.where(goal.acceptable(x, exact), utility, -np.inf)
    best = np.maximum(np.sort(utility, axis=1), now.carry[:, None])
    # The greatest of m independent draws from M equal chances is the i-th smallest with (i/M)^m - ((i-1)/M)^m.
    steps = (np.arange(_OUTCOMES + 1) / _OUTCOMES)[:, None] ** m
    return np.asarray(best @ np.diff(steps, axis=0))


def _outcomes(now: Situation, k: int) -> tuple[Floats, Floats]:
    """Return estimates (S, M, n) after one step by strategy k from iterate 0, and their errors' covariance."""
    known, n = now.knowledge, now.goal.space.n
    mean, covariance = standing(now.beliefs, np.zeros(len(now), dtype=np.int64))
    F, c, Q = known.mean.F[0, k], known.mean.c[0, k], known.mean.Q[k]
    if mean.shape[1] > n:
        F = np.concatenate([F, np.diag(known.session_sd[k])], axis=1)
    P = F @ covariance @ F.T + Q
    R = np.diag(known.score_noise) + np.eye(n) * 1e-12
    explained = P @ np.linalg.solve(P + R, P)
    half = stream(now.seed, "best_of_n").standard_normal((_OUTCOMES // 2, n))
    half = half / np.sqrt((half**2).mean(axis=0))
    x = (mean @ F.T + c)[:, None] + np.concatenate([half, -half]) @ root_of(explained)
    return np.clip(x, now.goal.space.low, now.goal.space.high), P - explained
