from __future__ import annotations

import numpy as np
import pytest

from report_fits import fitted, model, ordinary, simulated, stopping
from trimtab.core.trajectories import Trajectories
from trimtab.estimation.results import ArrayEstimate
from trimtab.report.bands import Corrected, band, corrected
from trimtab.report.figures.eigenvalues import CLOUD, cloud, eigenvalue_figure, plane
from trimtab.report.figures.interference import color_limit, interference_figure, is_clear
from trimtab.report.figures.pareto import POINTS, finals, finals_figure, pareto_figure
from trimtab.report.figures.phase import drift_figure, held_at, phase_figure, sample_paths, state_ranges
from trimtab.report.figures.trajectories import score_range, trajectory_figure
from trimtab.report.palette import COLORS, look


@pytest.fixture(scope="module")
def fit():
    return ordinary()


def test_looks_differ_for_sixty_strategies():
    assert len({(look(k).color, look(k).symbol) for k in range(60)}) == 60
    assert len(COLORS) >= 8


def test_a_trajectory_figure_draws_mean_and_both_bands(fit):
    bands = [band(fit.trajectories, name, fit.level) for name in fit]
    own = bands[0]
    limits = score_range(bands, 1, fit.space.objectives[1])
    drawn = trajectory_figure(own, 1, fit.space.objectives[1], look(0), y_range=limits, level=0.95, others=bands[1:])
    others, wide, narrow, line = drawn.data
    np.testing.assert_allclose(line.y, own.mean[:, 1], rtol=1e-6)
    np.testing.assert_allclose(wide.y, np.concatenate([own.q90[:, 1], own.q10[::-1, 1]]), rtol=1e-6)
    np.testing.assert_allclose(narrow.y, np.concatenate([own.high[:, 1], own.low[::-1, 1]]), rtol=1e-6)
    np.testing.assert_array_equal(line.customdata[:, 0], own.count[:, 1])
    assert np.isnan(others.y).sum() == 3
    assert line.line.color == COLORS[0]


def test_the_mean_of_all_sessions_had_they_gone_on_is_dashed():
    data = stopping(still=True)
    fit = fitted(data)
    own, curve = band(data, "retry", 0.95), corrected(data, fit["retry"])
    limits = score_range([own], 0, fit.space.objectives[0], [curve])
    first = trajectory_figure(own, 0, fit.space.objectives[0], look(0), y_range=limits, level=0.95, curve=curve)
    line = first.data[-1]
    assert line.line.dash == "5px,4px"
    np.testing.assert_allclose(line.y, curve.mean[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(line.customdata, fit["retry"].curve.runs)
    assert limits[0] < curve.mean[:, 0].min() < curve.mean[:, 0].max() < limits[1]
    second = trajectory_figure(own, 1, fit.space.objectives[1], look(0), y_range=limits, level=0.95, curve=curve)
    assert len(second.data) == len(first.data) - 1


def test_room_is_made_for_the_corrected_mean(fit):
    own = band(fit.trajectories, "EF", fit.level)
    space = fit.space.objectives[0]
    high = Corrected(own.iteration, np.full_like(own.mean, 9.5), own.count[:, 0], matters=True)
    assert score_range([own], 0, space)[1] < 9.5 < score_range([own], 0, space, [high, None])[1]


def test_eigenvalues_are_drawn_with_both_borders_of_stability():
    data = simulated(n=3, strategies=("A",), sessions=60)
    from trimtab.estimation.fit import fit as fit_with

    half = fit_with(data, dt=0.5, draws=2000)
    one = half["A"]
    drawn = eigenvalue_figure(one, look(0), plane([one], 0.5))
    circle, line = drawn.layout.shapes[:2]
    # The circle |1 + lambda dt| = 1 has its centre at -1/dt and the radius 1/dt.
    assert (circle.x0, circle.x1, circle.y0, circle.y1) == (-4, 0, -2, 2)
    assert line.x0 == line.x1 == 0
    points, marks = drawn.data
    assert 0 < len(points.x) <= CLOUD
    np.testing.assert_allclose(marks.x, one.eigenvalues.real, rtol=1e-6)
    np.testing.assert_allclose(marks.y, one.eigenvalues.imag, rtol=1e-6)
    np.testing.assert_allclose(marks.customdata, np.abs(1 + one.eigenvalues * 0.5), rtol=1e-6)
    assert drawn.layout.yaxis.scaleanchor == "x"


def test_the_cloud_is_a_fixed_sample_of_the_draws(fit):
    points = cloud(fit["EF"])
    assert set(points) <= set(fit["EF"].draws.eigenvalues.ravel())
    np.testing.assert_array_equal(points, cloud(ordinary()["EF"]))


def test_interference_marks_intervals_without_zero():
    names = simulated(n=2).space
    matrix = ArrayEstimate(
        np.array([[0.0, -0.17], [-0.17, 0.0]]),
        np.array([[0.0, -0.25], [-0.25, 0.0]]),
        np.array([[0.0, -0.09], [-0.09, 0.0]]),
    )
    drawn = interference_figure(matrix, names, color_limit([matrix])).data[0]
    assert is_clear(matrix, 0, 1)
    assert drawn.text[0][1] == "−0.17 *<br>[−0.25, −0.09]"
    assert drawn.text[0][0] == ""
    assert np.isnan(drawn.z[0][0])
    assert (drawn.zmin, drawn.zmax) == (-0.3, 0.3)
    unclear = ArrayEstimate(matrix.estimate, matrix.low, -matrix.low)
    assert "*" not in interference_figure(unclear, names, 0.3).data[0].text[0][1]


def test_drift_arrows_point_where_the_model_goes(fit):
    one = fit["FF"]
    held = held_at(one, fit.trajectories)
    ranges = state_ranges(fit.trajectories)
    drawn = phase_figure(one, (0, 2), look(0), held, ranges, [])
    arrows = np.column_stack([drawn.data[0].x, drawn.data[0].y]).astype(float).reshape(-1, 3, 2)
    tails, heads = arrows[:, 0], arrows[:, 1]
    points = np.tile(held.at, (len(tails), 1))
    points[:, 0], points[:, 2] = tails[:, 0], tails[:, 1]
    drift = one.model.drift(points)[:, [0, 2]]
    moved = heads - tails
    cosine = (moved * drift).sum(axis=1) / np.linalg.norm(moved, axis=1) / np.linalg.norm(drift, axis=1)
    assert cosine.min() > 0.9999
    assert np.isnan(arrows[:, 2]).all()


def test_the_equilibrium_is_where_the_portrait_stands_still(fit):
    one = fit["EF"]
    held = held_at(one, fit.trajectories)
    assert held.kind == "equilibrium"
    np.testing.assert_allclose(held.at, one.equilibrium.estimate)
    star = phase_figure(one, (1, 2), look(0), held, state_ranges(fit.trajectories), []).data[-1]
    assert (star.x[0], star.y[0]) == pytest.approx(tuple(one.equilibrium.estimate[[1, 2]]))


def test_an_equilibrium_off_the_scale_is_not_a_place_to_hold_the_others():
    rng = np.random.default_rng(0)
    rising = np.cumsum(rng.normal(0.3, 0.3, (40, 8, 2)), axis=1)
    data = Trajectories.from_arrays(np.clip(rising + rng.normal(size=(40, 8, 2)) * 0.1, 0, 3), ["x:0:3", "y:0:3"])
    one = fitted(data)["all"]
    outside = ((one.equilibrium.estimate < 0) | (one.equilibrium.estimate > 3)).any()
    held = held_at(one, data)
    assert held.kind == ("mean score" if outside else "equilibrium")
    assert outside
    np.testing.assert_allclose(held.at, data.scores.mean(axis=0))


def test_sample_paths_are_real_sessions(fit):
    paths = sample_paths(fit.trajectories, "AI")
    sessions = fit.trajectories.scores.reshape(-1, 11, 3)[90:]
    assert len(paths) == 4
    for path in paths:
        assert any(np.array_equal(path, session) for session in sessions)


def test_a_single_objective_shows_drift_against_score():
    data = simulated(n=1, strategies=("A",), sessions=40)
    one = fitted(data)["A"]
    points, ribbon, line, star = drift_figure(one, data, look(0), (0.0, 10.0), 0.95).data
    np.testing.assert_allclose(line.y, one.A[0, 0] * line.x + one.b[0], rtol=1e-4, atol=1e-5)
    assert star.x[0] == pytest.approx(one.equilibrium.estimate[0])
    assert len(points.x) == 300
    top, bottom = ribbon.y[:41], ribbon.y[41:][::-1]
    assert np.all(top >= line.y - 1e-6)
    assert np.all(bottom <= line.y + 1e-6)


def test_non_dominated_finals_by_brute_force(fit):
    found = finals(fit.trajectories, list(fit))
    scores = found.scores
    beaten = [any(np.all(other >= one) and np.any(other > one) for other in scores) for one in scores]
    np.testing.assert_array_equal(found.best, ~np.array(beaten))
    drawn = pareto_figure(found, (0, 1), fit.trajectories, list(fit), [look(k) for k in range(4)])
    sizes = np.concatenate([trace.marker.size for trace in drawn.data])
    assert (sizes == 10).sum() == found.best.sum()
    np.testing.assert_allclose(drawn.data[2].x, scores[found.owner == 2, 0], rtol=1e-6)


def test_many_finals_are_thinned_but_both_kinds_stay():
    data = simulated(n=2, strategies=("A", "B"), sessions=1500, steps=1)
    found = finals(data, ["A", "B"])
    drawn = pareto_figure(found, (0, 1), data, ["A", "B"], [look(0), look(1)])
    assert sum(len(trace.x) for trace in drawn.data) <= POINTS
    kinds = {kind for trace in drawn.data for kind in trace.customdata}
    assert kinds == {"dominated", "non-dominated"}


def test_boxes_of_a_single_objective_keep_the_quartiles():
    data = simulated(n=1, strategies=("A",), sessions=3000, steps=1)
    found = finals(data, ["A"])
    box = finals_figure(found, data, ["A"], [look(0)]).data[0]
    assert len(box.y) <= POINTS
    np.testing.assert_allclose(np.median(box.y), np.median(found.scores), atol=0.01)


def test_a_strategy_that_is_not_identified_shows_sessions_only():
    still = Trajectories.from_arrays(np.full((5, 6, 2), 4.0), ["x", "y"])
    one = fitted(still)["all"]
    assert not one.identified
    drawn = phase_figure(one, (0, 1), look(0), held_at(one, still), state_ranges(still), sample_paths(still, "all"))
    assert len(drawn.data) == 1
    assert np.isnan(drawn.data[0].x).sum() == 4
    assert len(eigenvalue_figure(one, look(0), plane([one], 1.0)).data[1].x) == 0


def test_objectives_to_minimise_say_so():
    data = Trajectories.from_arrays(
        model(2).simulate(np.full((20, 2), 5.0), 5, np.random.default_rng(0)), ["a", "b:min"]
    )
    found = finals(data, ["all"])
    drawn = pareto_figure(found, (0, 1), data, ["all"], [look(0)])
    assert drawn.layout.xaxis.title.text == "a (higher is better)"
    assert drawn.layout.yaxis.title.text == "b (lower is better)"
