from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from support.steering import known
from trimtab.control.knowledge import Knowledge
from trimtab.control.rate_shift import rate_shifts
from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError

SPACE = ObjectiveSpace(["a", "b"])
F = {"A": np.array([[0.7, 0.2], [0.0, 0.3]]), "B": np.array([[0.2, 0.0], [0.1, 0.1]])}
Q = 0.3 * np.eye(2)


def shift(F: np.ndarray) -> np.ndarray:
    return (np.eye(2) - F) @ [5.0, 5.0]


def long_run(**more: object) -> Knowledge:
    return known(SPACE, F, {k: shift(one) for k, one in F.items()}, Q, **more)


def walked(F: dict[str, np.ndarray], strategy: np.ndarray, seed: int, scale: float = 1.0, noise: float = 0.0):
    """Return scores (S, T + 1, 2) within the bounds."""
    rng = np.random.default_rng(seed)
    S, T = strategy.shape
    x = np.empty((S, T + 1, 2))
    x[:, 0] = rng.normal(5, 1.5, (S, 2)).clip(0, 10)
    by = list(F.values())
    for t in range(T):
        moved = np.stack([by[k] @ x[s, t] + shift(by[k]) for s, k in enumerate(strategy[:, t])])
        x[:, t + 1] = np.clip(moved + rng.normal(0, np.sqrt(0.3 * scale), (S, 2)), 0, 10)
    return np.clip(x + rng.normal(0, noise, x.shape), 0, 10) if noise else x


def switching(S: int, T: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (S, T))


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_the_test_is_level_for_one_session_and_for_many(noise: float) -> None:
    knowledge = long_run(score_noise=[noise**2] * 2)
    for S, T in ((1, 14), (4, 6)):
        rejected = []
        for seed in range(25):
            strategy = switching(S, T, seed)
            found = rate_shifts(knowledge, walked(F, strategy, seed, noise=noise), strategy, forgetting=0.9, seed=seed)
            rejected += [one.rate.p <= 0.1 for one in found.values() if one is not None]
        assert len(rejected) > 30
        # The two strategies of a session share its scores: the bound is that of half as many independent tests.
        assert np.mean(rejected) <= stats.binom.ppf(1 - 1e-6, len(rejected) // 2, 0.1) / (len(rejected) // 2)


def test_a_shift_is_found_measured_and_held_by_its_interval() -> None:
    slower = {**F, "A": np.array([[0.93, 0.0], [0.0, 0.9]])}
    strategy = switching(40, 8, 1)
    found = rate_shifts(long_run(), walked(slower, strategy, 2), strategy)
    moved, same = found["A"], found["B"]
    assert moved is not None
    assert same is not None
    true = (1 - 0.93) - (1 - 0.7)
    assert moved.rate.p < 0.01
    assert moved.rate.low <= true <= moved.rate.high < 0
    assert moved.rate.difference == pytest.approx(true, abs=0.1)
    smooth = (1 - 0.915) - (1 - 0.5)
    assert moved.smooth_rate.p < 0.01
    assert moved.smooth_rate.low <= smooth <= moved.smooth_rate.high < 0
    assert same.rate.p > 0.01
    assert moved.steps + same.steps == 40 * 8


def test_larger_innovations_are_told_from_a_shift() -> None:
    strategy = np.zeros((30, 8), dtype=np.int64)
    found = rate_shifts(long_run(), walked(F, strategy, 3, scale=4.0), strategy)["A"]
    assert found is not None
    assert found.innovations == pytest.approx(4.0, rel=0.25)
    assert found.rate.p > 0.01


def test_old_sessions_are_forgotten() -> None:
    slower = {**F, "A": np.array([[0.93, 0.0], [0.0, 0.9]])}
    strategy = np.zeros((60, 8), dtype=np.int64)
    scores = np.concatenate([walked(F, strategy[:30], 4), walked(slower, strategy[30:], 5)])
    everything = rate_shifts(long_run(), scores, strategy)["A"]
    lately = rate_shifts(long_run(), scores, strategy, forgetting=0.85)["A"]
    assert everything is not None
    assert lately is not None
    assert lately.rate.difference < everything.rate.difference < 0
    assert lately.steps == pytest.approx(8 * (1 - 0.85**60) / 0.15)


def test_iterates_that_others_began_from_missing_scores_and_ends_are_respected() -> None:
    rng = np.random.default_rng(6)
    S, T = 50, 6
    strategy, base = np.zeros((S, T), dtype=np.int64), np.zeros((S, T), dtype=np.int64)
    x = np.empty((S, T + 1, 2))
    x[:, 0] = rng.normal(5, 1.5, (S, 2))
    for t in range(T):
        x[:, t + 1] = x[:, 0] @ F["A"].T + shift(F["A"]) + rng.normal(0, np.sqrt(0.3), (S, 2))
    x[:10, 4:] = np.nan
    strategy[:10, 3:] = -1
    found = rate_shifts(long_run(), x, strategy, base)["A"]
    wrong = rate_shifts(long_run(), x, strategy)["A"]
    assert found is not None
    assert wrong is not None
    assert found.steps == 10 * 3 + 40 * 6
    assert found.rate.p > 0.01
    # From the iterate before, steps look larger than innovations are.
    assert found.innovations == pytest.approx(1.0, abs=0.2)
    assert wrong.innovations > 1.3


def test_too_few_or_unvarying_steps_say_nothing() -> None:
    strategy = np.zeros((1, 6), dtype=np.int64)
    assert rate_shifts(long_run(), walked(F, strategy, 7)[:, :6], strategy[:, :5])["A"] is None
    assert rate_shifts(long_run(), np.full((1, 7, 2), 5.0), strategy)["A"] is None
    assert rate_shifts(long_run(), walked(F, strategy, 7), strategy)["B"] is None
    assert rate_shifts(long_run(), np.empty((0, 7, 2)), np.empty((0, 6), dtype=np.int64)) == {"A": None, "B": None}


def test_shapes_and_forgetting_are_checked() -> None:
    strategy = np.zeros((2, 4), dtype=np.int64)
    with pytest.raises(InputError, match=r"scores \(sessions, steps \+ 1, 2\)"):
        rate_shifts(long_run(), np.zeros((2, 4, 2)), strategy)
    with pytest.raises(InputError, match="numbered below 2"):
        rate_shifts(long_run(), np.zeros((2, 5, 2)), strategy + 2)
    with pytest.raises(InputError, match="forgetting must be"):
        rate_shifts(long_run(), np.zeros((2, 5, 2)), strategy, forgetting=0.0)
