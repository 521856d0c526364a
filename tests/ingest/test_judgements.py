"""Repeated judgements through an import: every one of them in the store, and the same trajectories as the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trimtab as tt
from trimtab.core.records import Score
from trimtab.errors import InputError
from trimtab.ingest.importer import import_files
from trimtab.scoring.python_static import PythonStaticScorer
from trimtab.store.base import Store
from trimtab.store.load import Columns
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

WIDE = "session_id,iteration,judge_rep,text,q,q_status\n"
RAGGED = (
    WIDE + "a,0,1,x = 1,5,ok\na,0,2,x = 1,7,ok\na,0,3,,,failed\na,1,2,x = 2,4,ok\nb,0,1,y = 1,,failed\nb,1,1,y,3,ok\n"
)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    opened = MemoryStore() if request.param == "memory" else open_store(f"sqlite:///{tmp_path / 'a.db'}", create=True)
    yield opened
    opened.close()


def csv(folder: Path, text: str, name: str = "a.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def assert_same(one: tt.Trajectories, other: tt.Trajectories) -> None:
    assert (one.session_ids, one.space) == (other.session_ids, other.space)
    for name in ("scores", "status", "iteration", "offsets", "judgements"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_every_judgement_is_a_repeat_of_a_score(store: Store, tmp_path: Path) -> None:
    path = csv(tmp_path, RAGGED)
    report = import_files(path, store)
    assert (report.sessions, report.iterations, report.exclusions) == (2, 4, ())
    assert [i.scores for i in store.iterations()] == [
        (Score("q", 5.0), Score("q", 7.0, repeat=1)),
        (Score("q", 4.0, repeat=1),),
        (Score("q", None, "failed", "failed in the source"),),
        (Score("q", 3.0),),
    ]
    assert [i.artefact for i in store.iterations()] == ["x = 1", "x = 2", "y = 1", "y"]
    assert_same(store.trajectories(), tt.load(path))


def test_importing_judgements_twice_adds_nothing_and_other_judgements_are_other_contents(
    store: Store, tmp_path: Path
) -> None:
    import_files(csv(tmp_path, RAGGED), store)
    again = import_files(csv(tmp_path, RAGGED), store)
    assert [(e.count, "same contents" in e.reason) for e in again.exclusions] == [(2, True)]
    other = import_files(csv(tmp_path, RAGGED.replace("x = 1,7,ok", "x = 1,6,ok")), store)
    assert [(e.count, "other contents" in e.reason) for e in other.exclusions] == [(1, False), (1, True)]
    assert_same(store.trajectories(), tt.load(csv(tmp_path, RAGGED)))


def test_judgements_in_columns_are_imported(store: Store, tmp_path: Path) -> None:
    path = csv(tmp_path, "session_id,iteration,anna,ben,p_rep0,p_rep1\na,0,1,2,3,4\na,1,5,,6,7\n")
    given = {"q": ["anna", "ben"]}
    report = import_files(path, store, judgements=given)
    assert any("because of their names: p ('p_rep0', 'p_rep1')" in note for note in report.notes)
    assert_same(store.trajectories(), tt.load(path, judgements=given))
    assert [len(i.scores) for i in store.iterations()] == [4, 3]


def test_a_scorer_scores_every_iteration_once(tmp_path: Path) -> None:
    store = MemoryStore()
    report = import_files(csv(tmp_path, RAGGED), store, scorer=PythonStaticScorer())
    assert report.iterations == 4
    assert not any("repeated" in e.reason for e in report.exclusions)
    assert store.trajectories().judgements is None
    with pytest.raises(InputError, match="leave the scorer or the judgements out"):
        import_files(tmp_path / "a.csv", store, judgements={"z": ["q", "p"]}, scorer=PythonStaticScorer())


def test_a_flood_of_repeats_does_not_fill_the_store(tmp_path: Path) -> None:
    lines = [json.dumps({"session_id": "a", "iteration": 0, "repeat": k, "scores": {"q": k}}) for k in range(3_000)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    store = MemoryStore()
    report = import_files(tmp_path / "a.jsonl", store)
    assert [len(i.scores) for i in store.iterations()] == [64]
    assert [(e.count, e.unit) for e in report.exclusions] == [(2_936, "judgements")]


ROWS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 2),
        st.sampled_from(["", "1", "2", "judge"]),
        st.integers(0, 9) | st.none(),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=15, deadline=None)
@given(rows=ROWS)
def test_the_store_gives_the_judgements_of_the_file(rows: list[tuple[Any, ...]], tmp_path_factory: Any) -> None:
    rows = [("a", 0, "1", 1), ("a", 0, "2", 9), *rows]
    text = "session_id,iteration,who,q\n" + "".join(
        f"{s},{t},{who},{'' if value is None else value}\n" for s, t, who, value in rows
    )
    path = csv(tmp_path_factory.mktemp("judged"), text)
    store = MemoryStore()
    import_files(path, store, columns=Columns(repeat="who"), objectives=["q:0:10"])
    found = tt.load(path, columns=Columns(repeat="who"), objectives=["q:0:10"])
    assert_same(store.trajectories(), found)
    saved = tt.save(store.trajectories(), path.with_name("b.csv"))
    assert_same(tt.load(saved, objectives=["q:0:10"]), found)
