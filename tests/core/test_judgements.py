from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.judgements import MOST_JUDGEMENTS, fold, mean_judgement
from trimtab.core.trajectories import FAILED, OK, UNSCORED, Trajectories
from trimtab.errors import InputError

NAN = float("nan")
VALUES = st.floats(-1e100, 1e100, allow_nan=False)
EVENTS = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(-3, 10**12)), VALUES, max_size=30)


def judged() -> Trajectories:
    """Two sessions of two objectives: three, two, one and no judgement."""
    return Trajectories.from_arrays(
        None,
        ["a", "b"],
        session_ids=["one", "two"],
        judgements=[
            np.array([[[1.0, 2.0, 6.0], [4.0, NAN, NAN]], [[5.0, NAN, 7.0], [NAN, NAN, NAN]]]),
            np.array([[[3.0, 5.0], [1.0, 1.0]]]),
        ],
    )


@given(EVENTS)
def test_folding_gives_the_mean_of_every_cell_and_keeps_the_order_of_labels(events: dict) -> None:
    keys = list(events)
    cell = np.array([c for c, _ in keys], dtype=np.int64)
    label = np.array([name for _, name in keys], dtype=np.int64)
    found = fold(cell, label, np.array([events[key] for key in keys], dtype=np.float64), 5)
    for c in range(5):
        values = [events[key] for key in sorted(keys) if key[0] == c]
        if not values:
            assert np.isnan(found.scores[c])
            continue
        assert found.scores[c] == pytest.approx(sum(values) / len(values), rel=1e-12, abs=1e-12 * max(map(abs, values)))
        if found.judgements is not None:
            kept = found.judgements[c]
            assert kept[np.isfinite(kept)].tolist() == values
    assert (found.judgements is None) == (max((sum(c == k for c, _ in keys) for k in range(5)), default=0) < 2)
    assert found.left_out == 0


def test_a_label_has_one_place_in_all_cells() -> None:
    found = fold(np.array([0, 0, 1, 2, 2]), np.array([7, 3, 7, 7, 5]), np.arange(5.0), 3)
    np.testing.assert_array_equal(found.judgements, [[1, NAN, 0], [NAN, NAN, 2], [NAN, 4, 3]])


def test_labels_beyond_the_most_close_up_and_the_rest_is_counted() -> None:
    labels = np.concatenate([np.arange(100) * 10**7, [5, 999]])
    mixed = np.random.default_rng(0).permutation(102)
    values = np.concatenate([np.arange(100.0), [3, 4]])
    found = fold(np.repeat([0, 1], [100, 2])[mixed], labels[mixed], values[mixed], 2)
    assert found.judgements is not None
    assert found.judgements.shape == (2, MOST_JUDGEMENTS)
    assert found.judgements[0].tolist() == list(range(MOST_JUDGEMENTS))
    assert found.judgements[1, :2].tolist() == [3, 4]
    assert found.scores.tolist() == [np.mean(np.arange(64)), 3.5]
    assert [str(e) for e in found.exclusions()] == [
        "36 judgements: beyond the 64 judgements of one score that are kept"
    ]


def test_one_crowded_cell_does_not_fill_memory_with_emptiness() -> None:
    cells = 1_000_000
    cell = np.concatenate([np.arange(cells), np.zeros(500, dtype=np.int64)])
    label = np.concatenate([np.zeros(cells, dtype=np.int64), np.arange(1, 501)])
    tracemalloc.start()
    found = fold(cell, label, np.ones(len(cell)), cells)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.judgements is not None
    assert found.judgements.shape[1] == found.most == 24
    assert found.left_out == 501 - 24
    assert peak < 0.7e9


def test_the_mean_of_the_largest_numbers_is_a_number() -> None:
    largest = np.finfo(np.float64).max
    assert mean_judgement(np.array([largest, NAN, largest, largest])) == pytest.approx(largest)


def test_scores_are_means_of_their_judgements() -> None:
    built = judged()
    np.testing.assert_array_equal(built.scores, [[3, 4], [6, NAN], [4, 1]])
    np.testing.assert_array_equal(built.status, [[OK, OK], [OK, UNSCORED], [OK, OK]])
    np.testing.assert_array_equal(built.n_judgements, [[3, 1], [2, 0], [2, 2]])
    assert built.judgements is not None
    np.testing.assert_array_equal(built.judgements[2], [[3, 5, NAN], [1, 1, NAN]])
    again = Trajectories.from_arrays(
        [np.array([[3.0, 4], [6, NAN]]), np.array([[4.0, 1]])],
        ["a", "b"],
        judgements=[built.judgements[:2], built.judgements[2:]],
    )
    np.testing.assert_array_equal(again.judgements, built.judgements)


def test_one_judgement_each_is_just_a_score() -> None:
    built = Trajectories.from_arrays(None, ["a"], judgements=np.array([[[[1.0, NAN]], [[NAN, 2.0]], [[NAN, NAN]]]]))
    assert built.judgements is None
    np.testing.assert_array_equal(built.scores.ravel(), [1, 2, NAN])
    assert built.n_judgements.ravel().tolist() == [1, 1, 0]


def test_arrays_of_more_judgements_than_are_kept() -> None:
    many = np.arange(200.0).reshape(1, 2, 1, 100)
    built = Trajectories.from_arrays(many.mean(axis=3), ["a"], judgements=many)
    assert built.judgements is not None
    assert built.judgements.shape == (2, 1, 64)
    assert built.scores.ravel().tolist() == [31.5, 131.5]
    assert [(e.count, e.unit) for e in built.exclusions] == [(72, "judgements")]


def test_selected_objectives_and_sessions_keep_their_judgements() -> None:
    chosen = judged().select(np.array([1, 0]), ["b", "a"])
    assert chosen.judgements is not None
    np.testing.assert_array_equal(chosen.judgements[0], [[1, 1, NAN], [3, 5, NAN]])
    np.testing.assert_array_equal(chosen.n_judgements, [[2, 2], [1, 3], [0, 2]])
    assert judged().select(np.array([0]), ["b"]).judgements is None


def test_the_tidy_table_has_a_row_for_each_repeat_that_judged_anything() -> None:
    columns = judged().to_columns()
    assert [*columns] == ["session_id", "strategy", "iteration", "repeat", "a", "b"]
    assert columns["session_id"].tolist() == ["one"] * 5 + ["two"] * 2
    assert columns["iteration"].tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert columns["repeat"].tolist() == [0, 1, 2, 0, 2, 0, 1]
    np.testing.assert_array_equal(columns["a"], [1, 2, 6, 5, 7, 3, 5])
    np.testing.assert_array_equal(columns["b"], [4, NAN, NAN, NAN, NAN, 1, 1])


def test_an_iteration_that_nobody_judged_has_one_row() -> None:
    built = judged()
    status = built.status.copy()
    status[1, 1] = FAILED
    built = replace(built, status=status)
    row, repeat = built.select(objectives=["b"]).judgement_rows()
    assert row.tolist() == [0, 1, 2, 2]
    assert repeat.tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda j: j[:, :1], r"shape \(3, 2, r\)"),
        (lambda j: j[:, :, 0], r"shape \(3, 2, r\)"),
        (lambda j: j[:, :, :1], "none has two"),
        (lambda j: j[:, :, :0], "none has two"),
        (lambda j: j + 1e-6, "the score is 3 and the mean 3"),
        (lambda j: np.where(j == 4, NAN, j), "the score is 4 and the mean nan"),
        (lambda j: np.where(j == 4, np.inf, j), "hold inf"),
    ],
)
def test_judgements_that_contradict_the_scores_are_refused(change, message: str) -> None:
    built = judged()
    with pytest.raises(InputError, match=message):
        replace(built, judgements=change(built.judgements))


@pytest.mark.parametrize(
    ("scores", "judgements", "message"),
    [
        (None, None, "neither was given"),
        (None, [], "at least one session"),
        (None, np.zeros((2, 2, 1)), r"\(iterations, 1, repeats\)"),
        (None, np.zeros((2, 2, 1, 0)), "session 0"),
        (None, np.full((1, 2, 1, 2), np.inf), "inf"),
        (None, [[["a"]]], "array of numbers"),
        (np.zeros((1, 3, 1)), np.zeros((1, 2, 1, 2)), "same number of iterations"),
        (np.zeros((1, 2, 1)), np.ones((1, 2, 1, 2)), "mean of its judgements"),
        (np.zeros((1, 2, 1)), np.ones((1, 2, 1, 1)), "equal to it"),
    ],
)
def test_arrays_of_judgements_that_cannot_be_used(scores, judgements, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Trajectories.from_arrays(scores, ["a"], judgements=judgements)


def test_a_table_needs_distinct_names() -> None:
    with pytest.raises(InputError, match="'repeat' would name two"):
        replace(judged(), covariates={"repeat": ("x", "y")}).to_columns()
