"""Triggers in any run: what becomes of a session, who is told and asked, and that a resume repeats nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import trimtab as tt
from support.providers import fenced
from trimtab.core.objectives import Objective
from trimtab.core.records import Iteration, Score
from trimtab.core.streams import stream_seed
from trimtab.errors import InputError, StoreError
from trimtab.providers.base import Completion, Request
from trimtab.scoring.base import ScoringContext
from trimtab.sessions.attendance import Attendance
from trimtab.sessions.config import RunConfig
from trimtab.sessions.desk import Desk, Question
from trimtab.sessions.limits import Limits, Meter
from trimtab.sessions.plan import Plan, make_plan
from trimtab.sessions.progress import Outcome
from trimtab.sessions.replay import explain
from trimtab.sessions.runner import run_sessions
from trimtab.sessions.schemas import json_schema
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.task import Task
from trimtab.sessions.watch import remarks, standing, was_set_aside
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store


class Says:
    """Scores a program by the number that it returns."""

    name = "says"
    objectives = (Objective("quality"), Objective("cost", direction="min"))

    def score(self, text: str, context: ScoringContext) -> list[Score]:
        value = float(text.rpartition("return ")[2])
        return [Score("quality", value), Score("cost", 10 - value)]


SCORERS = [Says()]


def program(value: float) -> str:
    return f"def f():\n    return {value}\n"


def task(value: float, name: str = "task") -> Task:
    return Task(name, "Do it.", program(value))


def plan_for(tasks: Sequence[Task], iterations: int, *triggers: str, **fields: object) -> Plan:
    if any(text.endswith(":webhook") for text in triggers):
        fields["webhook"] = "http://127.0.0.1:9/hook"
    config = RunConfig(sessions=len(tasks), iterations=iterations, trigger=triggers, **fields)
    return make_plan(config, tasks, load_strategies(["EF", "SF"] if config.policy else ["EF"]), SCORERS)


class Paced:
    """Answers iteration t of any session with the t-th value, whatever was asked before."""

    name = "paced"

    def __init__(self, plan: Plan, *values: float) -> None:
        self.calls = 0
        self.values = {
            stream_seed(plan.seed, strategy.name, one.task.id, one.replicate, t + 1): value
            for one in plan.sessions
            for strategy in plan.strategies
            for t, value in enumerate(values)
        }

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        await asyncio.sleep(0)
        return Completion(fenced(program(self.values[request.seed])), "paced", "stop", 10, 5)

    async def aclose(self) -> None:
        pass


def store_for(plan: Plan, store: Store | None = None) -> Store:
    store = store or MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store


def run(plan: Plan, store: Store, provider: Any, attendance: Attendance | None = None, **options: object) -> Outcome:
    async def bounded() -> Outcome:
        async with asyncio.timeout(20):
            return await run_sessions(plan, store, provider, SCORERS, attendance=attendance, **options)

    return asyncio.run(bounded())


def human(*answers: str, seen: list[Question] | None = None) -> Desk:
    """Return a desk with a human who gives these answers in turn, then goes away."""
    left = list(answers)

    async def clerk(desk: Desk) -> None:
        while True:
            for question in desk.questions:
                if left:
                    action, _, strategy = left.pop(0).partition(" ")
                    if seen is not None:
                        seen.append(question)
                    desk.answer(question.id, action, "tester", strategy)
            await desk.changed()

    return Desk([clerk])


def fired(store: Store) -> list[tuple[int, list[str]]]:
    return [
        (record.index, [one["trigger"] for one in record.meta["watch"]["fired"]])
        for record in store.iterations()
        if "watch" in record.meta
    ]


def test_a_warning_is_recorded_and_said_and_changes_nothing_else() -> None:
    plan, said = plan_for([task(5.0)], 3, "quality<2:warn", "quality falls 30%:warn"), []
    store = store_for(plan)
    outcome = run(plan, store, Paced(plan, 1.5, 4.0, 1.0), Attendance(say=said.append))
    assert outcome.ended == "complete"
    assert fired(store) == [
        (1, ["quality<2:warn", "quality falls 30%:warn"]),
        (3, ["quality<2:warn", "quality falls 30%:warn"]),
    ]
    assert said[0] == "quality<2:warn in session EF/task/0, iteration 1: quality is past 2 with probability 100%"
    assert len(said) == 4
    assert outcome.fired == (("quality<2:warn", 2), ("quality falls 30%:warn", 2))
    bare = plan_for([task(5.0)], 3)
    other = store_for(bare)
    run(bare, other, Paced(bare, 1.5, 4.0, 1.0))
    assert [one.artefact for one in store.iterations()] == [one.artefact for one in other.iterations()]
    assert not any("watch" in one.meta for one in other.iterations())


def test_stop_ends_the_session_and_no_other() -> None:
    plan = plan_for([task(5.0, "a"), task(1.0, "b")], 3, "quality<2:stop")
    store = store_for(plan)
    outcome = run(plan, store, Paced(plan, 5.0, 1.0, 5.0))
    assert [(one.session_id, one.index) for one in store.iterations()] == [
        ("EF/a/0", 0), ("EF/a/0", 1), ("EF/a/0", 2), ("EF/b/0", 0)
    ]  # fmt: skip
    assert (outcome.ended, outcome.progress.iterations, outcome.aside) == ("complete", 2, ())
    again = Paced(plan)
    assert run(plan, store, again).ended == "complete"
    assert again.calls == 0


@pytest.mark.parametrize("action", ["pause", "ask"])
def test_a_session_is_set_aside_until_it_is_resumed(action: str) -> None:
    plan = plan_for([task(5.0)], 3, f"quality<2:{action}")
    store, values = store_for(plan), (1.0, 4.0, 4.0)
    outcome = run(plan, store, Paced(plan, *values))
    assert (outcome.ended, outcome.progress.new, outcome.aside) == ("complete", 1, (("quality is past 2", 1),))
    before = contents(store)
    assert run(plan, store, Paced(plan, *values)).aside == outcome.aside
    assert contents(store) == before
    resumed = run(plan, store, Paced(plan, *values), Attendance(resume=True))
    assert (resumed.progress.new, resumed.progress.iterations_done, resumed.aside) == (2, 3, ())
    answers = next(one for one in store.iterations() if one.index == 1).meta["answers"]
    by = "trigger" if action == "pause" else "nobody"
    assert [(one["action"], one["by"]) for one in answers] == [("pause", by), ("continue", "resumed")]
    # Once resumed it is no longer set aside, and the same condition does not set it aside again.
    assert run(plan, store, Paced(plan, *values)).progress.new == 0


def test_a_session_that_was_resumed_differs_in_nothing_but_the_answers() -> None:
    values = (1.0, 4.0, 4.0)
    plain, watched = plan_for([task(5.0)], 3), plan_for([task(5.0)], 3, "quality<2:pause")
    whole, store = store_for(plain), store_for(watched)
    run(plain, whole, Paced(plain, *values))
    run(watched, store, Paced(watched, *values))
    run(watched, store, Paced(watched, *values), Attendance(resume=True))
    rows = [[(one.index, one.artefact, one.answer, one.scores) for one in each.iterations()] for each in (whole, store)]
    assert rows[0] == rows[1]


def test_a_human_is_asked_once_and_the_answer_is_stored() -> None:
    plan, seen = plan_for([task(5.0)], 5, "quality<2"), []
    store = store_for(plan)
    outcome = run(
        plan, store, Paced(plan, 1.0, 1.5, 5.0, 1.0, 3.0), Attendance(human("continue", "continue", seen=seen))
    )
    assert (outcome.ended, outcome.progress.new) == ("complete", 5)
    # Iteration 2 fires again at once and was let pass before; after 3 it is over, so iteration 4 is asked about anew.
    assert [question.id for question in seen] == ["EF/task/0@1", "EF/task/0@4"]
    assert seen[0].says == ["quality is past 2 with probability 100%"]
    assert (seen[0].scores, seen[0].strategies) == ({"quality": 1.0, "cost": 9.0}, ["EF"])
    record = list(store.iterations())[1]
    (answer,) = record.meta["answers"]
    assert (answer["action"], answer["by"]) == ("continue", "tester")
    assert answer["answered_at"].endswith("+00:00")
    assert fired(store) == [(1, ["quality<2"]), (2, ["quality<2"]), (4, ["quality<2"])]


@pytest.mark.parametrize(("answer", "stands"), [("stop", "stop"), ("pause", "aside")])
def test_a_human_may_stop_or_pause_a_session(answer: str, stands: str) -> None:
    plan = plan_for([task(5.0)], 5, "quality<2")
    store = store_for(plan)
    run(plan, store, Paced(plan, 1.0), Attendance(human(answer)))
    assert [standing(one) for one in store.iterations()] == ["go", stands]


def test_other_sessions_go_on_while_one_waits_even_if_there_is_one_place() -> None:
    plan = plan_for([task(1.0, "waits"), *(task(5.0, f"t{i}") for i in range(4))], 2, "quality<2")
    store = store_for(plan)

    async def late(desk: Desk) -> None:
        while sum(one.index == 2 for one in store.last_iterations().values()) < 4:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.005)
        desk.answer("EF/waits/0@0", "continue", "tester")
        await asyncio.Event().wait()

    outcome = run(plan, store, Paced(plan, 5.0, 5.0), Attendance(Desk([late])), concurrency=1)
    assert (outcome.ended, outcome.progress.new) == ("complete", 10)


def test_a_place_is_never_taken_twice() -> None:
    under_way, most = 0, 0
    plan = plan_for([task(1.0, f"t{i}") for i in range(6)], 2, "quality<2")

    class Counting(Paced):
        async def complete(self, request: Request) -> Completion:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.003)
            made = await super().complete(request)
            under_way -= 1
            return made

    outcome = run(plan, store_for(plan), Counting(plan, 5.0, 5.0), Attendance(human(*["continue"] * 6)), concurrency=2)
    assert (outcome.progress.new, most) == (12, 2)


def test_a_question_that_nobody_answered_is_put_again_by_the_next_run() -> None:
    plan = plan_for([task(1.0)], 2, "quality<2")
    store, stop = store_for(plan), asyncio.Event()

    async def leaves(desk: Desk) -> None:
        while not desk.questions:
            await desk.changed()
        stop.set()
        await asyncio.Event().wait()

    outcome = run(plan, store, Paced(plan, 5.0, 5.0), Attendance(Desk([leaves])), stop=stop, grace=10.0)
    assert outcome.ended == "stopped"
    assert [standing(one) for one in store.iterations()] == ["open"]
    seen: list[Question] = []
    assert run(plan, store, Paced(plan, 5.0, 5.0), Attendance(human("continue", seen=seen))).ended == "complete"
    assert len(seen) == 1
    assert run(plan, store, Paced(plan), Attendance(human())).ended == "complete"


def test_a_deadline_does_not_wait_for_humans_and_leaves_the_question_open() -> None:
    plan = plan_for([task(1.0)], 2, "quality<2")
    store = store_for(plan)
    meter = Meter(limits=Limits(deadline=time.time() + 0.2))
    began = time.monotonic()
    outcome = run(plan, store, Paced(plan, 5.0, 5.0), Attendance(human()), meter=meter, grace=10.0)
    assert (outcome.ended, time.monotonic() - began < 5) == ("limit", True)
    assert [standing(one) for one in store.iterations()] == ["open"]


def test_without_a_fit_a_session_learns_its_rate_from_its_own_steps() -> None:
    settled, wild = (5.0, 5.1, 5.0, 4.9, 5.0, 5.1), (2.0, 8.0, 2.0, 8.0, 2.0, 8.0)
    found = []
    for values in (settled, wild):
        plan = plan_for([task(5.0)], 6, "rate>1.2:warn", objectives=("quality",))
        store = store_for(plan)
        run(plan, store, Paced(plan, *values))
        found.append([index for index, _ in fired(store)])
    assert found[0] == []
    assert found[1]
    assert min(found[1]) >= 2


def test_a_clerk_that_breaks_ends_the_run_with_its_error() -> None:
    plan = plan_for([task(1.0)], 2, "quality<2")

    async def broken(desk: Desk) -> None:
        await desk.changed()
        raise InputError("the port was taken away")

    with pytest.raises(InputError, match="taken away"):
        run(plan, store_for(plan), Paced(plan), Attendance(Desk([broken])))


def test_answers_that_are_none_are_refused() -> None:
    async def scenario() -> None:
        async def nobody(_: Desk) -> None: ...

        desk = Desk([nobody])
        question = Question("q", "s", "t", 1, "EF", ["why"], {}, ["EF", "SF"])
        asking = asyncio.create_task(desk.ask(question))
        await asyncio.sleep(0)
        for action, strategy, said in (
            ("fly", "", "continue, stop or pause, but got 'fly'"),
            ("continue", "XX", "EF or SF"),
            ("stop", "EF", "only an answer to continue names one"),
        ):
            with pytest.raises(InputError, match=said):
                desk.answer("q", action, "tester", strategy)
        with pytest.raises(InputError, match="no question 'other' is open"):
            desk.answer("other", "stop", "tester")
        desk.answer("q", "continue", "tester", "SF")
        with pytest.raises(InputError, match="no question 'q' is open"):
            desk.answer("q", "stop", "tester")
        assert (await asking).strategy == "SF"

    asyncio.run(scenario())


def test_of_several_triggers_the_first_that_calls_and_was_not_let_pass_counts() -> None:
    plan = plan_for([task(5.0)], 3, "quality<3:ask", "quality<2:stop", "cost>6:warn")
    store, seen = store_for(plan), []
    run(plan, store, Paced(plan, 2.5, 1.0), Attendance(human("continue", seen=seen)))
    assert fired(store) == [
        (1, ["quality<3", "cost>6:warn"]), (2, ["quality<3", "quality<2:stop", "cost>6:warn"])
    ]  # fmt: skip
    last = list(store.iterations())[-1]
    assert (last.index, last.meta["watch"]["call"]["trigger"], len(seen)) == (2, "quality<2:stop", 1)
    assert seen[0].says == ["quality is past 3 with probability 100%"]


def test_more_iterations_find_the_calls_of_the_last_one() -> None:
    values = (5.0, 1.0, 5.0)
    short, long = (plan_for([task(5.0)], n, "quality<2:stop") for n in (2, 3))
    whole, grown = store_for(long), store_for(short)
    run(long, whole, Paced(long, *values))
    assert run(short, grown, Paced(long, *values)).aside == ()
    grown.set_experiment(Experiment("test", long.space, long.settings))
    run(long, grown, Paced(long, *values))
    assert contents(grown) == contents(whole)


def test_a_fit_says_how_sure_it_is(fit: str) -> None:
    plain, fitted = (plan_for([task(3.0)], 1, "quality<4.5:warn", **more) for more in ({}, {"fit": fit}))
    stores = [store_for(plain), store_for(fitted)]
    for plan, store in zip((plain, fitted), stores, strict=True):
        run(plan, store, Paced(plan, 3.0))
    certain, unsure = (list(store.iterations())[1].meta["watch"]["fired"][0]["probability"] for store in stores)
    assert certain == 1.0
    assert 0.5 < unsure < 0.999


@pytest.fixture
def fit(tmp_path: Path) -> str:
    rng = np.random.default_rng(3)
    level = 5 + rng.normal(0, 1, (60, 1, 2))
    scores = [np.clip(5 + 0.5 * (one - 5) + rng.normal(0, 1.2, (8, 2)), 0, 10) for one in level]
    found = tt.fit(tt.Trajectories.from_arrays(scores, ["quality", "cost:0:10:min"], strategy="EF"))
    path = tmp_path / "fit.json"
    path.write_text(found.to_json())
    return str(path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trigger": ("quality>2",)}, "write quality<2"),
        ({"trigger": ("size<2",)}, "no objective is called 'size'"),
        ({"trigger": ("quality<2:fly",)}, "a trigger is written"),
        ({"trigger": ("quality<2",), "iterations": 1001}, "at most 1,000 iterations, but 1,001 are planned"),
        ({"trigger": ("quality<2",), "fit": "nowhere.json"}, "nowhere.json"),
        ({"fit": "fit.json"}, "only a policy or a trigger goes by one"),
        ({"trigger": ("quality<2:webhook",)}, "its address is missing: give --webhook URL"),
        ({"webhook": "http://x/y"}, "no trigger calls it"),
        ({"trigger": ("quality<2:webhook",), "webhook": "x/SECRET"}, "webhook should look like http"),
        ({"webhook_artefact": True}, "there is no webhook"),
        ({"answers": 0}, "nothing asks"),
    ],
)
def test_what_cannot_be_watched_is_said_before_anything_starts(fields: dict, said: str) -> None:
    with pytest.raises((InputError, ValueError)) as caught:
        make_plan(RunConfig(sessions=1, **{"iterations": 2, **fields}), [task(5.0)], load_strategies(["EF"]), SCORERS)
    assert said in str(caught.value)
    assert "SECRET" not in str(caught.value).split("[type=")[0]


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


class Hook:
    """Stands for a webhook."""

    artefact = False

    def __init__(self, fails: Callable[[dict], bool] = lambda _: False) -> None:
        self.told: list[dict] = []
        self.fails = fails

    async def deliver(self, payload: dict) -> dict:
        self.told.append(payload)
        await asyncio.sleep(0)
        if self.fails(payload):
            return {"delivered": False, "reason": "the server answered with status 500"}
        return {"delivered": True, "delivered_at": "2030-01-01T00:00:00+00:00"}


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
            for name in ("append", "amend"):
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


# Steered runs.


def test_a_human_overrules_a_steered_sessions_trigger_and_may_name_the_strategy() -> None:
    for answer, strategy in (("continue", "EF"), ("continue SF", "SF")):
        plan = plan_for([task(5.0)], 3, "quality<2", policy="schedule:schedule=EF")
        store, seen = store_for(plan), []
        run(plan, store, Paced(plan, 1.0, 1.0, 5.0), Attendance(human(answer, seen=seen)))
        records = list(store.iterations())
        assert [one.strategy for one in records[1:]] == ["EF", strategy, "EF"]
        assert (len(seen), seen[0].strategies) == (1, ["EF", "SF"])
        assert records[1].meta["decision"]["action"] == "ask"
        assert records[1].meta["answers"][0]["strategy"] == strategy
        assert records[2].meta["decision"]["action"] == "ask"
        assert records[2].meta["answers"] == [
            {"action": "continue", "strategy": "EF", "base": 2, "by": "earlier answer"}
        ]
        found = explain(store, records[0].session_id)
        assert found.agrees
        assert found.moments[1].remarks[0] == "quality<2: quality is past 2 with probability 100%"
        assert found.moments[1].remarks[1].startswith(f"answer: continue with {strategy} (tester, 2")
        Draft202012Validator(json_schema("explanation")).validate(json.loads(json.dumps(found.to_dict())))


def test_a_steered_session_stops_where_a_later_trigger_says_so_after_one_that_was_let_pass() -> None:
    plan = plan_for([task(5.0)], 4, "quality<3:ask", "quality<2:stop", policy="schedule:schedule=EF")
    store = store_for(plan)
    run(plan, store, Paced(plan, 2.5, 1.0), Attendance(human("continue")))
    assert [standing(one) for one in store.iterations()] == ["go", "go", "stop"]
    assert run(plan, store, Paced(plan), Attendance(human())).ended == "complete"


def test_those_opened_later_have_learned_from_a_session_as_it_was_when_it_was_set_aside() -> None:
    plan = plan_for(
        [task(5.0 + i / 10, f"t{i}") for i in range(4)], 4, "quality<2:pause", policy="thompson", round=2, seed=5
    )
    store = store_for(plan)
    outcome = run(plan, store, Drawn())
    names = [one.id for one in store.sessions()]
    aside = [name for name in names[:2] if was_set_aside(list(store.iterations(name))[-1])]
    assert outcome.ended == "complete"
    assert aside, "the scenario needs a session of the first round that is set aside"
    for _ in range(5):
        outcome = run(plan, store, Drawn(), Attendance(resume=True))
    assert outcome.aside == ()
    assert all(explain(store, name).agrees for name in names)


class Drawn:
    """Answers with a value drawn from the seed."""

    name = "drawn"

    async def complete(self, request: Request) -> Completion:
        return Completion(fenced(program(request.seed % 100 / 10)), "tiny", "stop", 1, 1)


@pytest.mark.parametrize(
    "meta",
    [{}, {"watch": 3}, {"watch": {"fired": "x"}}, {"watch": {"fired": [1]}}, {"answers": [None]}, {"answers": {}}],
)
def test_remarks_pass_by_whatever_else_an_imported_meta_holds(meta: dict) -> None:
    assert remarks(Iteration("s", 1, "EF", "x", meta=meta)) == []


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
