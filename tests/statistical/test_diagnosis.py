"""What is called dynamics, noise, static level and trend, over many simulated experiments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from simulated import NAMES, REAL, noise, only_fit, panel
from trimtab.core.trajectories import Trajectories

Experiment = Callable[[int], Trajectories]


def labels(experiment: Experiment, count: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in range(count):
        found[only_fit(experiment(seed), draws=50).verdict.label] += 1
    return found


def levels(seed: int, spread: float = 1.0) -> Trajectories:
    rng = np.random.default_rng(seed)
    return Trajectories.from_arrays(rng.normal(5, spread, (100, 1, 3)) + rng.normal(0, 0.7, (100, 11, 3)), NAMES)


def trend(seed: int) -> Trajectories:
    rng = np.random.default_rng(seed)
    return Trajectories.from_arrays(3 + 0.2 * np.arange(11)[:, None] + rng.normal(0, 0.5, (100, 11, 3)), NAMES)


def stopped(experiment: Experiment, above: float) -> Experiment:
    """End every session once its first objective is above a score, as loops that stop when solved do."""

    def made(seed: int) -> Trajectories:
        data = experiment(seed)
        runs = [data.scores[data.offsets[s] : data.offsets[s + 1]] for s in range(data.n_sessions)]
        ends = [next((t for t in range(1, len(run)) if run[t, 0] > above), len(run) - 1) for run in runs]
        return Trajectories.from_arrays([run[: end + 1] for run, end in zip(runs, ends, strict=True)], NAMES)

    return made


def noisy(seed: int) -> Trajectories:
    data = panel(REAL, seed=seed)
    rng = np.random.default_rng([seed, 1])
    scores = data.scores + 0.5 * rng.normal(size=data.scores.shape)
    return Trajectories.from_arrays(scores.reshape(100, 11, 3), NAMES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "label"),
    [
        (lambda seed: noise(seed=seed), "noise"),
        (levels, "static level"),
        (lambda seed: levels(seed, 3.0), "static level"),
        (trend, "trend"),
        (stopped(lambda seed: noise(seed=seed), 6.5), "noise"),
        (stopped(levels, 6.5), "static level"),
    ],
)
def test_what_is_no_dynamics_is_rarely_called_so(experiment: Experiment, label: str) -> None:
    found = labels(experiment, 100)
    # Meant: 5%. Binomial(100, 0.05) exceeds 14 once in ten thousand.
    assert found["dynamics"] <= 14, found
    assert found[label] > 70, found


@pytest.mark.slow
def test_noisy_dynamics_are_called_dynamics() -> None:
    assert labels(noisy, 50)["dynamics"] >= 45
    assert labels(stopped(noisy, 7.0), 50)["dynamics"] >= 45
