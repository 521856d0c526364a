"""Repeated judgements: counted as by hand, and read back as they were saved."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimtab as tt
from trimtab.core.trajectories import FAILED, OK, UNSCORED
from trimtab.errors import InputError
from trimtab.store.load import Columns

nan = float("nan")

LABELS = st.sampled_from([None, 0, 1, 2, "anna", "ben"])


CELLS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 2),
        st.sampled_from("xy"),
        LABELS,
        st.none() | st.integers(0, 9).map(float),
        st.sampled_from(["ok", "failed", "unscored"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(rows=CELLS)
def test_a_long_table_is_what_counting_by_hand_gives(rows: list[tuple[Any, ...]]) -> None:
    rows = [("a", 0, "x", 0, 1.0, "ok"), ("a", 0, "y", 0, 2.0, "ok"), *rows]
    names = ["session_id", "iteration", "objective", "judge", "value", "status"]
    table = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    found = tt.load(table, columns=Columns(repeat="judge"), objectives=["x:0:9", "y:0:9"])

    first: dict[tuple[Any, ...], tuple[Any, str]] = {}
    for session, t, objective, label, value, status in rows:
        first.setdefault((session, t, objective, str(label)), (value, status))
    places = sorted({key[:2] for key in first})
    assert [(found.session_ids[s], int(t)) for s, t in zip(found.session, found.iteration, strict=True)] == places
    order = [str(label) for label in (None, 0, 1, 2, "anna", "ben")]
    for row, (session, t) in enumerate(places):
        for j, objective in enumerate("xy"):
            cell = [first.get((session, t, objective, label)) for label in order]
            known = [given[0] for given in cell if given and given[1] != "failed" and given[0] is not None]
            failed = any(given and given[1] == "failed" for given in cell)
            assert found.n_judgements[row, j] == len(known)
            assert found.status[row, j] == (OK if known else FAILED if failed else UNSCORED)
            if known:
                assert found.scores[row, j] == pytest.approx(sum(known) / len(known))
            if found.judgements is not None:
                kept = found.judgements[row, j]
                assert kept[np.isfinite(kept)].tolist() == known
    duplicates = sum(e.count for e in found.exclusions if "a repeated" in e.reason)
    assert duplicates == len(rows) - len(first)


@st.composite
def judged(draw: st.DrawFn) -> tt.Trajectories:
    """Ragged judgements: a cell has up to three, none of them, or failed."""
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    rows, n = sum(lengths), draw(st.integers(1, 3))
    values = st.floats(-1e100, 1e100, allow_nan=False)
    flat = [draw(st.just(nan) | values) for _ in range(rows * n * 3)]
    given_values = np.array(flat).reshape(rows, n, 3)
    given_values[0, :, 0], given_values[0, 0] = 1.0, [1.0, 2.0, 3.0]
    starts = np.cumsum([0, *lengths])
    names = [f"q{j}" for j in range(n)]
    built = tt.Trajectories.from_arrays(None, names, judgements=[given_values[a:b] for a, b in pairwise(starts)])
    failed = np.array([draw(st.booleans()) for _ in range(rows * n)]).reshape(rows, n)
    return replace(
        built,
        status=np.where((built.status == UNSCORED) & failed, FAILED, built.status).astype(np.int8),
        space=tt.ObjectiveSpace(tt.Objective(name, -1e308, 1e308) for name in names),
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl", ".jsonl.gz"])
@settings(max_examples=12, deadline=None)
@given(built=judged(), layout=st.sampled_from(["wide", "long"]))
def test_judgements_that_were_saved_are_read_back_the_same(built: tt.Trajectories, suffix: str, layout: Any) -> None:
    with TemporaryDirectory() as folder:
        found = tt.load(tt.save(built, Path(folder) / f"saved{suffix}", layout=layout), objectives=built.space)
    for name in ("scores", "status", "iteration", "offsets", "judgements"):
        np.testing.assert_array_equal(getattr(found, name), getattr(built, name))
    assert found.exclusions == ()


@settings(max_examples=25, deadline=None)
@given(built=judged())
def test_the_tidy_table_is_read_back_the_same(built: tt.Trajectories) -> None:
    found = tt.load(built.to_columns(), objectives=built.space)
    np.testing.assert_array_equal(found.judgements, built.judgements)
    np.testing.assert_array_equal(found.scores, built.scores)


def test_saved_judgements_are_a_row_each(tmp_path: Path) -> None:
    built = tt.Trajectories.from_arrays(None, ["x", "y"], judgements=[[[[1, 2], [3, nan]], [[nan, nan], [nan, nan]]]])
    assert tt.save(built, tmp_path / "a.csv").read_text().splitlines() == [
        "session_id,strategy,iteration,repeat,x,y",
        "s0,all,0,0,1.0,3.0",
        "s0,all,0,1,2.0,",
        "s0,all,1,0,,",
    ]
    assert tt.save(built, tmp_path / "b.csv", layout="long").read_text().splitlines() == [
        "session_id,strategy,iteration,repeat,objective,value,status",
        "s0,all,0,0,x,1.0,ok",
        "s0,all,0,1,x,2.0,ok",
        "s0,all,0,0,y,3.0,ok",
        "s0,all,1,0,x,,unscored",
        "s0,all,1,0,y,,unscored",
    ]
    with pytest.raises(InputError, match="own column 'repeat'"):
        tt.save(replace(built, covariates={"repeat": ("z",)}), tmp_path / "c.csv")
    named = tt.Trajectories.from_arrays(None, ["repeat"], judgements=[[[[1, 2]]]])
    with pytest.raises(InputError, match="'repeat' would stand for"):
        tt.save(named, tmp_path / "c.csv")
    assert tt.load(tt.save(named, tmp_path / "c.csv", layout="long")).judgements.tolist() == [[[1, 2]]]
