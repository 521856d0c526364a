"""A trial as text for a terminal and as a JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from trimtab.control.evaluation.outcome import Figure
from trimtab.control.evaluation.summary import figure_text, policy_label, share_allowed
from trimtab.core.counting import count_of
from trimtab.core.plain import number as known
from trimtab.core.plain import objectives
from trimtab.estimation.layout import NARROW, listed, number, plain, table
from trimtab.sessions.trial import COLD, Trial, clustered

__all__ = ["SCHEMA", "TrialSummary", "document"]

SCHEMA = "trimtab.trial/1"


@dataclass(frozen=True, slots=True)
class TrialSummary:
    """A trial as something that rich prints."""

    found: Trial

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table of arms, what floors came to, and how to read it."""
        found = self.found
        yield _arms(found, options.max_width < NARROW)
        for i in range(len(found.goal.floors)):
            yield _floor(found, i)
        yield from listed("How to read it", _reading(found))


def _arms(found: Trial, narrow: bool) -> Table:
    costly = bool(found.goal.cost or found.goal.costs)
    heads = ["policy", "utility", "iterations", "net" if costly else "", "over best fixed"]
    heads += ["" if narrow else "hypervolume", "failed"]
    kept = [i for i, head in enumerate(heads) if head]
    sessions = len(found.task)
    made = table(
        f"Utility ({found.goal.utility}) of what is kept, {count_of(sessions, 'session')} of up to "
        f"{count_of(found.budget, 'iteration')} on {count_of(len(found.held_out), 'task')} that were not fitted",
        [heads[i] for i in kept],
    )
    for arm in sorted(found, key=lambda one: -float(found[one].net.mean())):
        one, best = found[arm], arm == found.best_fixed
        cells: list[Text | str] = [
            Text(plain(policy_label(arm)), style="bold" if best else ""),
            number(float(one.utility.mean()), 3),
            number(float(one.used.mean()), 1),
            number(float(one.net.mean()), 3),
            "best fixed" if best else figure_text(found.over(arm, found.best_fixed)),
            number(float(one.hypervolume.mean()), 3),
            f"{found.failed[arm]:.0%}",
        ]
        made.add_row(*(cells[i] for i in kept))
    return made


def _floor(found: Trial, i: int) -> Table:
    floor = found.goal.floors[i]
    made = table(f"The floor {floor}", ("policy", "passed", "share", "95%", "allowed"))
    for arm in found:
        each = found[arm].passed[i]
        made.add_row(
            Text(plain(policy_label(arm))),
            f"{each.count:,} of {each.of:,}",
            f"{each.share:.1%}" if each.of else "–",
            f"{each.low:.1%} to {each.high:.1%}",
            share_allowed(floor),
        )
    return made


def _reading(found: Trial) -> Iterator[str]:
    yield (
        f"Every strategy ran alone on {len(found.training)} training tasks; the policies know that fit, and learn as "
        f"they go. Session by session all arms work on the same task and meet the same random numbers. ± is half a 95% "
        f"interval of the mean difference over {count_of(len(found.held_out), 'task')}."
    )
    yield "The best fixed strategy is chosen on these very sessions, which flatters it a little."
    if any(arm.endswith(COLD) for arm in found):
        yield f"A policy{COLD} knows no fit at its start: it learns from its own sessions alone, in rounds."
    yield "failed is the share of answers that could not be used: the program in force then stays."
    if found.goal.floors:
        yield "Intervals of the shares that pass a floor take sessions for independent, whatever their task."


def document(found: Trial) -> dict[str, Any]:
    """Return a trial as plain values."""
    return {
        "schema": SCHEMA,
        "objectives": objectives(found.goal.space),
        "goal": found.goal.to_dict(),
        "sessions": len(found.task),
        "iterations": found.budget,
        "seed": found.seed,
        "training": [*found.training],
        "held_out": [*found.held_out],
        "best_fixed": found.best_fixed,
        "arms": {arm: _arm(found, arm) for arm in found},
    }


def _arm(found: Trial, arm: str) -> dict[str, Any]:
    one = found[arm]
    names = [*found.known.strategies]
    return {
        "utility": _figure(clustered(one.utility, found.task)),
        "net": _figure(clustered(one.net, found.task)),
        "iterations": _figure(clustered(one.used.astype(float), found.task)),
        "hypervolume": _figure(clustered(one.hypervolume, found.task)),
        "over_fixed": {
            other: _figure(found.over(arm, other)) for other in found if other.startswith("fixed:") and other != arm
        },
        "asked": int(one.asked.sum()),
        "failed": found.failed[arm],
        "uses": {name: int(count) for name, count in zip(names, one.uses, strict=True)},
        "floors": [
            {"floor": str(each.floor), "passed": each.count, "of": each.of, "low": each.low, "high": each.high}
            for each in one.passed
        ],
    }


def _figure(figure: Figure) -> list[float | None]:
    return [known(value) for value in (figure.mean, figure.low, figure.high)]
