from __future__ import annotations

import numpy as np
import pytest

from trimtab.errors import InputError
from trimtab.estimation.score_noise import ScoreNoise, score_noise


def ragged(rows: int = 60, n: int = 3, r: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 1, (rows, n, r)) + rng.normal(0, 0.7, (rows, 1, r)) + rng.normal(5, 2, (rows, n, 1))
    return np.where(rng.random(y.shape) < 0.3, np.nan, y)


def test_two_judgements_each() -> None:
    y = np.random.default_rng(0).normal(5, 1, (50, 2, 2))
    got = score_noise(y)
    expected = ((y[..., 0] - y[..., 1]) ** 2).mean(axis=0) / 4
    np.testing.assert_allclose(got.R, np.broadcast_to(expected, (50, 2)))
    np.testing.assert_allclose(got.variance, 2 * expected)
    np.testing.assert_array_equal(got.dof, [50, 50])


def test_the_same_numbers_as_cell_by_cell() -> None:
    y = ragged()
    got = score_noise(y)
    products, degrees = np.zeros((3, 3)), np.zeros((3, 3))
    for row in y:
        for i in range(3):
            for j in range(3):
                both = np.isfinite(row[i]) & np.isfinite(row[j])
                if both.sum() > 1:
                    products[i, j] += np.cov(row[i, both], row[j, both])[0, 1] * (both.sum() - 1)
                    degrees[i, j] += both.sum() - 1
    np.testing.assert_allclose(got.covariance, products / degrees)
    np.testing.assert_array_equal(got.dof, np.diagonal(degrees))
    times = np.isfinite(y).sum(axis=2)
    np.testing.assert_allclose(got.R, np.diagonal(got.covariance) / np.maximum(times, 1))


def test_the_noise_of_means_is_what_it_says() -> None:
    # A mean over fewer judgements is noisier, and errors that judgements share stay in the means together.
    rng, places = np.random.default_rng(1), np.isfinite(ragged(1, 2, 4, seed=5)[0])
    shared, own = rng.normal(0, 1, (200_000, 1, 4)), rng.normal(0, 0.5, (200_000, 2, 4))
    y = np.where(places, shared + own, np.nan)
    assert places.sum(axis=1).min() > 0
    means = np.nanmean(y, axis=2)
    one = score_noise(np.concatenate([y[:2000], y[:1]]))
    expected = one.share[0] * np.array([[1.25, 1.0], [1.0, 1.25]])
    np.testing.assert_allclose(np.cov(means, rowvar=False), expected, atol=6 * 1.8 / np.sqrt(200_000))


def test_levels_cost_no_digits() -> None:
    y = np.random.default_rng(0).normal(0, 1e-3, (50, 2, 3))
    np.testing.assert_allclose(score_noise(y + 1e6).variance, score_noise(y).variance, rtol=1e-6)


def test_what_is_judged_once_tells_nothing() -> None:
    y = ragged()
    y[:, 1, 1:] = np.nan
    y[:, 1, 0] = 5.0
    y[3] = np.nan
    got = score_noise(y)
    assert np.isnan(got.variance[1])
    assert got.dof[1] == 0
    assert not got.R[:, 1].any()
    # A score without recorded judgements counts as one of them.
    assert got.R[3, 0] == got.variance[0]


def test_known_noise() -> None:
    got = ScoreNoise.known([0.5, 0.2], 7, 2)
    np.testing.assert_allclose(got.R, np.tile([0.5, 0.2], (7, 1)))
    np.testing.assert_allclose(ScoreNoise.known([[1, 0.5], [0.5, 1]], 7, 2).covariance, [[1, 0.5], [0.5, 1]])
    np.testing.assert_allclose(ScoreNoise.known(0.3, 7, 2).R, np.full((7, 2), 0.3))


@pytest.mark.parametrize("given", [[1.0, 2.0, 3.0], -1.0, [[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]], np.inf])
def test_what_is_no_covariance_is_refused(given) -> None:
    with pytest.raises(InputError, match="score noise"):
        ScoreNoise.known(given, 7, 2)


def test_judgements_must_repeat() -> None:
    with pytest.raises(InputError, match="shape"):
        score_noise(np.zeros((3, 2)))
    with pytest.raises(InputError, match="two judgements"):
        score_noise(np.zeros((3, 2, 1)))
