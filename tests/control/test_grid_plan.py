"""Plans by a value grid: against brute force, and only where a grid sees what matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.beliefs import certain, knowledge
from trimtab.control.goal import Goal
from trimtab.control.grid_plan import ValueGrids, _moves, _settled, grid_plan
from trimtab.control.knowledge import Knowledge
from trimtab.control.track import Track
from trimtab.control.value_grid import Grid, ValueGrid


def _track(known: Knowledge, goal: Goal, budget: int = 6, S: int = 3) -> Track:
    y = np.random.default_rng(0).normal(4.5, 0.5, (S, known.n))
    return Track(goal, known, budget, 0, [f"s{i}" for i in range(S)], y)


@pytest.mark.parametrize("n", [2, 4, 5])
def test_its_values_are_those_of_the_best_that_can_be_done(n: int) -> None:
    """One step is worth its expected improvement; two are checked by many paths, each deciding by the exact second."""
    known = certain(knowledge(n, K=2, seed=3))
    goal = Goal(known.space, "worst")
    now = _track(known, goal, 2).situation()
    grid = ValueGrids().of(now, 10)
    assert grid is not None
    rng, mean = np.random.default_rng(1), known.mean
    roots = np.linalg.cholesky(mean.Q)

    def outcomes(x: np.ndarray, k: int, count: int) -> np.ndarray:
        z = rng.normal(size=(*x.shape[:-1], count, known.n)) @ roots[k].T
        return np.clip((x @ mean.F[0, k].T + mean.c[0, k])[..., None, :] + z, 0, 10)

    x, best = now.state[:1], now.carry[:1]
    one = grid_plan(now, mean, grid, 1)
    two = grid_plan(now, mean, grid, 2)
    for k in range(2):
        first = outcomes(x, k, 4000)[0]
        kept = np.maximum(best, goal.value(first))
        assert one.value[0, k] == pytest.approx(kept.mean(), abs=0.03)
        then = [np.maximum(kept[:, None], goal.value(outcomes(first, j, 300))).mean(axis=1) for j in range(2)]
        assert two.value[0, k] == pytest.approx(np.max(then, axis=0).mean(), abs=0.05)


def test_it_is_the_same_for_a_session_alone() -> None:
    known = knowledge(noise=0.2, levels=0.01)
    goal = Goal(known.space, "weighted")
    track = _track(known, goal, S=5)
    whole, part = track.situation(), track.take(np.array([False, True, False, False, False])).situation()
    grid = ValueGrids().of(whole, 10)
    assert grid is not None
    drifts = known.draws(8, 0)
    np.testing.assert_allclose(
        grid_plan(part, drifts, grid, 4).value[0], grid_plan(whole, drifts, grid, 4).value[1], rtol=1e-12
    )


def test_a_grid_is_used_only_where_it_sees_what_matters() -> None:
    known = knowledge()
    goal = Goal(known.space, "worst")
    grids = ValueGrids()
    solved = grids.of(_track(known, goal).situation(), 10)
    assert solved is not None
    assert grids.of(_track(known, goal).situation(), 10) is solved
    assert grids.of(_track(known, goal).situation(), 7) is solved  # six iterations are all there are
    assert grids.of(_track(known, goal).situation(), 4) is not solved
    for other in (
        replace(known, score_noise=np.full(2, 4.0)),  # more than iterates differ by
        replace(known, session_sd=np.full((3, 2), 1.0)),
        Knowledge.none(known.space, known.strategies),
    ):
        assert grids.of(_track(other, goal).situation(), 10) is None
    assert grids.of(_track(known, Goal(known.space, "hypervolume")).situation(), 10) is None


def test_an_estimate_moves_as_the_filter_makes_it() -> None:
    known = knowledge(noise=0.6)
    mean, noise = known.mean, known.score_noise
    P = _settled(mean.F[0], mean.Q, noise)
    B = mean.F[0] @ P @ mean.F[0].swapaxes(-1, -2) + mean.Q
    gain = np.linalg.solve(B + np.diag(noise), B).swapaxes(-1, -2)
    np.testing.assert_allclose(B - gain @ B, P, atol=1e-6)  # it has settled
    expected = gain @ (B + np.diag(noise)) @ gain.swapaxes(-1, -2)
    np.testing.assert_allclose(_moves(mean.F[0], mean.Q, noise, P), expected, atol=1e-9)
    np.testing.assert_allclose(_moves(mean.F[0], mean.Q, np.zeros(2), np.zeros_like(P)), mean.Q, atol=1e-9)


def test_costs_and_stopping_are_counted() -> None:
    known = certain(knowledge(K=2))
    for cost in (0.0, 50.0):
        goal = Goal(known.space, cost=cost)
        mean = known.mean
        grid = ValueGrid(goal, mean.F[0], mean.c[0], mean.Q, np.full(2, cost), 4, Grid.quick(2))
        x, best = np.full((1, 2), 5.0), np.array([5.0])
        if cost:
            assert grid.after(x, best, 4)[0] == best[0]
        else:
            assert grid.after(x, best, 4)[0] > grid.after(x, best, 1)[0] > best[0]
