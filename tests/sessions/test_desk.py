"""Questions: who is asked whether a session goes on, what becomes of the answer, and what a resume asks again."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from support.providers import fenced
from support.watched import Paced, fired, human, plan_for, program, run, store_for, task
from trimtab.errors import InputError
from trimtab.providers.base import Completion, Request
from trimtab.sessions.attendance import Attendance
from trimtab.sessions.desk import Desk, Question
from trimtab.sessions.limits import Limits, Meter
from trimtab.sessions.replay import explain
from trimtab.sessions.schemas import json_schema
from trimtab.sessions.watch import standing, was_set_aside
from trimtab.store.contents import contents


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


@pytest.mark.parametrize(
    ("trigger", "by"), [("quality<2:pause", "trigger"), ("quality<2", "nobody"), ("quality<2", "tester")]
)
def test_what_is_set_aside_while_others_are_resumed_stays_so_for_this_run(trigger: str, by: str) -> None:
    plan = plan_for([task(5.0)], 6, trigger)
    store, values = store_for(plan), (5.0, 1.0, 5.0, 1.0, 5.0, 5.0)
    for reached in (2, 4):
        desk = human("pause") if by == "tester" else Desk()
        outcome = run(plan, store, Paced(plan, *values), Attendance(desk, resume=True))
        assert (outcome.ended, outcome.aside) == ("complete", (("quality is past 2", 1),))
        last = list(store.iterations())[-1]
        assert (last.index, last.meta["answers"][-1]["by"]) == (reached, by)
    assert run(plan, store, Paced(plan, *values), Attendance(resume=True)).progress.iterations_done == 6


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
        late, given_up = (asyncio.create_task(desk.ask(replace(question, id=name))) for name in ("late", "given up"))
        await asyncio.sleep(0)
        given_up.cancel()
        desk.close()
        for name in ("late", "given up"):
            with pytest.raises(InputError, match=f"no question '{name}' is open"):
                desk.answer(name, "stop", "tester")
        assert await late is None

    asyncio.run(scenario())


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
