from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trimtab.dynamics import spectrum
from trimtab.dynamics.spectrum import REGIMES

matrices = arrays(np.float64, (3, 3), elements=st.floats(-3, 3, width=32))


def test_eigenvalues_come_by_decreasing_real_part_then_imaginary_part() -> None:
    lam = spectrum.eigenvalues(np.array([[-0.5, 2.0, 0], [-2.0, -0.5, 0], [0, 0, -0.1]]))
    np.testing.assert_allclose(lam, [-0.1, -0.5 + 2j, -0.5 - 2j])


SLOWLY_TURNING_AND_UNSTABLE = np.array([[1.0, -0.03125, -0.03125], [-0.03125, -0.03125, -0.03125], [0, -0.03125, 1]])


@given(arrays(np.float64, (4, 3, 3), elements=st.floats(-3, 3, width=32)))
@example(np.stack([SLOWLY_TURNING_AND_UNSTABLE] * 4))
def test_a_batch_gives_what_its_members_give(batch: np.ndarray) -> None:
    lam = spectrum.eigenvalues(batch)
    for i, one in enumerate(batch):
        np.testing.assert_array_equal(spectrum.eigenvalues(one), lam[i])
    np.testing.assert_array_equal(spectrum.regimes(lam), [spectrum.regimes(row) for row in lam])


def test_rate_is_minus_the_largest_real_part() -> None:
    assert spectrum.rate(spectrum.eigenvalues(np.diag([-0.7, -0.2, -1.4]))) == pytest.approx(0.2)


def test_the_mode_that_sets_the_rate_need_not_be_the_slowest() -> None:
    lam = np.array([-0.5, -1.9], dtype=complex)
    assert spectrum.rate(lam) == 0.5
    assert spectrum.leading(lam) == 0.5
    assert spectrum.slowest(lam) == pytest.approx(-0.9)
    assert spectrum.spectral_radius(lam) == pytest.approx(0.9)


def test_both_stabilities_differ_beyond_minus_two() -> None:
    lam = np.array([-2.1 + 0j])
    assert spectrum.stable_continuous(lam)
    assert not spectrum.stable_discrete(lam)
    assert spectrum.stable_discrete(lam, dt=0.5)


@pytest.mark.parametrize(("radius", "life"), [(0.5, 1.0), (0.25, 0.5), (0.0, 0.0), (1.0, np.inf), (1.2, np.inf)])
def test_half_life(radius: float, life: float) -> None:
    assert spectrum.half_life(np.array(radius)) == pytest.approx(life)


@given(st.floats(0.01, 0.99))
def test_a_deviation_has_halved_after_the_half_life(radius: float) -> None:
    assert radius ** spectrum.half_life(np.array(radius)) == pytest.approx(0.5)


@pytest.mark.parametrize(("multiplier", "turn"), [(0.5, np.inf), (-0.5, 2.0), (0.5j, 4.0), (-0.5j, 4.0)])
def test_period(multiplier: complex, turn: float) -> None:
    assert spectrum.period(np.array(multiplier, dtype=complex)) == pytest.approx(turn)


@pytest.mark.parametrize(
    ("eigenvalues", "label"),
    [
        ([-0.33, -0.7, -1.0], "exponential"),
        ([-0.35 + 0.35j, -0.35 - 0.35j, -0.9], "oscillatory"),
        ([-0.1, -0.9 + 0.1j, -0.9 - 0.1j], "exponential"),
        ([-0.03, -0.5, -0.9], "boundary"),
        ([-0.9, -1.0, -1.6], "overshooting"),
        ([-2.1, -0.5, -0.5], "unstable"),
        ([0.1, -0.5, -0.5], "unstable"),
        ([0.0, -0.5, -0.5], "unstable"),
    ],
)
def test_regimes_follow_the_slowest_mode(eigenvalues: list[complex], label: str) -> None:
    assert REGIMES[int(spectrum.regimes(np.array(eigenvalues, dtype=complex)))] == label


@given(matrices)
def test_regimes_agree_with_the_path_of_the_noise_free_loop(A: np.ndarray) -> None:
    label = REGIMES[int(spectrum.regimes(spectrum.eigenvalues(A)))]
    radius = float(np.abs(1 + np.linalg.eigvals(A)).max())
    if abs(radius - 1) < 0.1 or radius > 5:
        return
    # After many steps every start has shrunk, or some start has grown.
    size = np.abs(np.linalg.matrix_power(np.eye(3) + A, 300)).max()
    assert (label == "unstable") == (size > 1)


def test_a_pair_that_dies_before_half_a_turn_is_no_oscillation() -> None:
    nearly_equal = np.array([-0.5 + 0.02j, -0.5 - 0.02j])
    assert REGIMES[int(spectrum.regimes(nearly_equal))] == "exponential"


def test_rounding_decides_nothing() -> None:
    assert REGIMES[int(spectrum.regimes(np.array([-1e-17 + 0j, -0.5])))] == "unstable"
    assert REGIMES[int(spectrum.regimes(np.array([-0.1 + 1e-13j, -0.1 - 1e-13j])))] == "exponential"
