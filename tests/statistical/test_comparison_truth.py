"""Comparisons of simulated sides: tests reject equal dynamics as often as they say, find planted differences, and
intervals cover. Each bound is six standard deviations from the nominal figure; a planted fault breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from simulated import NAMES, REAL
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.comparison.compare import compare

FASTER = AffineSDE(REAL.A - 0.15 * np.eye(3), REAL.b + 0.15 * REAL.equilibrium, REAL.Q)
Pair = tuple[Trajectories, Trajectories]


def side(
    rng: np.random.Generator,
    tasks: int,
    times: int = 1,
    *,
    model: AffineSDE = REAL,
    effects: np.ndarray | None = None,
    ragged: bool = False,
    uneven: bool = False,
) -> Trajectories:
    """Simulate `times` sessions of each task, whose drift the task's effect (tasks, n) is added to."""
    S, T, n = tasks * times, 10, 3
    u = np.zeros((S, n)) if effects is None else np.repeat(effects, times, axis=0)
    root = np.linalg.cholesky(model.Q)
    spread = rng.lognormal(0, 0.5, (S, 1)) if uneven else 1.0
    x = np.empty((S, T + 1, n))
    x[:, 0] = rng.normal(5, 1, (S, n))
    for t in range(T):
        x[:, t + 1] = x[:, t] + model.drift(x[:, t]) + u + spread * (rng.standard_normal((S, n)) @ root.T)
    lengths = rng.integers(2, T + 2, S) if ragged else np.full(S, T + 1)
    made = Trajectories.from_arrays([x[s, : lengths[s]] for s in range(S)], NAMES, "EF")
    if effects is None:
        return made
    return replace(made, covariates={"task_id": tuple(f"t{task}" for task in np.repeat(np.arange(tasks), times))})


def paired(tasks: int, times: int, sd: float, **options: object) -> Callable[[np.random.Generator], Pair]:
    def make(rng: np.random.Generator) -> Pair:
        effects = rng.normal(0, sd, (tasks, 3))
        return side(rng, tasks, times, effects=effects, **options), side(rng, tasks, times, effects=effects, **options)

    return make


def unpaired(a: int, b: int, **options: object) -> Callable[[np.random.Generator], Pair]:
    return lambda rng: (side(rng, a, **options), side(rng, b, **options))


def rejections(make: Callable[[np.random.Generator], Pair], experiments: int, **options: object) -> np.ndarray:
    """Return how often equal drift, equal A and any row of a comparison are rejected at 5%."""
    found = np.zeros(3)
    for seed in range(experiments):
        a, b = make(np.random.default_rng(seed))
        one = compare(a, b, draws=50, **options)["EF"]
        found += [one.drift.p_value < 0.05, one.matrix.p_value < 0.05, min(r.p_adjusted for r in one.rows) < 0.05]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "is_paired"),
    [
        (paired(45, 2, 0.5), True),
        (paired(20, 2, 0.5, ragged=True), True),
        (unpaired(60, 60), False),
        (unpaired(20, 150), False),
        (unpaired(40, 60, ragged=True), False),
        (unpaired(60, 60, uneven=True), False),
    ],
    ids=["paired", "paired-ragged", "unpaired", "unbalanced", "ragged", "uneven-noise"],
)
def test_equal_dynamics_are_rejected_in_one_experiment_of_twenty(make: Callable, is_paired: bool) -> None:
    found = rejections(make, 150, paired=is_paired)
    # Binomial(150, 0.05): mean 7.5, standard deviation 2.7.
    assert (found <= 7.5 + 6 * 2.7).all(), found


def test_sessions_of_one_task_taken_for_independent_ones_reject_too_often() -> None:
    def make(rng: np.random.Generator) -> Pair:
        return tuple(side(rng, 12, 10, effects=rng.normal(0, 1, (12, 3))) for _ in range(2))

    tasks, sessions = (rejections(make, 30, paired=False, by=by) for by in ("task_id", "session_id"))
    # Binomial(30, 0.05): mean 1.5, standard deviation 1.2.
    assert (tasks <= 1.5 + 6 * 1.2).all(), tasks
    assert sessions[0] > 1.5 + 6 * 1.2, sessions
    assert sessions[2] > 1.5 + 6 * 1.2, sessions


def test_a_planted_difference_is_found() -> None:
    def make(rng: np.random.Generator) -> Pair:
        return side(rng, 60), side(rng, 60, model=FASTER)

    found = rejections(make, 40, paired=False)
    # Powers are .98, .99 and .99 by 1,000 simulations; Binomial(40, .95): mean 38, standard deviation 1.4.
    assert (found >= 38 - 6 * 1.4).all(), found


@pytest.mark.slow
@pytest.mark.parametrize("is_paired", [True, False])
def test_the_interval_of_the_difference_in_rate_covers(is_paired: bool) -> None:
    experiments, hits = 200, np.zeros(2)
    truth = FASTER.rate - REAL.rate, 0.15
    for seed in range(experiments):
        rng = np.random.default_rng(seed)
        one = compare(side(rng, 60), side(rng, 60, model=FASTER), paired=is_paired, draws=300)["EF"]
        for k, figure in enumerate(("rate", "smooth_rate")):
            difference = one[figure].difference
            hits[k] += difference.low < truth[k] < difference.high
    # Binomial(200, 0.95): mean 190, standard deviation 3.1.
    assert (np.abs(hits - 190) < 6 * 3.1).all(), hits
    assert (hits < 200).any(), hits
