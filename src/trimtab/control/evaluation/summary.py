"""An evaluation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from trimtab.control.evaluation.evaluate import Evaluation
from trimtab.control.evaluation.outcome import Figure, Outcome
from trimtab.control.floor import Floor
from trimtab.core.counting import count_of
from trimtab.core.plain import exact
from trimtab.estimation.layout import NARROW, as_text, listed, number, paragraph, plain, table

__all__ = ["EvaluationSummary", "figure_text", "policy_label", "share_allowed", "share_text", "summary"]


def summary(found: Evaluation) -> str:
    """Return tables and what to know about them as plain text, at most 118 columns wide."""
    return as_text(EvaluationSummary(found))


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """An evaluation as something that rich prints, laid out for the width of the terminal."""

    found: Evaluation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table of policies, what floors came to, the comparison of handling, and how to read it."""
        found, narrow = self.found, options.max_width < NARROW
        yield _policies(found, narrow)
        for i in range(len(found.goal.floors)):
            yield _floor(found, i)
        if any(found[name].fired for name in found):
            yield _triggers(found)
        if found.scenarios:
            yield _scenarios(found, narrow)
        if found.handling is not None:
            yield Text("One after another, or all at once", style="bold")
            yield paragraph(found.handling.says)
        yield from listed("How to read it", _reading(found))
        yield from listed("Assumed", found.notes)


def figure_text(figure: Figure | None, digits: int = 2, *, signed: bool = True) -> str:
    """Return a mean and half the width of its interval, a dash where it is unknown."""
    if figure is None or figure.mean != figure.mean:
        return "–"
    return f"{number(figure.mean, digits, signed=signed)} ± {number((figure.high - figure.low) / 2, digits)}"


def policy_label(name: str) -> str:
    """Return how a policy is called in tables."""
    strategy = name.removeprefix("fixed:strategy=")
    return name if strategy == name else f"always {strategy}"


def share_allowed(floor: Floor) -> str:
    """Return with which chance a floor may be passed, in percent."""
    return f"{exact(round(100 * floor.alpha, 6))}%"


def share_text(share: float) -> str:
    """Return a share of the oracle's gain in percent; how far below 0 it is depends on how little there is to gain."""
    return "–" if share != share else "below 0" if share < 0 else f"{share:.0%}"


def _policies(found: Evaluation, narrow: bool) -> Table:
    goal = found.goal
    name = "your function" if callable(goal.utility) else str(goal.utility)
    costly = bool(goal.cost or goal.costs)
    heads = ["policy", "utility", "iterations", "net" if costly else "", "over best fixed"]
    heads += ["" if found.schedule is None or narrow else "over schedule", "" if narrow else "hypervolume"]
    heads += ["" if narrow or found.oracle is None else "regret", "" if found.oracle is None else "share"]
    kept = [i for i, head in enumerate(heads) if head]
    size = f"{count_of(found.sessions, 'session')} of up to {count_of(found.budget, 'iteration')}"
    made = table(f"Utility ({name}) of what is kept, {size}", [heads[i] for i in kept])
    order = sorted(found, key=lambda one: -float(found[one].net.mean()))
    for one in order:
        standing, outcome = found.standing(one), found[one]
        best = one == found.best_fixed
        cells: list[Text | str] = [
            Text(plain(policy_label(one)), style="bold" if best else ""),
            number(float(outcome.utility.mean()), 3),
            number(float(outcome.used.mean()), 1),
            number(standing.net.mean, 3),
            "best fixed" if best else figure_text(standing.over_fixed),
            "itself" if one == found.schedule else figure_text(standing.over_schedule),
            number(float(outcome.hypervolume.mean()), 3),
            figure_text(standing.regret, signed=False),
            "–" if standing.share is None or best else share_text(standing.share.mean),
        ]
        made.add_row(*(cells[i] for i in kept))
    if found.oracle is not None:
        made.add_section()
        made.add_row(*(_oracle_cells(found.oracle)[i] for i in kept))
    return made


def _oracle_cells(oracle: Outcome) -> list[Text | str]:
    return [
        Text("oracle", style="italic"),
        number(float(oracle.utility.mean()), 3),
        number(float(oracle.used.mean()), 1),
        number(float(oracle.net.mean()), 3),
        "",
        "",
        number(float(oracle.hypervolume.mean()), 3),
        "",
        "100%",
    ]


def _floor(found: Evaluation, i: int) -> Table:
    floor = found.goal.floors[i]
    made = table(f"The floor {floor}, by true states", ("policy", "passed", "share", "95%", "allowed", "floor is"))
    for name in found:
        each = found[name].passed[i]
        made.add_row(
            Text(plain(policy_label(name))),
            f"{each.count:,} of {each.of:,}",
            f"{each.share:.2%}" if each.of else "–",
            f"{each.low:.2%} to {each.high:.2%}",
            share_allowed(floor),
            each.verdict,
        )
    return made


def _triggers(found: Evaluation) -> Table:
    names = [*dict.fromkeys(name for one in found for name in found[one].fired)]
    made = table("Triggers: sessions in which each fired", ["policy", *names])
    for one in found:
        outcome = found[one]
        made.add_row(
            Text(plain(policy_label(one))), *(_percent(outcome.fired.get(name, 0) / len(outcome)) for name in names)
        )
    return made


def _scenarios(found: Evaluation, narrow: bool) -> Table:
    names = [*found.scenarios[0].cases]
    short = [name.replace("predictive:", "") for name in names]
    heads = ["what policies know is wrong in", "" if narrow else "best fixed", "" if narrow else "all known"]
    for name in short:
        heads += ["" if narrow else name, f"lost by {name}" if narrow else "lost"]
    kept = [i for i, head in enumerate(heads) if head]
    made = table("What it costs to be wrong", [heads[i] for i in kept])
    for one in found.scenarios:
        cells: list[Text | str] = [Text(plain(one.name)), number(one.fixed), number(one.informed)]
        for name in names:
            cells += [number(one.cases[name].net.mean), figure_text(one.cases[name].lost)]
        made.add_row(*(cells[i] for i in kept))
    return made


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _reading(found: Evaluation) -> Iterator[str]:
    yield (
        "Utility is that of the true state of the iterate that a policy keeps, from 0 to 10 where scales are bounded. "
        "± is half a 95% interval of a mean difference, session by session on the same random numbers."
    )
    if found.goal.cost or found.goal.costs:
        yield "net is utility less the cost of the iterations used; differences are of net utility."
    if found.oracle is not None:
        yield (
            "regret is what the oracle gains over a policy, and share how much of the oracle's gain over the best "
            "fixed strategy a policy recovers; a dash means that there is no gain to have a share of."
        )
    if found.scenarios:
        yield (
            "lost is what a policy that knew all about that world would gain over the one that is wrong. Where they "
            "are given, best fixed, all known and the policies are net utilities in it."
        )
    if found.goal.floors:
        yield (
            "A floor is kept where the chance of passing it is below what is allowed for sure, broken where it is "
            "above, and open where the sessions do not tell."
        )
