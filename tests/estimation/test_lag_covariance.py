"""Runs, their autocovariances, and the curve of those that ended."""

from __future__ import annotations

import numpy as np
import pytest

from simulated import REAL, noise, panel
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.fit import fit
from trimtab.estimation.lag_covariance import hotelling_mean, lag_tests
from trimtab.estimation.panel import Panel


def test_runs_end_where_the_strategy_does() -> None:
    scores = np.arange(7.0)[:, None]
    data = Trajectories.from_arrays([scores, scores[:3]], ["a:-inf:inf"])
    from dataclasses import replace

    switched = replace(
        data, strategies=("one", "two"), strategy=np.array([0, 0, 0, 1, 1, 0, 0, 1, 1, 1]), session_ids=("s", "t")
    )
    one, two = Panel.of(switched, 0), Panel.of(switched, 1)
    assert [block.y[..., 0].tolist() for block in one.blocks] == [[[0, 1, 2], [4, 5, 6]]]
    assert [block.y[..., 0].tolist() for block in two.blocks] == [[[2, 3, 4], [0, 1, 2]]]
    assert [block.session.tolist() for block in two.blocks] == [[0, 1]]
    assert (one.n_runs, one.n_sessions, one.span) == (2, 1, 3)


def test_holes_stay_holes() -> None:
    run = np.array([[1.0], [np.nan], [3.0], [4.0], [np.nan]])
    (block,) = Panel.of(Trajectories.from_arrays([run], ["a"]), 0).blocks
    assert block.at.tolist() == [0, 2, 3]
    stretches = [part.y[..., 0].tolist() for part in Panel.of(Trajectories.from_arrays([run], ["a"]), 0).stretches()]
    assert stretches == [[[3.0, 4.0]]]


def test_autocovariances_are_means_of_products() -> None:
    data = panel(REAL, sessions=30, steps=6)
    y = data.scores.reshape(30, 7, 3)[:, 1:]
    e = y - y.mean(axis=0)
    found = lag_tests(Panel.of(data, 0)).autocovariance
    for k in range(6):
        expected = np.mean([e[:, t] * e[:, t + k] for t in range(6 - k)], axis=(0, 1))
        np.testing.assert_allclose(found[k], expected)


def test_hotelling_of_one_column_is_the_t_test() -> None:
    from scipy.stats import ttest_1samp

    values = np.random.default_rng(0).normal(0.2, 1, (25, 1))
    assert hotelling_mean(values, np.ones(25)) == pytest.approx(float(ttest_1samp(values[:, 0], 0).pvalue))


@pytest.mark.parametrize(
    "data",
    [
        noise(sessions=4),
        panel(REAL, sessions=50, steps=1),
        panel(REAL, sessions=50, steps=2),
        Trajectories.from_arrays(np.full((20, 6, 2), 3.0), ["a", "b"]),
    ],
)
def test_too_little_gives_no_p_value_and_no_error(data: Trajectories) -> None:
    found = lag_tests(Panel.of(data, 0))
    for p in (found.dependence_p_value, found.fading_p_value, found.trend_p_value):
        assert np.isnan(p) or 0 <= p <= 1


def test_sessions_that_stop_when_good_enough_are_carried_on() -> None:
    rng = np.random.default_rng(0)
    model = AffineSDE([[-0.3]], [1.5], [[0.6]])
    paths = model.simulate(rng.normal(3, 1, (2000, 1)), 10, rng)
    ended = [path[: next((t for t in range(1, 11) if path[t, 0] > 5.5), 10) + 1] for path in paths]
    curve = fit(Trajectories.from_arrays(ended, ["quality"]), draws=100)["all"].curve
    assert curve is not None
    truth = paths.mean(axis=0)
    assert np.abs(curve.corrected - truth).max() < 0.08
    assert (truth - curve.observed)[5:].min() > 0.25
    assert curve.runs[0] == 2000 > curve.runs[-1]
    assert fit(panel(REAL), draws=50)["EF"].curve is None
