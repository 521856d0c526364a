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
from trimtab.sessions.course import Course, PlannedCourse, SteeredCourse, Step, asked, has_ended
from trimtab.sessions.iterate import answered, failed, request_for, start
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.sessions.steering import in_rounds, pilot_from, round_size
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
        Planned, and stored (in earlier runs too). Those that a steered session does without are planned no more.
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
    asked
        Why steered sessions ended by calling a human (in earlier runs too), and how many did, most frequent first.
    """

    progress: Progress
    ended: Literal["complete", "stopped", "error"]
    reason: str = ""
    failures: tuple[tuple[str, int], ...] = ()
    asked: tuple[tuple[str, int], ...] = ()


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
        self.asked: Counter[str] = Counter()
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="trimtab-writer")
        self.began = time.perf_counter()
        self.progress = Progress(len(plan.sessions), 0, len(plan.sessions) * plan.iterations, 0)

    async def all(self, concurrency: int, grace: float) -> Outcome:
        plan, store = self.plan, self.store
        store.add_sessions(plan.records())
        last = store.last_iterations()
        done = [max(min(last[s.id].index, plan.iterations), 0) if s.id in last else 0 for s in plan.sessions]
        ended = [has_ended(plan, last.get(session.id)) for session in plan.sessions]
        planned = dict.fromkeys(session.id for session in plan.sessions)
        self.progress = replace(
            self.progress,
            sessions_done=sum(ended),
            iterations=sum(t if over else plan.iterations for t, over in zip(done, ended, strict=True)),
            iterations_done=sum(done),
            sessions_beyond=sum(name not in planned for name in last),
            iterations_beyond=sum(one.index for one in last.values()) - sum(done),
        )
        self.asked.update(why for name in planned if name in last and (why := asked(last[name])))
        self._tell()
        try:
            for courses in self._rounds(ended, last):
                await self._round(courses, concurrency, grace)
                if self.stop.is_set():
                    break
        finally:
            self.writer.shutdown(wait=True)
        failures, calls = tuple(self.reasons.most_common()), tuple(self.asked.most_common())
        if self.fatal is not None:
            return Outcome(self.progress, "error", str(self.fatal), failures, calls)
        complete = self.progress.sessions_done == self.progress.sessions
        return Outcome(self.progress, "complete" if complete else "stopped", failures=failures, asked=calls)

    def _rounds(self, ended: list[bool], last: dict[str, Iteration]) -> Iterator[list[tuple[PlannedSession, Course]]]:
        """Yield the sessions that have something left to do, round by round, each with its course."""
        plan = self.plan
        sessions = [*zip(plan.sessions, ended, strict=True)]
        if not plan.steered:
            yield [(one, PlannedCourse(plan, one, last.pop(one.id, None))) for one, over in sessions if not over]
            return
        if all(ended):
            return
        pilot = pilot_from(plan.settings, self.store.url)
        for part in in_rounds(sessions, round_size(plan.settings)):
            for session, _ in part:
                pilot.session(session.id)
            courses = [
                (one, SteeredCourse(plan, one, pilot, self.store.iterations(one.id) if one.id in last else ()))
                for one, _ in part
            ]
            yield [course for course, (_, over) in zip(courses, part, strict=True) if not over]

    async def _round(self, courses: list[tuple[PlannedSession, Course]], concurrency: int, grace: float) -> None:
        waiting = iter(courses)
        workers = [asyncio.create_task(self._work(waiting)) for _ in range(min(concurrency, len(courses)))]
        try:
            await self._finish(workers, grace)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

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

    async def _work(self, waiting: Iterator[tuple[PlannedSession, Course]]) -> None:
        for session, course in waiting:
            await self._session(session, course)
            if self.stop.is_set():
                return

    async def _session(self, session: PlannedSession, course: Course) -> None:
        if course.done < 0:
            await self._take(course, start(session, self.scorers, self.plan.space))
        while (step := course.next()) is not None:
            if self.stop.is_set():
                return
            made = await self._iterate(step)
            if made is None:
                return
            record = await self._take(course, made)
            if record.status == "failed":
                self.reasons[_kind(record.reason)] += 1
            self._count(new=1, iterations_done=1, failures=int(record.status == "failed"))
        self._count(sessions_done=1, iterations=course.done - self.plan.iterations)

    async def _take(self, course: Course, made: Iteration) -> Iteration:
        """Store what was made, with what was decided after it."""
        record = course.take(made)
        await self._keep(record)
        if why := asked(record):
            self.asked[why] += 1
        return record

    async def _iterate(self, step: Step) -> Iteration | None:
        """Return the next iteration, or None where the provider says that nothing more will come."""
        session, current, t = step.session, step.current, step.t
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
        # A commit that has begun is left to end even if the session is given up meanwhile, and nobody then asks how.
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
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
