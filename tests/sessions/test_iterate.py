"""What becomes of an answer: its artefact, or a failed iteration that says why."""

from __future__ import annotations

import asyncio

import pytest

from support.providers import ScriptedProvider, TinyProvider, fenced
from support.runs import PROGRAM, STRATEGIES, TASKS, Faulty, one, plan_for, run, store_for
from trimtab.core.streams import stream_seed
from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, Request
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.iterate import MAX_ANSWER_BYTES


def test_iteration_zero_is_the_starting_artefact_scored() -> None:
    start, first = one(lambda _: fenced(PROGRAM))
    assert (start.index, start.status, start.answer, start.extraction) == (0, "ok", None, "start")
    assert start.artefact == TASKS[0].artefact
    assert [s.objective for s in start.scores] == ["security", "efficiency", "functionality"]
    assert all(s.status == "ok" for s in start.scores)
    assert (first.index, first.status, first.artefact, first.extraction) == (1, "ok", PROGRAM, "fence")
    assert first.answer == fenced(PROGRAM)
    assert first.meta["seconds"] >= 0


def test_requests_carry_seed_model_and_the_program_in_force() -> None:
    plan = plan_for(1, 3, STRATEGIES[:1], seed=7, temperature=0.5, max_tokens=99)
    provider = ScriptedProvider(lambda r: fenced(f"def g(x):\n    return {len(r.messages[-1].content)}\n"))
    store = store_for(plan)
    run(plan, store, provider)
    stored = list(store.iterations())
    assert [r.seed for r in provider.requests] == [stream_seed(7, "EF", "task0", 0, t) for t in (1, 2, 3)]
    for request, before in zip(provider.requests, stored, strict=False):
        assert before.artefact in request.messages[-1].content
        assert (request.model, request.temperature, request.max_tokens) == ("rewriter", 0.5, 99)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Let us talk.", ""),
        ("", "empty"),
        (fenced("def g(:\n"), ""),
        (fenced(PROGRAM.replace("x", "x\0")), "the program holds a NUL character"),
        (fenced("x = '" + "a" * 70_000 + "'\n\n\ndef g():\n    return x\n"), "64 KB"),
        ("x" * (MAX_ANSWER_BYTES + 1), f"the answer has {MAX_ANSWER_BYTES + 1:,} bytes"),
    ],
)
def test_an_unusable_answer_is_kept_and_the_session_goes_on_with_the_previous_program(answer: str, reason: str) -> None:
    start, first = one(lambda _: answer)
    assert first.status == "failed"
    assert reason in first.reason
    assert first.reason
    assert first.artefact == start.artefact
    assert first.answer == answer[:MAX_ANSWER_BYTES]
    assert len(first.scores) == 3
    assert any(s.status == "failed" and s.reason for s in first.scores)


def test_a_giant_answer_of_wide_characters_is_bounded_in_bytes() -> None:
    _, first = one(lambda _: "ψ" * 2_000_000)
    assert first.status == "failed"
    assert len(first.answer.encode()) <= MAX_ANSWER_BYTES
    assert first.meta["answer_bytes"] == 4_000_000


def test_lone_surrogates_and_nul_in_an_answer_do_no_harm() -> None:
    _, first = one(lambda _: "\ud800 and \x00 here\n" + fenced(PROGRAM))
    assert first.artefact == PROGRAM
    assert first.answer.startswith("\ufffd and \x00 here")
    assert first.meta["replaced_characters"] == 1


def test_code_that_says_nothing_new_is_marked_unchanged() -> None:
    start, first = one(lambda _: fenced(TASKS[0].artefact))
    assert first.status == "ok"
    assert first.meta["unchanged"] is True
    assert first.scores == start.scores


def test_prose_that_would_parse_gets_no_values() -> None:
    _, first = one(lambda _: "Done")
    assert first.status == "failed"
    assert {s.status for s in first.scores} == {"failed"}


def test_a_refusal_that_may_pass_is_a_failed_iteration() -> None:
    def refuse(_: Request) -> str:
        raise ProviderError("status 500: \ud800 oh")

    start, first = one(refuse)
    assert (first.status, first.answer, first.artefact) == ("failed", None, start.artefact)
    assert first.reason == "status 500: \ufffd oh"
    assert {(s.status, s.reason) for s in first.scores} == {("failed", "status 500: \ufffd oh")}


def test_an_answer_that_takes_too_long_is_a_failed_iteration() -> None:
    async def slow() -> str:
        await asyncio.sleep(3600)
        return ""

    _, first = one(lambda _: slow(), timeout=0.02)
    assert (first.status, first.reason) == ("failed", "no answer within 0.02 s")


def test_a_cut_answer_says_so() -> None:
    _, first = one(lambda _: Completion("```python\ndef g(x):\n    return (", finish_reason="length"))
    assert first.status == "failed"
    assert "cut off" in first.reason
    assert first.meta["finish_reason"] == "length"


OPEN = f"```python\n{PROGRAM}"


@pytest.mark.parametrize(
    "text",
    [
        OPEN,
        PROGRAM,
        f"Here it is:\n{PROGRAM}",
        f"{OPEN}\nNow it",
        f"For example:\n{fenced(PROGRAM)}Now all:\n{OPEN}x = (",
    ],
)
def test_a_cut_program_that_happens_to_parse_is_no_program(text: str) -> None:
    start, first = one(lambda _: Completion(text, finish_reason="length"))
    assert (first.status, first.artefact, first.answer) == ("failed", start.artefact, text)
    assert "cut off at the longest answer allowed" in first.reason
    assert {(s.status, s.value) for s in first.scores} == {("failed", None)}
    _, whole = one(lambda _: Completion(text, finish_reason="stop"))
    assert (whole.status, whole.artefact) == ("ok", PROGRAM)


def test_a_program_closed_before_the_cut_counts() -> None:
    _, first = one(lambda _: Completion(f"{fenced(PROGRAM)}\nThis is fast", finish_reason="length"))
    assert (first.status, first.artefact) == ("ok", PROGRAM)


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("raises", "failed", "the scorer faulty failed with RecursionError: too deep \ufffd"),
        ("silent", "unscored", "the scorer faulty gave no score"),
        ("chatty", "ok", ""),
    ],
)
def test_a_faulty_scorer_does_not_end_the_run(kind: str, status: str, reason: str) -> None:
    scorers = [get_scorer("python-static"), Faulty(kind)]
    plan = plan_for(1, 1, STRATEGIES[:1], scorers=scorers)
    store = store_for(plan)
    assert run(plan, store, TinyProvider(), scorers).ended == "complete"
    for record in store.iterations():
        assert [s.objective for s in record.scores] == ["security", "efficiency", "functionality", "calm"]
        assert (record.scores[-1].status, record.scores[-1].reason) == (status, reason)
