from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from simulated import COMPLEX, REAL, panel
from trimtab.core.trajectories import Steps
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import FitError, InputError
from trimtab.estimation import least_squares as ls
from trimtab.estimation.moments import session_moments
from trimtab.estimation.tobit import _both_below, _pair_correlation, estimate

LOW, HIGH = 4.0, 6.0


def clipped(model: AffineSDE = REAL, sessions: int = 60, low=LOW, high=HIGH, seed: int = 0, T: int = 10) -> Steps:
    rng = np.random.default_rng(seed)
    path = [np.clip(rng.normal(5, 1, (sessions, model.n)), low, high)]
    root = np.linalg.cholesky(model.Q)
    for _ in range(T):
        noise = rng.standard_normal(path[-1].shape) @ root.T
        path.append(np.clip(path[-1] + model.drift(path[-1]) * model.dt + noise, low, high))
    y = np.stack(path, axis=1)
    return Steps(
        x=y[:, :-1].reshape(-1, model.n),
        dx=np.diff(y, axis=1).reshape(-1, model.n),
        session=np.repeat(np.arange(sessions), T),
        strategy=np.zeros(sessions * T, dtype=np.int64),
        iteration=np.tile(np.arange(T), sessions),
    )


def joined(estimate) -> np.ndarray:
    return np.hstack([estimate.b[:, None], estimate.A])


def log_likelihood(parameters: np.ndarray, steps: Steps, j: int, low: float, high: float) -> float:
    """The definition, row by row."""
    *theta, log_sigma = parameters
    sigma, total = np.exp(log_sigma), 0.0
    for x, dx in zip(steps.x, steps.dx, strict=True):
        mean, y = x[j] + theta[0] + np.dot(theta[1:], x), x[j] + dx[j]
        if y <= low:
            total += scipy.stats.norm.logcdf((low - mean) / sigma)
        elif y >= high:
            total += scipy.stats.norm.logsf((high - mean) / sigma)
        else:
            total += scipy.stats.norm.logpdf((y - mean) / sigma) - log_sigma
    return total


@pytest.mark.parametrize("dt", [1.0, 0.5])
@pytest.mark.parametrize("bound", [np.inf, 1e3])
def test_without_scores_at_a_bound_it_is_least_squares(dt: float, bound: float) -> None:
    steps = panel(COMPLEX, sessions=30).steps()
    m = session_moments(steps, np.zeros(3), np.ones(3))
    plain, got = ls.estimate(m.total, m.center, m.scale, dt), estimate(steps, -bound, bound, dt)
    np.testing.assert_allclose(got.A, plain.A, atol=1e-10)
    np.testing.assert_allclose(got.b, plain.b, atol=1e-9)
    np.testing.assert_allclose(got.Q, plain.Q, atol=1e-10)
    # There the coefficients are ordered by regressor first.
    by_equation = np.arange(12).reshape(4, 3).T.ravel()
    np.testing.assert_allclose(
        got.covariance, ls.cluster_covariance(m)[np.ix_(by_equation, by_equation)] / dt**2, rtol=1e-6, atol=1e-12
    )
    assert not got.iterations.any()


def test_it_is_the_maximum_of_the_likelihood() -> None:
    steps = clipped(sessions=12)
    got = estimate(steps, LOW, HIGH)
    assert (got.at_low + got.at_high > 10).any()
    for j in range(3):
        sigma = np.sqrt(got.Q[j, j] * (120 - 4) / 120)
        at = np.append(joined(got)[j], np.log(sigma))
        found = scipy.optimize.minimize(lambda p, j=j: -log_likelihood(p, steps, j, LOW, HIGH), at, method="BFGS")
        assert -found.fun - log_likelihood(at, steps, j, LOW, HIGH) < 1e-6
        np.testing.assert_allclose(found.x, at, atol=2e-3)


def test_the_covariance_is_the_sandwich_over_sessions() -> None:
    steps = clipped(AffineSDE([[-0.4]], [2.1], [[0.4]]), sessions=15, seed=3)
    got = estimate(steps, LOW, HIGH)
    sigma = np.sqrt(got.Q[0, 0] * (150 - 2) / 150)
    at = np.append(joined(got)[0], np.log(sigma))
    h = 1e-4

    def gradient(which: Steps, point: np.ndarray) -> np.ndarray:
        return np.array(
            [
                log_likelihood(point + h * unit, which, 0, LOW, HIGH)
                - log_likelihood(point - h * unit, which, 0, LOW, HIGH)
                for unit in np.eye(3)
            ]
        ) / (2 * h)

    hessian = np.array([gradient(steps, at + h * u) - gradient(steps, at - h * u) for u in np.eye(3)]) / (2 * h)
    scores = np.array([gradient(steps.where(steps.session == s), at) for s in range(15)])
    bread = np.linalg.inv(hessian)
    expected = 15 / 14 * 149 / 148 * bread @ scores.T @ scores @ bread
    np.testing.assert_allclose(got.covariance, expected[:2, :2], rtol=1e-3)


def test_units_origins_and_time_do_not_matter() -> None:
    steps, unit, shift = clipped(), np.array([2.0, 1e-3, 50.0]), np.array([100.0, -1.0, 3.0])
    plain = estimate(steps, LOW, HIGH)
    other = estimate(
        replace(steps, x=steps.x * unit + shift, dx=steps.dx * unit), LOW * unit + shift, HIGH * unit + shift, 0.1
    )
    A = plain.A * unit[:, None] / unit / 0.1
    np.testing.assert_allclose(other.A, A, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(other.b, plain.b * unit / 0.1 - A @ shift, rtol=1e-5)
    np.testing.assert_allclose(other.Q, plain.Q * unit[:, None] * unit, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("rho", [-0.95, -0.5, 0.0, 0.3, 0.9])
def test_the_bivariate_normal_integral(rho: float) -> None:
    h, k = (part.ravel() for part in np.meshgrid([-3.0, -1.0, 0.0, 0.7, 2.5], [-2.0, -0.3, 0.0, 1.5]))
    cov = [[1.0, rho], [rho, 1.0]]
    expected = [scipy.stats.multivariate_normal.cdf([a, b], cov=cov) for a, b in zip(h, k, strict=True)]
    np.testing.assert_allclose(_both_below(h, k, np.full(len(h), rho)), expected, atol=2e-6)


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.6])
def test_correlations_are_found_behind_the_bounds(rho: float) -> None:
    rng = np.random.default_rng(1)
    e, f = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 20_000).T
    side_e, side_f = np.where(e < -0.5, 1, 0), np.where(f > 0.8, -1, np.where(f < -1, 1, 0))
    got = _pair_correlation(np.maximum(e, -0.5), np.clip(f, -1, 0.8), side_e, side_f)
    assert abs(got - rho) < 6 * 1.3 / np.sqrt(20_000)
    # Rows with both inside alone would say something else.
    inside = (side_e == 0) & (side_f == 0)
    assert rho == 0 or abs(np.corrcoef(e[inside], f[inside])[0, 1] - rho) > 0.1


def test_innovations_of_all_pairs_make_a_covariance() -> None:
    model = AffineSDE(-0.5 * np.eye(4), np.full(4, 2.5), 0.3 * np.eye(4) + 0.65)
    got = estimate(clipped(model, sessions=8, seed=2, T=4), LOW, HIGH)
    assert np.linalg.eigvalsh(got.Q)[0] > -1e-12
    np.testing.assert_array_equal(got.Q, got.Q.T)


def test_far_out_bounds_and_outliers_stay_finite() -> None:
    steps = clipped(sessions=20)
    steps.dx[0, 0], steps.dx[7, 1] = -1e6, 1e9
    got = estimate(steps, LOW, HIGH)
    assert np.isfinite(got.A).all()
    assert np.isfinite(got.covariance).all()
    # Beyond the bound is at the bound.
    steps.dx[0, 0], steps.dx[7, 1] = LOW - steps.x[0, 0], HIGH - steps.x[7, 1]
    np.testing.assert_allclose(got.A, estimate(steps, LOW, HIGH).A, atol=1e-9)


def test_draws_have_the_covariance_and_depend_on_seed_and_key_alone() -> None:
    got = estimate(clipped(), LOW, HIGH)
    A, b = got.draws(20_000, 3, "EF")
    flat = np.concatenate([b[..., None], A], axis=-1).reshape(20_000, -1)
    error = np.sqrt(np.diagonal(got.covariance))
    assert np.abs((flat.mean(axis=0) - joined(got).ravel()) / error).max() < 6 / np.sqrt(20_000)
    assert np.abs(
        np.cov(flat, rowvar=False) / error[:, None] / error - got.covariance / error[:, None] / error
    ).max() < (6 * np.sqrt(2 / 20_000))
    np.testing.assert_array_equal(got.draws(5, 3, "EF")[0], got.draws(5, 3, "EF")[0])
    assert not np.array_equal(got.draws(5, 3, "EF")[0], got.draws(5, 3, "SF")[0])


def test_one_session_has_no_covariance() -> None:
    got = estimate(clipped(sessions=1, T=60), LOW, HIGH)
    assert np.isfinite(got.A).all()
    assert np.isnan(got.covariance).all()
    assert np.isnan(got.draws(2, 0)[0]).all()


def test_what_cannot_be_fitted_is_said() -> None:
    steps = clipped(sessions=10)
    with pytest.raises(InputError, match="low < high"):
        estimate(steps, HIGH, LOW)
    with pytest.raises(InputError, match="low < high"):
        estimate(steps, np.nan, HIGH)
    with pytest.raises(FitError, match="at least 5 complete steps"):
        estimate(steps.where(np.arange(100) < 4), LOW, HIGH)
    with pytest.raises(FitError, match="differ between the starts"):
        estimate(replace(steps, x=np.where([True, False, True], steps.x, 5.0)), LOW, HIGH)
    with pytest.raises(FitError, match="linear combination"):
        estimate(replace(steps, x=steps.x[:, [0, 1, 1]]), LOW, HIGH)
    with pytest.raises(FitError, match="objective 1 is at a bound after all but 0 of 100 steps"):
        estimate(replace(steps, dx=np.where([False, True, False], HIGH - steps.x, steps.dx)), LOW, HIGH)
    with pytest.raises(InputError, match="bounds"):
        estimate(steps, [0.0, 1.0], HIGH)
