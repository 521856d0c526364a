"""What requests show of their session: to the byte, after failures, restarts and interruptions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.providers import ScriptedProvider, fenced
from trimtab.core.records import RESTARTED
from trimtab.errors import ProviderError, StoreError
from trimtab.providers.base import Message, Request
from trimtab.providers.rewriter.answer import rewrite
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.config import RunConfig
from trimtab.sessions.plan import Plan, agreed_settings, make_plan
from trimtab.sessions.prompts import build_messages
from trimtab.sessions.runner import run_sessions
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

TASK = Task("task", "Do it.", "def f(x):\n    return x\n")
SCORERS = [get_scorer("python-static")]
EF, SF = load_strategies(["EF", "SF"])


def plan_for(history: str, iterations: int = 4, **fields: object) -> Plan:
    config = RunConfig(sessions=1, iterations=iterations, history=history, **fields)
    return make_plan(config, [TASK], [EF, SF] if config.policy else [EF], SCORERS)


def store_for(plan: Plan, store: Store | None = None) -> Store:
    store = store or MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store


def version(n: int) -> str:
    return f"def f(x):\n    return x + {n}\n"


def answers(request: Request) -> str:
    """Answer with a program that counts how many exchanges are shown, and fail whenever the seed says so."""
    shown = sum(message.role == "assistant" for message in request.messages)
    if request.seed % 4 == 0:
        raise ProviderError("busy")
    if request.seed % 4 == 1:
        return "I would rather talk about it."
    return fenced(version(1000 * shown + request.seed % 1000))


def scripted(*said: str | Exception) -> ScriptedProvider:
    left = list(said)

    def answer(_: Request) -> str:
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return ScriptedProvider(answer)


def run(plan: Plan, provider: ScriptedProvider, store: Store | None = None) -> Store:
    store = store or store_for(plan)
    asyncio.run(run_sessions(plan, store, provider, SCORERS))
    return store


def user(artefact: str, t: int) -> Message:
    return build_messages(EF, TASK, artefact, t)[1]


SYSTEM = build_messages(EF, TASK, "", 1)[0]
SAID = [f"First words.\n\n{fenced(version(n))}And last ones.\n" for n in range(1, 5)]
ARTEFACTS = [TASK.artefact, *map(version, range(1, 5))]


def exchange(t: int) -> tuple[Message, Message]:
    return user(ARTEFACTS[t - 1], t), Message("assistant", SAID[t - 1])


@pytest.mark.parametrize(
    ("history", "shown"),
    [("none", [[], [], [], []]), ("last", [[], [1], [2], [3]]), ("full", [[], [1], [1, 2], [1, 2, 3]])],
)
def test_requests_show_former_exchanges_as_they_were_sent(history: str, shown: list[list[int]]) -> None:
    provider = scripted(*SAID)
    run(plan_for(history), provider)
    assert [request.messages for request in provider.requests] == [
        (SYSTEM, *(message for one in before for message in exchange(one)), user(ARTEFACTS[t], t + 1))
        for t, before in enumerate(shown)
    ]


@pytest.mark.parametrize("history", ["last", "full"])
def test_answers_that_failed_are_not_shown_and_the_artefact_in_force_is(history: str) -> None:
    provider = scripted(SAID[0], ProviderError("busy"), "No program here.", SAID[3])
    run(plan_for(history), provider)
    after = [request.messages for request in provider.requests[1:]]
    assert after == [(SYSTEM, *exchange(1), user(version(1), t)) for t in (2, 3, 4)]


def test_exchanges_that_the_context_does_not_hold_are_left_out_and_counted() -> None:
    def answer(request: Request) -> str:
        shown = (len(request.messages) - 2) // 2
        if shown > 1:
            raise ProviderError("the request does not fit", too_long=True)
        return SAID[shown]

    provider = ScriptedProvider(answer)
    store = run(plan_for("full"), provider)
    assert [(len(request.messages) - 2) // 2 for request in provider.requests] == [0, 1, 2, 1, 3, 1]
    assert provider.requests[-1].messages[1] == user(version(2), 3)
    made = [*store.iterations("EF/task/0")]
    assert [record.meta.get("left_out_exchanges") for record in made] == [None, None, None, 1, 2]
    assert {record.status for record in made} == {"ok"}


def test_a_request_that_is_too_long_by_itself_fails_once() -> None:
    provider = scripted(*(ProviderError("the request does not fit", too_long=True) for _ in range(2)))
    store = run(plan_for("full", iterations=2), provider)
    assert [record.reason for record in store.iterations("EF/task/0")] == ["", *["the request does not fit"] * 2]


def test_the_oldest_exchanges_are_left_out_whole_and_the_rest_is_always_sent() -> None:
    sizes = [sum(len(message.content) for message in exchange(t)) for t in (1, 2, 3)]
    for limit, kept in (
        (sum(sizes), [1, 2, 3]),
        (sum(sizes) - 1, [2, 3]),
        (sizes[2], [3]),
        (sizes[2] - 1, []),
        (1, []),
    ):
        provider = scripted(*SAID)
        run(plan_for("full", history_limit=limit), provider)
        assert provider.requests[3].messages == (
            SYSTEM, *(message for t in kept for message in exchange(t)), user(ARTEFACTS[3], 4)
        )  # fmt: skip


class Dying(MemoryStore):
    left = 0

    def extend(self, iterations, owner: str = "") -> None:
        if self.left < len(iterations):
            raise StoreError("killed")
        self.left -= len(iterations)
        super().extend(iterations, owner)


@pytest.mark.parametrize("policy", ["", "thompson", "best_of_n"])
@pytest.mark.parametrize("history", ["last", "full"])
def test_a_run_that_was_broken_off_anywhere_sends_the_same(history: str, policy: str, tmp_path: Path) -> None:
    plan = plan_for(history, iterations=7, policy=policy, seed=3)
    whole = ScriptedProvider(answers)
    expected = contents(run(plan, whole))
    for writes in range(1, 7):
        broken = store_for(plan, Dying())
        broken.left = writes
        parts = ScriptedProvider(answers)
        with pytest.raises(StoreError, match="killed"):
            run(plan, parts, broken)
        broken.left = 100
        assert contents(run(plan, parts, broken)) == expected
        # Only a request without an answer is sent again. Another's answer had been kept, if not its iteration.
        sent = [request.messages for request in parts.requests]
        failed = list(broken.iterations())[writes].answer is None
        if failed:
            del sent[writes - 1]
        assert sent == [request.messages for request in whole.requests]
    store = store_for(plan, open_store(f"sqlite:///{tmp_path}/s.db", create=True))
    assert contents(run(plan, ScriptedProvider(answers), store)) == expected
    store.close()


def test_a_policy_that_starts_anew_shows_the_chain_of_its_base_only() -> None:
    provider = scripted(*SAID)
    store = run(plan_for("full", policy="best_of_n:strategy=EF"), provider)
    assert [record.meta.get(RESTARTED) for record in store.iterations()][2:] == [0, 0, 0]
    assert [request.messages for request in provider.requests] == [
        (SYSTEM, user(TASK.artefact, t)) for t in range(1, 5)
    ]


def test_steered_sessions_show_each_exchange_by_the_strategy_that_made_it() -> None:
    provider = scripted(*SAID)
    run(plan_for("full", policy="schedule:schedule=EFx1,SF"), provider)
    first, second, third = (request.messages for request in provider.requests[:3])
    system, asked = build_messages(SF, TASK, version(1), 2)
    assert second == (system, first[1], Message("assistant", SAID[0]), asked)
    assert third[1:5] == (*second[1:], Message("assistant", SAID[1]))


def test_the_rewriter_revises_the_program_of_the_last_request() -> None:
    provider = ScriptedProvider(lambda request: rewrite(request, failure_rate=0.0))
    store = run(plan_for("full"), provider)
    alone = ScriptedProvider(lambda request: rewrite(request, failure_rate=0.0))
    assert [one.artefact for one in run(plan_for("none"), alone).iterations()] == [
        one.artefact for one in store.iterations()
    ]
    assert len(provider.requests[-1].messages) == 8


def test_a_store_agrees_on_what_is_shown() -> None:
    none, last, full = (plan_for(history).settings for history in ("none", "last", "full"))
    with pytest.raises(StoreError, match="history \\('last' there, 'full' now\\)"):
        agreed_settings(last, full, "url")
    with pytest.raises(StoreError, match="history_limit \\(100000 there, 5 now\\)"):
        agreed_settings(full, plan_for("full", history_limit=5).settings, "url")
    before = {name: value for name, value in none.items() if not name.startswith("history")}
    assert agreed_settings(before, plan_for("none", history_limit=5).settings, "url")["history"] == "none"
    with pytest.raises(StoreError, match="history \\('none' there, 'full' now\\)"):
        agreed_settings(before, full, "url")
