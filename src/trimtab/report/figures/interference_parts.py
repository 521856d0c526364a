"""Where interference comes from: the parts of each pair's correlation as stacked bars, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from trimtab.core.objectives import ObjectiveSpace
from trimtab.estimation.decomposition import InterferenceParts
from trimtab.estimation.multiplicity import Adjusted
from trimtab.estimation.results import ArrayEstimate, Estimate
from trimtab.report.figures.layout import NEUTRAL, axis, compact, figure
from trimtab.report.text import fixed, p_value, plain, shorten

__all__ = [
    "COLORS",
    "MEANINGS",
    "bar_range",
    "bars_width",
    "explanations",
    "interference_parts_figure",
    "strongest_pairs",
]

Pair = tuple[int, int]

PAIRS = 6
"""Most pairs of objectives in one figure."""

SENTENCES = 3
"""Most pairs that are explained in words."""

COLORS: Mapping[str, str] = {
    "own pull": "#88ccee",
    "coupling": "#4b5cc4",
    "transients": "#2a9d6f",
    "session levels": "#ddcc77",
    "unequal lengths": "#99994d",
    "innovations": "#b65fa8",
    "score noise": "#8c8c8c",
    "between strategies": "#cc6677",
}
"""One colour per part, apart from each other for colour-blind readers, on white and on near-black."""

MEANINGS: Mapping[str, str] = {
    "own pull": "each objective is pulled back to its own level",
    "coupling": "the score of one objective moves the other",
    "transients": "the averages over sessions move as sessions go on",
    "session levels": "sessions lie at different levels, for good or by wandering slowly",
    "unequal lengths": "late iterations are of other sessions than early ones",
    "innovations": "what is new in an iteration hits both objectives",
    "score noise": "the scorer errs on both objectives at once",
    "between strategies": "strategies move the objectives differently",
}
"""Each part in a few words, the same for the key of the figure and its hover text."""

_TOGETHER: Mapping[str, tuple[str, str]] = {
    "own pull": (
        "both stray to the same side of their levels and are pulled back together",
        "they stray to opposite sides of their levels and are pulled back in opposite directions",
    ),
    "coupling": (
        "the score of one moves the other the same way as itself",
        "the score of one moves the other the opposite way to itself",
    ),
    "transients": (
        "on average both rise or fall together as sessions go on",
        "on average one rises while the other falls as sessions go on",
    ),
    "session levels": (
        "sessions that differ in level move both the same way",
        "sessions that differ in level move them in opposite directions",
    ),
    "unequal lengths": (
        "late iterations are of other sessions than early ones",
        "late iterations are of other sessions than early ones",
    ),
    "innovations": (
        "what is new in an iteration moves both the same way",
        "what is new in an iteration raises one and lowers the other",
    ),
    "score noise": (
        "the scorer errs on both in the same direction",
        "the scorer errs on them in opposite directions",
    ),
    "between strategies": (
        "strategies that raise one more raise the other more",
        "strategies that raise one more raise the other less",
    ),
}
"""What a part says of two objectives where it is positive, and where it is negative."""

SMALL = 0.05
"""Size of a part below which it is not spoken of."""

LEVEL = 0.05
"""Adjusted p-value below which a correlation is not called chance."""

_BESIDE = 0.14  # offset of a bar from its place, half that of the mark beside it

_WHOLLY, _MOSTLY, _AGAINST = 0.8, 0.55, 0.25  # shares of a correlation from which on a part is said to be so


def strongest_pairs(parts: InterferenceParts) -> list[Pair]:
    """Return up to `PAIRS` pairs whose parts are known: all in order, or the strongest first where they are more."""
    matrix = parts.interference.estimate
    if not parts.shares:
        return []
    pairs = [(i, j) for i in range(len(matrix)) for j in range(i + 1, len(matrix)) if np.isfinite(matrix[i, j])]
    if len(pairs) <= PAIRS:
        return pairs
    return sorted(pairs, key=lambda pair: -abs(matrix[pair]))[:PAIRS]


def bars_width(pairs: int) -> int:
    """Return the width in pixels that the bars of so many pairs need."""
    return min(1200, 110 + 92 * max(pairs, 2))


def bar_range(found: Sequence[tuple[InterferenceParts, ArrayEstimate]]) -> tuple[float, float]:
    """Return the common vertical range of bars and correlations, at least -0.1 to 0.1.

    Intervals reach out of it where they would make the bars smaller than a third.
    """
    low, high, ends = -0.1, 0.1, [0.0]
    for parts, total in found:
        for pair in strongest_pairs(parts):
            shares = np.array([share.estimate[pair] for share in parts.shares.values()])
            low = min(low, shares[shares < 0].sum(), total.estimate[pair])
            high = max(high, shares[shares > 0].sum(), total.estimate[pair])
            ends += [end for end in (total.low[pair], total.high[pair]) if np.isfinite(end)]
    size = high - low
    low, high = min(low, max(min(ends), low - size)), max(high, min(max(ends), high + size))
    room = 0.06 * (high - low)
    return float(low - room), float(high + room)


def interference_parts_figure(
    parts: InterferenceParts,
    total: ArrayEstimate,
    tests: Adjusted,
    space: ObjectiveSpace,
    y: tuple[float, float],
) -> go.Figure:
    """Draw one bar per pair: positive parts stacked above zero, negative ones below, and the correlation as a mark.

    Parameters
    ----------
    total
        (n, n) the interference with the intervals of the fit.
    tests
        Of the correlations.
    y
        Common vertical range of all figures.
    """
    pairs = strongest_pairs(parts)
    positions = np.arange(len(pairs))
    who = [f"{plain(space.names[i], 40)} × {plain(space.names[j], 40)}" for i, j in pairs]
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": part,
            "x": compact(positions - _BESIDE),
            "y": compact([share.estimate[pair] for pair in pairs]),
            "marker": {"color": COLORS[part], "line": {"width": 0}},
            "width": 0.5,
            "customdata": [
                f"{names}<br>{part}: {_with_interval(share[pair])}<br>{MEANINGS[part]}"
                for names, pair in zip(who, pairs, strict=True)
            ],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        for part, share in parts.shares.items()
    ]
    known = np.array([[total.estimate[pair], total.low[pair], total.high[pair]] for pair in pairs]).reshape(-1, 3)
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": compact(positions + 2 * _BESIDE),
            "y": compact(known[:, 0]),
            "error_y": {
                "type": "data",
                "array": compact(known[:, 2] - known[:, 0]),
                "arrayminus": compact(known[:, 0] - known[:, 1]),
                "thickness": 1.5,
                "width": 4,
                "color": NEUTRAL,
            },
            "marker": {"symbol": "diamond", "size": 10, "color": NEUTRAL, "line": {"width": 1.5}},
            "customdata": [
                f"{names}<br>correlation of steps: {_with_interval(total[pair])}<br>"
                f"p = {p_value(float(tests.p_value[pair]))}, adjusted for {tests.compared} pairs tested"
                for names, pair in zip(who, pairs, strict=True)
            ],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
    )
    ticks = [f"{plain(space.names[i], 16)} ×<br>{plain(space.names[j], 16)}" for i, j in pairs]
    return figure(
        data,
        height=300,
        barmode="relative",
        bargap=0.3,
        xaxis=axis(
            tickvals=[*range(len(pairs))],
            ticktext=ticks,
            range=[-0.5, len(pairs) - 0.5],
            showgrid=False,
            zeroline=False,
        ),
        yaxis=axis("correlation of steps", range=list(y), nticks=7, zeroline=True),
    )


def explanations(
    parts: InterferenceParts, total: ArrayEstimate, tests: Adjusted, space: ObjectiveSpace
) -> tuple[tuple[str, str], ...]:
    """Say in plain words where the correlations in `total` (n, n) come from: (pair, sentence), the strongest first."""
    names = [shorten(name, 40) for name in space.names]
    pairs = sorted(strongest_pairs(parts), key=lambda pair: -abs(total.estimate[pair]))
    return tuple(
        (f"{names[i]} and {names[j]}", _origin(parts, total[i, j], tests, (i, j))) for i, j in pairs[:SENTENCES]
    )


def _origin(parts: InterferenceParts, total: Estimate, tests: Adjusted, pair: Pair) -> str:
    shares = sorted(((share[pair], part) for part, share in parts.shares.items()), key=lambda one: -abs(one[0]))
    sure = [one for one in shares if abs(one[0]) >= SMALL and _is_clear(one[0])]
    value, p = _with_interval(total), float(tests.p_value[pair])
    if not (p < LEVEL if np.isfinite(p) else _is_clear(total)):
        if _is_clear(total):
            return f"{value}, which may be chance among {tests.compared} pairs tested."
        up, down = ([_part(one) for one in sure if (one[0] > 0) is above] for above in (True, False))
        cancel = f", but parts that cancel: {_listed(up)} against {_listed(down)}" if up and down else ""
        return f"no clear correlation, {value}{cancel}."
    value = value if _is_clear(total) else f"{value}, there but of uncertain size"
    sign = 1 if total > 0 else -1
    word = "positive" if sign > 0 else "negative"
    along = [one for one in shares if one[0] * sign > 0]
    if along[0] not in sure:
        return f"{value}. Which part of this {word} correlation it comes from is not clear."
    first, size = along[0], sum(abs(one[0]) for one in along)
    against = [_part(one) for one in sure if one[0] * sign < 0 and abs(one[0]) >= _AGAINST * abs(total)]
    why = _TOGETHER[first[1]][0 if sign > 0 else 1]
    if abs(first[0]) >= _WHOLLY * max(size, abs(total)):
        source = f"Nearly all of this {word} correlation comes from {_part(first)}"
    elif abs(first[0]) >= _MOSTLY * size or along[1] not in sure:
        source = f"Most of this {word} correlation comes from {_part(first)}"
    else:
        source = f"This {word} correlation comes from {_part(first)} and {_part(along[1])}"
        why = f"{why}, and {_TOGETHER[along[1][1]][0 if sign > 0 else 1]}"
    end = f" {_listed(against).capitalize()} {'works' if len(against) == 1 else 'work'} against it." if against else ""
    return f"{value}. {source}: {why}.{end}"


def _is_clear(value: Estimate) -> bool:
    return value.low > 0 or value.high < 0


def _part(one: tuple[Estimate, str]) -> str:
    return f"{one[1]} ({fixed(float(one[0]), 2)})"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _with_interval(value: Estimate) -> str:
    text = fixed(float(value), 2)
    return text if np.isnan(value.low) else f"{text} [{fixed(value.low, 2)}, {fixed(value.high, 2)}]"
