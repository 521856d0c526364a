from __future__ import annotations

import numpy as np
import pytest

from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError

A = np.array([[-0.4, 0.1, 0.0], [0.2, -0.7, 0.1], [0.0, -0.1, -0.3]])
b = np.array([2.0, 3.0, 1.0])
Q = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.05], [0.0, 0.05, 0.4]])


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_drift_vanishes_at_the_equilibrium(dt: float) -> None:
    model = AffineSDE(A, b, Q, dt)
    np.testing.assert_allclose(model.drift(model.equilibrium), 0, atol=1e-12)


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_forecast_matches_simulated_moments(dt: float) -> None:
    model = AffineSDE(A, b, Q, dt)
    paths = model.simulate(np.tile([5.0, 4.0, 8.0], (40_000, 1)), 5, np.random.default_rng(0))
    mean, covariance = model.forecast([5.0, 4.0, 8.0], 5)
    error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)[1:] / 40_000)
    assert (np.abs(paths.mean(axis=0) - mean)[1:] / error).max() < 6
    for k in range(1, 6):
        got = np.cov(paths[:, k], rowvar=False)
        d = np.diagonal(covariance[k])
        # Sampling variance of a Gaussian covariance entry: (C_ij^2 + C_ii C_jj) / N.
        bound = 6 * np.sqrt((covariance[k] ** 2 + d[:, None] * d) / 40_000)
        assert (np.abs(got - covariance[k]) < bound).all()


def test_the_stationary_law_is_the_limit_of_the_forecast() -> None:
    model = AffineSDE(A, b, Q)
    mean, covariance = model.forecast([0.0, 0.0, 0.0], 400)
    limit_mean, limit_covariance = model.stationary()
    np.testing.assert_allclose(mean[-1], limit_mean, rtol=1e-9)
    np.testing.assert_allclose(covariance[-1], limit_covariance, rtol=1e-9)


def test_a_singular_innovation_covariance_is_allowed() -> None:
    model = AffineSDE([[-0.5, 0], [0, -0.5]], [1, 1], [[1, 1], [1, 1]])
    paths = model.simulate(np.zeros((100, 2)), 3, np.random.default_rng(0))
    np.testing.assert_allclose(paths[..., 0], paths[..., 1], atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([[1.0, 2.0]], [1.0], [[1.0]]), "shapes"),
        (([[np.nan]], [1.0], [[1.0]]), "finite"),
        (([[-1.0]], [1.0], [[-1.0]]), "positive semidefinite"),
        (([[-1.0, 0], [0, -1.0]], [1.0, 1.0], [[1.0, 0.5], [0.2, 1.0]]), "symmetric"),
        (([[-1.0]], [1.0], [[1.0]], 0.0), "dt"),
    ],
)
def test_what_is_no_model_is_refused(arguments: tuple, match: str) -> None:
    with pytest.raises(InputError, match=match):
        AffineSDE(*arguments)


def test_no_equilibrium_and_no_stationary_law_where_there_are_none() -> None:
    with pytest.raises(InputError, match="singular"):
        _ = AffineSDE([[0.0]], [1.0], [[1.0]]).equilibrium
    with pytest.raises(InputError, match="1\\.1"):
        AffineSDE([[0.1]], [1.0], [[1.0]]).stationary()


def test_the_model_cannot_be_changed_from_outside() -> None:
    matrix = A.copy()
    model = AffineSDE(matrix, b, Q)
    matrix[0, 0] = 9
    assert model.A[0, 0] == A[0, 0]
    with pytest.raises(ValueError, match="read-only"):
        model.A[0, 0] = 1


def test_the_equilibrium_does_not_depend_on_units() -> None:
    unit = np.array([1e-7, 1.0, 1e7])
    scaled = AffineSDE(A * unit[:, None] / unit, b * unit, Q * unit[:, None] * unit)
    np.testing.assert_allclose(scaled.equilibrium, AffineSDE(A, b, Q).equilibrium * unit, rtol=1e-9)


@pytest.mark.parametrize("x", [[5.0], 5.0, [[5.0, 5.0]]])
def test_a_forecast_starts_from_states_of_all_scores(x: object) -> None:
    with pytest.raises(InputError, match="states of 3 scores"):
        AffineSDE(A, b, Q).forecast(x, 3)


def test_many_starts_are_forecast_as_each_alone() -> None:
    model = AffineSDE(A, b, Q, 0.5)
    starts = np.random.default_rng(0).normal(5, 2, (2, 4, 3))
    mean, covariance = model.forecast(starts, 6)
    assert mean.shape == (2, 4, 7, 3)
    alone, same = model.forecast(starts[1, 2], 6)
    np.testing.assert_allclose(mean[1, 2], alone, rtol=1e-13)
    np.testing.assert_array_equal(covariance, same)
    np.testing.assert_array_equal(model.step_law(starts)[0], mean[..., 1, :])
    np.testing.assert_array_equal(model.step_law(starts)[1], covariance[1])


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_autocovariances_are_those_of_the_stacked_stationary_path(dt: float) -> None:
    model = AffineSDE(A, b, Q, dt)
    lags, n = 4, model.n
    got = model.autocovariance(lags)
    # The path x_0..x_4 is a linear map of x_0 and the innovations, all independent.
    F = model.transition
    shape = np.zeros(((lags + 1) * n, (lags + 1) * n))
    for t in range(lags + 1):
        for s in range(t + 1):
            shape[t * n : (t + 1) * n, s * n : (s + 1) * n] = np.linalg.matrix_power(F, t - s)
    source = np.kron(np.eye(lags + 1), Q)
    source[:n, :n] = sum(np.linalg.matrix_power(F, k) @ Q @ np.linalg.matrix_power(F, k).T for k in range(2_000))
    path = (shape @ source @ shape.T).reshape(lags + 1, n, lags + 1, n)
    for k in range(lags + 1):
        np.testing.assert_allclose(got[k], path[k, :, 0], rtol=1e-9)
        np.testing.assert_allclose(got[k], path[lags, :, lags - k], rtol=1e-9)
        # The transpose is the covariance with a later state, another matrix.
        assert k == 0 or np.abs(got[k] - path[0, :, k]).max() > 0.01


def test_the_stationary_law_does_not_depend_on_units() -> None:
    unit = np.array([1e-9, 1.0, 1e9])
    scaled = AffineSDE(A * unit[:, None] / unit, b * unit, Q * unit[:, None] * unit)
    np.testing.assert_allclose(
        scaled.stationary()[1], AffineSDE(A, b, Q).stationary()[1] * unit[:, None] * unit, rtol=1e-9
    )
