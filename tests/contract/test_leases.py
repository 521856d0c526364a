"""What every store must do for processes that share a run: leases, answers, and an experiment agreed on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.records import SPACE, experiment, iteration, session
from trimtab.errors import LeaseError, StoreError
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents
from trimtab.store.leases import new_owner
from trimtab.store.open import open_store


def test_one_owner_at_a_time_holds_a_session(store: Store) -> None:
    one, other = new_owner(), new_owner()
    names = ["b", "EF/a/0", "c"]
    store.add_sessions([session("b"), session("c")])
    assert store.claim(one, names[:2], 60) == names[:2]
    assert store.claim(other, names, 60) == ["c"]
    assert store.claim(one, names, 60) == names[:2]
    assert [(lease.session_id, lease.owner, lease.alive) for lease in store.leases()] == [
        ("EF/a/0", one, True),
        ("b", one, True),
        ("c", other, True),
    ]
    assert all(50 < lease.seconds <= 60 for lease in store.leases())
    assert store.leases()[0].process == os.getpid()
    store.release(one, ["b"])
    store.release(one, ["c"])
    assert store.claim(other, ["b", "EF/a/0"], 60) == ["b"]
    assert store.renew(one, 90) == {"EF/a/0"}
    assert store.leases()[0].seconds > 80
    store.release(other)
    assert [lease.session_id for lease in store.leases()] == ["EF/a/0"]
    with pytest.raises(StoreError, match="'nobody' is not in the store"):
        store.claim(one, ["nobody"], 60)


def test_many_iterations_ask_for_the_leases_of_all_their_sessions(store: Store) -> None:
    mine, other = new_owner(), new_owner()
    store.add_sessions([session("EF/a/1"), session("EF/a/2")])
    store.claim(mine, ["EF/a/0", "EF/a/2"], 60)
    store.claim(other, ["EF/a/1"], 60)
    before = contents(store)
    with pytest.raises(LeaseError, match="'EF/a/1' was taken over by another process"):
        store.extend([iteration(f"EF/a/{number}", index=0) for number in range(3)], mine)
    assert contents(store) == before
    store.extend([iteration(f"EF/a/{number}", index=t) for t in range(2) for number in (2, 0)], mine)
    assert store.heads() == {"EF/a/0": 1, "EF/a/2": 1}


def test_an_expired_lease_is_taken_over_and_its_owner_writes_no_more(store: Store) -> None:
    late, prompt = new_owner(), new_owner()
    store.claim(late, ["EF/a/0"], 0.01)
    store.append(iteration(index=0), owner=late)
    time.sleep(0.03)
    store.append(iteration(index=1), owner=late)  # expired, but nobody came for it
    assert [lease.alive for lease in store.leases()] == [False]
    assert store.claim(prompt, ["EF/a/0"], 60) == ["EF/a/0"]
    before = contents(store)
    with pytest.raises(LeaseError, match="'EF/a/0' was taken over by another process"):
        store.append(iteration(index=2), owner=late)
    assert contents(store) == before
    assert store.renew(late, 60) == set()
    with pytest.raises(LeaseError, match="'EF/a/0' was taken over by another process"):
        store.amend("EF/a/0", 1, {"a": 1}, late)
    assert contents(store) == before
    with pytest.raises(LeaseError, match="'EF/a/0' was taken over by another process"):
        store.extend([iteration(index=2), iteration(index=3)], late)
    assert contents(store) == before
    store.append(iteration(index=2), prompt)
    store.amend("EF/a/0", 1, {"a": 1}, prompt)
    store.release(prompt)
    with pytest.raises(LeaseError):
        store.append(iteration(index=3), prompt)


def test_one_alive_reports_on_what_is_stored(store: Store) -> None:
    parts, one, other = new_owner().split(":"), new_owner(), new_owner()
    dead = ":".join([*parts[:2], "1", *parts[3:]])
    assert store.claim_report(dead)
    assert store.claim_report(one)
    assert store.claim_report(one)
    assert not store.claim_report(other)
    store.append(iteration(index=0))
    assert store.claim_report(other)
    assert not store.claim_report(one)


def test_the_lease_of_a_process_that_died_here_is_free_at_once(store: Store) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    parts = new_owner().split(":")
    ended.wait()
    dead = ":".join([parts[0], str(ended.pid), *parts[2:]])
    elsewhere = ":".join([*parts[:3], "00000000", parts[4]])
    again = ":".join([parts[0], str(os.getpid()), "1", *parts[3:]])  # its number was given to another process since
    for owner, taken in ((dead, True), (again, True), (elsewhere, False), (new_owner(), False)):
        assert store.claim(owner, ["EF/a/0"], 600) == ["EF/a/0"]
        assert store.leases()[0].alive is not taken
        mine = new_owner()
        assert store.claim(mine, ["EF/a/0"], 600) == (["EF/a/0"] if taken else [])
        store.release(mine)
        store.release(owner)


def test_an_answer_is_remembered_once(store: Store) -> None:
    assert store.cached("k") is None
    store.remember({})
    assert not store.remembers()
    answer = {"text": "a \x00 \ud800 ü", "tokens": 3}
    store.remember({"k": answer})
    store.remember({"n": {"text": "new"}, "k": {"text": "another"}})
    assert store.remembers()
    assert (store.cached("k"), store.cached("n")) == (answer, {"text": "new"})
    with pytest.raises(StoreError, match="JSON values"):
        store.remember({"m": {}, "n": {"x": float("nan")}})
    assert store.cached("m") is None


def test_an_experiment_is_revised_as_a_whole_or_not_at_all(store: Store) -> None:
    def more(found: Experiment | None) -> Experiment:
        return Experiment("more", SPACE, {"seed": found.settings["seed"] + 1})

    assert store.revise(more) == store.experiment() == Experiment("more", SPACE, {"seed": 2})

    def refuse(_: Experiment | None) -> Experiment:
        raise StoreError("no")

    with pytest.raises(StoreError, match="no"):
        store.revise(refuse)
    assert store.experiment().settings == {"seed": 2}


def test_a_store_without_answers_can_be_started_over(store: Store) -> None:
    store.append(iteration(index=0))
    store.remember({"k": {"text": "kept"}})
    store.claim(new_owner(), ["EF/a/0"], 60)
    with pytest.raises(StoreError, match="another run is at work"):
        store.start_over()
    store.release(store.leases()[0].owner)
    store.start_over()
    assert contents(store) == []
    assert store.cached("k") == {"text": "kept"}
    store.set_experiment(experiment())
    store.add_sessions([session("new")])
    store.append(iteration("new", 1))
    with pytest.raises(StoreError, match="holds iterations already"):
        store.start_over()


@pytest.mark.parametrize(
    "step",
    [lambda store: store.add_sessions([session("b")]), lambda store: store.claim(new_owner(), ["EF/a/0"], 60)],
    ids=["adds sessions", "claims"],
)
def test_whoever_had_begun_before_the_store_was_started_over_is_refused(
    store: Store, step: Callable[[Store], Any]
) -> None:
    if store.url == "memory://":
        pytest.skip("nobody else can open a store in memory")
    other = open_store(store.url, create=True)
    try:
        other.start_over()
        other.set_experiment(experiment(seed=2))
        other.add_sessions([session()])
        with pytest.raises(StoreError, match="another run has begun in the store"):
            step(store)
        assert [one.id for one in other.sessions()] == ["EF/a/0"]
        assert other.leases() == []
        assert other.claim(new_owner(), ["EF/a/0"], 60) == ["EF/a/0"]
    finally:
        other.close()
