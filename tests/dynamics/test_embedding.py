from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import scipy.linalg
from threadpoolctl import threadpool_limits

from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.embedding import discretise, implied_diffusion, real_logarithm
from trimtab.errors import EmbeddingError


def jordan(*blocks: tuple[float, int]) -> np.ndarray:
    return scipy.linalg.block_diag(*(lam * np.eye(k) + np.eye(k, k=1) for lam, k in blocks))


def in_random_basis(J: np.ndarray, seed: int) -> np.ndarray:
    V = np.linalg.qr(np.random.default_rng(seed).standard_normal(J.shape))[0] * np.linspace(1, 2, len(J))
    return V @ J @ np.linalg.inv(V)


def random_equation(seed: int, n: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((n, n))
    return rng.standard_normal((n, n)) - np.eye(n), rng.standard_normal(n), half @ half.T


def by_quadrature(A: np.ndarray, b: np.ndarray, S: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    node, weight = np.polynomial.legendre.leggauss(40)
    times = dt * (node + 1) / 2
    e = [scipy.linalg.expm(A * s) for s in times]
    integral = dt / 2 * np.einsum("t,tij->ij", weight, e)
    return (
        scipy.linalg.expm(A * dt),
        integral @ b,
        dt / 2 * sum(w * E @ S @ E.T for w, E in zip(weight, e, strict=True)),
    )


@pytest.mark.parametrize("dt", [0.01, 1.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_step_is_the_integral_over_it(seed: int, dt: float) -> None:
    A, b, S = random_equation(seed)
    for got, expected in zip(discretise(A, b, S, dt), by_quadrature(A, b, S, dt), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    # What a dropped square root of dt, or a factor transposed, would give instead.
    if dt != 1.0:
        assert np.abs(discretise(A, b, S, dt)[2] - by_quadrature(A, b, S * np.sqrt(dt), dt)[2]).max() > 1e-3
    assert np.abs(discretise(A, b, S, dt)[2] - by_quadrature(A.T, b, S, dt)[2]).max() > 1e-6


def test_a_long_step_of_a_stiff_equation_does_not_overflow() -> None:
    A, b, S = np.array([[-1e4, 1.0], [0.0, -0.01]]), np.array([1.0, 0.05]), np.eye(2)
    F, c, Q = discretise(A, b, S, 1e4)
    np.testing.assert_allclose(F, 0, atol=1e-12)
    np.testing.assert_allclose(c, -np.linalg.solve(A, b), rtol=1e-9)
    np.testing.assert_allclose(A @ Q + Q @ A.T, -S, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_there_and_back(seed: int) -> None:
    A, b, S = random_equation(seed)
    A = A - max(0.0, np.linalg.eigvals(A).real.max() + 0.1) * np.eye(3)
    dt = 0.9 * np.pi / max(np.abs(np.linalg.eigvals(A).imag).max(), 1.0)
    F, c, Q = discretise(A, b, S, dt)
    equation = AffineSDE((F - np.eye(3)) / dt, c / dt, Q, dt).to_continuous()
    for got, expected in ((equation.A, A), (equation.b, b), (equation.S, S)):
        np.testing.assert_allclose(got, expected, atol=1e-8 * np.abs(expected).max())


def test_faster_turns_are_taken_for_the_slowest_that_fits() -> None:
    A = np.array([[-0.1, 2.0], [-2.0, -0.1]])
    F, c, Q = discretise(A, np.zeros(2), np.eye(2), 2.0)
    equation = AffineSDE((F - np.eye(2)) / 2, c / 2, Q, 2.0).to_continuous()
    assert equation.eigenvalues[0] == pytest.approx(-0.1 + (np.pi - 2.0) * 1j)
    np.testing.assert_allclose(equation.to_discrete(2.0).transition, F, atol=1e-12)


def test_a_unit_root_has_a_drift_at_the_origin() -> None:
    A, b = np.array([[0.0, 0.3], [0.0, -0.5]]), np.array([0.2, 0.7])
    F, c, Q = discretise(A, b, np.eye(2), 0.5)
    equation = AffineSDE((F - np.eye(2)) / 0.5, c / 0.5, Q, 0.5).to_continuous()
    np.testing.assert_allclose(equation.b, b, rtol=1e-12)
    # The logarithm of the transition with a constant as a third state gives both at once.
    whole = scipy.linalg.logm(np.block([[F, c[:, None]], [np.zeros(2), np.ones(1)]])) / 0.5
    np.testing.assert_allclose(equation.A, whole[:2, :2], atol=1e-12)
    np.testing.assert_allclose(equation.b, whole[:2, 2], atol=1e-12)
    walk = AffineSDE([[0.0]], [1.5], [[2.0]], 0.5).to_continuous()
    assert (walk.A[0, 0], walk.b[0], walk.S[0, 0]) == pytest.approx((0.0, 1.5, 4.0))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("blocks", "exists"),
    [
        ([(0.5, 1)], True),
        ([(0.5, 3), (0.2, 1)], True),
        ([(-0.5, 1)], False),
        ([(-0.5, 1), (-0.4, 1)], False),
        ([(-0.5, 1), (-0.5, 1)], True),
        ([(-0.5, 1), (-0.5, 1), (-0.5, 1)], False),
        ([(-0.5, 2)], False),
        ([(-0.5, 2), (-0.5, 1)], False),
        ([(-0.5, 2), (-0.5, 1), (-0.5, 1)], False),
        ([(-0.5, 2), (-0.5, 2)], True),
        ([(-0.5, 2), (-0.5, 2), (-0.5, 1), (-0.5, 1), (0.3, 2)], True),
        ([(-0.5, 1), (-0.5, 1), (-0.2, 1), (-0.2, 1), (0.9, 1)], True),
        ([(-0.5, 1), (-0.5, 1), (-0.2, 1)], False),
        ([(-1e-6, 1), (-1e-6, 1), (0.9, 1), (2e-6, 1)], True),
    ],
)
def test_real_logarithms_exist_where_negative_blocks_pair_up(
    blocks: list[tuple[float, int]], exists: bool, seed: int
) -> None:
    F = in_random_basis(jordan(*blocks), seed)
    if exists:
        np.testing.assert_allclose(scipy.linalg.expm(real_logarithm(F)), F, atol=1e-7)
    else:
        with pytest.raises(EmbeddingError, match="-0\\.") as caught:
            real_logarithm(F)
        assert caught.value.condition == "negative multiplier"


def test_what_is_nearly_a_pair_is_told_by_how_little_makes_it_one() -> None:
    def logarithm(gap: float) -> np.ndarray:
        return real_logarithm(np.diag([-0.5, -0.5 - gap]))

    np.testing.assert_allclose(scipy.linalg.expm(logarithm(1e-10)), np.diag([-0.5, -0.5]), atol=1e-9)
    with pytest.raises(EmbeddingError, match=r"-0\.5, -0\.500001 stand alone"):
        logarithm(1e-6)
    # A complex pair is one however small its angle, until rounding could have made it.
    for small in (1e-2, 1e-6):
        F = np.array([[-0.5, small], [-small, -0.5]])
        np.testing.assert_allclose(scipy.linalg.expm(real_logarithm(F)), F, atol=1e-9)
    with pytest.raises(EmbeddingError, match="1 of size 2"):
        real_logarithm(np.array([[-0.5, 1.0], [-1e-12, -0.5]]))


def test_a_multiplier_of_zero_has_no_logarithm() -> None:
    for F in (np.zeros((2, 2)), np.diag([0.5, 0.0]), in_random_basis(jordan((0.0, 2), (0.5, 1)), 0)):
        with pytest.raises(EmbeddingError, match="singular") as caught:
            real_logarithm(F)
        assert caught.value.condition == "zero multiplier"
    assert real_logarithm(np.diag([0.5, 1e-12]))[1, 1] == pytest.approx(np.log(1e-12))


def test_the_answer_does_not_depend_on_units() -> None:
    unit = np.array([1e-8, 1.0, 1e8])
    scale = unit[:, None] * unit
    A, b, S = random_equation(4)
    F, c, Q = discretise(A / 3, b, S, 1.0)
    plain = AffineSDE(F - np.eye(3), c, Q).to_continuous()
    scaled = AffineSDE((F - np.eye(3)) * unit[:, None] / unit, c * unit, Q * scale).to_continuous()
    np.testing.assert_allclose(scaled.A * unit / unit[:, None], plain.A, atol=1e-9)
    np.testing.assert_allclose(scaled.b / unit, plain.b, rtol=1e-9)
    np.testing.assert_allclose(scaled.S / scale, plain.S, rtol=1e-8)
    np.testing.assert_allclose(scaled.to_discrete(1.0).Q / scale, Q, rtol=1e-8)
    # Without coupling the drift says nothing about units.
    alone = discretise(np.diag([-0.1, -5.0, -0.7]), b * unit, S * scale, 3.0)[2]
    np.testing.assert_allclose(alone / scale, discretise(np.diag([-0.1, -5.0, -0.7]), b, S, 3.0)[2], rtol=1e-8)


@pytest.mark.parametrize("seed", range(10))
def test_the_implied_diffusion_solves_its_discrete_lyapunov_equation(seed: int) -> None:
    A, _, S = random_equation(seed)
    Q = discretise(A, np.zeros(3), S, 0.7)[2]
    got = implied_diffusion(A, Q, 0.7)
    np.testing.assert_allclose(got, S, atol=1e-9 * np.abs(S).max())
    # Differentiating e^{At} X e^{A't} under the integral: F S F' - S = A Q + Q A'.
    F = scipy.linalg.expm(0.7 * A)
    np.testing.assert_allclose(F @ got @ F.T - got, A @ Q + Q @ A.T, atol=1e-8 * np.abs(Q).max())


def test_a_diffusion_that_is_no_covariance_is_refused_with_its_eigenvalues() -> None:
    # Noise in the second objective leaks into the first within a step; a Q without that has no equation.
    loop = AffineSDE(scipy.linalg.expm(np.array([[-0.2, 2.0], [0.0, -0.2]])) - np.eye(2), [0, 0], np.diag([1e-4, 1.0]))
    with pytest.raises(EmbeddingError, match=r"from -\d") as caught:
        loop.to_continuous()
    assert caught.value.condition == "diffusion"


def test_no_noise_or_noise_of_lower_rank_stays_that() -> None:
    A, b, _ = random_equation(1)
    for S in (np.zeros((3, 3)), np.outer([1.0, 2.0, -1.0], [1.0, 2.0, -1.0])):
        F, c, Q = discretise(A / 2, b, S, 1.0)
        np.testing.assert_allclose(AffineSDE(F - np.eye(3), c, Q).to_continuous().S, S, atol=1e-8)


def shares(transitions, degrees: int, number: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    outcomes: Counter[str] = Counter()
    while outcomes.total() < number:
        F = transitions(rng)
        if np.abs(np.linalg.eigvals(F)).max() >= 1:
            continue
        half = rng.standard_normal((3, degrees))
        loop = AffineSDE(F - np.eye(3), np.zeros(3), half @ half.T)
        try:
            back = loop.to_continuous().to_discrete(1.0)
            np.testing.assert_allclose(back.transition, F, atol=1e-9)
            np.testing.assert_allclose(back.Q, loop.Q, atol=1e-9 * np.abs(loop.Q).max())
            outcomes["embedded"] += 1
        except EmbeddingError as error:
            outcomes[error.condition] += 1
    return {name: count / number for name, count in outcomes.items()}


@threadpool_limits.wrap(limits=1)  # matrices this small only wait for each other's threads
def test_how_often_random_loops_have_an_equation() -> None:
    def normal(rng: np.random.Generator) -> np.ndarray:
        F = rng.standard_normal((3, 3))
        return F * rng.uniform(0, 1) / np.abs(np.linalg.eigvals(F)).max()

    number = 150
    for transitions, degrees, expected in (
        (normal, 3, {"negative multiplier": 0.68, "diffusion": 0.28, "embedded": 0.04}),
        (lambda rng: 0.5 * np.eye(3) + 0.35 * rng.standard_normal((3, 3)), 6,
         {"negative multiplier": 0.29, "diffusion": 0.16, "embedded": 0.55}),
    ):  # fmt: skip
        got = shares(transitions, degrees, number)
        assert got.keys() == expected.keys()
        for name, share in expected.items():
            assert abs(got[name] - share) < 4 * np.sqrt(share * (1 - share) / number) + 0.01
