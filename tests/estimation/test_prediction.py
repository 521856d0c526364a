from __future__ import annotations

import numpy as np
import pytest

from simulated import noise, panel
from trimtab.core.streams import stream
from trimtab.estimation.fit import fit


def by_hand(steps, train: np.ndarray) -> np.ndarray:
    Z = np.hstack([np.ones((len(steps), 1)), steps.x])
    beta, *_ = np.linalg.lstsq(Z[train], steps.dx[train], rcond=None)
    return steps.dx - Z @ beta


def r2(residual: np.ndarray, target: np.ndarray) -> float:
    return float(np.mean(1 - (residual**2).sum(axis=0) / ((target - target.mean(axis=0)) ** 2).sum(axis=0)))


def test_every_r2_is_its_definition() -> None:
    data = panel(sessions=23)
    steps, got = data.steps(), fit(data, seed=5)["EF"].r2
    everything = np.ones(len(steps), dtype=bool)
    levels = steps.x + steps.dx
    assert float(got.steps) == pytest.approx(r2(by_hand(steps, everything), steps.dx))
    assert float(got.levels) == pytest.approx(r2(by_hand(steps, everything), levels))
    assert got.levels_persistence == pytest.approx(r2(steps.dx, levels))
    fold = (stream(5, "folds").permutation(23) % 10)[steps.session]
    model, mean = np.zeros_like(steps.dx), np.zeros_like(steps.dx)
    for k in range(10):
        model[fold == k] = by_hand(steps, fold != k)[fold == k]
        mean[fold == k] = levels[fold == k] - levels[fold != k].mean(axis=0)
    assert got.steps_held_out == pytest.approx(r2(model, steps.dx))
    assert got.levels_held_out == pytest.approx(r2(model, levels))
    assert got.levels_mean == pytest.approx(r2(mean, levels))


def test_noise_alone_explains_half_the_steps_and_none_of_the_levels() -> None:
    got = fit(noise(sessions=2000))["EF"].r2
    assert float(got.steps) == pytest.approx(0.5, abs=0.02)
    assert got.levels_held_out == pytest.approx(0.0, abs=0.02)
    assert got.levels_mean < 0


def test_one_session_has_no_held_out_figures() -> None:
    got = fit(panel(sessions=1, steps=100))["EF"].r2
    assert np.isnan(got.steps_held_out)
    assert np.isnan(got.steps.low)
    assert 0 < got.steps < 1
