"""The page of an evaluation: policies side by side on the same simulated sessions, in one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.control.evaluation.evaluate import Evaluation
from trimtab.control.evaluation.outcome import Figure, Outcome
from trimtab.control.evaluation.summary import policy_label, share_allowed, share_text
from trimtab.report.book import Book, Panel
from trimtab.report.figures.policies import Gain, gains_figure
from trimtab.report.page import environment, page_parts, write_page
from trimtab.report.palette import look
from trimtab.report.text import UNKNOWN, fixed, percent, shorten

__all__ = ["Table", "render_policies", "write_policies"]

POLICIES = 60
"""Most policies that are drawn; the best."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column is text and whose others are numbers; `title` may be empty."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def write_policies(found: Evaluation, path: Path | str, *, title: str | None = None) -> Path:
    """Write the page and return its path; the same evaluation gives the same bytes.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    return write_page(render_policies(found, title=title), path, "page of policies")


def render_policies(found: Evaluation, *, title: str | None = None) -> str:
    """Return the page that `write_policies` writes."""
    order = sorted(found, key=lambda name: -float(found[name].net.mean()))[:POLICIES]
    book = Book()
    gains = [
        Gain(policy_label(name), look(0 if name.startswith("fixed:") else 1), found.standing(name).over_fixed)
        for name in order
    ]
    height = book.add("gains", gains_figure(gains, _oracle_gain(found)))
    return (
        environment()
        .get_template("policies.html")
        .render(
            title=shorten(title, 200) if title else "Which policy steers best",
            **page_parts(),
            figures=book.json(),
            lead=_lead(found, order),
            settings=_settings(found),
            panel=Panel("gains", "Net utility that each policy gains over the best fixed strategy", height),
            policies=_policies(found, order),
            oracle=None if found.oracle is None else _oracle(found.oracle, str(found.oracle_by)),
            floors=_floors(found, order),
            triggers=_triggers(found, order),
            scenarios=_scenarios(found),
            handling=None if found.handling is None else found.handling.says,
            notes=found.notes,
            beyond=len(found) - len(order),
        )
    )


def _lead(found: Evaluation, order: list[str]) -> str:
    best = order[0]
    if best == found.best_fixed:
        return f"No policy does better than to use {shorten(policy_label(best)[7:], 60)} throughout."
    gain = found.standing(best).over_fixed
    sure = "beyond chance" if gain.low > 0 else "but not beyond chance"
    return (
        f"{shorten(policy_label(best), 60)} does best: {fixed(gain.mean, 2)} points more than the best fixed strategy, "
        f"{sure} (95% {fixed(gain.low, 2)} to {fixed(gain.high, 2)})."
    )


def _settings(found: Evaluation) -> list[tuple[str, str]]:
    goal = found.goal
    weights = "" if goal.weights is None else " (" + ", ".join(f"{k} {v:g}" for k, v in goal.weights.items()) + ")"
    return [
        ("Utility", shorten(("your function" if callable(goal.utility) else str(goal.utility)) + weights, 120)),
        ("Floors", shorten(", ".join(map(str, goal.floors)), 240) or "none"),
        ("Cost of an iteration", f"{goal.cost:g} points"),
        ("Simulated sessions", f"{found.sessions:,}, the same for all policies"),
        ("Most iterations", f"{found.budget:,}"),
        ("Seed", str(found.seed)),
    ]


def _policies(found: Evaluation, order: list[str]) -> Table:
    """Return the table of policies, without the columns that say nothing here."""
    costly = bool(found.goal.cost or found.goal.costs)
    asked = any(found[name].asked.any() for name in order)
    there = {
        "Net": costly,
        "Over schedule": found.schedule is not None,
        "Regret": found.oracle is not None,
        "Share": found.oracle is not None,
        "Asked": asked,
    }
    heads = (
        "Policy", "Utility", "Net", "Iterations", "Over best fixed", "Over schedule", "Regret", "Share", "Hypervolume",
        "Asked",
    )  # fmt: skip
    kept = [i for i, head in enumerate(heads) if there.get(head, True)]
    rows = [_row(found, name) for name in order]
    return Table("", tuple(heads[i] for i in kept), [tuple(row[i] for i in kept) for row in rows])


def _row(found: Evaluation, name: str) -> tuple[str, ...]:
    standing, one = found.standing(name), found[name]
    return (
        shorten(policy_label(name), 60),
        fixed(float(one.utility.mean()), 3),
        fixed(standing.net.mean, 3),
        fixed(float(one.used.mean()), 1),
        "best fixed" if name == found.best_fixed else _interval(standing.over_fixed),
        "itself" if name == found.schedule else _interval(standing.over_schedule),
        _interval(standing.regret),
        UNKNOWN if standing.share is None or name == found.best_fixed else share_text(standing.share.mean),
        fixed(float(one.hypervolume.mean()), 3),
        percent(float(one.asked.mean())),
    )


def _oracle(one: Outcome, by: str) -> tuple[str, ...]:
    return (
        fixed(float(one.utility.mean()), 3),
        fixed(float(one.net.mean()), 3),
        fixed(float(one.used.mean()), 1),
        by,
    )


def _oracle_gain(found: Evaluation) -> float | None:
    if found.oracle is None:
        return None
    return float((found.oracle.net - found[found.best_fixed].net[: len(found.oracle)]).mean())


def _floors(found: Evaluation, order: list[str]) -> list[Table]:
    """Return a table per floor."""
    tables = []
    for i, floor in enumerate(found.goal.floors):
        passed = [(name, found[name].passed[i]) for name in order]
        rows = [
            (
                shorten(policy_label(name), 60),
                f"{each.count:,} of {each.of:,}",
                f"{100 * each.low:.2f}% to {100 * each.high:.2f}%",
                share_allowed(floor),
                each.verdict,
            )
            for name, each in passed
        ]
        heads = ("Policy", "Passed", "95%", "Allowed", "Floor is")
        tables.append(Table(shorten(str(floor), 60), heads, rows))
    return tables


def _triggers(found: Evaluation, order: list[str]) -> Table | None:
    """Return in which share of sessions each trigger fired."""
    names = [*dict.fromkeys(trigger for name in order for trigger in found[name].fired)]
    rows = [
        (
            shorten(policy_label(name), 60),
            *(percent(found[name].fired.get(trigger, 0) / len(found[name])) for trigger in names),
        )
        for name in order
    ]
    return Table("", ("Policy", *(shorten(trigger, 60) for trigger in names)), rows) if names else None


def _scenarios(found: Evaluation) -> Table | None:
    """Return what each policy loses in each world that differs from what it knows."""
    if not found.scenarios:
        return None
    names = [*found.scenarios[0].cases]
    heads = ["What is wrong", "Best fixed", "All known"]
    for name in names:
        heads += [shorten(name, 60), "Lost"]
    rows = [
        (
            one.name,
            fixed(one.fixed, 2),
            fixed(one.informed, 2),
            *(cell for name in names for cell in (fixed(one.cases[name].net.mean, 2), _interval(one.cases[name].lost))),
        )
        for one in found.scenarios
    ]
    return Table("", tuple(heads), rows)


def _interval(figure: Figure | None) -> str:
    if figure is None or figure.mean != figure.mean:
        return UNKNOWN
    return f"{fixed(figure.mean, 2)} [{fixed(figure.low, 2)}, {fixed(figure.high, 2)}]"
