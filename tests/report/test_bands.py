from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from report_fits import ODD, fitted, simulated, stopping
from trimtab.core.trajectories import FAILED, Trajectories
from trimtab.report.bands import MAX_ITERATIONS, axis_range, band, corrected, evenly, strategy_sessions


def test_a_band_is_mean_t_interval_and_quantiles_by_iteration():
    data = simulated(n=2, strategies=("A", "B"), sessions=25)
    own = band(data, "B", 0.95)
    scores = data.scores.reshape(50, 11, 2)[25:]
    np.testing.assert_allclose(own.mean, scores.mean(axis=0))
    np.testing.assert_array_equal(own.count, 25)
    np.testing.assert_allclose(own.q10, np.quantile(scores, 0.1, axis=0))
    np.testing.assert_allclose(own.q90, np.quantile(scores, 0.9, axis=0))
    low, high = scipy.stats.t.interval(0.95, 24, scores.mean(axis=0), scipy.stats.sem(scores, axis=0))
    np.testing.assert_allclose(own.low, low)
    np.testing.assert_allclose(own.high, high)


def test_missing_scores_and_ended_sessions_do_not_count():
    data = Trajectories.from_arrays(
        [np.array([[1.0], [2.0], [3.0]]), np.array([[3.0]]), np.array([[5.0], [np.nan]])], ["x"]
    )
    own = band(data, "all", 0.95)
    assert own.count[:, 0].tolist() == [3, 1, 1]
    assert own.mean[:, 0].tolist() == [3.0, 2.0, 3.0]
    assert np.isfinite(own.low[0, 0])
    assert np.isnan(own.low[1:, 0]).all()


def test_an_iteration_counts_for_the_strategy_that_produced_it():
    data = simulated(n=1, strategies=("A", "B"), sessions=4, steps=3)
    codes = np.where(data.iteration >= 2, 1, 0)
    switched = Trajectories(
        data.space, data.scores, data.status, data.iteration, codes, data.offsets, data.session_ids, data.strategies
    )
    assert band(switched, "A", 0.95).iteration.tolist() == [0, 1]
    assert band(switched, "B", 0.95).count[:, 0].tolist() == [8, 8]
    assert len(strategy_sessions(switched, "A")) == 0


def test_very_long_sessions_are_thinned():
    data = Trajectories.from_arrays(np.zeros((1, 5000, 1)), ["x"])
    own = band(data, "all", 0.95)
    assert len(own.iteration) <= MAX_ITERATIONS
    assert own.iteration[[0, -1]].tolist() == [0, 4999]


@given(st.integers(0, 2000), st.integers(1, 400))
def test_evenly_keeps_order_ends_and_limit(count, limit):
    chosen = evenly(count, limit)
    assert len(chosen) == min(count, limit)
    assert np.all(np.diff(chosen) > 0)
    if count and limit > 1:
        assert chosen[0] == 0
        assert chosen[-1] == count - 1


@pytest.mark.parametrize(
    ("values", "low", "high", "expected"),
    [
        ([1.0, 9.0], 0, 10, (-0.2, 10.2)),  # most of the scale: all of it, with a sliver
        ([4.0, 6.0], 0, 10, (3.88, 6.12)),  # a part of it
        ([0.0, 1.0], 0, 10, (-0.06, 1.06)),
        ([5.0, 5.0], -np.inf, np.inf, (4.5, 5.5)),
        ([np.nan], 0, 10, (-0.2, 10.2)),
        ([], -np.inf, np.inf, (-0.06, 1.06)),
    ],
)
def test_axis_range(values, low, high, expected):
    assert axis_range(np.array(values), low, high) == pytest.approx(expected)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (-np.inf, 3.0), (0.0, 10.0)]),
)
def test_an_axis_always_shows_all_values(values, scale):
    bottom, top = axis_range(np.array(values), *scale)
    assert bottom < top
    assert bottom <= min(values)
    assert top >= max(values)


def test_an_iteration_that_failed_on_one_objective_counts_on_none():
    data = Trajectories.from_arrays(
        [np.array([[1.0, 5.0], [np.nan, 1.0]]), np.array([[3.0, 7.0], [4.0, 8.0]])], ["x", "y"]
    )
    status = data.status.copy()
    status[1, 0] = FAILED
    own = band(replace(data, status=status), "all", 0.95)
    np.testing.assert_array_equal(own.mean, [[2.0, 6.0], [4.0, 8.0]])
    np.testing.assert_array_equal(own.count, [[2, 2], [1, 1]])


def test_the_corrected_curve_counts_from_where_sessions_start() -> None:
    data = stopping()
    one = fitted(data)["retry"]
    curve = corrected(data, one)
    assert curve is not None
    assert one.curve is not None
    np.testing.assert_allclose(curve.mean, one.curve.corrected)
    assert curve.iteration.tolist() == list(range(10))
    assert curve.runs[0] == data.n_sessions > curve.runs[-1]
    # Those that end are the high ones.
    own = band(data, "retry", 0.95)
    assert curve.mean[-1, 0] > own.mean[-1, 0] + 0.1
    np.testing.assert_allclose(own.mean[:2, 0], curve.mean[:2, 0])
    late = replace(data, iteration=data.iteration + 3)
    shifted = corrected(late, one)
    assert shifted is not None
    assert shifted.iteration.tolist() == list(range(3, 13))


def test_a_correction_that_cannot_be_seen_does_not_matter() -> None:
    data = stopping()
    curve = corrected(data, fitted(data)["retry"])
    assert curve is not None
    assert curve.matters
    # Two sessions that lose their last score are no reason to speak of averages that mislead.
    paths = list(simulated(n=2, strategies=("A",), sessions=40).scores.reshape(40, 11, 2))
    cut = Trajectories.from_arrays([paths[0][:-1], paths[1][:-1], *paths[2:]], ["a", "b"], "A")
    curve = corrected(cut, fitted(cut)["A"])
    assert curve is not None
    assert not curve.matters


def test_the_corrected_curve_leaves_out_what_explains_no_step() -> None:
    data = stopping(still=True)
    one = fitted(data)["retry"]
    curve = corrected(data, one)
    assert curve is not None
    assert one.active.tolist() == [True, False]
    assert np.isfinite(curve.mean[:, 0]).all()
    assert np.isnan(curve.mean[:, 1]).all()


def test_no_curve_without_early_ends_or_a_common_start() -> None:
    alike = simulated(n=2, strategies=("A",), sessions=20)
    assert corrected(alike, fitted(alike)["A"]) is None
    data = stopping()
    one = fitted(data)["retry"]
    # Every third session starts somewhere else, so that no iteration is where the strategy begins.
    apart = replace(data, iteration=data.iteration + np.repeat(np.arange(data.n_sessions) % 3, data.lengths))
    assert corrected(apart, one) is None
    # Under switching the start is the state that the strategy takes over.
    switched = ODD["switching midway"]()
    fit = fitted(switched)
    assert fit["B"].curve is not None
    assert corrected(switched, fit["B"]) is None
