"""Every sentence a verdict can hold, and what none of them may say."""

from __future__ import annotations

import re

import numpy as np
import pytest

from simulated import COMPLEX, REAL, noise, panel
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics import spectrum
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.spectrum import REGIMES
from trimtab.estimation.fit import fit

NEAR_ZERO = AffineSDE(np.diag([-0.03, -0.5, -0.9]), [0.15, 2.5, 4.5], 0.25 * np.eye(3))
OVERSHOOT = AffineSDE([[-1.8]], [9.0], [[0.25]])
EXPLOSIVE = AffineSDE([[0.3]], [-1.5], [[0.25]])
WALK = AffineSDE([[0.016]], [-0.08], [[0.25]])


def one(data: Trajectories, **options):
    result = fit(data, **options)
    return result[next(iter(result))]


def said(data: Trajectories, **options) -> str:
    return one(data, **options).verdict


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (REAL, "Converges steadily: a deviation halves every 1"),
        (COMPLEX, "damped oscillation with a turn every 1"),
        (NEAR_ZERO, "Hardly settles"),
        (OVERSHOOT, "changes sign at every iteration"),
        (EXPLOSIVE, "deviations grow by a factor 1.3"),
        (WALK, "drifts like a random walk"),
    ],
)
def test_each_behaviour_has_its_sentence(model: AffineSDE, words: str) -> None:
    assert words in said(panel(model, sessions=400, steps=8))


def test_noise_is_called_noise_only_where_there_is_enough_of_it() -> None:
    assert said(noise(sessions=100)).startswith("No dynamics found")
    weak = said(noise(sessions=8, steps=3, n=1))
    assert weak.startswith("Dynamics cannot be told from noise with 8 sessions")
    assert said(panel(REAL, sessions=4)).startswith("Too little to tell dynamics from noise with 4 sessions")
    assert "with one session" in said(panel(REAL, sessions=1, steps=100))


def test_fixed_levels_under_noise_are_no_dynamics() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(5, 1, (60, 1, 3)) + rng.normal(0, 1, (60, 11, 3))
    found = said(Trajectories.from_arrays(scores, ["a", "b", "c"]))
    assert found.label == "static level"
    assert found.startswith("No dynamics found: every session keeps a level of its own")
    assert "Take the speed with caution" not in said(panel(REAL))


def test_a_common_trend_is_no_dynamics() -> None:
    rng = np.random.default_rng(0)
    scores = 3 + 0.2 * np.arange(11)[None, :, None] + rng.normal(0, 0.5, (60, 11, 3))
    found = said(Trajectories.from_arrays(scores, ["a", "b", "c"]))
    assert found.label == "trend"
    assert found.startswith("All sessions move alike")


def test_noisy_scores_are_corrected_and_said_to_be() -> None:
    rng = np.random.default_rng(3)
    clean = panel(REAL, seed=3).scores.reshape(100, 11, 3)
    fitted = one(Trajectories.from_arrays(clean + rng.normal(0, 0.7, clean.shape), ["a", "b", "c"]))
    assert fitted.trusted == "state_space"
    assert "score noise of standard deviation" in fitted.verdict
    assert "Least squares alone says rate" in fitted.verdict
    assert fitted.rungs["least_squares"].smooth_rate > fitted.smooth_rate.high
    assert fitted.rate.low < REAL.rate < fitted.rate.high


def test_a_regime_without_agreement_is_not_named() -> None:
    borderline = AffineSDE(np.diag([-0.05, -0.5, -0.9]), [0.25, 2.5, 4.5], 0.25 * np.eye(3))
    texts = [said(panel(borderline, sessions=40, seed=seed)) for seed in range(5)]
    assert any("the regime is not settled: " in text for text in texts)


def test_speed_is_per_iteration_whatever_the_unit_of_time() -> None:
    usual, tenth = said(panel(REAL)), said(panel(REAL), dt=0.1)
    assert re.search(r"rate 0\.3\d per iteration", usual)
    assert usual == tenth


def test_a_destination_is_named_only_where_it_is_known() -> None:
    assert "Left alone it heads for security 5" in said(panel(REAL))
    assert "Left alone" not in said(panel(EXPLOSIVE, sessions=100, steps=8))
    far = AffineSDE([[-0.3]], [6.0], [[0.25]])
    assert "off the scale for security" in said(panel(far))
    at_the_bound = Trajectories.from_arrays(10 - np.abs(10 - panel(far).scores.reshape(100, 11, 1)), ["security"])
    assert "off the scale" not in said(at_the_bound)


def test_little_carries_over_where_the_next_score_is_nearly_fresh() -> None:
    nearly = AffineSDE(-0.85 * np.eye(3), np.full(3, 4.25), np.eye(3))
    assert "Little carries over" in said(panel(nearly, sessions=200, steps=10))


@pytest.mark.parametrize(("direction", "words"), [("max", "tend to lose in"), ("min", "tend to gain in")])
def test_gains_follow_the_direction_of_an_objective(direction: str, words: str) -> None:
    against = AffineSDE(-0.4 * np.eye(2), [2.0, 2.0], [[0.3, -0.2], [-0.2, 0.3]])
    assert words in said(panel(against, names=["security", f"latency:0:10:{direction}"]))


def test_a_strategy_that_ends_no_session_claims_no_outcome() -> None:
    from dataclasses import replace

    data = panel(REAL, sessions=60)
    early = replace(data, strategies=("EF", "SF"), strategy=(data.iteration > 5).astype(np.int64))
    result = fit(early)
    assert "On average" not in result["EF"].verdict
    assert "On average" in result["SF"].verdict
    assert np.isfinite(result["EF"].at_bound).all()


def test_sessions_without_a_step_are_counted_and_left_out() -> None:
    rng = np.random.default_rng(0)
    paths = [*AffineSDE([[-0.4]], [2.0], [[0.1]]).simulate(np.full((20, 1), 8.0), 6, rng), *np.full((20, 1, 1), 0.5)]
    result = fit(Trajectories.from_arrays(paths, ["a"]))
    assert result["all"].started.estimate[0] == 8.0
    assert ("sessions", 20) in {(e.unit, e.count) for e in result.exclusions}


def test_an_objective_that_hardly_varies_does_not_make_the_loop_unstable() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(5, 1, (20, 8, 2))
    scores[:, :, 1] = 3.0
    scores[4, 3, 1] = 4.0
    found = one(Trajectories.from_arrays(scores, ["a", "b"]))
    assert found.regime.label == "undetermined"
    assert any("lack variation" in w for w in found.warnings)
    assert np.isnan(found.rate.low)


def test_counters_spoil_no_other_figure() -> None:
    paths = panel(REAL, sessions=40).scores.reshape(40, 11, 3).copy()
    paths[:, :, 2] = np.arange(11) + np.random.default_rng(0).normal(size=(40, 1))
    found = one(Trajectories.from_arrays(paths, ["a", "b", "t:-inf:inf"]))
    assert np.isfinite(found.r2.steps)
    assert np.isnan(found.r2.per_objective[2])
    assert np.isnan(found.interference.estimate[0, 2])


def test_units_change_nothing_but_units() -> None:
    data = panel(REAL)
    unit = np.array([1e-7, 1.0, 1e7])
    scaled = Trajectories.from_arrays(
        data.scores.reshape(100, 11, 3) * unit, ["a:-inf:inf", "b:-inf:inf", "c:-inf:inf"]
    )
    a, b = one(data), one(scaled)
    np.testing.assert_allclose(b.equilibrium.estimate, a.equilibrium.estimate * unit)
    assert b.rate == pytest.approx(float(a.rate))
    assert b.model.rate == pytest.approx(float(a.rate))


def test_no_verdict_contradicts_its_figures() -> None:
    rng = np.random.default_rng(1)
    for _ in range(80):
        n, sessions, steps = int(rng.integers(1, 4)), int(rng.integers(2, 60)), int(rng.integers(1, 8))
        A = -np.diag(rng.uniform(-0.1, 2.1, n)) + 0.2 * rng.normal(size=(n, n))
        scores = AffineSDE(A, rng.normal(size=n), 0.3 * np.eye(n)).simulate(rng.normal(5, 1, (sessions, n)), steps, rng)
        data = Trajectories.from_arrays(np.round(scores, int(rng.integers(0, 3))), [f"o{j}:-inf:inf" for j in range(n)])
        found = one(data, draws=100)
        text = found.verdict
        assert not re.search(r"\b(inf|nan)\b|took \.|factor 0\.|factor 1\.00", text), text
        if found.regime.label != "undetermined":
            assert found.regime.label == REGIMES[int(spectrum.regimes(found.eigenvalues))]
        if np.isfinite(found.r2.steps.low):
            assert 0 <= found.r2.steps.low <= found.r2.steps.high <= 1
