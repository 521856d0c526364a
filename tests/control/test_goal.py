"""Goals: utilities on one scale of goodness, floors, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from trimtab.control.floor import Floor, read_floor
from trimtab.control.goal import Goal
from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.pareto import hypervolume
from trimtab.errors import InputError

SPACE = ObjectiveSpace(["quality", "latency:0:30:min", "safety:0:1"])
X = np.array([[4.0, 6.0, 0.9], [10.0, 0.0, 1.0], [0.0, 30.0, 0.0]])
GOOD = np.array([[4.0, 8.0, 9.0], [10.0, 10.0, 10.0], [0.0, 0.0, 0.0]])


def test_utilities_stand_on_a_scale_from_worst_to_best() -> None:
    np.testing.assert_allclose(Goal(SPACE).goodness(X), GOOD)
    np.testing.assert_allclose(Goal(SPACE).value(X), GOOD.mean(axis=1))
    np.testing.assert_allclose(Goal(SPACE, "worst").value(X), [4.0, 10.0, 0.0])
    np.testing.assert_allclose(Goal(SPACE, "product").value(X), np.cbrt(GOOD.prod(axis=1)), atol=1e-9)
    np.testing.assert_allclose(Goal(SPACE, {"quality": 3, "safety": 1}).value(X), [21 / 4, 10.0, 0.0])
    np.testing.assert_allclose(Goal(SPACE, lambda x: x[..., 0] - x[..., 1]).value(X), [-2.0, 10.0, -30.0])


def test_an_open_scale_counts_as_it_is() -> None:
    goal = Goal(ObjectiveSpace(["loss:0:inf:min", "quality"]), "weighted")
    np.testing.assert_allclose(goal.value(np.array([3.0, 5.0])), 1.0)
    with pytest.raises(InputError, match="loss has an open scale"):
        Goal(goal.space, "product")


def test_a_hypervolume_is_counted_to_a_few_hundredths() -> None:
    rng = np.random.default_rng(0)
    goal = Goal(SPACE, "hypervolume")
    for _ in range(20):
        points = np.column_stack([rng.uniform(0, 10, 5), rng.uniform(0, 30, 5), rng.uniform(0, 1, 5)])
        counted = goal.cells(goal.dominated(points)).any(axis=0).mean()
        assert counted == pytest.approx(hypervolume(points, SPACE.low, SPACE.high, SPACE.sign), abs=0.03)
        seen = np.bitwise_or.reduce(goal.dominated(points[:4]), axis=0)
        np.testing.assert_allclose(goal.value(points[4], seen), counted * 10)


@pytest.mark.parametrize("utility", ["weighted", "worst", "product"])
def test_the_expected_utility_is_that_of_many_draws(utility: str) -> None:
    goal = Goal(ObjectiveSpace(["a", "b"]), utility)
    x, covariance = np.array([5.0, 5.4]), np.array([[0.5, 0.2], [0.2, 0.8]])
    draws = np.random.default_rng(1).multivariate_normal(x, covariance, 200_000)
    expected = goal.expected(x, covariance)
    assert expected == pytest.approx(goal.value(np.clip(draws, 0, 10)).mean(), abs=0.05)
    if utility != "weighted":
        assert expected < goal.value(x) - 0.02


def test_floors_are_chances() -> None:
    goal = Goal(SPACE, floors=(Floor("safety", 0.5, 0.1), Floor("latency", 20.0)))
    sd = 0.2
    edge = 0.5 + sd * norm.ppf(0.9)
    covariance = np.diag([1.0, 1.0, sd**2])
    x = np.array([[5.0, 5.0, edge + 1e-6], [5.0, 5.0, edge - 1e-6], [5.0, 19.0, 0.9]])
    assert goal.acceptable(x, covariance).tolist() == [True, False, False]
    assert goal.acceptable(x, None).tolist() == [True, True, True]
    assert goal.shortfall(x, covariance)[0] == 0 < goal.shortfall(x, covariance)[1]
    kept, worth = goal.keep(np.array([3.0, 3.0]), x[:2], covariance)
    assert worth[1] == 3.0 < worth[0] == kept[0]


@pytest.mark.parametrize(
    ("text", "floor"),
    [
        ("security>=2", Floor("security", 2.0)),
        (" security >= 2.5 @ 0.01 :each".replace(" :", ":"), Floor("security", 2.5, 0.01, "each")),
        ("latency<=20@0.2:kept", Floor("latency", 20.0, 0.2)),
    ],
)
def test_floors_are_read_and_written(text: str, floor: Floor) -> None:
    assert read_floor(text) == floor
    assert read_floor(str(floor)) == floor


def test_a_goal_writes_each_floor_as_its_objective_has_it() -> None:
    goal = Goal(SPACE, floors=(Floor("safety", 0.123456789, 0.1), Floor("latency", 20.0, on="each")))
    assert list(map(str, goal.floors)) == ["safety>=0.123456789@0.1", "latency<=20@0.05:each"]


@pytest.mark.parametrize("text", ["security", "security>2", "security>=x", "security>=2@2", ">=2", "security>=2:never"])
def test_what_is_no_floor_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="floor"):
        read_floor(text)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"utility": "best"}, "a utility is one of"),
        ({"utility": {"quality": -1}}, "weights must be zero or more"),
        ({"utility": {"speed": 1}}, "no objective is called 'speed'"),
        ({"cost": -1}, "a cost or least gain"),
        ({"utility": ["worst"]}, "a utility is one of"),
        ({"utility": {"quality": "high"}}, "weights must be zero or more"),
        ({"utility": "product", "weights": [1, 2, 3]}, "weights are given by objective"),
        ({"utility": "worst", "weights": {"quality": 1}}, "weights are for the utilities 'weighted' and 'product'"),
        ({"utility": {"quality": 1}, "weights": {"quality": 1}}, "a utility already"),
        ({"cost": "high"}, "a cost or least gain"),
        ({"costs": {"A": None}}, "a cost or least gain"),
        ({"least_gain": float("nan")}, "a cost or least gain"),
        ({"floors": (Floor("speed", 1),)}, "no objective is called 'speed'"),
        ({"floors": (read_floor("quality<=3"),)}, "maximised, and a floor shuts off its bad side: write quality>=3"),
        ({"floors": (read_floor("latency>=3"),)}, "minimised, and a floor shuts off its bad side: write latency<=3"),
        ({"floors": (Floor("safety", 2.0),)}, "no score can meet safety>=2: its scale goes from 0 to 1"),
    ],
)
def test_what_is_no_goal_is_refused(options: dict, says: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match=says):
        Goal(SPACE, **options)


def test_a_utility_that_returns_something_else_is_named() -> None:
    with pytest.raises(InputError, match=r"one finite number for each row"):
        Goal(SPACE, lambda x: x).value(X)
    with pytest.raises(InputError, match="ZeroDivisionError"):
        Goal(SPACE, lambda x: 1 / 0).value(X)
    with pytest.raises(InputError, match="function cannot be written"):
        Goal(SPACE, lambda x: x[..., 0]).to_dict()
