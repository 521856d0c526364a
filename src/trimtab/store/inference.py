"""Which columns are objectives and on what scale, where the user does not say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import Objective
from trimtab.core.trajectories import Exclusion, Trajectories

__all__ = [
    "SCALES",
    "Choice",
    "assumed_scale",
    "choose_objectives",
    "has_bounds",
    "rescaled",
    "without_labels",
    "without_sparse",
]

SCALES = ((0.0, 1.0), (0.0, 10.0), (0.0, 100.0))
"""Scales tried in turn: the first that holds every value is assumed, and an open one where none does."""

_ENOUGH = 0.5
_FORCE = "name it with --objective (or objectives=) to use it all the same"
_FORCE_IMPORT = "name it with --objective (or objectives=) at the import to store it all the same"
_LABEL = "the same at every iteration of each session, so taken for a label"

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which candidates are kept, as positions in order, and what was left out and why."""

    kept: tuple[int, ...]
    exclusions: tuple[Exclusion, ...]


def choose_objectives(names: Sequence[str], scores: Floats, session: Ints, iteration: Ints, *, labels: bool) -> Choice:
    """Choose the objectives that can be analysed together.

    Left out in turn, unless nothing would be left: columns that never vary within a session (only with `labels`:
    they are labels of the session rather than scores); objectives never scored at two consecutive iterations, which
    inform no step; then the rarest, until at least half as many steps are complete as the best objective alone has.

    Parameters
    ----------
    names
        C candidates.
    scores
        (N, C), not-a-number where missing, ordered by session and iteration.
    session, iteration
        (N,)
    labels
        True where any numeric column is a candidate, false where the source declares its scores.
    """
    ok = np.isfinite(scores)
    consecutive = (session[1:] == session[:-1]) & (iteration[1:] - iteration[:-1] == 1)
    both = ok[1:] & ok[:-1] & consecutive[:, None]
    steps = both.sum(axis=0)
    kept = list(range(len(names)))
    found: list[Exclusion] = []

    def leave_out(dropped: Sequence[int], reason: str) -> None:
        if not dropped or len(dropped) == len(kept):
            return
        found.append(Exclusion(f"{reason}; {_FORCE}", len(dropped), "objectives", tuple(names[c] for c in dropped)))
        for c in dropped:
            kept.remove(c)

    if labels:
        leave_out([c for c in kept if _constant_within(scores[:, c], session)], _LABEL)
    leave_out([c for c in kept if not steps[c]], "never scored at two consecutive iterations, so it informs no step")

    best = max((int(steps[c]) for c in kept), default=0)
    rarest: list[int] = []
    while len(kept) - len(rarest) > 1:
        left = [c for c in kept if c not in rarest]
        complete = int(both[:, left].all(axis=1).sum())
        if complete >= _ENOUGH * best:
            break
        rarest.append(min(left, key=lambda c: (steps[c], -c)))
    leave_out(
        rarest,
        f"scored too rarely beside the others: with it fewer than half of the {best:,} steps would be complete",
    )
    return Choice(tuple(kept), tuple(found))


def without_labels(names: Sequence[str], scores: Floats, session: Ints) -> Choice:
    """Leave out only the columns that `choose_objectives` takes for labels: what a store keeps of a wide table."""
    labels = [c for c in range(len(names)) if _constant_within(scores[:, c], session)]
    if not labels or len(labels) == len(names):
        return Choice(tuple(range(len(names))), ())
    kept = tuple(c for c in range(len(names)) if c not in labels)
    shown = tuple(names[c] for c in labels)
    return Choice(kept, (Exclusion(f"{_LABEL}; {_FORCE_IMPORT}", len(labels), "objectives", shown),))


def without_sparse(trajectories: Trajectories) -> Trajectories:
    """Return the objectives that `choose_objectives` keeps, and count the others among the exclusions."""
    names = trajectories.space.names
    choice = choose_objectives(names, trajectories.scores, trajectories.session, trajectories.iteration, labels=False)
    if len(choice.kept) == len(names):
        return trajectories
    kept = trajectories.select(objectives=[names[c] for c in choice.kept])
    return replace(kept, exclusions=(*kept.exclusions, *choice.exclusions))


def has_bounds(objective: str | Objective) -> bool:
    """Tell whether the caller gave a scale: always in an `Objective`, and in text where it holds LOW:HIGH.

    >>> has_bounds("latency:0:30:min"), has_bounds("latency:min"), has_bounds("latency")
    (True, False, False)
    """
    if isinstance(objective, Objective):
        return True
    rest = objective.split(":")[1:]
    return len(rest) > 1 or (len(rest) == 1 and rest[0] not in ("min", "max"))


def rescaled(known: Objective, asked: str | Objective) -> Objective:
    """Return what was asked for, on the scale of `known` where no other was given, in its direction likewise."""
    if isinstance(asked, Objective):
        return asked
    said = Objective.parse(asked)
    if has_bounds(asked):
        return said
    return replace(known, direction=said.direction) if ":" in asked else known


def _constant_within(values: Floats, session: Ints) -> bool:
    at = np.flatnonzero(np.isfinite(values))
    same = session[at[1:]] == session[at[:-1]]
    return bool(same.any()) and not bool(np.any(same & (values[at[1:]] != values[at[:-1]])))


def assumed_scale(name: str, values: Floats) -> Objective:
    """Return an objective that is better when higher, on the first of `SCALES` that holds all finite `values`."""
    finite = values[np.isfinite(values)]
    if len(finite):
        low, high = float(finite.min()), float(finite.max())
        for start, end in SCALES:
            if start <= low and high <= end:
                return Objective(name, start, end)
    return Objective(name, -math.inf, math.inf)
