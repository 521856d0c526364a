from __future__ import annotations

import numpy as np
import pytest

from trimtab.dynamics.covariance import balance, semidefinite_cholesky


@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_the_root_of_a_covariance_of_any_rank_is_triangular(rank: int) -> None:
    half = np.random.default_rng(rank).standard_normal((5, rank)) * np.array([1e-6, 1, 1e3, 1, 1e6])[:, None]
    C = half @ half.T
    L = semidefinite_cholesky(C)
    np.testing.assert_array_equal(L, np.tril(L))
    size = np.sqrt(np.diagonal(C)) + (rank == 0)
    np.testing.assert_allclose(L @ L.T / size / size[:, None], C / size / size[:, None], atol=1e-11)
    assert np.count_nonzero(np.diagonal(L)) == rank


def test_a_regular_covariance_has_the_root_of_lapack() -> None:
    half = np.random.default_rng(9).standard_normal((6, 8))
    np.testing.assert_allclose(semidefinite_cholesky(half @ half.T), np.linalg.cholesky(half @ half.T), rtol=1e-10)


def test_balanced_coordinates_undo_units() -> None:
    F = np.random.default_rng(0).standard_normal((4, 4))
    unit = 2.0 ** np.array([-20, 0, 5, 30])
    scaled = F * unit[:, None] / unit
    d = balance(scaled)
    assert np.abs(scaled * d / d[:, None]).max() < 10 * np.abs(F).max()
