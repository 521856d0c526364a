"""What is known before the first step, and the sums that later steps add to it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Steps, Trajectories
from trimtab.errors import FitError, InputError
from trimtab.estimation.conjugate.law import Parts, parts, score_sizes
from trimtab.estimation.moments import session_moments

__all__ = ["WEIGHT", "Evidence", "Prior", "degrees_of", "law_of", "number", "space_of"]

Floats = NDArray[np.float64]

WEIGHT = 0.01
"""What the weak prior weighs in the drift, in steps that lie one unit from the middle of the scale."""

_SPREAD = 0.25  # prior mean of Q, in squared units
_TENTHS = 10.0  # units in an objective's range

MOST = 30
"""Objectives up to which the sums over sessions, of the order n^4, stay small."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Sums over steps and sessions; all of them add up, and fade together.

    Parameters
    ----------
    total
        (1 + 2n, 1 + 2n) sum of w w', w = [1, u, dx / scale], u = (x - center) / scale.
    second
        (k, 1 + 2n, k, 1 + 2n) sum of m m' over finished sessions, m being the first k = 1 + n rows of a session's sum.
    sessions
        Number of sessions.
    sizes, squares
        (n,) sums over finished sessions of their squared scores, and of the squares of these.
    """

    total: Floats
    second: Floats
    sessions: float
    sizes: Floats
    squares: Floats

    @classmethod
    def none(cls, n: int) -> Evidence:
        """Return sums over nothing."""
        k, p = 1 + n, 1 + 2 * n
        return cls(np.zeros((p, p)), np.zeros((k, p, k, p)), 0.0, np.zeros(n), np.zeros(n))

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(*(getattr(self, name) + getattr(other, name) for name in _SUMS))

    def __mul__(self, factor: float) -> Evidence:
        return Evidence(*(getattr(self, name) * factor for name in _SUMS))

    def with_step(self, product: Floats, new: bool) -> Evidence:
        """Return these sums with one step's w w' added, which starts a session or not."""
        return Evidence(self.total + product, self.second, self.sessions + new, self.sizes, self.squares)

    def with_finished(self, moments: Floats, law: Parts) -> Evidence:
        """Return these sums with the scores of sessions added whose steps are in `total` already.

        Parameters
        ----------
        moments
            (S, k, 1 + 2n) the first k rows of each session's sum.
        law
            From which the sizes of the scores are told, now and for good.
        """
        sizes = score_sizes(moments, law)
        second = self.second + np.einsum("sia,sjb->iajb", moments, moments, optimize=True)
        return Evidence(
            self.total, second, self.sessions, self.sizes + sizes.sum(axis=0), self.squares + (sizes**2).sum(axis=0)
        )

    def with_steps(self, steps: Steps, prior: Prior) -> Evidence:
        """Return these sums with whole sessions added."""
        moments = session_moments(steps, prior.center, prior.scale)
        seen = Evidence(
            self.total + moments.total, self.second, self.sessions + moments.n_sessions, self.sizes, self.squares
        )
        return seen.with_finished(moments.outer[:, : 1 + prior.n], law_of(prior.total + seen.total))


_SUMS = ("total", "second", "sessions", "sizes", "squares")


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What is assumed before the first step.

    In units u = (x - center) / scale, with B = [b, A]' dt in these units (matrix-normal inverse-Wishart)::

        Q ~ IW(I / 4, n + 2),    B | Q ~ MN(0, 100 I, Q)

    so that E[Q] = I / 4, and the drift is zero give or take five units at the middle of the scale, and as much more per
    unit away from it. The first of these weighs n + 2 steps in Q, the other 0.01 steps in the drift.

    Parameters
    ----------
    names
        Of the n objectives.
    center, scale
        (n,): the middle and a tenth of each objective's range.
    evidence
        Of earlier sessions; `Evidence.none` for the weak prior alone.
    """

    names: tuple[str, ...]
    center: Floats
    scale: Floats
    evidence: Evidence
    total: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MOST:
            raise InputError(f"from 1 to {MOST} objectives are possible, but got {self.n}")
        weak = np.concatenate([np.full(1 + self.n, WEIGHT), np.full(self.n, _SPREAD)])
        object.__setattr__(self, "total", np.diag(weak) + self.evidence.total)

    @classmethod
    def weak(cls, objectives: int | ObjectiveSpace | Iterable[str]) -> Prior:
        """Return the weak prior.

        Parameters
        ----------
        objectives
            Their number, for scales from 0 to 10, or the objectives themselves, ``NAME[:LOW:HIGH][:min|max]``.

        Raises
        ------
        InputError
            If an objective's scale is open, so that nothing says how large a step may be.
        """
        space = space_of(objectives)
        open_ended = [o.name for o in space if not o.bounded]
        if open_ended:
            raise InputError(
                f"the weak prior needs to know the range of every objective, but {', '.join(open_ended)} has an open "
                "scale: give bounds such as latency:0:30, or a prior from earlier sessions with Prior.empirical"
            )
        return cls(
            space.names, (space.low + space.high) / 2, (space.high - space.low) / _TENTHS, Evidence.none(space.n)
        )

    @classmethod
    def empirical(cls, source: Any, strategy: str | None = None, *, sessions: float = 10.0) -> Prior:
        """Return the weak prior with earlier sessions added, weighed as if there had been `sessions` of them.

        Parameters
        ----------
        source
            A `Fit` or `Trajectories`.
        strategy
            Its strategy to learn from; all steps if None.
        sessions
            Weight. Where the earlier sessions are fewer, they still weigh that much.

        An objective whose scale is open counts its mean as the middle, and ten standard deviations as the range.
        """
        trajectories = getattr(source, "trajectories", source)
        if not isinstance(trajectories, Trajectories):
            raise InputError(f"an empirical prior needs a fit or trajectories, but got {type(source).__name__}")
        weight = number(sessions, "the weight of an empirical prior, in sessions,", least=0)
        steps = trajectories.steps()
        if strategy is not None:
            if strategy not in trajectories.strategies:
                raise InputError(f"no strategy is called {strategy!r}; there are {', '.join(trajectories.strategies)}")
            steps = steps.where(steps.strategy == trajectories.strategies.index(strategy))
        if not len(steps):
            raise FitError("an empirical prior needs at least one complete step, but there is none")
        space = trajectories.space
        bounded = np.array([o.bounded for o in space])
        spread = steps.x.std(axis=0)
        low, high = (np.where(bounded, edge, 0.0) for edge in (space.low, space.high))
        center = np.where(bounded, (low + high) / 2, steps.x.mean(axis=0))
        scale = np.where(bounded, (high - low) / _TENTHS, np.where(spread > 0, spread, 1.0))
        nothing = Evidence.none(space.n)
        learnt = nothing.with_steps(steps, cls(space.names, center, scale, nothing))
        return cls(space.names, center, scale, learnt * (weight / learnt.sessions))

    @property
    def n(self) -> int:
        """Number of objectives."""
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Prior)
            and self.names == other.names
            and all(
                np.array_equal(mine, theirs)
                for mine, theirs in (
                    (self.center, other.center),
                    (self.scale, other.scale),
                    (self.total, other.total),
                    (self.evidence.second, other.evidence.second),
                )
            )
        )


def degrees_of(total: Floats) -> float:
    """Return nu for the natural parameter T: n + 2, and one more for each step."""
    return float(total[0, 0]) - WEIGHT + len(total) // 2 + 2


def law_of(total: Floats) -> Parts:
    """Return the law with the natural parameter T."""
    return parts(total, degrees_of(total))


def space_of(objectives: int | ObjectiveSpace | Iterable[str]) -> ObjectiveSpace:
    """Return the objectives meant; a number stands for that many from 0 to 10."""
    if isinstance(objectives, ObjectiveSpace):
        return objectives
    if isinstance(objectives, int):
        return ObjectiveSpace(f"objective {j + 1}" for j in range(min(objectives, MOST + 1)))
    if isinstance(objectives, str):
        return ObjectiveSpace([objectives])
    return ObjectiveSpace(objectives)


def number(value: Any, what: str, *, least: float = -math.inf) -> float:
    """Return `value` as a finite float above `least`; ``InputError`` otherwise."""
    try:
        got = float(value)
    except (TypeError, ValueError):
        got = math.nan
    if not math.isfinite(got) or got <= least:
        above = "" if least == -math.inf else f" above {least:g}"
        raise InputError(f"{what} must be a finite number{above}, but got {value!r}")
    return got
