from __future__ import annotations

import json
import time

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

import trimtab as tt
from simulated import NAMES, REAL, panel
from support.sides import FASTER, renamed
from support.sides import compare_plainly as compare
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.estimation.comparison import figures, inference, wald
from trimtab.estimation.least_squares import coefficients, estimate
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.prediction import r_squared


def test_both_sides_show_what_a_fit_of_each_shows() -> None:
    a, b = panel(REAL, 60, seed=1), panel(FASTER, 50, seed=2)
    one = compare(a, b, paired=False)["EF"]
    for data, side in ((a, "a"), (b, "b")):
        m = session_moments(data.steps())
        fitted = estimate(m.total, m.center, m.scale)
        r2 = r_squared(m, fitted, None, np.ones(3, bool), 0.95, 0)
        assert getattr(one["rate"], side) == pytest.approx(-np.linalg.eigvals(fitted.A).real.max())
        assert getattr(one["smooth_rate"], side) == pytest.approx(-np.trace(fitted.A) / 3)
        assert getattr(one["r2_steps"], side) == pytest.approx(float(r2.steps))
        assert getattr(one["r2_held_out"], side) == pytest.approx(r2.steps_held_out)
        target = -np.linalg.solve(fitted.A, fitted.b)
        ends = data.scores[data.offsets[1:] - 1].mean(axis=0)
        dx = np.corrcoef(data.steps().dx.T)
        for j, name in enumerate(NAMES):
            assert getattr(one["equilibrium", name], side) == pytest.approx(target[j])
            assert getattr(one["reached", name], side) == pytest.approx(ends[j])
        assert getattr(one["interference", NAMES[0], NAMES[2]], side) == pytest.approx(dx[0, 2])
    assert one.sessions == (60, 50)
    assert one.units == (60, 50)
    for row in one.rows:
        expected = row.b / row.a if row.kind == "ratio" else row.b - row.a
        assert float(row.difference) == pytest.approx(expected)
        assert row.difference.low < row.difference < row.difference.high


def test_ends_are_compared_as_by_students_and_welchs_tests() -> None:
    a, b = panel(REAL, 40, seed=1), panel(REAL, 40, seed=2)
    ends = [data.scores[data.offsets[1:] - 1] for data in (a, b)]
    for paired, test in (
        (True, scipy.stats.ttest_rel(*ends[::-1])),
        (False, scipy.stats.ttest_ind(*ends[::-1], equal_var=False)),
    ):
        one = compare(a, b, paired=paired)["EF"]
        interval = test.confidence_interval()
        for j, name in enumerate(NAMES):
            row = one["reached", name]
            assert row.p_value == pytest.approx(test.pvalue[j])
            assert (row.difference.low, row.difference.high) == pytest.approx((interval.low[j], interval.high[j]))


def test_means_over_sessions_of_repeated_tasks_have_clustered_errors() -> None:
    rng = np.random.default_rng(0)
    unit = np.sort(rng.integers(0, 12, 40))
    unit[:12], unit = np.arange(12), np.sort(unit)
    values = rng.normal(size=(40, 1))
    mean, influence = inference.mean(unit, values, 12)
    by_hand = [(values[unit == g, 0] - values.mean()).sum() / 40 for g in range(12)]
    assert mean[0] == pytest.approx(values.mean())
    np.testing.assert_allclose(influence[:, 0], by_hand)


def test_the_paired_test_of_all_entries_is_hotellings() -> None:
    a, b = panel(REAL, 60, seed=3), panel(REAL, 60, seed=4)
    test = compare(a, b, paired=True)["EF"].drift
    values = []
    for data in (a, b):
        m = session_moments(data.steps(), np.zeros(3), np.ones(3))
        whole = coefficients(m.total)[0].ravel()
        left_out = [coefficients(np.delete(m.outer, s, axis=0).sum(axis=0))[0].ravel() for s in range(60)]
        values.append(whole + 59 * (whole - np.array(left_out)))
    d = values[1] - values[0]
    m = session_moments(a.steps(), np.zeros(3), np.ones(3)), session_moments(b.steps(), np.zeros(3), np.ones(3))
    v = (coefficients(m[1].total)[0] - coefficients(m[0].total)[0]).ravel()
    T2 = v @ np.linalg.solve(np.cov(d.T) / 60, v)
    assert test.dof == 12
    assert test.statistic == pytest.approx(T2, rel=1e-6)
    assert 20 < test.error_dof <= 59 + 1e-9
    nu = test.error_dof
    assert test.p_value == pytest.approx(scipy.stats.f.sf(T2 * (nu - 11) / (nu * 12), 12, nu - 11), rel=1e-6)


def test_degrees_of_freedom_are_welchs_for_one_entry() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (30, 1)), 3 * rng.uniform(-1, 1, (12, 1))  # light tails: no correction for heavy ones
    got = wald._test(np.array([0.5]), [a, b], "x")
    assert got.p_value == pytest.approx(
        scipy.stats.ttest_ind(b - b.mean() + 0.5, a - a.mean(), equal_var=False).pvalue[0]
    )
    assert wald._error_dof(rng.standard_t(3, (400, 2))) < 300
    assert wald._error_dof(np.zeros((7, 2))) == 6


def test_influences_and_leaving_out_agree_for_many_units(monkeypatch: pytest.MonkeyPatch) -> None:
    m = session_moments(panel(REAL, 800, seed=1).steps())
    jackknife = np.cov(wald.unit_estimates(m).T)
    monkeypatch.setattr(wald, "_JACKKNIFED", 10)
    influence = np.cov(wald.unit_estimates(m).T)
    size = np.sqrt(np.diagonal(jackknife))
    np.testing.assert_allclose(influence / size[:, None] / size, jackknife / size[:, None] / size, atol=0.03)


def test_holm_agrees_with_statsmodels() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5, 0.01])
    known = np.isfinite(p)
    np.testing.assert_allclose(wald.holm(p)[known], multipletests(p[known], method="holm")[1])
    assert np.isnan(wald.holm(p)[1])


def test_paired_replicates_use_the_same_units_on_both_sides() -> None:
    a, b = (session_moments(panel(REAL, 30, seed=s).steps(), np.full(3, 5.0), np.ones(3)) for s in (1, 1))
    same = Moments(b.outer * 2, b.session, b.center, b.scale)
    one, other = figures._together(a, same, 50, 0, ("x",))
    np.testing.assert_allclose(other, 2 * one, rtol=1e-3, atol=1e-3)
    assert one.std(axis=0)[1, 1] > 0
    first, second = figures.resampled(a, b, paired=True, dt=1.0, draws=50, seed=0, key=("x",))
    np.testing.assert_allclose(first.drawn.A, second.drawn.A, atol=1e-3)
    first, second = figures.resampled(a, b, paired=False, dt=1.0, draws=50, seed=0, key=("x",))
    assert not np.allclose(first.drawn.A, second.drawn.A, atol=0.01)


def test_a_side_compared_with_itself_differs_in_nothing() -> None:
    data = panel(REAL, 30, seed=1)
    one = compare(data, data)["EF"]
    assert one.paired
    assert one.drift.p_value == 1
    assert all(float(row.difference) == (row.kind == "ratio") and row.p_value == 1 for row in one.rows)
    assert "No difference in dynamics" in one.verdict


def test_the_rate_does_not_depend_on_the_unit_of_time() -> None:
    a, b = panel(REAL, 30, seed=1), panel(FASTER, 30, seed=2)
    one, half = compare(a, b, draws=100)["EF"], compare(a, b, dt=0.5, draws=100)["EF"]
    assert half["rate"].difference.low == pytest.approx(2 * one["rate"].difference.low)
    assert half["spectral_radius"].p_value == pytest.approx(one["spectral_radius"].p_value)
    assert half.drift.p_value == pytest.approx(one.drift.p_value)


def test_an_objective_that_stands_still_on_one_side_is_left_out_of_the_dynamics() -> None:
    a, b = panel(REAL, 30, seed=1), renamed(panel(REAL, 30, seed=2), "x")
    b.scores[:, 1] = 4.0
    one = compare(a, b)["EF"]
    assert any("left out of the dynamics: efficiency" in text for text in one.warnings)
    assert one.drift.dof == 6
    assert one["reached", "efficiency"].b == 4
    with pytest.raises(InputError, match="no row"):
        one["equilibrium", "efficiency"]


def test_an_objective_that_hardly_ever_varies_gets_no_intervals() -> None:
    a, b = panel(REAL, 30, seed=1), renamed(panel(REAL, 30, seed=2), "x")
    b.scores[:, 1] = 4.0
    b.scores[3:5, 1] = 5.0
    found = compare(a, b)
    one = found["EF"]
    assert np.isnan(one["rate"].difference.low)
    assert any("too few sessions" in text for text in one.warnings)
    assert one.regimes[0] == {}
    json.dumps(found.to_dict(), allow_nan=False)
    assert "too few sessions" in found.summary()


def test_loops_that_do_not_settle_have_no_ratio_of_half_lives() -> None:
    walk = AffineSDE(np.zeros((1, 1)), [0.0], [[1.0]])
    one = compare(panel(walk, 40, seed=1), panel(AffineSDE([[-0.5]], [2.5], [[1.0]]), 40, seed=2), paired=False)["EF"]
    assert np.isnan(one["half_life"].p_value)
    assert np.isfinite(one["rate"].p_value)


def test_the_same_seed_gives_the_same_comparison() -> None:
    a, b = (panel(REAL, 30, seed=seed).select(objectives=NAMES[:1]) for seed in (1, 2))
    assert compare(a, b, draws=100).to_json() == compare(a, b, draws=100).to_json()
    assert compare(a, b, draws=100).to_json() != compare(a, b, draws=100, seed=1).to_json()


def test_400_sessions_a_side_take_less_than_three_seconds() -> None:
    a, b = panel(REAL, 400, seed=1), panel(FASTER, 400, seed=2)
    best = np.inf
    for _ in range(2):
        began = time.process_time()
        tt.compare(a, b)
        best = min(best, time.process_time() - began)
    assert best < 3


def test_many_sessions_are_compared_through_the_gaussian_limit() -> None:
    a, b = panel(REAL, 2500, steps=3, seed=1), panel(FASTER, 2500, steps=3, seed=2)
    for paired in (True, False):
        one = compare(a, b, paired=paired)["EF"]
        assert one["smooth_rate"].difference.low < 0.15 < one["smooth_rate"].difference.high
