from __future__ import annotations

import gzip
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

SHARED = Path(__file__).parents[3] / "shared" / "data"


Table = dict[str, list[Any]]


def _as_csv(table: Table, folder: Path) -> Path:
    path = folder / "table.csv"
    pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in table.items()}).to_csv(path, index=False)
    return path


def _as_jsonl(table: Table, folder: Path) -> Path:
    path = folder / "table.jsonl.gz"
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    path.write_bytes(gzip.compress("\n".join(json.dumps(row) for row in rows).encode()))
    return path


def _as_parquet(table: Table, folder: Path) -> Path:
    path = folder / "table.parquet"
    pq.write_table(pa.table(table), path)
    return path


FORMS: dict[str, Callable[[Table, Path], Any]] = {
    "csv": _as_csv,
    "jsonl.gz": _as_jsonl,
    "parquet": _as_parquet,
    "pandas": lambda table, folder: pd.DataFrame(table),
    "polars": lambda table, folder: pl.DataFrame(table, strict=False),
    "polars lazy": lambda table, folder: pl.LazyFrame(table, strict=False),
    "arrow": lambda table, folder: pa.table(table),
    "mapping": lambda table, folder: table,
}


FILES_AND_WORDS = ["csv", "jsonl.gz", "pandas", "mapping"]  # forms that can mix numbers and words in one column


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Table], Any]:
    return lambda table: FORMS[request.param](table, tmp_path)


def exclusions(found: tt.Trajectories) -> dict[str, int]:
    return {e.reason: e.count for e in found.exclusions}


def test_wide_table_in_any_form(form: Callable[[Table], Any]) -> None:
    found = tt.load(
        form(
            {
                "session_id": ["b", "b", "a", "a", "a"],
                "strategy": ["EF", "SF", "SF", "SF", "SF"],
                "iteration": [0, 1, 2, 0, 1],
                "task_id": ["t1", "t1", "t2", "t2", "t2"],
                "quality": [1.5, 2.5, None, 3.0, 9.0],
                "speed": [0, 1, 0, 1, 1],
            }
        )
    )
    assert found.session_ids == ("b", "a")
    assert found.iteration.tolist() == [0, 1, 0, 1, 2]
    assert [found.strategies[code] for code in found.strategy] == ["EF", "SF", "SF", "SF", "SF"]
    np.testing.assert_array_equal(found.scores, [[1.5, 0], [2.5, 1], [3, 1], [9, 1], [np.nan, 0]])
    assert found.covariates == {"task_id": ("t1", "t2")}
    assert [str(o) for o in found.space] == ["quality:0:10:max", "speed:0:1:max"]
    assert found.exclusions == ()
    assert any("quality 1" in note for note in found.notes)


def test_long_table_in_any_form(form: Callable[[Table], Any]) -> None:
    found = tt.load(
        form(
            {
                "session_id": ["a"] * 4,
                "iteration": [1, 0, 0, 1],
                "objective": ["x", "y", "x", "y"],
                "value": [2.0, 20.0, 1.0, 30.0],
            }
        )
    )
    assert found.space.names == ("x", "y")
    assert found.scores.tolist() == [[1, 20], [2, 30]]


@pytest.mark.parametrize("name", ["jsonl.gz", "parquet", "pandas", "polars", "arrow", "mapping"])
def test_objects_of_scores_whose_keys_vary(name: str, tmp_path: Path) -> None:
    table: Table = {
        "session_id": ["a", "a", "a"],
        "iteration": [0, 1, 2],
        "scores": [{"x": 1.0, "z": None}, {"x": 2.0, "y": 5.0}, {"y": 6.0}],
    }
    found = tt.load(FORMS[name](table, tmp_path), objectives=["x", "y"])
    np.testing.assert_array_equal(found.scores, [[1, np.nan], [2, 5], [np.nan, 6]])


def test_objects_of_scores_in_a_csv_column(tmp_path: Path) -> None:
    table: Table = {"session_id": ["a", "a", "a"], "iteration": [0, 1, 2], "scores": ['{"x": 1}', '{"x": 2}', "lost"]}
    found = tt.load(_as_csv(table, tmp_path))
    np.testing.assert_array_equal(found.scores, [[1], [2], [np.nan]])


def test_keys_with_any_characters(tmp_path: Path) -> None:
    name = "a/b~c.d'\"é $[0]"
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"session_id": "s", "iteration": t, "scores": {name: t}}) for t in (0, 1)))
    assert tt.load(path).space.names == (name,)
    assert tt.load(path).scores.ravel().tolist() == [0, 1]


def test_ids_stay_what_they_are(form: Callable[[Table], Any]) -> None:
    found = tt.load(form({"session_id": ["007", "007", "7"], "iteration": [0, 1, 0], "x": [1, 2, 3]}))
    assert found.session_ids == ("007", "7")


def test_whole_numbers_as_ids(form: Callable[[Table], Any]) -> None:
    found = tt.load(form({"session_id": [7, 7, 8], "iteration": [0.0, 1.0, 0.0], "x": [1, 2, 3]}))
    assert found.session_ids == ("7", "8")
    assert found.iteration.tolist() == [0, 1, 0]


def test_ids_that_pandas_turned_into_decimals() -> None:
    found = tt.load(pd.DataFrame({"session_id": [7, 7, None], "iteration": [0, 1, 0], "x": [1, 2, 3]}))
    assert found.session_ids == ("7",)
    assert exclusions(found) == {"no session id": 1}


@pytest.mark.parametrize("name", FILES_AND_WORDS)
def test_words_among_the_scores_are_counted(name: str, tmp_path: Path) -> None:
    table: Table = {
        "session_id": ["a"] * 6,
        "iteration": [*range(6)],
        "x": [1.5, "n/a", "n/a", "1_000", 3.5, 4.5],
    }
    found = tt.load(FORMS[name](table, tmp_path))
    np.testing.assert_array_equal(found.scores.ravel(), [1.5, np.nan, np.nan, np.nan, 3.5, 4.5])
    (excluded,) = found.exclusions
    assert (excluded.count, excluded.unit, excluded.examples[0]) == (3, "scores", "'n/a'")


@pytest.mark.parametrize("name", FILES_AND_WORDS)
def test_infinite_scores_are_counted(name: str, tmp_path: Path) -> None:
    table: Table = {"session_id": ["a"] * 3, "iteration": [0, 1, 2], "x": [1.0, float("inf"), 2.0]}
    found = tt.load(FORMS[name](table, tmp_path))
    assert found.status.ravel().tolist() == [OK, UNSCORED, OK]
    assert exclusions(found) == {"x is infinite, so it counts as unscored": 1}


def test_truth_values_are_read_as_one_and_zero(form: Callable[[Table], Any]) -> None:
    found = tt.load(form({"session_id": ["a"] * 3, "iteration": [0, 1, 2], "solved": [False, False, True]}))
    assert found.scores.ravel().tolist() == [0, 0, 1]
    assert any("True and false" in note for note in found.notes)


@pytest.mark.parametrize("name", FILES_AND_WORDS)
def test_unusable_iterations_are_counted(name: str, tmp_path: Path) -> None:
    table: Table = {
        "session_id": ["a"] * 7,
        "iteration": [0, 1, -1, 2.5, None, "x", "3.0"],
        "x": [1, 2, 3, 4, 5, 6, 7],
    }
    found = tt.load(FORMS[name](table, tmp_path))
    assert found.iteration.tolist() == [0, 1, 3]
    assert exclusions(found) == {
        "no iteration number": 1,
        "the iteration is no whole number": 2,
        "the iteration is negative": 1,
    }


def test_repeated_iterations_keep_the_first_and_tell_repeats_from_contradictions(form: Callable[[Table], Any]) -> None:
    found = tt.load(form({"session_id": ["a"] * 5, "iteration": [0, 1, 1, 0, 2], "x": [1, 2, 2, 9, 3]}))
    assert found.scores.ravel().tolist() == [1, 2, 3]
    assert {e.reason.split("; ")[0]: (e.count, e.examples) for e in found.exclusions} == {
        "a repeated iteration of a session, with the same scores": (1, ("session 'a', iteration 1",)),
        "a repeated iteration of a session, with other scores": (1, ("session 'a', iteration 0",)),
    }


def test_missing_strategy_and_iteration_columns(form: Callable[[Table], Any]) -> None:
    found = tt.load(form({"session_id": ["a", "b", "a", "b"], "x": [1, 2, 3, 4]}), strategy_default="mine")
    assert found.strategies == ("mine",)
    assert found.iteration.tolist() == [0, 1, 0, 1]
    assert found.scores.ravel().tolist() == [1, 3, 2, 4]
    assert sum("There is no column" in note for note in found.notes) == 2


def test_trajectories_pass_through() -> None:
    first = tt.load({"session_id": ["a", "a"], "x": [1, 2], "y": [3, 4]})
    assert tt.load(first) is first
    chosen = tt.load(first, objectives=["y"])
    assert (str(chosen.space["y"]), chosen.scores.ravel().tolist()) == ("y:0:10:max", [3, 4])
    assert str(tt.load(first, objectives=["y:0:4:min"]).space["y"]) == "y:0:4:min"


def test_statuses_of_a_long_table() -> None:
    found = tt.load(
        {
            "session_id": ["a"] * 4,
            "iteration": [0, 1, 2, 3],
            "objective": ["x"] * 4,
            "value": [1.0, None, None, 5.0],
            "status": ["ok", "failed", "unscored", "failed"],
        }
    )
    assert found.status.ravel().tolist() == [OK, FAILED, UNSCORED, FAILED]
    assert exclusions(found) == {"x has a value although its status says failed; the status counts": 1}


def test_shared_sources_load() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared trajectories are not beside this checkout")
    expected = {
        "selfrefine_sentiment_a": (827, 3896, ("sentiment",)),
        "intercode_sql_a": (5998, 40693, ("reward", "valid_action")),
        "openevolve_forecast_a": (20, 52, ("combined_score", "mape", "rmse")),
    }
    imported = {"ldb_humaneval", "mint_humaneval", "openevolve_agents_a"}  # compared in the tests of the importer
    for path in sorted(SHARED.glob("*.jsonl.gz")):
        name = path.name.removesuffix(".jsonl.gz")
        if name in imported:
            continue
        if name.startswith("tasks_"):
            with pytest.raises(InputError, match="session_id"):
                tt.load(path)
            continue
        found = tt.load(path)
        if name in expected:
            assert (found.n_sessions, found.n_rows, found.space.names) == expected[name]
        if found.n_rows > 5_000:
            continue
        rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        assert found.n_rows == len(rows)
        at = {(row["session_id"], row["iteration"]): row for row in rows}
        for i in range(0, found.n_rows, 97):
            row = at[found.session_ids[found.session[i]], int(found.iteration[i])]
            assert found.strategies[found.strategy[i]] == row["strategy"]
            want = [row["scores"].get(objective, np.nan) for objective in found.space.names]
            np.testing.assert_array_equal(found.scores[i], want)


def test_a_long_table_may_number_its_objectives(tmp_path: Path) -> None:
    table: Table = {
        "session_id": ["a"] * 6,
        "iteration": [0, 0, 1, 1, 2, 2],
        "objective": [1, 2] * 3,
        "value": [0.1, 5.0, 0.2, 6.0, 0.3, 7.0],
    }
    for form in FORMS.values():
        found = tt.load(form(table, tmp_path))
        assert found.space.names == ("1", "2")
        assert found.scores.tolist() == [[0.1, 5.0], [0.2, 6.0], [0.3, 7.0]]
    renamed = {"metric" if name == "objective" else "v" if name == "value" else name: c for name, c in table.items()}
    assert tt.load(renamed, columns=Columns(objective="metric", value="v")).space.names == ("1", "2")
    broken = table | {"objective": [0.5, 0.75] * 3}
    assert tt.load(broken).space.names == ("value",)


@pytest.mark.parametrize("name", list(FORMS))
def test_values_of_absurd_size_are_unscored(name: str, tmp_path: Path) -> None:
    table: Table = {"session_id": ["a"] * 4, "iteration": [0, 1, 2, 3], "x": [1.0, 2e100, -1e300, 1e100]}
    found = tt.load(FORMS[name](table, tmp_path))
    assert found.scores.ravel()[[0, 3]].tolist() == [1.0, 1e100]
    assert np.isnan(found.scores.ravel()[1:3]).all()
    reason = "x is larger than 1e+100 in size, so it counts as unscored"
    assert [(e.reason, e.count, e.examples) for e in found.exclusions] == [(reason, 2, ("2e+100", "-1e+300"))]
