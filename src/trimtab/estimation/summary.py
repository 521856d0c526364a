"""A fit as text for a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab.estimation.cautions import CANNOT_IDENTIFY
from trimtab.estimation.results import Estimate, Fit, StrategyFit

__all__ = ["summary", "summary_blocks"]

_WIDTH = 118
_MOST_COLUMNS = 4


def summary(fit: Fit) -> str:
    """Return the figures and verdicts of `fit` as plain text, at most 118 columns wide."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=_WIDTH, color_system=None, legacy_windows=False)
    console.print(summary_blocks(fit))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def summary_blocks(fit: Fit) -> RenderableType:
    """Return the same as something that rich can print in colour."""
    rows = [*fit.strategies.values()] + ([fit.pooled] if len(fit) > 1 else [])
    blocks: list[RenderableType] = [_dynamics(fit, rows), _levels(fit, rows), _interference(fit, rows)]
    blocks.append(Text("What it means", style="bold"))
    blocks += [_paragraph(f"[bold]{escape(one.name)}[/bold]  {escape(one.verdict)}") for one in fit.strategies.values()]
    for heading, lines in (
        ("Warnings", _warnings(fit)),
        ("Left out", map(str, fit.exclusions)),
        ("Assumed", fit.notes),
    ):
        listed = [*lines]
        if listed:
            blocks.append(Text(heading, style="bold"))
            blocks += [_paragraph(escape(line)) for line in listed]
    return Group(*blocks)


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
    # Scores need not be of the order of 1 to 10.
    return f"{value:.{digits}f}" if value == 0 or 0.01 <= abs(value) < 1e5 else f"{value:.3g}"


def _interval(value: Estimate, digits: int = 2) -> str:
    if np.isnan(value.low) and np.isnan(value.high):
        return _number(value, digits)
    low, high = _number(value.low, digits), _number(value.high, digits)
    return f"{_number(value, digits)}\n[dim]{low}..{high}[/dim]"


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if i == 0 else "right", overflow="fold")
    return table


def _dynamics(fit: Fit, rows: list[StrategyFit]) -> Table:
    columns = ("strategy", "sessions", "steps", "rate", "half-life", "max |1+λ|", "regime", "R2 steps", "held out")
    table = _table(f"Dynamics (second lines: {fit.level:.0%} intervals from resampled sessions)", columns)
    for one in rows:
        table.add_row(
            Text(one.name),
            f"{one.sessions:,}",
            f"{one.steps:,}",
            _interval(one.rate),
            _interval(one.half_life, 1),
            _interval(one.spectral_radius),
            escape(str(one.regime)),
            _interval(one.r2.steps),
            _number(one.r2.steps_held_out),
        )
    return table


def _levels(fit: Fit, rows: list[StrategyFit]) -> Table:
    if fit.space.n > _MOST_COLUMNS:
        return _levels_by_objective(fit, rows)
    table = _table(
        "Levels: mean start > mean end (equilibrium)", ["strategy", *fit.space.names, "Pareto eff.", "hypervolume"]
    )
    for one in rows:
        triples = zip(one.started.estimate, one.reached.estimate, one.equilibrium.estimate, strict=True)
        cells = [f"{_number(a)} > {_number(b)} [dim]({_number(c)})[/dim]" for a, b, c in triples]
        table.add_row(Text(one.name), *cells, _interval(one.pareto_efficiency), _number(one.hypervolume))
    return table


def _levels_by_objective(fit: Fit, rows: list[StrategyFit]) -> Table:
    table = _table("Levels", ["strategy", "objective", "mean start", "mean end", "equilibrium", "at a bound"])
    for one in rows:
        for j, name in enumerate(fit.space.names):
            table.add_row(
                Text(one.name if j == 0 else ""),
                Text(name),
                _number(one.started.estimate[j]),
                _number(one.reached.estimate[j]),
                _number(one.equilibrium.estimate[j]),
                "–" if np.isnan(one.at_bound[j]) else f"{one.at_bound[j]:.0%}",
            )
    return table


def _interference(fit: Fit, rows: list[StrategyFit]) -> RenderableType:
    n, names = fit.space.n, fit.space.names
    if n < 2:
        return Text("")
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    if len(pairs) > 6:
        return Text(f"Interference of {len(pairs)} pairs of objectives: see the report or the JSON document.\n")
    table = _table(
        "Interference (correlation of step changes)", ["strategy", *(f"{names[i]} / {names[j]}" for i, j in pairs)]
    )
    for one in rows:
        table.add_row(Text(one.name), *(_interval(one.interference[i, j]) for i, j in pairs))
    return table
