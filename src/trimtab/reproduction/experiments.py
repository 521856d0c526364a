"""The paper's experiment, simulated many times from the reference models, and independent scores for comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.streams import stream
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.errors import InputError
from trimtab.estimation.least_squares import estimate
from trimtab.reproduction.figures import MIDDLE, Figures, experiment_figures
from trimtab.reproduction.paper import OBJECTIVES, SESSIONS, STEPS
from trimtab.simulation.reference import REFERENCE, ReferenceStrategy, ff_without_levels

__all__ = ["NOISE", "Experiments", "check_experiments", "independent_scores", "simulate_experiments"]

Floats = NDArray[np.float64]

NOISE = "independent scores"
"""Name of scores without dynamics."""

FEWEST, MOST = 20, 2_000  # experiments that quantiles need, and that memory holds
_FORGOTTEN = 20  # iterations after which the figures of `later` begin


@dataclass(frozen=True, slots=True, eq=False)
class Experiments:
    """E copies of the experiment: four strategies, 100 sessions each, 10 iterations.

    Parameters
    ----------
    figures
        By strategy, what the paper's estimator reports.
    later
        By strategy, the same from iterations 20 to 30 of the same sessions, when their starts are forgotten.
    interference
        (E, n, n) of all steps of an experiment pooled.
    at_bound
        (n,) by strategy: share of the scores from iteration 1 on that lie at either end of the scale.
    without_levels
        What is reported of the model that was only asked for FF's rate, R2 and interference.
    pinned
        What is reported of FF's model with security drawn so far down that it stays at 0.
    noise
        The same number of sessions of independent scores around a constant: no dynamics at all.
    """

    experiments: int
    seed: int
    space: ObjectiveSpace
    figures: Mapping[str, Figures]
    later: Mapping[str, Figures]
    interference: Floats
    at_bound: Mapping[str, Floats]
    without_levels: Figures
    pinned: Figures
    noise: Figures

    def scores(self, name: str, experiment: int) -> Floats:
        """Return the scores (S, T + 1, n) of one strategy, or of independent scores, in one experiment."""
        if name == NOISE:
            return np.asarray(independent_scores(experiment + 1, self.seed)[experiment])
        sessions = (experiment + 1) * SESSIONS
        return np.asarray(REFERENCE[name].paths(sessions, self.seed, STEPS)[experiment * SESSIONS :])


def check_experiments(experiments: int) -> None:
    """Raise ``InputError`` unless there are 20 to 2,000 experiments."""
    if not FEWEST <= experiments <= MOST:
        raise InputError(f"experiments must be from {FEWEST} to {MOST:,}, but got {experiments:,}")


def simulate_experiments(experiments: int, seed: int) -> Experiments:
    """Simulate the experiment and analyse every copy as the paper did.

    Raises
    ------
    InputError
        If there are fewer than 20 experiments, or more than 2,000.
    """
    check_experiments(experiments)
    figures, later, at_bound = {}, {}, {}
    space = next(iter(REFERENCE.values())).space
    for name, strategy in REFERENCE.items():
        paths = strategy.paths(experiments * SESSIONS, seed, _FORGOTTEN + STEPS)
        scores = paths.reshape(experiments, SESSIONS, -1, space.n)
        figures[name] = experiment_figures(scores[:, :, : STEPS + 1])
        later[name] = experiment_figures(scores[:, :, _FORGOTTEN:])
        own = paths[:, 1 : STEPS + 1]
        at_bound[name] = np.asarray(((own <= space.low) | (own >= space.high)).mean(axis=(0, 1)))
    sums = np.sum([own.sums for own in figures.values()], axis=0)
    pooled = estimate(sums, np.full(space.n, MIDDLE), np.ones(space.n))
    return Experiments(
        experiments=experiments,
        seed=seed,
        space=space,
        figures=figures,
        later=later,
        interference=interference_from_covariance(pooled.step_covariance),
        at_bound=at_bound,
        without_levels=_figures(ff_without_levels(), experiments, seed),
        pinned=_figures(_pinned(REFERENCE["FF"]), experiments, seed),
        noise=experiment_figures(independent_scores(experiments, seed)),
    )


def _figures(strategy: ReferenceStrategy, experiments: int, seed: int) -> Figures:
    paths = strategy.paths(experiments * SESSIONS, seed, STEPS)
    return experiment_figures(paths.reshape(experiments, SESSIONS, STEPS + 1, -1))


def _pinned(strategy: ReferenceStrategy) -> ReferenceStrategy:
    """Return the strategy with its first objective drawn down by the whole scale at every step."""
    model, down = strategy.model, np.zeros(strategy.space.n)
    down[0] = strategy.space.high[0] - strategy.space.low[0]
    return replace(strategy, model=AffineSDE(model.A, model.b - down, model.Q))


def independent_scores(experiments: int, seed: int) -> Floats:
    """Return independent normal scores around a constant, (E, S, T + 1, n): scoring noise and nothing else."""
    shape = (experiments, SESSIONS, STEPS + 1, len(OBJECTIVES))
    return np.asarray(MIDDLE + stream(seed, "reproduction", "noise").standard_normal(shape))
