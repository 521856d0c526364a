"""Comparisons of simulated sides: tests reject equal dynamics as often as they say, find planted differences, and
intervals cover. Each bound is passed by chance once in a million, and a planted fault breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from simulated import NAMES, REAL
from support.binomial import least, most
from support.sides import FASTER, retries
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.comparison import compare as comparing
from trimtab.estimation.comparison.compare import compare
from trimtab.estimation.fit import fit

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


@pytest.fixture
def fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every side one and the same fit of its own: rows and tests of least squares do not look at it."""
    one = fit(side(np.random.default_rng(0), 60), estimator="least-squares")["EF"]
    monkeypatch.setattr(comparing, "side_fit", lambda *_: one)


def rejections(make: Callable[[np.random.Generator], Pair], experiments: int, **options: object) -> np.ndarray:
    """Return how often equal drift, equal A and any row of a comparison are rejected at 5%."""
    found = np.zeros(3)
    for seed in range(experiments):
        a, b = make(np.random.default_rng(seed))
        one = compare(a, b, draws=50, **options)["EF"]
        found += [one.drift.p_value < 0.05, one.matrix.p_value < 0.05, min(r.p_adjusted for r in one.rows) < 0.05]
    return found


@pytest.mark.usefixtures("fitted_once")
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
    found = rejections(make, 80, paired=is_paired)
    assert (found <= most(80)).all(), found


@pytest.mark.usefixtures("fitted_once")
def test_sessions_of_one_task_taken_for_independent_ones_reject_too_often() -> None:
    def make(rng: np.random.Generator) -> Pair:
        return tuple(side(rng, 12, 10, effects=rng.normal(0, 1, (12, 3))) for _ in range(2))

    tasks, sessions = (rejections(make, 30, paired=False, by=by) for by in ("task_id", "session_id"))
    assert (tasks <= most(30)).all(), tasks
    assert sessions[0] > most(30), sessions
    assert sessions[2] > most(30), sessions


@pytest.mark.usefixtures("fitted_once")
def test_a_planted_difference_is_found() -> None:
    def make(rng: np.random.Generator) -> Pair:
        return side(rng, 60), side(rng, 60, model=FASTER)

    found = rejections(make, 40, paired=False)
    # Powers are .98, .99 and .99 by 1,000 simulations; Binomial(40, .95): mean 38, standard deviation 1.4.
    assert (found >= 38 - 6 * 1.4).all(), found


@pytest.mark.usefixtures("fitted_once")
@pytest.mark.slow
@pytest.mark.parametrize("is_paired", [True, False])
def test_the_interval_of_the_difference_in_rate_covers(is_paired: bool) -> None:
    experiments, hits = 100, np.zeros(2)
    truth = FASTER.rate - REAL.rate, 0.15
    for seed in range(experiments):
        rng = np.random.default_rng(seed)
        one = compare(side(rng, 60), side(rng, 60, model=FASTER), paired=is_paired, draws=200)["EF"]
        for k, figure in enumerate(("rate", "smooth_rate")):
            difference = one[figure].difference
            hits[k] += difference.low < truth[k] < difference.high
    assert (hits >= least(experiments)).all(), hits
    assert (hits < experiments).any(), hits


def tried(chances: np.ndarray, tries: int, rng: np.random.Generator, task: np.ndarray | None = None) -> Trajectories:
    """Simulate loops of zeros that stop at 1; `task` (S,) numbers the tasks of the sessions."""
    made = retries(chances, tries, rng)
    return made if task is None else replace(made, covariates={"task_id": tuple(f"t{k}" for k in task)})


def chances_of(one_seed: int, kind: str, more: float = 0.0) -> Pair:
    """Simulate two sides of loops whose tasks differ in how hard they are; side b has `more` chance per try."""
    rng = np.random.default_rng(one_seed)
    if kind == "budgets":
        return tried(rng.beta(0.5, 2, 50), 4, rng), tried(np.clip(rng.beta(0.5, 2, 40) + more, 0, 1), 12, rng)
    if kind == "paired":
        hard = rng.beta(0.5, 2, 50)
        return tried(hard, 5, rng), tried(np.clip(hard + more, 0, 1), 5, rng)
    task = np.repeat(np.arange(12), 12)
    sides = [np.repeat(rng.beta(0.5, 1.5, 12), 12) for _ in range(2)]
    return tried(sides[0], 3, rng, task), tried(np.clip(sides[1] + more, 0, 1), 3, rng, 100 + task)


def rejected_chances(kind: str, experiments: int, more: float = 0.0, **options: object) -> np.ndarray:
    """Return how often equal transitions, and equal chances per try, are rejected at 5%."""
    found = np.zeros(2)
    for seed in range(experiments):
        a, b = chances_of(seed, kind, more)
        still = compare(a, b, draws=100, **options)["retry"].stillness
        found += [still.test.p_value < 0.05, still["chance"].p_value < 0.05]
    return found


@pytest.mark.parametrize(("kind", "is_paired"), [("budgets", False), ("paired", True), ("clustered", False)])
def test_equal_chances_are_rejected_in_one_experiment_of_twenty(kind: str, is_paired: bool) -> None:
    # By 400 experiments: 4% to 6%, whatever the budgets, pairs or clusters.
    assert (rejected_chances(kind, 30, paired=is_paired) <= most(30)).all()


def test_tries_of_one_task_taken_for_independent_ones_reject_too_often() -> None:
    assert (rejected_chances("clustered", 20, paired=False, by="session_id") > most(20)).all()


def test_a_planted_difference_in_chances_is_found_and_pairs_help() -> None:
    paired, apart = (rejected_chances("paired", 30, 0.1, paired=paired) for paired in (True, False))
    assert (paired > most(30)).all(), paired
    assert (apart < paired).all(), (apart, paired)


def test_the_interval_of_the_difference_in_chances_covers_and_knows_its_sign() -> None:
    experiments, hits, signs = 40, 0, 0
    for seed in range(experiments):
        rng = np.random.default_rng(seed)
        a, b = (tried(np.full(60, chance), 6, rng) for chance in (0.15, 0.3))
        row = compare(a, b, paired=False, draws=200)["retry"].stillness["chance"]
        hits += row.difference.low < 0.15 < row.difference.high
        signs += row.difference > 0
    assert hits >= least(experiments), hits
    # The difference is 3.5 standard errors.
    assert signs >= experiments - 2, signs


def scored(rng: np.random.Generator, rate: float, noise: float, u: np.ndarray) -> Trajectories:
    """Simulate one session of each task, one objective, under score noise; `u` (S,) shifts the drift of each."""
    x = np.empty((len(u), 11, 1))
    x[:, 0, 0] = rng.normal(5, 1, len(u))
    for t in range(10):
        x[:, t + 1, 0] = x[:, t, 0] - rate * (x[:, t, 0] - 5) + u + rng.normal(0, 0.5, len(u))
    return Trajectories.from_arrays(x + rng.normal(0, noise, x.shape), ["quality"], "EF")


def trusted_rejections(
    experiments: int, *, more: float = 0.0, sd: float = 0.0, noise: tuple[float, float]
) -> np.ndarray:
    """Return how often equal rates are rejected: of least squares, of trusted estimates, and equal equilibria of both.

    Tasks shift the drift by sd, on both sides alike.
    """
    found = np.zeros(4)
    for seed in range(experiments):
        rng = np.random.default_rng(seed)
        u = rng.normal(0, sd, 60)
        a, b = scored(rng, 0.35, noise[0], u), scored(rng, 0.35 + more, noise[1], u)
        one = compare(a, b, paired=sd > 0, draws=200)["EF"]
        rows = [(one[figure], one.trusted[figure]) for figure in ("rate", ("equilibrium", "quality"))]
        found += [row.p_value < 0.05 for pair in rows for row in pair]
    return found


def test_score_noise_on_one_side_is_no_difference_of_the_trusted_estimates() -> None:
    plain, best, *_ = trusted_rejections(12, noise=(0.0, 0.6))
    # By 200 experiments: 100% and 7%.
    assert plain >= 11
    assert best <= most(12)


@pytest.mark.slow
def test_trusted_estimates_find_a_planted_difference() -> None:
    assert trusted_rejections(12, more=0.3, noise=(0.3, 0.3))[1] > most(12)


@pytest.mark.slow
def test_pairs_make_trusted_estimates_careful_and_not_rash() -> None:
    # By 200 experiments: 7% of the rates, and no equilibrium, which is where tasks shift both sides alike.
    found = trusted_rejections(12, sd=0.25, noise=(0.4, 0.4))
    assert (found[[1, 3]] <= [most(12), 1]).all(), found
