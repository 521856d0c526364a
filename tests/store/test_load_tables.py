"""Tables: which columns and objectives are used, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import trimtab as tt
from trimtab.errors import InputError, SourceError
from trimtab.store.load import Columns


def test_repeated_scores_of_a_long_table() -> None:
    found = tt.load(
        {
            "session_id": ["a"] * 5,
            "iteration": [0, 0, 0, 1, 1],
            "objective": ["x", "x", "x", "x", "y"],
            "value": [1, 1, 5, 2, 7],
        },
        objectives=["x", "y"],
    )
    np.testing.assert_array_equal(found.scores, [[1, np.nan], [2, 7]])
    assert sorted(e.count for e in found.exclusions if e.unit == "scores") == [1, 1]


def test_mapped_columns() -> None:
    table = {
        "run": ["a", "a"],
        "arm": ["EF", "EF"],
        "t": [0, 1],
        "metric": ["x", "x"],
        "score": [1, 2],
        "llm": ["m", "m"],
    }
    columns = Columns(session="run", strategy="arm", iteration="t", objective="metric", value="score", model="llm")
    found = tt.load(table, columns=columns)
    assert (found.space.names, found.strategies, found.covariates) == (("x",), ("EF",), {"model": ("m",)})


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ({"run": ["a"], "x": [1]}, Columns(), "'run', 'x'.*--session-column.*--strategy-column.*Columns"),
        ({"session_id": ["a"], "x": [1]}, Columns(iteration="t"), "no column 't', named as the iteration column"),
        ({"session_id": ["a"], "x": [1]}, Columns(strategy="arm"), "no column 'arm'"),
        ({"session_id": ["a"], "score": [1]}, Columns(value="score"), "also needs 'objective'"),
        ({"session_id": ["a"], "note": ["hello"]}, Columns(), "holds no score"),
        ({"session_id": ["a"], "seed": [4]}, Columns(), "'seed' can be named with --objective"),
        ({"session_id": [None, ""], "x": [1, 2]}, Columns(), "no usable row: 2 rows: no session id"),
        ({"session_id": ["a"], "iteration": ["x"], "x": [1]}, Columns(), "no usable row"),
        ({"session_id": ["a", "b"], "x": [1]}, Columns(), "one length"),
        ({"session_id": ["a"], "x": [[1, 2]]}, Columns(), "one dimension"),
        ({"session_id": [], "x": []}, Columns(), "no rows"),
        ({}, Columns(), "no rows"),
        (
            {"session_id": ["a"], "scores": [{"x": 1}], "objective": ["x"], "value": [1]},
            Columns(),
            "fits two layouts",
        ),
        ({"session_id": ["a"], "scores": [{"x": "good"}]}, Columns(), "no number in its column 'scores'"),
        ({"session_id": ["a"], "objective": [""], "value": [1]}, Columns(), "names no objective"),
    ],
)
def test_tables_that_cannot_be_used(table: Any, columns: Columns, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        tt.load(table, columns=columns)
    assert not isinstance(caught.value, SourceError)


def test_two_numeric_columns_called_objective_and_value_are_wide() -> None:
    found = tt.load({"session_id": ["a", "a"], "objective": [1, 2], "value": [3, 4]})
    assert found.space.names == ("objective", "value")


def test_given_objectives() -> None:
    table = {"session_id": ["a", "a"], "x": [1, 20], "seed": [3, 3], "word": ["p", "q"]}
    found = tt.load(table, objectives=["seed:0:5", tt.Objective("x", direction="min")])
    assert [str(o) for o in found.space] == ["seed:0:5:max", "x:0:10:min"]
    assert found.scores.tolist() == [[3, 1], [3, 20]]
    assert any("1 values of x lie outside 0 to 10" in note for note in found.notes)
    with pytest.raises(InputError, match=r"no objective called 'y'; it has 'x', 'seed', 'word'"):
        tt.load(table, objectives=["y"])
    with pytest.raises(InputError, match=r"no number in 'word', which holds 'p', 'q'"):
        tt.load(table, objectives=["word"])
    with pytest.raises(InputError, match="distinct"):
        tt.load(table, objectives=["x", "x:0:1"])


def test_hostile_number_of_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"session_id": "a", "iteration": t, f"k{t}": 1}) for t in range(6_000)))
    with pytest.raises(InputError, match="over 5,000 different names"):
        tt.load(path)


def test_duplicate_dataframe_columns() -> None:
    frame = pd.DataFrame([["a", 1, 2]], columns=["session_id", "x", "x"])
    with pytest.raises(InputError, match="dataframe cannot be read"):
        tt.load(frame)


def test_typed_parquet_columns_that_are_no_scores(tmp_path: Path) -> None:
    table = pa.table(
        {
            "session_id": pa.array(["a", "a"]).dictionary_encode(),
            "iteration": pa.array([0, 1], pa.int8()),
            "when": pa.array([0, 10**6], pa.timestamp("us")),
            "list": pa.array([[1], [2]]),
            "exact": pa.array([1, 2], pa.decimal128(5, 2)),
            "blob": pa.array([b"1", b"2"]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    found = tt.load(tmp_path / "a.parquet")
    assert found.space.names == ("exact",)
    assert any("when, list, blob" in note for note in found.notes)


@pytest.mark.parametrize(
    ("values", "asked", "scale"),
    [([0.1, 0.9], "x", "x:0:1:max"), ([0.1, 90], "x:min", "x:0:100:min"), ([0.1, 0.9], "x:0:10", "x:0:10:max")],
)
def test_a_scale_that_is_not_given_is_inferred_and_said(values: list[float], asked: str, scale: str) -> None:
    found = tt.load({"session_id": ["a", "a"], "iteration": [0, 1], "x": values}, objectives=[asked])
    assert str(found.space["x"]) == scale
    assert any(scale in note for note in found.notes) == (asked != "x:0:10")
    assert str(tt.load(found, objectives=["x"]).space["x"]) == scale


def test_unusable_values_of_an_objective_left_out_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "\n".join(f'{{"session_id": "a", "iteration": {t}, "scores": {{"x": {t}, "y": 1e999}}}}' for t in range(3))
    )
    found = tt.load(path)
    assert found.space.names == ("x",)
    assert ("y is infinite, so it counts as unscored", 3) in [(e.reason, e.count) for e in found.exclusions]
