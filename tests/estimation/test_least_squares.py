from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.sandwich_covariance import cov_cluster
from statsmodels.tsa.api import VAR

from simulated import COMPLEX, REAL, panel
from trimtab.core.trajectories import Trajectories
from trimtab.estimation.least_squares import (
    cluster_covariance,
    estimate,
    independent_objectives,
    varying_objectives,
)
from trimtab.estimation.moments import session_moments


@pytest.mark.parametrize("model", [REAL, COMPLEX])
@pytest.mark.parametrize("dt", [1.0, 0.5])
def test_the_same_numbers_as_lstsq(model, dt: float) -> None:
    steps = panel(model, sessions=40).steps()
    m = session_moments(steps)
    got = estimate(m.total, m.center, m.scale, dt)
    Z = np.hstack([np.ones((len(steps), 1)), steps.x])
    beta, *_ = np.linalg.lstsq(Z, steps.dx, rcond=None)
    residual = steps.dx - Z @ beta
    np.testing.assert_allclose(got.A, beta[1:].T / dt, rtol=0, atol=1e-8)
    np.testing.assert_allclose(got.b, beta[0] / dt, rtol=0, atol=1e-8)
    np.testing.assert_allclose(got.Q, residual.T @ residual / (len(steps) - 4), rtol=0, atol=1e-8)
    np.testing.assert_allclose(got.step_covariance, np.cov(steps.dx, rowvar=False, bias=True), atol=1e-10)
    levels = steps.x + steps.dx
    np.testing.assert_allclose(got.total_levels, ((levels - levels.mean(axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(got.total_steps, ((steps.dx - steps.dx.mean(axis=0)) ** 2).sum(axis=0))


def test_the_same_numbers_as_a_vector_autoregression_on_one_long_series() -> None:
    series = panel(sessions=1, steps=2000).scores
    m = session_moments(panel(sessions=1, steps=2000).steps())
    got = estimate(m.total, m.center, m.scale)
    fitted = VAR(series).fit(1)
    np.testing.assert_allclose(np.eye(3) + got.A, fitted.coefs[0], rtol=0, atol=1e-8)
    np.testing.assert_allclose(got.b, fitted.intercept, rtol=0, atol=1e-8)
    np.testing.assert_allclose(got.Q, fitted.sigma_u, rtol=0, atol=1e-8)


def test_the_same_clustered_errors_as_statsmodels() -> None:
    steps = panel(sessions=25).steps()
    m = session_moments(steps, np.zeros(3), np.ones(3))
    V = cluster_covariance(m)
    for j in range(3):
        result = sm.OLS(steps.dx[:, j], sm.add_constant(steps.x)).fit()
        expected = cov_cluster(result, steps.session, use_correction=True)
        np.testing.assert_allclose(V[j::3, j::3], expected, rtol=1e-8)


def test_the_same_coefficients_and_clustered_errors_as_pyfixest() -> None:
    kept = json.loads((Path(__file__).parents[1] / "golden" / "pyfixest.json").read_text())
    scores = np.array(kept["scores"])
    m = session_moments(Trajectories.from_arrays(scores, ["a", "b"]).steps(), np.zeros(2), np.ones(2))
    found, errors = estimate(m.total, m.center, m.scale), np.sqrt(np.diagonal(cluster_covariance(m)))
    for j, one in enumerate(kept["fits"].values()):
        np.testing.assert_allclose([found.b[j], *found.A[j]], one["coefficients"], rtol=1e-8)
        np.testing.assert_allclose(errors[j::2], one["errors"], rtol=1e-8)


def test_scores_far_from_zero_lose_no_precision() -> None:
    near = panel(sessions=40)
    steps = near.steps()
    m = session_moments(steps)
    far = session_moments(type(steps)(steps.x + 1e6, steps.dx, steps.session, steps.strategy, steps.iteration))
    np.testing.assert_allclose(
        estimate(far.total, far.center, far.scale).A, estimate(m.total, m.center, m.scale).A, atol=1e-7
    )


def test_what_the_steps_cannot_tell_is_noticed() -> None:
    steps = panel(sessions=30).steps()
    assert independent_objectives(session_moments(steps).total).all()
    x, dx = steps.x.copy(), steps.dx.copy()
    x[:, 2], dx[:, 2] = 3 * x[:, 0] + 7, 3 * dx[:, 0]
    m = session_moments(type(steps)(x, dx, steps.session, steps.strategy, steps.iteration))
    assert varying_objectives(m.total).all()
    assert independent_objectives(m.total).tolist() == [True, True, False]
    x[:, 2] = 4.2
    m = session_moments(type(steps)(x, dx, steps.session, steps.strategy, steps.iteration))
    assert varying_objectives(m.total).tolist() == [True, True, False]
    np.testing.assert_array_equal(estimate(m.total, m.center, m.scale).A[:, 2], 0)
