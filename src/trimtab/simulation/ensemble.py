"""Ensembles of paths: `simulate` and what it returns."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from trimtab.core.counting import count_of
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import OK, Trajectories
from trimtab.errors import InputError
from trimtab.simulation.moments import Moments, MomentSums
from trimtab.simulation.plan import Plan, Policy, make_plan
from trimtab.simulation.walk import Walk

__all__ = ["Ensemble", "simulate"]

Array = NDArray[Any]
T = TypeVar("T")

KEEPS = ("final", "all", "moments")

_BLOCK = 24_576  # states of a block, so that these and four steps of noise stay in the second cache
_SUMMARY_BLOCK = 2**21  # states, over all iterations, of a block that a summary is given
_WINDOW = 8  # iterations that are looked at together


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ensemble:
    """Paths of a model, or what was kept of them.

    Parameters
    ----------
    states
        (paths, n) last states with ``keep="final"``; (paths, steps + 1, n), the starts included, with ``keep="all"``.
    moments
        Moments of every iteration with ``keep="moments"``.
    summary
        Sum of what a function given as `keep` returned.
    strategies
        Names of the models.
    strategy
        Code into `strategies` of the model each step was by: (steps,), or (paths, steps) with a policy and
        ``keep="all"``; None with a policy where paths are not kept.
    dt
        Time between iterations.
    """

    paths: int
    steps: int
    dt: float
    seed: int
    strategies: tuple[str, ...]
    strategy: NDArray[np.integer[Any]] | None
    states: Array | None = None
    moments: Moments | None = None
    summary: Any = None
    space: ObjectiveSpace | None = None

    def __repr__(self) -> str:
        kept = [name for name in ("states", "moments", "summary") if getattr(self, name) is not None]
        return (
            f"Ensemble of {count_of(self.paths, 'path')} of {count_of(self.steps, 'step')} by "
            f"{', '.join(self.strategies)}: {', '.join(kept)}"
        )

    def trajectories(self, objectives: Any = None) -> Trajectories:
        """Return the paths as sessions ``p0``, ``p1``, ... of a `Trajectories`.

        Parameters
        ----------
        objectives
            The space, or objectives in the form ``NAME[:LOW:HIGH][:min|max]``. Not needed where the bounds of the
            simulation were an `ObjectiveSpace`.

        Raises
        ------
        InputError
            If paths were not kept, objectives are missing or of the wrong number, or a path left all numbers.
        """
        if self.states is None or self.states.ndim != 3:
            raise InputError("trajectories need all states: simulate with keep='all'")
        given = self.space if objectives is None else objectives
        if given is None:
            raise InputError("trajectories need names of objectives, but none were given")
        space = given if isinstance(given, ObjectiveSpace) else ObjectiveSpace(given)
        rows, n = self.steps + 1, self.states.shape[2]
        if space.n != n:
            raise InputError(f"the paths have {n} objectives, but {space.n} were named")
        scores = self.states.reshape(-1, n).astype(np.float64)
        if not np.isfinite(scores).all():
            raise InputError("a path left all numbers: the model is unstable. Give bounds, or fewer steps")
        steps = np.broadcast_to(np.asarray(self.strategy, dtype=np.int64), (self.paths, self.steps))
        return Trajectories(
            space=space,
            scores=scores,
            status=np.full(scores.shape, OK, dtype=np.int8),
            iteration=np.tile(np.arange(rows), self.paths),
            # The starting artefact was produced by no strategy: it is counted with the first.
            strategy=np.concatenate([steps[:, :1], steps], axis=1).ravel(),
            offsets=np.arange(self.paths + 1) * rows,
            session_ids=tuple(f"p{p}" for p in range(self.paths)),
            strategies=self.strategies,
        )


def simulate(
    model: Any,
    x0: Any,
    steps: int,
    paths: int | None = None,
    seed: int = 0,
    dt: float | None = None,
    bounds: Any = None,
    *,
    at_bounds: str = "clip",
    substeps: int = 1,
    scheme: str = "euler",
    schedule: Any = None,
    policy: Policy | None = None,
    score_noise: Any = None,
    keep: str | Callable[[Array], Any] = "final",
    dtype: DTypeLike = np.float64,
    threads: int | None = None,
    backend: str = "auto",
) -> Ensemble:
    """Simulate an ensemble of independent paths.

    Each path goes through ``steps * substeps`` steps of length h = dt / substeps::

        x' = bounded(x + (A x + b) h + w),    w ~ N(0, Q h / model.dt)    (paper, eq. 2)

    Noise is a pure function of (seed, path, step, component): results depend neither on the number of threads nor on
    how paths are divided among them, and the first paths stay the same when more are asked for. Two models simulated
    with one seed meet the same noise.

    Parameters
    ----------
    model
        An `AffineSDE` or `NonlinearSDE`; a sequence of them, one for each step; or a mapping from names of strategies
        to them, with `schedule` or `policy`.
    x0
        Start of all paths, (n,), or of each, (paths, n).
    steps
        Number of iterations.
    paths
        Number of paths; that of the starts if not given.
    seed
        Any integer.
    dt
        Time between iterations, the model's own if not given. `AffineSDE.Q` is the covariance that one iteration of
        the model's own dt adds; sigma sigma' = Q / model.dt is what an iteration of another length is made of.
    bounds
        (low, high), numbers or (n,) each, or an `ObjectiveSpace`; None for none. They are kept at every step of length
        h, noise first and then the bound, so that they are part of the model: their effect depends on h.
    at_bounds
        ``"clip"`` to the bound, ``"reflect"`` at it, or ``"none"``.
    substeps
        Number of equal steps that make an iteration. Only states at iterations are returned, and strategies change
        only there.
    scheme
        ``"euler"``, the loop itself, which is also the Euler-Maruyama scheme of the continuous-time equation; or
        ``"exact"``, that equation's own transition over h, for affine models (see `transitions.one_step`).
    schedule
        Name of the strategy of each step, (steps,).
    policy
        Function of (t, block) that returns which strategy each path goes on by from t: the position of its name in the
        mapping, (paths of the block,), or one number for all. The block, (n, paths of the block), is what is seen of
        the states, score noise included. The function is called in several threads, for blocks whose division is of
        no meaning: it must treat each path by itself.
    score_noise
        R, variances (n,) or covariance (n, n), of independent normal noise on everything that is returned or shown to
        the policy, the starts included, after the bounds. The paths themselves never meet it.
    keep
        ``"final"``: the last states. ``"all"``: all states. ``"moments"``: mean, covariance and lag-1 autocovariance
        of every iteration, without storing paths. Or a function of a block of states (n, paths of the block,
        steps + 1) that returns something that can be added: a number, an array, a list, or a dict of these, added
        value by value. Blocks are added in the order of their paths, and their division depends on n and steps alone.
    dtype
        ``float64``, or ``float32``: half the memory, and less time. The noise is the same to rounding.
    threads
        How many threads work on blocks of paths; as many as there are processors if not given.
    backend
        ``"numba"``, ``"numpy"``, or ``"auto"``: Numba if it is installed (``trimtab[fast]``). Compiling takes some
        seconds once, and is kept on disk. Both give the same numbers to rounding.

    Raises
    ------
    InputError
        If something given is not as described.

    Examples
    --------
    >>> from trimtab.dynamics.affine import AffineSDE
    >>> model = AffineSDE([[-0.5]], [2.5], [[0.1]])
    >>> few, many = (simulate(model, [2.0], 10, paths, seed=1, backend="numpy").states for paths in (3, 500))
    >>> bool((few == many[:3]).all())
    True
    """
    if not callable(keep) and keep not in KEEPS:
        raise InputError(f"keep must be one of {', '.join(map(repr, KEEPS))} or a function of states, but got {keep!r}")
    plan = make_plan(
        model, x0, steps, paths, seed, dt=dt, substeps=substeps, scheme=scheme, bounds=bounds, at_bounds=at_bounds,
        schedule=schedule, policy=policy, score_noise=score_noise, dtype=dtype, backend=backend,
    )  # fmt: skip
    workers = _processors() if threads is None else threads
    if workers < 1:
        raise InputError(f"threads must be 1 or more, but got {threads}")
    ensemble = partial(
        Ensemble,
        paths=plan.paths,
        steps=plan.steps,
        dt=plan.h * plan.substeps,
        seed=seed,
        strategies=plan.names,
        space=bounds if isinstance(bounds, ObjectiveSpace) else None,
    )
    if callable(keep):
        return ensemble(strategy=plan.codes, summary=_summary(plan, keep, workers))
    if keep == "moments":
        return ensemble(strategy=plan.codes, moments=_moments(plan, workers))
    if keep == "final":
        return ensemble(strategy=plan.codes, states=_final(plan, workers))
    states, taken = _all(plan, workers)
    return ensemble(strategy=plan.codes if taken is None else taken, states=states)


def _final(plan: Plan, threads: int) -> Array:
    states = np.empty((plan.paths, plan.n), plan.dtype)

    def work(first: int, size: int) -> None:
        walk = Walk(plan, first, size)
        out = states[first : first + size].T[None]
        walk.go(plan.steps, out)
        walk.observe(out, plan.steps)

    for _ in _in_order(work, _blocks(plan), threads):
        pass
    return states


def _all(plan: Plan, threads: int) -> tuple[Array, NDArray[np.int16] | None]:
    states = np.empty((plan.paths, plan.steps + 1, plan.n), plan.dtype)
    taken = np.empty((plan.paths, plan.steps), np.int16) if plan.codes is None else None

    def work(first: int, size: int) -> None:
        own = slice(first, first + size)
        out = states[own].transpose(1, 2, 0)
        walk = Walk(plan, first, size)
        out[0] = walk.state
        walk.go(plan.steps, out[1:], None if taken is None else taken[own].T)
        walk.observe(out, 0)

    for _ in _in_order(work, _blocks(plan), threads):
        pass
    return states, taken


def _moments(plan: Plan, threads: int) -> Moments:
    def work(first: int, size: int) -> MomentSums:
        sums = MomentSums(plan.steps, plan.n)
        walk = Walk(plan, first, size)
        window = np.empty((_WINDOW + 1, plan.n, size), plan.dtype)
        window[0] = walk.state
        walk.observe(window[:1], 0)
        while walk.t < plan.steps:
            t = walk.t
            records = min(_WINDOW, plan.steps - t)
            walk.go(records, window[1 : records + 1])
            walk.observe(window[1 : records + 1], t + 1)
            sums.look_at(t, window[: records + 1])
            window[0] = window[records]
        return sums

    total = MomentSums(plan.steps, plan.n)
    for part in _in_order(work, _blocks(plan), threads):
        total.merge(part)
    return total.moments()


def _summary(plan: Plan, summary: Callable[[Array], Any], threads: int) -> Any:
    def work(first: int, size: int) -> Any:
        walk = Walk(plan, first, size)
        states = np.empty((plan.steps + 1, plan.n, size), plan.dtype)
        states[0] = walk.state
        walk.go(plan.steps, states[1:])
        walk.observe(states, 0)
        return summary(states.transpose(1, 2, 0))

    most = max(1, _SUMMARY_BLOCK // ((plan.steps + 1) * plan.n))
    parts = _in_order(work, _blocks(plan, most), threads)
    total = next(parts)
    for part in parts:
        total = {name: total[name] + part[name] for name in total} if isinstance(total, dict) else total + part
    return total


def _blocks(plan: Plan, most: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield first path and size of each block; a power of two that depends neither on paths nor on threads."""
    size = min(8192, 1 << max(8, (_BLOCK // plan.n).bit_length() - 1))
    if most is not None:
        size = min(size, 1 << (most.bit_length() - 1))
    for first in range(0, plan.paths, size):
        yield first, min(size, plan.paths - first)


def _in_order(work: Callable[[int, int], T], blocks: Iterator[tuple[int, int]], threads: int) -> Iterator[T]:
    """Yield what `work` returns for each block, in their order, from `threads` threads that keep little ahead."""
    if threads == 1:
        for block in blocks:
            yield work(*block)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[T]] = deque()
        for block in blocks:
            waiting.append(pool.submit(work, *block))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _processors() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
