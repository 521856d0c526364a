from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from simulated import NAMES, REAL, panel
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import FitError, InputError
from trimtab.estimation import least_squares as ls
from trimtab.estimation import random_effects as re
from trimtab.estimation import session_effects
from trimtab.estimation.moments import session_moments
from trimtab.estimation.run_moments import run_sample, weighted_sums
from trimtab.estimation.score_noise import ScoreNoise, score_noise
from trimtab.estimation.session_effects import fit_pooled, fit_with_effects, log_likelihood

OPEN = [f"{name}:-inf:inf" for name in NAMES]


def judged(
    model: AffineSDE = REAL, S: int = 60, T: int = 8, noise: float = 0.5, levels: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Return judgements (S, T + 1, n, 2), the mean of two having noise of standard deviation `noise`."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, levels, (S, model.n))
    x = rng.normal(5, 1, (S, model.n)) + own
    path, root = [x], np.linalg.cholesky(model.Q)
    for _ in range(T):
        x = x + model.drift(x - own) + rng.standard_normal(x.shape) @ root.T
        path.append(x)
    y = np.stack(path, axis=1)[..., None]
    return y + noise * np.sqrt(2) * rng.standard_normal((*y.shape[:-1], 2))


def of(judgements, names=OPEN) -> Trajectories:
    return Trajectories.from_arrays(None, names, judgements=judgements)


def fitted(judgements, names=OPEN, **options) -> re.RandomEffectsEstimate:
    data = of(judgements, names)
    return re.estimate(data, noise=score_noise(data.judgements), **options)


def test_noise_is_taken_out_wherever_it_enters() -> None:
    # The regressors and steps are linear in (y_0, ..., y_T): their moments follow from its covariance, block by block.
    n, T, rng = 2, 4, np.random.default_rng(0)
    half = rng.normal(size=(n, n))
    data = of(judged(AffineSDE(-0.5 * np.eye(2), [2.5, 2.5], np.eye(2)), S=20, T=T), OPEN[:2])
    given = rng.uniform(0.5, 1.0, (data.n_rows, 1, 1)) * np.ones((1, n, n))
    noise = ScoreNoise(np.ones(n), np.ones(n), half @ half.T, given, np.zeros_like(given), np.zeros_like(given))
    sample = run_sample(data, 0, noise, np.arange(n))
    taken = weighted_sums(sample, np.ones((1, 20))).taken[0]
    full, between = np.zeros((7, 7)), np.zeros((7, 7))
    unit = np.diag(1 / sample.scale)
    for s in range(20):
        block = np.zeros(((T + 1) * n, (T + 1) * n))
        for t in range(T + 1):
            at = slice(t * n, (t + 1) * n)
            block[at, at] = unit @ (given[s * (T + 1) + t] * noise.covariance) @ unit
        rows = []
        for t in range(T):
            row = np.zeros((7, (T + 1) * n))
            row[1:3, t * n : (t + 1) * n] = np.eye(n)
            row[3:5, :n] = sample.V.T
            row[5:, t * n : (t + 1) * n] = -np.eye(n)
            row[5:, (t + 1) * n : (t + 2) * n] = np.eye(n)
            rows.append(row)
        full += sum(row @ block @ row.T for row in rows)
        between += sum(rows) @ block @ sum(rows).T / T
    np.testing.assert_allclose(taken[1], between, atol=1e-10)
    np.testing.assert_allclose(taken[0] + taken[1], full, atol=1e-10)


def dense(y: np.ndarray, A, b, C, Q, Sigma) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals (T n,) of one session and their covariance I (x) Q + 1 1' (x) Sigma."""
    r = (np.diff(y, axis=0) - y[:-1] @ A.T - b - C @ y[0]).ravel()
    T = len(y) - 1
    return r, np.kron(np.eye(T), Q) + np.kron(np.ones((T, T)), Sigma)


def test_it_is_the_maximum_of_the_likelihood() -> None:
    data = of(judged(AffineSDE([[-0.4]], [2.0], [[0.3]]), noise=0.2, S=40, T=6), OPEN[:1])
    got = re.estimate(data)
    assert got.session_effects

    def unlikelihood(p: np.ndarray) -> float:
        total = 0.0
        for y in data.scores.reshape(40, 7, 1):
            r, V = dense(y, p[:1, None], p[1:2], p[2:3, None], np.exp(p[3:4, None]), np.exp(p[4:5, None]))
            total += 0.5 * (np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r))
        return total

    found = scipy.optimize.minimize(unlikelihood, [-0.5, 2.5, 0.0, -1.0, -1.0], method="BFGS")
    np.testing.assert_allclose(got.A[0, 0], found.x[0], atol=1e-4)
    np.testing.assert_allclose(got.b, found.x[1] + found.x[2] * data.scores.reshape(40, 7)[:, 0].mean(), atol=1e-3)
    np.testing.assert_allclose(got.Q[0, 0], np.exp(found.x[3]), rtol=1e-3)
    start = data.scores.reshape(40, 7)[:, 0].var()
    np.testing.assert_allclose(got.session_sd**2, found.x[2] ** 2 * start + np.exp(found.x[4]), rtol=1e-3)


def test_the_likelihood_is_the_dense_one() -> None:
    data = of(judged(S=20, T=4))
    sample = run_sample(data, 0, ScoreNoise.known(0.0, data.n_rows, 3), np.arange(3))
    sums = weighted_sums(sample, np.ones((1, 20)))
    unit = np.outer(sample.scale, sample.scale)
    found = []
    for solution in (fit_pooled(sample, sums), fit_with_effects(sample, sums, 500, 1e-9)):
        Q, Sigma, beta, total = solution.Q[0] * unit, solution.Sigma[0] * unit, solution.beta[0], 0.0
        A = beta[1:4].T * sample.scale[:, None] / sample.scale
        C = (sample.V @ beta[4:]).T * sample.scale[:, None] / sample.scale
        b = beta[0] * sample.scale - (A + C) @ sample.center
        for y in data.scores.reshape(20, 5, 3):
            r, V = dense(y, A, b, C, Q, Sigma)
            total -= 0.5 * (np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r))
        found.append(total - log_likelihood(sample, sums, solution)[0])
    # The same but for a constant.
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_unequal_lengths_have_their_own_weights() -> None:
    full = judged(S=50, T=9)
    lengths = np.random.default_rng(3).integers(3, 11, 50)
    data = of([path[:length] for path, length in zip(full, lengths, strict=True)])
    got = re.estimate(data)
    sample = run_sample(data, 0, ScoreNoise.known(0.0, data.n_rows, 3), np.arange(3))
    solution = fit_with_effects(sample, weighted_sums(sample, np.ones((1, 50))), 2_000, 1e-12)
    scale = sample.scale
    Q = solution.Q[0] * np.outer(scale, scale)
    Sigma = solution.Sigma[0] * np.outer(scale, scale)
    # Generalised least squares with the dense covariance of each session, for x, x_0 and dx as they are.
    left, right = np.zeros((21, 21)), np.zeros(21)
    for s in range(50):
        y = data.scores[data.offsets[s] : data.offsets[s + 1]]
        Z = np.hstack([np.ones((len(y) - 1, 1)), y[:-1], np.tile(y[0], (len(y) - 1, 1))])
        X = np.kron(Z, np.eye(3))
        _, V = dense(y, np.zeros((3, 3)), np.zeros(3), np.zeros((3, 3)), Q, Sigma)
        left += X.T @ np.linalg.solve(V, X)
        right += X.T @ np.linalg.solve(V, np.diff(y, axis=0).ravel())
    beta = np.linalg.solve(left, right).reshape(7, 3)
    np.testing.assert_allclose(got.A, beta[1:4].T, atol=1e-5)
    mean = data.scores[data.offsets[:-1]].mean(axis=0)
    np.testing.assert_allclose(got.b, beta[0] + mean @ beta[4:], atol=1e-4)
    # Sigma's own equation.
    score = np.zeros((3, 3))
    for s in range(50):
        y = data.scores[data.offsets[s] : data.offsets[s + 1]]
        T = len(y) - 1
        r = (np.diff(y, axis=0) - y[:-1] @ beta[1:4] - beta[0] - y[0] @ beta[4:]).mean(axis=0)
        inverse = np.linalg.inv(Q + T * Sigma)
        score += T * inverse @ (T * np.outer(r, r) - Q - T * Sigma) @ inverse
    assert np.abs(score).max() < 1e-4


def test_without_noise_and_effects_it_is_least_squares() -> None:
    data = panel(REAL, sessions=60, names=OPEN, seed=2)
    got = re.estimate(data, dt=0.5)
    assert got.session_p_value > re.SESSION_EFFECTS
    assert not got.session_effects
    assert not got.session_sd.any()
    m = session_moments(data.steps())
    plain = ls.estimate(m.total, m.center, m.scale, 0.5)
    np.testing.assert_allclose(got.A, plain.A, atol=1e-9)
    np.testing.assert_allclose(got.b, plain.b, atol=1e-8)
    np.testing.assert_allclose(got.Q, plain.Q, atol=1e-9)


def test_a_replicate_is_the_estimate_from_the_sessions_drawn() -> None:
    judgements = judged(S=40)
    data = of(judgements)
    sample = run_sample(data, 0, score_noise(data.judgements), np.arange(3))
    weights = np.random.default_rng(5).multinomial(40, np.full(40, 1 / 40), size=3).astype(float)
    sums = weighted_sums(sample, weights)
    A, b = re._drift(sample, sums, fit_with_effects(sample, sums, 2_000, 1e-10), 1.0)
    for k in range(3):
        again = fitted(np.repeat(judgements, weights[k].astype(int), axis=0))
        np.testing.assert_allclose(A[k], again.A, atol=1e-4)
        np.testing.assert_allclose(b[k], again.b, atol=1e-3)
        np.testing.assert_allclose(sums.R[k] * np.outer(sample.scale, sample.scale), again.R, rtol=1e-6)


def test_draws_depend_on_seed_and_key_alone() -> None:
    got = fitted(judged())
    A, b = got.draws(50, 1, "EF")
    np.testing.assert_array_equal(A, fitted(judged()).draws(50, 1, "EF")[0])
    assert A.shape == (50, 3, 3)
    assert b.shape == (50, 3)
    assert not np.array_equal(A, got.draws(50, 1, "SF")[0])
    assert np.isfinite(A).all()


def test_many_sessions_draw_as_few_do(monkeypatch) -> None:
    got = fitted(judged(S=300, T=5))
    few = got.draws(400, 0)[0].std(axis=0)
    monkeypatch.setattr(session_effects, "_MULTINOMIAL", 10)
    many = got.draws(400, 0)[0].std(axis=0)
    # Each standard deviation is known to 1 / sqrt(800).
    assert np.abs(np.log(many / few)).max() < 6 * np.sqrt(2 / 800)


def test_units_origins_and_time_do_not_matter() -> None:
    judgements, unit, shift = judged(), np.array([2.0, 1e-3, 50.0]), np.array([100.0, -1.0, 3.0])
    plain = fitted(judgements)
    other = fitted(judgements * unit[:, None] + shift[:, None], dt=0.1)
    A = plain.A * unit[:, None] / unit / 0.1
    np.testing.assert_allclose(other.A, A, rtol=1e-4)
    np.testing.assert_allclose(other.b, plain.b * unit / 0.1 - A @ shift, rtol=1e-4)
    np.testing.assert_allclose(other.Q, plain.Q * np.outer(unit, unit), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(other.R, plain.R * np.outer(unit, unit), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(other.session_sd, plain.session_sd * unit / 0.1, rtol=1e-4)


def test_gaps_switches_and_chosen_objectives() -> None:
    judgements = judged(S=40, T=9)
    judgements[3, 4] = np.nan
    judgements[5, 0, 1] = np.nan
    data = of(judgements)
    noise = score_noise(data.judgements)
    assert re.estimate(data, noise=noise).steps == len(data.steps())
    some = re.estimate(data, noise=noise, chosen=np.array([2, 0]))
    assert some.A.shape == (2, 2)
    assert some.steps == len(data.steps())
    # A strategy's own steps, from the state it starts from.
    strategy = data.strategy.copy()
    strategy[data.iteration >= 5] = 1
    both = Trajectories(
        data.space,
        data.scores,
        data.status,
        data.iteration,
        strategy,
        data.offsets,
        data.session_ids,
        ("EF", "SF"),
        judgements=data.judgements,
    )
    apart = [re.estimate(both, code, noise) for code in (0, 1)]
    assert [one.steps for one in apart] == [int((both.steps().strategy == code).sum()) for code in (0, 1)]


def test_one_start_for_all_sessions() -> None:
    # Nothing can depend on x_0 then; the noise in its scores must not be mistaken for differences.
    rng = np.random.default_rng(4)
    x = np.full((80, 3), 3.0)
    own, path = rng.normal(0, 1, (80, 3)), [x]
    for _ in range(8):
        x = x + REAL.drift(x - own) + 0.5 * rng.standard_normal(x.shape)
        path.append(x)
    y = np.stack(path, axis=1)[..., None]
    for noise in (0.0, 0.5):
        data = of(y + noise * rng.standard_normal((*y.shape[:-1], 2)))
        got = re.estimate(data, noise=score_noise(data.judgements))
        assert got.session_effects
        assert np.abs(got.A - REAL.A).max() < 0.25


def test_single_steps_show_no_effects_of_sessions() -> None:
    got = fitted(judged(S=80, T=1))
    assert np.isnan(got.session_p_value)
    assert not got.session_effects


def test_eight_objectives_and_ten_sessions() -> None:
    names = [f"o{j}:-inf:inf" for j in range(8)]
    model = AffineSDE(-np.diag(np.linspace(0.3, 1, 8)), 5 * np.linspace(0.3, 1, 8), 0.25 * np.eye(8))
    got = fitted(judged(model, S=10, T=10, noise=0.1), names)
    A, _ = got.draws(50, 0)
    assert np.isfinite(got.A).all()
    assert A.shape == (50, 8, 8)
    assert fitted(judged(model, S=300, T=6, noise=0.3), names).session_effects


def test_what_cannot_be_fitted_is_said() -> None:
    data = of(judged(S=10))
    with pytest.raises(InputError, match="90 rows and 3 objectives"):
        re.estimate(data, noise=score_noise(data.judgements[:5]))
    with pytest.raises(InputError, match="score noise needs"):
        re.estimate(data, noise=[1.0, 2.0])
    with pytest.raises(FitError, match="at least 5 complete steps"):
        re.estimate(of(judged(S=2, T=1)))
    # Scores that are nothing but noise about levels of their own.
    rng = np.random.default_rng(0)
    nothing = rng.normal(5, 0.01, (60, 8, 3, 1)) + rng.normal(0, 1, (60, 8, 3, 2))
    with pytest.raises(FitError, match="more than noise"):
        fitted(nothing)
    with pytest.raises(FitError, match="hardly varies or repeats"):
        re.estimate(of(np.where(np.arange(3)[:, None] == 1, 5.0, judged())))
    twice = judged()
    twice[..., 2, :] = twice[..., 0, :]
    with pytest.raises(FitError, match="hardly varies or repeats"):
        re.estimate(of(twice))
