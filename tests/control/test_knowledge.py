"""Knowledge against the textbook's regression, and what it takes from a fit."""

from __future__ import annotations

import numpy as np
import pytest

import trimtab as tt
from support.beliefs import knowledge
from trimtab.control.knowledge import Knowledge
from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError
from trimtab.forecasting.sources import loops_of, loops_of_reference
from trimtab.simulation.reference import REFERENCE


def test_the_means_of_a_model_are_that_model() -> None:
    known = Knowledge.of_loops(loops_of_reference())
    for k, one in enumerate(REFERENCE.values()):
        np.testing.assert_allclose(known.mean.F[0, k], one.model.transition, atol=1e-6)
        np.testing.assert_allclose(known.mean.c[0, k], one.model.b, atol=1e-5)
        np.testing.assert_allclose(known.mean.Q[k], one.model.Q, atol=1e-5)
    np.testing.assert_allclose(known.draws(4, 0).F, np.repeat(known.mean.F, 4, axis=0), atol=1e-3)


def test_steps_are_added_as_in_bayesian_regression() -> None:
    rng = np.random.default_rng(0)
    known = Knowledge.none(ObjectiveSpace(["a", "b:0:5"]), ["S"])
    x, dx = rng.normal(5, 1, (30, 2)), rng.normal(0, 1, (30, 2))
    u, du = (x - known.center) / known.scale, dx / known.scale
    w = np.column_stack([np.ones(30), u, du])
    after = known.added((w.T @ w)[None])
    z = np.column_stack([np.ones(30), u])
    ridge = np.linalg.solve(z.T @ z + np.eye(3), z.T @ du)  # the prior weighs one step, and its mean is zero
    drift = np.column_stack([np.ones(30), (x - known.center) / known.scale]) @ ridge * known.scale
    moved = x @ after.mean.F[0, 0].T + after.mean.c[0, 0]
    np.testing.assert_allclose(moved - x, drift, atol=1e-9)
    residual = du.T @ du - ridge.T @ (z.T @ z + np.eye(3)) @ ridge
    unit = known.scale[:, None] * known.scale
    np.testing.assert_allclose(after.mean.Q[0], (np.eye(2) * 0.25 + residual) / 31 * unit)
    assert after.steps.tolist() == [30.0]


def test_draws_scatter_as_the_posterior_does() -> None:
    known = knowledge(K=1)
    draws = known.draws(40_000, 1)
    inverse = np.linalg.inv(known.total[0, :3, :3])
    # Of the transition only: its covariance is K^-1 (x) Q, in units.
    expected = np.kron(inverse[1:, 1:], known.mean.Q[0])
    spread = np.cov(draws.F[:, 0].swapaxes(-1, -2).reshape(len(draws), -1).T)
    np.testing.assert_allclose(spread, expected, atol=0.05 * np.abs(expected).max())
    np.testing.assert_allclose(draws.F.mean(axis=0), known.mean.F[0], atol=1e-12)


def test_a_fit_is_taken_over_with_its_doubt_and_its_noise() -> None:
    one = REFERENCE["EF"]
    rng = np.random.default_rng(2)
    paths = one.paths(100, 3)
    noisy = np.clip(paths + rng.normal(0, 0.7, paths.shape), 0, 10)
    fit = tt.fit(_trajectories(noisy), estimator="state-space")
    known = Knowledge.of_loops(loops_of(fit))
    rung = fit["EF"].rung
    np.testing.assert_allclose(known.mean.F[0, 0], np.eye(3) + rung.A, atol=1e-6)
    np.testing.assert_allclose(known.score_noise, rung.R)
    spread = known.draws(4000, 0).F[:, 0].std(axis=0)
    given = rung.draws.A.std(axis=0)
    assert 0.5 < np.median(spread / given) < 2
    assert known.score_noise.mean() == pytest.approx(0.49, abs=0.25)


def _trajectories(paths: np.ndarray) -> tt.Trajectories:
    from trimtab.core.trajectories import Trajectories

    S, T, _ = paths.shape
    names = ["security", "efficiency", "functionality"]
    frame = {
        "session_id": np.repeat([f"s{i}" for i in range(S)], T),
        "strategy": np.repeat("EF", S * T),
        "iteration": np.tile(np.arange(T), S),
        **{name: paths[..., j].ravel() for j, name in enumerate(names)},
    }
    loaded = tt.load(frame)
    assert isinstance(loaded, Trajectories)
    return loaded


def test_what_cannot_be_known_is_refused() -> None:
    with pytest.raises(InputError, match="loss has an open scale"):
        Knowledge.none(ObjectiveSpace(["loss:0:inf:min"]), ["S"])
    with pytest.raises(InputError, match="must be of the objectives quality"):
        Knowledge.of_loops(loops_of_reference(), space=ObjectiveSpace(["quality"]))
    with pytest.raises(InputError, match="no strategy is called 'XX'"):
        Knowledge.of_loops(loops_of_reference(), ["XX"])
    with pytest.raises(InputError, match="standard deviation of zero or more"):
        Knowledge.none(ObjectiveSpace(["a"]), ["S"], {"a": -1.0})
