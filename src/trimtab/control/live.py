"""One live session of a pilot."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trimtab.control.decision import Decision, decide
from trimtab.control.knowledge import Knowledge
from trimtab.control.learning import expected_sums
from trimtab.control.situation import Situation
from trimtab.control.track import Track
from trimtab.control.triggers import QUIET, Fired, Trigger, fired
from trimtab.core.counting import count_of
from trimtab.errors import InputError

if TYPE_CHECKING:
    from trimtab.control.pilot import Pilot

__all__ = ["MOST_ITERATIONS", "PilotSession"]

Floats = NDArray[np.float64]

MOST_ITERATIONS = 1000
"""Of a session, whatever its pilot's budget."""


class PilotSession:
    """One session: give it the scores of every iterate, and do what it decides. Made by `Pilot.session`.

    Safe to be used from several threads, one call at a time being served.

    Parameters
    ----------
    key, index
        Its name, and how many sessions were opened before it.
    known
        What was known when it was opened.
    decision
        The latest one; None before the first scores.
    """

    def __init__(self, pilot: Pilot, key: str, index: int, known: Knowledge) -> None:
        self.key, self.index, self.known = key, index, known
        self.decision: Decision | None = None
        self.ended = False
        self._pilot = pilot
        self._track: Track | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"PilotSession({self.key!r}, {count_of(self.iterations, 'iteration')})"

    @property
    def iterations(self) -> int:
        """Iterations done, the start aside; -1 before the first scores."""
        track = self._track
        return -1 if track is None else track.strategy.shape[1]

    def observe(
        self, scores: Mapping[str, float | None], *, strategy: str | None = None, base: int | None = None
    ) -> Decision:
        """Take in the scores of the next iterate, the starting one first, and return what to do.

        Parameters
        ----------
        scores
            By objective. None or not-a-number for a score that is missing; one that is left out is missing as well.
        strategy, base
            By which strategy, and from which iterate, this one was made, where that is not what was decided.

        Raises
        ------
        InputError
            If an objective or strategy is unknown, a score is not a number or lies beyond its bounds, or the session
            has ended. Nothing is taken in then.
        """
        with self._lock:
            self.take(scores, strategy=strategy, base=base)
            return self.settle()

    def take(self, scores: Mapping[str, float | None], *, strategy: str | None = None, base: int | None = None) -> None:
        """Take in an iterate, see `observe`, without deciding; the next one needs its `strategy` then."""
        with self._lock:
            y = self._read(scores)
            if self.ended and strategy is None:
                raise InputError(
                    f"the session {self.key!r} has ended: open another, or to go on all the same, say by which strategy"
                )
            if self._track is not None:
                track = self._after(self._track, y, strategy, base)
            elif strategy is not None or base is not None:
                raise InputError("the first scores are those of the start, which no strategy made")
            else:
                pilot = self._pilot
                basis = pilot.prior if pilot.prior.well_known else self.known
                track = Track(pilot.goal, self.known, pilot.iterations, pilot.seed, [self.key], y[None], basis)
            if self.ended:
                self._pilot.reopen(self)
            # A track is never changed once it stands here, so that other threads may read it at any time.
            self._track, self.decision, self.ended = track, None, False

    def settle(self) -> Decision:
        """Return what to do now, having taken in all scores so far; ``InputError`` before the first."""
        with self._lock:
            now = self._stands()
            if self.decision is None:
                self.decision = _triggered(self._pilot.triggers, now, self._chosen(now))
                if self.decision.action == "stop":
                    self.end()
            return self.decision

    def alarms(self) -> Fired:
        """Return which of the pilot's triggers fire after the scores so far, and with which probability."""
        with self._lock:
            return fired(self._pilot.triggers, self._stands())

    def untriggered(self) -> Decision:
        """Return what `settle` would decide if no trigger had fired; the session is left as it is."""
        with self._lock:
            return self._chosen(self._stands())

    def apart(self) -> PilotSession:
        """Return a session that stands where this one does, and of which the pilot learns nothing."""
        with self._lock:
            made = PilotSession(self._pilot, self.key, self.index, self.known)
            made._track = self._track
            return made

    def end(self) -> None:
        """Say that the session is over; a decision to stop says so by itself. What it has shown is then known."""
        with self._lock:
            if not self.ended:
                self.ended = True
                self._pilot.close(self)

    def sums(self) -> Floats:
        """Return what the session's steps add to what is known, see `learning.expected_sums`."""
        track = self._track
        if track is None:
            return np.zeros_like(self.known.total)
        return np.asarray(expected_sums(track.beliefs, track.scores)[0])

    @property
    def situation(self) -> Situation | None:
        """Where it stands, as a policy sees it."""
        track = self._track
        return None if track is None else track.situation()

    def history(self) -> tuple[Floats, list[str], list[int]]:
        """Return its scores (t + 1, n), and by which strategy and from which iterate each but the first was made."""
        track = self._track
        if track is None:
            return np.empty((0, self.known.n)), [], []
        beliefs = track.beliefs
        return (
            track.scores[0],
            [self.known.strategies[k] for k in beliefs.strategy[0]],
            [int(base) for base in beliefs.base[0]],
        )

    def _after(self, track: Track, y: Floats, strategy: str | None, base: int | None) -> Track:
        names, t = self.known.strategies, track.strategy.shape[1]
        if t >= MOST_ITERATIONS:
            raise InputError(f"a session has at most {MOST_ITERATIONS:,} iterations: open another")
        if strategy is None and self.decision is not None:
            strategy = self.decision.strategy
            base = self.decision.base if base is None else base
        if strategy is None:
            told = "nothing yet" if self.decision is None else f"to {self.decision.action}"
            raise InputError(f"the session {self.key!r} was told {told}: to go on all the same, say by which strategy")
        if strategy not in names:
            raise InputError(f"no strategy is called {strategy!r:.80}; there are {', '.join(names)}")
        at = t if base is None else base
        if not isinstance(at, Integral) or not 0 <= at <= t:
            raise InputError(f"base must be an iterate seen, 0 to {t}, but got {at!r:.80}")
        # What the session's own steps have shown so far bears on how its next ones are read.
        made = copy(track)
        made.beliefs = copy(track.beliefs)
        made.step(np.array([names.index(strategy)]), y[None], np.array([int(at)]), self._now())
        return made

    def _now(self) -> Knowledge:
        return self.known.added(self.sums())

    def _stands(self) -> Situation:
        if self._track is None:
            raise InputError(f"the session {self.key!r} has no scores yet")
        return replace(self._track.situation(), knowledge=self._now())

    def _chosen(self, now: Situation) -> Decision:
        if now.left <= 0:
            return _without_floor(now, _stopped(now, f"the budget of {count_of(now.budget, 'iteration')} is spent"))
        return _without_floor(now, decide(now, self._pilot.policy.choose(now)))

    def _read(self, scores: Mapping[str, float | None]) -> Floats:
        space = self._pilot.goal.space
        if not isinstance(scores, Mapping):
            raise InputError(
                f"scores are given by objective, as in {{'{space.names[0]}': 4.1}}, but got {scores!r:.80}"
            )
        y = np.full(space.n, np.nan)
        for name, value in scores.items():
            objective = space[name]
            if value is None:
                continue
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise InputError(f"the score of {name} must be a number or None, but got {value!r:.80}") from None
            if (np.isfinite(number) and not objective.low <= number <= objective.high) or np.isinf(number):
                raise InputError(
                    f"the score of {name} must lie within {objective.low:g} to {objective.high:g}, but got {number:g}; "
                    "say the bounds as NAME:LOW:HIGH if they are wrong"
                )
            y[space.index(name)] = number
        return y


def _stopped(now: Situation, reason: str) -> Decision:
    return Decision("stop", None, now.t, int(now.keep[0]), float(now.goal.worth(now.carry[0])), now.t, reason)


def _triggered(triggers: Sequence[Trigger], now: Situation, decision: Decision) -> Decision:
    """Say which condition fired, and ask or stop where it calls for that; a stop is left as it is."""
    found = fired(triggers, now)
    if found.first[0] < 0:
        return decision
    action, sentence = triggers[found.first[0]].action, found.sentences[0]
    if action in QUIET or decision.action == "stop":
        return replace(decision, trigger=sentence)
    return replace(
        decision, action="stop" if action == "stop" else "ask", strategy=None, trigger=sentence, reason=sentence
    )


def _without_floor(now: Situation, decision: Decision) -> Decision:
    """Ask a human where the session would stop with no iterate that the floors allow."""
    if decision.action != "stop" or not now.goal.floors or np.isfinite(now.utility[0]).any():
        return decision
    floors = ", ".join(str(floor) for floor in now.goal.floors if floor.on == "kept")
    return replace(decision, action="ask", reason=f"{decision.reason}, but no iterate meets {floors}")
