"""Fits for the tests of the report: ordinary ones, odd ones, and ones whose names attack the page.

The same call gives the same object: no fit is made twice in one process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.trajectories import Exclusion, Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.fit import fit
from trimtab.estimation.results import Fit

DRAWS = 200

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror="alert(2)">',
    "{{7*7}}",
    "</script><script>alert(3)</script>",
    "<a href='https://attacker.invalid/'>click</a><b>bold</b>",
    "%{x} $\\alpha$ &lt;b&gt; ${alert(4)}",
    "'; alert(5); //",
    "\u202egnp.exe \u2028 \x00\x1b[31m <!-- <svg onload=alert(6)>",
)
"""Names that would run a script, load an image, leave a script element or be evaluated if they were not escaped."""


def model(n: int, seed: int = 0) -> AffineSDE:
    """Return a stable model with coupling, at rest in the middle of 0..10."""
    rng = np.random.default_rng(seed)
    A = np.diag(-rng.uniform(0.25, 0.8, n)) + 0.1 * rng.normal(size=(n, n)) * (1 - np.eye(n))
    return AffineSDE(A, -A @ rng.uniform(4, 6, n), 0.2 * np.eye(n) + 0.03)


@cache
def simulated(
    n: int = 3,
    strategies: tuple[str, ...] = ("EF", "SF", "FF", "AI"),
    sessions: int = 30,
    steps: int = 10,
    space: ObjectiveSpace | None = None,
    names: tuple[str, ...] | None = None,
) -> Trajectories:
    """Return simulated sessions of several strategies, clipped to 0..10."""
    rng = np.random.default_rng(5)
    paths = [
        np.clip(model(n, k).simulate(rng.normal(5, 1.2, (sessions, n)), steps, rng), 0, 10)
        for k in range(len(strategies))
    ]
    labels = names or (("security", "efficiency", "functionality", "cost", "tone", "speed", "length", "taste")[:n])
    return Trajectories.from_arrays(
        np.concatenate(paths),
        space or ObjectiveSpace(Objective(name) for name in labels),
        np.repeat(strategies, sessions),
    )


@cache
def fitted(data: Trajectories) -> Fit:
    """Fit with few draws: the report is under test, not the intervals."""
    return fit(data, draws=DRAWS)


def ordinary() -> Fit:
    """Return the fit of four strategies on three objectives."""
    return fitted(simulated())


@cache
def hostile() -> Fit:
    """Return a fit in which everything that can be named bears a hostile name."""
    data = simulated(strategies=HOSTILE, names=(HOSTILE[0], HOSTILE[1], HOSTILE[3]), sessions=12)
    return fitted(
        Trajectories(
            space=data.space,
            scores=data.scores,
            status=data.status,
            iteration=data.iteration,
            strategy=data.strategy,
            offsets=data.offsets,
            session_ids=tuple(f"{HOSTILE[i % len(HOSTILE)]} {i}" for i in range(data.n_sessions)),
            strategies=data.strategies,
            covariates={HOSTILE[0]: tuple(HOSTILE[1] for _ in range(data.n_sessions))},
            exclusions=tuple(Exclusion(text, 3, "rows", (text,)) for text in HOSTILE),
            notes=HOSTILE,
        )
    )


@cache
def noisy(sessions: int = 150, strategies: tuple[str, ...] = ("EF", "SF")) -> Trajectories:
    """Return sessions of two objectives that are scored with much noise, so that least squares sees too high a rate."""
    data = simulated(n=2, strategies=strategies, sessions=sessions)
    scores = data.scores + np.random.default_rng(0).normal(0, 0.8, data.scores.shape)
    return replace(data, scores=np.clip(scores, 0, 10))


@cache
def stopping(sessions: int = 120, steps: int = 9, still: bool = False) -> Trajectories:
    """Return sessions that end when their first score is above 6; without movement the second says nothing of steps."""
    rng = np.random.default_rng(2)
    paths = model(2, 1).simulate(rng.normal(4, 1, (sessions, 2)), steps, rng)
    if still:
        paths[..., 1] = 3.0
    ended = [np.flatnonzero(path[1:, 0] > 6) for path in paths]
    arrays = [path[: at[0] + 2] if len(at) else path for path, at in zip(paths, ended, strict=True)]
    return Trajectories.from_arrays(arrays, ["quality", "cost"], "retry")


@cache
def graded(stop: bool = True, sessions: int = 100, steps: int = 8) -> Trajectories:
    """Return sessions that hop between the grades 0, 1, 2 and 3; with `stop` they end at 3."""
    P = np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.6, 0.2, 0.1], [0.0, 0.1, 0.6, 0.3], [0.1, 0.1, 0.2, 0.6]])
    rng = np.random.default_rng(3)
    paths = []
    for _ in range(sessions):
        path = [int(rng.integers(3))]
        while len(path) <= steps and not (stop and path[-1] == 3):
            path.append(int(rng.choice(4, p=P[path[-1]])))
        paths.append(np.array(path, dtype=float)[:, None])
    return Trajectories.from_arrays(paths, ["grade:0:3"], "retry")


@cache
def stalling(sessions: int = 60, steps: int = 10) -> Trajectories:
    """Return sessions of two objectives in which 6 of 10 iterations change nothing."""
    rng = np.random.default_rng(4)
    loop = model(2, 3)
    paths = np.empty((sessions, steps + 1, 2))
    paths[:, 0] = rng.normal(5, 1.2, (sessions, 2))
    for t in range(steps):
        moved = loop.step(paths[:, t], rng.standard_normal((sessions, 2)))
        paths[:, t + 1] = np.where(rng.random((sessions, 1)) < 0.6, paths[:, t], moved)
    return Trajectories.from_arrays(paths, ["quality", "cost"], "retry")


@cache
def grouped(groups: int = 25, spread: float = 1.5, names: tuple[str, ...] = (), column: str = "task") -> Trajectories:
    """Return four sessions of each of many tasks, whose equilibria differ with the standard deviation `spread`."""
    rng = np.random.default_rng(6)
    loop, arrays, labels = model(2, 2), [], []
    for g in range(groups):
        own = AffineSDE(loop.A, loop.b - loop.A @ rng.normal(0, spread, 2), loop.Q)
        arrays += [*own.simulate(rng.normal(5, 1, (4, 2)), 8, rng)]
        labels += [names[g % len(names)] + f" {g}" if names else f"task {g:02d}"] * 4
    data = Trajectories.from_arrays(arrays, ["quality:-20:30", "cost:-20:30:min"], "retry")
    return replace(data, covariates={column: tuple(labels)})


@cache
def pooled(data: Trajectories) -> Fit:
    """Fit with few draws, and pool sessions by the only column there is."""
    return fit(data, draws=DRAWS, group=next(iter(data.covariates)))


def _scattered() -> Trajectories:
    """Return sessions with missing scores and lengths from 1 to 12."""
    rng = np.random.default_rng(3)
    arrays = []
    for i in range(40):
        path = np.clip(model(2).simulate(rng.normal(5, 1, 2), i % 12, rng), 0, 10)
        path[rng.random(path.shape) < 0.15] = np.nan
        arrays.append(path)
    return Trajectories.from_arrays(arrays, ["helpful", "harmless"], ["A" if i % 2 else "B" for i in range(40)])


def _switching() -> Trajectories:
    data = simulated(n=2, strategies=("A", "B"), sessions=10)
    codes = data.strategy.copy()
    codes[data.iteration > 6] = 1
    return Trajectories(
        data.space, data.scores, data.status, data.iteration, codes, data.offsets, data.session_ids, data.strategies
    )


def _open(n: int, low: float, high: float) -> ObjectiveSpace:
    return ObjectiveSpace(Objective(f"o{j}", low, high, "min" if j % 2 else "max") for j in range(n))


def _one_unidentified() -> Trajectories:
    """Return one ordinary strategy, one that never moves, and one with a single short session."""
    good = list(simulated(n=2, strategies=("A",), sessions=20).scores.reshape(20, 11, 2))
    still = [np.full((6, 2), 4.0)] * 5
    short = [np.array([[1.0, 2.0], [2.0, 3.0]])]
    return Trajectories.from_arrays([*good, *still, *short], ["x", "y"], ["moves"] * 20 + ["still"] * 5 + ["short"])


def _never_scored() -> Trajectories:
    """Return two objectives; one strategy never got a score on the second."""
    data = simulated(n=2, strategies=("A", "B"), sessions=8)
    arrays = [path.copy() for path in data.scores.reshape(16, 11, 2)]
    for path in arrays[8:]:
        path[:, 1] = np.nan
    return Trajectories.from_arrays(arrays, ["x", "y"], ["A"] * 8 + ["B"] * 8)


def _exploding() -> Trajectories:
    unstable = AffineSDE([[0.3, 0.0], [0.1, -2.3]], [0.0, 1.0], np.eye(2))
    rng = np.random.default_rng(0)
    return Trajectories.from_arrays(unstable.simulate(rng.normal(size=(25, 2)), 12, rng), _open(2, -np.inf, np.inf))


_ODD: dict[str, Callable[[], Trajectories]] = {
    "one objective": lambda: simulated(n=1),
    "one objective, one strategy, one session": lambda: simulated(n=1, strategies=("only",), sessions=1),
    "two objectives": lambda: simulated(n=2),
    "six objectives": lambda: simulated(n=6, sessions=60),
    "single session": lambda: simulated(strategies=("only",), sessions=1, steps=30),
    "single step each": lambda: simulated(strategies=("A", "B"), sessions=30, steps=1),
    "one strategy": lambda: simulated(strategies=("only",)),
    "twelve strategies": lambda: simulated(n=2, strategies=tuple(f"s{k:02d}" for k in range(12)), sessions=12),
    "missing scores, unequal lengths": _scattered,
    "switching midway": _switching,
    "open bounds": lambda: simulated(n=3, space=_open(3, -np.inf, np.inf)),
    "half-open bounds": lambda: simulated(n=2, space=_open(2, 0.0, np.inf)),
    "some strategies not identified": _one_unidentified,
    "never scored": _never_scored,
    "exploding": _exploding,
}

ODD = {name: cache(make) for name, make in _ODD.items()}
"""Trajectories that a report must show without failing."""
