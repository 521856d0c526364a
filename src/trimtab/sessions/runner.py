"""The runner: many sessions at once, one iteration after the other within each, every iteration durable when it ends.

Sessions wait for their provider side by side; scores are computed on the event loop, and one writer thread commits
iterations, so that waiting for the disk holds up neither. A session goes on only after its iteration is committed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from trimtab.core.records import Iteration
from trimtab.errors import ProviderError
from trimtab.providers.base import Provider
from trimtab.scoring.base import Scorer
from trimtab.sessions.iterate import answered, failed, request_for, start
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.store.base import Store

__all__ = ["Outcome", "Progress", "run_sessions"]

_PLACE = re.compile(r" on line \d+.*")

GRACE = 5.0
"""Seconds that iterations under way may take to finish after a stop was asked for."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. Iterations do not count t = 0.

    Parameters
    ----------
    sessions, sessions_done
        Planned, and finished (in earlier runs too).
    iterations, iterations_done
        Planned, and stored (in earlier runs too).
    new, failures
        Iterations stored by this run, and how many of them failed.
    seconds
        Since this run started.
    sessions_beyond, iterations_beyond
        Stored in earlier runs without being planned in this one; whoever analyses the store analyses them as well.
    """

    sessions: int
    sessions_done: int
    iterations: int
    iterations_done: int
    new: int = 0
    failures: int = 0
    seconds: float = 0.0
    sessions_beyond: int = 0
    iterations_beyond: int = 0

    @property
    def rate(self) -> float:
        """Iterations per second of this run."""
        return self.new / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds to go at this rate, None while nothing is known of it."""
        return (self.iterations - self.iterations_done) / self.rate if self.rate > 0 else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    progress
        How far it came.
    ended
        ``"complete"``, ``"stopped"`` where it was asked to stop, or ``"error"`` where the provider cannot go on.
    reason
        The provider's sentence, where it ended in error.
    failures
        Why iterations of this run failed, and how many did, most frequent first.
    """

    progress: Progress
    ended: Literal["complete", "stopped", "error"]
    reason: str = ""
    failures: tuple[tuple[str, int], ...] = ()


Listener = Callable[[Progress], None]


async def run_sessions(
    plan: Plan,
    store: Store,
    provider: Provider,
    scorers: Sequence[Scorer],
    *,
    concurrency: int = 16,
    timeout: float = 120.0,  # noqa: ASYNC109 - of each answer, not of this call
    listener: Listener | None = None,
    stop: asyncio.Event | None = None,
    grace: float = GRACE,
) -> Outcome:
    """Run the sessions of `plan` that `store` does not hold yet, and go on with those it holds in part.

    Parameters
    ----------
    concurrency
        Sessions at work at the same time.
    timeout
        Seconds to wait for one answer before the iteration counts as failed.
    listener
        Called with the progress after every iteration.
    stop
        Once set, no iteration is begun any more; those under way may finish for `grace` seconds and are then given
        up whole.

    Returns
    -------
    Outcome
        Everything stored so far is kept in any case, and running the same plan again goes on from there.

    Raises
    ------
    StoreError
        If the store refuses a write.
    """
    run = _Run(plan, store, provider, tuple(scorers), timeout, listener, stop or asyncio.Event())
    return await run.all(concurrency, grace)


class _Run:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        provider: Provider,
        scorers: tuple[Scorer, ...],
        patience: float,
        listener: Listener | None,
        stop: asyncio.Event,
    ) -> None:
        self.plan = plan
        self.store = store
        self.provider = provider
        self.scorers = scorers
        self.patience = patience
        self.listener = listener
        self.stop = stop
        self.fatal: ProviderError | None = None
        self.reasons: Counter[str] = Counter()
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="trimtab-writer")
        self.began = time.perf_counter()
        self.progress = Progress(len(plan.sessions), 0, len(plan.sessions) * plan.iterations, 0)

    async def all(self, concurrency: int, grace: float) -> Outcome:
        self.store.add_sessions(self.plan.records())
        last = self.store.last_iterations()
        done = [min(last[s.id].index, self.plan.iterations) if s.id in last else 0 for s in self.plan.sessions]
        todo = [
            session
            for session, t in zip(self.plan.sessions, done, strict=True)
            if session.id not in last or t < self.plan.iterations
        ]
        planned = dict.fromkeys(session.id for session in self.plan.sessions)
        self.progress = replace(
            self.progress,
            sessions_done=len(self.plan.sessions) - len(todo),
            iterations_done=sum(done),
            sessions_beyond=sum(name not in planned for name in last),
            iterations_beyond=sum(one.index for one in last.values()) - sum(done),
        )
        self._tell()
        waiting = iter([(session, last.get(session.id)) for session in todo])
        del last
        workers = [asyncio.create_task(self._work(waiting)) for _ in range(min(concurrency, len(todo)))]
        try:
            await self._finish(workers, grace)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self.writer.shutdown(wait=True)
        failures = tuple(self.reasons.most_common())
        if self.fatal is not None:
            return Outcome(self.progress, "error", str(self.fatal), failures)
        complete = self.progress.sessions_done == self.progress.sessions
        return Outcome(self.progress, "complete" if complete else "stopped", failures=failures)

    async def _finish(self, workers: list[asyncio.Task[None]], grace: float) -> None:
        """Wait until all workers are done, one fails, or a stop was asked for and the grace is over."""
        stopped = asyncio.create_task(self.stop.wait())
        pending: set[asyncio.Task[None]] = set(workers)
        try:
            while pending and not stopped.done():
                await asyncio.wait([*pending, stopped], return_when=asyncio.FIRST_COMPLETED)
                pending = {worker for worker in pending if not worker.done()}
                _raise_first(workers)
            if pending:
                await asyncio.wait(pending, timeout=grace)
                _raise_first(workers)
        finally:
            stopped.cancel()

    async def _work(self, waiting: Iterator[tuple[PlannedSession, Iteration | None]]) -> None:
        for session, last in waiting:
            await self._session(session, last)
            if self.stop.is_set():
                return

    async def _session(self, session: PlannedSession, last: Iteration | None) -> None:
        if last is None:
            last = start(session, self.scorers, self.plan.space)
            await self._keep(last)
        current = session.task.artefact if last.artefact is None else last.artefact
        for t in range(last.index + 1, self.plan.iterations + 1):
            if self.stop.is_set():
                return
            record = await self._iterate(session, current, t)
            if record is None:
                return
            await self._keep(record)
            current = current if record.artefact is None else record.artefact
            if record.status == "failed":
                self.reasons[_kind(record.reason)] += 1
            self._count(new=1, iterations_done=1, failures=int(record.status == "failed"))
        self._count(sessions_done=1)

    async def _iterate(self, session: PlannedSession, current: str, t: int) -> Iteration | None:
        """Return iteration `t`, or None where the provider says that nothing more will come."""
        began = time.perf_counter()
        request = request_for(self.plan, session, current, t)
        try:
            async with asyncio.timeout(self.patience):
                completion = await self.provider.complete(request)
        except TimeoutError:
            record = failed(session, t, current, f"no answer within {self.patience:g} s", self.plan.space)
        except ProviderError as error:
            if error.fatal:
                self._end(error)
                return None
            record = failed(session, t, current, str(error), self.plan.space)
        except Exception as error:  # a fault in the provider itself: no answer of a model, so nothing to record
            self._end(ProviderError(f"the provider broke with {type(error).__name__}: {error}", fatal=True))
            return None
        else:
            record = answered(session, t, current, completion, self.scorers, self.plan.space)
        seconds = round(time.perf_counter() - began, 6)
        return replace(record, meta={**record.meta, "seconds": seconds})

    def _end(self, error: ProviderError) -> None:
        self.fatal = self.fatal or error
        self.stop.set()

    async def _keep(self, iteration: Iteration) -> None:
        writing = asyncio.get_running_loop().run_in_executor(self.writer, self.store.append, iteration)
        # A commit that has begun is left to end even if the session is given up meanwhile.
        await asyncio.shield(writing)

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self.progress, name) + number for name, number in more.items()}
        self.progress = replace(self.progress, **counts, seconds=time.perf_counter() - self.began)
        self._tell()

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener(self.progress)


def _kind(reason: str) -> str:
    """Return a reason without the place, which differs from answer to answer."""
    return _PLACE.sub("", reason)


def _raise_first(workers: Sequence[asyncio.Task[None]]) -> None:
    for worker in workers:
        if worker.done() and not worker.cancelled() and (error := worker.exception()) is not None:
            raise error
