"""Rounds: in what order sessions are opened, and the course that each takes from where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from trimtab.core.records import Iteration
from trimtab.sessions.course import Course, PlannedCourse, RecordedCourse, SteeredCourse
from trimtab.sessions.plan import Plan, PlannedSession
from trimtab.sessions.steering import in_rounds, pilot_from, round_size
from trimtab.store.base import Store

if TYPE_CHECKING:
    from trimtab.control.live import PilotSession
    from trimtab.control.pilot import Pilot

__all__ = ["Rounds"]


class Rounds:
    """The sessions of a plan: all in one round, or as many at a time as a policy starts with the same knowledge."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self._plan, self._store = plan, store
        self._pilot: Pilot | None = None
        self._opened: dict[str, PilotSession] = {}

    def parts(self, ended: Sequence[bool]) -> Iterator[list[PlannedSession]]:
        """Yield what has something left to do, round by round. All of a round must be over before the next is taken.

        Parameters
        ----------
        ended
            Which sessions of the plan have nothing left to do.
        """
        plan = self._plan
        sessions = [*zip(plan.sessions, ended, strict=True)]
        if not plan.steered:
            yield [one for one, over in sessions if not over]
            return
        if all(ended):
            return
        pilot = self._pilot = pilot_from(plan.settings, self._store.url)
        for part in in_rounds(sessions, round_size(plan.settings)):
            self._opened = {session.id: pilot.session(session.id) for session, _ in part}
            for session, over in part:
                if over:
                    self.learn(session)
            yield [session for session, over in part if not over]

    def course(self, session: PlannedSession, last: Iteration | None) -> tuple[PlannedSession, Course]:
        """Return a session with its course from its latest iteration, which is None before the start."""
        if self._pilot is None:
            kind = PlannedCourse if self._plan.course is None else RecordedCourse
            return session, kind(self._plan, session, last, partial(self._store.iterations, session.id))
        stored = () if last is None else self._store.iterations(session.id)
        return session, SteeredCourse(self._plan, session, self._pilot, stored)

    def learn(self, session: PlannedSession) -> None:
        """Let the pilot, if there is one, learn from a session that is over in the store."""
        if self._pilot is not None:
            SteeredCourse(self._plan, session, self._pilot, self._store.iterations(session.id))

    def undo(self, session: PlannedSession) -> None:
        """Let the pilot, if there is one, forget what it was told of a session that goes on elsewhere."""
        if self._pilot is not None:
            self._opened[session.id] = self._pilot.anew(self._opened[session.id])
