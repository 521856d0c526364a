"""What a reader of one strategy's fit must be warned of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.counting import are, count_of
from trimtab.core.trajectories import FAILED, OK, Trajectories
from trimtab.estimation import least_squares as ls
from trimtab.estimation.moments import AnyMoments
from trimtab.estimation.spectral import NO_MEMORY, SECOND_LAG

__all__ = ["CANNOT_IDENTIFY", "Design", "at_bound", "cautions", "rows_of", "too_few_steps"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CANNOT_IDENTIFY = "the steps cannot identify the dynamics"

BOUND_SHARE = 0.02
"""Share of scores at a bound from which on clipping is known to distort the fit."""

LOST_SHARE = 0.01
"""Share of bootstrap replicates without enough variation from which on it is said."""


@dataclass(frozen=True, slots=True)
class Design:
    """What a set of steps can identify.

    Parameters
    ----------
    enough
        False where there are too few steps for any regression.
    active
        (n,) objectives that explain steps: neither constant nor redundant.
    constant, redundant
        Indices of objectives that are the same at the start of every step, and of exact linear combinations of others.
    """

    enough: bool
    active: Bools
    constant: Ints
    redundant: Ints

    @property
    def identified(self) -> bool:
        """True where A and b of the active objectives are determined."""
        return self.enough and bool(self.active.any())

    @classmethod
    def of(cls, moments: AnyMoments) -> Design:
        """Return what `moments` can identify."""
        if moments.n_steps <= moments.n + 1:
            none = np.empty(0, dtype=np.int64)
            return cls(False, np.zeros(moments.n, dtype=bool), none, none)
        varying, active = ls.varying_objectives(moments.total), ls.independent_objectives(moments.total)
        return cls(True, active, np.flatnonzero(~varying), np.flatnonzero(varying & ~active))


def rows_of(trajectories: Trajectories, code: int | None) -> Bools:
    """Say which rows a strategy produced or started from, (N,); all of them for None."""
    if code is None:
        return np.ones(trajectories.n_rows, dtype=bool)
    own = trajectories.strategy == code
    before = np.zeros_like(own)
    before[:-1] = own[1:]
    before[trajectories.offsets[1:] - 1] = False
    return np.asarray(own | before)


def at_bound(trajectories: Trajectories, rows: Bools) -> Floats:
    """Return the share of the known scores in `rows` that lie at or beyond a bound, (n,); nan where none is known."""
    edge, count = np.zeros(trajectories.space.n), np.zeros(trajectories.space.n)
    for first, last in trajectories.blocks():
        block = slice(int(trajectories.offsets[first]), int(trajectories.offsets[last]))
        scores, known = trajectories.scores[block], (trajectories.status[block] == OK) & rows[block, None]
        edge += (known & ((scores <= trajectories.space.low) | (scores >= trajectories.space.high))).sum(axis=0)
        count += known.sum(axis=0)
    return np.where(count > 0, edge / np.maximum(count, 1), np.nan)


def too_few_steps(n: int, steps: int, which: str = "complete steps") -> str:
    """Say that n objectives need more steps than there are: each equation has n + 1 unknowns and leaves a residual."""
    return f"{count_of(n, 'objective')} need{'s' * (n == 1)} at least {n + 2} {which}, but there {are(steps)}"


def cautions(
    trajectories: Trajectories,
    sessions: Ints,
    rows: Bools,
    moments: AnyMoments,
    design: Design,
    memory: float,
    second_lag: float,
    lost: float,
) -> tuple[str, ...]:
    """Return the warnings, one sentence each.

    Parameters
    ----------
    sessions, rows
        Sessions (indices) whose ends count as the strategy's, and the rows (N,) it produced or started from.
    memory, second_lag
        p-values of the two tests in `memory`.
    lost
        Share of bootstrap replicates in which not every active objective varied.
    """
    names, n = trajectories.space.names, moments.n
    if not design.enough:
        return (f"{CANNOT_IDENTIFY}: {too_few_steps(n, moments.n_steps)}",)
    found = [*_identification(names, design), *_sessions(moments, design, memory)]
    if memory >= NO_MEMORY:
        found.append(
            f"no memory found (p = {memory:.2f}): nothing shows that the next score depends on the present one; "
            "where the same quality is scored again and again with noise, the rate and regime describe the noise"
        )
    elif second_lag < SECOND_LAG:
        found.append(
            f"the score before last matters too (p {_p(second_lag)}): sessions differ in level for good, or scores are "
            "noisy; lasting differences make the rate too slow, noise makes it too fast"
        )
    if lost > LOST_SHARE:
        found.append(
            f"{lost:.0%} of the bootstrap replicates lack variation in some objective and are left out: it varies in "
            "too few sessions for reliable intervals"
        )
    shares = at_bound(trajectories, rows)
    at = [f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True) if share > BOUND_SHARE]
    if at:
        found.append(f"scores sit at a bound ({', '.join(at)}), which distorts rates and regimes")
    return (*found, *_shapes(trajectories, sessions, rows))


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _identification(names: tuple[str, ...], design: Design) -> list[str]:
    if len(design.constant) == len(names):
        return [f"{CANNOT_IDENTIFY}: every step starts from the same scores"]
    found = []
    if len(design.constant):
        listed = ", ".join(names[j] for j in design.constant)
        found.append(f"the same at the start of every step, and left out of the dynamics: {listed}")
    if len(design.redundant):
        listed = ", ".join(names[j] for j in design.redundant)
        found.append(f"exact combinations of the objectives before them, and left out of the dynamics: {listed}")
    return found


def _sessions(moments: AnyMoments, design: Design, memory: float) -> list[str]:
    if moments.n_sessions < 2:
        return ["only one session: no intervals, no held-out figures, no regime; sessions are what is resampled"]
    if not design.identified:
        return []
    if np.isnan(memory):
        needed = int(design.active.sum()) + 3
        return [
            f"only {moments.n_sessions} sessions: whether there is any memory at all, and so which regime, can be said "
            f"from {needed} on; intervals are rough below about 20"
        ]
    if moments.n_sessions < 20:
        return [f"only {moments.n_sessions} sessions: intervals are rough below about 20"]
    return []


def _shapes(trajectories: Trajectories, sessions: Ints, rows: Bools) -> list[str]:
    found = []
    lengths = trajectories.lengths[sessions]
    if len(lengths) and lengths.min() != lengths.max():
        found.append(
            f"sessions differ in length ({lengths.min()} to {lengths.max()} iterations): if they stop when they are "
            "good enough, the late iterations show the hard cases, and means and equilibrium speak of different ones"
        )
    changed = np.zeros(trajectories.n_rows, dtype=bool)
    changed[1:] = trajectories.strategy[1:] != trajectories.strategy[:-1]
    # The row at t = 0 carries the session's own strategy, so a change after it is a switch.
    changed[trajectories.offsets[:-1]] = False
    if np.logical_or.reduceat(changed, trajectories.offsets[:-1])[sessions].any():
        found.append(
            "some sessions switch strategy midway: their start and end levels, Pareto efficiency and hypervolume count "
            "for the strategy in force at their end"
        )
    failed = int(((trajectories.status == FAILED).any(axis=1) & rows).sum())
    if failed:
        noun = "iteration" if failed == 1 else "iterations"
        found.append(f"{failed:,} {noun} failed: the steps from and to them are lost")
    return found
