from __future__ import annotations

import numpy as np
import pytest

import trimtab as tt
from trimtab.errors import InputError
from trimtab.reproduction.figures import experiment_figures
from trimtab.simulation.reference import REFERENCE

SPACE = REFERENCE["EF"].space


@pytest.mark.parametrize("name", ["SF", "AI"])
def test_one_experiment_gives_what_fit_says(name: str) -> None:
    scores = REFERENCE[name].paths(60, seed=4)
    found = experiment_figures(scores[None])
    one = tt.fit(tt.Trajectories.from_arrays(scores, SPACE), draws=100, estimator="least-squares")["all"]
    assert found.rate[0] == pytest.approx(float(one.rate))
    assert found.multiplier[0] == pytest.approx(float(one.multiplier))
    assert found.eigenvalues[0] == pytest.approx(one.eigenvalues)
    assert found.r2_steps[0] == pytest.approx(float(one.r2.steps))
    assert found.r2_levels[0] == pytest.approx(float(one.r2.levels))
    assert found.reached[0] == pytest.approx(one.reached.estimate)
    assert found.interference[0] == pytest.approx(one.interference.estimate)
    assert found.pareto[0] == pytest.approx(float(one.pareto_efficiency))


def test_each_experiment_is_analysed_by_itself() -> None:
    scores = REFERENCE["FF"].paths(90, seed=4).reshape(3, 30, 11, 3)
    together = experiment_figures(scores)
    for e in range(3):
        alone = experiment_figures(scores[e : e + 1])
        for figure in ("rate", "r2_steps", "interference", "reached", "pareto", "sums"):
            assert getattr(together, figure)[e] == pytest.approx(getattr(alone, figure)[0])


def test_least_squares_agrees_with_a_textbook_solution() -> None:
    scores = REFERENCE["EF"].paths(40, seed=9)
    x, dx = scores[:, :-1].reshape(-1, 3), np.diff(scores, axis=1).reshape(-1, 3)
    beta, residual, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), dx, rcond=None)
    found = experiment_figures(scores[None])
    assert found.rate[0] == pytest.approx(-np.linalg.eigvals(beta[1:].T).real.max())
    assert found.r2_steps[0] == pytest.approx(np.mean(1 - residual / ((dx - dx.mean(axis=0)) ** 2).sum(axis=0)))
    assert found.interference[0] + np.eye(3) == pytest.approx(np.corrcoef(dx.T))


def test_an_objective_that_never_changes_does_not_count_in_r2() -> None:
    scores = np.random.default_rng(0).normal(5, 1, (1, 200, 11, 2))
    still = np.concatenate([scores, np.full((1, 200, 11, 1), 5.0)], axis=-1)
    assert experiment_figures(still).r2_steps[0] == pytest.approx(experiment_figures(scores).r2_steps[0])


@pytest.mark.parametrize("shape", [(3, 11, 3), (2, 5, 1, 3), (0, 5, 11, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="figures of experiments need finite scores"):
        experiment_figures(np.zeros(shape))


def test_missing_scores_are_refused() -> None:
    scores = np.zeros((1, 5, 11, 3))
    scores[0, 2, 3, 1] = np.nan
    with pytest.raises(InputError, match="need finite scores"):
        experiment_figures(scores)
