"""The page of an evaluation: policies side by side on the same simulated sessions, in one HTML file."""

from __future__ import annotations

from pathlib import Path

from trimtab.control.evaluation.evaluate import Evaluation
from trimtab.control.evaluation.outcome import Figure, Outcome
from trimtab.control.evaluation.summary import policy_label, share_text
from trimtab.report.book import Book, Panel
from trimtab.report.figures.policies import Gain, gains_figure
from trimtab.report.page import environment, page_parts, write_page
from trimtab.report.palette import look
from trimtab.report.text import UNKNOWN, fixed, percent, shorten

__all__ = ["render_policies", "write_policies"]

POLICIES = 60
"""Most policies that are drawn; the best."""


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
            rows=[_row(found, name) for name in order],
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


def _floors(found: Evaluation, order: list[str]) -> list[tuple[str, ...]]:
    return [
        (
            shorten(policy_label(name), 60),
            shorten(str(each.floor), 60),
            f"{each.count:,} of {each.of:,}",
            f"{100 * each.low:.2f}% to {100 * each.high:.2f}%",
            percent(each.floor.alpha),
            each.verdict,
        )
        for name in order
        for each in found[name].passed
    ]


def _triggers(found: Evaluation, order: list[str]) -> list[tuple[str, ...]]:
    return [
        (shorten(policy_label(name), 60), shorten(trigger, 60), f"{count:,}", percent(count / len(found[name])))
        for name in order
        for trigger, count in found[name].fired.items()
    ]


def _scenarios(found: Evaluation) -> list[tuple[str, ...]]:
    return [
        (one.name, fixed(one.fixed, 2), fixed(one.informed, 2), name, fixed(case.net.mean, 2), _interval(case.lost))
        for one in found.scenarios
        for name, case in one.cases.items()
    ]


def _interval(figure: Figure | None) -> str:
    if figure is None or figure.mean != figure.mean:
        return UNKNOWN
    return f"{fixed(figure.mean, 2)} [{fixed(figure.low, 2)}, {fixed(figure.high, 2)}]"
