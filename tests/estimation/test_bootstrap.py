from __future__ import annotations

import numpy as np
import pytest

from simulated import panel
from trimtab.core.streams import stream
from trimtab.core.trajectories import Trajectories
from trimtab.estimation import bootstrap
from trimtab.estimation.bootstrap import normal_interval, resample, robust_interval
from trimtab.estimation.least_squares import estimate
from trimtab.estimation.moments import effective_sessions, session_moments


def test_a_replicate_is_a_refit_of_resampled_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "WIDE_ENOUGH", np.inf)
    data = panel(sessions=12)
    steps = data.steps()
    m = session_moments(steps)
    drawn = estimate(resample(m, 5, 3, "EF"), m.center, m.scale)
    chosen = stream(3, "bootstrap", "EF").integers(0, 12, size=(5, 12))
    for k in range(5):
        rows = np.concatenate([np.flatnonzero(steps.session == s) for s in chosen[k]])
        Z = np.hstack([np.ones((len(rows), 1)), steps.x[rows]])
        beta, *_ = np.linalg.lstsq(Z, steps.dx[rows], rcond=None)
        np.testing.assert_allclose(drawn.A[k], beta[1:].T, atol=1e-8)
        np.testing.assert_allclose(drawn.step_covariance[k], np.cov(steps.dx[rows], rowvar=False, bias=True))


def test_blocks_of_replicates_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "WIDE_ENOUGH", np.inf)
    m = session_moments(panel(sessions=12).steps())
    whole = resample(m, 50, 3, "EF")
    monkeypatch.setattr(bootstrap, "_INDICES", 90)
    np.testing.assert_allclose(resample(m, 50, 3, "EF"), whole, rtol=1e-12, atol=1e-12)


def test_replicates_depend_on_seed_and_key_only() -> None:
    m = session_moments(panel(sessions=12).steps())
    np.testing.assert_array_equal(resample(m, 5, 3, "EF"), resample(m, 5, 3, "EF"))
    assert not np.array_equal(resample(m, 5, 3, "EF"), resample(m, 5, 4, "EF"))
    assert not np.array_equal(resample(m, 5, 3, "EF"), resample(m, 5, 3, "SF"))


def test_the_gaussian_limit_has_the_moments_of_the_multinomial_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    m = session_moments(panel(sessions=40).steps())
    draws = 20_000
    limit = resample(m, draws, 0, "EF").reshape(draws, -1)
    monkeypatch.setattr(bootstrap, "WIDE_ENOUGH", np.inf)
    exact = resample(m, draws, 0, "EF").reshape(draws, -1)
    spread = exact.std(axis=0)
    moving = spread > 1e-9
    z = (exact.mean(axis=0) - limit.mean(axis=0))[moving] / (spread[moving] * np.sqrt(2 / draws))
    assert np.abs(z).max() < 6
    np.testing.assert_allclose(limit.std(axis=0)[moving], spread[moving], rtol=0.06)
    np.testing.assert_array_equal(limit[0].reshape(7, 7), limit[0].reshape(7, 7).T)
    correlations = [np.corrcoef(drawn[:, moving], rowvar=False) for drawn in (exact, limit)]
    assert np.abs(correlations[0] - correlations[1]).max() < 6 * np.sqrt(2 / draws)


@pytest.mark.parametrize("difference", [0.0, 1.0])
def test_the_limit_is_not_used_where_the_states_vary_in_few_sessions(difference: float) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(5, 1, (40, 4, 2))
    # The second objective, or its difference from the first, varies in three sessions.
    scores[3:, :, 1] = 5.0 + difference * (scores[3:, :, 0] - 5.0)
    m = session_moments(Trajectories.from_arrays(scores, ["a", "b"]).steps())
    assert effective_sessions(m) < bootstrap.WIDE_ENOUGH
    assert (np.linalg.eigvalsh(resample(m, 2_000, 0, "EF")) > -1e-9).all()
    scores = rng.normal(5, 1, (40, 4, 2))
    assert 20 < effective_sessions(session_moments(Trajectories.from_arrays(scores, ["a", "b"]).steps())) < 40


def test_intervals_are_wider_where_the_draws_are() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0, [1.0, 2.0], (50_000, 2))
    for interval in (normal_interval, robust_interval):
        low, high = interval(np.array([1.0, -1.0]), draws, 0.95, 100)
        np.testing.assert_allclose(low, [1 - 1.984, -1 - 2 * 1.984], rtol=0.02)
        np.testing.assert_allclose(high, [1 + 1.984, -1 + 2 * 1.984], rtol=0.03)


def test_draws_that_are_not_numbers_are_left_out() -> None:
    draws = np.random.default_rng(0).normal(size=1000)
    low, high = normal_interval(np.array(0.0), draws, 0.9, 50)
    spoiled = np.concatenate([draws, [np.nan, np.inf]])
    assert normal_interval(np.array(0.0), spoiled, 0.9, 50) == (pytest.approx(low), pytest.approx(high))
    assert np.isnan(normal_interval(np.array(0.0), np.full(10, np.nan), 0.9, 50)[0])
    assert np.isnan(robust_interval(np.array([0.0]), np.full((10, 1), np.nan), 0.9, 50)[0]).all()


def test_heavy_tails_do_not_widen_the_robust_interval() -> None:
    draws = np.random.default_rng(0).standard_cauchy(100_000)
    low, high = robust_interval(np.array(0.0), draws, 0.95, 1000)
    # The central 68.27% of a Cauchy law is -1.84..1.84.
    assert (high - low) / 2 == pytest.approx(1.96 * 1.837, rel=0.05)
