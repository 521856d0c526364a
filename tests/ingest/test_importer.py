from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trimtab as tt
from trimtab.core.records import Score
from trimtab.errors import InputError, SourceError, StoreError
from trimtab.ingest.importer import import_files
from trimtab.scoring.base import ScoringContext
from trimtab.scoring.python_static import PythonStaticScorer
from trimtab.store.base import Experiment, Store
from trimtab.store.inference import without_sparse
from trimtab.store.load import Columns
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

SHARED = Path(__file__).parents[3] / "shared" / "data"
PROGRAM = "def add(a, b):\n    return a + b\n"


class Length:
    """Scores a text by its length, and fails an empty one."""

    name = "length"
    objectives = (tt.Objective("length", 0, 100),)

    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        if not artefact:
            return (Score("length", None, "failed", "empty: no characters"),)
        return (Score("length", float(len(artefact))),)


def row(session: str, t: int, **more: Any) -> dict[str, Any]:
    return {"session_id": session, "strategy": "EF", "iteration": t, "task_id": "t1", "model": "m"} | more


def rows(session: str = "a", text: str = "x = 1\n") -> list[dict[str, Any]]:
    return [row(session, t, text=text * (t + 1), scores={"q": t / 2}, meta={"n": t}) for t in range(3)]


def jsonl(path: Path, content: list[dict[str, Any]]) -> Path:
    data = "".join(json.dumps(r) + "\n" for r in content).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    opened = MemoryStore() if request.param == "memory" else open_store(f"sqlite:///{tmp_path / 'a.db'}", create=True)
    yield opened
    opened.close()


def assert_same(one: tt.Trajectories, other: tt.Trajectories) -> None:
    assert (one.space, one.session_ids, one.strategies) == (other.space, other.session_ids, other.strategies)
    assert dict(one.covariates) == dict(other.covariates)
    for name in ("scores", "status", "iteration", "strategy", "offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_records_hold_all_that_the_file_has(store: Store, tmp_path: Path) -> None:
    report = import_files(jsonl(tmp_path / "a.jsonl", rows()), store)
    assert (report.sessions, report.iterations, report.exclusions) == (1, 3, ())
    (session,) = store.sessions()
    assert (session.id, session.task_id, session.strategy, session.model) == ("a", "t1", "EF", "m")
    assert session.meta == {"file": "a.jsonl"}
    found = list(store.iterations("a"))
    assert [i.artefact for i in found] == ["x = 1\n", "x = 1\n" * 2, "x = 1\n" * 3]
    assert [i.meta for i in found] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [i.scores for i in found] == [(Score("q", 0.0),), (Score("q", 0.5),), (Score("q", 1.0),)]


@pytest.mark.parametrize("name", ["ldb_humaneval", "mint_humaneval", "openevolve_agents_a", "selfrefine_sentiment_a"])
def test_store_gives_the_same_trajectories_as_the_file(name: str) -> None:
    path = SHARED / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("the shared trajectories are not beside this checkout")
    store = MemoryStore()
    report = import_files(path, store)
    loaded = tt.load(path)
    assert (report.sessions, report.iterations) == (loaded.n_sessions, loaded.n_rows)
    stored = without_sparse(store.trajectories())
    assert_same(stored, loaded)
    left_out = [str(e) for e in loaded.exclusions if e.unit == "objectives" and "--objective" in e.reason]
    assert [str(e) for e in stored.exclusions] == left_out
    texts = [json.loads(line)["text"] for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert sorted(i.artefact or "" for i in store.iterations()) == sorted(text or "" for text in texts)


def test_rows_in_any_order_and_any_format(tmp_path: Path) -> None:
    shuffled = [rows("b")[2], rows("a")[1], rows("b")[0], rows("a")[0], rows("b")[1]]
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(
            stream, ["session_id", "strategy", "iteration", "task_id", "model", "text", "meta", "q"]
        )
        writer.writeheader()
        for r in shuffled:
            flat = {**r, "q": r["scores"]["q"], "meta": json.dumps(r["meta"])}
            del flat["scores"]
            writer.writerow(flat)
    stores = MemoryStore(), MemoryStore()
    import_files(path, stores[0])
    import_files(jsonl(tmp_path / "a.jsonl.gz", shuffled), stores[1])
    assert list(stores[0].iterations()) == list(stores[1].iterations())
    assert [i.artefact for i in stores[0].iterations("b")] == ["x = 1\n", "x = 1\n" * 2, "x = 1\n" * 3]
    assert_same(stores[0].trajectories(), tt.load(path))


def test_importing_twice_adds_nothing_and_says_so(store: Store, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", rows("a") + rows("b"))
    import_files(path, store)
    before = list(store.iterations())
    again = import_files(path, store)
    assert (again.sessions, again.iterations) == (0, 0)
    assert [(e.count, e.unit, "same contents" in e.reason) for e in again.exclusions] == [(2, "sessions", True)]
    assert "nothing was added" in again.notes[-1]
    assert list(store.iterations()) == before


@pytest.mark.parametrize(
    "change",
    [{"text": "other"}, {"scores": {"q": 0.4}}, {"strategy": "SF"}, {"iteration": 7}],
    ids=lambda c: next(iter(c)),
)
def test_a_session_with_other_contents_is_never_merged(store: Store, tmp_path: Path, change: dict[str, Any]) -> None:
    import_files(jsonl(tmp_path / "a.jsonl", rows("a")), store)
    before = list(store.iterations())
    changed = rows("a")
    changed[1] |= change
    report = import_files(jsonl(tmp_path / "b.jsonl", changed + rows("new")), store)
    assert (report.sessions, report.iterations) == (1, 3)
    assert [(e.count, "other contents" in e.reason) for e in report.exclusions] == [(1, True)]
    assert list(store.iterations("a")) == before


def test_files_that_share_a_session(tmp_path: Path) -> None:
    store = MemoryStore()
    paths = [jsonl(tmp_path / "a.jsonl", rows("a")), jsonl(tmp_path / "b.jsonl", rows("a", "y = 2\n") + rows("b"))]
    report = import_files(paths, store)
    assert (report.sessions, report.iterations) == (2, 6)
    assert [e.reason.startswith("b.jsonl: in the store already, with other") for e in report.exclusions] == [True]


def test_files_with_different_objectives_and_scales(tmp_path: Path) -> None:
    store = MemoryStore()
    other = [row("b", t, scores={"q": 5.0 + t, "p": 1.0 + t}) for t in range(3)]
    report = import_files([jsonl(tmp_path / "a.jsonl", rows("a")), jsonl(tmp_path / "b.jsonl", other)], store)
    experiment = store.experiment()
    assert experiment is not None
    assert [str(o) for o in experiment.space] == ["q:0:10:max", "p:0:10:max"]
    assert any("different scales for q" in note for note in report.notes)
    later = [row("c", t, scores={"z": t / 2}) for t in range(3)]
    report = import_files(jsonl(tmp_path / "c.jsonl", later), store)
    assert store.trajectories().space.names == ("q", "p", "z")
    assert any("Added to the store's objectives: z:0:1:max" in note for note in report.notes)


def test_a_scorer_replaces_the_scores_of_the_file_and_says_so(tmp_path: Path) -> None:
    store = MemoryStore()
    content = [*rows("a"), row("b", 0, text=None, scores={"q": 1}), row("b", 1, text="", scores={})]
    report = import_files(jsonl(tmp_path / "a.jsonl", content), store, scorer=Length())
    assert store.trajectories().space.names == ("length",)
    np.testing.assert_array_equal(store.trajectories().scores.ravel(), [6, 12, 18, np.nan, np.nan])
    none, empty = store.iterations("b")
    assert (none.scores[0].status, none.status) == ("unscored", "ok")
    assert (empty.scores[0].status, empty.status, empty.reason) == ("failed", "failed", "empty: no characters")
    assert any("(q) were replaced" in note for note in report.notes)
    assert sum(e.count for e in report.exclusions if "text not scored" in e.reason) == 2
    again = import_files(tmp_path / "a.jsonl", store, scorer=Length())
    assert again.iterations == 0
    assert all("same contents" in e.reason for e in again.exclusions if e.unit == "sessions")


def test_a_scorer_beside_the_scores_of_the_file(tmp_path: Path) -> None:
    store = MemoryStore()
    content = [r | {"scores": {"q": r["iteration"] / 2, "length": r["iteration"] + 1}} for r in rows("a")]
    report = import_files(jsonl(tmp_path / "a.jsonl", content), store, scorer=Length(), keep_scores=True)
    assert store.trajectories().space.names == ("q", "length")
    assert store.trajectories().scores.tolist() == [[0, 6], [0.5, 12], [1, 18]]
    assert any("length is scored anew" in note for note in report.notes)


def test_programs_are_found_in_answers(tmp_path: Path) -> None:
    store = MemoryStore()
    answer = f"Here it is:\n\n```python\n{PROGRAM}```\nDone."
    content = [row("a", 0, text=PROGRAM), row("a", 1, text=answer), row("a", 2, text="I cannot do that.")]
    import_files(jsonl(tmp_path / "a.jsonl", content), store, scorer=PythonStaticScorer())
    plain, fenced, refused = store.iterations("a")
    assert (plain.artefact, plain.answer, plain.extraction) == (PROGRAM, None, "whole")
    assert (fenced.artefact, fenced.answer, fenced.extraction) == (PROGRAM, answer, "fence")
    assert plain.scores == fenced.scores
    assert refused.status == "failed"
    assert store.trajectories().complete.tolist() == [True, True, False]


def test_real_programs_are_scored(tmp_path: Path) -> None:
    path = SHARED / "reflexion10_humaneval.jsonl.gz"
    if not path.exists():
        pytest.skip("the shared trajectories are not beside this checkout")
    store = MemoryStore()
    report = import_files(path, store, scorer=PythonStaticScorer())
    found = store.trajectories()
    assert found.space.names == ("security", "efficiency", "functionality")
    assert (report.iterations, found.n_rows) == (407, 407)
    assert found.complete.mean() > 0.8


def test_scorer_without_texts_or_with_other_objectives(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", [row("a", t, scores={"q": t}) for t in range(2)])
    with pytest.raises(InputError, match="no column 'text'"):
        import_files(path, MemoryStore(), scorer=Length())
    with pytest.raises(InputError, match="scores length, but q"):
        import_files(jsonl(path, rows()), MemoryStore(), scorer=Length(), objectives=["q"])


def test_meta_that_cannot_be_kept_is_counted(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    metas = ['{"x": NaN}', "[1]", '"word"', "null", '{"ok": "\\ud83d\\ude00"}', '{"big": 1e999}']
    start = '{"session_id": "a", "iteration": '
    lines = [f'{start}{t}, "scores": {{"q": {t}}}, "meta": {meta}}}' for t, meta in enumerate(metas)]
    path.write_text("\n".join(lines))
    report = import_files(path, store)
    assert [(e.count, "meta" in e.reason) for e in report.exclusions] == [(4, True)]
    assert [i.meta for i in store.iterations()] == [{}, {}, {}, {}, {"ok": "😀"}, {}]


def test_nothing_is_written_if_any_file_is_unusable(store: Store, tmp_path: Path) -> None:
    good = jsonl(tmp_path / "a.jsonl", rows())
    (tmp_path / "b.jsonl").write_text("no")
    with pytest.raises(InputError, match="one JSON object a line"):
        import_files([good, tmp_path / "b.jsonl"], store)
    with pytest.raises(SourceError, match="does not exist"):
        import_files([good, tmp_path / "c.jsonl"], store)
    with pytest.raises(InputError, match="at least one file"):
        import_files([], store)
    assert store.experiment() is None


def test_progress_reaches_the_total_and_batches_keep_sessions_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trimtab.ingest.writer._BATCH", 4)
    store = MemoryStore()
    path = jsonl(tmp_path / "a.jsonl", [r for name in "abcde" for r in rows(name)])
    seen: list[tuple[int, int]] = []
    report = import_files(path, store, progress=lambda done, total: seen.append((done, total)))
    assert (report.sessions, report.iterations) == (5, 15)
    assert seen[-1] == (15, 15)
    assert len(seen) >= 4
    assert_same(store.trajectories(), tt.load(path))


def test_mapped_columns_and_table_without_texts(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("run,arm,t,metric,score\nr,EF,0,q,1\nr,EF,0,p,2\nr,EF,1,q,3\nr,EF,1,p,4\n")
    columns = Columns(session="run", strategy="arm", iteration="t", objective="metric", value="score")
    report = import_files(path, store, columns=columns)
    assert (report.sessions, report.iterations) == (1, 2)
    assert_same(store.trajectories(), tt.load(path, columns=columns))
    assert [i.artefact for i in store.iterations()] == [None, None]


def test_failed_scores_stay_failed(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("session_id,iteration,q,q_status\na,0,1,ok\na,1,,failed\na,2,,unscored\na,3,4,ok\n")
    import_files(path, store)
    assert_same(store.trajectories(), tt.load(path))


def test_load_reads_a_store_by_url(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    opened = open_store(url, create=True)
    import_files(jsonl(tmp_path / "a.jsonl", rows()), opened)
    opened.close()
    assert_same(tt.load(url), tt.load(tmp_path / "a.jsonl"))
    assert str(tt.load(url, objectives=["q:0:5:min"]).space["q"]) == "q:0:5:min"
    with pytest.raises(SourceError):
        tt.load(f"sqlite:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()


def test_sparse_objectives_are_stored_and_left_out_only_at_load(tmp_path: Path) -> None:
    content = rows("a") + rows("b")
    content[2]["scores"]["final"] = 3.0
    url = f"sqlite:///{tmp_path / 'a.db'}"
    import_files(jsonl(tmp_path / "a.jsonl", content), url)
    found, loaded = tt.load(url), tt.load(tmp_path / "a.jsonl")
    assert_same(found, loaded)
    assert [e.examples for e in found.exclusions] == [("final",)]
    assert "--objective" in found.exclusions[0].reason
    both = tt.load(url, objectives=["q", "final"])
    assert_same(both, tt.load(tmp_path / "a.jsonl", objectives=["q", "final"]))
    assert both.scores[2].tolist() == [1.0, 3.0]


def test_files_without_a_common_objective_leave_a_store_that_can_be_analysed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    many = [r for name in "abcd" for r in rows(name)]
    foreign = [row("z", t, scores={"p": t}) for t in range(3)]
    import_files([jsonl(tmp_path / "a.jsonl", many), jsonl(tmp_path / "b.jsonl", foreign)], url)
    found = tt.load(url)
    assert found.space.names == ("q",)
    assert len(found.steps()) == 8
    assert [(e.examples, "fewer than half" in e.reason) for e in found.exclusions] == [(("p",), True)]
    assert tt.load(url, objectives=["p"]).scores[-3:].ravel().tolist() == [0, 1, 2]


def test_a_known_file_adds_no_objective(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("session_id,iteration,q,p\na,0,1,2\na,1,2,3\n")
    import_files(path, store, objectives=["q"])
    before = store.experiment()
    report = import_files(path, store, objectives=["p"])
    assert report.sessions == 0
    assert store.experiment() == before
    assert not any("Added to" in note for note in report.notes)


def test_a_label_of_a_wide_table_becomes_no_objective_of_the_store(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("session_id,iteration,q,size\na,0,1,7\na,1,2,7\nb,0,3,8\nb,1,2,8\n")
    import_files(path, store)
    assert_same(store.trajectories(), tt.load(path))


def test_a_store_filled_by_a_run_is_refused(store: Store, tmp_path: Path) -> None:
    store.set_experiment(Experiment("run", tt.ObjectiveSpace(["q"]), {"fingerprints": {}}))
    with pytest.raises(StoreError, match=r"filled by a run.*another store"):
        import_files(jsonl(tmp_path / "a.jsonl", rows()), store)
    assert store.sessions() == []


def test_objectives_without_bounds_take_the_scale_of_the_values_or_of_the_scorer(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", rows())
    url = f"sqlite:///{tmp_path / 'a.db'}"
    report = import_files(path, url, objectives=["q:min"])
    assert any("Scales were inferred: q:0:1:min" in note for note in report.notes)
    assert [str(tt.load(url, objectives=[o]).space["q"]) for o in ("q", "q:max", "q:0:4:max")] == [
        "q:0:1:min",
        "q:0:1:max",
        "q:0:4:max",
    ]
    scored = MemoryStore()
    import_files(path, scored, scorer=Length(), objectives=["length:min"])
    assert str(scored.trajectories().space["length"]) == "length:0:100:min"


def test_a_store_is_made_only_once_every_file_was_read(tmp_path: Path) -> None:
    good = jsonl(tmp_path / "a.jsonl", rows())
    (tmp_path / "b.jsonl").write_text("no")
    with pytest.raises(InputError, match="one JSON object a line"):
        import_files([good, tmp_path / "b.jsonl"], f"sqlite:///{tmp_path / 'a.db'}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "b.jsonl"]
    import_files(good, f"sqlite:///{tmp_path / 'a.db'}")
    assert tt.load(f"sqlite:///{tmp_path / 'a.db'}").n_rows == 3


def test_a_store_remembers_what_its_imports_left_out_and_assumed(tmp_path: Path) -> None:
    def lines(session: str) -> list[dict[str, Any]]:
        return [*rows(session), row(session, 3, scores={"q": "word"}), row("", 4, scores={"q": 1})]

    url = f"sqlite:///{tmp_path / 'a.db'}"
    first, second = jsonl(tmp_path / "a.jsonl", lines("a")), jsonl(tmp_path / "b.jsonl", lines("b"))
    import_files(first, url)
    loaded, found = tt.load(first), tt.load(url)
    assert found.exclusions == loaded.exclusions
    assert set(loaded.notes) <= set(found.notes)
    import_files(first, url)
    assert tt.load(url).exclusions == loaded.exclusions
    import_files(second, url)
    assert [(e.reason, e.count) for e in tt.load(url).exclusions] == [(e.reason, 2) for e in loaded.exclusions]
    assert tt.load(url, objectives=["q"]).exclusions == tt.load(url).exclusions
    scored = f"sqlite:///{tmp_path / 's.db'}"
    import_files(first, scored, scorer=Length())
    assert any("scored by 'length'" in note for note in tt.load(scored).notes)
