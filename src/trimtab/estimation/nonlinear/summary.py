"""A nonlinear fit as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from trimtab.estimation.layout import NARROW, listed, paragraph, plain, score, table
from trimtab.estimation.nonlinear.results import FixedPoint, LongRun, NonlinearFit, NonlinearStrategy

__all__ = ["NonlinearSummary"]

_MEANS = {
    "stable node": "runs nearby settle here",
    "stable focus": "runs nearby circle in",
    "unstable node": "runs nearby leave",
    "unstable focus": "runs nearby circle out",
    "saddle": "runs come near, then leave",
    "borderline": "cannot be told",
}
_HOW = (
    "A linear drift pulls in proportion to the distance from one point; a nonlinear one may have several. It is "
    "believed only where it predicts sessions that it has not seen clearly better. Draws are refits to sessions drawn "
    "anew: a point found in 70% of them may well not be there. Stable means stable in the loop itself, from one "
    "iteration to the next."
)
_MOST_COLUMNS = 2  # objectives side by side


@dataclass(frozen=True, slots=True)
class NonlinearSummary:
    """A nonlinear fit as something that rich prints, in colour and laid out for the width of the terminal."""

    fit: NonlinearFit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what was chosen and where it leads for each strategy, then warnings and what was left out."""
        fit = self.fit
        for one in fit.strategies.values():
            heading = f"{one.name} ({_count(one.sessions, 'session')}, {_count(one.steps, 'step')}): {one.chosen} drift"
            yield Text(plain(heading), style="bold")
            yield paragraph(one.says)
            yield from _points(one, fit.level, options.max_width < NARROW)
            yield paragraph(_number_of_points(one))
            yield paragraph(_long_run(one, fit.level))
            yield Text("")
        yield from listed("Warnings", fit.warnings)
        yield from listed("Left out", map(str, fit.exclusions))
        yield from listed("Assumed", fit.notes)
        yield from listed("How to read this", [_HOW])


def _count(count: int, unit: str) -> str:
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def _points(one: NonlinearStrategy, level: float, narrow: bool) -> Iterator[RenderableType]:
    if not one.fixed_points:
        return
    wide = len(one.objectives) <= (1 if narrow else _MOST_COLUMNS)
    heads = [*(one.objectives if wide else ["scores"]), "kind", "what runs do", "found in", "stable in"]
    beside = "second lines" if wide else "beside them"
    made = table(f"Fixed points: no change is expected there ({beside}: {level:.0%} intervals)", heads)
    made.columns[0].no_wrap = True
    for point in one.fixed_points:
        values = [*zip(point.point, point.low, point.high, strict=True)]
        cells: list[RenderableType] = [_score(*value) for value in values]
        if not wide:
            lines = zip(one.objectives, values, strict=True)
            cells = [Text("\n".join(f"{plain(name)} {_score(*value, '  ').plain}" for name, value in lines))]
        made.add_row(*cells, point.kind + ("" if point.seen else " *"), *_believed(point))
    yield made
    if not all(point.seen for point in one.fixed_points):
        yield paragraph("* outside the scores seen: an extrapolation of the fitted curve")


def _score(value: float, low: float, high: float, between: str = "\n") -> Text:
    shown = Text(score(value))
    return shown if np.isnan(low) else shown.append(f"{between}{score(low)}..{score(high)}", style="dim")


def _believed(point: FixedPoint) -> tuple[str, str, str]:
    stable = "–" if np.isnan(point.stable) else f"{point.stable:.0%}"
    return _MEANS[point.kind], f"{point.probability:.0%}", stable


def _number_of_points(one: NonlinearStrategy) -> str:
    """Say how many fixed points there are, and whether the replicates agree."""
    box = ", ".join(
        f"{name} {score(float(a))} to {score(float(b))}"
        for name, a, b in zip(one.objectives, one.low, one.high, strict=True)
    )
    count = len(one.fixed_points)
    start = f"{_count(count, 'fixed point')} within {box}." if count else f"No fixed point within {box}."
    same = one.counts.get(count, 0.0)
    if same >= 0.95:
        return f"{start} {same:.0%} of the draws agree on the number."
    often = {number: share for number, share in one.counts.items() if share >= 0.02}
    shares = [f"{number} in {share:.0%}" for number, share in often.items()]
    rest = 1 - sum(often.values())
    shares += [f"another number in {rest:.0%}"] if rest > 1e-9 else []
    return f"{start} The draws do not agree on the number: {', '.join(shares)} of them."


def _long_run(one: NonlinearStrategy, level: float) -> str:
    """Say what the Lyapunov exponent means, and how many orbits escape."""
    quiet, noisy = one.long_run, one.noisy_long_run
    if np.isnan(quiet.exponent):
        return (
            "In the long run: every orbit from where sessions ended leaves the box, so that the curve has no long run."
        )
    if np.isnan(quiet.low):
        meaning = "how sure that is cannot be said"
    elif quiet.high < 0:
        meaning = "runs that start close together end close together"
    elif quiet.low > 0:
        meaning = "runs that start close together drift apart, as in chaos"
    else:
        meaning = "whether runs that start close together stay together cannot be said"
    figures = f"{_exponent(quiet)} without noise, {_exponent(noisy)} with it"
    return f"In the long run: {meaning} (largest Lyapunov exponent per iteration {figures}).{_escapes(quiet, noisy)}"


def _exponent(found: LongRun) -> str:
    if np.isnan(found.exponent):
        return "unknown"
    if np.isnan(found.low):
        return f"{found.exponent:+.3f}"
    return f"{found.exponent:+.3f} ({found.low:+.3f}..{found.high:+.3f})"


def _escapes(quiet: LongRun, noisy: LongRun) -> str:
    """Say how many orbits leave the box, if any do."""
    if not any((quiet.escaped, quiet.escaped_draws, noisy.escaped, noisy.escaped_draws)):
        return ""
    return (
        f" Of the orbits from where sessions ended, {quiet.escaped:.0%} leave for good without noise and "
        f"{noisy.escaped:.0%} with it; in {quiet.escaped_draws:.0%} and {noisy.escaped_draws:.0%} of the draws some do."
    )
