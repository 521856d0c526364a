"""Pooling as text for a terminal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from trimtab.core.counting import count_of
from trimtab.estimation.layout import NARROW, as_text, listed, number, p_value, paragraph, plain, score, table
from trimtab.estimation.pooling.results import GroupFit, Pooling, StrategyPooling

__all__ = ["PoolingSummary", "summary", "verdict"]

MOST_GROUPS = 20
"""Groups shown: of more, those farthest from the population."""

_MOST_OBJECTIVES = 4


def summary(pooling: Pooling) -> str:
    """Return tables and verdicts as plain text, at most 118 columns wide."""
    return as_text(PoolingSummary(pooling))


@dataclass(frozen=True, slots=True)
class PoolingSummary:
    """Pooling as something that rich prints, laid out for the width of the terminal; only the tables unless `alone`."""

    pooling: Pooling
    alone: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a block for each strategy, then verdicts, then what to be warned of."""
        pooling, narrow = self.pooling, options.max_width < NARROW
        for one in pooling.strategies.values():
            yield _population(one)
            if one.heterogeneity.p_value < 1 - one.level:
                yield _groups(one, narrow)
        if not self.alone:
            return
        yield Text("What it means", style="bold")
        for name, one in pooling.strategies.items():
            yield paragraph(one.verdict, name if len(pooling) > 1 else "")
        yield from listed("Warnings", pooling.warnings)
        yield from listed("Left out", map(str, pooling.exclusions))
        yield from listed("Assumed", pooling.notes)


def _population(one: StrategyPooling) -> Table:
    size = f"{count_of(one.sessions, 'session')}, {count_of(one.steps, 'step')}"
    title = f"{one.name}: {count_of(len(one.groups), 'group')} by {one.group}, {size}"
    made = table(title, ("population mean", "estimate", f"{one.level:.0%} interval", "sd between groups"))
    alike = one.varies == "levels"
    figures = (
        ("rate", one.rate, one.between.rate),
        ("average rate -tr(A)/n", one.smooth_rate, one.between.smooth_rate),
    )
    for words, value, spread in figures:
        made.add_row(
            words,
            number(value, 3),
            Text(f"{number(value.low, 3)} .. {number(value.high, 3)}", style="dim"),
            "the same in all" if alike else number(spread, 3),
        )
    target = one.equilibrium
    for j, name in enumerate(one.space.names):
        if one.active[j] and one.settles:
            made.add_row(
                Text(plain(f"equilibrium {name}")),
                score(target.estimate[j]),
                Text(f"{score(target.low[j])} .. {score(target.high[j])}", style="dim"),
                score(one.between.equilibrium[j]),
            )
    return made


def _groups(one: StrategyPooling, narrow: bool) -> Table:
    shown = one.groups[:MOST_GROUPS]
    more = f", the {len(shown)} farthest out of {len(one.groups):,}" if len(shown) < len(one.groups) else ""
    title = f"Groups{more} (shrunk: share of the population in a group's level)"
    names = [name for j, name in enumerate(one.space.names) if one.active[j]]
    own = [j for j in range(one.space.n) if one.active[j]]
    levels = one.settles and not narrow and len(names) <= _MOST_OBJECTIVES
    rates = ("rate", "own rate") if one.varies != "levels" else ("own rate",)
    heads = (one.group, "sessions", "steps", *rates, *(names if levels else ()), "shrunk", "distance")
    made = table(title, heads)
    for group in shown:
        cells = [number(group.rate, 3), number(group.own_rate, 3)][-len(rates) :]
        cells += [score(group.equilibrium.estimate[j]) for j in own] if levels else []
        made.add_row(
            Text(plain(group.name)),
            f"{group.sessions:,}",
            f"{group.steps:,}",
            *cells,
            f"{group.shrinkage:.0%}",
            number(group.distance, 1),
        )
    return made


def verdict(one: StrategyPooling) -> str:
    """Return a few sentences: do groups differ, in what, and how fast is the loop when that is taken out."""
    p = one.heterogeneity.p_value
    rate = one.rate
    speed = f"rate {float(rate) * one.dt:.2f} per iteration ({rate.low * one.dt:.2f} to {rate.high * one.dt:.2f})"
    shown = f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"
    if not p < 1 - one.level:
        return (
            f"Nothing shows that groups by {one.group} differ in level ({shown}); the {speed} is that of all of them, "
            f"and of all steps together it is {one.plain_rate * one.dt:.2f}."
        )
    parts = [f"Groups by {one.group} differ in level for good ({shown}): {_spread(one)}."]
    plainly = f"without regard to groups that looks like {one.plain_rate * one.dt:.2f}"
    if one.settles:
        parts.append(f"Within a group a deviation dies out at the {speed}; {plainly}.")
    else:
        parts.append(f"Within a group no return to a level can be told from none: the {speed}; {plainly}.")
    if one.varies != "levels":
        parts.append(f"Groups differ in speed too, with a standard deviation of {one.between.rate * one.dt:.2f}.")
    return " ".join([*parts, _farthest(one.groups[0])])


def _spread(one: StrategyPooling) -> str:
    known = one.settles and np.isfinite(one.between.equilibrium[one.active]).all()
    spread = one.between.equilibrium if known else one.between.drift * one.dt
    listed = [f"{name} {score(spread[j])}" for j, name in enumerate(one.space.names) if one.active[j]]
    what = "equilibria" if known else "steps from one and the same score"
    return f"standard deviations of their {what} are {', '.join(listed)}"


def _farthest(group: GroupFit) -> str:
    return f"Farthest from the others is {group.name}, at {group.distance:.1f} standard deviations."
