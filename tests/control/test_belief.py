"""Beliefs against the dense normal law, which needs no recursion."""

from __future__ import annotations

import numpy as np
import pytest

from support.beliefs import dense, knowledge
from trimtab.control.belief import Beliefs
from trimtab.control.learning import expected_sums


@pytest.mark.parametrize("noise", [0.0, 0.7])
@pytest.mark.parametrize("levels", [0.0, 0.4])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("bases", [None, [[0, 0, 0, 0, 0], [0, 0, 2, 1, 4], [0, 1, 2, 0, 2]]])
def test_estimates_and_sums_are_those_of_the_joint_law(
    noise: float, levels: float, missing: bool, bases: list[list[int]] | None
) -> None:
    known = knowledge(noise=noise, levels=levels)
    n, T, S = known.n, 5, 3
    rng = np.random.default_rng(1)
    y, strategy = rng.normal(5, 1.5, (S, T + 1, n)), rng.integers(0, 3, (S, T))
    if missing:
        y[1, 2, 0] = y[2, 0, 1] = y[2, 5] = np.nan
    beliefs = Beliefs.start(known, y[:, 0])
    base = np.tile(np.arange(T), (S, 1)) if bases is None else np.array(bases)
    for t in range(T):
        beliefs.step(strategy[:, t], y[:, t + 1], base[:, t])
    sums = expected_sums(beliefs, y)
    for s in range(S):
        mean, covariance, states = dense(known, strategy[s], y[s], base[s])
        np.testing.assert_allclose(beliefs.past[s].ravel(), mean[states], atol=1e-7)
        for t in range(T + 1):
            block = slice(t * n, (t + 1) * n)
            np.testing.assert_allclose(beliefs.past_covariance[s, t], covariance[block, block], atol=1e-7)
        if levels:
            np.testing.assert_allclose(beliefs.mean[s, n:], mean[-n:], atol=1e-7)
        np.testing.assert_allclose(sums[s], _sums(known, strategy[s], base[s], y[s], mean, covariance), atol=1e-6)


def _sums(known, strategy, base, y, mean, covariance):  # type: ignore[no-untyped-def]
    n = known.n
    result = np.zeros_like(known.total)
    for t, k in enumerate(strategy):
        if not np.isfinite(y[[base[t], t + 1]]).all():
            continue
        pick, shift = np.zeros((1 + 2 * n, len(mean))), np.zeros(1 + 2 * n)
        before, after = slice(base[t] * n, (base[t] + 1) * n), slice((t + 1) * n, (t + 2) * n)
        shift[0], shift[1 : 1 + n] = 1.0, -known.center / known.scale
        pick[1 : 1 + n, before] = np.diag(1 / known.scale)
        pick[1 + n :, after], pick[1 + n :, before] = np.diag(1 / known.scale), -np.diag(1 / known.scale)
        pick[1 + n :, -n:] = -np.diag(known.session_sd[k] / known.scale)
        w = pick @ mean + shift
        result[k] += np.outer(w, w) + pick @ covariance @ pick.T
    return result


def test_scores_without_noise_are_the_states() -> None:
    known = knowledge()
    y = np.random.default_rng(2).normal(5, 1, (4, 3, 2))
    beliefs = Beliefs.start(known, y[:, 0])
    for t in (1, 2):
        beliefs.step(np.zeros(4, dtype=np.int64), y[:, t])
    assert beliefs.exact
    np.testing.assert_array_equal(beliefs.past, y)


def test_surprise_is_chi_squared_under_the_model() -> None:
    known = knowledge(noise=0.5)
    S, T, n = 20_000, 3, 2
    rng = np.random.default_rng(3)
    x = known.start_mean + rng.normal(size=(S, n)) @ np.linalg.cholesky(known.start_covariance).T
    strategy = rng.integers(0, 3, (S, T))
    beliefs = Beliefs.start(known, x + rng.normal(0, 0.5, (S, n)))
    for t in range(T):
        k = strategy[:, t]
        w = (np.linalg.cholesky(known.mean.Q)[k] @ rng.normal(size=(S, n, 1)))[..., 0]
        x = (known.mean.F[0, k] @ x[..., None])[..., 0] + known.mean.c[0, k] + w
        beliefs.step(k, x + rng.normal(0, 0.5, (S, n)))
    # A chi-squared with 2 degrees of freedom has mean 2 and variance 4: six standard errors of the mean are .085.
    np.testing.assert_allclose(beliefs.surprise.mean(axis=0), 2.0, atol=0.085)


def test_starting_anew_predicts_from_the_iterate_gone_back_to() -> None:
    known = knowledge(noise=0.5)
    y = np.array([[[4.0, 6.0], [7.0, 3.0]]])
    beliefs = Beliefs.start(known, y[:, 0])
    start = beliefs.past[0, 0].copy()
    beliefs.step(np.array([1]), y[:, 1])
    beliefs.step(np.array([2]), np.full((1, 2), np.nan), np.array([0]))
    smoothed = beliefs.past[0, 0]
    assert not np.allclose(smoothed, start)
    np.testing.assert_allclose(beliefs.mean[0], known.mean.F[0, 2] @ smoothed + known.mean.c[0, 2])
    assert beliefs.base.tolist() == [[0, 0]]


def test_some_sessions_go_on_as_they_would_with_all() -> None:
    known = knowledge(noise=0.3, levels=0.2)
    y = np.random.default_rng(4).normal(5, 1, (6, 3, 2))
    k = np.array([0, 1, 2, 0, 1, 2])
    both, some = Beliefs.start(known, y[:, 0]), np.array([True, False, True, True, False, False])
    both.step(k, y[:, 1])
    part = both.take(some)
    part.step(k[some], y[some, 2])
    both.step(k, y[:, 2])
    np.testing.assert_array_equal(part.past, both.past[some])
    np.testing.assert_array_equal(part.lag, both.lag[some])
