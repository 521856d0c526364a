"""Plain functions as scorers and providers, for runs from Python."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.errors import InputError
from trimtab.providers.base import Completion, Request
from trimtab.scoring.base import AnyScorer, Judgement, ScoringContext

__all__ = ["FunctionProvider", "ScoringFunction", "scorer_from"]

ScoringFunction = Callable[[str, ScoringContext], Any]
"""From artefact and context to a number, several judgements, a `Score` or None by objective; at once or awaited."""


def scorer_from(functions: Sequence[ScoringFunction], objectives: Sequence[Objective]) -> AnyScorer:
    """Return one scorer of several functions, whose results are put together; a judge if any has to be awaited.

    Raises
    ------
    InputError
        If there is no objective for them.
    """
    if not objectives:
        raise InputError(
            "a function that scores needs the objectives that it gives: objectives=['clarity', 'cost:0:5:min']"
        )
    waits = any(map(inspect.iscoroutinefunction, functions))
    return (_Judging if waits else _Scoring)(tuple(functions), tuple(objectives))


class _Functions:
    """What scoring at once and judging have in common."""

    def __init__(self, functions: tuple[ScoringFunction, ...], objectives: tuple[Objective, ...]) -> None:
        self.functions, self.objectives = functions, objectives
        self.name = "+".join(getattr(one, "__name__", type(one).__name__) for one in functions)

    def _scores(self, given: Sequence[Any]) -> tuple[Score, ...]:
        names = [objective.name for objective in self.objectives]
        found: list[Score] = []
        for function, values in zip(self.functions, given, strict=True):
            if not isinstance(values, Mapping):
                raise InputError(f"{_name(function)} should give a mapping from objectives, but gave {_kind(values)}")
            for name, value in values.items():
                if name not in names:
                    raise InputError(f"{_name(function)} gave {name!r:.80}, which is none of {', '.join(names)}")
                found += _read(name, value)
        return tuple(found)


class _Scoring(_Functions):
    def score(self, artefact: str, context: ScoringContext) -> tuple[Score, ...]:
        return self._scores([function(artefact, context) for function in self.functions])


class _Judging(_Functions):
    async def judge(self, artefact: str, context: ScoringContext) -> Judgement:
        given = [function(artefact, context) for function in self.functions]
        awaited = [await one if inspect.isawaitable(one) else one for one in given]
        return Judgement(self._scores(awaited))

    async def aclose(self) -> None:
        pass


def _name(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _kind(value: object) -> str:
    return f"{type(value).__name__} {value!r:.60}"


def _read(name: str, value: Any) -> Iterator[Score]:
    """Yield the scores of one objective: several of a list or tuple, each a judgement of its own."""
    if isinstance(value, Score):
        yield value
        return
    several = value if isinstance(value, list | tuple) else [value]
    for repeat, one in enumerate(several):
        if one is None:
            yield Score(name, None, "unscored", "the function gave None", repeat=repeat)
            continue
        try:
            number = math.nan if isinstance(one, str | bytes | bool) else float(one)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"the score of {name} should be a finite number or None, but is {_kind(one)}")
        yield Score(name, number, repeat=repeat)


class FunctionProvider:
    """Answers by a function of the messages, each a mapping with ``role`` and ``content``.

    A function that is not awaited runs in a thread, so that sessions wait for it side by side. An answer that is empty
    is a failed iteration; an exception ends the run.
    """

    def __init__(self, function: Callable[[list[dict[str, str]]], str | Awaitable[str]]) -> None:
        self._function = function
        self.name = _name(function)

    async def complete(self, request: Request) -> Completion:
        """Answer one request."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        if inspect.iscoroutinefunction(self._function):
            given: Any = await self._function(messages)
        else:
            given = await asyncio.to_thread(self._function, messages)
        if not isinstance(given, str):
            raise InputError(f"{self.name} should answer with text, but gave {_kind(given)}")
        return Completion(given)

    async def aclose(self) -> None:
        """Nothing is held open."""
