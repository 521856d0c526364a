from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from trimtab.core import trajectories
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.pareto import hypervolume, pareto_efficiency
from trimtab.estimation import outcomes
from trimtab.estimation.outcomes import end_scores, final_hypervolume, session_efficiencies


def holed(seed: int = 0, sessions: int = 40) -> Trajectories:
    """Sessions of unequal length, a fifth of whose scores are missing; some have no complete row at all."""
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 6, (int(rng.integers(1, 9)), 2)).astype(float) for _ in range(sessions)]
    for array in arrays:
        array[rng.random(array.shape) < 0.2] = np.nan
    return Trajectories.from_arrays(arrays, ["a:0:6", "b:0:6:min"])


def complete_rows(data: Trajectories) -> list[np.ndarray]:
    paths = [data.scores[a:b] for a, b in pairwise(data.offsets)]
    return [path[np.isfinite(path).all(axis=1)] for path in paths]


@pytest.mark.parametrize("first", [True, False])
def test_ends_are_the_first_and_last_complete_rows(first: bool) -> None:
    data = holed()
    expected = [path[0 if first else -1] if len(path) else np.full(2, np.nan) for path in complete_rows(data)]
    chosen = np.array([5, 0, 17, 39, 20])
    np.testing.assert_array_equal(end_scores(data, np.arange(40), first=first), expected)
    np.testing.assert_array_equal(end_scores(data, chosen, first=first), np.array(expected)[chosen])


@pytest.mark.parametrize("block", [1, 10, 65_536])
def test_efficiencies_are_each_sessions_own(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    data = holed()
    monkeypatch.setattr(trajectories, "BLOCK", block)
    expected = [pareto_efficiency(path, data.space.sign) for path in complete_rows(data)]
    np.testing.assert_allclose(session_efficiencies(data), expected)


def test_the_hypervolume_is_that_of_the_final_scores() -> None:
    data = holed()
    finals = np.array([path[-1] for path in complete_rows(data) if len(path)])
    expected = hypervolume(finals, data.space.low, data.space.high, data.space.sign)
    assert final_hypervolume(data, np.arange(40)) == pytest.approx(expected)


def test_the_hypervolume_is_left_out_where_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    front = np.abs(rng.standard_normal((60, 2, 4)))
    front /= np.linalg.norm(front, axis=2, keepdims=True)
    names = [f"{name}:0:1" for name in "abcd"]
    hard, easy = (Trajectories.from_arrays(scores, names) for scores in (front, front * rng.random((60, 1, 1))))
    expected = [final_hypervolume(data, np.arange(60)) for data in (hard, easy)]
    monkeypatch.setattr(outcomes, "MOST_POINTS", {4: 50})
    assert np.isnan(final_hypervolume(hard, np.arange(60)))
    assert final_hypervolume(easy, np.arange(60)) == pytest.approx(expected[1])
    assert 0 < expected[1] < expected[0] < 1
