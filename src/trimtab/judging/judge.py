"""The scorer ``judge``: a language model that scores an artefact by rubrics, several times if wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from trimtab.core.judgements import MOST_JUDGEMENTS
from trimtab.core.records import Score
from trimtab.core.streams import stream, stream_seed
from trimtab.errors import InputError, ProviderError
from trimtab.judging.answer import read_judgement
from trimtab.judging.prompt import answer_schema, judge_messages, shuffled
from trimtab.judging.rubric import Rubric
from trimtab.providers.base import Completion, Provider, Request
from trimtab.scoring.base import Judgement, ScoringContext

__all__ = ["JUDGE", "USELESS", "Ask", "LLMJudge"]

JUDGE = "judge"
"""Name of the scorer."""

Ask = Callable[[Request, ScoringContext], Awaitable[Completion]]
"""Gives the answer to a request for a judgement of what the context names."""

USELESS = 20
"""Judgements in a row, from the first on, that may give no score before the judge is given up."""


class LLMJudge:
    """Asks a model for scores by rubrics, and keeps every judgement apart.

    Judgement r of an iteration is one request that depends on nothing but the artefact, the task's prompt and the
    iteration's seed: criteria and anchors stand in an order drawn for it, and it has a seed of its own. The form of the
    answer is asked for by a JSON schema and in words, because not every endpoint takes a schema. A judge whose first 20
    judgements give no score at all cannot judge, and ends the run before more is paid for.

    Parameters
    ----------
    rubrics
        One per objective.
    provider
        What the judge is asked through.
    model, temperature, max_tokens
        What each request says.
    repeats
        Judgements of each iteration, 1 to 64. They tell how noisy a score is.
    schema
        False where requests are to go without the schema.
    concurrency
        Judgements at work at the same time.
    timeout
        Seconds to wait for one judgement, where the provider itself does not bound them.
    owns
        True where closing the judge closes its provider.

    Raises
    ------
    InputError
        If there is no rubric, two are of one objective, or a number is out of range.
    """

    name = JUDGE

    def __init__(
        self,
        rubrics: Sequence[Rubric],
        provider: Provider,
        *,
        model: str = "",
        temperature: float | None = None,
        max_tokens: int | None = None,
        repeats: int = 1,
        schema: bool = True,
        concurrency: int = 16,
        timeout: float = 120.0,
        owns: bool = True,
    ) -> None:
        names = [rubric.objective.name for rubric in rubrics]
        if not names:
            raise InputError("a judge needs a rubric for at least one objective, but got none")
        if len(set(names)) < len(names):
            raise InputError(f"a judge takes one rubric per objective, but got {', '.join(names)}")
        if not 1 <= repeats <= MOST_JUDGEMENTS:
            raise InputError(f"a judge's repeats must lie in 1 to {MOST_JUDGEMENTS}, but got {repeats}")
        if concurrency < 1:
            raise InputError(f"a judge's concurrency must be 1 or more, but got {concurrency}")
        self.rubrics = tuple(rubrics)
        self.objectives = tuple(rubric.objective for rubric in rubrics)
        self.provider, self.model = provider, model
        self.temperature, self.max_tokens, self.repeats = temperature, max_tokens, repeats
        self.schema = schema
        self._proven = False
        self._useless = 0
        self._owns = owns
        self._ask: Ask = self._asked
        self._places = asyncio.Semaphore(concurrency)
        self._patience = None if getattr(provider, "bounds_attempts", False) else timeout

    async def judge(self, artefact: str, context: ScoringContext) -> Judgement:
        """Judge `artefact` as often as wanted; see `trimtab.scoring.base.Judge`."""
        made = await asyncio.gather(
            *(self._judgement(artefact, context, repeat) for repeat in range(self.repeats)), return_exceptions=True
        )
        scores: list[Score] = []
        usage: list[dict[str, Any]] = []
        for one in made:
            if isinstance(one, BaseException):
                raise one
            scores += one[0]
            usage += one[1]
        return Judgement(tuple(scores), tuple(usage))

    async def aclose(self) -> None:
        """Close the provider, where it is the judge's own."""
        if self._owns:
            await self.provider.aclose()

    def through(self, ask: Ask) -> LLMJudge:
        """Return the same judge, asked by way of `ask`, which may know answers that have been paid for."""
        other = copy(self)
        other._ask = ask
        return other

    async def _asked(self, request: Request, context: ScoringContext) -> Completion:
        return await self.provider.complete(request)

    def request(self, artefact: str, context: ScoringContext, repeat: int) -> Request:
        """Return what is asked for judgement `repeat` of an iteration."""
        rubrics = shuffled(self.rubrics, stream(context.seed, "judge", repeat))
        return Request(
            messages=judge_messages(rubrics, artefact, context),
            model=self.model,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            seed=stream_seed(context.seed, "judge", repeat),
            schema=answer_schema(rubrics) if self.schema else None,
        )

    def can_read(self, completion: Completion) -> bool:
        """Tell whether an answer gives any score."""
        return any(score.value is not None for score in read_judgement(completion.text, self.rubrics))

    def described(self) -> dict[str, Any]:
        """Return all that gives its judgements their meaning, as JSON values; where it is asked is not part of it."""
        return {
            "provider": self.provider.name,
            "model": self.model,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "repeats": self.repeats,
            "schema": self.schema,
            "rubrics": {rubric.objective.name: rubric.to_table() for rubric in self.rubrics},
        }

    async def _judgement(
        self, artefact: str, context: ScoringContext, repeat: int
    ) -> tuple[tuple[Score, ...], list[dict[str, Any]]]:
        request = self.request(artefact, context, repeat)
        try:
            async with self._places, asyncio.timeout(self._patience):
                completion = await self._ask(request, context)
        except TimeoutError:
            return self._weighed(self._failed(f" within {self._patience:g} s", repeat)), []
        except ProviderError as error:
            if error.fatal:
                raise ProviderError(f"the judge cannot go on: {error}", fatal=True) from None
            wasted = [{"model": self.model, **error.usage}] if error.usage else []
            return self._weighed(self._failed(f": {error}", repeat)), wasted
        scores = read_judgement(completion.text, self.rubrics, repeat)
        if completion.finish_reason == "length":
            scores = tuple(
                s if s.value is not None else replace(s, reason=f"{s.reason} (it was cut off at the longest allowed)")
                for s in scores
            )
        return self._weighed(scores), [_usage(completion)]

    def _weighed(self, scores: tuple[Score, ...]) -> tuple[Score, ...]:
        """Return scores, unless none of the first judgements has any."""
        self._proven = self._proven or any(score.value is not None for score in scores)
        self._useless += not self._proven
        if not self._proven and self._useless >= USELESS:
            raise ProviderError(
                f"the judge cannot judge: none of its first {self._useless} judgements gave a score, the last one "
                f"because {scores[0].reason}",
                fatal=True,
            )
        return scores

    def _failed(self, why: str, repeat: int) -> tuple[Score, ...]:
        return tuple(Score(o.name, None, "failed", f"no judgement{why}", repeat=repeat) for o in self.objectives)


def _usage(completion: Completion) -> dict[str, Any]:
    found = {
        "model": completion.model,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "cached_tokens": completion.cached_tokens,
        "wasted": dict(completion.wasted) or None,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}
