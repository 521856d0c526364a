"""A pilot as plain values and back, to the last bit: sessions are restored by taking in their scores once more.

The document is described by the JSON Schema ``pilot.schema.json`` beside this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trimtab.control.floor import read_floor
from trimtab.control.goal import Goal, Utility
from trimtab.control.knowledge import Knowledge, named
from trimtab.control.live import MOST_ITERATIONS, PilotSession
from trimtab.control.situation import Policy
from trimtab.control.triggers import read_trigger
from trimtab.core.objectives import Direction, Objective, ObjectiveSpace
from trimtab.errors import InputError

if TYPE_CHECKING:
    from trimtab.control.pilot import Pilot

__all__ = ["SCHEMA", "json_schema", "pilot_from_dict", "pilot_to_dict"]

Floats = NDArray[np.float64]

SCHEMA = "trimtab.pilot/1"

_MOST = 1_000_000_000  # sessions opened
_LARGEST = 1e50
_ROUNDING = 1e-6


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document."""
    text = files("trimtab.control").joinpath("pilot.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


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
        "doubts": [*pilot.doubts],
        "prior": knowledge_to_dict(pilot.prior),
        "opened": pilot.opened,
        "ended": {str(index): sums.tolist() for index, sums in sorted(pilot.ledger.entries.items())},
        "known": totals,
        "running": running,
    }


def pilot_from_dict(document: Mapping[str, Any], policy: Policy | None, utility: Utility | None) -> Pilot:
    """Restore a pilot; ``InputError`` where the document is not one."""
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != SCHEMA:
        raise InputError(f"a document of schema {SCHEMA} is needed, but got {schema!r:.80}")
    try:
        return _restored(document, policy, utility)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, np.linalg.LinAlgError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"this is not a whole document {SCHEMA}: {type(error).__name__}: {error}") from error


def _restored(document: Mapping[str, Any], policy: Policy | None, utility: Utility | None) -> Pilot:
    from trimtab.control.pilot import Pilot

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
        document["memory"],
        document["seed"],
        tuple(str(doubt) for doubt in document.get("doubts", ())),
    )
    shape = prior.total.shape
    pilot.opened = _whole(document["opened"], _MOST, "opened")
    for index, sums in document["ended"].items():
        pilot.ledger.add(_whole(int(index), pilot.opened - 1, "ended"), _sums(sums, shape))
    _check(pilot.knowledge)
    totals = [_array(total, shape, "known") for total in document["known"]]
    taken = set()
    for one in document["running"]:
        known = prior.with_total(totals[_whole(one["known"], len(totals) - 1, "known")])
        session = PilotSession(pilot, one["key"], _whole(one["index"], pilot.opened - 1, "index"), _check(known))
        free = session.key not in pilot.sessions and session.index not in taken
        if not isinstance(session.key, str) or not session.key or not free:
            raise InputError(f"each running session needs a key and an index of its own, but got {session.key!r:.80}")
        taken.add(session.index)
        pilot.sessions[session.key] = session
        _resume(session, goal.space.names, one["scores"], one["strategies"], one["bases"])
    return pilot


def _resume(
    session: PilotSession, names: tuple[str, ...], scores: list[Any], strategies: list[Any], bases: list[Any]
) -> None:
    if not len(strategies) == len(bases) == max(len(scores) - 1, 0):
        raise InputError(
            f"{len(scores)} iterates were made in one step fewer, but there are {len(strategies)} strategies and "
            f"{len(bases)} bases"
        )
    if len(strategies) > MOST_ITERATIONS:
        raise InputError(f"a session has at most {MOST_ITERATIONS:,} iterations, but {session.key!r:.80} has more")
    for t, row in enumerate(scores):
        made = {} if t == 0 else {"strategy": strategies[t - 1], "base": bases[t - 1]}
        session.take(dict(zip(names, row, strict=True)), **made)
    if scores:
        session.settle()


def knowledge_to_dict(known: Knowledge) -> dict[str, Any]:
    """Return what is known as plain values."""
    return {"strategies": [*known.strategies], **{name: getattr(known, name).tolist() for name in _SHAPES}}


def knowledge_from_dict(document: Mapping[str, Any], space: ObjectiveSpace) -> Knowledge:
    """Restore what `knowledge_to_dict` wrote; ``InputError`` where it is no knowledge."""
    names = named(document["strategies"])
    n, K = space.n, len(names)
    sizes = {"n": n, "K": K, "p": 1 + 2 * n}
    arrays = {name: _array(document[name], tuple(sizes[s] for s in shape), name) for name, shape in _SHAPES.items()}
    spreads = np.concatenate([arrays["score_noise"], arrays["session_sd"].ravel()])
    if not (arrays["scale"] >= 1 / _LARGEST).all() or (spreads < 0).any():
        raise InputError("scale must be more than 0, and score_noise and session_sd at least 0")
    _no_square(arrays["start_covariance"][None], "start_covariance")
    _no_square(arrays["total"], "total")
    return _check(Knowledge(space, names, **arrays))


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
        ObjectiveSpace(_objective(**one) for one in document["objectives"]),
        chosen,
        document["weights"] if utility is None else None,
        tuple(read_floor(one) for one in document["floors"]),
        document["cost"],
        document["costs"],
        document["least_gain"],
    )


def _objective(name: str, low: float | None, high: float | None, direction: Direction) -> Objective:
    return Objective(name, -np.inf if low is None else low, np.inf if high is None else high, direction)


def _whole(value: Any, most: int, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise InputError(f"{what} must be a whole number from 0 to {most:,}, but got {value!r:.80}")
    return value


def _array(values: Any, shape: tuple[int, ...], what: str) -> Floats:
    made = np.array(values, dtype=np.float64)
    if made.shape != shape or not (np.abs(made) <= _LARGEST).all():
        raise InputError(f"{what} must hold {' x '.join(map(str, shape))} numbers, none beyond {_LARGEST:g}")
    return made


def _sums(values: Any, shape: tuple[int, ...]) -> Floats:
    made = _array(values, shape, "ended")
    _no_square(made, "ended")
    return made


def _no_square(matrices: Floats, what: str) -> None:
    """Raise unless matrices (K, p, p) are sums of squares, up to rounding."""
    size = np.abs(matrices).max(axis=(-1, -2), keepdims=True) + np.finfo(float).tiny
    scaled = matrices / size
    even = np.abs(scaled - scaled.swapaxes(-1, -2)).max() <= _ROUNDING
    if not even or np.linalg.eigvalsh(scaled).min() < -_ROUNDING:
        raise InputError(f"{what} must hold symmetric matrices without negative eigenvalues")


def _check(known: Knowledge) -> Knowledge:
    """Return what is known, if a drift follows from it."""
    with np.errstate(all="ignore"):
        mean = known.mean
    if not all(np.isfinite(part).all() for part in (mean.F, mean.c, mean.Q)):
        raise InputError("what is known must be of numbers from which a drift follows")
    return known
