"""A forecast as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from trimtab.core.counting import count_of
from trimtab.estimation.layout import NARROW, as_text, listed, number, plain, score, table
from trimtab.forecasting.fan import Fan, Passage
from trimtab.forecasting.forecast import Forecast

__all__ = ["ForecastSummary", "chance", "summary"]


def summary(forecast: Forecast) -> str:
    """Return tables and what to know about them as plain text, at most 118 columns wide."""
    return as_text(ForecastSummary(forecast))


@dataclass(frozen=True, slots=True)
class ForecastSummary:
    """A forecast as something that rich prints, laid out for the width of the terminal."""

    forecast: Forecast

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what to know before reading, then tables, then how to read them and what was assumed."""
        forecast, narrow = self.forecast, options.max_width < NARROW
        cautions = _cautions(forecast)
        yield from listed("Before reading this", cautions)
        if cautions:
            yield Text("")
        yield _ends(forecast, narrow)
        yield from _together(forecast)
        yield from _passages(forecast)
        yield from listed("How to read it", _reading(forecast))
        yield from listed("Assumed", forecast.notes)


def chance(value: float) -> str:
    """Return a share of paths in percent; a small but positive one is not shown as none, nor a large one as all."""
    if np.isnan(value):
        return "–"
    if 0 < value < 0.0005:
        return "<0.1%"
    if 0.9995 < value < 1:
        return ">99.9%"
    return f"{value:.1%}"


def _cautions(forecast: Forecast) -> list[str]:
    """Return every caution once, with the forecasts that it concerns."""
    concerned: dict[str, list[str]] = {}
    for fan in forecast.fans.values():
        for text in fan.cautions:
            concerned.setdefault(text, []).append(fan.name)
    return [f"{', '.join(names)}: {text}" for text, names in concerned.items()]


def _ends(forecast: Forecast, narrow: bool) -> Table:
    what = "Scores" if forecast.scored else "Where sessions are"
    heads = ["forecast", "start", "mean", "5%", "median", "95%", "at a bound", "best at", "ends better"]
    kept = [0, 1, 3, 4, 5, 8] if narrow else range(len(heads))
    made = table(
        f"{what} after {count_of(forecast.steps, 'iteration')} ({count_of(forecast.paths, 'path')} each)",
        [heads[i] for i in kept],
    )
    for fan in forecast.fans.values():
        made.add_row(Text(plain(fan.name), style="bold"))
        for j, objective in enumerate(forecast.space):
            low, _, median, _, high = (float(value) for value in fan.quantiles[-1, :, j])
            down = "" if objective.direction == "max" else " (lower is better)"
            limited = np.isfinite([objective.low, objective.high]).any()
            cells: list[RenderableType] = [
                Text(f"  {plain(objective.name)}{down}"),
                score(float(fan.mean[0, j])),
                score(float(fan.mean[-1, j])),
                score(low),
                Text(score(median), style="bold"),
                score(high),
                chance(float(fan.at_bound[-1, j]) if limited else float("nan")),
                number(float(fan.best_iteration[j]), 1),
                chance(float(fan.better[j])),
            ]
            made.add_row(*(cells[i] for i in kept))
    return made


def _together(forecast: Forecast) -> Iterator[RenderableType]:
    drawn = any(fan.drifts > 1 for fan in forecast.fans.values())
    if forecast.space.n < 2 and not drawn:
        return
    heads = ["forecast"]
    if forecast.space.n > 1:
        heads += ["best at", "ends better", "better on all", "worse on all", "Pareto efficiency"]
    if drawn:
        heads += ["drifts", "unstable"]
    title = "All objectives together, each weighing the same" if forecast.space.n > 1 else "What is not known"
    made = table(title, heads)
    for fan in forecast.fans.values():
        cells: list[RenderableType] = [Text(plain(fan.name))]
        if forecast.space.n > 1:
            one = fan.together
            cells += [
                number(one.best_iteration, 1),
                chance(one.better),
                chance(one.best_everywhere),
                chance(one.worst_everywhere),
                chance(one.pareto_efficiency),
            ]
        if drawn:
            cells += [f"{fan.drifts:,}", chance(fan.unstable)]
        made.add_row(*cells)
    yield made


def _passages(forecast: Forecast) -> Iterator[RenderableType]:
    if not any(fan.passages for fan in forecast.fans.values()):
        return
    made = table(
        "Time to reach a target",
        ("forecast", "target", "at the start", f"by iteration {forecast.steps}", "half of all by iteration"),
    )
    for fan in forecast.fans.values():
        for k, passage in enumerate(fan.passages):
            by = number(passage.median, 0) if passage.median == passage.median else f"not by {forecast.steps}"
            cells = (chance(float(passage.reached[0])), chance(float(passage.reached[-1])), by)
            made.add_row(Text(plain(fan.name) if k == 0 else ""), Text(plain(_target(passage, forecast))), *cells)
    made.columns[1].justify = "left"
    yield made


def _target(passage: Passage, forecast: Forecast) -> str:
    parts = []
    for name, value in passage.target.items():
        sign = "≥" if forecast.space[name].direction == "max" else "≤"
        parts.append(f"{name} {sign} {value:g}")
    return " and ".join(parts) + (" at once" if len(parts) > 1 else "")


def _reading(forecast: Forecast) -> Iterator[str]:
    yield (
        "Of 100 sessions 90 are forecast to end between 5% and 95%, half of them below the median. best at is the "
        "iteration with a session's best score, on average: where it lies well before the last, keep the best iterate "
        "rather than the last. ends better is the share of sessions whose last score beats their first."
    )
    if forecast.space.n > 1:
        yield (
            "better on all and worse on all count sessions that end at least as good (as bad) on every objective and "
            "better (worse) on some. Pareto efficiency is the share of a session's iterations that no other of its "
            "iterations beats on all."
        )
    fans: list[Fan] = [*forecast.fans.values()]
    if any(fan.drifts > 1 for fan in fans):
        yield (
            "Paths are spread over drifts that the data leave possible, so that the fan shows what is not known as "
            "well as chance. unstable is the share of drifts that do not converge; their paths are among the others, "
            "and end at a bound or far away."
        )
    yield f"Paths start {forecast.starts}."
