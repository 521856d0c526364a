from __future__ import annotations

import numpy as np

from trimtab.dynamics.interference import interference_from_covariance, pull_and_coupling, step_covariance_parts


def covariance(rng: np.random.Generator, n: int) -> np.ndarray:
    root = rng.normal(size=(n, n))
    return root @ root.T


def test_own_pull_is_what_a_diagonal_drift_would_do() -> None:
    rng = np.random.default_rng(0)
    A, C = rng.normal(size=(3, 3)), covariance(rng, 3)
    own, coupling = pull_and_coupling(A, C)
    D = np.diag(np.diag(A))
    np.testing.assert_allclose(own, D @ C @ D)
    np.testing.assert_allclose(own + coupling, A @ C @ A.T)
    np.testing.assert_allclose(pull_and_coupling(D, C)[1], 0, atol=1e-14)


def test_parts_sum_to_the_covariance_of_steps() -> None:
    rng = np.random.default_rng(1)
    A, within, steps, noise = rng.normal(size=(3, 3)), *(covariance(rng, 3) for _ in range(3))
    states = {"transients": covariance(rng, 3), "session levels": covariance(rng, 3)}
    parts = step_covariance_parts(A, states, within, steps, noise)
    assert [*parts] == ["own pull", "coupling", "transients", "session levels", "innovations", "score noise"]
    np.testing.assert_allclose(sum(parts.values()), steps)
    np.testing.assert_allclose(parts["score noise"], 2 * noise)
    np.testing.assert_allclose(parts["transients"], A @ states["transients"] @ A.T)


def test_without_noise_innovations_are_what_least_squares_leaves() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 2))
    dx = x @ rng.normal(size=(2, 2)) + rng.normal(size=(60, 2))
    design = np.hstack([np.ones((60, 1)), x])
    beta = np.linalg.lstsq(design, dx, rcond=None)[0]
    left = np.cov(dx - design @ beta, rowvar=False, bias=True)
    C, V = np.cov(x, rowvar=False, bias=True), np.cov(dx, rowvar=False, bias=True)
    parts = step_covariance_parts(beta[1:].T, {}, C, V, np.zeros((2, 2)))
    np.testing.assert_allclose(parts["innovations"], left)


def test_with_noise_innovations_are_those_of_the_states_behind_the_scores() -> None:
    rng = np.random.default_rng(3)
    A = np.array([[-0.5, 0.2], [0.0, -0.8]])
    C, Q, R = (covariance(rng, 2) for _ in range(3))
    # Scores y = x + v: Cov(y) = C + R, and steps of y have A C A' + Q + 2 R.
    parts = step_covariance_parts(A, {}, C + R, A @ C @ A.T + Q + 2 * R, R)
    np.testing.assert_allclose(parts["innovations"], Q)


def test_interference_of_many_covariances_at_once() -> None:
    rng = np.random.default_rng(4)
    many = np.stack([covariance(rng, 3) for _ in range(5)])
    one_by_one = np.stack([interference_from_covariance(one) for one in many])
    np.testing.assert_allclose(interference_from_covariance(many), one_by_one)
