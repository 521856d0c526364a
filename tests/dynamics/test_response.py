from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.response import own_half_lives, shocks
from trimtab.errors import InputError

A = np.array([[-0.4, 0.1, 0.0], [0.2, -0.7, 0.1], [0.0, -0.1, -0.3]])
Q = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.05], [0.0, 0.05, 0.4]])
MODEL = AffineSDE(A, np.ones(3), Q, 0.5)


def conditional_response(model: AffineSDE, steps: int, j: int, given: list[int]) -> np.ndarray:
    """Return what w_j one standard deviation off, with the w of `given` at zero, makes one expect of x_{t+k}."""
    others = [*given, j]
    if given:
        weights = np.linalg.solve(model.Q[np.ix_(given, given)], model.Q[given, j])
        left = model.Q[j, j] - weights @ model.Q[given, j]
    else:
        left = model.Q[j, j]
    value = np.zeros(len(others))
    value[-1] = np.sqrt(left)
    impact = model.Q[:, others] @ np.linalg.solve(model.Q[np.ix_(others, others)], value)
    return np.array([np.linalg.matrix_power(model.transition, k) @ impact for k in range(steps + 1)])


@pytest.mark.parametrize("ordering", [None, *permutations(range(3))])
def test_a_response_is_what_the_shock_makes_one_expect(ordering: tuple[int, ...] | None) -> None:
    got = MODEL.impulse_response(5, ordering)
    for j in range(3):
        given = [] if ordering is None else list(ordering[: ordering.index(j)])
        np.testing.assert_allclose(got[:, :, j], conditional_response(MODEL, 5, j, given), atol=1e-12)


def test_the_first_of_an_ordering_is_the_generalised_shock() -> None:
    for first in range(3):
        ordering = [first, *(i for i in range(3) if i != first)]
        np.testing.assert_allclose(shocks(Q, ordering)[:, first], shocks(Q)[:, first])


def test_orthogonalised_responses_add_up_to_the_variance_of_a_forecast() -> None:
    responses = MODEL.impulse_response(7, [2, 0, 1])
    covariance = MODEL.forecast(np.zeros(3), 8)[1][-1]
    np.testing.assert_allclose(np.einsum("kij,klj->il", responses, responses), covariance, rtol=1e-12)
    # Transposed, the factor has the same trace and is wrong.
    wrong = np.swapaxes(responses, 1, 2)
    assert np.abs(np.einsum("kij,klj->il", wrong, wrong) - covariance).max() > 0.01


def test_cumulative_responses_tend_to_the_long_run() -> None:
    total = MODEL.impulse_response(600, [0, 1, 2], cumulative=True)[-1]
    np.testing.assert_allclose(total, np.linalg.solve(np.eye(3) - MODEL.transition, np.linalg.cholesky(Q)), rtol=1e-9)


def test_an_objective_without_noise_has_no_shock() -> None:
    model = AffineSDE([[-0.5, 0.0], [0.3, -0.5]], [0, 0], [[0, 0], [0, 1]])
    for ordering in (None, [0, 1], [1, 0]):
        np.testing.assert_array_equal(model.impulse_response(2, ordering)[:, :, 0], 0)
        np.testing.assert_array_equal(model.own_half_lives(ordering), [np.nan, 1])


def brute_half_life(responses: np.ndarray) -> int:
    above = np.flatnonzero(np.abs(responses) > abs(responses[0]) / 2)
    return int(above[-1]) + 1


@pytest.mark.parametrize("seed", range(12))
def test_half_lives_of_own_responses_are_the_last_crossing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    F = rng.standard_normal((4, 4))
    F *= rng.uniform(0.5, 0.999) / np.abs(np.linalg.eigvals(F)).max()
    half = rng.standard_normal((4, 4))
    model = AffineSDE(F - np.eye(4), np.zeros(4), half @ half.T)
    for ordering in (None, [3, 1, 0, 2]):
        long = model.impulse_response(20_000, ordering)
        expected = [brute_half_life(long[:, j, j]) for j in range(4)]
        np.testing.assert_array_equal(model.own_half_lives(ordering), expected)


def test_half_lives_by_hand() -> None:
    def one(multiplier: float) -> float:
        return float(AffineSDE([[multiplier - 1]], [0], [[2.0]]).own_half_lives()[0])

    assert [one(0.67), one(0.4), one(0.0), one(-0.9)] == [2, 1, 1, 7]
    assert one(1 - 1e-5) == np.ceil(np.log(0.5) / np.log(1 - 1e-5))
    assert one(1 - 1e-8) == np.inf
    # 1, 0, -0.81, 0, 0.66, 0, -0.53, 0, 0.43: below half at once, and again and again before it stays there.
    turning = np.array([[0.0, -0.9], [0.9, 0.0]])
    np.testing.assert_array_equal(own_half_lives(turning, np.eye(2)), [7, 7])
    # A response that grows before it fades: (1 + 10 k 0.8^k ...) stays above for long.
    growing = np.array([[0.8, 1.0], [0.0, 0.8]])
    impact = np.array([[1.0, 0.0], [2.0, 1.0]])
    path = [(np.linalg.matrix_power(growing, k) @ impact)[0, 0] for k in range(200)]
    assert own_half_lives(growing, impact)[0] == brute_half_life(np.array(path)) > 10


def test_a_response_that_passes_through_nothing_may_come_back() -> None:
    # a^k (1 - k / 1024) is zero after 1024 iterations, and beyond half again long after.
    a = 0.9999
    slow = np.array([[a, 1.0], [0.0, a]])
    impact = np.array([[1.0, 0.0], [-a / 1024, 1.0]])
    k = np.arange(300_000)
    expected = brute_half_life(a**k * (1 - k / 1024))
    assert expected > 10_000
    assert own_half_lives(slow, impact)[0] == expected


def test_what_cannot_be_answered_is_refused() -> None:
    with pytest.raises(InputError, match="names each of the objectives 0 to 2 once"):
        MODEL.impulse_response(3, [0, 1, 1])
    with pytest.raises(InputError, match="steps >= 0"):
        MODEL.impulse_response(-1)
    with pytest.raises(InputError, match="largest is 1"):
        AffineSDE([[0.0]], [0], [[1.0]]).own_half_lives()
