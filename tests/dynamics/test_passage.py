from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.passage import FirstPassage, path_law, sampled_passage, scalar_passage
from trimtab.errors import InputError

A = np.array([[-0.4, 0.1, 0.0], [0.2, -0.7, 0.1], [0.0, -0.1, -0.3]])
b = np.array([2.0, 3.0, 1.0])
Q = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.05], [0.0, 0.05, 0.4]])
START = np.array([3.0, 3.0, 1.0])
MODEL = AffineSDE(A, b, Q, 0.5)


def scalar(*arguments: float, steps: int) -> FirstPassage:
    passage = scalar_passage(*arguments, steps)
    assert passage is not None
    assert passage.exact
    return passage


def reached(model: AffineSDE, C: np.ndarray, level: np.ndarray, steps: int, runs: int, seed: int = 0) -> np.ndarray:
    """Return the share of simulated runs that have reached the target by each iteration, (steps + 1,)."""
    x = np.tile(START[: model.n], (runs, 1))
    rng = np.random.default_rng(seed)
    done = (x @ C.T >= level).all(axis=1)
    share = [done.mean()]
    for _ in range(steps):
        x = model.step(x, rng.standard_normal(x.shape))
        done |= (x @ C.T >= level).all(axis=1)
        share.append(done.mean())
    return np.array(share)


def largest_z(passage: FirstPassage, share: np.ndarray, runs: int) -> float:
    error = np.sqrt(np.maximum(share * (1 - share), 1 / runs) / runs + passage.error**2)
    return float((np.abs(passage.probability - share) / error).max())


def test_without_memory_the_time_is_geometric() -> None:
    passage = scalar(0.0, 2.0, 1.5, -40.0, 4.0, steps=30)
    p = ndtr((2.0 - 4.0) / 1.5)
    np.testing.assert_allclose(passage.probability, 1 - (1 - p) ** np.arange(31), atol=1e-13)
    assert passage.mean == pytest.approx(1 / p, rel=1e-11)
    assert passage.error.max() < 1e-12


def test_a_walk_that_starts_at_the_level_returns_by_the_law_of_sparre_andersen() -> None:
    passage = scalar(1.0, 0.0, 0.7, 5.0 - 1e-14, 5.0, steps=60)
    stays = [comb(2 * k, k) / 4**k for k in range(61)]
    np.testing.assert_allclose(1 - passage.probability, stays, atol=1e-12)
    assert np.isnan(passage.mean)


def test_a_walk_far_from_the_level_passes_as_reflection_says() -> None:
    # Brownian motion to a level moved up by 0.5826 of a step, what a walk overshoots by on average.
    passage = scalar(1.0, 0.0, 1.0, 0.0, 12.0, steps=200)
    k = np.arange(1, 201)
    corrected, plain = (2 * ndtr(-(12.0 + beyond) / np.sqrt(k)) for beyond in (0.5826, 0.0))
    assert np.abs(passage.probability[1:] - corrected).max() < 1e-3
    assert np.abs(passage.probability[1:] - plain).max() > 0.02


@pytest.mark.parametrize("phi", [0.95, 0.5, -0.6, 1.1, -1.2])
def test_a_few_steps_are_orthant_probabilities(phi: float) -> None:
    passage = scalar(phi, 0.4, 0.8, 0.5, 1.5, steps=3)
    mean, covariance = path_law(np.array([[phi]]), np.array([0.4]), np.array([[0.64]]), np.array([0.5]), np.eye(1), 3)
    for k in (1, 2, 3):
        law = multivariate_normal(mean[:k, 0], covariance[:k, :k], abseps=1e-8, releps=1e-8, maxpts=400_000, seed=1)
        assert passage.probability[k] == pytest.approx(1 - law.cdf(np.full(k, 1.5)), abs=3e-7)


def test_mass_is_neither_lost_nor_made() -> None:
    for phi in (0.99, 0.3, -0.8, 1.0, 1.05):
        assert scalar(phi, 0.1, 0.5, 0.0, 3.0, steps=40).error.max() < 1e-12


def test_the_mean_is_the_sum_of_all_that_is_still_on_its_way() -> None:
    for phi, mu in ((0.67, 1.4), (-0.5, 3.0), (0.9, 0.3)):
        passage = scalar(phi, mu, 0.6, -1.0, 3.0, steps=4_000)
        assert passage.never < 1e-9
        assert passage.mean == pytest.approx(passage.restricted_mean, rel=1e-7)
        assert passage.mean_if_reached == pytest.approx(passage.restricted_mean, rel=1e-7)


def test_a_mean_beyond_what_can_be_computed_is_not_given() -> None:
    rare = scalar(0.5, 0.0, 1.0, 0.0, 12.0, steps=5)
    assert np.isnan(rare.mean)
    assert 0 < rare.probability[-1] < 1e-20
    assert scalar_passage(1.5, 0.0, 1.0, 0.0, 1.0, 60) is None


def test_the_sampled_law_of_a_chain_is_that_of_the_quadrature() -> None:
    for phi, mu, s, level, steps in ((0.7, 2.1, 0.5, 7.0, 20), (0.97, 0.1, 0.4, 6.0, 120), (-0.5, 3.0, 0.7, 4.0, 10)):
        exact = scalar(phi, mu, s, 3.0, level, steps=steps)
        law = path_law(np.array([[phi]]), np.array([mu]), np.array([[s * s]]), np.array([3.0]), np.eye(1), steps)
        sampled = sampled_passage(*law, np.array([3.0]), np.array([level]), 0, 8_192)
        assert not sampled.exact
        assert sampled.error.max() < 2e-3
        # Student's t of 7 degrees of freedom beyond 15 has probability 1e-6.
        assert (np.abs(sampled.probability - exact.probability)[1:] <= 15 * sampled.error[1:] + 1e-9).all()


def test_rare_passages_keep_their_digits() -> None:
    exact = scalar(0.5, 0.0, 1.0, 0.0, 7.0, steps=10)
    law = path_law(np.array([[0.5]]), np.zeros(1), np.eye(1), np.zeros(1), np.eye(1), 10)
    sampled = sampled_passage(*law, np.zeros(1), np.array([7.0]), 0, 65_536)
    np.testing.assert_allclose(sampled.probability[1:], exact.probability[1:], rtol=0.2)
    assert sampled.probability[-1] < 1e-7


def test_the_law_of_paths_is_that_of_the_innovations_they_are_made_of() -> None:
    steps, C = 4, np.array([[1.0, 2.0, -1.0], [0.0, 1.0, 0.0]])
    F, c = MODEL.transition, MODEL.b * MODEL.dt
    mean, covariance = path_law(F, c, Q, START, C, steps)
    power = [np.linalg.matrix_power(F, k) for k in range(steps + 1)]
    shape = np.block([[C @ power[t - s] if t >= s else np.zeros((2, 3)) for s in range(steps)] for t in range(steps)])
    np.testing.assert_allclose(covariance, shape @ np.kron(np.eye(steps), Q) @ shape.T, atol=1e-12)
    np.testing.assert_allclose(mean, MODEL.forecast(START, steps)[0][1:] @ C.T, rtol=1e-12)


@pytest.mark.parametrize(
    ("score", "level"), [([1.0, 0.0, 0.0], 6.8), ([1.0, 1.0, 1.0], 15.0), ([0.0, 0.0, -1.0], -0.2), (None, 2.0)]
)
def test_three_objectives_pass_as_often_as_simulated_ones(score: list[float] | None, level: float) -> None:
    C = np.eye(3) if score is None else np.array([score])
    levels = np.array([6.0, 5.5, 1.0]) if score is None else np.array([level])
    passage = MODEL.first_passage(START, levels, 20, score=score)
    assert 0.05 < passage.never < 0.95
    assert passage.error.max() < (2e-3 if score is None else 5e-4)
    runs = 40_000
    assert largest_z(passage, reached(MODEL, C, levels, 20, runs), runs) < 6
    faults = (
        AffineSDE(A, b, Q * np.sqrt(MODEL.dt), MODEL.dt),
        AffineSDE(A.T, b, Q, MODEL.dt),
    )
    for fault in faults:
        assert largest_z(passage, reached(fault, C, levels, 20, runs), runs) > 6


def test_two_steps_of_two_scores_are_sums_of_orthant_probabilities() -> None:
    C, level = np.eye(3)[:2], np.array([4.2, 4.0])
    passage = MODEL.first_passage(START, level, 2, score=C, points=2**17)
    mean, covariance = path_law(MODEL.transition, MODEL.b * MODEL.dt, Q, START, C, 2)

    def above(*which: int) -> float:
        at = list(which)
        law = multivariate_normal(-mean.ravel()[at], covariance[np.ix_(at, at)], abseps=1e-7, maxpts=10**6, seed=0)
        return float(law.cdf(-np.tile(level, 2)[at]))

    expected = [0.0, above(0, 1), above(0, 1) + above(2, 3) - above(0, 1, 2, 3)]
    assert 0.1 < expected[2] < 0.9
    np.testing.assert_allclose(passage.probability, expected, atol=5e-4)
    assert (np.abs(passage.probability - expected) <= 15 * passage.error + 1e-6).all()


def test_a_score_that_is_a_chain_of_its_own_is_answered_by_quadrature() -> None:
    # Rows of the transition's left eigenvectors: sums here, because A has constant column sums.
    loop = AffineSDE([[-0.5, 0.2], [0.1, -0.6]], [1.0, 1.0], [[0.3, 0.1], [0.1, 0.2]])
    passage = loop.first_passage([1.0, 2.0], 6.0, 12, score=[1.0, 1.0])
    assert passage.exact
    alone = AffineSDE([[-0.4]], [2.0], [[0.7]]).first_passage([3.0], 6.0, 12)
    np.testing.assert_allclose(passage.probability, alone.probability, atol=1e-12)
    assert passage.mean == pytest.approx(alone.mean)
    assert not loop.first_passage([1.0, 2.0], 6.0, 12, score=[1.0, 1.1], points=64).exact


def test_without_noise_the_path_decides() -> None:
    loop = AffineSDE(A, b, np.zeros((3, 3)))
    path = loop.forecast(START, 12)[0]
    for C, level in ((np.eye(3)[:1], np.array([6.4])), (np.eye(3)[:2], np.array([5.0, 5.5])), (np.eye(3)[:1], [99.0])):
        passage = loop.first_passage(START, level, 12, score=C)
        expected = np.logical_or.accumulate((path @ C.T >= level).all(axis=1))
        np.testing.assert_array_equal(passage.probability, expected)
        assert passage.exact
        assert not passage.error.any()
    assert passage.never == 1
    assert np.isnan([passage.median, passage.mean_if_reached]).all()


def test_noise_of_lower_rank_is_no_obstacle() -> None:
    loop = AffineSDE(A, b, np.outer([1.0, 0.5, 0.0], [1.0, 0.5, 0.0]) * 0.3)
    C, level = np.eye(3)[[2, 0]], np.array([1.2, 6.8])
    passage = loop.first_passage(START, level, 15, score=C)
    assert 0.05 < passage.never < 0.95
    assert largest_z(passage, reached(loop, C, level, 15, 40_000), 40_000) < 6


def test_who_starts_at_the_target_is_there() -> None:
    for passage in (MODEL.first_passage(START, 1.0, 5), AffineSDE([[-0.3]], [2.0], [[1.0]]).first_passage([3], 3, 5)):
        np.testing.assert_array_equal(passage.probability, 1)
        assert (passage.median, passage.mean, passage.restricted_mean, passage.never) == (0, 0, 0, 0)


def test_figures_of_a_law_by_hand() -> None:
    passage = FirstPassage(np.array([0.0, 0.2, 0.6, 0.8]), np.zeros(4), True, float("nan"))
    np.testing.assert_allclose(passage.mass, [0, 0.2, 0.4, 0.2])
    assert (passage.steps, passage.median, passage.quantile(0.2)) == (3, 2, 1)
    assert np.isnan(passage.quantile(0.9))
    assert passage.never == pytest.approx(0.2)
    assert passage.restricted_mean == pytest.approx(0.2 * 1 + 0.4 * 2 + 0.4 * 3)
    assert passage.mean_if_reached == pytest.approx((0.2 * 1 + 0.4 * 2 + 0.2 * 3) / 0.8)


def test_a_seed_names_the_numbers() -> None:
    one, same, other = (MODEL.first_passage(START, 5.0, 6, seed=s, points=256).probability for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([1.0, 2.0], 3.0, 5), "a start of 3 scores"),
        ((START, [1.0, 2.0], 5), "one level or one for each row"),
        ((START, np.nan, 5), "finite"),
        ((START, 3.0, 0), "steps >= 1"),
        ((START, 3.0, 1001), "up to 3000"),
    ],
)
def test_bad_input_is_refused(arguments: tuple, match: str) -> None:
    with pytest.raises(InputError, match=match):
        MODEL.first_passage(*arguments)
