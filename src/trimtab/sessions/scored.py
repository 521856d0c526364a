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
from trimtab.scoring.base import AnyScorer, Judge, Judgement, ScoringContext
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
    given = await asyncio.gather(*(_judgement(scorer, text, context) for scorer in scorers))
    found: dict[str, tuple[Score, ...]] = {}
    for scorer, judgement in zip(scorers, given, strict=True):
        found |= _by_objective(scorer, judgement.scores)
    usage = [dict(one) for judgement in given for one in judgement.usage]
    unasked = {name: (Score(name, None, "unscored", "no scorer was asked"),) for name in plan.space.names}
    return tuple(score for name in plan.space.names for score in (unasked | found)[name]), {
        "judge": usage
    } if usage else {}


async def _judgement(scorer: AnyScorer, text: str, context: ScoringContext) -> Judgement:
    try:
        if isinstance(scorer, Judge):
            judgement = await scorer.judge(text, context)
        else:
            judgement = Judgement(scorer.score(text, context))
        return replace(judgement, scores=tuple(map(_storable, judgement.scores)))
    except ProviderError as error:
        if error.fatal:
            raise
        reason = str(error)
    except Exception as error:  # a plugin may raise anything, and a run must not end by it
        reason = f"the scorer {scorer.name} failed with {said(error)}"
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
