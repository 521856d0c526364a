"""``trimtab policy explain``: a steered session decision by decision, made anew from the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.cli.options import StoreOption, store_at
from trimtab.core.counting import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console, ConsoleOptions, RenderableType

    from trimtab.sessions.replay import Explanation, Moment

__all__ = ["explain"]


def explain(
    session: Annotated[str, typer.Argument(help="Id of the session, as in predictive/calculator/0.")],
    store: StoreOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.explanation/1) instead.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Also write the JSON document to a file.", show_default=False),
    ] = None,
) -> None:
    """Replay a session of a steered run, and say after every iteration what was known, what was promised, and why.

    The decisions are made anew from the store, and held against those that the run took. A run that follows recorded
    decisions has none of its own: ask the store that it was made from.
    """
    import json

    from trimtab.cli.output import print_blocks, say_json, write_text
    from trimtab.errors import InputError
    from trimtab.sessions.replay import explain as replay
    from trimtab.store.open import open_store

    if out is not None and out.suffix != ".json":
        raise InputError(f"--out names a .json file, but got {str(out)!r}")
    opened = open_store(store_at(store))
    try:
        found = replay(opened, session)
    finally:
        opened.close()
    text = json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n"
    if out is not None:
        write_text(out, text)
    if as_json:
        say_json(text.rstrip())
        return
    print_blocks(_Page(found))


@dataclass(frozen=True, slots=True)
class _Page:
    """An explanation as something that rich prints, laid out for the width of the terminal."""

    found: Explanation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Yield what was wanted and known, the tables, and why each decision was taken."""
        from trimtab.estimation.layout import NARROW

        yield from _blocks(self.found, options.max_width < NARROW)


def _blocks(found: Explanation, narrow: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    from trimtab.control.knowledge import CERTAIN
    from trimtab.estimation.layout import paragraph, plain

    known = ", ".join(
        f"{name} {'from ' + count_of(round(steps), 'step') if steps < CERTAIN else 'for certain'}"
        for name, steps in found.known_steps.items()
    )
    yield Text(f"{plain(found.session)}, steered by {plain(found.policy)}", style="bold")
    yield paragraph(f"It wants {_wanted(found.goal)}.")
    yield paragraph(f"At its start {count_of(found.learned_from, 'session')} had taught the policy. Known: {known}.")
    yield from _tables(found, narrow)
    yield Text("What was promised, and why", style="bold")
    for one in found.moments:
        yield paragraph(_why(one), f"t = {one.iteration}")
    yield Text()
    yield paragraph(found.says)


def _wanted(goal: Mapping[str, Any]) -> str:
    weights = goal["weights"] and ", ".join(f"{name} {weight:g}" for name, weight in goal["weights"].items())
    parts = [f"a high utility ({goal['utility']}{f' with weights {weights}' if weights else ''})"]
    parts += [f"the floor {floor}" for floor in goal["floors"]]
    parts += [f"{goal['cost']:g} points saved for every iteration not made"] if goal["cost"] else []
    return " and ".join(parts)


def _tables(found: Explanation, narrow: bool) -> Iterator[RenderableType]:
    """Yield one table, or where it is too wide one of scores and one of decisions."""
    from rich.text import Text

    from trimtab.estimation.layout import table

    names = [*found.moments[0].estimate]
    heads = ["t", "made by", *names, "decision", "keep", "utility"]
    rows = [_row(one, names) for one in found.moments]
    last = 2 + len(names)
    of_scores = "Scores, and the true quality estimated from all scores until then"
    parts = (
        {of_scores: range(last), "Decisions": [0, *range(last, len(heads))]}
        if narrow
        else {of_scores: range(len(heads))}
    )
    for title, columns in parts.items():
        made = table(title, [heads[i] for i in columns])
        for row in rows:
            made.add_row(*(Text(row[i]) for i in columns))
        yield made


def _row(one: Moment, names: list[str]) -> list[str]:
    from trimtab.estimation.layout import plain

    made = "start" if one.strategy is None else plain(one.strategy)
    if one.base is not None and one.base != one.iteration - 1:
        made += f" from {one.base}"
    cells = [
        _cell(None if one.failed else one.scores.get(name), one.estimate[name], one.deviation[name]) for name in names
    ]
    decided = one.decided
    return [f"{one.iteration}", made, *cells, _short(one), f"{decided.keep}", f"{decided.utility:.2f}"]


def _cell(given: float | None, estimate: float, deviation: float) -> str:
    from trimtab.estimation.layout import number, score

    said, about = "–" if given is None else score(given), score(estimate)
    if deviation >= 0.005:
        return f"{said} ({about} ± {number(deviation)})"
    return said if said == about else f"{said} ({about})"


def _short(one: Moment) -> str:
    from trimtab.estimation.layout import plain

    decided = one.decided
    said = plain(decided.strategy) if decided.strategy else decided.action
    return f"{said} from {decided.base}" if decided.strategy and decided.base != one.iteration else said


def _why(one: Moment) -> str:
    decided = one.decided
    parts = [f"the answer could not be used: {one.failed}"] if one.failed else []
    if decided.gains:
        parts.append("; ".join(f"{name} {_gain(gain.to_list())}" for name, gain in decided.gains.items()))
    parts.append(decided.reason)
    if one.remarks:
        parts += one.remarks
    elif decided.trigger:
        parts.append(f"trigger: {decided.trigger}")
    if one.differences:
        told = one.recorded.get("strategy") or one.recorded.get("action") or "nothing"
        parts.append(f"the record says {told}, and differs in {', '.join(one.differences)}")
    return ". ".join(part[0].upper() + part[1:] if part[0].islower() else part for part in parts) + "."


def _gain(values: list[float | None]) -> str:
    expected, low, high = values
    interval = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
    return "–" if expected is None else f"{expected:+.2f}{interval}"
