from __future__ import annotations

import numpy as np
import pytest

from trimtab.core.streams import stream
from trimtab.dynamics.lyapunov import lyapunov_exponents
from trimtab.errors import InputError

UNIT = np.zeros(1), np.ones(1)


def logistic(r):
    return (lambda x: r * x * (1 - x)), (lambda x: (r - 2 * r * x)[..., None])


def henon(x):
    return np.stack([1 - 1.4 * x[..., 0] ** 2 + x[..., 1], 0.3 * x[..., 0]], axis=-1)


def henon_slope(x):
    zero, one = np.zeros_like(x[..., 0]), np.ones_like(x[..., 0])
    return np.stack([np.stack([-2.8 * x[..., 0], one], axis=-1), np.stack([0.3 * one, zero], axis=-1)], axis=-2)


def test_the_logistic_map_at_four_has_the_exponent_ln_2() -> None:
    starts = np.linspace(0.11, 0.93, 40)[:, None]
    found = lyapunov_exponents(*logistic(4.0), starts, 4000, *UNIT)
    assert not found.escaped.any()
    assert found.exponents == pytest.approx(np.log(2), abs=5e-3)


def test_the_logistic_map_below_chaos_has_that_of_its_cycle() -> None:
    # At r = 3.2 a cycle of two, whose multiplier is 4 + 2 r - r^2; at 2.5 a fixed point with the multiplier 2 - r.
    for r, exponent in ((3.2, np.log(abs(4 + 2 * 3.2 - 3.2**2)) / 2), (2.5, np.log(0.5))):
        found = lyapunov_exponents(*logistic(r), np.array([0.3]), 2000, *UNIT, discard=500)
        assert found.exponents[0] == pytest.approx(exponent, abs=1e-9)


def test_the_henon_map_has_its_known_exponents() -> None:
    starts = np.random.default_rng(0).uniform(-0.1, 0.1, (50, 2))
    found = lyapunov_exponents(henon, henon_slope, starts, 4000, np.full(2, -2.0), np.full(2, 2.0))
    # .41922 (Sprott 2003, Chaos and Time-Series Analysis); the determinant is -.3 everywhere.
    assert found.exponents[:, 0].mean() == pytest.approx(0.41922, abs=3e-3)
    assert found.exponents.sum(axis=1) == pytest.approx(np.log(0.3), abs=1e-9)
    one = lyapunov_exponents(henon, henon_slope, starts, 4000, np.full(2, -2.0), np.full(2, 2.0), largest=1)
    assert one.exponents[:, 0] == pytest.approx(found.exponents[:, 0], abs=1e-9)


def test_linear_maps_have_the_logs_of_their_multipliers() -> None:
    rng = np.random.default_rng(3)
    for F in (np.diag([0.5, 0.9]), np.array([[0.6, 0.5], [-0.5, 0.6]]), rng.normal(0, 0.3, (4, 4))):
        n = len(F)
        found = lyapunov_exponents(
            lambda x, F=F: x @ F.T,
            lambda x, F=F: np.broadcast_to(F, (*x.shape, len(F))),
            np.ones(n) * 0.1,
            2500,
            np.full(n, -9.0),
            np.full(n, 9.0),
        )
        assert found.exponents == pytest.approx(np.sort(np.log(np.abs(np.linalg.eigvals(F))))[::-1], abs=2e-3)


def test_noise_moves_the_orbit_and_not_the_tangent_of_a_linear_map() -> None:
    rng = stream(0, "noise")
    box = np.full(1, -9.0), np.full(1, 9.0)
    step, slope = lambda x: 0.8 * x, lambda x: np.full((*x.shape, 1), 0.8)
    found = lyapunov_exponents(step, slope, np.zeros((7, 1)), 200, *box, noise=lambda t: rng.normal(0, 0.5, (7, 1)))
    assert found.exponents == pytest.approx(np.log(0.8))
    assert np.ptp(found.end) > 0.1


def test_orbits_that_leave_the_box_are_counted_and_never_infinite() -> None:
    starts = np.array([[0.3], [1.2], [-0.1], [2.0]])
    found = lyapunov_exponents(*logistic(4.0), starts, 500, np.full(1, -0.5), np.full(1, 1.5))
    assert found.escaped.tolist() == [False, True, True, True]
    assert np.isnan(found.exponents[1:]).all()
    assert np.isfinite(found.end).all()
    assert np.isfinite(found.exponents[0])


def test_a_superstable_point_gives_a_finite_exponent() -> None:
    found = lyapunov_exponents(*logistic(2.0), np.array([0.5]), 100, *UNIT)
    assert np.isfinite(found.exponents).all()
    assert found.exponents[0] < -100


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="from 1 to 1 exponents"):
        lyapunov_exponents(*logistic(2.0), np.array([0.5]), 100, *UNIT, largest=2)
