from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.affine import AffineSDE
from trimtab.forecasting.loops import Drifts, Loop, Loops
from trimtab.forecasting.paths import walk
from trimtab.forecasting.starts import Starts
from trimtab.simulation.ensemble import simulate

T, DT = 8, 0.5
PHI = 1 - 0.6 * DT
SCALAR = AffineSDE([[-0.6]], [3.0], [[0.2]], DT)
PAIR = AffineSDE([[-0.5, 0.2], [0.1, -0.8]], [1.0, 4.0], [[0.3, 0.1], [0.1, 0.2]])
AT = Starts(np.array([5.0]), np.zeros((1, 1)), "")


def loops(*found: Loop, bounds: str = "-inf:inf") -> Loops:
    n = found[0].model.n
    return Loops(ObjectiveSpace([f"o{j}:{bounds}" for j in range(n)]), {one.name: one for one in found}, "fit", {})


def scalar(**extra: object) -> Loop:
    return replace(Loop("EF", SCALAR, AT), **extra)


def variance_z(sample: np.ndarray, expected: float) -> float:
    """Return how many of its standard errors a variance of normal numbers lies from `expected`."""
    return float((sample.var() - expected) / (expected * np.sqrt(2 / len(sample))))


def test_uncertainty_of_the_drift_widens_the_fan_as_the_closed_form_says() -> None:
    # x_T = phi^T x_0 + (sum of phi^t) b dt + noise, so that Var = Q sum phi^2t + (dt sum phi^t)^2 Var(b).
    powers = PHI ** np.arange(T)
    noise = 0.2 * (powers**2).sum()
    b = np.random.default_rng(0).normal(3, 0.5, 2000)
    sure = scalar(drifts=Drifts(np.full((2000, 1, 1), -0.6), b[:, None]))
    expected = noise + (DT * powers.sum()) ** 2 * b.var()
    starts = np.full((40_000, 1), 5.0)
    end = walk(loops(sure), ["EF"] * T, starts, 1)[:, -1, 0]
    assert abs(variance_z(end, expected)) < 6
    mean = PHI**T * 5 + DT * powers.sum() * b.mean()
    assert abs(end.mean() - mean) < 6 * np.sqrt(expected / len(end))
    without = walk(loops(sure), ["EF"] * T, starts, 1, uncertain=False)[:, -1, 0]
    assert abs(variance_z(without, noise)) < 6
    # Either is far from the other's law, so that the test would see a fan that leaves the drift out.
    assert variance_z(without, expected) < -20


def test_uncertain_pulls_are_drawn_as_well_as_uncertain_levels() -> None:
    rng = np.random.default_rng(1)
    A = -0.6 + 0.1 * rng.standard_normal((50, 1, 1))
    b = 3 + rng.standard_normal((50, 1))
    still = AffineSDE([[-0.6]], [3.0], [[0.0]], DT)
    path = walk(loops(replace(scalar(drifts=Drifts(A, b)), model=still)), ["EF"] * T, np.full((120, 1), 5.0), 1)
    for p in (0, 49, 50, 119):
        x = 5.0
        for t in range(T):
            x += DT * (A[p % 50, 0, 0] * x + b[p % 50, 0])
            assert path[p, t + 1, 0] == pytest.approx(x)


def test_lasting_differences_of_sessions_widen_the_fan_as_the_closed_form_says() -> None:
    powers = PHI ** np.arange(T)
    expected = 0.2 * (powers**2).sum() + (DT * powers.sum() * 0.4) ** 2
    end = walk(loops(scalar(session_sd=np.array([0.4]))), ["EF"] * T, np.full((40_000, 1), 5.0), 1)[:, -1, 0]
    assert abs(variance_z(end, expected)) < 6
    assert abs(variance_z(end, 0.2 * (powers**2).sum())) > 6


def test_an_easy_session_is_easy_under_every_strategy() -> None:
    still = AffineSDE([[0.0]], [0.0], [[0.0]])
    found = loops(*(Loop(name, still, AT, session_sd=np.array([sd])) for name, sd in (("EF", 0.5), ("SF", 2.0))))
    path = walk(found, ["EF", "SF"], np.zeros((100, 1)), 1)[:, :, 0]
    np.testing.assert_allclose(path[:, 2] - path[:, 1], 4 * path[:, 1])


def test_drifts_that_all_are_the_model_change_nothing() -> None:
    starts = np.random.default_rng(2).normal(4, 1, (500, 2))
    drifts = Drifts(np.broadcast_to(PAIR.A, (7, 2, 2)), np.broadcast_to(PAIR.b, (7, 2)))
    known = Loop("EF", PAIR, Starts(np.zeros(2), np.eye(2), ""), drifts)
    plain = simulate(PAIR, starts, T, seed=5, keep="all").states
    np.testing.assert_allclose(walk(loops(known), ["EF"] * T, starts, 5), plain, rtol=1e-10)
    np.testing.assert_allclose(walk(loops(known), ["EF"] * T, starts, 5, uncertain=False), plain, rtol=1e-10)


def test_a_schedule_goes_by_each_loop_in_turn() -> None:
    up, down = (AffineSDE([[0.0]], [step], [[0.0]]) for step in (1.0, -2.0))
    path = walk(loops(Loop("up", up, AT), Loop("down", down, AT)), ["up", "up", "down"], np.zeros((3, 1)), 1)
    np.testing.assert_allclose(path[:, :, 0], [[0, 1, 2, 0]] * 3)


def test_paths_keep_within_the_bounds_at_every_step() -> None:
    b = np.array([[40.0], [-40.0]])
    wild = scalar(drifts=Drifts(np.full((2, 1, 1), 0.3), b))
    path = walk(loops(wild, bounds="0:10"), ["EF"] * T, np.full((100, 1), 5.0), 1)
    assert path.min() == 0
    assert path.max() == 10
    np.testing.assert_array_equal(path[0::2, -1], 10)
    np.testing.assert_array_equal(path[1::2, -1], 0)


def test_a_loop_that_does_not_converge_may_leave_all_numbers_without_a_warning() -> None:
    wild = Loop("EF", AffineSDE([[9e9]], [0.0], [[1.0]]), AT)
    path = walk(loops(wild), ["EF"] * 60, np.ones((20, 1)), 1)
    assert not np.isfinite(path[:, -1]).any()


def test_score_noise_is_added_to_what_is_seen_and_not_to_the_states() -> None:
    noisy = scalar(score_noise=np.array([0.3]))
    starts = np.full((40_000, 1), 5.0)
    states, scores = (walk(loops(noisy), ["EF"] * T, starts, 1, scored=scored) for scored in (False, True))
    error = (scores - states)[:, :, 0]
    assert abs(variance_z(error[:, 0], 0.3)) < 6
    assert abs(variance_z(error[:, -1], 0.3)) < 6
    assert abs(np.corrcoef(error[:, 3], error[:, 4])[0, 1]) < 6 / np.sqrt(len(error))
    assert abs(np.corrcoef(error[:, 3], states[:, 4, 0])[0, 1]) < 6 / np.sqrt(len(error))


def test_scores_keep_within_the_bounds_too() -> None:
    noisy = scalar(score_noise=np.array([9.0]))
    scores = walk(loops(noisy, bounds="0:10"), ["EF"] * T, np.full((500, 1), 5.0), 1, scored=True)
    assert scores.min() == 0
    assert scores.max() == 10


def test_unstable_drifts_are_counted() -> None:
    A = np.array([[[-0.6]], [[0.1]], [[-5.0]], [[-1.0]]])  # multipliers .7, 1.05, -1.5, .5
    assert scalar(drifts=Drifts(A, np.zeros((4, 1)))).unstable == 0.5
    assert np.isnan(scalar().unstable)
    assert scalar().radius == pytest.approx(PHI)


def test_objectives_that_explain_nothing_are_no_part_of_a_loops_stability() -> None:
    model = AffineSDE([[-0.5, 0.0], [0.1, 0.0]], [1.0, 0.0], np.eye(2))
    idle = Loop("EF", model, Starts(np.zeros(2), np.eye(2), ""), active=np.array([True, False]))
    assert idle.radius == pytest.approx(0.5)
