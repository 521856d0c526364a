from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.reproduction.figures import Figures, experiment_figures
from trimtab.reproduction.paper import INTERFERENCE, OBJECTIVES, REPORTED, SESSIONS, STEPS
from trimtab.simulation.reference import NAMES, REFERENCE, ReferenceStrategy, ff_without_levels, reference

DOCUMENT = json.loads(files("trimtab.simulation").joinpath("reference.json").read_text())
ALL = {**REFERENCE, "FF without levels": ff_without_levels()}


def figures(strategy: ReferenceStrategy, experiments: int, seed: int) -> Figures:
    paths = strategy.paths(experiments * SESSIONS, seed, STEPS)
    return experiment_figures(paths.reshape(experiments, SESSIONS, STEPS + 1, 3))


def measured(found: Figures) -> dict[str, np.ndarray]:
    """Return every figure that may be a target, (E,) each."""
    index = {name: j for j, name in enumerate(OBJECTIVES)}
    return {
        "rate": found.rate,
        "multiplier": found.multiplier,
        "R2 of steps": found.r2_steps,
        "Pareto efficiency": found.pareto,
        **{f"reached {name}": found.reached[:, j] for name, j in index.items()},
        **{f"interference {a}-{b}": found.interference[:, index[a], index[b]] for a, b in INTERFERENCE},
    }


def test_the_strategies_are_the_papers() -> None:
    assert [*REFERENCE] == [*REPORTED] == [*NAMES]
    assert reference("FF") is REFERENCE["FF"]
    with pytest.raises(InputError, match="the reference strategies are EF, SF, FF, AI, but got 'XX'"):
        reference("XX")


@pytest.mark.parametrize("name", ALL)
def test_recorded_figures_are_what_is_measured(name: str) -> None:
    settings = DOCUMENT["measured"]
    assert (settings["sessions"], settings["steps"]) == (SESSIONS, STEPS)
    strategy = ALL[name]
    # Two models of one strategy are measured on the same starts and noise.
    found = figures(replace(strategy, name=name.split()[0]), settings["experiments"], settings["seed"])
    again = measured(found)
    for target in strategy.targets:
        if target.figure == "complex pair":
            assert target.achieved == pytest.approx(found.oscillates.mean(), abs=1e-4)
            continue
        low, median, high = np.quantile(again[target.figure], [0.025, 0.5, 0.975])
        assert [target.low, target.achieved, target.high] == pytest.approx([low, median, high], abs=1.1e-4)


@pytest.mark.parametrize("name", REFERENCE)
def test_other_experiments_show_the_same_figures_within_sampling_error(name: str) -> None:
    experiments = 100
    again = measured(figures(REFERENCE[name], experiments, seed=12345))
    for target in REFERENCE[name].targets:
        if target.figure == "complex pair":
            continue
        # A median's standard error under a normal law; the recorded one is of ten times as many experiments.
        error = 1.2533 * again[target.figure].std() * np.sqrt(1 / experiments + 1 / DOCUMENT["measured"]["experiments"])
        assert abs(np.median(again[target.figure]) - target.achieved) <= 6 * error + 1e-4, target.figure


def test_a_model_with_other_noise_would_be_noticed() -> None:
    right = REFERENCE["EF"]
    planted = replace(right, model=AffineSDE(right.model.A, right.model.b, 1.5 * right.model.Q))
    spread = {target.figure: target.high - target.low for target in right.targets}
    shifted = measured(figures(planted, 100, seed=12345))
    recorded = {target.figure: target.achieved for target in right.targets}
    assert abs(np.median(shifted["R2 of steps"]) - recorded["R2 of steps"]) > 6 * spread["R2 of steps"] / 3.92 / 10


@pytest.mark.parametrize("name", REFERENCE)
def test_the_papers_figures_stand_beside_the_achieved_ones(name: str) -> None:
    paper, targets = REPORTED[name], {target.figure: target for target in REFERENCE[name].targets}
    assert targets["rate"].paper == paper.rate
    assert targets["multiplier"].paper == paper.multiplier
    assert targets["R2 of steps"].paper == paper.r2
    assert tuple(targets[f"reached {objective}"].paper for objective in OBJECTIVES) == paper.reached
    assert {f"interference {a}-{b}": value for (a, b), value in INTERFERENCE.items()} == {
        figure: target.paper for figure, target in targets.items() if figure.startswith("interference")
    }
    assert all(
        target.low <= target.achieved <= target.high or target.figure == "complex pair" for target in targets.values()
    )


@pytest.mark.parametrize("name", ["EF", "SF", "AI"])
def test_all_figures_of_three_strategies_are_reached_but_for_sfs_modulus(name: str) -> None:
    missed = {target.figure for target in REFERENCE[name].targets if not target.reached}
    assert missed <= ({"multiplier", "Pareto efficiency"} if name == "SF" else {"Pareto efficiency"})
    pareto = next(target for target in REFERENCE[name].targets if target.figure == "Pareto efficiency")
    assert pareto.low > 0.5  # the paper's word is "high"


def test_rate_and_r2_of_ff_are_not_reached_together() -> None:
    for strategy in (REFERENCE["FF"], ff_without_levels()):
        targets = {target.figure: target for target in strategy.targets}
        assert not (targets["rate"].reached and targets["R2 of steps"].reached)


def test_sessions_stay_on_the_scale_and_start_where_they_are_said_to() -> None:
    strategy = REFERENCE["SF"]
    paths = strategy.paths(4_000, seed=3)
    assert paths.shape == (4_000, 11, 3)
    assert paths.min() >= 0.0
    assert paths.max() <= 10.0
    error = strategy.start_sd / np.sqrt(4_000)
    assert (np.abs(paths[:, 0].mean(axis=0) - strategy.start_mean) <= 6 * error).all()


def test_the_first_sessions_stay_the_same_when_more_are_asked_for() -> None:
    strategy = REFERENCE["EF"]
    assert np.array_equal(strategy.paths(7, seed=5), strategy.paths(30, seed=5)[:7])
    assert not np.array_equal(strategy.paths(7, seed=5), strategy.paths(7, seed=6))


def test_strategies_share_no_noise() -> None:
    starts = [strategy.starts(2_000, seed=1)[:, 0] for strategy in REFERENCE.values()]
    between = np.corrcoef(starts)[np.triu_indices(4, 1)]
    assert np.abs(between).max() <= 6 / np.sqrt(2_000)


def test_trajectories_bear_the_name_of_their_strategy() -> None:
    data = REFERENCE["AI"].simulate(5, seed=2, steps=4)
    assert data.strategies == ("AI",)
    assert data.space == REFERENCE["AI"].space
    assert data.scores.reshape(5, 5, 3) == pytest.approx(REFERENCE["AI"].paths(5, seed=2, steps=4))
    with pytest.raises(InputError, match="sessions must be 1 or more"):
        REFERENCE["AI"].simulate(0, seed=2)


def test_the_documented_table_is_the_frozen_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "reproduction.md"
    rows = {target.figure: [] for target in REFERENCE["EF"].targets if target.figure != "complex pair"}
    for strategy in REFERENCE.values():
        for target in strategy.targets:
            if target.figure in rows:
                rows[target.figure].append(f"{target.paper:.2f} / {target.achieved:.2f}".replace("-", "−"))
    for figure, cells in rows.items():
        assert f"| {figure} | {' | '.join(cells)} |" in page.read_text(encoding="utf-8")
