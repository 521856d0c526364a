"""Repeated judgements of one score, from tables of every layout and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import trimtab as tt
from trimtab.core.trajectories import FAILED, OK, UNSCORED
from trimtab.errors import InputError
from trimtab.store.load import Columns

nan = float("nan")


Table = dict[str, list[Any]]


def _csv(table: Table, folder: Path) -> Path:
    frame = pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in table.items()})
    frame.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def _jsonl(table: Table, folder: Path) -> Path:
    rows = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
    (folder / "table.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder / "table.jsonl"


def _parquet(table: Table, folder: Path) -> Path:
    pq.write_table(pa.table(table), folder / "table.parquet")
    return folder / "table.parquet"


FORMS: dict[str, Callable[[Table, Path], Any]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "pandas": lambda table, folder: pd.DataFrame(table),
    "polars": lambda table, folder: pl.DataFrame(table, strict=False),
    "mapping": lambda table, folder: table,
}


MIXED = ["csv", "jsonl", "mapping"]  # forms that can mix numbers and words in one column


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Table], Any]:
    return lambda table: FORMS[request.param](table, tmp_path)


def left_out(found: tt.Trajectories) -> dict[tuple[str, str], int]:
    return {(e.reason.split(";")[0], e.unit): e.count for e in found.exclusions}


WIDE: Table = {
    "session_id": ["a", "a", "a", "a", "b", "a", "b"],
    "iteration": [0, 0, 0, 1, 0, 1, 1],
    "rep": [3, 1, 2, 2, 1, 1, 1],
    "x": [3.0, 1.0, 2.0, 6.0, 9.0, 5.0, 8.0],
    "y": [None, 4.0, 5.0, None, 7.0, None, 6.0],
}


def test_a_wide_table_with_a_row_for_each_repeat(form: Callable[[Table], Any]) -> None:
    found = tt.load(form(WIDE))
    assert found.space.names == ("x", "y")
    np.testing.assert_array_equal(found.scores, [[2, 4.5], [5.5, nan], [9, 7], [8, 6]])
    assert found.judgements is not None
    np.testing.assert_array_equal(found.judgements[0], [[1, 2, 3], [4, 5, nan]])
    np.testing.assert_array_equal(found.judgements[1], [[5, 6, nan], [nan, nan, nan]])
    np.testing.assert_array_equal(found.n_judgements, [[3, 2], [2, 0], [1, 1], [1, 1]])
    assert found.exclusions == ()
    assert "Of 7 scores, 3 are the mean of two or more judgements, of 3 at most." in found.notes
    assert any("column 'rep' was taken to tell repeated judgements" in note for note in found.notes)
    assert any("Of 4 iterations, scores are missing in the source for: y 1." in note for note in found.notes)


def test_a_long_table_with_a_row_for_each_judgement(form: Callable[[Table], Any]) -> None:
    table: Table = {
        "run": ["a"] * 7,
        "iteration": [0, 0, 0, 0, 1, 1, 1],
        "objective": ["x", "x", "y", "x", "x", "y", "y"],
        "value": [1.0, 2.0, 9.0, 6.0, 5.0, 7.0, 8.0],
        "judge": ["ben", "anna", "anna", "gpt-4", "anna", "anna", "ben"],
    }
    found = tt.load(form(table), columns=Columns(session="run", repeat="judge"))
    assert found.judgements is not None
    np.testing.assert_array_equal(found.judgements, [[[2, 1, 6], [9, nan, nan]], [[5, nan, nan], [7, 8, nan]]])
    assert not any("judge" in note and "taken" in note for note in found.notes)


@pytest.mark.parametrize("name", ["jsonl", "parquet", "pandas", "mapping"])
def test_objects_of_scores_for_each_repeat(name: str, tmp_path: Path) -> None:
    table: Table = {
        "session_id": ["a"] * 4,
        "iteration": [0, 0, 1, 1],
        "judge_rep": [0, 1, 0, 1],
        "scores": [{"x": 1.0}, {"x": 2.0, "y": 3.0}, {"y": 5.0}, {"x": 4.0}],
    }
    found = tt.load(FORMS[name](table, tmp_path), objectives=["x", "y"])
    assert found.judgements is not None
    np.testing.assert_array_equal(found.judgements, [[[1, 2], [nan, 3]], [[nan, 4], [5, nan]]])


def test_the_clearest_name_of_a_column_is_taken_and_any_can_be_named() -> None:
    table: Table = {
        "session_id": ["a"] * 4,
        "iteration": [0, 0, 1, 1],
        "Repeat": [1, 1, 1, 1],
        "judge_rep": [1, 2, 1, 2],
        "pass": [2, 1, 2, 1],
        "x": [1.0, 2.0, 3.0, 4.0],
    }
    assert tt.load(table).judgements[:, 0].tolist() == [[1, 2], [3, 4]]
    named = tt.load(table, columns=Columns(repeat="pass"))
    assert named.space.names == ("x",)
    assert named.judgements[:, 0].tolist() == [[2, 1], [4, 3]]
    assert left_out(tt.load(table, columns=Columns(repeat="Repeat"), objectives=["x"])) == {
        ("a repeated iteration and repeat of a session, with other scores", "rows"): 2
    }
    with pytest.raises(InputError, match="no column 'judge', named as the repeat column"):
        tt.load(table, columns=Columns(repeat="judge"))


def test_without_numbered_iterations_no_repeat_can_be_told() -> None:
    table: Table = {"session_id": ["a"] * 4, "rep": [0, 1, 0, 1], "x": [1.0, 2.0, 3.0, 4.0]}
    assert tt.load(table).scores.ravel().tolist() == [1, 2, 3, 4]
    with pytest.raises(InputError, match=r"needs a column 'iteration' beside 'rep'.*--iteration-column"):
        tt.load(table, columns=Columns(repeat="rep"))


def test_a_column_of_that_name_without_repeats_changes_nothing() -> None:
    table: Table = {"session_id": list("aabb"), "iteration": [0, 1, 0, 1], "x": [1.0, 2.0, 3.0, 5.0]}
    plain, other = tt.load(table), tt.load(table | {"rep": [1, 1, 2, 2]})
    np.testing.assert_array_equal(plain.scores, other.scores)
    assert other.judgements is None
    assert other.exclusions == ()
    assert any("'rep' was not used" in note for note in other.notes)
    assert tt.load(table | {"rep": [1, 2, 2, 1]}, objectives=["rep"]).space.names == ("rep",)
    for words in (["no", "yes", "no", "no"], [True, False, True, True]):
        doubled = {name: column * 2 for name, column in table.items()} | {"repeat": words * 2}
        assert tt.load(doubled).judgements is None


def test_the_second_of_two_judgements_with_one_label_is_left_out_and_counted() -> None:
    table: Table = {
        "session_id": ["a"] * 6,
        "iteration": [0] * 5 + [1],
        "repeat": [0, 1, 1, 0, 0, 0],
        "x": [1.0, 3.0, 3.0, 9.0, 1.0, 2.0],
    }
    wide = tt.load(table)
    assert wide.judgements[0, 0].tolist() == [1, 3]
    assert left_out(wide) == {
        ("a repeated iteration and repeat of a session, with the same scores", "rows"): 2,
        ("a repeated iteration and repeat of a session, with other scores", "rows"): 1,
    }
    long = tt.load({**{k: v for k, v in table.items() if k != "x"}, "objective": ["q"] * 6, "value": table["x"]})
    np.testing.assert_array_equal(long.judgements, wide.judgements)
    assert left_out(long) == {
        ("a repeated judgement of an objective at an iteration, with the same scores", "scores"): 2,
        ("a repeated judgement of an objective at an iteration, with other scores", "scores"): 1,
    }


@pytest.mark.parametrize("name", MIXED)
def test_labels_may_be_anything(name: str, tmp_path: Path) -> None:
    labels = ["abc", -1, 1e9, "1e9", "01", 1, None, "9" * 400, "x" * 5_000, "\u202e<script>"]
    table: Table = {
        "session_id": ["a"] * 10 + ["a"],
        "iteration": [0] * 10 + [1],
        "judge": [*labels, 1],
        "x": [float(k) for k in range(11)],
    }
    found = tt.load(FORMS[name](table, tmp_path), columns=Columns(repeat="judge"), objectives=["x:0:10"])
    # 1e9 and "1e9" are one label, and so are 01 and 1. No label comes first, then numbers, then words.
    assert found.judgements[0, 0].tolist() == [6, 1, 4, 2, 7, 0, 8, 9]
    assert left_out(found) == {("a repeated iteration and repeat of a session, with other scores", "rows"): 2}
    assert any("1 rows have nothing in 'judge'" in note for note in found.notes)


@pytest.mark.parametrize("long", [False, True])
def test_a_flood_of_repeats_is_bounded_and_counted(long: bool) -> None:
    many = 100_000
    table: dict[str, Any] = {
        "session_id": np.repeat(["a", "b"], [many, 2]),
        "iteration": np.concatenate([np.zeros(many, dtype=int), [0, 1]]),
        "repeat": np.concatenate([np.arange(many) * 10**6, [0, 0]]),
        "x": np.concatenate([np.arange(many) / many, [0.0, 1.0]]),
    }
    if long:
        table |= {"objective": np.repeat(["q"], many + 2), "value": table.pop("x")}
    found = tt.load(table)
    assert found.judgements.shape == (3, 1, 64)
    assert found.judgements[0, 0].tolist() == [k / many for k in range(64)]
    assert found.judgements[1:, 0, 0].tolist() == [0, 1]
    reason = "beyond the 64 judgements of one score that are kept"
    assert left_out(found) == {(reason, "judgements"): many - 64}


def test_judgements_that_failed_or_are_no_numbers_are_absent_ones() -> None:
    table: Table = {
        "session_id": ["a"] * 8,
        "iteration": [0, 0, 0, 1, 1, 2, 2, 3],
        "repeat": [0, 1, 2, 0, 1, 0, 1, 0],
        "objective": ["x"] * 8,
        "value": [1.0, None, "n/a", None, 1e300, None, None, 4.0],
        "status": ["ok", "failed", "ok", "failed", "ok", "unscored", None, "failed"],
    }
    found = tt.load(table)
    assert found.status.ravel().tolist() == [OK, FAILED, UNSCORED, FAILED]
    assert found.judgements is None
    assert left_out(found) == {
        ("x is not a number, so it counts as unscored", "scores"): 1,
        ("x is larger than 1e+100 in size, so it counts as unscored", "scores"): 1,
        ("x has a value although its status says failed", "scores"): 1,
    }


def test_judgements_of_other_texts_are_no_judgements_of_the_same_iterate(form: Callable[[Table], Any]) -> None:
    table: Table = {
        "session_id": ["a"] * 7,
        "iteration": [0, 0, 0, 1, 1, 2, 2],
        "rep": [1, 0, 2, 0, 1, 0, 1],
        "text": ["one", "one", "two", None, "three", "", "four"],
        "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    }
    found = tt.load(form(table))
    assert found.judgements[:, 0].tolist() == [[2, 1], [4, 5], [6, 7]]
    assert left_out(found) == {("a repeated judgement of another text than the first of its iteration", "rows"): 1}
    replicates = table | {"text": [f"text {k}" for k in range(7)]}
    apart = tt.load(form(replicates))
    assert apart.judgements is None
    assert apart.scores.ravel().tolist() == [1, 4, 6]  # the first of each, as without a column of repeats
    assert [e.count for e in apart.exclusions] == [4]


def test_sessions_counted_anew_for_each_strategy_keep_their_judgements() -> None:
    table: Table = {
        "session_id": [1] * 8,
        "strategy": ["EF"] * 4 + ["SF"] * 4,
        "iteration": [0, 0, 1, 1] * 2,
        "repeat": [0, 1] * 4,
        "x": [float(k) for k in range(8)],
    }
    found = tt.load(table)
    assert found.session_ids == ("EF/1", "SF/1")
    assert found.judgements[:, 0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_judgements_in_columns_told_by_name_or_by_the_caller(form: Callable[[Table], Any]) -> None:
    table: Table = {
        "session_id": ["a"] * 3,
        "iteration": [0, 1, 2],
        "quality_rep1": [2.0, None, 5.0],
        "quality_rep0": [1.0, 3.0, None],
        "anna": [5.0, 6.0, 7.0],
        "ben": [7.0, 6.0, 6.0],
    }
    found = tt.load(form(table))
    assert found.space.names == ("quality", "anna", "ben")
    assert any("because of their names: quality ('quality_rep0', 'quality_rep1')" in note for note in found.notes)
    both = tt.load(form(table), judgements={"clarity": ["ben", "anna"]})
    assert both.space.names == ("quality", "clarity")
    np.testing.assert_array_equal(both.judgements[0], [[1, 2], [7, 5]])
    np.testing.assert_array_equal(both.n_judgements, [[2, 2], [1, 2], [1, 2]])
    chosen = tt.load(form(table), objectives=["clarity:0:8", "quality"], judgements={"clarity": ["ben", "anna"]})
    assert str(chosen.space["clarity"]) == "clarity:0:8:max"
    np.testing.assert_array_equal(chosen.judgements, both.judgements[:, ::-1])
    apart = tt.load(form(table), objectives=["quality_rep0", "quality_rep1"])
    assert apart.judgements is None
    np.testing.assert_array_equal(apart.scores, [[1, 2], [3, nan], [nan, 5]])


@pytest.mark.parametrize("name", ["jsonl", "mapping"])
def test_judgements_in_keys_and_in_named_objectives(name: str, tmp_path: Path) -> None:
    keys: Table = {
        "session_id": ["a"] * 2,
        "iteration": [0, 1],
        "scores": [{"q_judge_1": 1.0, "q_judge_2": 3.0, "anna": 5.0, "ben": 6.0}, {"q_judge_2": 4.0, "anna": 7.0}],
    }
    names: Table = {
        "session_id": ["a"] * 6,
        "iteration": [0, 0, 0, 0, 1, 1],
        "objective": ["q_judge_1", "q_judge_2", "anna", "ben", "q_judge_2", "anna"],
        "value": [1.0, 3.0, 5.0, 6.0, 4.0, 7.0],
    }
    for table in (keys, names):
        found = tt.load(FORMS[name](table, tmp_path), judgements={"clarity": ["anna", "ben"]})
        assert found.space.names == ("q", "clarity")
        np.testing.assert_array_equal(found.judgements, [[[1, 3], [5, 6]], [[nan, 4], [7, nan]]])


def test_repeats_by_row_and_by_column_multiply() -> None:
    table: Table = {
        "session_id": ["a"] * 3,
        "iteration": [0, 0, 1],
        "repeat": [0, 1, 0],
        "q_judge_1": [1.0, 3.0, 5.0],
        "q_judge_2": [2.0, 4.0, 6.0],
    }
    found = tt.load(table)
    np.testing.assert_array_equal(found.judgements[:, 0], [[1, 2, 3, 4], [5, 6, nan, nan]])


def test_scales_are_those_of_the_judgements() -> None:
    table: Table = {"session_id": ["a"] * 4, "iteration": [0, 0, 1, 1], "repeat": [0, 1] * 2, "x": [0.0, 1.6, 0.2, 0.4]}
    assert str(tt.load(table).space["x"]) == "x:0:10:max"
    assert any("1 values of x lie outside 0 to 1" in note for note in tt.load(table, objectives=["x:0:1"]).notes)


@pytest.mark.parametrize(
    ("judgements", "message"),
    [
        ({"q": ["x"]}, "two or more of its columns"),
        ({"q": "xy"}, "two or more of its columns"),
        ({"": ["x", "y"]}, "two or more of its columns"),
        ({"q": ["x", 3]}, "two or more of its columns"),
        ({"q": ["x", "x"]}, "'x' is named for 'q' and for 'q'"),
        ({"q": ["x", "y"], "p": ["y", "z"]}, "'y' is named for 'q' and for 'p'"),
        ({"q": ["x", "nope"]}, "nothing called 'nope'; it has"),
        ({"q": ["x", "session_id"]}, "nothing called 'session_id'"),
        ({"q": ["x", "word"]}, "no number in 'word'"),
        (["q"], "need a mapping"),
    ],
)
def test_judgements_that_cannot_be_read(judgements: Any, message: str) -> None:
    table: Table = {"session_id": ["a", "a"], "x": [1, 2], "y": [3, 4], "z": [5, 6], "word": ["p", "q"]}
    with pytest.raises(InputError, match=message):
        tt.load(table, judgements=judgements)


def test_judgements_are_of_objectives_asked_for_and_of_tables() -> None:
    table: Table = {"session_id": ["a", "a"], "x": [1, 2], "y": [3, 5]}
    with pytest.raises(InputError, match="'q', which is none of the objectives asked for, x"):
        tt.load(table, objectives=["x"], judgements={"q": ["x", "y"]})
    for source in (tt.load(table), np.zeros((2, 3, 1)), "memory://"):
        with pytest.raises(InputError, match="name columns of a table"):
            tt.load(source, judgements={"q": ["x", "y"]})
