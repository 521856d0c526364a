from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from trimtab.dynamics.equilibrium import equilibria
from trimtab.dynamics.small_matrices import batch_first, batch_last, cholesky_solve, closed_form_eigenvalues, solve
from trimtab.dynamics.spectrum import eigenvalues

MATRICES = 2_000


def made_of(lam: np.ndarray, upper: float, rng: np.random.Generator) -> np.ndarray:
    """Return matrices with the real eigenvalues lam (M, n) in random bases, `upper` coupling the first two of them."""
    n = lam.shape[1]
    D = np.zeros((len(lam), n, n))
    D[:, np.arange(n), np.arange(n)] = lam
    D[:, 0, 1] = upper
    V = rng.standard_normal(D.shape)
    return V @ D @ np.linalg.inv(V)


def batches(n: int):
    rng = np.random.default_rng(n)
    size = (MATRICES, n, n)
    yield "random", rng.standard_normal(size)
    lam = rng.standard_normal((MATRICES, n))
    for name, coupling in (("close", 0.0), ("close and defective", 1.0)):
        close = lam.copy()
        close[:, 1] = close[:, 0] + 10.0 ** rng.uniform(-16, 0, MATRICES) * rng.choice([-1, 0, 1], MATRICES)
        yield name, made_of(close, coupling, rng)
    yield "all alike", np.broadcast_to(-0.4 * np.eye(n), size)
    yield "Jordan blocks", np.broadcast_to(-0.4 * np.eye(n) + np.eye(n, k=1), size)
    units = 10.0 ** rng.uniform(-6, 6, (MATRICES, n))
    yield "mixed units", rng.standard_normal(size) * units[:, :, None] / units[:, None, :]
    yield "far from normal", np.triu(rng.standard_normal(size)) + 1e3 * np.triu(rng.standard_normal(size), 1)
    yield "whole numbers", rng.integers(-2, 3, size).astype(float)
    yield "of all sizes", 10.0 ** rng.uniform(-12, 0, size) * rng.choice([-1, 0, 1], size)
    slow = -0.4 * np.eye(n) + np.zeros(size)
    slow[:, 0, 1] = 10.0 ** rng.uniform(-10, 0, MATRICES)
    slow[:, 1, 0] = -slow[:, 0, 1]
    yield "turning", slow


def largest_error(lam: np.ndarray, A: np.ndarray) -> float:
    """Return how far eigenvalues are from LAPACK's, as sets, relative to the largest."""
    reference = np.linalg.eigvals(A)
    size = np.maximum(np.abs(reference).max(axis=1), 1e-300)
    apart = [np.abs(lam[:, list(order)] - reference).max(axis=1) for order in permutations(range(A.shape[-1]))]
    return float((np.min(apart, axis=0) / size).max())


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_same_eigenvalues_as_lapack(n: int) -> None:
    for name, A in batches(n) if n > 1 else [("plain", np.random.default_rng(0).standard_normal((50, 1, 1)))]:
        lam = eigenvalues(A)
        assert largest_error(lam, A) < 1e-8, name
        assert (np.diff(lam.real, axis=1) <= 0).all(), name
        same = np.diff(lam.real, axis=1) == 0
        assert (np.diff(lam.imag, axis=1)[same] <= 0).all(), name
        # Members of a pair are conjugates to the last bit: real spectra stay real when they are summed.
        assert not lam.imag.sum(axis=1).any(), name


def test_closed_forms_alone_fail_where_eigenvalues_meet_and_say_so() -> None:
    for n in (2, 3):
        A = dict(batches(n))["close and defective"]
        lam, good = closed_form_eigenvalues(batch_last(A), 1e-10)
        assert 0.05 < good.mean() < 0.95
        assert largest_error(lam.T[good], A[good]) < 1e-9
        assert not largest_error(lam.T, A) < 1e-9


def test_plain_spectra_need_no_help() -> None:
    for n in (2, 3):
        assert closed_form_eigenvalues(batch_last(dict(batches(n))["random"]), 1e-10)[1].mean() > 0.999
        assert closed_form_eigenvalues(batch_last(dict(batches(n))["mixed units"]), 1e-10)[1].mean() > 0.999


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_solutions_are_those_of_lapack(n: int) -> None:
    rng = np.random.default_rng(n)
    X = rng.standard_normal((200, n, n + 5))
    S, C = X @ np.swapaxes(X, 1, 2), rng.standard_normal((200, n, 4))
    size = np.sqrt(np.einsum("dii->di", S))
    S = S / size[:, :, None] / size[:, None, :]
    B, trusted = cholesky_solve(batch_last(S), batch_last(C), 1e-6)
    expected = np.linalg.solve(S, C)
    np.testing.assert_array_equal(trusted, np.linalg.det(S) >= 1e-6)
    np.testing.assert_allclose(batch_first(B, (200,))[trusted], expected[trusted], rtol=1e-8, atol=1e-8)


def test_singular_and_indefinite_matrices_are_not_trusted() -> None:
    S = np.stack([np.ones((2, 2)), [[1.0, 2.0], [2.0, 1.0]], np.full((2, 2), np.nan), [[1.0, 0.5], [0.5, 1.0]]])
    _, trusted = cholesky_solve(batch_last(S), batch_last(np.ones((4, 2, 1))), 1e-6)
    assert trusted.tolist() == [False, False, False, True]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_any_regular_matrix_is_solved_and_no_singular_one(n: int) -> None:
    rng = np.random.default_rng(n)
    A, b = rng.standard_normal((500, n, n)), rng.standard_normal((500, n))
    # A zero where the first pivot is looked for, and rows that are no basis.
    A[:100, 0, 0] = 0.0 if n > 1 else 1.0
    A[:50, -1] = 2 * A[:50, 0] if n > 1 else 0.0
    x = solve(batch_last(A), batch_last(b[..., None])[:, 0], 1e-12).T
    assert np.isnan(x[:50]).all()
    np.testing.assert_allclose(x[50:], np.linalg.solve(A[50:], b[50:, :, None])[..., 0], rtol=1e-7, atol=1e-7)


def test_equilibria_are_where_the_drift_vanishes_whatever_the_units() -> None:
    rng = np.random.default_rng(0)
    A, b = rng.standard_normal((4, 25, 3, 3)), rng.standard_normal((4, 25, 3))
    A[2, 3] = np.diag([1.0, 0.0, 1.0])
    x = equilibria(A, b)
    assert np.isnan(x[2, 3]).all()
    assert np.isfinite(x).all(axis=-1).sum() == 99
    np.testing.assert_allclose((A @ x[..., None])[..., 0] + b, np.where(np.isnan(x), np.nan, 0), atol=1e-9)
    unit = np.array([1e-9, 1.0, 1e9])
    np.testing.assert_allclose(equilibria(A * unit[:, None] / unit, b * unit, unit), x * unit, rtol=1e-7)
    np.testing.assert_allclose(equilibria(A[0, 0], b[0, 0]), x[0, 0])
    assert equilibria(np.empty((5, 0, 0)), np.empty((5, 0))).shape == (5, 0)


def test_batches_come_back_in_their_shape() -> None:
    x = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    np.testing.assert_array_equal(batch_first(batch_last(x), (2, 3)), x)
    np.testing.assert_array_equal(batch_first(batch_last(x[0, 0]), ()), x[0, 0])
    assert np.shares_memory(batch_last(batch_first(batch_last(x[0]), (3,))), batch_last(x[0])) is False
    last = batch_last(x[0])
    assert np.shares_memory(batch_last(batch_first(last, (3,))), last)
