from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from trimtab.control.censoring import least_distance


def test_the_least_distance_is_that_of_a_bounded_minimiser() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(40, 4, 4))
    S = root @ root.swapaxes(-1, -2) + 0.3 * np.eye(4)
    r = rng.normal(size=(40, 4)) * 2
    ends = rng.integers(0, 3, (40, 4))
    found = least_distance(r, S, ends == 1, ends == 2)
    for i in range(40):
        P = np.linalg.inv(S[i])
        bounds = [(-np.inf if e == 1 else x, np.inf if e == 2 else x) for x, e in zip(r[i], ends[i], strict=True)]
        best = optimize.minimize(
            lambda x, P=P: x @ P @ x, r[i], jac=lambda x, P=P: 2 * P @ x, bounds=bounds, options={"ftol": 1e-14}
        )
        assert found[i] == pytest.approx(best.fun, rel=1e-4, abs=1e-6)


def test_without_scores_at_an_end_it_is_the_plain_distance() -> None:
    S, r, none = np.array([[[2.0, 0.5], [0.5, 1.0]]]), np.array([[1.0, -2.0]]), np.zeros((1, 2), dtype=bool)
    assert least_distance(r, S, none, none)[0] == pytest.approx(r[0] @ np.linalg.inv(S[0]) @ r[0])


def test_clipped_normals_are_never_further_than_chi_squared_says() -> None:
    rng = np.random.default_rng(1)
    S = np.array([[1.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 1.0]])
    true = rng.multivariate_normal(np.zeros(3), S, size=5000)
    y = np.clip(true, [-0.5, -9.0, -9.0], [9.0, 0.2, 9.0])
    d = least_distance(y, np.broadcast_to(S, (5000, 3, 3)), y <= [-0.5, -9.0, -9.0], y >= [9.0, 0.2, 9.0])
    plain = np.einsum("si,ij,sj->s", true, np.linalg.inv(S), true)
    assert (d <= plain + 1e-9).all()
    for p in (0.2, 0.05, 0.01):
        assert (d > stats.chi2.isf(p, 3)).mean() <= stats.binom.ppf(1 - 1e-6, 5000, p) / 5000
