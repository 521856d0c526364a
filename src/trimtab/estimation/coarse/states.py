"""The joint states of objectives with few levels, and the states in which sessions end or stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps, Trajectories
from trimtab.estimation.coarse.levels import LISTED, MOST_STATES, Cells

__all__ = ["States", "states_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STEPS_PER_STATE = 3
"""Steps per state below which it is not: as many levels as scores are no levels."""

MOSTLY = 0.1
"""Share of the steps that may start from or arrive in lumped states: what is seen once or twice is no level either."""

BY_CHANCE = 0.01
"""Probability below which it is no chance that a state is always followed by the end, or never left."""

RARE = 5
"""Steps from a state below which it is lumped with the other such states: nothing can be said of each."""

_ENDS = 3  # sessions that must end in a state before that can be by design
_STAYS = 20  # steps from a state before "never left" means something


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """The joint states of the objectives on a few levels, as the steps visit them.

    Parameters
    ----------
    objectives
        Indices of those objectives (m of n) that vary and have few levels: all that vary if they have at most
        `MOST_STATES` joint states, otherwise those with at most `LISTED` levels each.
    values
        (K, m) their scores in each state.
    group
        (K,) state of the chain to which each belongs: one of its own, or the last one for all that are rare.
    origin, arrival
        (M,) state before and after each step.
    by_design, never_left
        (G,) states of the chain that end a session, so that it never went on from one; and those from which steps start
        and none leads away.
    complete
        True where the states tell everything that varies.
    """

    objectives: Ints
    values: Floats
    group: Ints
    origin: Ints
    arrival: Ints
    by_design: Bools
    never_left: Bools
    complete: bool

    @property
    def groups(self) -> int:
        """Number G of the chain's states."""
        return int(self.group.max()) + 1


def states_of(trajectories: Trajectories, steps: Steps, rows: Bools, cells: Cells) -> States | None:
    """Return the joint states, or None where they are too many, or nothing changes on them.

    Parameters
    ----------
    rows
        (N,) the rows of `trajectories` that the strategy produced or started from.
    """
    count = cells.count
    varying = np.flatnonzero(count > 1)
    both = np.concatenate([steps.x, steps.x + steps.dx])
    known = np.isfinite(trajectories.scores)
    for objectives in (varying, varying[count[varying] <= LISTED]):
        if not len(objectives) or count[objectives].max() > MOST_STATES:
            continue
        own = rows & known[:, objectives].all(axis=1)
        ends, visited = cells.codes(both, objectives), cells.codes(trajectories.scores[own], objectives)
        labelled = _joint(ends, visited, count[objectives], len(steps) // STEPS_PER_STATE)
        if labelled is not None:
            break
    else:
        return None
    levels, state, at_row = labelled
    origin, arrival = state[: len(steps)], state[len(steps) :]
    if not (origin != arrival).any():
        return None
    values = np.stack([cells.levels[j][levels[:, i]] for i, j in enumerate(objectives)], axis=1)
    by_design, never_left = _ends(trajectories, own, at_row, len(values)), _stays(origin, arrival, len(values))
    group, first = _groups(np.bincount(origin, minlength=len(values)) < RARE, by_design | never_left)
    if np.isin(group, group[np.bincount(group)[group] > 1])[np.stack([origin, arrival])].any(axis=0).mean() > MOSTLY:
        return None
    return States(
        objectives=objectives,
        values=values,
        group=group,
        origin=origin,
        arrival=arrival,
        by_design=by_design[first],
        never_left=never_left[first],
        complete=len(objectives) == len(varying),
    )


def _joint(codes: Ints, rows: Ints, count: Ints, most: int) -> tuple[Ints, Ints, Ints] | None:
    """Return numbered combinations of `codes` (2M, m); None where they are more than `most` or `MOST_STATES`.

    That is: the codes of each combination (K, m), the combination of each row of `codes`, and that of each row of
    `rows`, which is -1 where `codes` does not have it.
    """
    most = min(most, MOST_STATES)
    label, other = np.zeros(len(codes), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    levels = np.zeros((1, 0), dtype=np.int64)
    for j, k in enumerate(count):
        label = label * k + codes[:, j]
        there = np.bincount(label, minlength=len(levels) * k) > 0
        if there.sum() > most:
            return None
        number = np.where(there, np.cumsum(there) - 1, -1)
        label = number[label]
        other = np.where(other >= 0, number[np.maximum(other, 0) * k + rows[:, j]], -1)
        found = np.flatnonzero(there)
        levels = np.column_stack([levels[found // k], found % k])
    return levels, label, other


def _groups(rare: Bools, absorbing: Bools) -> tuple[Ints, Ints]:
    """Return the group of each state (K,), rare ones not absorbing lumped last, and a member of each group (G,)."""
    rare = rare & ~absorbing
    if rare.sum() < 2 or not (~rare & ~absorbing).any():
        return np.arange(len(rare)), np.arange(len(rare))
    own = np.flatnonzero(~rare)
    group = np.full(len(rare), len(own))
    group[own] = np.arange(len(own))
    return group, np.append(own, np.flatnonzero(rare)[0])


def _ends(trajectories: Trajectories, rows: Bools, state: Ints, states: int) -> Bools:
    """Say which states end a session by design, (states,).

    A state does if its every occurrence is a session's last iteration, in at least `_ENDS` sessions, and that is no
    chance: with h_t the share of the other rows at iteration t that are their session's last, one added to both counts,
    the product of h_t over the occurrences is below `BY_CHANCE`. Sessions of one fixed length end in any state.
    """
    last = np.zeros(trajectories.n_rows, dtype=bool)
    last[trajectories.offsets[1:] - 1] = True
    last, iteration = last[rows], trajectories.iteration[rows]
    _, t = np.unique(iteration, return_inverse=True)
    by_design = np.zeros(states, dtype=bool)
    for s in range(states):
        own = state == s
        if own.sum() < _ENDS or not last[own].all():
            continue
        others = np.bincount(t[~own], minlength=t.max() + 1)
        ended = np.bincount(t[~own], last[~own], minlength=t.max() + 1)
        hazard = (ended + 1) / (others + 1)
        by_design[s] = np.log(hazard[t[own]]).sum() < np.log(BY_CHANCE)
    return by_design


def _stays(origin: Ints, arrival: Ints, states: int) -> Bools:
    """Say which states are never left, (states,), in enough steps for that to be no chance."""
    tried = np.bincount(origin, minlength=states)
    left = np.bincount(origin, origin != arrival, minlength=states)
    never = (tried >= _STAYS) & (left == 0)
    others = tried[~never].sum()
    share = left.sum() / others if others else 0.0
    chance = tried * np.log1p(-min(share, 1 - 1e-9))
    return np.asarray(never & (chance < np.log(BY_CHANCE)))
