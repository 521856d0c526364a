from __future__ import annotations

import math

import numpy as np
import pytest

import trimtab as tt
from trimtab.store.inference import assumed_scale, choose_objectives

nan = math.nan
SESSION = np.repeat(np.arange(4), 5)
ITERATION = np.tile(np.arange(5), 4)
VARIED = np.linspace(0.0, 1.0, 20)


def choose(labels: bool = True, **columns: list[float] | np.ndarray) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    names = list(columns)
    scores = np.column_stack([np.asarray(column, dtype=float) for column in columns.values()])
    choice = choose_objectives(names, scores, SESSION, ITERATION, labels=labels)
    return [names[c] for c in choice.kept], {e.reason.split(";")[0]: e.examples for e in choice.exclusions}


def test_a_column_that_never_varies_within_a_session_is_a_label_only_in_a_wide_table() -> None:
    size = np.repeat([1.0, 2, 3, 4], 5)
    assert choose(x=VARIED, size=size) == (
        ["x"],
        {"the same at every iteration of each session, so taken for a label": ("size",)},
    )
    assert choose(labels=False, x=VARIED, size=size) == (["x", "size"], {})


def test_nothing_is_left_out_where_nothing_would_be_left() -> None:
    assert choose(size=np.repeat([1.0, 2, 3, 4], 5), other=np.zeros(20)) == (["size", "other"], {})
    last = np.where(ITERATION == 4, 1.0, nan)
    assert choose(labels=False, last=last) == (["last"], {})


def test_an_objective_of_the_last_row_only_informs_no_step() -> None:
    last = np.where(ITERATION == 4, VARIED, nan)
    kept, reasons = choose(x=VARIED, last=last)
    assert kept == ["x"]
    assert reasons == {"never scored at two consecutive iterations, so it informs no step": ("last",)}


@pytest.mark.parametrize(("scored", "kept"), [(3, ["x", "y"]), (2, ["x"])])
def test_the_rarest_goes_where_fewer_than_half_the_steps_would_be_complete(scored: int, kept: list[str]) -> None:
    # Of 4 steps a session, scoring the first k iterations leaves k - 1 complete.
    rare = np.where(scored > ITERATION, VARIED, nan)
    assert choose(x=VARIED, y=rare)[0] == kept


def test_objectives_scored_in_turn_do_not_take_each_other_down() -> None:
    early = np.where(ITERATION <= 2, VARIED, nan)
    late = np.where(ITERATION >= 3, VARIED, nan)
    assert choose(labels=False, late=late, early=early)[0] == ["early"]
    assert choose(labels=False, one=early, two=early)[0] == ["one", "two"]


def test_steps_do_not_cross_sessions_or_gaps() -> None:
    ends = np.where((ITERATION == 0) | (ITERATION == 4), VARIED, nan)
    assert choose(labels=False, x=VARIED, ends=ends)[0] == ["x"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0, 1], (0, 1)),
        ([0.2, nan], (0, 1)),
        ([0, 1.01], (0, 10)),
        ([10], (0, 10)),
        ([10.5], (0, 100)),
        ([-0.1, 0.5], (-math.inf, math.inf)),
        ([101], (-math.inf, math.inf)),
        ([nan], (-math.inf, math.inf)),
    ],
)
def test_scales(values: list[float], scale: tuple[float, float]) -> None:
    assert assumed_scale("x", np.array(values)) == tt.Objective("x", *map(float, scale))


def test_bookkeeping_columns_are_ignored_by_name_and_can_be_forced() -> None:
    table = {
        "session_id": list("aabb"),
        "iteration": [0, 1, 0, 1],
        "Seed": [1, 2, 3, 4],
        "tokens": [5, 6, 7, 9],
        "x": [1, 2, 3, 4],
    }
    found = tt.load(table)
    assert found.space.names == ("x",)
    assert any("Seed, tokens" in note and "--objective" in note for note in found.notes)
    assert tt.load(table, objectives=["tokens", "x"]).space.names == ("tokens", "x")


def test_one_session_of_one_row_is_loaded_and_left_to_the_fit() -> None:
    found = tt.load({"session_id": ["a"], "x": [1.0]})
    assert (found.n_sessions, found.n_rows, found.space.names) == (1, 1, ("x",))
