"""What every store must do, whatever it keeps its records in."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.records import SPACE, experiment, iteration, iterations, metas, score, session, texts
from support.stores import MakeStore
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration, Score, Session
from trimtab.core.trajectories import FAILED, OK, UNSCORED
from trimtab.errors import SourceError, StoreError
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents


@pytest.fixture
def made_before() -> list[Store]:
    return []


def test_a_new_store_is_empty(make_store: MakeStore) -> None:
    store = make_store()
    assert store.experiment() is None
    assert store.sessions() == []
    assert store.last_iterations() == {}
    assert list(store.iterations()) == []
    assert contents(store) == []
    with pytest.raises(SourceError, match="no iterations"):
        store.trajectories()


def test_the_experiment_is_given_back_and_replaced(make_store: MakeStore) -> None:
    store = make_store()
    first = Experiment("first", SPACE, {"seed": 1, "nested": {"a": [1, 2.5, None, "ü\x00"]}})
    store.set_experiment(first)
    assert store.experiment() == first
    assert store.experiment().space["latency"].high == math.inf
    second = Experiment("second", ObjectiveSpace(["speed:-inf:0"]), {})
    store.set_experiment(second)
    assert store.experiment() == second


def test_settings_must_be_json(make_store: MakeStore) -> None:
    store = make_store()
    for value in (float("nan"), object(), {1, 2}):
        with pytest.raises(StoreError, match="settings must be made of JSON values"):
            store.set_experiment(Experiment("x", SPACE, {"a": value}))
    assert store.experiment() is None


def test_adding_sessions_twice_adds_them_once(make_store: MakeStore) -> None:
    store = make_store()
    some = [session(f"s{i}", replicate=i, meta={"note": "é"}) for i in (3, 1, 2)]
    assert store.add_sessions(some) == 3
    assert store.add_sessions([session("s9"), *some, session("s9", strategy="other")]) == 1
    assert [s.id for s in store.sessions()] == ["s3", "s1", "s2", "s9"]
    assert store.sessions()[:3] == some
    assert store.sessions()[3].strategy == "EF"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_record_is_given_back_as_it_was(
    make_store: MakeStore, made_before: list[Store], data: st.DataObject
) -> None:
    # One store for all examples: each adds a session of its own, whose number keeps its name apart from the others.
    if not made_before:
        made_before.append(make_store())
        made_before[0].set_experiment(experiment())
    store, before = made_before[0], len(list(made_before[0].iterations()))
    name = f"{len(store.sessions())}{data.draw(texts)}"
    kept = Session(
        name, data.draw(texts), data.draw(texts), data.draw(st.integers(0, 2**63 - 1)), "m", data.draw(metas)
    )
    records = data.draw(iterations(name))
    assert store.add_sessions([kept]) == 1
    for record in records[:1]:
        store.append(record)
    store.extend(records[1:])
    assert store.sessions()[-1] == kept
    expected = sorted((canonical(record) for record in records), key=lambda record: record.index)
    assert list(store.iterations())[before:] == expected
    assert list(store.iterations(name)) == expected
    assert store.last_iterations([name]) == ({name: expected[-1]} if expected else {})
    assert store.last_iterations().get(name) == (expected[-1] if expected else None)
    assert store.heads().get(name) == (expected[-1].index if expected else None)


def canonical(record: Iteration) -> Iteration:
    from dataclasses import replace

    return replace(record, scores=tuple(sorted(record.scores, key=lambda s: (SPACE.index(s.objective), s.repeat))))


def test_huge_texts_and_nul_characters_are_kept(store: Store) -> None:
    text = "\x00" + "ψ" * 3_000_000 + "\x00end"
    store.append(iteration(artefact=text, answer=text[::-1]))
    (found,) = store.iterations()
    assert found.artefact == text
    assert found.answer == text[::-1]


@pytest.mark.parametrize("field", ["artefact", "answer", "reason", "extraction", "strategy"])
def test_lone_surrogates_are_refused(store: Store, field: str) -> None:
    with pytest.raises(StoreError, match="lone surrogate at character 2"):
        store.append(iteration(**{field: "ab\ud800"}))
    assert list(store.iterations()) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (iteration("nobody"), "session 'nobody' is not in the store"),
        (iteration(index=-1), "whole number from 0"),
        (iteration("EF/a/0", 2**63), "whole number from 0"),
        (iteration("EF/a/0", True), "whole number from 0"),
        (iteration("EF/a/0", 5, score("beauty", 1.0)), "'beauty', which is none of the experiment's objectives"),
        (iteration("EF/a/0", 5, score("security", 1.0), score("security", 2.0)), "scored twice as repeat 0"),
        (iteration("EF/a/0", 5, score("security", 1.0, repeat=-1)), "repeat of a score must be a whole number"),
        (iteration(index=5, status="fine"), "status must be 'ok' or 'failed'"),
        (iteration(index=5, meta={"a": float("inf")}), "must be made of JSON values"),
        (iteration(index=5, artefact=b"bytes"), "must be text, but is a bytes"),
        (iteration(index=5, reason=None), "must be text, but is None"),
        (iteration(index=1), "has an iteration 1 already"),
        (iteration(index=7), "has an iteration 7 already"),
    ],
)
def test_one_bad_iteration_leaves_nothing_of_its_batch(store: Store, bad: Iteration, said: str) -> None:
    store.append(iteration(index=1))
    before = contents(store)
    with pytest.raises(StoreError, match=said):
        store.extend([iteration(index=6), iteration(index=7), bad])
    assert contents(store) == before
    with pytest.raises(StoreError, match=said.replace("iteration 7", "iteration 1")):
        store.append(bad if bad.index != 7 else iteration(index=1))
    assert contents(store) == before


def test_iterations_need_an_experiment(make_store: MakeStore) -> None:
    store = make_store()
    store.add_sessions([session()])
    with pytest.raises(StoreError, match="knows no objectives yet"):
        store.append(iteration())


def test_iterations_come_by_session_then_index(store: Store) -> None:
    store.add_sessions([session("z"), session("b")])
    store.extend([iteration("b", 1), iteration("z", 2), iteration("EF/a/0", 10), iteration("z", 0), iteration("b", 0)])
    assert [(i.session_id, i.index) for i in store.iterations()] == [
        ("EF/a/0", 10),
        ("z", 0),
        ("z", 2),
        ("b", 0),
        ("b", 1),
    ]
    assert {name: i.index for name, i in store.last_iterations().items()} == {"EF/a/0": 10, "z": 2, "b": 1}
    assert list(store.iterations("nobody")) == []


def test_contents_do_not_depend_on_order_or_timing(make_store: MakeStore) -> None:
    one, other = make_store(), make_store()
    for store, order in ((one, 1), (other, -1)):
        store.set_experiment(experiment())
        store.add_sessions([session("a"), session("b")][::order])
        for index, name in [(0, "a"), (1, "a"), (0, "b")][::order]:
            store.append(iteration(name, index, meta={"tokens": 3, "seconds": float(order)}))
    assert contents(one) == contents(other)
    other.append(iteration("b", 1))
    assert contents(one) != contents(other)


def test_trajectories_hold_scores_status_and_order(store: Store) -> None:
    store.add_sessions([session("t", task_id="b", strategy="SF", model="m"), session("idle")])
    store.extend(
        [
            iteration("t", 3, score("latency", 4.0), strategy="SF"),
            iteration("t", 0, score("security", None, status="failed", reason="no"), score("efficiency", 2.0)),
            iteration("EF/a/0", 2**62, score("security", 1.5), score("security", 2.5, repeat=1)),
            iteration("EF/a/0", 0, score("security", None, status="failed"), score("security", 7.0, repeat=4)),
        ]
    )
    got = store.trajectories()
    nan = math.nan
    np.testing.assert_array_equal(got.scores, [[7, nan, nan], [2, nan, nan], [nan, 2, nan], [nan, nan, 4]])
    np.testing.assert_array_equal(
        got.status,
        [[OK, UNSCORED, UNSCORED], [OK, UNSCORED, UNSCORED], [FAILED, OK, UNSCORED], [UNSCORED, UNSCORED, OK]],
    )
    assert got.session_ids == ("EF/a/0", "t")
    assert got.offsets.tolist() == [0, 2, 4]
    assert got.iteration.tolist() == [0, 2**62, 0, 3]
    assert [got.strategies[code] for code in got.strategy] == ["EF", "EF", "EF", "SF"]
    assert got.covariates == {"task_id": ("a", "b"), "model": ("", "m")}
    assert [str(e) for e in got.exclusions] == ["1 session: not started, so without any iteration (for example idle)"]
    assert got.notes == ("Of 4 scores, 1 are the mean of two or more judgements, of 2 at most.",)
    assert got.judgements is not None
    # Repeats 0, 1 and 4 are the three places; a judgement that failed is an absent one.
    np.testing.assert_array_equal(got.judgements[:2, 0], [[nan, nan, 7], [1.5, 2.5, nan]])
    np.testing.assert_array_equal(got.n_judgements, [[1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert got.space == SPACE


def test_trajectories_of_chosen_objectives(store: Store) -> None:
    store.extend([iteration(index=0), iteration(index=1)])
    got = store.trajectories(["latency", "security"])
    assert got.space.names == ("latency", "security")
    assert got.scores.tolist() == [[2.0, 0.0], [3.0, 1.0]]
    with pytest.raises(SourceError, match="no objective is called 'beauty'; the store has security"):
        store.trajectories(["beauty"])


def test_iterations_without_any_score_are_unscored_rows(store: Store) -> None:
    store.append(Iteration("EF/a/0", 0, "EF", "x"))
    got = store.trajectories()
    assert got.status.tolist() == [[UNSCORED] * 3]


def test_what_comes_back_shares_nothing_with_what_went_in(store: Store) -> None:
    meta = {"list": [1]}
    store.append(iteration(meta=meta))
    meta["list"].append(2)
    (found,) = store.iterations()
    found.meta["list"].append(3)
    (again,) = store.iterations()
    assert again.meta == {"list": [1]}


def test_objectives_may_be_added_later(store: Store) -> None:
    store.append(iteration())
    store.set_experiment(Experiment("more", ObjectiveSpace([*SPACE, "clarity"]), {}))
    store.append(iteration("EF/a/0", 1, Score("clarity", 3)))
    assert store.trajectories(["clarity"]).status.ravel().tolist() == [UNSCORED, OK]


def test_judgements_are_kept_apart_and_only_the_ok_ones_count(store: Store) -> None:
    failed = {"status": "failed"}
    store.extend(
        [
            iteration("EF/a/0", 0, score("security", 1.0, 3), score("security", 4.0, 2**62)),
            iteration("EF/a/0", 1, score("security", None, 3, **failed), score("security", 6.0, 9)),
            iteration("EF/a/0", 2, score("security", None, 3, **failed), score("security", None, 9, "unscored")),
            iteration("EF/a/0", 3, score("security", None, 3, "unscored"), score("security", None, 9, "unscored")),
        ]
    )
    got = store.trajectories(["security"])
    nan = math.nan
    assert got.status.ravel().tolist() == [OK, OK, FAILED, UNSCORED]
    np.testing.assert_array_equal(got.scores.ravel(), [2.5, 6, nan, nan])
    assert got.judgements is not None
    np.testing.assert_array_equal(got.judgements[:2, 0], [[1, nan, 4], [nan, 6, nan]])
    assert store.trajectories(["latency"]).judgements is None


def test_any_number_of_judgements_is_bounded(store: Store) -> None:
    many = [score("security", float(k), k * 10**9) for k in range(1_000)]
    store.append(iteration("EF/a/0", 0, *many))
    got = store.trajectories()
    assert got.judgements is not None
    assert got.judgements[0, 0].tolist() == list(range(64))
    assert [(e.count, e.unit) for e in got.exclusions] == [(936, "judgements")]
    assert len(next(store.iterations()).scores) == 1_000


def test_meta_is_amended_key_by_key_and_read_alone(store: Store, make_store: MakeStore) -> None:
    began = time.time()
    store.add_sessions([session("other")])
    store.append(iteration(index=0, meta={"a": 1, "b": {"c": "ü\x00"}}))
    store.append(iteration(index=2))
    store.append(iteration("other", index=0, meta={"z": [1.5, None]}))
    before = list(store.iterations())
    store.amend("EF/a/0", 0, {"a": 2, "d": "new"})
    first, *others = store.iterations()
    assert first == replace(before[0], meta={"a": 2, "b": {"c": "ü\x00"}, "d": "new"})
    assert others == before[1:]
    assert list(store.metas()) == [record.meta for record in store.iterations()]
    outlined = [(one.session_id, one.index, one.strategy, one.status, one.reason, one.meta) for one in store.outlines()]
    assert outlined == [(r.session_id, r.index, r.strategy, r.status, r.reason, r.meta) for r in store.iterations()]
    assert all(began - 60 < one.recorded_at < time.time() + 60 for one in store.outlines())
    for name, index in (("EF/a/0", 1), ("nobody", 0)):
        with pytest.raises(StoreError, match=r"no iteration \d in the store|not in the store"):
            store.amend(name, index, {"a": 1})
    with pytest.raises(StoreError, match="must be made of JSON values"):
        store.amend("EF/a/0", 0, {"a": object()})
    assert next(iter(store.iterations())) == first
    assert list(make_store().metas()) == list(make_store().outlines()) == []
