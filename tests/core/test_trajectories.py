from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import FAILED, OK, UNSCORED, Exclusion, Trajectories
from trimtab.errors import InputError

NAN = float("nan")


def small() -> Trajectories:
    """Three sessions: complete; with a gap; with a missing and a failed score and a switch of strategy."""
    built = Trajectories.from_arrays(
        [
            np.array([[1.0, 2.0], [2.0, 4.0], [4.0, 3.0]]),
            np.array([[5.0, 5.0], [6.0, 6.0], [7.0, 9.0]]),
            np.array([[1.0, 1.0], [NAN, 1.0], [2.0, 2.0], [3.0, NAN], [4.0, 4.0], [5.0, 7.0]]),
        ],
        ["a", "b"],
        strategy=["EF", "SF", "EF"],
    )
    iteration = built.iteration.copy()
    iteration[5] = 7
    status = built.status.copy()
    status[9, 1] = FAILED
    strategy = built.strategy.copy()
    strategy[11] = 1
    return replace(built, iteration=iteration, status=status, strategy=strategy)


def test_steps_are_complete_neighbours() -> None:
    steps = small().steps()
    np.testing.assert_array_equal(steps.x, [[1, 2], [2, 4], [5, 5], [4, 4]])
    np.testing.assert_array_equal(steps.dx, [[1, 2], [2, -1], [1, 1], [1, 3]])
    np.testing.assert_array_equal(steps.session, [0, 0, 1, 2])
    np.testing.assert_array_equal(steps.iteration, [0, 1, 0, 4])


def test_a_step_belongs_to_the_strategy_that_produced_its_end() -> None:
    np.testing.assert_array_equal(small().steps().strategy, [0, 0, 1, 1])


def test_lost_steps_are_counted_by_reason() -> None:
    assert {(e.reason, e.count) for e in small().lost_steps()} == {
        ("a gap in the iteration numbers", 1),
        ("a score failed at one end", 2),
        ("a score is missing at one end", 2),
    }


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 3), st.randoms())
def test_every_pair_of_rows_is_a_step_or_counted_as_lost(lengths: list[int], n: int, random) -> None:
    arrays = [
        np.array([[random.choice([1.0, 2.0, NAN]) for _ in range(n)] for _ in range(length)]) for length in lengths
    ]
    built = Trajectories.from_arrays(arrays, [f"o{j}" for j in range(n)])
    assert len(built.steps()) + sum(e.count for e in built.lost_steps()) == sum(length - 1 for length in lengths)


def test_select_keeps_order_labels_and_status() -> None:
    chosen = replace(small(), covariates={"task_id": ("x", "y", "z")}).select(np.array([2, 0]), ["b"])
    assert chosen.session_ids == ("s2", "s0")
    assert chosen.covariates["task_id"] == ("z", "x")
    np.testing.assert_array_equal(chosen.scores[:, 0], [1, 1, 2, NAN, 4, 7, 2, 4, 3])
    np.testing.assert_array_equal(chosen.status[:, 0], [OK, OK, OK, FAILED, OK, OK, OK, OK, OK])
    np.testing.assert_array_equal(chosen.offsets, [0, 6, 9])
    by_mask = small().select(np.array([True, False, True]))
    assert by_mask.session_ids == ("s0", "s2")


def test_columns_are_a_tidy_table() -> None:
    columns = small().to_columns()
    assert [*columns] == ["session_id", "strategy", "iteration", "a", "b"]
    assert {len(column) for column in columns.values()} == {12}
    assert columns["strategy"][11] == "SF"


@pytest.mark.parametrize(
    "change",
    [
        {"iteration": np.zeros(12, dtype=np.int64)},
        {"offsets": np.array([0, 3, 3, 12])},
        {"offsets": np.array([0, 3, 6, 11])},
        {"status": np.zeros((12, 2), dtype=np.int8)},
        {"strategy": np.full(12, 5)},
        {"scores": np.zeros((12, 3))},
        {"space": ObjectiveSpace(["a"])},
    ],
)
def test_contradictions_are_refused(change: dict) -> None:
    with pytest.raises(InputError):
        replace(small(), **change)


@pytest.mark.parametrize(
    ("sessions", "match"),
    [
        ([], "at least one session"),
        ([np.zeros((0, 1))], "session 0"),
        ([np.zeros(3)], "session 0"),
        ([np.array([[1.0], [np.inf]])], "inf"),
    ],
)
def test_arrays_that_cannot_be_used_are_named(sessions: list, match: str) -> None:
    with pytest.raises(InputError, match=match):
        Trajectories.from_arrays(sessions, ["a"])


def test_missing_values_become_unscored() -> None:
    built = Trajectories.from_arrays([np.array([[1.0], [NAN]])], ["a"])
    np.testing.assert_array_equal(built.status[:, 0], [OK, UNSCORED])


def test_an_exclusion_reads_as_a_sentence() -> None:
    assert str(Exclusion("not a number", 1, "scores", ("row 7",))) == "1 score: not a number (for example row 7)"
    assert str(Exclusion("a gap", 1200, "steps")) == "1,200 steps: a gap"
