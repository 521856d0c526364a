"""compare(a, b) -> Comparison: how two strategies, two models or two versions of a loop differ in their dynamics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Exclusion, Steps, Trajectories
from trimtab.dynamics import spectrum
from trimtab.dynamics.spectrum import REGIMES
from trimtab.errors import FitError, InputError
from trimtab.estimation.cautions import Design
from trimtab.estimation.comparison.figures import MOST_PAIRS, Outcomes, Sample, compared, resampled
from trimtab.estimation.comparison.results import Comparison, DriftTest, StrategyComparison
from trimtab.estimation.comparison.sides import Between, Side, Units, align, between, matched, units, unlike
from trimtab.estimation.comparison.wald import drift_tests, holm
from trimtab.estimation.memory import memory_p_value, second_lag_p_value
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.options import Options, trajectories_of
from trimtab.estimation.outcomes import end_scores, session_efficiencies
from trimtab.estimation.spectral import NO_MEMORY, SECOND_LAG

__all__ = ["Comparison", "compare"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def compare(
    a: Any,
    b: Any = None,
    *,
    between: Between | None = None,
    strategy: str | None = None,
    paired: bool | None = None,
    by: str | None = None,
    names: tuple[str, str] = ("A", "B"),
    objectives: Any = None,
    dt: float = 1.0,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare the dynamics of two sides: dx_t = (A x_t + b) dt + e_t (paper, eq. 5) on each, and their difference.

    Equal A and b, and equal A, are tested by Hotelling's T2 with covariances over units (see `wald.drift_tests`).
    Figures made of the two fits get intervals and p-values from resampled units, on both sides at once where paired.

    Parameters
    ----------
    a, b
        Two sources, each `Trajectories` or anything that `trimtab.load` takes. Compared strategy by strategy.
    between
        With one source only: which of its sessions are the sides, ``"strategy=EF,SF"`` or ``"model=gpt-4,llama"``, or
        the three names as a tuple.
    strategy
        Compare under this strategy only.
    paired
        Whether what is drawn is on both sides and drawn together; decided from the data if None.
    by
        What is drawn, and paired by: a covariate or ``"session_id"``; tasks where they are known if None.
    names
        What two sources are called.
    objectives, dt, level, draws, seed
        As in `trimtab.fit`.

    Raises
    ------
    FitError
        If a side holds too few sessions, or its steps do not identify any dynamics.
    InputError
        If the sides have different objectives or nothing in common, or an option makes no sense.

    Examples
    --------
    >>> import numpy as np, trimtab as tt
    >>> slow, fast = (tt.AffineSDE([[-r]], [5 * r], [[0.25]]) for r in (0.2, 0.6))
    >>> paths = [m.simulate(np.full((50, 1), 8.0), 10, np.random.default_rng(i)) for i, m in enumerate((slow, fast))]
    >>> sides = [tt.Trajectories.from_arrays(p, ["quality"]) for p in paths]
    >>> round(tt.compare(*sides, paired=False)["all"]["rate"].difference, 1)
    0.4
    """
    options = Options.checked(dt, level, draws, seed)
    left = trajectories_of(a, objectives)
    exclusions, notes = left.exclusions, left.notes
    if between is not None:
        if b is not None:
            raise InputError("two sides are two sources, or a selection from one source, but both were given")
        names, sides, said = _selected(left, between, strategy)
    elif b is None:
        raise InputError(
            "a comparison needs two sources, or one and what to compare in it, such as --between strategy=EF,SF "
            "(in Python between='strategy=EF,SF')"
        )
    else:
        names = _checked(names)
        right = trajectories_of(b, objectives)
        exclusions = (*_of_side(exclusions, names[0]), *_of_side(right.exclusions, names[1]))
        notes = _both(notes, right.notes, names)
        right, scales = align(left, right, names)
        sides, said = matched(left, right, names, strategy)
        said = (*scales, *said)
    # Both sides of a strategy comparison share their trajectories, and so do all strategies of a side.
    sources = {id(side.trajectories): side.trajectories for pair in sides.values() for side in pair}
    shares = {key: session_efficiencies(one) for key, one in sources.items()}
    apart = None if between is None else (between.split("=", 1) if isinstance(between, str) else between)[0]
    found: dict[str, StrategyComparison] = {}
    for name, (one, other) in sides.items():
        drawn = units(one, other, one_source=b is None, apart=apart, by=by, paired=paired, fewest=left.space.n + 3)
        said = (*said, *(f"{name}: {note}" if len(sides) > 1 else note for note in drawn.notes))
        exclusions = (*exclusions, *drawn.exclusions)
        both = shares[id(one.trajectories)], shares[id(other.trajectories)]
        made = _compared(name, names, one, other, drawn, both, options)
        found[name] = replace(made, warnings=(*made.warnings, *unlike(one, other, drawn, apart)))
    found = _adjusted(found)
    return Comparison(
        space=left.space,
        names=names,
        dt=options.dt,
        level=options.level,
        seed=options.seed,
        strategies=found,
        warnings=tuple(
            f"{name}: {text}" if len(found) > 1 else text for name, one in found.items() for text in one.warnings
        ),
        exclusions=exclusions,
        notes=(*notes, *said),
    )


def _selected(
    source: Trajectories, selection: Between, strategy: str | None
) -> tuple[tuple[str, str], Mapping[str, tuple[Side, Side]], tuple[str, ...]]:
    if not isinstance(selection, str) and not (
        isinstance(selection, tuple) and len(selection) == 3 and all(isinstance(part, str) for part in selection)
    ):
        raise InputError(f"between needs text such as 'strategy=EF,SF' or three names, but got {selection!r}")
    return between(source, selection, strategy)


def _checked(names: tuple[str, str]) -> tuple[str, str]:
    if isinstance(names, str) or len(names) != 2 or names[0] == names[1]:
        raise InputError(f"the two sides need two different names, but got {names!r}")
    return str(names[0]), str(names[1])


def _both(a: tuple[str, ...], b: tuple[str, ...], names: tuple[str, str]) -> tuple[str, ...]:
    """Return the notes of both sources; what holds for both is said once."""
    own = [f"{names[0]}: {note}" for note in a if note not in b], [f"{names[1]}: {note}" for note in b if note not in a]
    return (*(note for note in a if note in b), *own[0], *own[1])


def _of_side(exclusions: Iterable[Exclusion], name: str) -> Iterable[Exclusion]:
    return (replace(one, reason=f"{one.reason} ({name})") for one in exclusions)


def _compared(
    name: str,
    names: tuple[str, str],
    a: Side,
    b: Side,
    drawn: Units,
    efficiencies: tuple[Floats, Floats],
    options: Options,
) -> StrategyComparison:
    sides = a.kept(np.flatnonzero(drawn.a >= 0)), b.kept(np.flatnonzero(drawn.b >= 0))
    numbers = drawn.a, drawn.b
    moments = _moments(sides, drawn)
    designs = [Design.of(side) for side in moments]
    active = np.flatnonzero(np.logical_and(*(design.active for design in designs)))
    for side, design, own in zip(sides, designs, moments, strict=True):
        if not design.enough:
            raise FitError(
                f"{a.trajectories.space.n} objectives need at least {own.n + 2} complete steps, but {side.name} has "
                f"{own.n_steps} under {name!r}; choose fewer objectives with --objective, or give longer sessions"
            )
    if not len(active):
        raise FitError(
            f"no objective varies at the start of steps on both sides under {name!r}, so that no dynamics can be "
            "compared; choose other objectives with --objective"
        )
    parts = moments[0].part(active), moments[1].part(active)
    samples = resampled(*parts, paired=drawn.paired, dt=options.dt, draws=options.draws, seed=options.seed, key=(name,))
    outcomes = [
        _outcomes(side, unit, efficiency) for side, unit, efficiency in zip(sides, numbers, efficiencies, strict=True)
    ]
    space = a.trajectories.space
    rows = compared(
        *samples,
        (outcomes[0], outcomes[1]),
        space.names,
        active,
        paired=drawn.paired,
        dt=options.dt,
        level=options.level,
        seed=options.seed,
    )
    drift, matrix = drift_tests(*parts, paired=drawn.paired)
    memory = [memory_p_value(part) for part in parts]
    lag = [second_lag_p_value(_columns(side.steps, active)) for side in sides]
    return StrategyComparison(
        name=name,
        names=names,
        level=options.level,
        dt=options.dt,
        paired=drawn.paired,
        by=drawn.by,
        noun=drawn.noun,
        units=drawn.count,
        sessions=(len(sides[0].sessions), len(sides[1].sessions)),
        steps=(len(sides[0].steps), len(sides[1].steps)),
        drift=drift,
        matrix=matrix,
        rows=rows,
        regimes=(_regimes(samples[0], options.dt), _regimes(samples[1], options.dt)),
        memory=(memory[0], memory[1]),
        second_lag=(lag[0], lag[1]),
        warnings=tuple(_cautions(names, space.names, active, samples, memory, lag, drawn)),
    )


def _moments(sides: tuple[Side, Side], drawn: Units) -> tuple[Moments, Moments]:
    """Return the moments of both sides by unit, about one center and in one scale."""
    a, b = (side.steps for side in sides)
    first = sides[0].trajectories.n_sessions
    both = session_moments(
        Steps(
            x=np.concatenate([a.x, b.x]),
            dx=np.concatenate([a.dx, b.dx]),
            session=np.concatenate([a.session, first + b.session]),
            strategy=np.concatenate([a.strategy, b.strategy]),
            iteration=np.concatenate([a.iteration, b.iteration]),
        )
    )
    made = []
    for unit, count, own, shift in (
        (drawn.a, drawn.count[0], both.session < first, 0),
        (drawn.b, drawn.count[1], both.session >= first, first),
    ):
        outer = np.zeros((count, *both.outer.shape[1:]))
        np.add.at(outer, unit[both.session[own] - shift], both.outer[own])
        made.append(Moments(outer, np.arange(count), both.center, both.scale))
    return made[0], made[1]


def _columns(steps: Steps, chosen: Ints) -> Steps:
    return Steps(steps.x[:, chosen], steps.dx[:, chosen], steps.session, steps.strategy, steps.iteration)


def _outcomes(side: Side, unit: Ints, efficiency: Floats) -> Outcomes:
    """Return what the sessions came to that ended under the side's strategy, as `fit` counts them."""
    sessions = side.sessions
    sessions = sessions[side.trajectories.session_strategy[sessions] == side.code]
    return Outcomes(unit[sessions], end_scores(side.trajectories, sessions), efficiency[sessions])


def _regimes(sample: Sample, dt: float) -> Mapping[str, float]:
    if not len(sample.drawn_lam):
        return {}
    counts = np.bincount(spectrum.regimes(sample.drawn_lam, dt), minlength=len(REGIMES))
    return dict(zip(REGIMES, (counts / counts.sum()).tolist(), strict=True))


def _cautions(
    names: tuple[str, str],
    objectives: tuple[str, ...],
    active: Ints,
    samples: tuple[Sample, Sample],
    memory: list[float],
    lag: list[float],
    drawn: Units,
) -> list[str]:
    found = []
    left_out = [name for j, name in enumerate(objectives) if j not in active]
    if left_out:
        found.append(
            f"the same at the start of every step on one side, or exact combinations of others, and left out of the "
            f"dynamics: {', '.join(left_out)}"
        )
    if len(active) * (len(active) - 1) // 2 > MOST_PAIRS:
        found.append(f"more than {MOST_PAIRS} pairs of objectives: their interference is not compared")
    without = [name for name, p in zip(names, memory, strict=True) if not p < NO_MEMORY]
    if without:
        found.append(
            f"nothing shows that the next score depends on the present one on {' and '.join(without)}: rates and "
            "regimes may describe noise there"
        )
    noisy = [name for name, p in zip(names, lag, strict=True) if p < SECOND_LAG and name not in without]
    if noisy:
        found.append(
            f"the score before last matters too on {' and '.join(noisy)}: lasting differences make a rate too slow and "
            "scoring noise too fast, so that sides that differ in these differ in rate without any difference in drift"
        )
    if min(drawn.count) < 20:
        found.append(f"only {min(drawn.count)} {drawn.noun} on a side: intervals and tests are rough below about 20")
    if not len(samples[0].drawn.A):
        found.append("an objective varies in too few sessions on one side for intervals")
    return found


def _adjusted(found: Mapping[str, StrategyComparison]) -> dict[str, StrategyComparison]:
    """Adjust the p-values of all rows of all strategies together, and those of either test over strategies."""
    p_values = holm(np.array([row.p_value for one in found.values() for row in one.rows]))
    tests: dict[str, dict[str, DriftTest]] = {}
    for kind in ("drift", "matrix"):
        own = {name: getattr(one, kind) for name, one in found.items()}
        adjusted = holm(np.array([test.p_value for test in own.values()])).tolist()
        tests[kind] = {name: replace(test, p_adjusted=p) for (name, test), p in zip(own.items(), adjusted, strict=True)}
    result, at = {}, 0
    for name, one in found.items():
        part = p_values[at : at + len(one.rows)].tolist()
        at += len(one.rows)
        rows = tuple(replace(row, p_adjusted=p) for row, p in zip(one.rows, part, strict=True))
        result[name] = replace(one, rows=rows, drift=tests["drift"][name], matrix=tests["matrix"][name])
    return result
