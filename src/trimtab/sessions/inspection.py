"""What a store says of its sessions: how far each is, what it scored and took, and how the whole stands."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Iteration, Session
from trimtab.errors import InputError, StoreError
from trimtab.sessions import watch
from trimtab.sessions.kept_settings import is_run, settings_of
from trimtab.sessions.progress import kind_of
from trimtab.sessions.spending import Spending, spending_of
from trimtab.store.base import Outline, Store

__all__ = ["STATES", "Overview", "Standing", "best_of", "find_session", "overview", "score_of", "standings"]

STATES = ("not begun", "under way", "waits", "paused", "done", "recorded")
"""Where a session may stand; ``recorded``: it was imported, and nothing is planned for it."""

_CLOSE = 5
_STATE = {"go": "under way", "stop": "done", "open": "waits", "aside": "paused"}


@dataclass(slots=True)
class Standing:
    """How far a session is.

    Parameters
    ----------
    state
        One of `STATES`.
    last
        Index of its latest iteration, -1 before the start.
    stored, failed
        Iterations stored, t = 0 aside, and how many of them failed.
    spent
        What they took.
    models
        Who answered, as the models call themselves.
    recorded_at
        When the latest was stored, in seconds since 1970; None before the start.
    worked_on
        Whether a living process holds it.
    """

    session: Session
    state: str = "not begun"
    last: int = -1
    stored: int = 0
    failed: int = 0
    spent: Spending = field(default_factory=Spending)
    models: set[str] = field(default_factory=set)
    recorded_at: float | None = None
    worked_on: bool = False


@dataclass(frozen=True, slots=True)
class Overview:
    """How a store stands as a whole.

    Parameters
    ----------
    name, settings
        Of its experiment, empty if it has none.
    standings
        Of its sessions.
    reasons
        Why iterations failed, without the place in the text, and how many did, most frequent first.
    processes
        Who is at work: host, process and how many sessions it holds.
    """

    url: str
    name: str
    settings: Mapping[str, Any]
    standings: tuple[Standing, ...]
    reasons: tuple[tuple[str, int], ...]
    processes: tuple[tuple[str, int, int], ...]

    @property
    def is_run(self) -> bool:
        """True where a run fills the store, and not imports."""
        return is_run(self.settings)

    @property
    def complete(self) -> bool:
        """True where there is something, and nothing is left to do."""
        return bool(self.standings) and all(one.state in ("done", "recorded") for one in self.standings)

    @property
    def spent(self) -> Spending:
        """What all iterations took."""
        return sum((one.spent for one in self.standings), Spending())

    @property
    def answered_by(self) -> list[str]:
        """Who answered, as the models call themselves: an endpoint may answer to a name by another model."""
        return sorted({model for one in self.standings for model in one.models})

    @property
    def recorded_at(self) -> float | None:
        """When the latest iteration was stored, in seconds since 1970."""
        return max((one.recorded_at for one in self.standings if one.recorded_at is not None), default=None)

    def by_arm(self) -> dict[str, list[Standing]]:
        """Return the sessions of each strategy or policy."""
        found: dict[str, list[Standing]] = {}
        for one in self.standings:
            found.setdefault(one.session.strategy, []).append(one)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        arms = {}
        for arm, of_arm in self.by_arm().items():
            states = Counter(one.state for one in of_arm)
            arms[arm] = {
                "sessions": len(of_arm),
                **{state: states[state] for state in STATES},
                "iterations": sum(one.stored for one in of_arm),
                "failed": sum(one.failed for one in of_arm),
            }
        spent = self.spent
        return {
            "schema": "trimtab.status/1",
            "store": self.url,
            "name": self.name,
            "run": self.is_run,
            "complete": self.complete,
            "arms": arms,
            "reasons": [{"reason": reason, "count": count} for reason, count in self.reasons],
            "spent": {
                "prompt_tokens": spent.prompt_tokens,
                "completion_tokens": spent.completion_tokens,
                "usd": spent.usd,
                "of_unknown_usage": spent.unknown,
                "without_price": spent.unpriced,
            },
            "answered_by": self.answered_by,
            "recorded_at": self.recorded_at,
            "processes": [{"host": host, "process": number, "sessions": n} for host, number, n in self.processes],
            "settings": {name: value for name, value in self.settings.items() if name not in ("pilot", "config")},
        }


def overview(store: Store) -> Overview:
    """Return how `store` stands."""
    experiment, settings = store.experiment(), settings_of(store)
    reasons: Counter[str] = Counter()
    found = _standings(store, settings, reasons)
    owners = Counter((lease.host, lease.process) for lease in store.leases() if lease.alive)
    return Overview(
        url=store.url,
        name="" if experiment is None else experiment.name,
        settings=settings,
        standings=tuple(found),
        reasons=tuple(reasons.most_common()),
        processes=tuple((host, process, sessions) for (host, process), sessions in owners.most_common()),
    )


def standings(store: Store) -> list[Standing]:
    """Return how far each session of `store` is, in the order of the sessions."""
    return _standings(store, settings_of(store), Counter())


def _standings(store: Store, settings: Mapping[str, Any], reasons: Counter[str]) -> list[Standing]:
    run = is_run(settings)
    held = {lease.session_id for lease in store.leases() if lease.alive}
    found = {session.id: Standing(session, worked_on=session.id in held) for session in store.sessions()}
    for one in store.outlines():
        now = found.get(one.session_id)
        if now is None:  # a run has just added the session
            continue
        now.last, now.recorded_at = one.index, max(now.recorded_at or 0.0, one.recorded_at)
        now.spent += spending_of(one.meta, {})
        if isinstance(model := one.meta.get("model"), str):
            now.models.add(model)
        now.state = _state(one, settings) if run else "recorded"
        if one.index or not run:
            now.stored += 1
            if one.status == "failed":
                now.failed += 1
                reasons[kind_of(one.reason) or "no reason given"] += 1
    return [*found.values()]


def _state(latest: Outline, settings: Mapping[str, Any]) -> str:
    if latest.index >= settings["iterations"]:
        return "done"
    record = Iteration(latest.session_id, latest.index, latest.strategy, None, meta=latest.meta)
    try:
        return _STATE[watch.standing(record)]
    except StoreError:  # what was decided cannot be read: a run says so when it goes on
        return "under way"


def find_session(sessions: Sequence[Session], name: str) -> Session:
    """Return the session called `name`.

    Raises
    ------
    InputError
        If there is none; those with similar names are given.
    """
    found = {session.id: session for session in sessions}
    if name in found:
        return found[name]
    if not found:
        raise InputError(f"there is no session {name!r:.200}, because the store holds none yet")
    close = difflib.get_close_matches(name, found, n=_CLOSE, cutoff=0.0)
    raise InputError(f"there is no session {name!r:.200}; there are {len(found):,}, such as {', '.join(close)}")


def score_of(record: Iteration, objective: str) -> float | None:
    """Return the score of an iteration on one objective, the mean of its judgements; None where it has none."""
    values = [one.value for one in record.scores if one.objective == objective and one.value is not None]
    if not values:
        return None
    mean = sum(values) / len(values)
    # The sum of two of the largest numbers is none.
    return mean if np.isfinite(mean) else sum(value / len(values) for value in values)


def best_of(records: Iterable[Iteration], space: ObjectiveSpace) -> int | None:
    """Return the index of the iterate to keep: what a policy decided, otherwise that with the best scores.

    Those have the greatest mean over all objectives, each as a share of its scale, and come first of equal ones; None
    where no iteration is scored on all of them, or a scale is open and there are several.
    """
    records = list(records)
    decision = records[-1].meta.get("decision") if records else None
    if isinstance(decision, Mapping) and isinstance(decision.get("keep"), int):
        return int(decision["keep"])
    if space.n > 1 and not all(objective.bounded for objective in space):
        return None
    best, at = -np.inf, None
    width = space.high - space.low if space.n > 1 else np.ones(1)
    for record in records:
        scores = [score_of(record, name) for name in space.names]
        if record.status == "ok" and None not in scores:
            good = float((space.sign * np.array(scores, dtype=np.float64) / width).mean())
            if good > best:
                best, at = good, record.index
    return at
