from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from simulated import panel
from trimtab.core import trajectories
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.estimation import moments as module
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.least_squares import cluster_covariance, estimate
from trimtab.estimation.memory import memory_p_value
from trimtab.estimation.moments import Moments, MomentSums, effective_sessions, session_moments, trajectory_moments


def test_moments_are_the_sums_they_say() -> None:
    steps = panel(sessions=7).steps()
    got = session_moments(steps, np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 0.5]))
    for s in range(7):
        own = steps.session == s
        w = np.hstack([np.ones((10, 1)), (steps.x[own] - got.center) / got.scale, steps.dx[own] / got.scale])
        np.testing.assert_allclose(got.outer[s], w.T @ w)
    assert got.n_steps == 70


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [3, 1, 9, 2, 30, 4]
    rng = np.random.default_rng(0)
    steps = Trajectories.from_arrays([rng.normal(size=(k, 2)) for k in lengths], ["a", "b"]).steps()
    whole = session_moments(steps)
    for block in (1, 2, 3, 7, 48):
        monkeypatch.setattr(module, "_BLOCK", block)
        np.testing.assert_allclose(session_moments(steps).outer, whole.outer, atol=1e-12)
    np.testing.assert_array_equal(whole.session, [0, 2, 3, 4, 5])


def test_merging_parts_gives_the_whole() -> None:
    steps = panel(sessions=9).steps()
    whole = session_moments(steps)
    early = steps.iteration < 4
    parts = [session_moments(steps.where(keep), whole.center, whole.scale) for keep in (early, ~early)]
    np.testing.assert_allclose(parts[0].merge(parts[1]).outer, whole.outer)
    with pytest.raises(InputError, match="share center"):
        whole.merge(session_moments(steps, whole.center + 1, whole.scale))


def test_center_and_scale_drop_out() -> None:
    steps = panel().steps()
    one = session_moments(steps)
    other = session_moments(steps, np.array([100.0, -3.0, 0.0]), np.array([0.1, 7.0, 2.0]))
    a, b = (estimate(m.total, m.center, m.scale) for m in (one, other))
    for name in ("A", "b", "Q", "step_covariance", "residual", "total_steps", "total_levels"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6, atol=1e-7)


def ragged(sessions: int = 60, seed: int = 0) -> Trajectories:
    """Sessions of unequal length under two strategies, some switching midway, with scores missing and failed."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(5, 1, (int(rng.integers(1, 14)), 3)) for _ in range(sessions)]
    data = Trajectories.from_arrays(arrays, ["a", "b", "c"], [("EF", "SF")[s % 2] for s in range(sessions)])
    strategy, scores, status = data.strategy.copy(), data.scores.copy(), data.status.copy()
    strategy[rng.random(len(strategy)) < 0.1] = 1
    holes = rng.random(scores.shape) < 0.02
    scores[holes], status[holes] = np.nan, rng.integers(1, 3, int(holes.sum()))
    iteration = data.iteration + np.cumsum(rng.random(len(strategy)) < 0.05)
    return replace(data, scores=scores, status=status, strategy=strategy, iteration=iteration)


@pytest.mark.parametrize("block", [1, 7, 50, 65_536])
def test_moments_of_trajectories_are_those_of_their_steps(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    data = ragged()
    steps = data.steps()
    monkeypatch.setattr(trajectories, "BLOCK", block)
    for code in (None, 0, 1):
        expected = session_moments(steps if code is None else steps.where(steps.strategy == code))
        got = trajectory_moments(data, code)
        assert isinstance(got, Moments)
        np.testing.assert_allclose(got.outer, expected.outer, atol=1e-9)
        np.testing.assert_array_equal(got.session, expected.session)
        np.testing.assert_allclose(got.center, expected.center)
        np.testing.assert_allclose(got.scale, expected.scale)


def test_no_steps_give_no_moments() -> None:
    got = trajectory_moments(Trajectories.from_arrays([np.zeros((1, 2))] * 3, ["a", "b"]))
    assert (got.n_sessions, got.n_steps, got.n) == (0, 0, 2)


def test_sums_alone_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ragged(300)
    own = trajectory_moments(data, seed=4)
    monkeypatch.setattr(module, "MANY", 100)
    monkeypatch.setattr(trajectories, "BLOCK", 100)
    sums = trajectory_moments(data, seed=4)
    assert isinstance(own, Moments)
    assert isinstance(sums, MomentSums)
    for a, b in ((own, sums), (own.part(np.array([0, 2])), sums.part(np.array([0, 2])))):
        assert (a.n, a.n_sessions, a.n_steps) == (b.n, b.n_sessions, b.n_steps)
        np.testing.assert_allclose(b.total, a.total, atol=1e-9)
        np.testing.assert_allclose(b.spread(), a.spread(), atol=1e-8)
        np.testing.assert_allclose(b.folds(4), a.folds(4), atol=1e-9)
        np.testing.assert_allclose(effective_sessions(b), effective_sessions(a))
        np.testing.assert_allclose(cluster_covariance(b), cluster_covariance(a), rtol=1e-6, atol=1e-12)
        whole = resample(a, 20, 1, "EF"), resample(b, 20, 1, "EF")
        np.testing.assert_allclose(*(drawn.std(axis=0) for drawn in whole), rtol=1.5, atol=1e-6)
    assert memory_p_value(sums) == pytest.approx(memory_p_value(own), abs=0.05)


def test_each_session_is_kept_where_few_vary(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).normal(5, 1, (150, 5, 2))
    scores[5:, :, 1] = 4.0
    monkeypatch.setattr(module, "MANY", 100)
    data = Trajectories.from_arrays(scores, ["a", "b"])
    assert isinstance(trajectory_moments(data), Moments)
    assert isinstance(trajectory_moments(data.select(objectives=["a"])), MomentSums)


def peak(sessions: int, iterations: int) -> int:
    """Return the bytes that forming the moments of so many scores takes at once."""
    scores = np.random.default_rng(0).normal(5, 1, (sessions * iterations, 3))
    data = Trajectories(
        space=ObjectiveSpace(["a", "b", "c"]),
        scores=scores,
        status=np.zeros(scores.shape, dtype=np.int8),
        iteration=np.tile(np.arange(iterations), sessions),
        strategy=np.zeros(len(scores), dtype=np.int64),
        offsets=np.arange(sessions + 1) * iterations,
        session_ids=tuple(map(str, range(sessions))),
        strategies=("EF",),
    )
    tracemalloc.start()
    try:
        found = trajectory_moments(data)
        assert found.n_steps == sessions * (iterations - 1)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_with_neither_rows_nor_very_many_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 2_000)
    monkeypatch.setattr(trajectories, "BLOCK", 4_096)
    small = peak(3_000, 5)
    # Ten times the scores take 12 MB more themselves.
    assert peak(3_000, 50) < small + 1e6
    assert peak(30_000, 5) < small + 1e6
    monkeypatch.setattr(module, "MANY", 10**9)
    assert peak(30_000, 5) > small + 1e6
