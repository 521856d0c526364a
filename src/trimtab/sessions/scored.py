"""Scores of one artefact by all scorers of a run, whatever they do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trimtab.core.judgements import MOST_JUDGEMENTS
from trimtab.core.records import Evidence, Score
from trimtab.core.streams import stream_seed
from trimtab.errors import ProviderError
from trimtab.scoring.base import AnyScorer, Judge, Judgement, Scorer, ScoringContext
from trimtab.sessions.plan import Plan, PlannedSession

__all__ = ["LONGEST_REASON", "clean", "said", "scored"]

LONGEST_REASON = 500
"""Characters of a reason that are kept."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return `text` with what UTF-8 cannot store replaced."""
    return _SURROGATES.sub("\ufffd", text)


def said(error: Exception) -> str:
    """Return what an unforeseen error is and says, bounded."""
    return clean(f"{type(error).__name__}: {error}"[:LONGEST_REASON])


async def scored(
    plan: Plan, session: PlannedSession, t: int, text: str, scorers: Sequence[AnyScorer]
) -> tuple[tuple[Score, ...], dict[str, Any]]:
    """Return at least one score per objective of the plan, and for an iteration's meta what judges took (``judge``).

    Judges work side by side. A scorer or judge that fails, or gives nothing, leaves scores without a value and with the
    reason.

    Raises
    ------
    ProviderError
        If a judge can judge nothing more: ``fatal``.
    """
    task = session.task
    seed = stream_seed(plan.seed, "score", session.id, t)
    context = ScoringContext(task.id, task.prompt, task.artefact, task.language, session.id, t, seed)
    judges = {i: scorer for i, scorer in enumerate(scorers) if isinstance(scorer, Judge)}
    # What computes is asked at once, before another session's turn: what was parsed to find the text is at hand.
    given = {i: _computed(one, text, context) for i, one in enumerate(scorers) if not isinstance(one, Judge)}
    if judges:
        judged = await asyncio.gather(*(_judged(judge, text, context) for judge in judges.values()))
        given |= zip(judges, judged, strict=True)
    found: dict[str, tuple[Score, ...]] = {}
    for i, scorer in enumerate(scorers):
        found |= _by_objective(scorer, given[i].scores)
    usage = [dict(one) for i in range(len(scorers)) for one in given[i].usage]
    unasked = {name: (Score(name, None, "unscored", "no scorer was asked"),) for name in plan.space.names}
    return tuple(score for name in plan.space.names for score in (unasked | found)[name]), {
        "judge": usage
    } if usage else {}


async def _judged(judge: Judge, text: str, context: ScoringContext) -> Judgement:
    try:
        return _kept(await judge.judge(text, context))
    except Exception as error:  # a plugin may raise anything, and a run must not end by it
        return _excused(judge, error)


def _computed(scorer: Scorer, text: str, context: ScoringContext) -> Judgement:
    try:
        return _kept(Judgement(scorer.score(text, context)))
    except Exception as error:  # the same
        return _excused(scorer, error)


def _kept(judgement: Judgement) -> Judgement:
    return replace(judgement, scores=tuple(map(_storable, judgement.scores)))


def _excused(scorer: AnyScorer, error: Exception) -> Judgement:
    """Return scores that say why there are none; raise where the endpoint of a judge will judge nothing more."""
    reason = f"the scorer {scorer.name} failed with {said(error)}"
    if isinstance(error, ProviderError):
        if error.fatal:
            raise error
        reason = str(error)
    return Judgement(tuple(Score(o.name, None, "failed", clean(reason)) for o in scorer.objectives))


def _by_objective(scorer: AnyScorer, scores: Iterable[Score]) -> Mapping[str, tuple[Score, ...]]:
    """Return the scores of each objective of a scorer, each repeat once and in order."""
    found: dict[str, dict[int, Score]] = {objective.name: {} for objective in scorer.objectives}
    for score in scores:
        if score.objective in found and 0 <= score.repeat < MOST_JUDGEMENTS:
            found[score.objective][score.repeat] = score
    return {
        name: tuple(repeats[r] for r in sorted(repeats))
        or (Score(name, None, "unscored", f"the scorer {scorer.name} gave no score"),)
        for name, repeats in found.items()
    }


def _storable(score: Score) -> Score:
    texts = (score.reason, *(one.message for one in score.evidence))
    if not any(map(_SURROGATES.search, texts)):
        return score
    evidence = tuple(Evidence(e.rule, e.weight, e.line, clean(e.message)) for e in score.evidence)
    return replace(score, reason=clean(score.reason), evidence=evidence)
