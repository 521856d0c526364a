"""One iteration: what is asked, and what becomes of the answer. No input or output beyond the arguments.

An answer is hostile until shown otherwise: it is bounded before anything reads it, read without being executed, and
whatever a reader or scorer makes of it ends as a record, never as an exception. Only a judge's fatal ``ProviderError``
passes through.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration, Score
from trimtab.core.streams import stream_seed
from trimtab.providers.base import Completion, Message, Place, Request
from trimtab.scoring.base import AnyScorer
from trimtab.scoring.extraction import extract, may_be_cut
from trimtab.scoring.text_extraction import extract_text, text_may_be_cut
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.sessions.prompts import build_messages
from trimtab.sessions.scored import LONGEST_REASON, clean, said, scored

__all__ = ["MAX_ANSWER_BYTES", "answered", "failed", "request_for", "start"]

MAX_ANSWER_BYTES = 256 * 1024
"""How much of an answer is kept, in UTF-8. A longer answer counts as failed."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def request_for(plan: Plan, session: PlannedSession, current: str, t: int, before: tuple[Message, ...] = ()) -> Request:
    """Return the request for iteration `t` of `session`, given the artefact in force and former exchanges to show."""
    system, asked = build_messages(session.strategy, session.task, current, t)
    return Request(
        messages=(system, *before, asked),
        model=plan.model,
        temperature=plan.temperature,
        max_tokens=plan.max_tokens,
        stop=plan.stop,
        seed=stream_seed(plan.seed, session.strategy.name, session.task.id, session.replicate, t),
        place=Place(session.arm, session.task.id, session.replicate, t, session.strategy.name, plan.course is not None),
    )


async def start(plan: Plan, session: PlannedSession, scorers: Sequence[AnyScorer]) -> Iteration:
    """Return iteration 0: the task's own artefact, scored."""
    artefact = session.task.artefact
    scores, meta = await scored(plan, session, 0, artefact, scorers)
    return Iteration(session.id, 0, session.strategy.name, artefact, scores, extraction="start", meta=meta)


async def answered(
    plan: Plan,
    session: PlannedSession,
    t: int,
    current: str,
    completion: Completion,
    scorers: Sequence[AnyScorer],
) -> Iteration:
    """Return iteration `t` for an answer: its artefact if one can be found in it, otherwise the one in force."""
    space, kind = plan.space, session.task.kind
    answer, meta = _bounded(completion.text)
    meta |= _details(completion)
    if "answer_bytes" in meta:
        reason = f"the answer has {meta['answer_bytes']:,} bytes, more than {MAX_ANSWER_BYTES:,}; its beginning is kept"
        return failed(session, t, current, reason, space, answer=answer, meta=meta)
    python, broke_off = session.task.is_python, completion.finish_reason == "length"
    try:
        extraction = extract(answer) if python else extract_text(answer, session.task.language, current)
        cut = broke_off and (may_be_cut if python else text_may_be_cut)(answer, extraction)
    except Exception as error:  # a reader of hostile text that gives up in a way nobody foresaw
        return failed(session, t, current, f"the answer could not be read: {said(error)}", space, answer, meta)
    if extraction.ok and cut:
        reason = f"the answer was cut off at the longest answer allowed, so its {kind} may lack its end"
        return failed(session, t, current, reason, space, answer, meta, extraction=extraction.method)
    if extraction.ok and extraction.code is not None:
        artefact = extraction.code
        if artefact == current:
            meta["unchanged"] = True
        scores, notes = await scored(plan, session, t, artefact, scorers)
        return Iteration(
            session_id=session.id,
            index=t,
            strategy=session.strategy.name,
            artefact=artefact,
            scores=scores,
            answer=answer,
            extraction=extraction.method,
            meta=meta | notes,
        )
    reason = extraction.reason
    if broke_off:
        reason += " (it was cut off at the longest answer allowed)"
    return failed(session, t, current, reason, space, answer, meta, extraction=extraction.method)


def failed(
    session: PlannedSession,
    t: int,
    current: str,
    reason: str,
    space: ObjectiveSpace,
    answer: str | None = None,
    meta: dict[str, Any] | None = None,
    extraction: str = "",
) -> Iteration:
    """Return iteration `t` for an answer that never came or cannot be used: the artefact in force stays.

    It has no scores. Those of a broken program would be of a state from which no step goes on, and those of the
    artefact in force belong to the iteration that made it.
    """
    reason = clean(reason)[:LONGEST_REASON] or "no usable answer"
    return Iteration(
        session_id=session.id,
        index=t,
        strategy=session.strategy.name,
        artefact=current,
        scores=tuple(Score(name, None, "failed", reason) for name in space.names),
        status="failed",
        reason=reason,
        answer=answer,
        extraction=extraction,
        meta=meta or {},
    )


def _bounded(text: str) -> tuple[str, dict[str, Any]]:
    """Return at most `MAX_ANSWER_BYTES` of valid Unicode, and notes on what was changed."""
    meta: dict[str, Any] = {}
    # Cut roughly first, so that the rest of a giant answer is never copied.
    head = text[: MAX_ANSWER_BYTES + 1]
    clean, replaced = _SURROGATES.subn("\ufffd", head)
    if replaced:
        meta["replaced_characters"] = replaced
    data = clean.encode()
    if len(data) > MAX_ANSWER_BYTES:
        meta["answer_bytes"] = len(text.encode(errors="surrogatepass"))
        clean = data[:MAX_ANSWER_BYTES].decode(errors="ignore")
    return clean, meta


def _details(completion: Completion) -> dict[str, Any]:
    details = {
        "model": completion.model,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "cached_tokens": completion.cached_tokens,
        "wasted": dict(completion.wasted) or None,
        "attempts": completion.attempts if completion.attempts > 1 else None,
        "masked": completion.masked or None,
        "remembered": completion.remembered or None,
    }
    return {name: clean(v) if isinstance(v, str) else v for name, v in details.items() if v not in (None, "")}
