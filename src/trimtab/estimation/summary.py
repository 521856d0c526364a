"""A fit as text for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab.estimation.cautions import CANNOT_IDENTIFY
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.estimation.rungs import RUNGS

__all__ = ["Summary", "summary"]

_WIDTH = 118
_WIDE_ENOUGH = 110
_MOST_COLUMNS = 4


def summary(fit: Fit) -> str:
    """Return the figures and verdicts of `fit` as plain text, at most 118 columns wide."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=_WIDTH, color_system=None, legacy_windows=False)
    console.print(Summary(fit))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


@dataclass(frozen=True, slots=True)
class Summary:
    """A fit as something that rich prints, in colour and laid out for the width of the terminal."""

    fit: Fit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield tables, then verdicts, then what to be warned of."""
        fit, narrow = self.fit, options.max_width < _WIDE_ENOUGH
        rows = [*fit.strategies.values()] + ([fit.pooled] if len(fit) > 1 else [])
        yield _dynamics(fit, rows, narrow)
        if any(len(one.rungs) > 1 for one in rows):
            yield _rungs(fit, narrow)
        yield _levels_by_objective(fit, rows) if narrow or fit.space.n > _MOST_COLUMNS else _levels(fit, rows)
        yield _interference(fit, rows, narrow)
        yield Text("What it means", style="bold")
        for one in fit.strategies.values():
            yield _paragraph(f"[bold]{escape(one.name)}[/bold]  {_label(one)}. {escape(one.verdict)}")
        for heading, lines in (
            ("Warnings", _warnings(fit)),
            ("Left out", [*map(str, fit.exclusions)]),
            ("Assumed", [*fit.notes]),
        ):
            if lines:
                yield Text(heading, style="bold")
                yield from (_paragraph(escape(line)) for line in lines)


def _warnings(fit: Fit) -> list[str]:
    """Return every warning once, with the strategies it concerns; those that are a whole verdict are left out."""
    concerned: dict[str, list[str]] = {}
    for name, one in fit.strategies.items():
        for text in one.warnings:
            if CANNOT_IDENTIFY not in text:
                concerned.setdefault(text, []).append(name)
    return [f"{', '.join(names)}: {text}" for text, names in concerned.items()]


def _paragraph(markup: str) -> RenderableType:
    return Padding(Text.from_markup(markup), (0, 0, 0, 2))


def _number(value: float, digits: int = 2) -> str:
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞"
    return f"{value:.{digits}f}"


def _level(value: float) -> str:
    """Return a score, whose order of magnitude can be any."""
    return f"{value:.3g}" if 0 < abs(value) < 0.01 or 1e5 <= abs(value) < np.inf else _number(value)


def _interval(value: Estimate, digits: int = 2) -> str:
    if np.isnan(value.low) and np.isnan(value.high):
        return _number(value, digits)
    low, high = _number(value.low, digits), _number(value.high, digits)
    return f"{_number(value, digits)}\n[dim]{low}..{high}[/dim]"


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        # Names may be long and are folded; numbers and headings never break.
        table.add_column(
            escape(column), justify="left" if i == 0 else "right", overflow="fold", no_wrap=i > 0 and len(column) < 20
        )
    return table


def _dynamics(fit: Fit, rows: list[StrategyFit], narrow: bool) -> Table:
    if narrow:
        table = _table(
            f"Dynamics (second lines: {fit.level:.0%} intervals)",
            ("strategy", "verdict", "rate", "half-life", "regime"),
        )
        for one in rows:
            table.add_row(
                Text(one.name),
                _label(one),
                _interval(one.rate, 3),
                _interval(one.half_life, 1),
                escape(str(one.regime)),
            )
        return table
    columns = ("strategy", "verdict", "sessions", "rate", "half-life", "max |1+λ|", "regime", "R2 (held out)")
    table = _table(f"Dynamics (second lines: {fit.level:.0%} intervals)", columns)
    for one in rows:
        table.add_row(
            Text(one.name),
            _label(one),
            f"{one.sessions:,}",
            _interval(one.rate, 3),
            _interval(one.half_life, 1),
            _interval(one.spectral_radius),
            escape(str(one.regime)),
            _with_second(one.r2.steps, one.r2.steps_held_out),
        )
    return table


def _with_second(value: Estimate, second: float) -> str:
    first, _, interval = _interval(value).partition("\n")
    return f"{first} ({_number(second)})" + (f"\n{interval}" if interval else "")


def _label(one: StrategyFit) -> str:
    label = one.diagnosis.label
    return f"[bold]{label}[/bold]" if label == "dynamics" else f"[yellow]{label}[/yellow]"


def _rungs(fit: Fit, narrow: bool) -> Table:
    """Show the estimators side by side; the figures elsewhere are those of the trusted one."""
    columns = ["strategy", "estimator", "rate", "average rate"]
    columns += [] if narrow else ["regime", "score noise sd", "session sd"]
    table = _table("Estimators side by side (* trusted)", columns)
    for one in fit.strategies.values():
        for i, (name, rung) in enumerate(one.rungs.items()):
            cells = [_interval(rung.rate, 3), _interval(rung.smooth_rate, 3)]
            if not narrow:
                noise = None if rung.R is None else np.sqrt(rung.R)
                cells += [rung.regime.label, _each(noise, one), _each(rung.session_sd, one)]
            mark = " *" if name == one.trusted and len(one.rungs) > 1 else "" if rung.converged else " (not settled)"
            table.add_row(Text(one.name if i == 0 else ""), RUNGS[name] + mark, *cells)
    return table


def _each(values: NDArray[np.float64] | None, one: StrategyFit) -> str:
    """Return one number per active objective, or how far they reach where they are many."""
    if values is None:
        return ""
    own = values[one.active]
    if len(own) <= _MOST_COLUMNS:
        return " ".join(f"{value:.2g}" for value in own)
    return f"{own.min():.2g}..{own.max():.2g}"


def _levels(fit: Fit, rows: list[StrategyFit]) -> Table:
    table = _table(
        "Levels: mean start > mean end (equilibrium)", ["strategy", *fit.space.names, "Pareto eff.", "hypervolume"]
    )
    for one in rows:
        triples = zip(one.started.estimate, one.reached.estimate, one.equilibrium.estimate, strict=True)
        cells = [f"{_level(a)} > {_level(b)} [dim]({_level(c)})[/dim]" for a, b, c in triples]
        table.add_row(Text(one.name), *cells, _interval(one.pareto_efficiency), _number(one.hypervolume))
    return table


def _levels_by_objective(fit: Fit, rows: list[StrategyFit]) -> Table:
    table = _table("Levels", ["strategy", "objective", "mean start", "mean end", "equilibrium", "at a bound"])
    for one in rows:
        for j, name in enumerate(fit.space.names):
            table.add_row(
                Text(one.name if j == 0 else ""),
                Text(name),
                _level(one.started.estimate[j]),
                _level(one.reached.estimate[j]),
                _level(one.equilibrium.estimate[j]),
                "–" if np.isnan(one.at_bound[j]) else f"{one.at_bound[j]:.0%}",
            )
    return table


def _interference(fit: Fit, rows: list[StrategyFit], narrow: bool) -> RenderableType:
    n, names = fit.space.n, fit.space.names
    if n < 2:
        return Text("")
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    if len(pairs) > 6:
        return Text(f"Interference of {len(pairs)} pairs of objectives: see the report or the JSON document.\n")
    title = "Interference (correlation of step changes)"
    if narrow:
        table = _table(title, ("strategy", "objectives", "correlation"))
        for one in rows:
            for i, j in pairs:
                name = one.name if (i, j) == pairs[0] else ""
                table.add_row(Text(name), Text(f"{names[i]} / {names[j]}"), _interval(one.interference[i, j]))
        return table
    table = _table(title, ["strategy", *(f"{names[i]} / {names[j]}" for i, j in pairs)])
    for one in rows:
        table.add_row(Text(one.name), *(_interval(one.interference[i, j]) for i, j in pairs))
    return table
