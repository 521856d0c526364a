"""Which rung is trusted, what is said of it, and what a fit shows where steps are not affine."""

from __future__ import annotations

import numpy as np
import pytest

from coarse_panels import hopping, stalling
from simulated import NAMES, REAL, panel
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.interference import interference_matrix
from trimtab.estimation.diagnosis import diagnose
from trimtab.estimation.document import document
from trimtab.estimation.fit import fit
from trimtab.estimation.lag_covariance import LagTests, lag_tests
from trimtab.estimation.panel import Panel
from trimtab.estimation.state_space.fit import _weights
from trimtab.estimation.state_space.implied import implied_interference, steps_by_iteration
from trimtab.estimation.state_space.likelihood import Model
from trimtab.estimation.state_space.moments import panel_moments


def noisy(sessions: int, seed: int = 0, noise: float = 0.5, levels: float = 0.0) -> Trajectories:
    rng = np.random.default_rng([seed, 5])
    clean = panel(REAL, sessions=sessions, seed=seed).scores.reshape(sessions, -1, 3)
    lasting = levels * rng.normal(size=(sessions, 1, 3))
    return Trajectories.from_arrays(
        clean + lasting + noise * rng.normal(size=clean.shape), [f"{n}:-inf:inf" for n in NAMES]
    )


def model_of(rng: np.random.Generator) -> Model:
    root = rng.normal(size=(6, 6))
    joint = root @ root.T / 6 + 0.3 * np.eye(6)
    return Model(
        phi=0.6 * np.eye(3) + 0.1 * rng.normal(size=(3, 3)),
        c=rng.normal(size=3),
        Q=np.diag([0.3, 0.5, 0.2]) + 0.05,
        P=joint[:3, :3],
        U=joint[3:, 3:],
        C=joint[3:, :3],
        m=rng.normal(size=3),
        r=np.full(3, 0.4),
    )


def test_implied_interference_is_that_of_simulated_states() -> None:
    rng = np.random.default_rng(0)
    model, S, steps = model_of(rng), 200_000, 4
    joint = np.block([[model.P, model.C.T], [model.C, model.U]])
    drawn = rng.multivariate_normal(np.zeros(6), joint, S)
    x, u = model.m + drawn[:, :3], drawn[:, 3:]
    found = []
    for _ in range(steps):
        moved = x @ model.phi.T + model.c + u + rng.multivariate_normal(np.zeros(3), model.Q, S)
        found.append(moved - x)
        x = moved
    # Uneven weights: of the sessions only some have the later steps.
    kept = [S, S, S // 2, S // 4]
    sampled = interference_matrix(np.concatenate([dx[:count] for dx, count in zip(found, kept, strict=True)]))
    implied = implied_interference(model, np.array(kept, dtype=float))
    np.testing.assert_allclose(implied, sampled, atol=6 / np.sqrt(sum(kept) / steps))


def test_steps_are_counted_by_the_iteration_they_start_from() -> None:
    runs = [np.arange(4.0)[:, None], np.array([[0.0], [1.0], [np.nan], [3.0]]), np.array([[0.0], [1.0]])]
    data = Trajectories.from_arrays(runs, ["a:-inf:inf"])
    assert steps_by_iteration(panel_moments(Panel.of(data, 0))).tolist() == [3, 1, 1]


def test_interference_under_noise_is_as_certain_as_it_is() -> None:
    # 40 experiments: the estimates' own spread against the width that is given for it.
    fits = [fit(noisy(100, seed), draws=100, estimator="state-space")["all"] for seed in range(40)]
    estimates = np.array([one.interference.estimate[0, 1] for one in fits])
    widths = np.array([one.interference.high[0, 1] - one.interference.low[0, 1] for one in fits])
    # The standard deviation of 40 normal numbers is known to 11%.
    assert np.median(widths) / (2 * 1.98 * estimates.std(ddof=1)) == pytest.approx(1, abs=0.5)


def test_the_fullest_model_keeps_a_weight_that_falls_with_the_number_of_sessions() -> None:
    evidence = np.array([0.0, -1.0, -50.0])
    assert _weights(evidence, 10)[-1] == 0.5
    assert _weights(evidence, 100)[-1] == pytest.approx(0.1)
    few, many = _weights(evidence, 20), _weights(evidence, 10**9)
    assert few.sum() == pytest.approx(1)
    assert few[0] / few[1] == pytest.approx(np.e)
    assert many == pytest.approx(np.exp(evidence) / np.exp(evidence).sum(), abs=1e-7)
    # Where the evidence speaks for it anyway, nothing is changed.
    assert _weights(np.array([-50.0, 0.0]), 10)[-1] == pytest.approx(1)
    assert _weights(np.array([0.0, -np.inf]), 10).tolist() == [1, 0]


def test_few_sessions_do_not_vouch_for_least_squares() -> None:
    trusted = [fit(noisy(20, seed), draws=100)["all"] for seed in range(20)]
    widths = [one.rate.high - one.rate.low for one in trusted]
    plain = [one.rungs["least_squares"].rate for one in trusted]
    assert sum(one.trusted == "state_space" for one in trusted) >= 10
    assert np.median(widths) > 1.3 * np.median([rate.high - rate.low for rate in plain])


def flat(**changes: float) -> LagTests:
    given = {
        "dependence_p_value": 1e-6, "fading_p_value": 0.5, "fading": 0.0, "fading_error": 0.02,
        "faded": 0.0, "faded_error": 0.02, "trend_p_value": 0.5,
    } | changes  # fmt: skip
    return LagTests(autocovariance=np.ones((3, 2)), runs=100, **given)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "static level"),
        ({"fading_p_value": 0.05}, "undetermined"),  # not proven to fade, and not near enough to flat
        ({"fading": 0.1, "fading_error": 0.04}, "undetermined"),  # dynamics beside large levels
        ({"faded": 0.2, "faded_error": 0.05}, "undetermined"),  # dynamics under much noise
        ({"fading_p_value": 0.001}, "dynamics"),
    ],
)
def test_a_level_is_static_only_where_nothing_speaks_against_it(changes: dict[str, float], label: str) -> None:
    assert diagnose(True, 100, 1e-6, flat(**changes), (0.5, 0.6)).label == label


def test_a_static_level_that_moves_for_all_alike_is_said_to() -> None:
    assert "all of them move alike" in diagnose(True, 100, 1e-6, flat(trend_p_value=0.001), (0.5, 0.6)).reasons[-1]


def test_lasting_differences_do_not_pass_for_static_levels() -> None:
    labels = [fit(noisy(100, seed, levels=1.0), draws=50, estimator="least-squares")["all"] for seed in range(20)]
    assert not any(one.verdict.label == "static level" for one in labels)
    tests = lag_tests(Panel.of(noisy(100, levels=3.0), 0))
    # Beside such levels hardly anything of the covariance fades, but much of what does not last does.
    assert tests.faded < 0.1 < tests.fading


def test_loops_that_end_when_solved_say_how_likely_that_is() -> None:
    solved = np.array([[0.75, 0.25], [0.0, 1.0]])
    paths = _paths(hopping(solved, sessions=150, stop=1))
    data = Trajectories.from_arrays(paths, ["passed:0:1:max"])
    found = fit(data, draws=200)
    one = found["all"]
    assert not one.identified
    assert one.coarse.chosen == "chain"
    assert "No drift can be fitted" in one.verdict
    assert "reached passed 1; the chain expects" in one.verdict
    at_once = sum(len(path) == 1 and path[0, 0] == 1 for path in paths)
    assert at_once > 20
    assert any(f"{at_once} of them end at the best score of all" in str(one) for one in found.exclusions)
    assert f"{at_once} of them end at the best score" in " ".join(found.summary().split())


def _paths(data: Trajectories) -> list[np.ndarray]:
    return [data.scores[data.offsets[s] : data.offsets[s + 1]] for s in range(data.n_sessions)]


def test_steps_that_mostly_stand_still_are_not_corrected_as_affine_ones() -> None:
    still, moving = (fit(stalling(p=p, sessions=150), draws=100)["EF"] for p in (0.8, 0.3))
    assert still.coarse.mostly_still
    assert still.trusted == "least_squares"
    assert "change nothing" in still.verdict
    assert not moving.coarse.mostly_still
    assert "not affine" in still.trust[0]
    assert "not affine" not in moving.trust[0]
    # It moves often enough for its affine figures to mean something; that another model predicts better is said beside.
    assert "Converges steadily" in moving.verdict
    assert "leave every score as it is" in moving.verdict
    assert "Converges steadily" not in still.verdict


def test_where_bounds_leave_nothing_for_tobit_no_score_noise_is_read_into_them() -> None:
    """One objective is scored with noise, and the other is at its bound after the first step, but for two scores."""
    rng = np.random.default_rng(1)
    x = np.full((150, 11, 2), 10.0)
    x[:, 0] = rng.normal([3, 8], [1, 1], (150, 2)).clip(0, 10)
    for t in range(10):
        x[:, t + 1, 0] = 7 + 0.8 * (x[:, t, 0] - 7) + rng.normal(0, 0.4, 150)
    x[..., 0] += rng.normal(0, 0.7, (150, 11))
    x[:2, 4, 1] = 9.2, 9.6
    scores = x.clip(0, 10)
    found = fit(Trajectories.from_arrays(scores, NAMES[:2]), draws=100)["all"]
    assert "tobit" not in found.rungs
    assert found.trusted == "state_space"
    assert found.predicts == "least_squares"


def test_no_tobit_is_believed_that_sees_less_than_half() -> None:
    scores = panel(REAL, sessions=150).scores.reshape(150, 11, 3)
    few, most = (
        fit(Trajectories.from_arrays(np.clip(scores, 5 - w, 5 + w), [f"{n}:{5 - w}:{5 + w}" for n in NAMES]), draws=100)
        for w in (1.0, 0.25)
    )
    assert few["all"].trusted == "tobit"
    assert max(few["all"].at_bound) < 0.5 < max(most["all"].at_bound)
    assert most["all"].trusted != "tobit"
    assert most["all"].regime.label == "undetermined"
    assert few["all"].predicts == most["all"].predicts == "tobit"
    assert document(most)["strategies"]["all"]["predicts"] == "tobit"


def test_holes_do_not_turn_a_trend_into_levels() -> None:
    rng = np.random.default_rng(0)
    scores = 0.5 * np.arange(10.0)[:, None] + rng.normal(size=(60, 10, 1))
    scores[np.arange(60), rng.integers(3, 7, 60)] = np.nan
    one = fit(Trajectories.from_arrays(scores, ["a:-inf:inf"]), draws=50, estimator="least-squares")["all"]
    assert one.verdict.label == "trend"


def test_stretches_of_one_session_are_no_independent_ones() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(5, 2, (6, 1, 1)) + rng.normal(size=(6, 25, 1))
    scores[:, 5::6] = np.nan
    tests = lag_tests(Panel.of(Trajectories.from_arrays(scores, ["a:-inf:inf"]), 0))
    assert tests.runs == 6
    # Six sessions cannot say it as surely as their twenty-four stretches would.
    assert tests.dependence_p_value > 1e-4


def test_the_repeats_rung_is_trusted_where_runs_are_too_long_for_the_likelihood() -> None:
    rng = np.random.default_rng(0)
    states = panel(REAL, sessions=60, steps=110).scores.reshape(60, 111, 3)
    judged = states[..., None] + rng.normal(0, 0.7, (*states.shape, 2))
    one = fit(Trajectories.from_arrays(None, [f"{n}:-inf:inf" for n in NAMES], judgements=judged), draws=50)["all"]
    assert "state_space" not in one.rungs
    assert one.trusted == "repeats"
    assert one.rate.low < REAL.rate < one.rate.high < one.rungs["least_squares"].rate


def test_a_fit_stands_where_its_sessions_cannot_be_pooled() -> None:
    from dataclasses import replace

    data = replace(panel(REAL, sessions=30), covariates={"model": ("a", "b", "c") * 10})
    found = fit(data, draws=50, group="model")
    assert found.pooling is None
    assert found.own_warnings[0].startswith("not pooled by model: pooling 3 objectives needs at least 6 groups")
    assert "not pooled by model" in found.summary()
    assert found["EF"].rate > 0


def test_interference_of_all_strategies_is_tested_too() -> None:
    data = panel(REAL, sessions=60)
    found = fit(data, draws=50)
    np.testing.assert_allclose(found.pooled.interference_p_value, found.interference_tests[None].p_value)
    assert np.isfinite(found["EF"].interference_p_value[0, 1])
