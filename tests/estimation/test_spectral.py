from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from simulated import COMPLEX, REAL, panel
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.spectrum import NEAR_ONE, eigenvalues, rate
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.least_squares import estimate
from trimtab.estimation.moments import session_moments
from trimtab.estimation.spectral import SpectralFigures, met, nearly_repeated

TWICE = AffineSDE([[-0.4, 0.0, 0.0], [0.1, -0.4, 0.0], [0.0, -0.1, -0.8]], [2.0, 1.5, 4.5], 0.25 * np.eye(3) + 0.05)
ABREAST = AffineSDE([[-0.4, 0.35, 0.0], [-0.35, -0.4, 0.0], [0.0, 0.0, -0.4]], [0.25, 3.75, 2.0], 0.25 * np.eye(3))

REAL_FRONT = np.array([-0.3, -0.5 + 0.1j, -0.5 - 0.1j])
COMPLEX_FRONT = np.array([-0.3 + 0.1j, -0.3 - 0.1j, -0.5])


@pytest.mark.parametrize(("front", "other"), [(REAL_FRONT, COMPLEX_FRONT), (COMPLEX_FRONT, REAL_FRONT)])
def test_eigenvalues_repeat_where_replicates_reach_across_their_meeting(front: np.ndarray, other: np.ndarray) -> None:
    def draws(across: int) -> np.ndarray:
        return np.concatenate([np.tile(front, (1000 - across, 1)), np.tile(other, (across, 1))])

    assert not nearly_repeated(front, draws(0))
    assert not nearly_repeated(front, draws(25))
    assert nearly_repeated(front, draws(26))


def test_without_spectrum_or_replicates_nothing_repeats() -> None:
    assert not nearly_repeated(np.empty(0, dtype=complex), np.empty((5, 0), dtype=complex))
    assert not nearly_repeated(REAL_FRONT, np.empty((0, 3), dtype=complex))
    assert not nearly_repeated(np.array([-0.4 + 0j]), np.full((50, 1), -0.3 + 0j))


def spectra(model: AffineSDE, seed: int) -> tuple[np.ndarray, np.ndarray]:
    m = session_moments(panel(model, sessions=100, seed=seed).steps())
    drawn = estimate(resample(m, 500, seed, "EF"), m.center, m.scale)
    return eigenvalues(estimate(m.total, m.center, m.scale).A), eigenvalues(drawn.A)


def narrow_gap(lam: np.ndarray, draws: np.ndarray) -> bool:
    """The sign that suggests itself: the gap is less than two of its own standard deviations."""

    def gap(values: np.ndarray) -> np.ndarray:
        apart = np.abs(values[..., 1:] - values[..., :1])
        return apart.min(axis=-1)

    return bool(gap(lam) < 2 * gap(draws).std())


EXPERIMENTS = 60


def noticed(model: AffineSDE, sign=nearly_repeated) -> int:
    return sum(sign(*spectra(model, seed)) for seed in range(EXPERIMENTS))


@pytest.mark.parametrize("model", [TWICE, ABREAST])
def test_repeated_eigenvalues_are_noticed(model: AffineSDE) -> None:
    # Observed in 95% and 97% of 500 experiments; 60 of them have a standard deviation of 1.7.
    assert noticed(model) > 0.95 * EXPERIMENTS - 6 * 1.7


@pytest.mark.parametrize("model", [REAL, COMPLEX])
def test_simple_eigenvalues_are_left_alone(model: AffineSDE) -> None:
    # Observed in 1% of 500 experiments at most: standard deviation 0.8.
    assert noticed(model) < 0.01 * EXPERIMENTS + 6 * 0.8


def test_the_gap_beside_its_own_deviation_misses_them() -> None:
    assert noticed(TWICE, narrow_gap) < 0.95 * EXPERIMENTS - 6 * 1.7


def test_where_they_would_meet_is_found_from_how_mean_and_discriminant_go_together() -> None:
    """Of eigenvalues m +- sqrt(D) / 2 with m = -0.4 + 2 D + an error that has nothing to do with D."""
    rng = np.random.default_rng(0)
    D, error = rng.normal(0.02, 0.01, 4000), rng.normal(0, 0.01, 4000)
    error -= np.cov(error, D)[0, 1] / D.var(ddof=1) * (D - D.mean())
    half = np.sqrt(D.astype(complex)) / 2
    draws = np.stack([-0.4 + 2 * D + error + half, -0.4 + 2 * D + error - half, np.full(4000, -0.9)], axis=1)
    lam = np.array([-0.36 + np.sqrt(0.02) / 2, -0.36 - np.sqrt(0.02) / 2, -0.9], dtype=complex)
    at, drawn = met(lam, draws)
    np.testing.assert_allclose(at, [-0.4, -0.4, -0.9], atol=1e-12)
    np.testing.assert_allclose(drawn[:, 0], -0.4 + error, atol=1e-10)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])


def covered(block: list[list[float]], experiments: int = 400, sd: float = 0.05) -> tuple[int, int]:
    """Count intervals of the rate that hold the truth, with and without what allows for eigenvalues that meet."""
    rng = np.random.default_rng(1)
    A, truth = np.array(block), float(rate(eigenvalues(np.array(block))))
    plain = allowing = 0
    for _ in range(experiments):
        estimate_of_A = A + sd * rng.normal(size=A.shape)
        draws = eigenvalues(estimate_of_A + sd * rng.normal(size=(400, *A.shape)))
        lam = eigenvalues(estimate_of_A)
        figures = SpectralFigures(lam, draws, 1.0, 0.95, 100)
        low, high = figures._bounds(rate(lam), rate(draws), -np.inf)
        plain += low <= truth <= high
        found = figures.interval(rate)
        allowing += found.low <= truth <= found.high
    return plain, allowing


def test_the_rate_is_covered_where_eigenvalues_meet() -> None:
    fewest = 354  # of 400: six standard deviations below 95%
    plain, allowing = covered([[-0.4, 0.3], [0.0, -0.4]])
    assert plain < fewest <= allowing
    assert covered([[-0.3, 0.1], [0.0, -0.9]])[0] >= fewest


def test_a_loop_on_a_border_is_given_the_other_name_as_often_as_tests_err() -> None:
    rng, fits, spread = np.random.default_rng(0), 2000, 0.005
    estimates = NEAR_ONE - 1 + spread * rng.normal(size=(fits, 1)) + 0j
    figures = (
        SpectralFigures(lam, lam + spread * rng.normal(size=(1000, 1)), dt=1.0, level=0.95, clusters=100)
        for lam in estimates
    )
    names = [one.regime(dynamics=True).label for one in figures]
    for name in ("exponential", "boundary"):
        low, high = scipy.stats.binom.ppf([1e-6, 1 - 1e-6], fits, 0.05)
        assert low <= names.count(name) <= high
    assert set(names) == {"exponential", "boundary", "undetermined"}
