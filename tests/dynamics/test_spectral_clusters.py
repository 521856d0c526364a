from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.spectral_clusters import SpectralCluster, spectral_clusters
from trimtab.errors import InputError


def jordan(*blocks: tuple[float, int]) -> np.ndarray:
    return scipy.linalg.block_diag(*(lam * np.eye(k) + np.eye(k, k=1) for lam, k in blocks))


def in_random_basis(J: np.ndarray, seed: int) -> np.ndarray:
    V = np.random.default_rng(seed).standard_normal(J.shape)
    return V @ J @ np.linalg.inv(V)


def holding(clusters: tuple[SpectralCluster, ...], lam: complex) -> SpectralCluster:
    return min(clusters, key=lambda one: abs(one.mean - lam))


@pytest.mark.parametrize("n", [1, 2, 4, 7])
@pytest.mark.parametrize("seed", range(5))
def test_lone_eigenvalues_have_the_conditions_of_their_eigenvectors(n: int, seed: int) -> None:
    A = np.random.default_rng(seed).standard_normal((n, n))
    clusters = spectral_clusters(A, 0.0)
    lam, left, right = scipy.linalg.eig(A, left=True)
    assert [one.size for one in clusters] == [1] * n
    for i in range(n):
        cluster = holding(clusters, lam[i])
        assert abs(cluster.mean - lam[i]) < 1e-9
        condition = 1 / abs(left[:, i].conj() @ right[:, i])
        assert cluster.conditions[0] == pytest.approx(condition, rel=1e-6)
        # Of one eigenvalue the projector is x y' / (y' x), and its norm the condition number.
        assert cluster.mean_condition == pytest.approx(condition, rel=1e-6)
        expected = np.outer(right[:, i], left[:, i].conj()) / (left[:, i].conj() @ right[:, i])
        np.testing.assert_allclose(cluster.projector, expected, atol=1e-8)
        assert cluster.real == (lam[i].imag == 0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "blocks", [[(-0.5, 3), (-0.1, 1)], [(-0.5, 2), (-0.5, 1), (-0.9, 2)], [(-0.3, 1), (-0.3, 1), (0.2, 4)]]
)
def test_of_jordan_blocks_the_mean_and_the_subspace_are_steady(blocks: list[tuple[float, int]], seed: int) -> None:
    J = jordan(*blocks)
    A = in_random_basis(J, seed)
    clusters = spectral_clusters(A, 0.05)
    sizes = {lam: sum(k for other, k in blocks if other == lam) for lam, _ in blocks}
    assert {round(one.mean.real, 6): one.size for one in clusters} == sizes
    total = np.zeros_like(A)
    for one in clusters:
        assert one.real
        X, P, k = one.basis, one.projector, one.size
        np.testing.assert_allclose(X.T @ X, np.eye(k), atol=1e-12)
        np.testing.assert_allclose(A @ X, X @ (X.T @ A @ X), atol=1e-10 * np.abs(A).max())
        np.testing.assert_allclose(P @ P, P, atol=1e-8 * one.mean_condition**2)
        np.testing.assert_allclose(P @ X, X, atol=1e-8 * one.mean_condition)
        np.testing.assert_allclose(A @ P, P @ A, atol=1e-9 * np.abs(A).max() * one.mean_condition)
        lam = min(sizes, key=lambda value: abs(value - one.mean.real))
        assert abs(one.mean - lam) < 1e-12 * one.mean_condition * np.linalg.norm(A)
        total = total + P
    np.testing.assert_allclose(total, np.eye(len(A)), atol=1e-8 * max(one.mean_condition for one in clusters))


def test_the_mean_moves_by_its_condition_and_the_members_by_a_root() -> None:
    A = in_random_basis(jordan((-0.5, 3), (-0.1, 1)), 3)
    E = np.random.default_rng(0).standard_normal(A.shape)
    E /= np.linalg.norm(E, 2)
    before = holding(spectral_clusters(A, 0.05), -0.5)
    for size in (1e-7, 1e-9):
        after = holding(spectral_clusters(A + size * E, 0.2), -0.5)
        assert after.size == 3
        moved = abs(after.mean - before.mean)
        assert moved <= 1.01 * before.mean_condition * size + 1e-13
        assert moved == pytest.approx(abs(np.trace(before.projector @ E)) / 3 * size, rel=1e-2)
        assert np.abs(after.eigenvalues - before.mean).max() > 100 * before.mean_condition * size
        turned = scipy.linalg.subspace_angles(before.basis, after.basis).max()
        assert turned <= 2 * size / before.separation


def test_pairs_that_nearly_repeat_have_a_complex_mean_each() -> None:
    block = np.array([[-0.3, 0.6], [-0.6, -0.3]])
    A = in_random_basis(np.block([[block, np.eye(2)], [np.zeros((2, 2)), block + 1e-9]]), 1)
    upper, lower = spectral_clusters(A, 0.01)
    assert upper.size == lower.size == 2
    assert upper.mean == pytest.approx(-0.3 + 0.6j, abs=1e-8)
    assert lower.mean == pytest.approx(upper.mean.conjugate(), abs=1e-12)
    assert not upper.real
    np.testing.assert_allclose(A @ upper.basis, upper.basis @ (upper.basis.conj().T @ A @ upper.basis), atol=1e-12)
    np.testing.assert_allclose((upper.projector + lower.projector), np.eye(4), atol=1e-9)
    # Wide enough for the pair and its conjugate, the cluster is all there is.
    (whole,) = spectral_clusters(A, 2.0)
    assert whole.real
    assert (whole.size, whole.separation, whole.mean_condition) == (4, np.inf, pytest.approx(1))


def test_the_separation_is_the_distance_to_sharing_an_eigenvalue() -> None:
    A = np.diag([-0.5, -0.5, -0.2, 0.1])
    assert holding(spectral_clusters(A, 0.01), -0.5).separation == pytest.approx(0.3)
    far_from_normal = A + np.triu(np.full((4, 4), 10.0), 1)
    one = holding(spectral_clusters(far_from_normal, 0.01), -0.5)
    assert one.separation < 0.01
    assert one.mean_condition > 100


@pytest.mark.parametrize("seed", range(3))
def test_the_separation_is_the_least_a_sylvester_operator_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Three and three, because a matrix of two by two is unitarily similar to its transpose, and a transposed operator
    # would pass.
    A = np.triu(rng.standard_normal((6, 6)) * 2, 1) + np.diag([-1.6, -1.1, -0.6, 0.4, 1.2, 2.0])
    V = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    one = holding(spectral_clusters(V @ A @ V.T, 0.6), -1.1)
    T, _, k = scipy.linalg.schur(V @ A @ V.T, sort=lambda re, im: re < 0)
    assert one.size == k == 3
    columns = []
    for at in range(9):
        X = np.eye(9)[at].reshape(3, 3)
        columns.append((T[:3, :3] @ X - X @ T[3:, 3:]).ravel())
    assert one.separation == pytest.approx(np.linalg.svd(np.array(columns))[1][-1], rel=1e-6)
    R = scipy.linalg.solve_sylvester(T[:3, :3], -T[3:, 3:], T[:3, 3:])
    assert one.mean_condition == pytest.approx(np.hypot(1, np.linalg.norm(R, 2)), rel=1e-6)


def test_chains_join_and_distances_may_be_relative() -> None:
    A = np.diag([-1.0, -1.1, -1.2, -0.001, -0.0012])
    assert [one.size for one in spectral_clusters(A, 0.11)] == [2, 3]
    assert [one.size for one in spectral_clusters(A, 0.11, relative=True)] == [1, 1, 3]
    assert [one.size for one in AffineSDE(A, np.zeros(5), np.eye(5)).spectral_clusters(0.01)] == [2, 1, 1, 1]


def test_a_repeated_eigenvalue_of_a_normal_matrix_is_steady() -> None:
    (one,) = spectral_clusters(-0.4 * np.eye(4), 1e-9)
    np.testing.assert_allclose(one.conditions, 1)
    assert one.mean == -0.4


@pytest.mark.parametrize("size", [1e300, 1e-300, 1e-307])
def test_conditions_do_not_depend_on_the_size_of_the_matrix(size: float) -> None:
    A = np.array([[-1.0, 3.0, 0.0], [0.0, -2.0, 1.0], [0.0, 0.0, -4.0]])
    for one, other in zip(spectral_clusters(A, 0.0), spectral_clusters(A * size, 0.0), strict=True):
        np.testing.assert_allclose(one.conditions, other.conditions, rtol=1e-9)
    for least in (np.zeros((3, 3)), np.full((3, 3), 5e-324)):
        assert {float(c) for one in spectral_clusters(least, 0.0) for c in one.conditions} == {1.0}


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="finite square"):
        spectral_clusters(np.ones((2, 3)), 0.1)
    with pytest.raises(InputError, match="tolerance"):
        spectral_clusters(np.eye(2), -1.0)


def test_the_tolerance_may_differ_from_pair_to_pair() -> None:
    A = np.diag([-0.1, -0.2, -0.5, -0.6])

    def loose_when_fast(lam: np.ndarray) -> np.ndarray:
        return np.where(np.maximum(lam.real[:, None], lam.real) < -0.3, 0.11, 0.05)

    assert [one.size for one in spectral_clusters(A, loose_when_fast)] == [1, 1, 2]
    assert [one.size for one in spectral_clusters(A, 0.11)] == [2, 2]
