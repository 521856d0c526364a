"""One look per strategy, the same in every figure, chip and table."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COLORS", "GLYPHS", "SYMBOLS", "Look", "look", "translucent"]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#9a8b1f", "#7d7d8a")
"""Eight colours that stay apart for colour-blind readers and stand on white and on near-black."""

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "pentagon", "triangle-down", "star", "hexagon")
"""Plotly's names of the marker symbols; strategies beyond the eighth repeat the colours with the next symbol."""

GLYPHS = ("●", "■", "◆", "▲", "⬟", "▼", "★", "⬢")
"""The same symbols as characters, for text."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


@dataclass(frozen=True, slots=True)
class Look:
    """Colour (``#rrggbb``), marker symbol, the same as a character, and line dash of one strategy."""

    color: str
    symbol: str
    glyph: str
    dash: str


def look(index: int) -> Look:
    """Return the look of the strategy at position `index` of the fit."""
    lap = index // len(COLORS)
    return Look(
        COLORS[index % len(COLORS)], SYMBOLS[lap % len(SYMBOLS)], GLYPHS[lap % len(GLYPHS)], _DASHES[lap % len(_DASHES)]
    )


def translucent(color: str, opacity: float) -> str:
    """Return ``#rrggbb`` as an ``rgba()`` colour."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
