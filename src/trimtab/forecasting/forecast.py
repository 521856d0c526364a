"""forecast(source) -> Forecast: what loops would do next, with what is not known of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.by_name import ByName
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.forecasting.fan import Fan, fan_of
from trimtab.forecasting.loops import Loops
from trimtab.forecasting.paths import walk
from trimtab.forecasting.schedule import MOST_STEPS, parse_schedule
from trimtab.forecasting.sources import loops_of
from trimtab.forecasting.starts import fixed_start, given_start
from trimtab.forecasting.table import trajectories_of_paths

__all__ = ["MOST_BYTES", "Forecast", "forecast"]

Floats = NDArray[np.float64]

MOST_BYTES = 4 * 2**30
"""Memory for paths up to which a forecast is made."""

_LABELS = 100  # bytes of names, numbers and the table's columns beside each kept iteration; measured

STEPS = 10
"""Steps of a forecast where none are asked for."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Forecast(ByName[Fan]):
    """Fans of one or more strategies or schedules.

    ``forecast["EF"]`` is the fan of strategy EF; iterating gives the names.

    Parameters
    ----------
    kind
        Of the source: ``"fit"``, ``"fit file"``, ``"model file"`` or ``"reference"``.
    uncertain
        Whether any fan is spread over the drifts that the data leave possible.
    scored
        Whether fans are of scores, noise and all, rather than of the states behind them.
    starts
        Where paths start, in words.
    notes
        What was assumed, in sentences.
    states
        The paths of each fan, (paths, steps + 1, n), where they were asked for.
    """

    space: ObjectiveSpace
    dt: float
    seed: int
    paths: int
    steps: int
    kind: str
    uncertain: bool
    scored: bool
    starts: str
    fans: Mapping[str, Fan]
    notes: tuple[str, ...]
    states: Mapping[str, Floats] | None = None

    _unknown = "no fan is called"

    @property
    def _parts(self) -> Mapping[str, Fan]:
        return self.fans

    def __repr__(self) -> str:
        return (
            f"Forecast of {', '.join(self.space.names)} under {', '.join(self.fans)}: {self.paths:,} paths of "
            f"{self.steps:,} steps; print(forecast.summary()) for all"
        )

    def summary(self) -> str:
        """Return the figures as text for a terminal."""
        from trimtab.forecasting.summary import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.simulation/1``, as plain Python values."""
        from trimtab.forecasting.document import document

        return document(self)

    def trajectories(self) -> Trajectories:
        """Return the paths of all fans as sessions, whose label ``forecast`` is the name of their fan.

        Raises
        ------
        InputError
            If paths were not kept, or one of them left all numbers.
        """
        if self.states is None:
            raise InputError("paths were not kept: forecast with keep=True")
        return trajectories_of_paths(self.space, self.fans, self.states)

    def report(self, path: str | Path, **options: Any) -> Path:
        """Write a fan chart and return its path; the file's suffix names what draws it, and ``.html`` is built in.

        It is found in the entry-point group ``trimtab.forecast_renderers``, because the room that draws is above this.
        """
        target = Path(path)
        renderers = entry_points(group="trimtab.forecast_renderers")
        suffix = target.suffix.lstrip(".").lower()
        if suffix not in renderers.names:
            known = ", ".join(sorted(f".{name}" for name in renderers.names))
            raise InputError(f"a fan chart needs a file name ending in {known}, but got {str(path)!r}")
        written: Path = renderers[suffix].load()(self, target, **options)
        return written


def forecast(
    source: Any,
    steps: int | None = None,
    paths: int = 10_000,
    *,
    strategy: str | Sequence[str] | None = None,
    schedule: str | Sequence[str] | None = None,
    seed: int = 0,
    x0: Mapping[str, float] | None = None,
    parameter_uncertainty: bool = True,
    score_noise: bool = False,
    targets: Mapping[str, float] | None = None,
    keep: bool = False,
) -> Forecast:
    """Forecast sessions from a fit, with everything that makes them differ.

    Each path has the chance of its steps, and besides a drift of its own: one of the draws of the estimate that the fit
    trusts, so that what the data do not tell widens the fan; and a lasting difference of its session, where the fit
    knows of such. Scores are kept within the bounds of their objectives at every step.

    Parameters
    ----------
    source
        A `Fit`, trajectories or anything that `trimtab.fit` takes, a file that ``trimtab fit --out`` left
        (``.json``), a file of models (``.toml``), or ``"reference"``: the paper's four strategies.
    steps
        Iterations to forecast; 10, or as many as the schedule has, if not given.
    paths
        Number of paths of each fan.
    strategy
        One or more strategies, each of which makes a fan; all if neither these nor schedules are given.
    schedule
        One or more schedules such as ``"FFx3,SFx4,EF"``, each of which makes a fan.
    seed
        Any integer. The same seed gives the same fans, and all fans meet the same noise.
    x0
        Starts by name of objective; the others start as the source says.
    parameter_uncertainty
        Whether the drift of each path is drawn.
    score_noise
        Whether to forecast scores, with the noise of the scorer where the fit knows it, rather than states.
    targets
        Scores to come to, by name of objective: how many paths do, and when.
    keep
        Whether to keep the paths.

    Raises
    ------
    InputError
        If the source or an option cannot be used.
    FitError
        If no strategy of the source has a drift.

    Examples
    --------
    >>> import trimtab as tt
    >>> fans = forecast("reference", steps=5, paths=200, strategy="EF")
    >>> fans["EF"].quantiles.shape
    (6, 5, 3)
    """
    paths, seed = _whole("paths", paths, 1), _whole("seed", seed, None)
    steps = None if steps is None else _whole("steps", steps, 1)
    if steps is not None and steps > MOST_STEPS:
        raise InputError(f"a forecast goes up to {MOST_STEPS:,} steps, but {steps:,} were asked for")
    loops = source if isinstance(source, Loops) else loops_of(source)
    schedules = _schedules(loops, steps, _several(strategy), _several(schedule))
    steps = len(next(iter(schedules.values())))
    space, x0 = loops.space, x0 or {}
    given_start(x0, space)
    targets = _targets(targets or {}, space)
    _affordable(paths, steps, space.n, len(schedules), keep)
    fans, states = {}, {}
    for name, one in schedules.items():
        drawn = loops[one[0]].starts.draw(paths, seed, space, loops[one[0]].score_noise)
        walked = walk(
            loops, one, fixed_start(drawn, x0, space), seed, uncertain=parameter_uncertainty, scored=score_noise
        )
        fans[name] = _fan(loops, name, one, walked, targets, parameter_uncertainty)
        if keep:
            states[name] = walked
    return Forecast(
        space=space,
        dt=next(iter(loops.loops.values())).model.dt,
        seed=seed,
        paths=paths,
        steps=steps,
        kind=loops.kind,
        uncertain=any(fan.drifts > 1 for fan in fans.values()),
        scored=score_noise,
        starts=_starts(loops, schedules, x0),
        fans=fans,
        notes=(*loops.notes, *_notes(loops, schedules, parameter_uncertainty, score_noise)),
        states=states if keep else None,
    )


def _fan(
    loops: Loops, name: str, schedule: tuple[str, ...], states: Floats, targets: Mapping[str, float], uncertain: bool
) -> Fan:
    used = [loops[one] for one in dict.fromkeys(schedule)]
    drawn = [one for one in used if uncertain and one.drifts is not None]
    single = len(used) == 1
    return fan_of(
        name,
        schedule,
        states,
        loops.space,
        targets,
        drifts=max((min(len(one.drifts or ()), len(states)) for one in drawn), default=1),
        unstable=max((one.unstable for one in drawn), default=float("nan")),
        cautions=tuple(text if single else f"{one.name}: {text}" for one in used for text in one.cautions),
    )


def _schedules(
    loops: Loops, steps: int | None, strategies: Sequence[str], schedules: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the strategy of each step, by name of the fan."""
    found: dict[str, tuple[str, ...]] = {}
    for text in schedules:
        one = parse_schedule(text, [*loops.loops], steps, default=STEPS)
        found[text.strip()] = one
        if steps is None:
            steps = len(one)
    wanted = strategies if strategies or schedules else [*loops.loops]
    return {name: (loops[name].name,) * (steps or STEPS) for name in wanted} | found


def _several(given: str | Sequence[str] | None) -> Sequence[str]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def _whole(name: str, value: Any, least: int | None) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} must be a whole number, but got {value!r}") from None
    if least is not None and number < least:
        raise InputError(f"{name} must be {least} or more, but got {number}")
    return number


def _targets(targets: Mapping[str, float], space: ObjectiveSpace) -> dict[str, float]:
    for name, value in targets.items():
        objective = space[name]
        if not math.isfinite(value) or not objective.low <= value <= objective.high:
            raise InputError(
                f"a target must be a score that {name} can have, from {objective.low:g} to {objective.high:g}, but "
                f"got {value:g}"
            )
    return {name: float(value) for name, value in targets.items()}


def _affordable(paths: int, steps: int, n: int, fans: int, keep: bool) -> None:
    """Refuse what would not fit in memory, and say what would."""
    # Of an iteration of a path: its state and a copy; and where paths are kept, those again and labels, of all fans.
    one = (steps + 1) * (8 * (2 * n + 1) + (fans * (16 * n + _LABELS) if keep else 0))
    if paths * one > MOST_BYTES:
        raise InputError(
            f"{paths:,} paths of {steps:,} steps need {paths * one / 2**30:,.1f} GB of memory"
            + (" where all of them are kept" if keep else "")
            + f", but a forecast takes up to {MOST_BYTES / 2**30:g} GB: {MOST_BYTES // one:,} paths are possible"
        )


def _starts(loops: Loops, schedules: Mapping[str, Sequence[str]], x0: Mapping[str, float]) -> str:
    """Return how the sentence "Paths start ..." goes on."""
    fixed = ", ".join(f"{name} {value:g}" for name, value in x0.items())
    if len(x0) == loops.space.n:
        return f"at {fixed}"
    by_law: dict[str, list[str]] = {}
    for name, one in schedules.items():
        by_law.setdefault(loops[one[0]].starts.says, []).append(name)
    said = [law if len(by_law) == 1 else f"{law} ({', '.join(names)})" for law, names in by_law.items()]
    return "; ".join([*said, f"{fixed} in all of them"] if fixed else said)


def _notes(loops: Loops, schedules: Mapping[str, Sequence[str]], uncertain: bool, scored: bool) -> Iterator[str]:
    used = [loops[name] for name in dict.fromkeys(name for one in schedules.values() for name in one)]
    unknown = [one.name for one in used if one.drifts is None]
    if not uncertain:
        yield "The drift is taken as known: parameter uncertainty was turned off."
    elif len(unknown) == len(used) and loops.kind in ("model file", "reference"):
        yield "The models are taken as known: they were given, not estimated."
    elif unknown:
        yield (
            f"Parameter uncertainty is not included for {', '.join(unknown)}: the source does not say how sure the "
            "drift is, so that the fan is too narrow."
        )
    noisy = [one.name for one in used if one.score_noise is not None and one.score_noise.any()]
    if scored and not noisy:
        yield "No score noise was added: the source knows of none."
    elif scored:
        yield f"These are scores: the scorer's noise is added under {', '.join(noisy)}, and kept within the bounds."
    elif noisy:
        yield (
            f"These are the states behind the scores of {', '.join(noisy)}: single scores scatter more, by the noise "
            "of the scorer, which can be added (--with-score-noise, or score_noise=True)."
        )
    lasting = [one.name for one in used if one.session_sd is not None and one.session_sd.any()]
    if lasting:
        yield f"Sessions of {', '.join(lasting)} differ for good: each path has a drift that differs likewise."
    if loops.left_out:
        yield "Left out: " + "; ".join(f"{name}, because {why}" for name, why in loops.left_out.items()) + "."
