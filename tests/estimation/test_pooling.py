from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

import trimtab as tt
from grouped_panels import TWO, labelled, tasks
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.errors import FitError, InputError
from trimtab.estimation.fit import fit
from trimtab.estimation.least_squares import coefficients, estimate
from trimtab.estimation.moments import session_moments
from trimtab.estimation.pooling import choice
from trimtab.estimation.pooling.document import json_schema
from trimtab.estimation.pooling.mixed_model import GroupSums, MixedFit, fit_mixed
from trimtab.estimation.pooling.pool import pool

EVIL = "[red]x[/red]\x1b[2J"


def valid(result) -> dict:
    document = json.loads(result.to_json())
    jsonschema.Draft202012Validator(json_schema()).validate(document)
    return document


def some(data: Trajectories, labels: dict[int, str]) -> Trajectories:
    """Change the task of the sessions numbered in `labels`."""
    ids = list(data.covariates["task_id"])
    for s, label in labels.items():
        ids[s] = label
    return labelled(data, task_id=ids)


def test_figures_follow_from_the_mean_drift() -> None:
    one = pool(tasks(30, model=TWO, levels=1.0), "task_id")["EF"]
    lam = np.linalg.eigvals(one.A)
    assert float(one.rate) == pytest.approx(-lam.real.max())
    assert float(one.smooth_rate) == pytest.approx(-np.trace(one.A) / 2)
    np.testing.assert_allclose(one.equilibrium.estimate, -np.linalg.solve(one.A, one.b))
    assert one.rate.low < float(one.rate) < one.rate.high
    assert (one.equilibrium.low < one.equilibrium.estimate).all()
    assert (len(one.groups), one.sessions, one.steps) == (30, 90, 720)
    assert sum(g.steps for g in one.groups) == 720
    distances = [g.distance for g in one.groups]
    assert distances == sorted(distances, reverse=True)


def test_figures_of_groups_beside_them_are_those_of_least_squares() -> None:
    data = tasks(20, 3, model=TWO, levels=1.0, ragged=True)
    one = pool(data, "task_id")["EF"]
    m = session_moments(data.steps())
    whole = estimate(m.total, m.center, m.scale)
    assert one.plain_rate == pytest.approx(-np.linalg.eigvals(whole.A).real.max())
    for name in ("t0", "t7"):
        at = np.flatnonzero(np.array(data.covariates["task_id"]) == name)
        own = session_moments(data.select(at).steps(), np.zeros(2), np.ones(2))
        A = coefficients(own.total)[0][1:].T
        assert one[name].own_rate == pytest.approx(-np.linalg.eigvals(A).real.max())
        assert one[name].sessions == 3


def test_groups_alike_in_speed_share_rate_and_interval() -> None:
    alike = pool(tasks(20, levels=1.0), "task_id", varies="levels")["EF"]
    assert {(float(g.rate), g.rate.low, g.rate.high) for g in alike.groups} == {
        (float(alike.rate), alike.rate.low, alike.rate.high)
    }
    assert (alike.between.rate, [*alike.bic]) == (0, ["levels"])
    differ = pool(tasks(20, levels=1.0), "task_id", varies="levels and A")["EF"]
    assert [*differ.bic] == ["levels and A"]
    assert len({float(g.rate) for g in differ.groups}) > 1


def test_a_group_is_drawn_to_the_others_the_more_the_less_it_says() -> None:
    data = tasks(20, 4, levels=1.5, seed=1)
    names = np.array(data.covariates["task_id"])
    few = data.select(np.flatnonzero((names != "t0") | (np.arange(80) < 20)))
    all_of_it, less = pool(data, "task_id")["EF"]["t0"], pool(few, "task_id")["EF"]["t0"]
    assert (all_of_it.sessions, less.sessions) == (4, 1)
    assert 0 < all_of_it.shrinkage < less.shrinkage < 1
    width = [float(g.equilibrium.high[0] - g.equilibrium.low[0]) for g in (all_of_it, less)]
    assert width[0] < width[1]


def test_the_unit_of_time_and_of_scores_scale_figures() -> None:
    data = tasks(20, levels=1.0)
    one, half = pool(data, "task_id")["EF"], pool(data, "task_id", dt=0.5)["EF"]
    assert float(half.rate) == pytest.approx(2 * one.rate)
    assert half.between.drift == pytest.approx(2 * one.between.drift)
    np.testing.assert_allclose(half.equilibrium.low, one.equilibrium.low)
    percent = Trajectories.from_arrays((data.scores * 100).reshape(60, 9, 1), ["security"], "EF")
    other = pool(replace(percent, covariates=data.covariates), "task_id")["EF"]
    assert float(other.rate) == pytest.approx(float(one.rate))
    assert other.equilibrium.estimate == pytest.approx(100 * one.equilibrium.estimate)
    assert other.between.equilibrium == pytest.approx(100 * one.between.equilibrium)
    assert other.heterogeneity.p_value == one.heterogeneity.p_value


def test_the_document_fits_its_schema_and_repeats_itself() -> None:
    found = pool(tasks(12, model=TWO, levels=1.0), "task_id")
    document, schema = valid(found), json_schema()
    assert document["schema"] == "trimtab.pooling/1"
    assert set(document) == set(schema["properties"]) == set(schema["required"])
    one, parts = document["strategies"]["EF"], schema["$defs"]
    assert set(one) == set(parts["strategy"]["properties"]) == set(parts["strategy"]["required"])
    assert set(one["groups"][0]) == set(parts["group"]["properties"]) == set(parts["group"]["required"])
    assert found.to_json() == pool(tasks(12, model=TWO, levels=1.0), "task_id").to_json()
    assert found.to_json() != pool(tasks(12, model=TWO, levels=1.0), "task_id", seed=1).to_json()


def test_the_order_of_sessions_changes_nothing_but_the_shuffles() -> None:
    data = tasks(15, model=TWO, levels=0.3, ragged=True)
    order = np.random.default_rng(0).permutation(45)
    one, other = pool(data, "task_id")["EF"], pool(data.select(order), "task_id")["EF"]
    np.testing.assert_allclose(other.A, one.A, rtol=1e-6, atol=1e-8)
    assert other.rate.low == pytest.approx(one.rate.low, rel=1e-4)
    assert other.heterogeneity.statistic == pytest.approx(one.heterogeneity.statistic)
    p = one.heterogeneity.p_value
    assert abs(other.heterogeneity.p_value - p) < 6 * np.sqrt(2 * p * (1 - p) / 999) + 0.002
    assert [g.name for g in other.groups] == [g.name for g in one.groups]
    for g in one.groups:
        assert other[g.name].equilibrium.estimate == pytest.approx(g.equilibrium.estimate, rel=1e-5)


def test_a_fit_pools_as_pooling_alone_does() -> None:
    data = tasks(12, levels=1.0)
    result = fit(data, group="task_id", seed=3, draws=100, dt=0.5, level=0.9)
    assert result.pooling.to_json() == pool(data, "task_id", seed=3, draws=100, dt=0.5, level=0.9).to_json()
    assert fit(data, draws=100).pooling is None
    assert tt.pool is pool


def test_sessions_can_be_groups_themselves() -> None:
    one = pool(tasks(30, 1, levels=1.5), "session_id")["EF"]
    assert np.isnan(one.within_p_value)
    assert one.heterogeneity.permutations == 0
    assert one.rate.low < 0.5 < one.rate.high
    assert one["s3"].sessions == 1


def test_sessions_without_a_label_are_left_out_and_counted() -> None:
    data = tasks(12, 3, levels=1.0)
    found = pool(some(data, {0: "", 13: ""}), "task_id")
    assert [(e.reason, e.count, e.unit) for e in found.exclusions] == [
        ("without a task_id, and left out", 2, "sessions")
    ]
    assert found["EF"].sessions == 34
    alone = pool(data.select(np.setdiff1d(np.arange(36), [0, 13])), "task_id")
    assert float(found["EF"].rate) == pytest.approx(float(alone["EF"].rate))
    with pytest.raises(FitError, match="no session with a step under 'EF' has a task_id"):
        pool(some(data, dict.fromkeys(range(36), "")), "task_id")


def test_strategies_are_pooled_apart_and_those_that_cannot_be_are_named() -> None:
    a, b = tasks(12, 3, levels=1.0), tasks(3, 3, levels=1.0, seed=1)
    paths = [d.scores[d.offsets[s] : d.offsets[s + 1]] for d in (a, b) for s in range(d.n_sessions)]
    both = Trajectories.from_arrays(paths, ["security"], ["EF"] * 36 + ["SF"] * 9)
    both = labelled(both, task_id=[*a.covariates["task_id"], *b.covariates["task_id"]])
    found = pool(both, "task_id")
    assert [*found] == ["EF"]
    assert len(found) == 1
    assert any(text.startswith("SF: pooling 1 objective needs at least 4 groups") for text in found.warnings)
    np.testing.assert_allclose(found["EF"].A, pool(a, "task_id")["EF"].A, rtol=1e-6)
    assert [*pool(both, "task_id", strategy="EF")] == ["EF"]
    with pytest.raises(FitError, match="task_id has 3"):
        pool(both, "task_id", strategy="SF")
    with pytest.raises(InputError, match="no strategy is called 'AI'; there are EF, SF"):
        pool(both, "task_id", strategy="AI")
    with pytest.raises(InputError, match="no strategy is called 'SF'; there are EF"):
        found["SF"]
    with pytest.raises(InputError, match="no task_id is called 't99'; the first are t"):
        found["EF"]["t99"]


def test_what_cannot_be_pooled_is_refused_in_words() -> None:
    data = tasks(12, 3)
    with pytest.raises(InputError, match="no label 'model' to group sessions by; there are 'task_id', 'session_id'"):
        pool(data, "model")
    with pytest.raises(InputError, match="'levels' or 'levels and A', but got 'A'"):
        pool(data, "task_id", varies="A")
    with pytest.raises(InputError, match="between 0 and 1"):
        pool(data, "task_id", level=1.5)
    with pytest.raises(FitError, match="pooling 1 objective needs at least 4 groups, but task_id has 2") as few:
        pool(tasks(2, 9), "task_id")
    assert "trimtab compare SOURCE --between task_id=A,B" in str(few.value)
    with pytest.raises(FitError, match="needs at least 16 complete steps under 'EF', but there are 12: with one step"):
        pool(tasks(12, 1, steps=1), "task_id")
    with pytest.raises(FitError, match="cannot identify the dynamics"):
        pool(labelled(Trajectories.from_arrays(np.full((12, 5, 1), 3.0), ["q"]), task_id=[*"abcdefghijkl"]), "task_id")


def test_differences_of_speed_that_cannot_be_fitted_leave_those_of_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(sums: GroupSums, q: int, free: np.ndarray, integrated: np.ndarray) -> MixedFit:
        if q > 1:
            raise FitError("no clear maximum")
        return fit_mixed(sums, q, free, integrated)

    monkeypatch.setattr(choice, "fit_mixed", stuck)
    one = pool(tasks(12, 3), "task_id")["EF"]
    assert (one.varies, [*one.bic]) == ("levels", ["levels"])
    with pytest.raises(FitError, match="no clear maximum"):
        pool(tasks(12, 3), "task_id", varies="levels and A")


def test_scores_that_are_nowhere_known_are_said_to_be_missing() -> None:
    data = tasks(12, 3)
    nowhere = replace(data, scores=np.full_like(data.scores, np.nan), status=np.full_like(data.status, 1))
    with pytest.raises(FitError, match=r"no strategy can be pooled over task_id.*missing"):
        pool(nowhere, "task_id")


def test_an_objective_that_stands_still_is_left_out() -> None:
    data = tasks(12, 3, model=TWO, levels=1.0)
    data.scores[:, 1] = 4.0
    found = pool(data, "task_id")
    one = found["EF"]
    assert one.A.shape == (1, 1)
    assert [*one.active] == [True, False]
    assert np.isnan(one.equilibrium.estimate[1])
    assert np.isnan(one["t0"].equilibrium.estimate[1])
    assert any("left out of the dynamics: efficiency" in text for text in found.warnings)
    assert valid(found)["strategies"]["EF"]["between"]["equilibrium"][1] is None
    assert "efficiency" not in found["EF"].verdict
    found.summary()


def test_the_verdict_says_whether_groups_differ_and_how_fast_they_return() -> None:
    differ = pool(tasks(25, levels=1.5, seed=1), "task_id")
    assert differ["EF"].verdict.startswith(
        "Groups by task_id differ in level for good (p = 0.001): standard deviations"
    )
    assert "a deviation dies out at the rate 0." in differ["EF"].verdict
    assert f"Farthest from the others is {differ['EF'].groups[0].name}," in differ["EF"].verdict
    assert "the 20 farthest out of 25" in differ.summary()
    alike = pool(tasks(25, seed=1), "task_id")
    assert alike["EF"].verdict.startswith("Nothing shows that groups by task_id differ in level")
    assert "Groups" not in alike.summary().split("What it means")[0]
    rng = np.random.default_rng(0)
    faster = pool(tasks(25, 6, levels=1.0, A=rng.normal(-0.5, 0.2, (25, 1, 1)), rng=rng), "task_id")
    assert "differ in speed too, with a standard deviation of 0." in faster["EF"].verdict
    assert max(len(line) for found in (differ, alike, faster) for line in found.summary().splitlines()) <= 118


def test_groups_that_drift_off_have_no_level_to_return_to() -> None:
    rng = np.random.default_rng(0)
    pace = np.tile(np.linspace(-0.4, 0.4, 15), 3)
    paths = np.cumsum(pace[:, None] + rng.normal(0, 0.5, (45, 7)), axis=1)
    data = Trajectories.from_arrays(paths[:, :, None], ["security"], "EF")
    one = pool(labelled(data, task_id=[f"t{i % 15}" for i in range(45)]), "task_id")
    assert not one["EF"].settles
    assert "no return to a level can be told from none" in one["EF"].verdict
    assert "standard deviations of their steps from one and the same score are security 0." in one["EF"].verdict
    assert "equilibrium" not in one.summary()


def test_cautions_say_what_a_figure_does_not_mean() -> None:
    warned = pool(tasks(12, 6, levels=1.0, sessions=1.0), "task_id").warnings
    assert any("sessions of one task_id differ in level for good as well: the rate is too slow" in w for w in warned)
    assert any("only 12 groups" in w for w in warned)
    data = tasks(25, 3, levels=1.0)
    bounded = tt.Objective("security", 4.0, 6.0)
    beyond = pool(replace(data, space=ObjectiveSpace([bounded])), "task_id").warnings
    assert any("of 25 groups lie beyond the scale of security" in w for w in beyond)


def test_names_from_data_are_neither_markup_nor_control() -> None:
    data = some(tasks(12, 3, levels=2.0), dict.fromkeys((0, 12, 24), EVIL))
    data = replace(data, covariates={EVIL: data.covariates["task_id"]})
    found = pool(data, EVIL)
    for text in (found.summary(), fit(data, group=EVIL, draws=50).summary()):
        assert "\x1b" not in text
        assert "[red]x[/red]" in text
    assert found["EF"][EVIL].sessions == 3


def test_what_is_printed_stays_short() -> None:
    found = pool(tasks(12, 3), "task_id")
    for shown in (found, found["EF"]):
        assert len(repr(shown)) < 200
