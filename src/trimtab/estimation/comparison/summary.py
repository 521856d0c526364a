"""A comparison as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from trimtab.dynamics.spectrum import REGIMES
from trimtab.estimation.comparison.results import FIGURES, Comparison, DriftTest, Row, StrategyComparison
from trimtab.estimation.layout import NARROW, as_text, listed, number, p_value, paragraph, plain, score, table

__all__ = ["ComparisonSummary", "summary"]


def summary(comparison: Comparison) -> str:
    """Return tables and verdicts as plain text, at most 118 columns wide."""
    return as_text(ComparisonSummary(comparison))


@dataclass(frozen=True, slots=True)
class ComparisonSummary:
    """A comparison as something that rich prints, laid out for the width of the terminal."""

    comparison: Comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a block for each strategy, then verdicts, then what to be warned of."""
        comparison, narrow = self.comparison, options.max_width < NARROW
        for one in comparison.strategies.values():
            yield _figures(one, narrow)
            yield from _tests(one)
            yield _regimes(one)
        yield Text("What it means", style="bold")
        for name, one in comparison.strategies.items():
            yield paragraph(one.verdict, name if len(comparison) > 1 else "")
        yield paragraph(_family(comparison))
        yield from listed("Warnings", comparison.warnings)
        yield from listed("Left out", map(str, comparison.exclusions))
        yield from listed("Assumed", comparison.notes)


def _family(comparison: Comparison) -> str:
    rows = sum(row.p_value == row.p_value for one in comparison.strategies.values() for row in one.rows)
    text = (
        f"Both sides are fitted by least squares, as in the paper; trimtab fit shows what noise and levels do to each. "
        f"Figures are said to differ where p stays below {1 - comparison.level:.2g} after Holm's adjustment over the "
        f"{rows} rows shown"
    )
    tests = len(comparison.strategies)
    return text + (f"; the tests of A and b are adjusted over {tests} strategies." if tests > 1 else ".")


def _title(one: StrategyComparison) -> str:
    if one.paired:
        drawn = f"{one.units[0]:,} {one.noun} on both sides, paired by {one.by}"
    else:
        drawn = f"{one.units[0]:,} and {one.units[1]:,} {one.noun}, not paired"
    return f"{one.name}: {drawn} ({one.sessions[0]:,} and {one.sessions[1]:,} sessions)"


def _figures(one: StrategyComparison, narrow: bool) -> Table:
    a, b = one.names
    difference = "difference" if len(b) + len(a) > 24 else f"{b} - {a}"
    interval = f"{one.level:.0%} interval"
    heads = ("figure", a, b, difference, "Holm p") if narrow else ("figure", a, b, difference, interval, "p", "Holm p")
    made = table(_title(one), heads)
    for row in one.rows:
        words = FIGURES[row.figure] + (f" {' / '.join(row.objectives)}" if row.objectives else "")
        change, span = _change(row)
        cells: list[RenderableType] = [Text(plain(words)), _value(row, row.a), _value(row, row.b)]
        if narrow:
            made.add_row(*cells, Text(change).append(f"\n{span}", style="dim"), _stressed(one, row))
        else:
            made.add_row(*cells, change, Text(span, style="dim"), p_value(row.p_value), _stressed(one, row))
    return made


def _stressed(one: StrategyComparison, row: Row) -> Text:
    return Text(p_value(row.p_adjusted), style="bold" if row.p_adjusted < 1 - one.level else "")


_SCORES = ("equilibrium", "reached")


def _value(row: Row, value: float) -> str:
    return score(value) if row.figure in _SCORES else number(value, 1 if row.figure == "half_life" else 3)


def _change(row: Row) -> tuple[str, str]:
    d = row.difference
    if row.kind == "ratio":
        return (f"x {number(d)}" if d == d else "–"), f"x {number(d.low)} .. x {number(d.high)}"
    if row.figure in _SCORES:
        return score(d, signed=True), f"{score(d.low, signed=True)} .. {score(d.high, signed=True)}"
    return number(d, 3, signed=True), f"{number(d.low, 3, signed=True)} .. {number(d.high, 3, signed=True)}"


def _tests(one: StrategyComparison) -> Iterator[RenderableType]:
    for words, test in (("Equal drift", one.drift), ("Equal A", one.matrix)):
        yield paragraph(_test(test, words))
    yield Text("")


def _test(test: DriftTest, words: str) -> str:
    if test.p_value != test.p_value:
        return f"{words} ({test.entries}): cannot be tested"
    adjusted = "" if test.p_adjusted == test.p_value else f", adjusted {p_value(test.p_adjusted)}"
    return (
        f"{words} ({test.entries}): p {p_value(test.p_value)}{adjusted}; Hotelling T2 {test.statistic:.1f} with "
        f"{test.dof} and {test.error_dof:.0f} degrees of freedom"
    )


def _regimes(one: StrategyComparison) -> Table:
    made = table("Regimes (share of the bootstrap replicates)", ("side", *REGIMES))
    for name, shares in zip(one.names, one.regimes, strict=True):
        made.add_row(Text(plain(name)), *(f"{shares[regime]:.0%}" if shares else "–" for regime in REGIMES))
    return made
