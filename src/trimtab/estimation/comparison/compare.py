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
from trimtab.errors import InputError
from trimtab.estimation.cautions import Design
from trimtab.estimation.comparison.doubts import cautions, left_out, of_stillness
from trimtab.estimation.comparison.families import adjusted
from trimtab.estimation.comparison.figures import Outcomes, Sample, compared, outcome_rows, resampled
from trimtab.estimation.comparison.inference import Inference
from trimtab.estimation.comparison.results import Comparison, DriftTest, StrategyComparison
from trimtab.estimation.comparison.sides import Between, Side, Units, align, between, idle, matched, units, unlike
from trimtab.estimation.comparison.stillness import stillness
from trimtab.estimation.comparison.trusted import side_fit, trusted
from trimtab.estimation.comparison.wald import drift_tests
from trimtab.estimation.memory import memory_p_value, second_lag_p_value
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.options import Options, trajectories_of
from trimtab.estimation.outcomes import end_scores, session_efficiencies
from trimtab.estimation.threads import single_threaded

__all__ = ["Comparison", "compare"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOTHING = DriftTest("A and b", float("nan"), 0, float("nan"), float("nan"))
"""The test where no drift is identified on both sides."""


@single_threaded
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
    estimator: str = "auto",
) -> Comparison:
    """Compare the dynamics of two sides: dx_t = (A x_t + b) dt + e_t (paper, eq. 5) on each, and their difference.

    Equal A and b, and equal A, are tested by Hotelling's T2 with covariances over units (see `wald.drift_tests`).
    Figures of the two least-squares fits get intervals and p-values from resampled units, on both sides at once where
    paired. Each side is also fitted as `trimtab.fit` does: its verdict says whether it has dynamics at all, and
    differences of the estimates that it trusts stand beside those of least squares, see `trusted.trusted`; the sides'
    replicates of these are independent, also where units are paired. Where a side stands still or jumps between few
    levels, a Markov chain or a hurdle of both is compared, see `stillness.stillness`.

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
    objectives, dt, level, draws, seed, estimator
        As in `trimtab.fit`; ``estimator="least-squares"`` trusts the paper's estimator on both sides, and is fastest.

    Raises
    ------
    FitError
        If a side has no step, or too few sessions.
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
    options = Options.checked(dt, level, draws, seed, estimator)
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
        exclusions = (*exclusions, *idle(one), *idle(other))
    found = adjusted(found)
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
    numbers, space = (drawn.a, drawn.b), a.trajectories.space
    judge = Inference(options.level, drawn.paired, drawn.count)
    outcomes = [_outcomes(*one) for one in zip(sides, numbers, efficiencies, strict=True)]
    moments = _moments(sides, drawn)
    active = np.flatnonzero(np.logical_and(*(Design.of(side).active for side in moments)))
    chosen = tuple(space.names[j] for j in active)
    fits = [side_fit(side, own, chosen or space.names, options) for side, own in zip(sides, efficiencies, strict=True)]
    made = StrategyComparison(
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
        fits=(fits[0], fits[1]),
        drift=NOTHING,
        matrix=NOTHING,
        rows=outcome_rows(judge, outcomes[0], outcomes[1], space.names),
        trusted=None,
        stillness=stillness(sides, drawn, (fits[0], fits[1]), options, name),
        regimes=({}, {}),
        memory=(np.nan, np.nan),
        second_lag=(np.nan, np.nan),
        warnings=(),
    )
    made = replace(made, warnings=(*left_out(space.names, active), *of_stillness(made)))
    if not len(active):
        return made
    return _with_drift(made, sides, (moments[0].part(active), moments[1].part(active)), active, options)


def _with_drift(
    made: StrategyComparison, sides: tuple[Side, Side], moments: tuple[Moments, Moments], active: Ints, options: Options
) -> StrategyComparison:
    """Add what least squares of the active objectives say, and the estimates that the fits trust."""
    name, dt, level, seed = made.name, options.dt, options.level, options.seed
    names = tuple(sides[0].trajectories.space.names[j] for j in active)
    samples = resampled(*moments, paired=made.paired, dt=dt, draws=options.draws, seed=seed, key=(name,))
    rows = compared(*samples, names, paired=made.paired, dt=dt, level=level, seed=seed)
    drift, matrix = drift_tests(*moments, paired=made.paired)
    single = made.units[0] == made.sessions[0], made.units[1] == made.sessions[1]
    memory = [memory_p_value(part) for part in moments]
    lag = [second_lag_p_value(_columns(side.steps, active)) for side in sides]
    made = replace(
        made,
        drift=drift,
        matrix=matrix,
        rows=(*rows, *made.rows),
        trusted=trusted(made.fits, samples, rows, single=single, level=level, dt=dt),
        regimes=(_regimes(samples[0], dt), _regimes(samples[1], dt)),
        memory=(memory[0], memory[1]),
        second_lag=(lag[0], lag[1]),
    )
    return replace(made, warnings=(*made.warnings, *cautions(made, samples)))


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
    if not len(sample.drawn_drift.lam):
        return {}
    counts = np.bincount(spectrum.regimes(sample.drawn_drift.lam, dt), minlength=len(REGIMES))
    return dict(zip(REGIMES, (counts / counts.sum()).tolist(), strict=True))
