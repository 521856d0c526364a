"""Several agents in one system, as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from trimtab.core.counting import count_of
from trimtab.estimation.coupling.results import Block, Coupling, StrategyCoupling
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.layout import listed, number, p_value, paragraph, plain, score, table
from trimtab.estimation.rungs import RUNGS

__all__ = ["CouplingSummary"]

_HOW = (
    "An agent moves another where its scores at one iteration tell how the other's will change to the next, beyond "
    "what the other's own scores tell. The strength is the norm of that part of the drift, each objective in its own "
    "spread: 0 is none, and chance alone makes it positive, so that the p-value decides (Holm's correction over the "
    "pairs). What both agents share for a whole session, such as a hard task or one judge of both, looks the same to "
    "least squares; estimators that allow for it take its place where the scores show lasting differences."
)


@dataclass(frozen=True, slots=True)
class CouplingSummary:
    """The blocks of a fit as something that rich prints."""

    coupling: Coupling

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield who moves whom, steps that go together and speeds, then what was left out."""
        found = self.coupling
        for one in found.strategies.values():
            size = f"{count_of(one.sessions, 'session')}, {count_of(one.steps, 'step')}"
            yield Text(plain(f"{one.name} ({size}), by {RUNGS[one.estimator]}"), style="bold")
            yield _blocks(one, found.level)
            yield from _interference(one)
            for sentence in (*_verdicts(one, found.level), _speed(one)):
                yield paragraph(sentence)
            yield Text("")
        yield from listed("Warnings", found.warnings)
        yield from listed("Left out", map(str, found.exclusions))
        yield from listed("Assumed", found.notes)
        yield from listed("How to read this", [_HOW])


def _blocks(one: StrategyCoupling, level: float) -> Table:
    made = table(
        "Who moves whom", ["agent moved", "by", "strength", "p, adjusted", f"largest coefficient ({level:.0%})"]
    )
    for block in one.blocks.values():
        i, j = np.unravel_index(int(np.abs(block.A.estimate).argmax()), block.A.estimate.shape)
        own = block.to == block.of
        largest = f"{one.agents[block.of][j]} → {one.agents[block.to][i]} {_interval(block.A[i, j])}"
        made.add_row(
            Text(plain(block.to)),
            Text("itself" if own else plain(block.of)),
            number(block.norm),
            "–" if own else p_value(block.adjusted_p_value),
            Text(plain(largest)),
        )
    return made


def _interval(value: Estimate) -> str:
    """Return an estimate and its interval, all three to the decimals that the largest of them needs."""
    ends = (float(value), value.low, value.high)
    size = max((abs(end) for end in ends if np.isfinite(end)), default=0.0)
    if size and not 1e-3 <= size < 1e5:
        point, low, high = (score(end, signed=True) for end in ends)
    else:
        digits = max(2, 1 - math.floor(math.log10(size))) if size else 2
        point, low, high = (number(end, digits, signed=True) for end in ends)
    return f"{point} ({low}..{high})"


def _interference(one: StrategyCoupling) -> Iterator[RenderableType]:
    if not one.interference:
        return
    made = table("Steps that go together", ["agents", "size", "strongest", "p, adjusted"])
    for block in one.interference:
        who = f"within {block.agents[0]}" if len(block.agents) == 1 else " and ".join(block.agents)
        first, second = block.strongest
        made.add_row(
            Text(plain(who)),
            number(block.size),
            Text(plain(f"{first} and {second} {_interval(block.correlation)}")),
            p_value(block.adjusted_p_value),
        )
    yield made


def _verdicts(one: StrategyCoupling, level: float) -> Iterator[str]:
    """Say of each pair of agents who moves whom."""
    for block in one.between:
        p = block.adjusted_p_value
        if np.isnan(p):
            yield f"Whether {block.of} moves {block.to} cannot be said: too few sessions for so many coefficients."
        elif p < 1 - level:
            yield f"{block.of} moves {block.to} (p {'' if p < 0.001 else '= '}{p_value(p).replace('<', '< ')})."
        else:
            yield f"Nothing shows that {block.of} moves {block.to} (p = {p_value(p)}).{_otherwise(block, level)}"


def _otherwise(block: Block, level: float) -> str:
    """Say where least squares would have found what the trusted estimator does not."""
    if not block.least_squares_p_value < 1 - level:
        return ""
    return (
        f" Least squares would have said so (p = {p_value(block.least_squares_p_value)}), but it takes lasting "
        "differences between sessions, noise of the scores and scores at bounds for coupling."
    )


def _speed(one: StrategyCoupling) -> str:
    change = one.rate_change
    said = f"Rate {number(one.rate, 3)} together, {number(one.rate_apart, 3)} with nothing between the agents"
    if np.isnan(change.low):
        return f"{said}."
    sure = "" if change.low > 0 or change.high < 0 else ", which may be chance"
    ends = "..".join(number(end, 3, signed=True) for end in (change.low, change.high))
    return f"{said}: a change of {number(change, 3, signed=True)} ({ends}){sure}."
