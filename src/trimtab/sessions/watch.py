"""Watch: which triggers fire after each iteration of a session, and whether the session goes on.

Both are kept in the iteration's meta, so that a run that is broken off asks nobody twice and tells nobody twice:

``watch``
    ``fired``, a list of triggers with their ``action``, ``probability`` and what they say; and ``call``, the action
    that the session waits on or ends by, with its ``trigger``. Absent where nothing fired.
``answers``
    What became of the call, in order; the last one counts. Each has an ``action`` (continue, pause or stop), ``by``
    (terminal, http, ...) and, where a human gave it, ``answered_at``; in a steered session that goes on also the
    ``strategy`` and the ``base`` to go on from.
``webhook``
    By trigger, whether the webhook was told.

Where a run follows a recording, ``recording_ends`` is true in the meta of a session's last recorded iteration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from trimtab.control.triggers import QUIET, Fired
from trimtab.core.records import Iteration
from trimtab.errors import StoreError
from trimtab.sessions.kept_meta import meta_of

if TYPE_CHECKING:
    from trimtab.control.live import PilotSession
    from trimtab.control.pilot import Pilot

__all__ = [
    "ANSWERS",
    "DELIVERED",
    "EARLIER",
    "ENDS",
    "WATCH",
    "Standing",
    "Watcher",
    "reason_of",
    "remarks",
    "standing",
    "was_set_aside",
]

WATCH, ANSWERS, DELIVERED, ENDS = "watch", "answers", "webhook", "recording_ends"

EARLIER = "earlier answer"
"""Who answers where the same trigger fires again after it was let pass: it is not asked about twice in a row."""

Standing = Literal["go", "stop", "open", "aside"]

_STANDING: Mapping[str, Standing] = {"continue": "go", "stop": "stop", "pause": "aside"}
_CHANCE = re.compile(r" with probability [\d.]+%| in (fewer than )?[\d.]+% of sessions")


def standing(record: Iteration) -> Standing:
    """Tell whether a session whose latest iteration is `record` goes on, by what triggers and its policy have said.

    A session that follows a recording stops where that ends.

    ``"open"``: nobody has answered yet. ``"aside"``: it is set aside, to be resumed.

    Raises
    ------
    StoreError
        If the store holds an answer that is none.
    """
    meta = meta_of(record)
    decided = (meta.get("decision") or {}).get("action", "continue")
    call = (meta.get(WATCH) or {}).get("call") or {"action": decided}
    if "stop" in (decided, call["action"]) or meta.get(ENDS):
        return "stop"
    if call["action"] == "continue":
        return "go"
    answers = meta.get(ANSWERS)
    if not answers:
        return "open"
    try:
        return _STANDING[answers[-1]["action"]]
    except LookupError:
        raise StoreError(
            f"session {record.session_id!r} has an answer to its iteration {record.index} that is none of "
            f"{', '.join(_STANDING)}"
        ) from None


def calls(record: Iteration) -> bool:
    """Tell whether a trigger calls after `record` that was not let pass before."""
    return "call" in (meta_of(record).get(WATCH) or {})


def waiting(record: Iteration) -> Literal["", "open", "aside"]:
    """Return where a session stands that does not go on by itself; "" where it does, or has stopped."""
    stands = standing(record)
    return stands if stands in ("open", "aside") else ""


def answered(record: Iteration, answer: Mapping[str, Any], at: str = "") -> tuple[Iteration, list[dict[str, Any]]]:
    """Return an iteration with one more answer, and all of its answers."""
    given = {**answer, "answered_at": at} if at else dict(answer)
    answers = [*(meta_of(record).get(ANSWERS) or ()), given]
    return replace(record, meta={**record.meta, ANSWERS: answers}), answers


def was_set_aside(record: Iteration) -> bool:
    """Tell whether the session was set aside after `record`, even if it was resumed since."""
    return any(answer["action"] == "pause" for answer in meta_of(record).get(ANSWERS) or ())


def reason_of(record: Iteration) -> str:
    """Return why a session is set aside or waits after `record`, in words that sessions share; "" where it is not."""
    if standing(record) not in ("open", "aside"):
        return ""
    meta = meta_of(record)
    says = ((meta.get(WATCH) or {}).get("call") or {}).get("says") or (meta.get("decision") or {}).get("reason", "")
    # Before a "but" stands why the session would have stopped, with numbers of its own.
    return _CHANCE.sub("", says.rpartition(", but ")[2])


def remarks(record: Iteration) -> list[str]:
    """Return what fired after an iteration and what was answered, in words; all else in its meta is passed by."""
    watch, answers = record.meta.get(WATCH), record.meta.get(ANSWERS)
    fired = watch.get("fired") if isinstance(watch, Mapping) else None
    found = [
        f"{one.get('trigger')}: {one.get('says')}"
        for one in (fired if isinstance(fired, list) else ())
        if isinstance(one, Mapping)
    ]
    for one in answers if isinstance(answers, list) else ():
        if isinstance(one, Mapping):
            chosen = f" with {one['strategy']}" if one.get("strategy") else ""
            when = f", {one['answered_at']}" if one.get("answered_at") else ""
            found.append(f"answer: {one.get('action')}{chosen} ({one.get('by')}{when})")
    return found


class Watcher:
    """Looks after every iteration of one session which triggers fire.

    Parameters
    ----------
    pilot
        Whose triggers they are.
    """

    def __init__(self, pilot: Pilot) -> None:
        self._triggers = pilot.triggers
        self._texts = [trigger.told(pilot.goal.space) for trigger in pilot.triggers]
        self._before: Iteration | None = None

    def take(self, record: Iteration) -> None:
        """Take in an iteration as it is stored now, after it was marked or answered."""
        self._before = record

    def mark(self, record: Iteration, session: PilotSession) -> Iteration:
        """Return an iteration, which `session` has taken in already, with what fired after it."""
        found = self._fired(session.alarms())
        if not found:
            return record
        loud = [one for one in found if one["action"] not in QUIET]
        fresh = next((one for one in loud if one["trigger"] not in self._let_pass), None)
        watch: dict[str, Any] = {"fired": found}
        meta = {**record.meta, WATCH: watch}
        if fresh is not None:
            watch["call"] = {name: fresh[name] for name in ("action", "trigger", "says")}
            if fresh["action"] == "pause":
                meta[ANSWERS] = [{"action": "pause", "by": "trigger"}]
        return replace(record, meta=meta)

    @property
    def _let_pass(self) -> Sequence[str]:
        """Triggers that fired at the iteration before, after which the session went on all the same."""
        before = self._before
        if before is None or standing(before) != "go":
            return ()
        return [one["trigger"] for one in (meta_of(before).get(WATCH) or {}).get("fired", ())]

    def _fired(self, found: Fired) -> list[dict[str, Any]]:
        return [
            {
                "trigger": text,
                "action": trigger.action,
                "probability": float(found.probability[0, i]),
                "says": trigger.sentence(float(found.probability[0, i])),
            }
            for i, (text, trigger) in enumerate(zip(self._texts, self._triggers, strict=True))
            if found.fired[0, i]
        ]
