from __future__ import annotations

import numpy as np
import pytest

from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.pareto import pareto_efficiency
from trimtab.forecasting.fan import QUANTILES, Fan, fan_of

SPACE = ObjectiveSpace(["quality:0:10", "cost:0:5:min"])
SIGN = np.array([1, -1])


def fan(states: np.ndarray, space: ObjectiveSpace = SPACE, targets: dict[str, float] | None = None) -> Fan:
    schedule = ("EF",) * (states.shape[1] - 1)
    return fan_of("EF", schedule, states, space, targets or {}, 1, float("nan"), ())


@pytest.fixture
def states() -> np.ndarray:
    rng = np.random.default_rng(0)
    drawn = np.clip(rng.normal([6, 2], [4, 2], (150, 6, 2)), [0, 0], [10, 5])
    drawn[:30, -1] = drawn[:30, 0]  # neither better nor worse
    return drawn


def test_figures_by_iteration_are_those_of_numpy(states: np.ndarray) -> None:
    found = fan(states)
    for t in range(6):
        np.testing.assert_allclose(found.mean[t], states[:, t].mean(axis=0))
        np.testing.assert_allclose(found.quantiles[t], np.quantile(states[:, t], QUANTILES, axis=0))
        for j, high in enumerate((10, 5)):
            at = [x in (0, high) for x in states[:, t, j]]
            assert found.at_bound[t, j] == pytest.approx(np.mean(at))
    assert found.steps == 5
    assert found.at_bound.max() > 0.1


def test_best_iterations_and_gains_are_those_of_a_loop_over_paths(states: np.ndarray) -> None:
    found = fan(states)
    best, better = np.zeros(2), np.zeros(2)
    weighed_best = weighed_better = up = down = 0.0
    for path in states:
        good = path * SIGN
        for j in range(2):
            best[j] += min(t for t in range(6) if good[t, j] == good[:, j].max())
            better[j] += good[-1, j] > good[0, j]
        score = (path[:, 0] / 10 + (5 - path[:, 1]) / 5) / 2
        weighed_best += next(t for t in range(6) if score[t] >= score.max() - 1e-12)
        weighed_better += score[-1] > score[0] + 1e-12
        gain = good[-1] - good[0]
        up += bool((gain >= 0).all() and (gain > 0).any())
        down += bool((gain <= 0).all() and (gain < 0).any())
    np.testing.assert_allclose(found.best_iteration, best / 150)
    np.testing.assert_allclose(found.better, better / 150)
    one = found.together
    assert one.best_iteration == pytest.approx(weighed_best / 150)
    assert one.better == pytest.approx(weighed_better / 150)
    assert one.best_everywhere == pytest.approx(up / 150)
    assert one.worst_everywhere == pytest.approx(down / 150)
    assert one.pareto_efficiency == pytest.approx(np.mean([pareto_efficiency(path, SIGN) for path in states]))


def test_open_scales_have_no_equal_weights(states: np.ndarray) -> None:
    found = fan(states, ObjectiveSpace(["quality:0:10", "cost:-inf:inf:min"]))
    assert np.isnan(found.together.best_iteration)
    assert np.isnan(found.together.better)
    assert np.isfinite(found.together.best_everywhere)


def test_targets_are_passed_in_their_own_direction_and_all_at_once() -> None:
    states = np.array(
        [
            [[1.0, 4.0], [7.0, 4.0], [2.0, 1.0]],  # quality at 1, cost at 2, never both
            [[1.0, 4.0], [5.0, 3.0], [6.0, 2.0]],  # both at 2
            [[9.0, 0.0], [1.0, 4.0], [1.0, 4.0]],  # both at the start
            [[1.0, 4.0], [1.0, 4.0], [1.0, 4.0]],
        ]
    )
    quality, cost, both = fan(states, targets={"quality": 6.0, "cost": 2.0}).passages
    np.testing.assert_array_equal(quality.reached, [0.25, 0.5, 0.75])
    np.testing.assert_array_equal(cost.reached, [0.25, 0.25, 0.75])
    np.testing.assert_array_equal(both.reached, [0.25, 0.25, 0.5])
    assert (quality.median, cost.median, both.median) == (1, 2, 2)
    assert both.target == {"quality": 6.0, "cost": 2.0}
    assert len(fan(states, targets={"quality": 6.0}).passages) == 1
    assert np.isnan(fan(states, targets={"quality": 9.5}).passages[0].median)
