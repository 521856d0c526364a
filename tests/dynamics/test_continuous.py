from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.continuous import ContinuousAffine
from trimtab.errors import InputError

A = np.array([[-0.4, 0.6, 0.0], [-0.5, -0.7, 0.1], [0.0, -0.1, -0.3]])
b = np.array([2.0, 3.0, 1.0])
S = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.05], [0.0, 0.05, 0.4]])
EQUATION = ContinuousAffine(A, b, S)


@pytest.mark.parametrize("dt", [0.1, 1.0, 4.0])
def test_the_stationary_law_is_that_of_every_exact_loop(dt: float) -> None:
    mean, covariance = EQUATION.stationary()
    loop_mean, loop_covariance = EQUATION.to_discrete(dt).stationary()
    np.testing.assert_allclose(loop_mean, mean, rtol=1e-10)
    np.testing.assert_allclose(loop_covariance, covariance, rtol=1e-10)
    np.testing.assert_allclose(A @ covariance + covariance @ A.T, -S, atol=1e-12)
    # A loop that is only close has another one, by more than rounding.
    assert np.abs(EQUATION.euler(0.1).stationary()[1] - covariance).max() > 1e-3


@pytest.mark.parametrize("dt", [0.25, 1.0])
def test_two_short_steps_make_a_long_one(dt: float) -> None:
    short, long = EQUATION.to_discrete(dt / 2), EQUATION.to_discrete(dt)
    mean, covariance = short.forecast(np.array([5.0, 4.0, 8.0]), 2)
    np.testing.assert_allclose(mean[-1], long.step_law([5.0, 4.0, 8.0])[0], rtol=1e-12)
    np.testing.assert_allclose(covariance[-1], long.Q, rtol=1e-12)


def test_euler_steps_converge_to_the_equation_at_first_order() -> None:
    exact = EQUATION.to_discrete(1.0)
    errors = []
    for steps in (64, 128):
        loop = EQUATION.euler(1 / steps)
        mean, covariance = loop.forecast(np.zeros(3), steps)
        errors.append([np.abs(mean[-1] - exact.b).max(), np.abs(covariance[-1] - exact.Q).max()])
    np.testing.assert_allclose(np.divide(*errors), 2, rtol=0.05)


def test_the_eigenvalues_are_the_logarithms_of_the_multipliers() -> None:
    loop = EQUATION.to_discrete(0.5)
    multipliers = np.exp(0.5 * EQUATION.eigenvalues)
    np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(loop.transition)), np.sort_complex(multipliers))
    back = loop.to_continuous()
    np.testing.assert_allclose(back.eigenvalues, EQUATION.eigenvalues, rtol=1e-9)
    assert back.rate == pytest.approx(EQUATION.rate)
    assert back.stable


def test_what_is_no_equation_is_refused() -> None:
    with pytest.raises(InputError, match="S must be symmetric"):
        ContinuousAffine([[-1.0]], [0.0], [[-1.0]])
    for dt in (0.0, np.inf, -1.0):
        with pytest.raises(InputError, match="dt must be positive"):
            EQUATION.to_discrete(dt)
        with pytest.raises(InputError, match="dt must be positive"):
            EQUATION.euler(dt)
    with pytest.raises(InputError, match=r"largest is 0\.1"):
        ContinuousAffine([[0.1]], [0.0], [[1.0]]).stationary()
    with pytest.raises(InputError, match="singular"):
        _ = ContinuousAffine([[0.0]], [1.0], [[1.0]]).equilibrium


def test_the_equation_cannot_be_changed_from_outside() -> None:
    with pytest.raises(ValueError, match="read-only"):
        EQUATION.A[0, 0] = 1


def test_the_paths_between_iterations_are_those_of_many_small_steps() -> None:
    loop = EQUATION.to_discrete(1.0)
    fine = loop.to_continuous().euler(1 / 256)
    x = np.tile([5.0, 4.0, 8.0], (20_000, 1))
    rng = np.random.default_rng(0)
    for _ in range(256):
        x = fine.step(x, rng.standard_normal(x.shape))
    mean, Q = loop.step_law([5.0, 4.0, 8.0])
    assert (np.abs(x.mean(axis=0) - mean) / np.sqrt(np.diagonal(Q) / 20_000)).max() < 6
    d = np.diagonal(Q)
    bound = 6 * np.sqrt((Q**2 + d[:, None] * d) / 20_000) + 2 / 256
    assert (np.abs(np.cov(x, rowvar=False) - Q) < bound).all()
    # Without the noise's square root of dt the covariance is off by far more.
    assert isinstance(fine, AffineSDE)
    assert (np.abs(np.cov(x, rowvar=False) * 16 - Q) > bound).any()
    assert scipy.linalg.norm(fine.A - A) < 1e-9
