"""Groups of sessions: the population, how much groups differ, and those farthest from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.core.counting import count_of
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.pooling.results import GroupFit, StrategyPooling
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.report.book import Book, Panel
from trimtab.report.figures.groups import GROUPS, group_figure
from trimtab.report.figures.layout import objective_title
from trimtab.report.palette import Look
from trimtab.report.text import (
    bounds,
    decimals_for,
    fixed,
    interval,
    number,
    p_value,
    percent,
    scale_decimals,
    shorten,
)

__all__ = ["GroupRow", "Grouped", "Groups", "groups"]

OBJECTIVES = 6
"""Most objectives with a figure of their own."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: name, sizes, own rate, shrunken rate (empty where all groups share one), levels, and how far it is."""

    name: str
    sessions: str
    steps: str
    own_rate: str
    rate: str
    levels: tuple[str, ...]
    shrinkage: str
    distance: str


@dataclass(frozen=True, slots=True)
class Grouped:
    """What the section says about one strategy.

    Parameters
    ----------
    index
        Position among the strategies shown.
    population
        (figure, estimate, interval, standard deviation between groups).
    differ
        Whether groups differ by more than chance; only then each is shown.
    counted
        How many groups, sessions and steps there are.
    shown
        How many groups are shown, of how many, in words; empty where all are.
    """

    index: int
    verdict: str
    counted: str
    p_value: str
    population: tuple[tuple[str, str, str, str], ...]
    differ: bool
    panels: tuple[Panel, ...]
    objectives: tuple[str, ...]
    rows: tuple[GroupRow, ...]
    shown: str
    rates_vary: bool


@dataclass(frozen=True, slots=True)
class Groups:
    """The whole section: the column that names groups, each strategy's part, and what to be warned of."""

    group: str
    strategies: tuple[Grouped, ...]
    warnings: tuple[str, ...]


def groups(book: Book, fit: Fit, shown: Sequence[StrategyFit], looks: Sequence[Look]) -> Groups | None:
    """Return what pooling says, and draw it; None where nothing was pooled."""
    pooling = fit.pooling
    if pooling is None:
        return None
    parts = tuple(
        _grouped(book, k, pooling.strategies[one.name], looks[k])
        for k, one in enumerate(shown)
        if one.name in pooling.strategies
    )
    return Groups(shorten(pooling.group, 60), parts, tuple(shorten(text, 600) for text in pooling.warnings))


def _grouped(book: Book, index: int, one: StrategyPooling, look: Look) -> Grouped:
    differ = bool(one.heterogeneity.p_value < 1 - one.level)
    farthest = one.groups[:GROUPS]
    listed = [j for j in range(one.space.n) if one.active[j]]
    sizes = f"{count_of(len(one.groups), 'group')}, {count_of(one.sessions, 'session')}, {count_of(one.steps, 'step')}"
    more = len(one.groups) > len(farthest)
    return Grouped(
        index=index,
        verdict=shorten(one.verdict, 2000),
        counted=sizes,
        p_value=p_value(one.heterogeneity.p_value),
        population=_population(one, listed),
        differ=differ,
        panels=_panels(book, index, one, farthest, listed, look) if differ else (),
        objectives=tuple(shorten(one.space.names[j], 40) for j in listed),
        rows=tuple(_row(one, group, listed) for group in farthest) if differ else (),
        shown=f"the {len(farthest)} of {len(one.groups):,} groups that are farthest from the population"
        if more
        else "",
        rates_vary=one.varies != "levels",
    )


def _population(one: StrategyPooling, listed: Sequence[int]) -> tuple[tuple[str, str, str, str], ...]:
    same = one.varies == "levels"
    rows = [
        (name, *bounds(value, _decimals(value)), "the same in all" if same else number(spread))
        for name, value, spread in (
            ("Rate", one.rate, one.between.rate),
            ("Average rate", one.smooth_rate, one.between.smooth_rate),
        )
    ]
    for j in listed:
        value = one.equilibrium[j]
        decimals = scale_decimals(one.space.objectives[j])
        decimals = _decimals(value) if decimals is None else decimals
        spread = float(one.between.equilibrium[j])
        between = number(spread) if decimals is None else fixed(spread, decimals)
        name = f"Equilibrium, {shorten(one.space.names[j], 60)}"
        rows.append((name, *bounds(value, decimals), between))
    return tuple(rows)


def _decimals(value: Estimate) -> int | None:
    """Return one decimal more than an interval deserves: the verdict beside it has it, too."""
    widths = float(value) - value.low, value.high - float(value)
    return decimals_for(*widths) + 1 if np.isfinite(widths).all() else None


def _panels(
    book: Book, index: int, one: StrategyPooling, farthest: Sequence[GroupFit], listed: Sequence[int], look: Look
) -> tuple[Panel, ...]:
    wanted: list[tuple[str, str, list[Estimate], Estimate, int | None]] = []
    for j in listed[:OBJECTIVES]:
        objective = one.space.objectives[j]
        values = [group.equilibrium[j] for group in farthest]
        if any(np.isfinite(float(value)) for value in values):
            title = f"equilibrium of {objective_title(objective)}"
            wanted.append((f"groups-{index}-{j}", title, values, one.equilibrium[j], scale_decimals(objective)))
    if one.varies != "levels":
        wanted.append((f"groups-{index}-rate", "rate", [group.rate for group in farthest], one.rate, None))
    panels = []
    for name, title, values, population, decimals in wanted:
        height = book.add(name, group_figure(farthest, values, population, look, title=title, decimals=decimals))
        ends = sorted(range(len(values)), key=lambda k: float(values[k]))
        heard = "; ".join(
            f"{shorten(farthest[k].name, 40)} {number(float(values[k]))}" for k in dict.fromkeys((ends[0], ends[-1]))
        )
        what = "Rates" if name.endswith("rate") else f"Equilibria of {_objective(one, name)}"
        panels.append(Panel(name, f"{what} by {shorten(one.group, 40)}, {shorten(one.name, 60)}: {heard}", height))
    return tuple(panels)


def _objective(one: StrategyPooling, name: str) -> str:
    return shorten(one.space.names[int(name.rsplit("-", 1)[1])], 40)


def _row(one: StrategyPooling, group: GroupFit, listed: Sequence[int]) -> GroupRow:
    return GroupRow(
        name=shorten(group.name, 60),
        sessions=f"{group.sessions:,}",
        steps=f"{group.steps:,}",
        own_rate=number(group.own_rate),
        rate="" if one.varies == "levels" else interval(group.rate),
        levels=tuple(interval(group.equilibrium[j], scale_decimals(one.space.objectives[j])) for j in listed),
        shrinkage=percent(group.shrinkage),
        distance=fixed(group.distance, 1),
    )
