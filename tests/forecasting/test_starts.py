from __future__ import annotations

import numpy as np
import pytest

from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError
from trimtab.forecasting.starts import Starts, fixed_start, given_start

OPEN = ObjectiveSpace(["quality:-inf:inf", "cost:-inf:inf:min"])
MANY = 40_000


def observed(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).multivariate_normal([4, 6], [[2.0, 0.9], [0.9, 1.0]], 300)


def deviation(sample: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest distance of a normal sample's covariance from `expected`, in its own standard errors."""
    size = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / len(sample))
    return float(np.abs((np.cov(sample.T) - expected) / size).max())


def test_observed_starts_are_drawn_as_they_are() -> None:
    points = observed()
    drawn = Starts.observed(points, "").draw(5000, 1, OPEN)
    assert {tuple(x) for x in drawn} <= {tuple(x) for x in points}
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    # 5,000 draws of 300: 16.7 each, with a standard deviation of 4.1.
    assert len(counts) == 300
    assert abs(counts - 5000 / 300).max() < 6 * 4.1


def test_the_first_starts_stay_the_same_when_more_are_asked_for() -> None:
    for starts in (Starts.observed(observed(), ""), Starts(np.array([1.0, 2.0]), np.eye(2), "")):
        few, many = starts.draw(7, 3, OPEN), starts.draw(400, 3, OPEN)
        np.testing.assert_array_equal(few, many[:7])
        assert (starts.draw(7, 4, OPEN) != few).all()


@pytest.mark.parametrize("law", ["observed", "normal"])
def test_states_scatter_less_than_scores_by_the_score_noise(law: str) -> None:
    R = np.array([0.7, 0.3])
    points = observed()
    starts = Starts.observed(points, "")
    if law == "normal":
        starts = Starts(starts.mean, starts.covariance, "", scored=True)
    S = starts.covariance
    drawn = starts.draw(MANY, 1, OPEN, R)
    assert deviation(drawn, S - np.diag(R)) < 6
    assert deviation(drawn, S) > 6  # what it would be if nothing were taken off
    np.testing.assert_allclose(drawn.mean(axis=0), starts.mean, atol=6 * np.sqrt(2 / MANY))


def test_more_noise_than_scatter_leaves_no_scatter() -> None:
    starts = Starts.observed(observed(), "")
    drawn = starts.draw(500, 1, OPEN, np.array([50.0, 50.0]))
    np.testing.assert_allclose(drawn, np.broadcast_to(starts.mean, drawn.shape), atol=1e-9)


def test_given_starts_are_states_whatever_the_score_noise() -> None:
    starts = Starts(np.array([4.0, 6.0]), np.diag([2.0, 1.0]), "")
    np.testing.assert_array_equal(starts.draw(50, 1, OPEN, np.array([0.7, 0.3])), starts.draw(50, 1, OPEN))


def test_starts_keep_within_the_bounds() -> None:
    space = ObjectiveSpace(["quality:0:10", "cost:0:10:min"])
    drawn = Starts(np.array([0.5, 9.5]), 4 * np.eye(2), "").draw(2000, 1, space)
    assert drawn.min() == 0
    assert drawn.max() == 10


def test_some_objectives_can_be_given_a_start() -> None:
    drawn = fixed_start(np.ones((3, 2)), {"cost": 5.0}, OPEN)
    np.testing.assert_array_equal(drawn, [[1.0, 5.0]] * 3)


@pytest.mark.parametrize(
    ("x0", "words"), [({"speed": 1.0}, "no objective is called 'speed'"), ({"q": 11.0}, "0 to 10")]
)
def test_a_start_that_cannot_be_is_refused(x0: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        given_start(x0, ObjectiveSpace(["q:0:10"]))
