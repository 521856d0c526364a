"""Pooling of simulated groups: its rate is the true one where least squares is too slow, its intervals cover, its tests
reject as often as they say. Each bound is six standard errors or the binomial law's; planted faults break them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

import trimtab as tt
from grouped_panels import SLOW, TWO, tasks
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.pooling import groups, mixed_model
from trimtab.estimation.pooling import pool as pooling
from trimtab.estimation.pooling.choice import choose
from trimtab.estimation.pooling.groups import heterogeneity, mean_starts, merged
from trimtab.estimation.pooling.results import StrategyPooling
from trimtab.estimation.threads import single_threaded

SMALL = {"levels": 1.5, "follow": 0.8, "groups": 20, "times": 2, "steps": 5}
SINGLE = {"levels": 1.5, "follow": 0.8, "groups": 60, "times": 1, "steps": 5}
SHORT = {"model": AffineSDE([[-0.2]], [1.0], [[0.25]]), "levels": 1.5, "groups": 80, "times": 1, "steps": 3}
FEW = {"levels": 1.5, "groups": 10, "times": 10, "steps": 5}


@pytest.fixture(autouse=True)
def few_shuffles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the test of heterogeneity quick, and exact at 5% all the same."""
    monkeypatch.setattr(groups, "PERMUTATIONS", 99)


def pooled(data: Trajectories, by: str = "task_id", **options: object) -> StrategyPooling:
    return tt.pool(data, by, draws=200, **{"varies": "levels", **options})["EF"]


def plausible(count: int, experiments: int, p: float) -> bool:
    """Say whether a binomial count lies between its quantiles 1e-9 and 1 - 1e-9."""
    low, high = scipy.stats.binom.ppf([1e-9, 1 - 1e-9], experiments, p)
    return bool(low <= count <= high)


def covered(experiments: int = 60, by: str = "task_id", **design: object) -> tuple[int, int, int]:
    """Count how often the intervals of rate, population's equilibrium and first group's equilibrium hold the truth."""
    model, own = design.get("model", SLOW), design.get("levels", 0.0)
    hits = np.zeros(3, dtype=int)
    for seed in range(experiments):
        rng = np.random.default_rng(seed)
        levels = rng.normal(0, own, (design["groups"], model.n))
        one = pooled(tasks(**{**design, "levels": levels, "rng": rng}), by)
        target, first = one.equilibrium, one["t0" if by == "task_id" else "s0"].equilibrium
        hits += [
            one.rate.low < model.rate < one.rate.high,
            target.low[0] < model.equilibrium[0] < target.high[0],
            first.low[0] < model.equilibrium[0] + levels[0, 0] < first.high[0],
        ]
    return tuple(hits.tolist())


@pytest.mark.parametrize("follow", [0.0, 0.8])
@pytest.mark.parametrize("ragged", [False, True])
def test_the_pooled_rate_is_the_true_one_where_least_squares_is_too_slow(follow: float, ragged: bool) -> None:
    found = [pooled(tasks(levels=1.5, follow=follow, ragged=ragged, seed=seed)) for seed in range(25)]
    rate, plain = (np.array([float(getattr(one, name)) for one in found]) for name in ("rate", "plain_rate"))
    assert abs(rate.mean() - 0.5) < 6 * rate.std(ddof=1) / 5
    assert plain.max() < 0.25
    spread = np.array([one.between.equilibrium[0] for one in found])
    assert abs(spread.mean() - 1.5) < 6 * spread.std(ddof=1) / 5


def test_several_objectives_are_pooled_to_their_true_drift() -> None:
    found = np.array([pooled(tasks(40, model=TWO, levels=1.0, follow=0.5, seed=seed)).A for seed in range(30)])
    z = (found.mean(axis=0) - TWO.A) / (found.std(axis=0, ddof=1) / np.sqrt(30))
    assert np.abs(z).max() < 6, z


@pytest.mark.parametrize("design", [SMALL, SINGLE, SHORT, FEW], ids=["small", "single", "short", "few"])
def test_intervals_cover(design: dict) -> None:
    hits = covered(**design)
    assert all(plausible(count, 60, 0.95) for count in hits), hits


def test_a_rate_without_the_starts_is_not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "mean_starts", lambda steps, group, count, moments: np.zeros((count, 0)))
    assert not plausible(covered(**SINGLE)[0], 60, 0.95)


def test_a_rate_as_if_variances_were_known_is_not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    def known(problem: mixed_model._Problem, x: np.ndarray, s: mixed_model._State) -> tuple:
        return s.C, s.C

    monkeypatch.setattr(mixed_model, "_sampling", known)
    assert not plausible(covered(80, **SHORT)[0], 80, 0.95)


def test_a_population_of_sessions_instead_of_their_groups_is_not_covered() -> None:
    # Ten levels that are shared by ten sessions each are not a hundred levels.
    assert not plausible(covered(40, by="session_id", **FEW)[1], 40, 0.95)


def test_shrunken_equilibria_are_nearer_the_truth_than_those_of_groups_alone() -> None:
    errors = np.zeros((30, 3))
    for seed in range(30):
        rng = np.random.default_rng(seed)
        levels = rng.normal(0, 0.6, (25, 1))
        data = tasks(25, 1, levels=levels, steps=5, rng=rng)
        one = pooled(data)
        x = data.scores.reshape(25, 6)
        mean, step = x[:, :-1].mean(axis=1), np.diff(x).mean(axis=1)
        alone = mean - step / one.A[0, 0]  # with the same A, but no other group's level
        shrunken = np.array([one[f"t{g}"].equilibrium.estimate[0] for g in range(25)])
        for k, guess in enumerate((shrunken, alone, one.equilibrium.estimate[0])):
            errors[seed, k] = np.mean((guess - SLOW.equilibrium[0] - levels[:, 0]) ** 2)
    for other in (1, 2):
        gain = errors[:, other] - errors[:, 0]
        assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(30), errors.mean(axis=0)


@pytest.mark.parametrize(("differs", "times"), [(False, 4), (True, 4), (True, 10)])
def test_what_varies_is_found(differs: bool, times: int) -> None:
    chosen = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        A = rng.normal(-0.5, 0.2, (30, 1, 1)) if differs else None
        chosen.append(pooled(tasks(30, times, levels=1.0, A=A, rng=rng), varies=None))
    right = [one.varies == ("levels and A" if differs else "levels") for one in chosen]
    assert sum(right) >= 17
    if differs:
        spread = np.array([one.between.rate for one in chosen])
        # The likelihood's standard deviation over 30 groups is low by a few per cent.
        assert abs(spread.mean() / 0.19 - 1) < 0.05 + 6 * spread.std(ddof=1) / np.sqrt(20) / 0.19


def test_lasting_differences_between_sessions_do_not_pass_for_differences_of_speed() -> None:
    found = [pooled(tasks(30, 4, levels=1.0, sessions=1.0, seed=seed), varies=None) for seed in range(20)]
    assert sum(one.varies == "levels" for one in found) >= 18
    assert sum(one.bic["levels and A"] < one.bic["levels"] for one in found) > 2
    assert sum("group by session_id" in " ".join(one.warnings) for one in found) >= 18


def grouped(data: Trajectories) -> tuple[Moments, np.ndarray, int]:
    names, group = np.unique(data.covariates["task_id"], return_inverse=True)
    return session_moments(data.steps()), group, len(names)


def short_in_some_groups(data: Trajectories) -> Trajectories:
    """Cut sessions to 1 to 8 steps, as many in all of one group."""
    paths = data.scores.reshape(data.n_sessions, -1, data.space.n)
    length = [int(name[1:]) % 8 + 2 for name in data.covariates["task_id"]]
    cut = [x[:m] for x, m in zip(paths, length, strict=True)]
    return replace(Trajectories.from_arrays(cut, data.space.names, "EF"), covariates=data.covariates)


@pytest.mark.parametrize("sessions", [0.0, 1.0])
@pytest.mark.parametrize("by_group", [False, True], ids=["any length", "length by group"])
def test_groups_that_do_not_differ_are_said_to_in_one_experiment_of_twenty(sessions: float, by_group: bool) -> None:
    count = 0
    for seed in range(150):
        data = tasks(10, 4, sessions=sessions, ragged=not by_group, seed=seed)
        count += heterogeneity(*grouped(short_in_some_groups(data) if by_group else data), seed).p_value <= 0.05
    assert plausible(count, 150, 0.05), count


def test_steps_taken_for_independent_find_groups_different_that_are_not() -> None:
    count = 0
    for seed in range(150):
        statistic = heterogeneity(*grouped(tasks(10, 4, sessions=1.0, seed=seed)), seed).statistic
        count += scipy.stats.chi2.sf(statistic, 9) < 0.05
    assert not plausible(count, 150, 0.05), count


def test_groups_that_differ_are_found() -> None:
    found = [heterogeneity(*grouped(tasks(levels=0.4, sessions=0.2, seed=seed)), seed).p_value for seed in range(40)]
    assert sum(p < 0.05 for p in found) >= 36


@single_threaded
def lasting(make: Callable[[int], Trajectories], experiments: int) -> int:
    """Count experiments in which sessions of one group are found to differ for good."""
    count = 0
    for seed in range(experiments):
        data = make(seed)
        own, group, G = grouped(data)
        starts = mean_starts(data.steps(), group, G, own)
        count += choose(own, group, merged(own, group, G), starts, "levels").within_p_value < 0.05
    return count


def test_sessions_of_one_group_are_said_to_differ_as_often_as_they_should_be() -> None:
    equal = lasting(lambda seed: tasks(10, 4, levels=1.0, ragged=True, seed=seed), 100)
    assert plausible(equal, 100, 0.05), equal
    assert lasting(lambda seed: tasks(20, 5, levels=1.0, sessions=1.0, seed=seed), 20) >= 18
