"""Attendance: what a run does when triggers fire: say so, call a webhook, and have a human decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.core.records import Iteration
from trimtab.sessions.desk import Desk, Question
from trimtab.sessions.kept_meta import meta_of
from trimtab.sessions.plan import PlannedSession
from trimtab.sessions.watch import DELIVERED, WATCH, waiting
from trimtab.sessions.webhook import Webhook, payload_of

__all__ = ["Attendance"]


@dataclass(slots=True)
class Attendance:
    """Who is told of triggers that fire in a run, and who is asked.

    Parameters
    ----------
    desk
        Where questions lie.
    webhook
        What triggers with the action ``webhook`` call; None for nothing.
    resume
        Go on with sessions that were set aside when `begin` was called.
    say
        Called with a sentence for whoever watches the run.
    fired
        How often each trigger fired in this run.
    """

    desk: Desk = field(default_factory=Desk)
    webhook: Webhook | None = None
    resume: bool = False
    say: Callable[[str], None] = field(default=lambda _: None)
    fired: Counter[str] = field(default_factory=Counter)
    _aside: dict[str, int] = field(init=False, default_factory=dict)

    def begin(self, stored: Iterable[Iteration]) -> None:
        """Take in the latest iteration of each session: what is set aside after it stays so for this run."""
        if self.resume:
            self._aside = {record.session_id: record.index for record in stored if waiting(record) == "aside"}

    def resumes(self, record: Iteration) -> bool:
        """Tell whether the session whose latest iteration is `record` goes on although it was set aside."""
        return self._aside.get(record.session_id) == record.index

    def owes(self, record: Iteration) -> bool:
        """Tell whether the webhook is still to be told of something that fired after an iteration."""
        return bool(self._owed(record))

    def notice(self, record: Iteration) -> None:
        """Count and say what fired after an iteration."""
        for one in (meta_of(record).get(WATCH) or {}).get("fired", ()):
            self.fired[one["trigger"]] += 1
            if one["action"] == "ask" and self.desk.clerks:
                continue  # what is asked says it
            self.say(f"{one['trigger']} in session {record.session_id}, iteration {record.index}: {one['says']}")

    async def tell(self, session: PlannedSession, record: Iteration) -> dict[str, Any]:
        """Tell the webhook what it has not been told of an iteration, and return what to add to the meta of that one.

        Nothing that goes wrong on the way ends the run.
        """
        owed = self._owed(record)
        if not owed or self.webhook is None:
            return {}
        told = dict(meta_of(record).get(DELIVERED) or {})
        for one in owed:
            payload = payload_of(session, record, one, artefact=self.webhook.artefact)
            came = told[one["trigger"]] = await self.webhook.deliver(payload)
            if not came["delivered"]:
                self.say(
                    f"the webhook was not told of {one['trigger']} in session {session.id}, iteration {record.index}: "
                    f"{came['reason']}"
                )
        return {DELIVERED: told}

    def _owed(self, record: Iteration) -> Sequence[dict[str, Any]]:
        if self.webhook is None:
            return ()
        told = meta_of(record).get(DELIVERED) or {}
        return [
            one
            for one in (meta_of(record).get(WATCH) or {}).get("fired", ())
            if one["action"] == "webhook" and one["trigger"] not in told
        ]


def question_about(session: PlannedSession, record: Iteration, strategies: Sequence[str]) -> Question:
    """Return what a human is asked about a session that waits after `record`."""
    watch = meta_of(record).get(WATCH) or {}
    says = [one["says"] for one in watch.get("fired", ()) if one["action"] != "warn"]
    return Question(
        id=f"{session.id}@{record.index}",
        session=session.id,
        task=session.task.id,
        iteration=record.index,
        strategy=record.strategy,
        says=says or [str((meta_of(record).get("decision") or {}).get("reason", ""))],
        scores=record.values,
        strategies=strategies,
    )
