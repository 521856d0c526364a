"""The fan chart of a forecast: one HTML file that needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trimtab.core.counting import count_of
from trimtab.forecasting.fan import Fan
from trimtab.forecasting.forecast import Forecast
from trimtab.report.book import Book, Panel
from trimtab.report.figures.fan import fan_figure, fan_range
from trimtab.report.heading import objective_rows
from trimtab.report.page import environment, page_parts, write_page
from trimtab.report.palette import Look, look
from trimtab.report.text import number, percent, shorten

__all__ = ["render_fan_chart", "write_fan_chart"]

FANS = 40
"""Most fans that are drawn; the first."""

FIRST_SHOWN = 8
"""Most fans shown before the reader asks for more."""

OBJECTIVES = 12
"""Most objectives that are drawn; the first."""


@dataclass(frozen=True, slots=True)
class FanCard:
    """What the page says about one fan."""

    index: int
    name: str
    look: Look
    panels: tuple[Panel, ...]
    cautions: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    together: str
    targets: tuple[str, ...]
    unstable: str


def write_fan_chart(forecast: Forecast, path: Path | str, *, title: str | None = None) -> Path:
    """Write the fan chart of a forecast as one self-contained HTML file and return its path.

    The same arguments give the same bytes. The file opens without a network; it embeds plotly.js, 4.8 MB.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    return write_page(render_fan_chart(forecast, title=title), path, "fan chart")


def render_fan_chart(forecast: Forecast, *, title: str | None = None) -> str:
    """Return the page that `write_fan_chart` writes."""
    book = Book()
    fans = [*forecast.fans.values()][:FANS]
    cards = [_card(book, forecast, fan, fans, k) for k, fan in enumerate(fans)]
    return (
        environment()
        .get_template("forecast.html")
        .render(
            title=shorten(title, 200) if title else "What the loop would do next",
            **page_parts(),
            figures=book.json(),
            forecast=forecast,
            cards=cards,
            settings=_settings(forecast),
            objectives=objective_rows(forecast.space),
            hidden_objectives=[shorten(name, 40) for name in forecast.space.names[OBJECTIVES:]],
            total=len(cards),
            beyond=len(forecast) - len(cards),
            first_shown=FIRST_SHOWN,
        )
    )


def _settings(forecast: Forecast) -> list[tuple[str, str]]:
    drifts = max(fan.drifts for fan in forecast.fans.values())
    known = f"yes, over {count_of(drifts, 'drift')}" if forecast.uncertain else "no"
    return [
        ("Simulated sessions of each", f"{forecast.paths:,}"),
        ("Iterations", f"{forecast.steps:,}"),
        ("Parameter uncertainty", known),
        ("Score noise", "included" if forecast.scored else "not included"),
        ("Seed", str(forecast.seed)),
    ]


def _card(book: Book, forecast: Forecast, fan: Fan, fans: list[Fan], k: int) -> FanCard:
    own = look(k)
    panels = []
    for j, objective in enumerate(forecast.space.objectives[:OBJECTIVES]):
        name = f"fan-{k}-{j}"
        height = book.add(name, fan_figure(fan, j, objective, own, fan_range(fans, j, objective)))
        panels.append(Panel(name, _label(forecast, fan, j), height))
    return FanCard(
        index=k,
        name=shorten(fan.name, 80),
        look=own,
        panels=tuple(panels),
        cautions=tuple(shorten(text, 600) for text in fan.cautions),
        rows=tuple(_row(forecast, fan, j) for j in range(forecast.space.n)),
        together=_together(forecast, fan),
        targets=tuple(_target(forecast, fan, m) for m in range(len(fan.passages))),
        unstable=percent(fan.unstable) if fan.drifts > 1 else "",
    )


def _label(forecast: Forecast, fan: Fan, j: int) -> str:
    low, _, median, _, high = (number(value) for value in fan.quantiles[-1, :, j])
    return (
        f"{shorten(fan.name, 60)}, {shorten(forecast.space.names[j], 60)} by iteration: from {number(fan.mean[0, j])} "
        f"on average to a median of {median} at iteration {fan.steps}, 90% of sessions between {low} and {high}"
    )


def _row(forecast: Forecast, fan: Fan, j: int) -> tuple[str, ...]:
    low, lower, median, upper, high = (number(value) for value in fan.quantiles[-1, :, j])
    return (
        shorten(forecast.space.names[j], 40),
        number(fan.mean[0, j]),
        number(fan.mean[-1, j]),
        median,
        f"{lower} to {upper}",
        f"{low} to {high}",
        percent(fan.at_bound[-1, j]),
        number(fan.best_iteration[j], 2),
        percent(fan.better[j]),
    )


def _together(forecast: Forecast, fan: Fan) -> str:
    if forecast.space.n < 2:
        return ""
    one = fan.together
    weighed = (
        f"With all objectives weighing the same, {percent(one.better)} of sessions end better than they began, and the "
        f"best iteration is number {number(one.best_iteration, 2)} on average. "
        if one.better == one.better
        else ""
    )
    return (
        f"{weighed}{percent(one.best_everywhere)} end better on some objectives and worse on none, "
        f"{percent(one.worst_everywhere)} the other way round."
    )


def _target(forecast: Forecast, fan: Fan, m: int) -> str:
    passage = fan.passages[m]
    what = " and ".join(
        f"{shorten(name, 40)} {'≥' if forecast.space[name].direction == 'max' else '≤'} {number(value)}"
        for name, value in passage.target.items()
    )
    half = (
        f"half of all sessions are there by iteration {passage.median:.0f}"
        if passage.median == passage.median
        else "fewer than half of all sessions ever are within the forecast"
    )
    at_once = " at once" if len(passage.target) > 1 else ""
    return f"{percent(passage.reached[-1])} of sessions come to {what}{at_once}; {half}."
