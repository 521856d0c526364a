from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from statsmodels.regression.mixed_linear_model import MixedLM

from trimtab.errors import FitError
from trimtab.estimation.pooling import mixed_model as mm
from trimtab.estimation.pooling.mixed_model import GroupSums, fit_mixed
from trimtab.estimation.threads import single_threaded

Rows = list[tuple[np.ndarray, np.ndarray]]  # W_g (m_g, k) and Y_g (m_g, n) of each group


def groups(G: int = 12, k: int = 3, n: int = 2, q: int = 1, sd: float = 0.8, seed: int = 0) -> Rows:
    """Draw rows of groups of 3 to 8 rows whose first q coefficients differ."""
    rng = np.random.default_rng(seed)
    beta = rng.normal(0, 1, (k, n))
    mix = np.eye(n) + 0.4
    rows = []
    for m in rng.integers(3, 9, G):
        W = np.column_stack([np.ones(m), rng.normal(0, 1, (m, k - 1))])
        own = beta.copy()
        own[:q] += sd * rng.normal(0, 1, (q, n)) @ mix
        rows.append((W, W @ own + rng.normal(0, 1, (m, n)) @ mix))
    return rows


def sums(rows: Rows) -> GroupSums:
    return GroupSums(*(np.array([f(W, Y) for W, Y in rows]) for f in (_ww, _wy, _yy)))


def _ww(W: np.ndarray, Y: np.ndarray) -> np.ndarray:
    return W.T @ W


def _wy(W: np.ndarray, Y: np.ndarray) -> np.ndarray:
    return W.T @ Y


def _yy(W: np.ndarray, Y: np.ndarray) -> np.ndarray:
    return Y.T @ Y


def parameters(n: int, q: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw L, full and lower triangular, and U."""
    rng = np.random.default_rng(seed)
    L = np.tril(rng.normal(0, 0.7, (q * n, q * n)))
    U = np.tril(rng.normal(0, 0.3, (n, n))) + np.eye(n)
    return L, U


@single_threaded
def dense(rows: Rows, q: int, Omega: np.ndarray, Q: np.ndarray, integrated: np.ndarray) -> tuple:
    """Return -2 log likelihood, beta and its covariance from the multivariate normal law of all responses at once."""
    n = len(Q)
    X = np.vstack([np.kron(W, np.eye(n)) for W, _ in rows])
    y = np.concatenate([Y.ravel() for _, Y in rows])
    V = scipy.linalg.block_diag(
        *[_between(W, q, n) @ Omega @ _between(W, q, n).T + np.kron(np.eye(len(W)), Q) for W, _ in rows]
    )
    F = X.T @ np.linalg.solve(V, X)
    beta = np.linalg.solve(F, X.T @ np.linalg.solve(V, y))
    e = y - X @ beta
    minus_two = np.linalg.slogdet(2 * np.pi * V)[1] + e @ np.linalg.solve(V, e)
    block = F[np.ix_(integrated, integrated)]
    return minus_two + np.linalg.slogdet(block)[1] - len(integrated) * np.log(2 * np.pi), beta, np.linalg.inv(F)


def _between(W: np.ndarray, q: int, n: int) -> np.ndarray:
    return np.kron(W[:, :q], np.eye(n))


def equations(rows: Rows, q: int, Omega: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve Henderson's equations: (beta, gamma_1, ..., gamma_G) and their covariance given the data."""
    n, k = len(Q), rows[0][0].shape[1]
    inverse = np.linalg.inv(Q)
    r, size = q * n, k * n + q * n * len(rows)
    left, right = np.zeros((size, size)), np.zeros(size)
    for g, (W, Y) in enumerate(rows):
        at = np.r_[: k * n, k * n + g * r : k * n + (g + 1) * r]
        both = np.kron(np.hstack([W, W[:, :q]]), np.eye(n))
        weight = np.kron(np.eye(len(W)), inverse)
        left[np.ix_(at, at)] += both.T @ weight @ both
        left[np.ix_(at[k * n :], at[k * n :])] += np.linalg.inv(Omega)
        right[at] += both.T @ weight @ Y.ravel()
    covariance = np.linalg.inv(left)
    return covariance @ right, covariance


@pytest.mark.parametrize("reml", [False, True])
def test_one_response_with_a_random_intercept_agrees_with_statsmodels(reml: bool) -> None:
    rows = groups(20, 3, 1)
    fit = fit_mixed(sums(rows), 1, np.ones((1, 1), bool), np.full(3, reml))
    y, W = np.concatenate([Y[:, 0] for _, Y in rows]), np.vstack([W for W, _ in rows])
    of = np.repeat(np.arange(20), [len(W) for W, _ in rows])
    peer = MixedLM(y, W, of).fit(reml=reml, method="powell")
    np.testing.assert_allclose(fit.beta[:, 0], peer.fe_params, rtol=1e-5)
    assert fit.Q[0, 0] == pytest.approx(peer.scale, rel=1e-4)
    assert fit.Omega[0, 0] == pytest.approx(peer.cov_re[0, 0], rel=1e-3)
    assert fit.log_likelihood == pytest.approx(peer.llf, abs=1e-6)
    np.testing.assert_allclose(
        fit.gamma[:, 0, 0], np.concatenate([*peer.random_effects.values()]), rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize(("n", "q"), [(1, 1), (2, 1), (2, 2), (3, 3)])
@pytest.mark.parametrize("integrated", [(), (0,), (0, 2)])
def test_likelihood_is_the_dense_multivariate_normal_one(n: int, q: int, integrated: tuple[int, ...]) -> None:
    rows, (L, U) = groups(6, 3, n, q), parameters(n, q)
    L[-1] = 0  # a variance may be zero
    at = np.flatnonzero(np.repeat(np.isin(np.arange(3), integrated), n))
    state = mm._state(sums(rows), q, L, U, at)
    minus_two, beta, covariance = dense(rows, q, L @ L.T, U @ U.T, at)
    assert state.minus_two == pytest.approx(minus_two, rel=1e-10)
    np.testing.assert_allclose(state.beta, beta, rtol=1e-8)
    np.testing.assert_allclose(state.C, covariance, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("n", "q"), [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("integrated", [(), (0, 2)])
def test_gradient_agrees_with_differences(n: int, q: int, integrated: tuple[int, ...]) -> None:
    rows, (L, U) = groups(6, 3, n, q), parameters(n, q)
    at = np.flatnonzero(np.repeat(np.isin(np.arange(3), integrated), n))
    lower = np.nonzero(np.tril(np.ones((q * n, q * n))))
    problem = mm._Problem(sums(rows), q, *lower, at)
    U[np.diag_indices(n)] = np.log(np.diagonal(U))
    x = np.concatenate([L[lower], U[np.tril_indices(n)]])
    value, slope = problem.objective(x)
    numeric = [(problem.objective(x + e)[0] - problem.objective(x - e)[0]) / 2e-6 for e in 1e-6 * np.eye(len(x))]
    np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-7)
    assert value == pytest.approx(problem.state(x).minus_two / 2 / sum(len(W) for W, _ in rows))


@pytest.mark.parametrize(("n", "q"), [(1, 1), (2, 1), (2, 2)])
def test_deviations_and_their_covariance_solve_hendersons_equations(n: int, q: int) -> None:
    rows, (L, U) = groups(5, 3, n, q), parameters(n, q)
    state = mm._state(sums(rows), q, L, U, np.arange(0))
    spread, cross = mm._posterior(state, L, state.C)
    solution, covariance = equations(rows, q, L @ L.T, U @ U.T)
    kn, r = 3 * n, q * n
    np.testing.assert_allclose(state.beta, solution[:kn])
    for g in range(5):
        at = slice(kn + g * r, kn + (g + 1) * r)
        np.testing.assert_allclose(L @ state.eta[g], solution[at])
        np.testing.assert_allclose(L @ spread[g] @ L.T, covariance[at, at])
        np.testing.assert_allclose(L @ cross[g], covariance[at, :kn], atol=1e-12)
        Z = np.kron(rows[g][0][:, :q], np.eye(n))
        V = Z @ L @ L.T @ Z.T + np.kron(np.eye(len(rows[g][0])), U @ U.T)
        conditional = L @ L.T - L @ L.T @ Z.T @ np.linalg.solve(V, Z @ L @ L.T)
        np.testing.assert_allclose(L @ state.P[g] @ L.T, conditional, atol=1e-12)


@pytest.mark.parametrize(("n", "q"), [(1, 1), (2, 2)])
def test_the_fit_is_a_maximum_in_all_directions(n: int, q: int) -> None:
    rows = groups(10, 3, n, q)
    every = np.tril(np.ones((q * n, q * n), bool))
    fit = fit_mixed(sums(rows), q, every, np.zeros(3, bool))
    nothing = np.arange(0)
    best = dense(rows, q, fit.Omega, fit.Q, nothing)[0]
    assert -2 * fit.log_likelihood == pytest.approx(best, rel=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(15):
        one, other = (np.eye(len(M)) + 0.03 * rng.normal(size=M.shape) for M in (fit.Omega, fit.Q))
        assert dense(rows, q, one @ fit.Omega @ one.T, other @ fit.Q @ other.T, nothing)[0] >= best - 1e-7


def test_the_fit_predicts_what_hendersons_equations_say_with_its_own_variances() -> None:
    rows = groups(25, 3, 2, 2)
    fit = fit_mixed(sums(rows), 2, np.tril(np.ones((4, 4), bool)), np.zeros(3, bool))
    solution, covariance = equations(rows, 2, fit.Omega, fit.Q)
    np.testing.assert_allclose(fit.beta.ravel(), solution[:6], rtol=1e-6)
    np.testing.assert_allclose(fit.gamma.ravel(), solution[6:], rtol=1e-4, atol=1e-7)
    # That the variances are unknown adds to what is not known, of beta and of the deviations.
    assert np.linalg.eigvalsh(fit.covariance - covariance[:6, :6]).min() > -1e-9
    for g in range(25):
        at = slice(6 + 4 * g, 10 + 4 * g)
        assert np.linalg.eigvalsh(fit.spread[g] - covariance[at, at]).min() > -1e-9
        assert (np.diagonal(fit.spread_given_beta[g]) <= np.diagonal(fit.spread[g]) + 1e-12).all()


def test_the_covariance_is_the_inverse_of_the_second_derivatives_in_beta_and_variances() -> None:
    rows = groups(20, 2, 1)
    fit = fit_mixed(sums(rows), 1, np.ones((1, 1), bool), np.zeros(2, bool))

    def minus(theta: np.ndarray) -> float:
        """-log likelihood of (beta, log sd between, log sd within), from dense laws of groups."""
        Omega, Q = np.exp(2 * theta[2:])
        return -sum(
            scipy.stats.multivariate_normal.logpdf(Y[:, 0], W @ theta[:2], Omega + Q * np.eye(len(W))) for W, Y in rows
        )

    at = np.concatenate([fit.beta[:, 0], np.log(np.sqrt([fit.Omega[0, 0], fit.Q[0, 0]]))])
    e = 1e-3 * np.eye(4)
    H = np.array([
        [
            (minus(at + a + b) - minus(at + a - b) - minus(at - a + b) + minus(at - a - b)) / 4e-6
            for b in e
        ]
        for a in e
    ])  # fmt: skip
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(H)[:2, :2], rtol=1e-3, atol=1e-8)


def test_the_robust_covariance_is_the_jackknife_of_whole_fits() -> None:
    rows = groups(40, 2, 1)

    def fitted(some: Rows) -> np.ndarray:
        return fit_mixed(sums(some), 1, np.ones((1, 1), bool), np.array([True, False])).beta[:, 0]

    fit = fit_mixed(sums(rows), 1, np.ones((1, 1), bool), np.array([True, False]))
    without = np.array([fitted(rows[:g] + rows[g + 1 :]) for g in range(40)])
    expected = 39 * np.cov(without.T, ddof=0)
    size = np.sqrt(np.diagonal(expected))
    np.testing.assert_allclose(fit.robust / size[:, None] / size, expected / size[:, None] / size, atol=0.02)


def test_units_of_the_responses_do_not_matter() -> None:
    rows, size = groups(20, 3, 2), np.array([1e-3, 50.0])
    free = np.tril(np.ones((2, 2), bool))
    one = fit_mixed(sums(rows), 1, free, np.array([True, False, False]))
    other = fit_mixed(sums([(W, Y * size) for W, Y in rows]), 1, free, np.array([True, False, False]))
    np.testing.assert_allclose(other.beta, one.beta * size, rtol=1e-6)
    np.testing.assert_allclose(other.Omega, one.Omega * size[:, None] * size, rtol=1e-5)
    np.testing.assert_allclose(other.gamma, one.gamma * size, rtol=1e-5, atol=1e-9)
    M = sum(len(W) for W, _ in rows)
    # A density is per unit of each response; one column of each was integrated over.
    assert other.log_likelihood == pytest.approx(one.log_likelihood - (M - 1) * np.log(size).sum())


def test_groups_that_do_not_differ_have_no_variance_between_them() -> None:
    rng = np.random.default_rng(0)
    rows = [(W, Y - Y.mean() + rng.normal(0, 1e-3)) for W, Y in groups(30, 1, 1, sd=0.0)]
    fit = fit_mixed(sums(rows), 1, np.ones((1, 1), bool), np.array([True]))
    assert fit.Omega[0, 0] < 1e-6 * fit.Q[0, 0]
    assert np.abs(fit.gamma).max() < 1e-3
    assert np.isfinite(fit.covariance).all()
    assert np.isfinite(fit.robust).all()


def test_one_group_that_carries_a_coefficient_leaves_the_modelled_covariance() -> None:
    rows = groups(12, 2, 1)
    rows = [(W * [1, g == 0], Y) for g, (W, Y) in enumerate(rows)]
    fit = fit_mixed(sums(rows), 1, np.ones((1, 1), bool), np.zeros(2, bool))
    np.testing.assert_array_equal(fit.robust, fit.covariance)


def test_a_search_without_an_end_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mm, "_MOST_ROUNDS", 1)
    rows = groups(20, 3, 2, 3, sd=30.0)
    with pytest.raises(FitError, match="no clear maximum"):
        fit_mixed(sums(rows), 3, np.tril(np.ones((6, 6), bool)), np.zeros(3, bool))
