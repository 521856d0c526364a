"""The runner: many sessions at once, one iteration after the other within each, every iteration durable when it ends.

Sessions wait for their provider side by side; scores are computed on the event loop, and one writer thread commits
what waits for it together, so that waiting for the disk holds up neither. A session goes on only after its iteration is
committed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from trimtab.core.records import Iteration
from trimtab.errors import LeaseError, ProviderError, StoreError
from trimtab.providers.base import Provider
from trimtab.scoring.base import AnyScorer
from trimtab.sessions.accounts import Accounts
from trimtab.sessions.answers import Answers
from trimtab.sessions.attendance import Attendance, question_about
from trimtab.sessions.course import Course, Step, has_ended
from trimtab.sessions.crew import Crew, cancel
from trimtab.sessions.desk import Answer
from trimtab.sessions.iterate import answered, failed, start
from trimtab.sessions.keeping import Keeper
from trimtab.sessions.limits import Meter
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.sessions.progress import Ended, Listener, Outcome, Progress, kind_of
from trimtab.sessions.rounds import Rounds
from trimtab.sessions.sharing import Share, Sharing
from trimtab.sessions.watch import ANSWERS, reason_of
from trimtab.store.base import Store

__all__ = ["Listener", "Outcome", "Progress", "run_sessions"]

R = TypeVar("R")

GRACE = 5.0
"""Seconds that iterations under way may take to finish after a stop was asked for."""


async def run_sessions(
    plan: Plan,
    store: Store,
    provider: Provider,
    scorers: Sequence[AnyScorer],
    *,
    concurrency: int = 16,
    timeout: float = 120.0,  # noqa: ASYNC109 - of each answer, not of this call
    listener: Listener | None = None,
    stop: asyncio.Event | None = None,
    meter: Meter | None = None,
    attendance: Attendance | None = None,
    cache: bool = True,
    grace: float = GRACE,
) -> Outcome:
    """Run the sessions of `plan` that `store` does not hold yet, and go on with those it holds in part.

    Other processes may do so at the same time; see `trimtab.sessions.sharing`.

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
    meter
        Counts what iterations take, and ends the run where a limit is reached; by default one without limits.
    attendance
        Who is told of triggers that fire, and who is asked; by default nobody, so that sessions that ask are set aside.
    cache
        Keep answers that cost something in the store, and ask for none that is there; see `trimtab.sessions.answers`.

    Returns
    -------
    Outcome
        Everything stored so far is kept in any case, and running the same plan again goes on from there.

    Raises
    ------
    StoreError
        If the store refuses a write.
    """
    run = _Run(
        plan,
        store,
        provider,
        tuple(scorers),
        timeout,
        listener,
        stop or asyncio.Event(),
        meter or Meter(),
        attendance or Attendance(),
        cache,
    )
    return await run.all(concurrency, grace)


class _Run:
    def __init__(
        self,
        plan: Plan,
        store: Store,
        provider: Provider,
        scorers: tuple[AnyScorer, ...],
        patience: float,
        listener: Listener | None,
        stop: asyncio.Event,
        meter: Meter,
        attendance: Attendance,
        cache: bool,
    ) -> None:
        self.plan = plan
        self.store = store
        self.provider = provider
        self.answers = Answers(plan, provider, store, self._write, keep=cache)
        self.scorers = self.answers.keeping(scorers, plan)
        self.patience = patience
        self.listener = listener
        self.stop = stop
        self.meter = meter
        self.attendance = attendance
        self.fatal: ProviderError | None = None
        self.reasons: Counter[str] = Counter()
        self.unscored: Counter[str] = Counter()
        self.aside: Counter[str] = Counter()
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="trimtab-writer")
        self.began = time.perf_counter()
        self.progress = Progress(len(plan.sessions), 0, len(plan.sessions) * plan.iterations, 0)
        self.sharing = Sharing(store, self._write, self.stop)
        self.keeper = Keeper(Accounts(store, meter, self._write), self._write, self.sharing.owner)
        self.rounds = Rounds(plan, store)
        self.reports = True

    async def all(self, concurrency: int, grace: float) -> Outcome:
        plan, store = self.plan, self.store
        store.add_sessions(plan.records())
        last = store.last_iterations()
        self.attendance.begin(last.values())
        done = [max(min(last[s.id].index, plan.iterations), 0) if s.id in last else 0 for s in plan.sessions]
        ended = [self._has_ended(last.get(session.id)) for session in plan.sessions]
        self.counted = {session.id: t for session, t in zip(plan.sessions, done, strict=True)}
        self.progress = replace(
            self.progress,
            sessions_done=sum(ended),
            iterations=sum(t if over else plan.iterations for t, over in zip(done, ended, strict=True)),
            iterations_done=sum(done),
            sessions_beyond=sum(name not in self.counted for name in last),
            iterations_beyond=sum(one.index for one in last.values()) - sum(done),
        )
        for session, over in zip(plan.sessions, ended, strict=True):
            if over:
                self._note_aside(last[session.id])
        self._tell()
        deadline = self._deadline()
        clerks = [asyncio.ensure_future(clerk(self.attendance.desk)) for clerk in self.attendance.desk.clerks]
        try:
            async with self.sharing as sharing:
                self.crew = Crew(self._session, concurrency, self.stop, [*clerks, sharing.renewing])
                try:
                    for sessions in self.rounds.parts(ended):
                        self.share = Share(sharing, sessions, concurrency, self._is_over, self.rounds.course)
                        await self.crew.work(self.share, len(sessions), grace, self._close)
                        if self.stop.is_set():
                            break
                finally:
                    await self.keeper.written()
                await self.meter.catch_up()
                if not all(ended) and self._is_complete():
                    self.reports = await sharing.reports()
        finally:
            if deadline is not None:
                deadline.cancel()
            await cancel(clerks)
            self.writer.shutdown(wait=True)
        return self._outcome()

    def _has_ended(self, last: Iteration | None) -> bool:
        if last is None or self.attendance.owes(last):
            return False
        return has_ended(self.plan, last, resume=self.attendance.resumes(last))

    def _outcome(self) -> Outcome:
        meter, reason = self.meter, ""
        # What was given up at the end of the grace has been paid for all the same.
        self.progress = replace(self.progress, spent=meter.spent)
        ended: Ended = "stopped"
        if self.fatal is not None:
            ended, reason = "error", str(self.fatal)
        elif self._is_complete():
            ended = "complete"
        elif meter.reached:
            ended, reason = "error" if meter.blind else "limit", meter.reached
        return Outcome(
            self.progress,
            ended,
            reason,
            tuple(self.reasons.most_common()),
            tuple(self.unscored.most_common()),
            tuple(self.aside.most_common()),
            tuple(self.attendance.fired.most_common()),
            meter.in_all if meter.limits.budgeted else None,
            self.reports,
        )

    def _is_complete(self) -> bool:
        return self.progress.sessions_done == self.progress.sessions

    def _deadline(self) -> asyncio.TimerHandle | None:
        """Have the run stopped when its deadline comes."""

        def end() -> None:
            self.meter.expire()
            self.stop.set()

        left = self.meter.seconds_left
        return None if left is None else asyncio.get_running_loop().call_later(max(left, 0.0), end)

    def _is_over(self, session: PlannedSession, last: Iteration | None) -> bool:
        """Take in what another process may have done of a session, and tell whether nothing is left to do."""
        if not self.sharing.alone:
            self.answers.look()
        if last is None:
            return False
        reached = max(min(last.index, self.plan.iterations), 0)
        if made := reached - self.counted[session.id]:
            self.answers.look()
            self._reach(session, made)
        if not self._has_ended(last):
            return False
        self.rounds.learn(session)
        self._note_aside(last)
        self._count(sessions_done=1, iterations=reached - self.plan.iterations)
        return True

    def _reach(self, session: PlannedSession, made: int, **more: int) -> None:
        self.counted[session.id] += made
        self._count(iterations_done=made, **more)

    def _close(self) -> None:
        self.meter.close()
        self.attendance.desk.close()

    async def _session(self, one: tuple[PlannedSession, Course]) -> None:
        try:
            await self._go_on(*one)
        except LeaseError:
            session, _ = one
            self.rounds.undo(session)
            self.share.give_up(session)

    async def _go_on(self, session: PlannedSession, course: Course) -> None:
        if course.latest is None:
            begun = await self._metered(partial(self._begin, session))
            if begun is None:
                return
            await self._take(session, course, begun)
        else:
            await self._tell_webhook(session, course.latest)
        while True:
            self.sharing.require(session.id)
            if (step := course.next()) is not None:
                made = await self._metered(partial(self._iterate, step))
                if made is None:
                    return
                record = await self._take(session, course, made)
                if record.status == "failed":
                    self.reasons[kind_of(record.reason)] += 1
                self._reach(session, 1, new=1, failures=int(record.status == "failed"))
            elif course.waits == "open" or (course.waits == "aside" and self.attendance.resumes(course.begun)):
                if not await self._ask(session, course):
                    return
            else:
                break
        self._note_aside(course.begun)
        self._count(sessions_done=1, iterations=min(course.done - self.plan.iterations, 0))
        await self.sharing.give_back([session.id])

    def _note_aside(self, latest: Iteration) -> None:
        """Count a session that is at its end for now, if that is because it is set aside."""
        # With all its iterations done there is nothing to go on with; a policy may still have something to ask.
        if (why := reason_of(latest)) and (self.plan.steered or latest.index < self.plan.iterations):
            self.aside[why] += 1

    async def _ask(self, session: PlannedSession, course: Course) -> bool:
        """Have somebody say whether a session goes on, and tell whether anybody did."""
        latest, desk = course.begun, self.attendance.desk
        answer = Answer.now("continue", "resumed") if course.waits == "aside" else None
        if answer is None and desk.clerks:
            answer = await self.crew.away(desk.ask(question_about(session, latest, course.options())))
        elif answer is None:
            answer = Answer("pause", "nobody")
        if answer is None:
            return False
        await self._amend(session, latest, {ANSWERS: course.answer(answer)})
        return True

    async def _metered(self, making: Callable[[], Awaitable[Iteration | None]]) -> Iteration | None:
        """Return what was made, None where nothing more is to be made."""
        if self.stop.is_set() or not await self.meter.admit():
            self.stop.set()
            return None
        made = None
        try:
            made = await making()
        finally:
            made = self.meter.release(made)
        return made

    async def _begin(self, session: PlannedSession) -> Iteration | None:
        """Return iteration 0, or None where a judge says that it can judge nothing more."""
        try:
            return await start(self.plan, session, self.scorers)
        except ProviderError as error:
            self._end(error)
            return None

    async def _take(self, session: PlannedSession, course: Course, made: Iteration) -> Iteration:
        """Store what was made, with what was decided after it, and tell whom it concerns."""
        record = course.take(made)
        await self.keeper.keep(record)
        self.attendance.notice(record)
        if record.status == "ok":
            self.unscored.update(kind_of(score.reason) for score in record.scores if score.value is None)
        await self._tell_webhook(session, record)
        return record

    async def _tell_webhook(self, session: PlannedSession, record: Iteration) -> None:
        if told := await self.attendance.tell(session, record):
            await self._amend(session, record, told)

    async def _amend(self, session: PlannedSession, record: Iteration, more: dict[str, Any]) -> None:
        await self._write(self.store.amend, session.id, record.index, more, self.sharing.owner)

    async def _iterate(self, step: Step) -> Iteration | None:
        """Return the next iteration, or None where the provider says that nothing more will come."""
        session, current, t = step.session, step.current, step.t
        began = time.perf_counter()
        bounded = getattr(self.provider, "bounds_attempts", False)
        try:
            async with asyncio.timeout(None if bounded else self.patience):
                completion, left_out = await self.answers.next(step)
        except TimeoutError:
            record = failed(session, t, current, f"no answer within {self.patience:g} s", self.plan.space)
        except ProviderError as error:
            if error.fatal:
                self._end(error)
                return None
            wasted = {"wasted": error.usage} if error.usage else {}
            record = failed(session, t, current, str(error), self.plan.space, meta={**error.meta, **wasted})
        except StoreError:
            raise
        except Exception as error:  # a fault in the provider itself: no answer of a model, so nothing to record
            self._end(ProviderError(f"the provider broke with {type(error).__name__}: {error}", fatal=True))
            return None
        else:
            try:
                record = await answered(self.plan, session, t, current, completion, self.scorers)
            except ProviderError as error:
                self._end(error)
                return None
            if left_out:
                record = replace(record, meta={**record.meta, "left_out_exchanges": left_out})
        seconds = round(time.perf_counter() - began, 6)
        return replace(record, meta={**record.meta, "seconds": seconds})

    def _end(self, error: ProviderError) -> None:
        self.fatal = self.fatal or error
        self.stop.set()

    async def _write(self, write: Callable[..., R], *values: object) -> R:
        writing = asyncio.get_running_loop().run_in_executor(self.writer, write, *values)
        # A commit that has begun is left to end even if the session is given up meanwhile, and nobody then asks how.
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(writing)

    def _count(self, **more: int) -> None:
        counts = {name: getattr(self.progress, name) + number for name, number in more.items()}
        seconds = time.perf_counter() - self.began
        self.progress = replace(self.progress, **counts, seconds=seconds, spent=self.meter.spent)
        self._tell()

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener(self.progress)
