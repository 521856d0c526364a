"""A pilot as plain values and back, to the last bit: sessions are restored by taking in their scores once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trimtab.control.goal import Goal, Utility, read_floor
from trimtab.control.knowledge import Knowledge
from trimtab.control.live import PilotSession
from trimtab.control.situation import Policy
from trimtab.control.triggers import read_trigger
from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError

if TYPE_CHECKING:
    from trimtab.control.pilot import Pilot

__all__ = ["SCHEMA", "pilot_from_dict", "pilot_to_dict"]

Floats = NDArray[np.float64]

SCHEMA = "trimtab.pilot/1"

_MOST = 1_000_000  # sessions in a document


def pilot_to_dict(pilot: Pilot) -> dict[str, Any]:
    """Return the document. Sessions that were opened with the same knowledge share its entry under ``known``."""
    known: dict[bytes, int] = {}
    totals: list[Any] = []
    running = []
    for session in pilot.sessions.values():
        name = session.known.total.tobytes()
        if name not in known:
            known[name] = len(totals)
            totals.append(session.known.total.tolist())
        scores, strategies, bases = session.history()
        running.append(
            {
                "key": session.key,
                "index": session.index,
                "known": known[name],
                "scores": [[None if np.isnan(y) else float(y) for y in row] for row in scores],
                "strategies": strategies,
                "bases": bases,
            }
        )
    return {
        "schema": SCHEMA,
        "goal": _goal(pilot.goal),
        "policy": pilot.policy_text,
        "iterations": pilot.iterations,
        "triggers": [trigger.told(pilot.goal.space) for trigger in pilot.triggers],
        "memory": pilot.ledger.memory,
        "seed": pilot.seed,
        "prior": knowledge_to_dict(pilot.prior),
        "opened": pilot.opened,
        "ended": {str(index): sums.tolist() for index, sums in sorted(pilot.ledger.entries.items())},
        "known": totals,
        "running": running,
    }


def pilot_from_dict(document: Mapping[str, Any], policy: Policy | None, utility: Utility | None) -> Pilot:
    """Restore a pilot; ``InputError`` where the document is not one."""
    from trimtab.control.pilot import Pilot

    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != SCHEMA:
        raise InputError(f"a document of schema {SCHEMA} is needed, but got {schema!r:.80}")
    try:
        goal = _read_goal(document["goal"], utility)
        prior = knowledge_from_dict(document["prior"], goal.space)
        text = document["policy"]
        if text is None and policy is None:
            raise InputError("this pilot's policy was an object, which no document can hold: give it as policy=")
        pilot = object.__new__(Pilot)
        pilot._fill(
            goal,
            prior,
            text if policy is None else policy,
            document["iterations"],
            tuple(read_trigger(one, goal.space) for one in document["triggers"]),
            float(document["memory"]),
            int(document["seed"]),
        )
        shape = prior.total.shape
        for index, sums in document["ended"].items():
            pilot.ledger.add(int(index), _array(sums, shape, "ended"))
        pilot.opened = int(document["opened"])
        totals = [_array(total, shape, "known") for total in document["known"]]
        running = document["running"]
        if len(running) > _MOST:
            raise InputError(f"at most {_MOST:,} sessions can run at once")
        for one in running:
            _resume(pilot, prior, one, totals)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, np.linalg.LinAlgError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"this is not a whole document {SCHEMA}: {type(error).__name__}: {error}") from error
    return pilot


def _resume(pilot: Pilot, prior: Knowledge, one: Mapping[str, Any], totals: list[Floats]) -> None:
    session = PilotSession(pilot, one["key"], int(one["index"]), prior.with_total(totals[int(one["known"])]))
    pilot.sessions[session.key] = session
    names = pilot.goal.space.names
    for t, row in enumerate(one["scores"]):
        scores = dict(zip(names, row, strict=True))
        made = {} if t == 0 else {"strategy": one["strategies"][t - 1], "base": one["bases"][t - 1]}
        session.take(scores, **made)
    if one["scores"]:
        session.settle()


def knowledge_to_dict(known: Knowledge) -> dict[str, Any]:
    """Return what is known as plain values."""
    return {"strategies": [*known.strategies], **{name: getattr(known, name).tolist() for name in _SHAPES}}


def knowledge_from_dict(document: Mapping[str, Any], space: ObjectiveSpace) -> Knowledge:
    """Restore what `knowledge_to_dict` wrote."""
    names = tuple(document["strategies"])
    n, K = space.n, len(names)
    sizes = {"n": n, "K": K, "p": 1 + 2 * n}
    arrays = {name: _array(document[name], tuple(sizes[s] for s in shape), name) for name, shape in _SHAPES.items()}
    made = Knowledge(space, names, **arrays)
    _ = made.mean  # a matrix that is no sum of squares fails here, and not later
    return made


_SHAPES = {
    "center": "n", "scale": "n", "total": "Kpp", "score_noise": "n", "session_sd": "Kn", "start_mean": "n",
    "start_covariance": "nn",
}  # fmt: skip


def _goal(goal: Goal) -> dict[str, Any]:
    if not callable(goal.utility):
        return goal.to_dict()
    from dataclasses import replace

    return {**replace(goal, utility="weighted").to_dict(), "utility": None}


def _read_goal(document: Mapping[str, Any], utility: Utility | None) -> Goal:
    chosen = document["utility"] if utility is None else utility
    if chosen is None:
        raise InputError("this pilot's utility was a function, which no document can hold: give it as utility=")
    return Goal(
        ObjectiveSpace(document["objectives"]),
        chosen,
        document["weights"] if utility is None else None,
        tuple(read_floor(one) for one in document["floors"]),
        document["cost"],
        document["costs"],
        document["least_gain"],
    )


def _array(values: Any, shape: tuple[int, ...], what: str) -> Floats:
    made = np.array(values, dtype=np.float64)
    if made.shape != shape or not np.isfinite(made).all():
        raise InputError(f"{what} must hold {' x '.join(map(str, shape))} finite numbers")
    return made
