from __future__ import annotations

import numpy as np
import pytest

from reproduced import small
from trimtab.errors import InputError
from trimtab.reproduction.experiments import NOISE, simulate_experiments
from trimtab.reproduction.figures import experiment_figures
from trimtab.reproduction.paper import REPORTED


@pytest.mark.parametrize("name", [*REPORTED, NOISE])
def test_the_scores_of_an_experiment_are_those_behind_its_figures(name: str) -> None:
    found = small().simulated
    figures = found.noise if name == NOISE else found.figures[name]
    again = experiment_figures(found.scores(name, 7)[None])
    assert again.rate[0] == pytest.approx(figures.rate[7])
    assert again.pareto[0] == pytest.approx(figures.pareto[7])


def test_pooled_interference_is_the_correlation_of_all_steps() -> None:
    found = small().simulated
    steps = np.concatenate([np.diff(found.scores(name, 3), axis=1).reshape(-1, 3) for name in REPORTED])
    assert found.interference[3] + np.eye(3) == pytest.approx(np.corrcoef(steps.T))


def test_the_share_at_a_bound_is_counted_after_the_start() -> None:
    found = small().simulated
    scores = np.concatenate([found.scores("FF", e)[:, 1:] for e in range(found.experiments)])
    at_bound = ((scores == 0) | (scores == 10)).mean(axis=(0, 1))
    assert found.at_bound["FF"] == pytest.approx(at_bound)
    assert at_bound[0] > 0.3  # the paper's security of 0 is a bound


def test_the_same_seed_gives_the_same_experiments() -> None:
    one, other = simulate_experiments(20, 3), simulate_experiments(20, 3)
    assert np.array_equal(one.interference, other.interference)
    more = simulate_experiments(30, 3)
    assert np.allclose(more.figures["EF"].rate[:20], one.figures["EF"].rate, rtol=1e-9)


@pytest.mark.parametrize("experiments", [19, 2_001])
def test_too_few_or_too_many_experiments_are_refused(experiments: int) -> None:
    with pytest.raises(InputError, match="experiments must be from 20 to 2,000"):
        simulate_experiments(experiments, 0)
