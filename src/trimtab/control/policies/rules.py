"""rules: look at the session, name what is wrong, and use the strategy for that (paper, B.4 and B.5)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trimtab.control.goal import POINTS
from trimtab.control.outlook import held, next_iterate
from trimtab.control.policies.preference import preferred, strategy_index
from trimtab.control.situation import Choice, Situation
from trimtab.dynamics import spectrum
from trimtab.errors import InputError

__all__ = ["Rules"]

Floats = NDArray[np.float64]

_DRAWS = 400
_NEVER = -1e6  # preference of what a rule would rather not use, below any number of points
_REASONS = (
    "{strategy} is the balanced strategy to begin with",
    "{objective} is near the end of its scale, and {strategy} takes it away from there",
    "{objective} fell by {fall:.2f} points in two iterations while another rose, and {strategy} does most for it",
    "nothing was gained in two iterations, and {strategy} explores: it turns with probability {turns:.0%}",
    "{strategy} settles with probability {settles:.0%}, at the greatest utility of the strategies that do",
)


@dataclass(frozen=True)
class Rules:
    """Follow the paper's adaptive rules: in each iteration the first that applies.

    1. Begin with a balanced strategy: the one given, or the one after which the worst objective is expected best.
    2. Boundary avoidance: an objective within `margin` of the bad end of its scale is taken away from there. Strategies
       that probably just drift (a multiplier near 1 or beyond, `trimtab.dynamics.spectrum.regimes`) do not count.
    3. Local interference: where an objective fell by more than `loss` over the last two iterations while another rose,
       the strategy that does most for the fallen one.
    4. Exploration: where the best iterate is older than two iterations and half of the session is left, the strategy
       with complex eigenvalues, if one turns with probability 1/2 or more.
    5. Exploitation: of the strategies that settle (real eigenvalues, multipliers between 0 and 1) with probability 1/2
       or more, or of all if none does, the one with the greatest utility at the end of the session, held until then.

    Spectra are given by probabilities over the drifts that the data leave possible, objectives by their estimates.
    Strategies hardly known are first tried in turn. Does not stop because of a cost.

    Parameters
    ----------
    balanced
        Strategy to begin with; chosen by rule 1 if None.
    margin, loss
        In points: tenths of an objective's scale.
    """

    balanced: str | None = None
    margin: float = 1.0
    loss: float = 0.5
    name: str = field(default="rules", init=False)

    def __post_init__(self) -> None:
        if not (0 <= self.margin <= POINTS and 0 <= self.loss <= POINTS):
            raise InputError(
                f"margin and loss are points from 0 to {POINTS:g}, but got margin={self.margin!r}, loss={self.loss!r}"
            )

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        goal, known, n = now.goal, now.knowledge, now.goal.space.n
        S, rows = len(now), np.arange(len(now))
        found = spectrum.regimes(spectrum.eigenvalues(known.draws(_DRAWS, now.seed, "rules").F - np.eye(n)))
        share = {name: (found == i).mean(axis=0) for i, name in enumerate(spectrum.REGIMES)}
        drifts, turns, settles = share["boundary"] + share["unstable"], share["oscillatory"], share["exponential"]
        good = goal.goodness(now.beliefs.past)
        after = goal.goodness(next_iterate(known, now.beliefs.mean, now.beliefs.covariance)[0])
        ends = goal.value(held(known, now.beliefs.mean, max(now.left, 1)))

        low = np.where(self._bounded(now), good[:, -1], np.inf)
        lowest = low.argmin(axis=1)
        change = good[:, -1] - good[:, max(now.t - 2, 0)]
        fallen = change.argmin(axis=1)
        fall = -change[rows, fallen]
        applies = np.stack(
            [
                np.full(S, now.t == 0),
                low[rows, lowest] < self.margin,
                (now.t >= 2) & (fall > self.loss) & (change.max(axis=1) > 0),
                (now.t - now.utility.argmax(axis=1) >= 2) & (2 * now.t <= now.budget) & (turns.max() >= 0.5),
                np.full(S, True),
            ]
        )
        score = np.stack(
            [
                self._balance(now, after),
                after[rows, :, lowest] + np.where((drifts > 0.5) & (drifts <= 0.5).any(), _NEVER, 0.0),
                after[rows, :, fallen],
                np.tile(turns, (S, 1)),
                ends + np.where((settles < 0.5) & (settles >= 0.5).any(), _NEVER, 0.0),
            ]
        )
        rule = applies.argmax(axis=0)
        chosen = score[rule, rows]
        used = chosen.argmax(axis=1)
        names = np.array(goal.space.names, dtype=object)
        facts = {
            "objective": names[np.where(rule == 1, lowest, fallen)],
            "fall": fall,
            "turns": turns[used],
            "settles": settles[used],
        }
        return preferred(now, chosen, rule, _REASONS, facts)

    def _balance(self, now: Situation, after: Floats) -> Floats:
        if self.balanced is None:
            return np.asarray(after.min(axis=-1))
        score = np.zeros(after.shape[:2])
        score[:, strategy_index(self.balanced, now.knowledge.strategies, self.name)] = 1.0
        return score

    @staticmethod
    def _bounded(now: Situation) -> NDArray[np.bool_]:
        """Return which objectives have an end on their bad side, (n,)."""
        space = now.goal.space
        return np.asarray(np.isfinite(np.where(space.sign > 0, space.low, space.high)))
