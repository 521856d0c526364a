"""A comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from trimtab.dynamics.spectrum import REGIMES
from trimtab.estimation.comparison.results import FIGURES, Comparison, DriftTest, Row, Stillness, StrategyComparison
from trimtab.estimation.layout import NARROW, as_text, listed, number, p_value, paragraph, plain, score, table
from trimtab.estimation.results import StrategyFit
from trimtab.estimation.rungs import RUNGS

__all__ = ["ComparisonSummary", "summary"]

_MODELS = {"affine": "affine steps", "hurdle": "stand still or step", "chain": "levels (Markov chain)"}
_SCORES = ("equilibrium", "reached", "long_run", "change_equilibrium")
_SHARES = ("chance", "absorbed", "unchanged")


def summary(comparison: Comparison) -> str:
    """Return tables and verdicts as plain text, at most 118 columns wide."""
    return as_text(ComparisonSummary(comparison))


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """A comparison as something that rich prints, laid out for the width of the terminal."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a block for each strategy, then verdicts, then how to read it and what to be warned of."""
        comparison, narrow = self.comparison, options.max_width < NARROW
        for one in comparison.strategies.values():
            yield Text(plain(_title(one)), style="bold")
            yield _sides(one)
            if one.stillness is not None:
                yield _figures(one, _still_title(one.stillness), one.stillness.rows, narrow, one.stillness)
            yield _figures(one, "Least squares and outcomes" if one.regimes[0] else "Outcomes", one.rows, narrow)
            if one.trusted is not None and one.trusted.own:
                yield _figures(one, f"Trusted estimates: {_rungs(one)}", one.trusted.rows, narrow)
            yield from _tests(one)
            if any(map(_regular, one.fits)):
                yield _regimes(one)
        yield Text("What it means", style="bold")
        for name, one in comparison.strategies.items():
            yield paragraph(one.verdict, name if len(comparison) > 1 else "")
        yield from listed("How to read it", _reading(comparison))
        yield from listed("Warnings", comparison.warnings)
        yield from listed("Left out", map(str, comparison.exclusions))
        yield from listed("Assumed", comparison.notes)


def _reading(comparison: Comparison) -> Iterator[str]:
    found = [*comparison.strategies.values()]
    kinds = {
        "least squares and outcomes": [one.rows for one in found],
        "trusted estimates": [one.trusted.rows for one in found if one.trusted is not None and one.trusted.own],
        "standing still": [one.stillness.rows for one in found if one.stillness is not None],
    }
    counts = {kind: sum(row.p_value == row.p_value for rows in parts for row in rows) for kind, parts in kinds.items()}
    listed_counts = ", ".join(f"{count} of {kind}" for kind, count in counts.items() if count)
    yield (
        "p is how often chance alone makes a difference at least this large. adj. p allows for how many rows were "
        f"looked at: it is Holm's adjustment over the rows of one kind ({listed_counts}). Figures are said to differ "
        f"where adj. p is below {1 - comparison.level:.2g}."
        + (f" Tests are adjusted over the {len(found)} strategies." if len(found) > 1 else "")
    )
    if any(one.regimes[0] for one in found):
        yield (
            "A rate is the share of a deviation that one iteration takes away; what is kept is the rest of it, max "
            "|1+λ|. Least squares is the paper's estimator. It takes scoring noise and lasting differences between "
            "sessions for dynamics, which the trusted estimates allow for."
        )
    if counts["trusted estimates"] and any(one.paired for one in found):
        yield (
            "Trusted estimates of the two sides are taken for independent although the sides are paired: what pairs "
            "share makes their intervals too wide rather than too narrow."
        )


def _title(one: StrategyComparison) -> str:
    if one.paired:
        drawn = f"{one.units[0]:,} {one.noun} on both sides, paired by {one.by}"
    else:
        drawn = f"{one.units[0]:,} and {one.units[1]:,} {one.noun}, not paired"
    return f"{one.name}: {drawn} ({one.sessions[0]:,} and {one.sessions[1]:,} sessions)"


def _sides(one: StrategyComparison) -> Table:
    made = table("The two sides", ("side", "verdict of its own fit", "described by", "estimate to trust"))
    for name, fit in zip(one.names, one.fits, strict=True):
        made.add_row(Text(plain(name)), *_side(fit))
    return made


def _side(fit: StrategyFit) -> tuple[str, str, str]:
    if not fit.identified:
        return "no drift can be fitted", _MODELS[fit.coarse.chosen], "–"
    return fit.diagnosis.label, _MODELS[fit.coarse.chosen], RUNGS[fit.trusted]


def _rungs(one: StrategyComparison) -> str:
    a, b = (RUNGS[fit.trusted] for fit in one.fits)
    return f"{a} on both sides" if a == b else f"{a} ({one.names[0]}) and {b} ({one.names[1]})"


def _still_title(found: Stillness) -> str:
    return {
        "chain": "Levels: a Markov chain on each side"
        + (f" (the first {found.horizon} tries of each session)" if any(found.absorbing) else ""),
        "hurdle": "Standing still, and steps that change something",
        "share": "Standing still",
    }[found.model]


def _figures(
    one: StrategyComparison, title: str, rows: tuple[Row, ...], narrow: bool, still: Stillness | None = None
) -> Table:
    a, b = one.names
    difference = "difference" if len(b) + len(a) > 24 else f"{b} - {a}"
    interval = f"{one.level:.0%} interval"
    heads = ("figure", a, b, difference, "adj. p") if narrow else ("figure", a, b, difference, interval, "p", "adj. p")
    made = table(title, heads)
    for row in rows:
        change, span = _change(row)
        cells: list[RenderableType] = [Text(plain(_words(row, still))), _value(row, row.a), _value(row, row.b)]
        if narrow:
            made.add_row(*cells, Text(change).append(f"\n{span}", style="dim"), _stressed(one, row))
        else:
            made.add_row(*cells, change, Text(span, style="dim"), p_value(row.p_value), _stressed(one, row))
    return made


def _words(row: Row, still: Stillness | None) -> str:
    if still is not None and row.figure == "chance":
        return f"{FIGURES[row.figure]} {still.target}"
    if still is not None and row.figure == "absorbed":
        return f"chance to do so in {still.horizon} tries"
    return f"{FIGURES[row.figure]} {' / '.join(row.objectives)}" if row.objectives else FIGURES[row.figure]


def _stressed(one: StrategyComparison, row: Row) -> Text:
    return Text(p_value(row.p_adjusted), style="bold" if row.p_adjusted < 1 - one.level else "")


def _value(row: Row, value: float) -> str:
    if row.figure in _SHARES:
        return "–" if np.isnan(value) else f"{value:.1%}"
    return score(value) if row.figure in _SCORES else number(value, 1 if row.figure == "half_life" else 3)


def _change(row: Row) -> tuple[str, str]:
    """Return the difference and its interval in words; ratios are given as so many times."""
    d, unit = row.difference, ""
    scale, digits, signed = 1.0, 3, True
    if row.kind == "ratio":
        unit, signed = " times", False
        digits = 2 if not d.high >= 10 else 1 if d.high < 100 else 0
    elif row.figure in _SHARES:
        scale, unit, digits = 100.0, " points", 1
    elif row.figure in _SCORES:
        digits = _digits(d.high - d.low)
    change, low, high = (number(scale * value, digits, signed=signed) for value in (d, d.low, d.high))
    span = "cannot be said" if np.isnan(d.low) else f"{low} to {high}{unit}"
    return ("–" if np.isnan(d) else f"{change}{unit}"), span


def _digits(width: float) -> int:
    """Return decimals that show an interval of this width to two figures."""
    return int(np.clip(1 - np.floor(np.log10(width)), 0, 12)) if 0 < width < np.inf else 2


def _tests(one: StrategyComparison) -> Iterator[RenderableType]:
    if one.drift.dof:
        yield paragraph(_test(one, one.drift, "Same rule for a step on both sides"))
        yield paragraph(_test(one, one.matrix, "Same pull on both sides"))
    test = None if one.stillness is None else one.stillness.test
    if test is not None:
        adjusted = "" if test.p_adjusted == test.p_value else f", adjusted {p_value(test.p_adjusted)}"
        dealt = f"exchanging the sides of {one.noun}" if one.paired else f"dealing {one.noun} to the sides"
        yield paragraph(
            f"Same chances of going from level to level on both sides: {_finding(one, test.p_adjusted)}, p "
            f"{p_value(test.p_value)}{adjusted}, by {dealt} at random {test.permutations:,} times"
        )
    yield Text("")


def _finding(one: StrategyComparison, p: float) -> str:
    return "no, they differ" if p < 1 - one.level else "nothing speaks against it"


def _test(one: StrategyComparison, test: DriftTest, words: str) -> str:
    if test.p_value != test.p_value:
        return f"{words} ({test.entries}): cannot be tested"
    adjusted = "" if test.p_adjusted == test.p_value else f", adjusted {p_value(test.p_adjusted)}"
    figures = f"{test.dof} and {test.error_dof:.0f} degrees of freedom"
    how = f"; Hotelling T2 {test.statistic:.1f} with {figures}" if test.statistic == test.statistic else ""
    return f"{words} ({test.entries}): {_finding(one, test.p_adjusted)}, p {p_value(test.p_value)}{adjusted}{how}"


def _regular(fit: StrategyFit) -> bool:
    """Say whether a side has dynamics of affine steps, so that a regime means something."""
    return fit.diagnosis.label == "dynamics" and not fit.coarse.mostly_still


def _regimes(one: StrategyComparison) -> Table:
    made = table("Regimes by least squares (share of the bootstrap replicates)", ("side", *REGIMES))
    for name, shares, fit in zip(one.names, one.regimes, one.fits, strict=True):
        known = shares and _regular(fit)
        made.add_row(Text(plain(name)), *(f"{shares[regime]:.0%}" if known else "–" for regime in REGIMES))
    return made
