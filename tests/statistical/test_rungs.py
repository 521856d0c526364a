"""The rungs that correct what least squares cannot, against simulated truth. Bounds come from the known standard
errors; each is shown to fail on a planted fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from simulated import COMPLEX, NAMES, REAL, panel
from support.binomial import least
from trimtab.core.trajectories import Steps, Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation import random_effects, session_effects, tobit
from trimtab.estimation.bootstrap import normal_interval
from trimtab.estimation.fit import fit
from trimtab.estimation.run_moments import run_sample
from trimtab.estimation.score_noise import ScoreNoise, score_noise
from trimtab.forecasting.from_fit import loops_of_fit

NEAR_ZERO = AffineSDE([[-0.03, 0.0, 0.0], [0.1, -0.5, 0.0], [0.0, -0.1, -0.9]], [0.15, 2.0, 5.0], 0.25 * np.eye(3))
OPEN = [f"{name}:-inf:inf" for name in NAMES]


def rate(A: np.ndarray) -> np.ndarray:
    return -np.linalg.eigvals(A).real.max(axis=-1)


def covers(point: np.ndarray, draws: np.ndarray, truth: float, sessions: int) -> bool:
    low, high = normal_interval(rate(point), rate(draws[np.isfinite(draws[:, 0, 0])]), 0.95, sessions)
    return bool(low < truth < high)


def z_score(found: list[float], truth: float) -> float:
    return float((np.mean(found) - truth) / (np.std(found, ddof=1) / np.sqrt(len(found))))


def clipped(model: AffineSDE, half: float, seed: int, sessions: int = 100, T: int = 10) -> Steps:
    """Simulate sessions whose scores cannot leave 5 -+ half."""
    rng = np.random.default_rng(seed)
    path = [np.clip(rng.normal(5, 1.5, (sessions, 3)), 5 - half, 5 + half)]
    root = np.linalg.cholesky(model.Q)
    for _ in range(T):
        noise = rng.standard_normal((sessions, 3)) @ root.T
        path.append(np.clip(path[-1] + model.drift(path[-1]) + noise, 5 - half, 5 + half))
    y = np.stack(path, axis=1)
    n = sessions * T
    return Steps(
        y[:, :-1].reshape(n, 3),
        np.diff(y, axis=1).reshape(n, 3),
        np.repeat(np.arange(sessions), T),
        np.zeros(n, dtype=np.int64),
        np.tile(np.arange(T), sessions),
    )


@pytest.mark.parametrize("half", [1.3, 0.9])
@pytest.mark.parametrize("model", [REAL, COMPLEX, NEAR_ZERO])
def test_scores_at_bounds_do_not_bias_the_tobit(model: AffineSDE, half: float) -> None:
    data = [clipped(model, half, seed) for seed in range(50)]
    found = [tobit.estimate(steps, 5 - half, 5 + half) for steps in data]
    least_squares = [tobit.estimate(steps, -np.inf, np.inf) for steps in data]
    rates, plain = [float(rate(one.A)) for one in found], [float(rate(one.A)) for one in least_squares]
    # The largest of three eigenvalues is biased by itself, by about its variance; .006 is what was found before.
    assert abs(np.mean(rates) - model.rate) < 0.006 + 6 * np.std(rates) / np.sqrt(50)
    assert abs(z_score(rates, model.rate)) < 6
    for j in range(3):
        assert abs(z_score([one.A[j, j] for one in found], model.A[j, j])) < 6
        # Variance of a mean of 50 estimates from about 1000 steps, fewer of them uncensored.
        assert abs(np.mean([one.Q[j, j] for one in found]) / model.Q[j, j] - 1) < 6 * np.sqrt(4 / 50_000)
    # Planted fault: bounds ignored.
    assert abs(z_score(plain, model.rate)) > 6
    assert abs(np.mean([one.Q[0, 0] for one in least_squares]) / model.Q[0, 0] - 1) > 6 * np.sqrt(4 / 50_000)


@pytest.mark.slow
@pytest.mark.parametrize("sessions", [100, 20])
def test_the_intervals_of_the_tobit_cover(sessions: int) -> None:
    hits = rows = 0
    for seed in range(60):
        # Every step is recorded four times, as where a log repeats its lines: within sessions nothing is independent.
        steps = clipped(REAL, 1.1, seed, sessions)
        fourfold = replace(steps, **{f: np.repeat(getattr(steps, f), 4, axis=0) for f in steps.__dataclass_fields__})
        one = tobit.estimate(fourfold, 3.9, 6.1)
        hits += covers(one.A, one.draws(200, seed)[0], REAL.rate, sessions)
        # Planted fault: rows as clusters.
        one = tobit.estimate(replace(fourfold, session=np.arange(len(fourfold))), 3.9, 6.1)
        rows += covers(one.A, one.draws(200, seed)[0], REAL.rate, sessions)
    # Half the standard error covers .67.
    assert rows < least(60) <= hits < 60


def at_ends(paths: np.ndarray, F: np.ndarray, c: np.ndarray, Q: np.ndarray, half: float) -> np.ndarray:
    """Return by session the mean log probability given to next scores being at the low end, inside, or at the high."""
    mean, sd = paths[:, :-1] @ F.T + c, np.sqrt(np.diagonal(Q))
    low, high = ndtr((5 - half - mean) / sd), ndtr((mean - 5 - half) / sd)
    after = paths[:, 1:]
    given = np.where(after <= 5 - half, low, np.where(after >= 5 + half, high, 1 - low - high))
    return np.log(np.maximum(given, 1e-12)).mean(axis=(1, 2))


@pytest.mark.parametrize("quality_ends", [True, False])
def test_what_mostly_sits_at_its_ends_is_predicted_by_the_rung_that_knows_it(quality_ends: bool) -> None:
    half, S = 0.3, 200
    if quality_ends:
        steps = clipped(REAL, half, 3, 2 * S)
        paths = np.concatenate([steps.x, (steps.x + steps.dx)[9::10]]).reshape(-1, 3)  # starts of steps, then the ends
        first, last = paths[: 20 * S].reshape(2 * S, 10, 3), paths[20 * S :].reshape(2 * S, 1, 3)
        paths = np.clip(np.concatenate([first, last], axis=1), 5 - half, 5 + half)
    else:
        paths = np.clip(panel(REAL, 2 * S, seed=3).scores.reshape(2 * S, 11, 3), 5 - half, 5 + half)
    names = [f"{name}:{5 - half}:{5 + half}" for name in NAMES]
    found = fit(Trajectories.from_arrays(paths[:S], names, "EF"), draws=100)
    assert max(found["EF"].at_bound) > 0.5
    (loop,) = loops_of_fit(found).loops.values()
    trusted = found["EF"]
    by_loop = at_ends(paths[S:], loop.model.transition, loop.model.b, loop.model.Q, half)
    by_trusted = at_ends(paths[S:], np.eye(3) + trusted.A, trusted.b, trusted.Q, half)
    # Means over independent sessions; the trusted rung, which does not know of the ends, is the planted fault.
    assert z_score(list(by_loop - by_trusted), 0.0) > 6


def judged(
    model: AffineSDE, seed: int, noise: float = 0.5, levels: float = 0.0, own_start: bool = False, S: int = 100
) -> Trajectories:
    """Simulate two judgements of every score, whose mean has noise of standard deviation `noise`."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, levels, (S, 3)) if levels else np.zeros((S, 3))
    x = rng.normal(5, 1.5, (S, 3)) + own * own_start
    path, root = [x], np.linalg.cholesky(model.Q)
    for _ in range(10):
        x = x + model.drift(x - own) + rng.standard_normal((S, 3)) @ root.T
        path.append(x)
    y = np.stack(path, axis=1)[..., None]
    judgements = y + noise * np.sqrt(2) * rng.standard_normal((*y.shape[:-1], 2))
    return Trajectories.from_arrays(None, OPEN, judgements=judgements)


def drift(data: Trajectories, noise: ScoreNoise | float) -> np.ndarray:
    return random_effects.estimate(data, noise=noise).A


def with_wrong_dof(data: Trajectories) -> ScoreNoise:
    """Divide the sums of squares by the number of judgements, as if the cells' means were known."""
    found = score_noise(data.judgements)
    return replace(found, covariance=found.covariance / 2, degrees=found.degrees * 2)


@pytest.mark.slow
@pytest.mark.parametrize(("levels", "own_start"), [(0.0, False), (1.0, False), (1.0, True)])
@pytest.mark.parametrize("model", [REAL, COMPLEX])
def test_noise_and_levels_do_not_bias_the_drift(model: AffineSDE, levels: float, own_start: bool) -> None:
    data = [judged(model, seed, 0.5, levels, own_start) for seed in range(16)]
    found = [drift(one, score_noise(one.judgements)) for one in data]
    rates = [float(rate(A)) for A in found]
    # Ratios of sums are biased by about their variance, which is not what is looked for: .02 is less than that.
    assert abs(np.mean(rates) - model.rate) < 0.02 + 6 * np.std(rates) / 4
    # The diagonals, where noise and levels show most, against plain standard errors and planted faults.
    assert max(abs(z_score([A[j, j] for A in found], model.A[j, j])) for j in range(3)) < 6
    for fault in (lambda one: 0.0, with_wrong_dof):
        wrong = [drift(one, fault(one)) for one in data]
        assert max(abs(z_score([A[j, j] for A in wrong], model.A[j, j])) for j in range(3)) > 6


def test_score_noise_and_the_spread_of_sessions_are_recovered() -> None:
    found = [
        random_effects.estimate(d, noise=score_noise(d.judgements))
        for d in (judged(REAL, s, 0.5, 1) for s in range(30))
    ]
    R = np.mean([np.diagonal(one.R) for one in found], axis=0)
    # 1100 differences each: relative standard deviation sqrt(2 / 1100).
    assert np.abs(R / 0.25 - 1).max() < 6 * np.sqrt(2 / 1100 / 30)
    # u = -A own, and own has unit variance; C x_0 + u has the same spread.
    expected = np.sqrt((REAL.A**2).sum(axis=1))
    sd = np.array([one.session_sd for one in found])
    assert np.abs((sd.mean(axis=0) - expected) / (sd.std(axis=0) / np.sqrt(30))).max() < 6
    Q = np.array([one.Q for one in found])
    assert np.abs((Q.mean(axis=0) - REAL.Q) / (Q.std(axis=0) / np.sqrt(30))).max() < 6


@pytest.mark.slow
def test_the_test_for_session_effects_has_its_size_and_power(monkeypatch) -> None:
    def below(level: float, **options) -> int:
        data = [judged(REAL, seed, **options) for seed in range(40)]
        samples = [run_sample(d, None, score_noise(d.judgements), np.arange(3)) for d in data]
        return sum(session_effects.session_p_value(sample) < level for sample in samples)

    # Binomial(40, 0.25) has the standard deviation 2.7. The factor is estimated, so that .25 is granted instead of .2.
    assert below(0.2, noise=0.5) < 10 + 6 * 2.7
    assert below(0.2, noise=0.01) < 10 + 6 * 2.7
    assert below(0.01, noise=0.5, levels=0.4) > 35
    # Sessions that start near levels of their own: sums of their residuals show nothing.
    assert below(0.01, noise=0.5, levels=1.0, own_start=True) == 40
    # Planted fault: the ratio taken for chi-squared as it is.
    monkeypatch.setattr(session_effects, "resampling_weights", lambda rng, size, S: np.ones((size, S)))
    assert below(0.2, noise=0.5) > 10 + 6 * 2.7


def coverage(experiments: int, fault: str = "", **options) -> int:
    hits = 0
    for seed in range(experiments):
        data = judged(REAL, seed, **options)
        if fault == "copies":  # of every session, taken for sessions of their own
            fourfold = np.tile(data.judgements.reshape(100, 11, 3, 2), (4, 1, 1, 1))
            data = Trajectories.from_arrays(None, OPEN, judgements=fourfold)
        one = random_effects.estimate(data, noise=score_noise(data.judgements))
        hits += covers(one.A, one.draws(100, seed)[0], REAL.rate, data.n_sessions)
    return hits


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"levels": 1.0}, {"levels": 1.0, "own_start": True}])
def test_the_intervals_cover(options: dict) -> None:
    assert coverage(60, **options) >= least(60)


@pytest.mark.slow
def test_pretending_to_more_sessions_destroys_the_coverage() -> None:
    # Half the standard error covers .67.
    assert coverage(30, "copies", levels=1.0) < least(30)
