from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from reproduced import small
from trimtab.dynamics.affine import AffineSDE
from trimtab.reproduction.paper import REPORTED
from trimtab.reproduction.strains import Strain


def strain(key: str) -> Strain:
    return next(one for one in small().strains if one.key == key)


def test_every_strain_says_something_with_numbers() -> None:
    for one in small().strains:
        assert one.question.endswith("?")
        assert one.numbers
        assert any(
            f"{value:.2f}" in one.says.replace("−", "-") or f"{value:g}" in one.says for value in one.numbers.values()
        )


def test_independent_scores_show_what_theory_says() -> None:
    numbers = strain("noise").numbers
    found = small().simulated
    error = found.noise.r2_steps.std() / np.sqrt(found.experiments)
    assert abs(numbers["r2"] - 0.5) <= 6 * 1.2533 * error + 2e-3  # plus the fit's own, parameters over steps
    # Maxima among 11 independent points in three dimensions: (H^2 + H2) / 2 of them, by harmonic sums.
    one, two = (sum(1 / k**p for k in range(1, 12)) for p in (1, 2))
    exact = (one**2 + two) / 2 / 11
    assert numbers["pareto"] == pytest.approx(exact, abs=6 * found.noise.pareto.std() / np.sqrt(found.experiments))
    # A real Gaussian 3 x 3 matrix has only real eigenvalues with probability 2^(-3/2).
    share, count = 1 - 2**-1.5, found.experiments
    assert abs(numbers["complex"] - share) <= 6 * np.sqrt(share * (1 - share) / count)


def test_the_modulus_of_a_pair_is_never_below_the_distance_of_its_rate_from_one() -> None:
    own = small().simulated.figures["SF"]
    assert (own.multiplier >= np.abs(1 - own.rate) - 1e-9).all()
    numbers = strain("pair").numbers
    assert numbers["modulus"] >= numbers["imaginary"]
    assert numbers["share"] == own.oscillates.mean()


def test_steps_needed_are_those_at_which_a_correlation_is_just_significant() -> None:
    numbers = strain("needed").numbers
    for r, steps in (
        (0.17, numbers["functionality-efficiency steps"]),
        (0.09, numbers["functionality-security steps"]),
    ):
        p = [2 * scipy.stats.norm.sf(np.arctanh(r) * np.sqrt(m - 3)) for m in (steps - 1, steps, steps + 1)]
        assert p[0] > 0.05 > p[2]
        assert p[1] == pytest.approx(0.05, rel=1e-5)


def test_errors_are_compared_with_the_spread_over_experiments() -> None:
    numbers = strain("errors").numbers
    for name in ("EF", "SF", "FF"):
        sd = small().simulated.figures[name].rate.std(ddof=1)
        assert numbers[f"{name} ratio"] == pytest.approx(REPORTED[name].rate_error / sd)
    assert not any(key.startswith("AI") for key in numbers)


def test_ffs_r2_is_below_what_uncorrelated_objectives_allow() -> None:
    numbers = strain("r2_of_ff").numbers
    assert numbers["least r2"] == pytest.approx(REPORTED["FF"].rate / 2)
    assert numbers["least r2"] > REPORTED["FF"].r2


def test_a_score_that_falls_to_a_bound_and_stays_makes_the_rate_1_at_most() -> None:
    found = small().simulated.pinned
    assert (found.reached[:, 0] == 0).all()
    assert (np.abs(found.eigenvalues + 1).min(axis=1) < 1e-9).all()
    assert (found.rate <= 1 + 1e-9).all()
    assert strain("at_zero").numbers["rate"] == pytest.approx(np.median(found.rate))


@pytest.mark.parametrize("seed", range(5))
def test_r2_of_steps_is_bounded_by_the_autocorrelation_of_a_stationary_loop(seed: int) -> None:
    """The inequality that the question on FF rests on, on exact stationary laws."""
    rng = np.random.default_rng(seed)
    F = rng.normal(0, 1, (3, 3))
    F *= 0.9 / np.abs(np.linalg.eigvals(F)).max()
    L = rng.normal(0, 1, (3, 3))
    loop = AffineSDE(F - np.eye(3), np.zeros(3), L @ L.T)
    P, lagged = loop.autocovariance(1)
    r = np.diag(lagged) / np.diag(P)
    r2 = 1 - np.diag(loop.Q) / np.diag(2 * P - lagged - lagged.T)
    assert (r2 >= (1 - r) / 2 - 1e-9).all()


@pytest.mark.parametrize("seed", range(5))
def test_r2_of_steps_is_at_least_half_the_rate_for_objectives_without_correlation(seed: int) -> None:
    F = np.random.default_rng(seed).normal(0, 1, (3, 3))
    F *= 0.9 / np.linalg.norm(F, 2)
    loop = AffineSDE(F - np.eye(3), np.zeros(3), np.eye(3) - F @ F.T)  # so that P = 1
    _, P = loop.stationary()
    assert pytest.approx(np.eye(3)) == P
    r2 = np.mean(1 - np.diag(loop.Q) / np.diag(2 * P - F - F.T))
    assert r2 >= loop.rate / 2 - 1e-9
