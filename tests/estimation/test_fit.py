from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.console import Console

import trimtab as tt
from simulated import COMPLEX, NAMES, REAL, noise, panel
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import FAILED, OK, Trajectories
from trimtab.dynamics.interference import interference_matrix
from trimtab.errors import FitError, InputError
from trimtab.estimation.document import json_schema
from trimtab.estimation.fit import fit
from trimtab.estimation.summary import Summary


def two_strategies() -> Trajectories:
    a, b = panel(REAL, 30, seed=1), panel(COMPLEX, 30, seed=2)
    sessions = [t.scores[t.offsets[s] : t.offsets[s + 1]] for t in (a, b) for s in range(30)]
    return Trajectories.from_arrays(sessions, NAMES, ["EF"] * 30 + ["SF"] * 30)


def valid(result) -> dict:
    document = json.loads(result.to_json())
    jsonschema.Draft202012Validator(json_schema()).validate(document)
    return document


def test_a_fit_of_two_strategies_says_what_they_are() -> None:
    result = fit(two_strategies())
    assert [*result] == ["EF", "SF"]
    assert result["EF"].regime.label == "exponential"
    assert result["SF"].regime.label == "oscillatory"
    assert result["EF"].stable_continuous
    assert result["EF"].stable_discrete
    assert result["EF"].rate.low < 0.33 < result["EF"].rate.high
    assert sum(result["EF"].regime.probabilities.values()) == pytest.approx(1)
    text = result.summary()
    assert "Converges steadily" in text
    assert "damped oscillation" in text
    assert max(map(len, text.splitlines())) <= 118


def test_a_strategy_is_fitted_by_its_own_steps_and_the_pool_by_all() -> None:
    both = two_strategies()
    alone = fit(both.select(np.arange(30)))
    result = fit(both)
    np.testing.assert_allclose(result["EF"].A, alone["EF"].A)
    assert result["EF"].rate.low == pytest.approx(alone["EF"].rate.low)
    assert result.pooled.steps == result["EF"].steps + result["SF"].steps
    np.testing.assert_allclose(result.interference.estimate, interference_matrix(both.steps().dx))
    np.testing.assert_allclose(tt.interference(both).estimate, result.interference.estimate)


def test_figures_follow_from_the_drift() -> None:
    one = fit(panel())["EF"]
    lam = np.linalg.eigvals(one.A)
    assert one.rate == pytest.approx(-lam.real.max())
    assert one.spectral_radius == pytest.approx(np.abs(1 + lam).max())
    np.testing.assert_allclose(one.equilibrium.estimate, -np.linalg.solve(one.A, one.b))
    assert one.half_life == pytest.approx(-math.log(2) / math.log(one.spectral_radius))
    assert one.smooth_rate == pytest.approx(-np.trace(one.A) / 3)
    assert one.model.rate == pytest.approx(one.rate)
    np.testing.assert_allclose(one.multipliers.estimate, np.sort(np.abs(1 + lam))[::-1])


def test_the_unit_of_time_scales_rates_and_leaves_multipliers() -> None:
    one, half = fit(panel())["EF"], fit(panel(), dt=0.5)["EF"]
    assert half.rate == pytest.approx(2 * one.rate)
    assert half.spectral_radius == pytest.approx(one.spectral_radius)
    assert half.regime.probabilities == one.regime.probabilities
    np.testing.assert_allclose(half.equilibrium.estimate, one.equilibrium.estimate)


def test_the_document_fits_its_schema_and_repeats_itself() -> None:
    document = valid(fit(two_strategies()))
    assert document["schema"] == "trimtab.fit/1"
    assert document == valid(fit(two_strategies()))
    assert document["strategies"]["EF"]["r2"]["steps"] > 0
    assert document != valid(fit(two_strategies(), seed=1))


def test_noise_is_not_called_dynamics() -> None:
    one = fit(noise())["EF"]
    assert one.rate > 0.8
    assert one.regime.label == "undetermined"
    assert "No dynamics found" in one.verdict
    assert any("no memory" in w for w in one.warnings)


def test_a_session_that_switches_lends_each_step_to_the_strategy_in_force() -> None:
    data = panel(sessions=30)
    late = data.iteration > 5
    switched = replace(data, strategies=("EF", "SF"), strategy=late.astype(np.int64))
    result = fit(switched)
    assert (result["EF"].steps, result["SF"].steps) == (150, 150)
    steps = data.steps()
    np.testing.assert_allclose(result["SF"].A, fit(_only(steps, steps.iteration >= 5, data))["EF"].A, atol=1e-9)


def _only(steps, keep, data) -> Trajectories:
    pairs = [np.stack([x, x + dx]) for x, dx in zip(steps.x[keep], steps.dx[keep], strict=True)]
    return Trajectories.from_arrays(pairs, data.space, "EF")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (panel(sessions=1, steps=3), "at least 5 complete steps"),
        (Trajectories.from_arrays(np.full((20, 11, 2), 5.0), ["a", "b"]), "every step starts from the same scores"),
    ],
)
def test_steps_that_cannot_identify_are_said_to(data: Trajectories, match: str) -> None:
    result = fit(data)
    one = result[next(iter(result))]
    assert not one.identified
    assert any(match in warning for warning in one.warnings)
    assert np.isnan(one.rate)
    assert one.regime.label == "undetermined"
    assert one.verdict.startswith("Nothing can be said")
    with pytest.raises(FitError):
        _ = one.model
    document = valid(result)
    assert document["strategies"][one.name]["rate"]["estimate"] is None
    assert document["warnings"]


def test_an_exact_combination_of_other_objectives_is_left_out() -> None:
    data = panel(sessions=30)
    scores = data.scores.copy()
    scores[:, 2] = 10 - scores[:, 0]
    one, without = fit(replace(data, scores=scores))["EF"], fit(data, objectives=NAMES[:2])["EF"]
    assert one.active.tolist() == [True, True, False]
    np.testing.assert_allclose(one.A[:2, :2], without.A)
    np.testing.assert_array_equal(one.A[:, 2], 0)
    assert one.rate == pytest.approx(float(without.rate))
    assert one.model.n == 2
    assert any(w.endswith("left out of the dynamics: functionality") for w in one.warnings)


def test_an_objective_that_only_ends_sessions_is_left_out_of_the_spectrum() -> None:
    rng = np.random.default_rng(0)
    sessions = []
    for x in REAL.simulate(rng.normal(5, 1, (40, 3)), 6, rng):
        solved = np.zeros((7, 1))
        solved[-1] = 1
        sessions.append(np.hstack([x, solved]))
    one = fit(Trajectories.from_arrays(sessions, [*NAMES, "solved:0:1"]))["all"]
    assert one.identified
    assert one.active.tolist() == [True, True, True, False]
    assert np.isnan(one.equilibrium.estimate[3])
    assert any("left out of the dynamics: solved" in w for w in one.warnings)


def test_a_constant_objective_is_left_out_of_the_spectrum() -> None:
    data = panel(sessions=30)
    scores = data.scores.copy()
    scores[:, 1] = 0.1 + 0.2
    one = fit(replace(data, scores=scores))["EF"]
    assert one.active.tolist() == [True, False, True]
    assert len(one.eigenvalues) == 2
    alone = fit(data.select(objectives=["security", "functionality"]))["EF"]
    assert one.rate == pytest.approx(alone.rate)
    np.testing.assert_allclose(one.equilibrium.estimate[[0, 2]], alone.equilibrium.estimate)
    assert any("efficiency" in w for w in one.warnings)
    valid(fit(replace(data, scores=scores)))


def test_one_long_session_has_estimates_and_no_intervals() -> None:
    one = fit(panel(sessions=1, steps=400))["EF"]
    assert one.identified
    assert 0.2 < one.rate < 0.5
    assert np.isnan(one.rate.low)
    assert one.regime.label == "undetermined"
    assert any("only one session" in w for w in one.warnings)


def test_one_objective() -> None:
    model = tt.AffineSDE([[-0.4]], [2.0], [[0.25]])
    result = fit(panel(model, sessions=60))
    assert result["EF"].rate.low < 0.4 < result["EF"].rate.high
    valid(result)
    assert "Interference" not in result.summary()


def test_eight_objectives() -> None:
    model = tt.AffineSDE(-0.3 * np.eye(8), np.full(8, 1.5), 0.2 * np.eye(8))
    result = fit(panel(model, sessions=80))
    assert len(result["EF"].eigenvalues) == 8
    assert "see the report" in result.summary()


@pytest.mark.parametrize(
    ("n", "steps", "said"),
    [
        (1, 1, "1 objective needs at least 3 complete steps, but there is one"),
        (1, 2, "1 objective needs at least 3 complete steps, but there are 2"),
        (2, 1, "2 objectives need at least 4 complete steps, but there is one"),
    ],
)
def test_too_few_steps_are_told_in_the_right_number(n: int, steps: int, said: str) -> None:
    scores = np.arange(n * (steps + 1.0)).reshape(steps + 1, n)
    one = fit(Trajectories.from_arrays([scores], ["quality", "cost"][:n]))["all"]
    assert any(said in warning for warning in one.warnings)


def test_nothing_to_fit_says_what_was_lost() -> None:
    data = Trajectories.from_arrays([np.array([[1.0], [np.nan], [2.0]])] * 3, ["quality"])
    with pytest.raises(FitError, match=r"6 steps: a score is missing at one end\. Choose fewer objectives"):
        fit(data)
    failed = replace(data, status=np.where(np.isnan(data.scores), FAILED, OK).astype(np.int8))
    with pytest.raises(FitError, match=r"6 steps: a score failed at one end\. Too few answers could be used: trimtab"):
        fit(failed)


def test_where_every_iteration_after_the_start_failed_that_is_said_in_one_sentence() -> None:
    scores = [np.array([[1.0, 5.0], [np.nan, 1.0], [np.nan, np.nan]])] * 3
    data = Trajectories.from_arrays(scores, ["quality", "cost"])
    failed = replace(data, status=np.where(np.isnan(data.scores), FAILED, OK).astype(np.int8))
    with pytest.raises(FitError) as caught:
        fit(failed, objectives=["quality", "cost"])
    assert str(caught.value) == (
        "there is nothing to fit, because all iterations after the start (6) failed, and none has scores that can be "
        "used: trimtab status says why, trimtab show SESSION --answer what came"
    )


@pytest.mark.parametrize(
    "option",
    [
        {"dt": 0},
        {"dt": -1},
        {"dt": math.inf},
        {"level": 1},
        {"level": 0},
        {"draws": 1},
        {"draws": 10**12},
        {"dt": "x"},
        {"dt": 1e-320},
    ],
)
def test_options_that_make_no_sense_are_refused(option: dict) -> None:
    with pytest.raises(InputError):
        fit(panel(sessions=5), **option)


def test_an_unknown_strategy_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'XX'.*EF"):
        fit(panel(sessions=5))["XX"]


def test_a_report_needs_a_known_suffix() -> None:
    with pytest.raises(InputError, match=r"\.html"):
        fit(panel(sessions=5)).report("report.docx")


def test_directions_and_bounds_count_in_the_outcome() -> None:
    scores = np.array([[[1.0, 0.0], [2.0, 1.0], [3.0, 2.0], [4.0, 3.0], [5.0, 10.0]]] * 4)
    worse = fit(Trajectories.from_arrays(scores, ["a", "cost:0:10:min"]))["all"]
    better = fit(Trajectories.from_arrays(scores, ["a", "cost:0:10:max"]))["all"]
    assert float(worse.pareto_efficiency) == 1.0
    assert float(better.pareto_efficiency) == pytest.approx(0.2)
    assert worse.at_bound.tolist() == pytest.approx([0.0, 0.4])
    assert math.isnan(fit(Trajectories.from_arrays(scores, ObjectiveSpace(["a", "c:0:inf"])))["all"].hypervolume)


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.one_of(st.integers(0, 3).map(float), st.just(float("nan"))))
    )
)
@settings(max_examples=60, deadline=None)
def test_small_and_broken_data_are_fitted_or_refused_in_words(scores: np.ndarray) -> None:
    data = Trajectories.from_arrays(scores, [f"o{j}" for j in range(scores.shape[2])])
    try:
        result = fit(data, draws=20)
    except FitError:
        assert not len(data.steps())
        return
    valid(result)
    result.summary()


def test_the_schema_names_every_key_of_the_document() -> None:
    document, schema = valid(fit(two_strategies())), json_schema()
    assert set(document) == set(schema["properties"]) == set(schema["required"])
    one, of_strategy = document["pooled"], schema["$defs"]["strategy"]
    assert set(one) == set(of_strategy["properties"]) == set(of_strategy["required"])
    assert set(one["r2"]) == set(of_strategy["properties"]["r2"]["required"])


def test_interference_alone_is_that_of_the_fit() -> None:
    result, alone = fit(two_strategies(), seed=4), tt.interference(two_strategies(), seed=4)
    np.testing.assert_array_equal(alone.low, result.interference.low)
    with pytest.raises(InputError):
        tt.interference(two_strategies(), level=2)


def test_any_kind_of_integer_is_a_seed() -> None:
    one, other = fit(panel(), seed=3), fit(panel(), seed=np.int64(3))
    assert one.to_json() == other.to_json()
    with pytest.raises(InputError, match="whole numbers"):
        fit(panel(), seed=1.5)


def test_objectives_are_chosen_by_name() -> None:
    assert fit(panel(), objectives="security").space.names == ("security",)
    with pytest.raises(InputError, match="at least one"):
        fit(panel(), objectives=[])


def test_the_summary_breaks_no_number_on_a_narrow_terminal() -> None:
    buffer = io.StringIO()
    Console(file=buffer, width=80, color_system=None).print(Summary(fit(two_strategies())))
    text = buffer.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    for whole in ("exponential (100%)", "half-life", "equilibrium", "security / functionality", "correlation"):
        assert whole in text


def test_what_is_printed_stays_short() -> None:
    data = panel()
    result = fit(data)
    for shown in (data, result, result["EF"]):
        assert len(repr(shown)) < 200


def test_an_iteration_that_failed_on_one_objective_ends_no_session() -> None:
    data = panel(sessions=30)
    scores, status = data.scores.copy(), data.status.copy()
    scores[10, [0, 2]], status[10, [0, 2]] = np.nan, 2
    scores[10, 1] = 1.0
    one = fit(replace(data, scores=scores, status=status))["EF"]
    ends = np.vstack([data.scores[9], data.scores[21::11]])
    np.testing.assert_allclose(one.reached.estimate, ends.mean(axis=0))


def test_starts_that_dwarf_all_other_scores_leave_a_model_all_the_same() -> None:
    """As where a failed evaluation is recorded as 1e10: the steps down from there are explained to the last digit."""
    scores = panel(REAL, sessions=20).scores.reshape(20, 11, 3).copy()
    scores[:5, 0, 1:] = 1e9, 1e10
    scores[5:8, 0, 2] = 1e10
    found = fit(Trajectories.from_arrays(scores, ["a:-inf:inf", "b:-inf:inf", "c:-inf:inf"]), estimator="least-squares")
    Q = found["all"].model.Q
    np.testing.assert_array_equal(Q, Q.T)
