"""Log scores of unseen steps on one footing: every model as a probability law on the cells of the scores.

A Gaussian gives no probability to standing exactly still, and a chain knows nothing of distances, so that densities
cannot be compared. Each model is therefore asked for the probability of the cell (see `levels.Cells`) in which the next
scores fall. Integer scores thus stand still under the affine model too, as often as rounding makes them.

Every law is mixed with `DOUBT` of the uniform law on all cells, so that no single step decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps
from trimtab.estimation import least_squares as ls
from trimtab.estimation.coarse.chain import smoothed
from trimtab.estimation.coarse.gaussian import gaussian_log_mass, root
from trimtab.estimation.coarse.levels import Cells
from trimtab.estimation.coarse.states import States
from trimtab.estimation.coarse.stays import logistic
from trimtab.estimation.moments import Moments

__all__ = [
    "ARRIVALS",
    "DOUBT",
    "FEWEST",
    "NEGLIGIBLE",
    "HeldOut",
    "Model",
    "Sample",
    "affine_scores",
    "chain_scores",
    "hurdle_scores",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Model = Literal["affine", "hurdle", "chain"]

ARRIVALS = "arrivals"
"""The baseline beside a chain: "arrives as steps arrive overall, wherever it is"."""

FEWEST = 5
"""Sessions without which nothing is held out."""

NEGLIGIBLE = 0.005
"""Difference of log scores per step that does not matter, however sure it is."""

FOLDS = 10
"""Folds of whole sessions."""

DOUBT = 1e-3
"""Share of the uniform law in every prediction."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Mean log score per step of unseen sessions, in nats, and its standard error over sessions."""

    mean: float
    se: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.se:.2f}"

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}.2f} ± {self.se:.2f}"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The steps of one strategy, cut into folds of whole sessions.

    Parameters
    ----------
    cells
        Of the scores.
    x, y
        (M, n) scores before and after each step.
    here, there
        Lower and upper edges of the cells of x and of y, (M, n) each.
    owner, fold
        (M,) position of each step's session among those that are compared, and its fold.
    parts, parts_changed
        (folds, 1 + 2n, 1 + 2n) moments of the folds' steps, and of those that change something.
    center, scale
        (n,) of the moments.
    n_sessions
        Number of sessions compared.
    """

    cells: Cells
    x: Floats
    y: Floats
    here: tuple[Floats, Floats]
    there: tuple[Floats, Floats]
    owner: Ints
    fold: Ints
    parts: Floats
    parts_changed: Floats
    center: Floats
    scale: Floats
    n_sessions: int

    @classmethod
    def of(
        cls,
        cells: Cells,
        steps: Steps,
        moments: Moments,
        outer_changed: Floats,
        owner: Ints,
        compared: Bools,
        rng: np.random.Generator,
    ) -> Sample:
        """Take the `compared` (M,) of the steps, which are all of some of the sessions `owner` (M,), and fold them.

        `outer_changed` (S, 1 + 2n, 1 + 2n) are the moments of the sessions' steps that change something.
        """
        chosen, own = np.unique(owner[compared], return_inverse=True)
        S, every = len(chosen), np.arange(len(cells.levels))
        fold = rng.permutation(S) % min(FOLDS, S)
        x = steps.x[compared]
        y = x + steps.dx[compared]
        parts = [
            np.stack([outer[chosen[fold == f]].sum(axis=0) for f in range(fold.max() + 1)])
            for outer in (moments.outer, outer_changed)
        ]
        return cls(
            cells=cells,
            x=x,
            y=y,
            here=cells.bounds(cells.codes(x, every)),
            there=cells.bounds(cells.codes(y, every)),
            owner=own,
            fold=fold[own],
            parts=parts[0],
            parts_changed=parts[1],
            center=moments.center,
            scale=moments.scale,
            n_sessions=S,
        )

    def mean(self, scores: Floats) -> HeldOut:
        """Return the mean of `scores` (M,) with its error, which is that of a ratio of session sums."""
        S, mean = self.n_sessions, float(scores.mean())
        off = np.bincount(self.owner, scores - mean, minlength=S)
        return HeldOut(mean, float(np.sqrt(S / max(S - 1, 1) * (off @ off)) / len(scores)))

    def doubted(self, log_mass: Floats) -> Floats:
        """Return `log_mass` with `DOUBT` of the uniform law on the cells mixed in."""
        uniform = np.log(DOUBT) - float(np.log(self.cells.count).sum())
        return np.asarray(np.logaddexp(log_mass + np.log1p(-DOUBT), uniform))

    def training(self, parts: Floats) -> Iterator[tuple[Ints, Floats, Floats]]:
        """Yield for each fold its steps and what the other folds' moments predict: means and root of the covariance."""
        one = ls.estimate(parts.sum(axis=0) - parts, self.center, self.scale)
        for fold in range(len(parts)):
            own = np.flatnonzero(self.fold == fold)
            x = self.x[own]
            yield own, x + x @ one.A[fold].T + one.b[fold], root(one.Q[fold], self.cells)


def affine_scores(sample: Sample) -> Floats:
    """Return the log scores (M,) of dx ~ N(A x + b, Q), fitted to all steps of the other folds."""
    scores = np.empty(len(sample.y))
    for own, mean, L in sample.training(sample.parts):
        scores[own] = gaussian_log_mass(mean, L, sample.y[own], sample.there[0][own], sample.there[1][own])
    return sample.doubted(scores)


def hurdle_scores(sample: Sample, unchanged: Bools, u: Floats | None) -> Floats:
    """Return the log scores (M,) of "stands still with probability p, else dx ~ N(A x + b, Q) off its own cell".

    Parameters
    ----------
    unchanged
        (M,) steps that stand still.
    u
        (M, k) states on which p depends, in units of their spread; None where p is one number.
    """
    scores = np.empty(len(sample.y))
    X = np.ones((len(scores), 1)) if u is None else np.hstack([np.ones((len(scores), 1)), u])
    start = None
    for own, mean, L in sample.training(sample.parts_changed):
        rest = np.ones(len(scores), dtype=bool)
        rest[own] = False
        if u is None:
            # Half a step of either kind is added, so that folds without one of them stay possible.
            p = np.full(len(own), (unchanged[rest].sum() + 0.5) / (rest.sum() + 1.0))
        else:
            start, _ = logistic(X[rest], unchanged[rest].astype(np.float64), start)
            p = scipy.special.expit(X[own] @ start)
        moved = gaussian_log_mass(mean, L, sample.y[own], sample.there[0][own], sample.there[1][own])
        stayed = gaussian_log_mass(mean, L, sample.x[own], sample.here[0][own], sample.here[1][own])
        elsewhere = moved - np.log(np.maximum(-np.expm1(stayed), 1e-12))
        scores[own] = np.where(unchanged[own], np.log(p), np.log1p(-p) + elsewhere)
    return sample.doubted(scores)


def chain_scores(sample: Sample, states: States, compared: Bools) -> tuple[Floats, Floats]:
    """Return the log scores (M,) of the Markov chain, and of "arrives as steps arrive overall, wherever it is".

    The chain goes from group to group (see `States`); within the group of rare states it arrives as steps arrive there.
    The joint states are taken as known, like the levels of a scale. Of the states' steps only those `compared` count.
    """
    K, G, folds, into_state = len(states.values), states.groups, len(sample.parts), states.arrival[compared]
    origin, arrival = states.group[states.origin[compared]], states.group[into_state]
    counts, into = np.zeros((folds, G, G)), np.zeros((folds, K))
    np.add.at(counts, (sample.fold, origin, arrival), 1.0)
    np.add.at(into, (sample.fold, into_state), 1.0)
    P = smoothed(counts.sum(axis=0) - counts)
    law = into.sum(axis=0) - into + 1.0 / K
    within = np.stack([np.bincount(states.group, row) for row in law])[:, states.group]
    chain = np.log(P[sample.fold, origin, arrival]) + np.log(law / within)[sample.fold, into_state]
    return sample.doubted(chain), sample.doubted(
        np.log(law / law.sum(axis=1, keepdims=True))[sample.fold, states.arrival]
    )
