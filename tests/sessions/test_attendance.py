"""Webhooks in runs: what is told, that a resume tells what is untold, and asks and tells nothing else twice."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.watched import Hook, Paced, human, plan_for, program, run, store_for, task
from trimtab.core.records import Iteration, Score
from trimtab.errors import StoreError
from trimtab.sessions.attendance import Attendance, question_about
from trimtab.sessions.desk import Question
from trimtab.sessions.schemas import json_schema
from trimtab.sessions.webhook import payload_of
from trimtab.store.base import Store
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store


class Dying(MemoryStore):
    """A store whose process dies after so many writes."""

    left = 10**6

    def _dies(self, writes: int = 1) -> None:
        if self.left < writes:
            raise StoreError("killed")
        self.left -= writes

    def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
        self._dies(len(iterations))
        super().extend(iterations, owner)

    def amend(self, *given: Any) -> None:
        self._dies()
        super().amend(*given)


def alive_for(left: Iterator[int], write: Callable[..., Any], *given: Any) -> Any:
    """Write, as long as the process lives."""
    if next(left, None) is None:
        raise StoreError("killed")
    return write(*given)


TRIGGERS = ("quality<3:webhook", "quality falls 40%:ask", "cost>9.5:pause", "rate>0.5:warn")


VALUES = (6.0, 2.5, 2.0, 5.0, 0.2, 4.0)


@pytest.mark.parametrize("policy", ["", "schedule:schedule=EF", "thompson"])
def test_a_run_broken_off_anywhere_tells_and_asks_as_if_it_had_not_been(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_for([task(5.0)], 6, *TRIGGERS, policy=policy)

    def go(store: Store, hook: Hook, seen: list[Question]) -> None:
        run(plan, store, Paced(plan, *VALUES), Attendance(human(*["continue"] * 9, seen=seen), hook, resume=True))

    whole, hook, seen = store_for(plan), Hook(), []
    go(whole, hook, seen)
    expected = contents(whole)
    assert [one["iteration"] for one in hook.told] == [2, 3, 5]
    assert [question.iteration for question in seen][:1] == [2]
    for writes in (0, 1, 2, 3, 4, 5, 7, 9, 12):
        broken, again, asked = store_for(plan, Dying()), Hook(), []
        broken.left = writes
        with contextlib.suppress(StoreError):
            go(broken, again, asked)
        broken.left = 10**6
        go(broken, again, asked)
        assert contents(broken) == expected
        # What was under way when the process died may be told or asked once more; nothing is left out.
        assert {one["id"] for one in again.told} == {one["id"] for one in hook.told}
        assert len(again.told) <= len(hook.told) + 1
        assert {one.id for one in asked} == {one.id for one in seen}
        assert len(asked) <= len(seen) + 1
    for writes in (6, 100):
        url = f"sqlite:///{tmp_path}/{writes}.db"
        store = store_for(plan, open_store(url, create=True))
        with monkeypatch.context() as patch, contextlib.suppress(StoreError):
            left = iter(range(writes))
            for name in ("extend", "amend"):
                patch.setattr(store, name, partial(alive_for, left, getattr(store, name)))
            go(store, Hook(), [])
        store.close()
        store = open_store(url)
        go(store, Hook(), [])
        assert contents(store) == expected
        store.close()


def test_a_webhook_that_fails_is_recorded_and_said_and_the_run_goes_on() -> None:
    plan, said = plan_for([task(5.0)], 3, "quality<3:webhook"), []
    store, hook = store_for(plan), Hook(lambda told: told["iteration"] == 1)
    outcome = run(plan, store, Paced(plan, 1.0, 1.0, 5.0), Attendance(webhook=hook, say=said.append))
    assert outcome.ended == "complete"
    told = [one.meta.get("webhook", {}).get("quality<3:webhook", {}) for one in store.iterations()]
    assert [one.get("delivered") for one in told] == [None, False, True, None]
    assert said[1] == (
        "the webhook was not told of quality<3:webhook in session EF/task/0, iteration 1: the server answered with "
        "status 500"
    )
    run(plan, store, Paced(plan), Attendance(webhook=hook))
    assert len(hook.told) == 2


def test_a_session_that_ended_untold_is_told_of_by_the_next_run() -> None:
    plan = plan_for([task(5.0)], 3, "quality<3:webhook", "quality<3:stop")
    store, hook = store_for(plan, Dying()), Hook()
    store.left = 2
    with pytest.raises(StoreError):
        run(plan, store, Paced(plan, 1.0), Attendance(webhook=hook))
    store.left = 10
    outcome = run(plan, store, Paced(plan), Attendance(webhook=hook))
    assert (outcome.ended, outcome.progress.sessions_done, len(hook.told)) == ("complete", 1, 2)
    assert hook.told[0] == hook.told[1]


def test_what_is_told_late_does_not_count_as_planned() -> None:
    long, short = (plan_for([task(5.0)], n, "quality<2:webhook") for n in (4, 2))
    store, hook = store_for(long), Hook()
    run(long, store, Paced(long, 5.0, 5.0, 5.0, 1.0))
    progress = run(short, store, Paced(short), Attendance(webhook=hook)).progress
    assert len(hook.told) == 1
    assert (progress.iterations, progress.iterations_done, progress.iterations_beyond) == (2, 2, 2)


def test_what_a_webhook_is_told_fits_its_schema() -> None:
    plan = plan_for([task(5.0)], 2, "quality<3:webhook")
    hook = Hook()
    run(plan, store_for(plan), Paced(plan, 1.0, 5.0), Attendance(webhook=hook))
    (told,) = json.loads(json.dumps(hook.told))
    Draft202012Validator(json_schema("alarm")).validate(told)
    assert "artefact" not in told
    assert (told["trigger"], told["iteration"], told["scores"]) == (
        "quality<3:webhook",
        1,
        {"quality": 1.0, "cost": 9.0},
    )
    hook.artefact = True
    run(plan, store_for(plan), Paced(plan, 1.0, 5.0), Attendance(webhook=hook))
    assert hook.told[1]["artefact"] == program(1.0)
    Draft202012Validator(json_schema("alarm")).validate(hook.told[1])


def test_of_several_judgements_the_mean_is_told_and_shown_by_which_triggers_go() -> None:
    (session,) = plan_for([task(5.0)], 1).sessions
    scores = (
        Score("quality", None, "failed", "no answer"),
        Score("quality", 2.0, repeat=1),
        Score("quality", 3.0, repeat=2),
    )
    record = Iteration(session.id, 1, "EF", "x", scores)
    fired = {"trigger": "quality<3:webhook", "probability": 1.0, "says": "quality is past 3"}
    assert payload_of(session, record, fired)["scores"] == {"quality": 2.5}
    assert question_about(session, record, ["EF"]).scores == {"quality": 2.5}
