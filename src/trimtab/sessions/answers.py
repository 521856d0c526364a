"""Answers: what a provider said is kept in the store, so that a run that was broken off pays for no answer twice."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from trimtab.errors import ProviderError
from trimtab.judging.judge import LLMJudge
from trimtab.providers.base import Completion, Provider, Request
from trimtab.scoring.base import AnyScorer, ScoringContext
from trimtab.sessions.course import Step
from trimtab.sessions.history import newer_half
from trimtab.sessions.iterate import MAX_ANSWER_BYTES, request_for
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.sessions.sharing import Write
from trimtab.store.base import Store

__all__ = ["Answers", "answer_key"]

_NAMES = frozenset(field.name for field in fields(Completion)) - {"remembered"}


def answer_key(provider: str, options: object, request: Request, session: PlannedSession, t: int) -> str:
    """Return the key under which the answer to a request is kept, 64 hexadecimal digits.

    Everything that a request says is in it, and which task, replicate and iteration it is for: replicates that ask the
    same are to be given different answers, or the noise between them, which is what a fit estimates, would be gone.
    """
    told = [provider, options, asdict(request), session.task.id, session.replicate, t]
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Answers:
    """A provider whose answers are kept.

    Parameters
    ----------
    write
        Runs a function of the store where it holds up nobody.
    keep
        False where answers are neither kept nor looked for, as those of a provider that is ``free``.
    of_use
        Tells whether an answer is worth keeping. One that is not is asked for again until its iteration is stored.
    """

    def __init__(
        self,
        plan: Plan,
        provider: Provider,
        store: Store,
        write: Write,
        *,
        keep: bool = True,
        of_use: Callable[[Completion], bool] = lambda completion: True,
    ) -> None:
        self._plan = plan
        self._options = plan.settings.get("provider_options")
        self._provider, self._store, self._write = provider, store, write
        self._wanted, self._of_use = keep, of_use
        self._keep = keep and not getattr(provider, "free", False)
        self._looks = self._keep and store.remembers()
        self._new: dict[str, Mapping[str, Any]] = {}
        self._turn = asyncio.Lock()
        self._judges: list[Answers] = []

    def look(self) -> None:
        """Say that another process may have kept answers since."""
        self._looks = self._keep
        for judge in self._judges:
            judge.look()

    def keeping(self, scorers: Iterable[AnyScorer], plan: Plan) -> tuple[AnyScorer, ...]:
        """Return scorers whose judges have their answers kept as well, each for the iteration that it judges.

        An answer of a judge without any score is not: a judge that is mended meanwhile is to be asked again.
        """
        sessions = {session.id: session for session in plan.sessions}

        def kept(judge: LLMJudge) -> LLMJudge:
            answers = Answers(plan, judge.provider, self._store, self._write, keep=self._wanted, of_use=judge.can_read)
            self._judges.append(answers)

            async def ask(request: Request, context: ScoringContext) -> Completion:
                return await answers.complete(request, sessions[context.session_id], context.iteration)

            return judge.through(ask)

        return tuple(kept(scorer) if isinstance(scorer, LLMJudge) else scorer for scorer in scorers)

    async def next(self, step: Step) -> tuple[Completion, int]:
        """Return the answer to what a session asks next, and how many former exchanges were left out for it.

        Those are the older half of what history shows, again and again, as long as the endpoint says that the model's
        context does not hold them.
        """
        shown = step.before
        while True:
            request = request_for(self._plan, step.session, step.current, step.t, shown)
            try:
                return await self.complete(request, step.session, step.t), (len(step.before) - len(shown)) // 2
            except ProviderError as error:
                if not (error.too_long and shown):
                    raise
            shown = newer_half(shown)

    async def complete(self, request: Request, session: PlannedSession, t: int) -> Completion:
        """Return the answer that is kept, or ask the provider and keep what it says before anything is made of it."""
        if not self._keep:
            return await self._provider.complete(request)
        key = answer_key(self._provider.name, self._options, request, session, t)
        if self._looks and (kept := await self._write(self._store.cached, key)) is not None:
            known = Completion(**{name: value for name, value in kept.items() if name in _NAMES}, remembered=True)
            if self._of_use(known):  # a former version kept all
                return known
        completion = await self._provider.complete(request)
        if (
            self._of_use(completion)
            and len(completion.text[: MAX_ANSWER_BYTES + 1].encode(errors="replace")) <= MAX_ANSWER_BYTES
        ):
            body = asdict(completion)
            del body["remembered"]
            self._new[key] = body
            await self._write_new()
        return completion

    async def _write_new(self) -> None:
        """Write the answers that have come, all together that came while others were being written."""
        async with self._turn:
            if self._new:
                new, self._new = self._new, {}
                await self._write(self._store.remember, new)
