"""One iteration: what is asked, and what becomes of the answer. No input or output beyond the arguments.

An answer is hostile until shown otherwise: it is bounded before anything reads it, read without being executed, and
whatever a reader or scorer makes of it ends as a record, never as an exception.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration, Score
from trimtab.core.streams import stream_seed
from trimtab.providers.base import Completion, Message, Request
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.extraction import extract, may_be_cut
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.sessions.prompts import build_messages
from trimtab.sessions.task import Task

__all__ = ["MAX_ANSWER_BYTES", "answered", "failed", "request_for", "start"]

MAX_ANSWER_BYTES = 256 * 1024
"""How much of an answer is kept, in UTF-8. A longer answer counts as failed."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_LONGEST_REASON = 500


def request_for(plan: Plan, session: PlannedSession, current: str, t: int, before: tuple[Message, ...] = ()) -> Request:
    """Return the request for iteration `t` of `session`, given the artefact in force and former exchanges to show."""
    system, asked = build_messages(session.strategy, session.task, current, t)
    return Request(
        messages=(system, *before, asked),
        model=plan.model,
        temperature=plan.temperature,
        max_tokens=plan.max_tokens,
        seed=stream_seed(plan.seed, session.strategy.name, session.task.id, session.replicate, t),
    )


def start(session: PlannedSession, scorers: Sequence[Scorer], space: ObjectiveSpace) -> Iteration:
    """Return iteration 0: the task's own artefact, scored."""
    artefact = session.task.artefact
    scores = _scores(artefact, session.task, scorers, space)
    return Iteration(session.id, 0, session.strategy.name, artefact, scores, extraction="start")


def answered(
    session: PlannedSession,
    t: int,
    current: str,
    completion: Completion,
    scorers: Sequence[Scorer],
    space: ObjectiveSpace,
) -> Iteration:
    """Return iteration `t` for an answer: its program if one can be found in it, otherwise the one in force."""
    answer, meta = _bounded(completion.text)
    meta |= _details(completion)
    if "answer_bytes" in meta:
        reason = f"the answer has {meta['answer_bytes']:,} bytes, more than {MAX_ANSWER_BYTES:,}; its beginning is kept"
        return failed(session, t, current, reason, space, answer=answer, meta=meta)
    try:
        extraction = extract(answer)
        cut = completion.finish_reason == "length" and may_be_cut(answer, extraction)
    except Exception as error:  # a reader of hostile text that gives up in a way nobody foresaw
        return failed(session, t, current, f"the answer could not be read: {_said(error)}", space, answer, meta)
    if extraction.ok and cut:
        reason = "the answer was cut off at the longest answer allowed, so its program may lack its end"
        return failed(session, t, current, reason, space, answer, meta, extraction=extraction.method)
    if extraction.ok and extraction.code is not None:
        code = extraction.code
        if code == current:
            meta["unchanged"] = True
        return Iteration(
            session_id=session.id,
            index=t,
            strategy=session.strategy.name,
            artefact=code,
            scores=_scores(code, session.task, scorers, space),
            answer=answer,
            extraction=extraction.method,
            meta=meta,
        )
    reason = extraction.reason
    if completion.finish_reason == "length":
        reason += " (it was cut off at the longest answer allowed)"
    # A broken program is scored as the scorers see it. Where they find nothing wrong with it, their values would pass
    # for those of the artefact in force, so they count only if at least one objective failed.
    scores = _scores(extraction.code, session.task, scorers, space) if extraction.code else None
    if scores is not None and all(score.status == "ok" for score in scores):
        scores = None
    return failed(session, t, current, reason, space, answer, meta, scores, extraction.method)


def failed(
    session: PlannedSession,
    t: int,
    current: str,
    reason: str,
    space: ObjectiveSpace,
    answer: str | None = None,
    meta: dict[str, Any] | None = None,
    scores: tuple[Score, ...] | None = None,
    extraction: str = "",
) -> Iteration:
    """Return iteration `t` for an answer that never came or cannot be used: the artefact in force stays."""
    reason = _clean(reason)[:_LONGEST_REASON] or "no usable answer"
    if scores is None:
        scores = tuple(Score(name, None, "failed", reason) for name in space.names)
    return Iteration(
        session_id=session.id,
        index=t,
        strategy=session.strategy.name,
        artefact=current,
        scores=scores,
        status="failed",
        reason=reason,
        answer=answer,
        extraction=extraction,
        meta=meta or {},
    )


def _clean(text: str) -> str:
    return _SURROGATES.sub("\ufffd", text)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_REASON]


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
    }
    return {name: _clean(v) if isinstance(v, str) else v for name, v in details.items() if v not in (None, "")}


def _scores(text: str, task: Task, scorers: Sequence[Scorer], space: ObjectiveSpace) -> tuple[Score, ...]:
    """Return one score per objective of `space`, whatever the scorers do."""
    context = ScoringContext(task.id, task.prompt, task.artefact)
    found: dict[str, Score] = {}
    for scorer in scorers:
        try:
            given = {score.objective: score for score in scorer.score(text, context)}
        except Exception as error:  # a plugin may raise anything, and a run must not end by it
            reason = f"the scorer {scorer.name} failed with {_clean(_said(error))}"
            given = {o.name: Score(o.name, None, "failed", reason) for o in scorer.objectives}
        for objective in scorer.objectives:
            silent = Score(objective.name, None, "unscored", f"the scorer {scorer.name} gave no score")
            found[objective.name] = given.get(objective.name, silent)
    return tuple(found[name] for name in space.names)
