from __future__ import annotations

import numpy as np
import pytest

from simulated import COMPLEX, REAL, panel
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.spectrum import eigenvalues
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.least_squares import estimate
from trimtab.estimation.moments import session_moments
from trimtab.estimation.spectral import nearly_repeated

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
