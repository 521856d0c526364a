"""Tables and paragraphs for a terminal, whose words may come from anywhere."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab.core.visible import visible

__all__ = ["NARROW", "as_text", "listed", "number", "p_value", "paragraph", "plain", "score", "table"]

NARROW = 110
"""Columns of a terminal below which tables are laid out in fewer."""

_WIDTH = 118


def as_text(block: RenderableType) -> str:
    """Return `block` as plain text, at most 118 columns wide."""
    buffer = io.StringIO()
    Console(file=buffer, width=_WIDTH, color_system=None, legacy_windows=False).print(block)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def plain(words: str) -> str:
    """Return `words` on one line, in which whatever a terminal would obey or hide can be seen."""
    return visible(words)


def paragraph(words: str, lead: str = "") -> RenderableType:
    """Return an indented paragraph, `lead` in bold before it; nothing in it is taken as markup."""
    made = Text(plain(lead), style="bold").append("  ") if lead else Text()
    return Padding(made.append(plain(words), style="not bold"), (0, 0, 0, 2))


def listed(heading: str, lines: Iterable[str]) -> Iterable[RenderableType]:
    """Yield a heading and its paragraphs; nothing where there are none."""
    found = [paragraph(line) for line in lines]
    return [Text(heading, style="bold"), *found] if found else []


def table(title: str, columns: Iterable[str | Text]) -> Table:
    """Return an empty table whose first column is text and whose others are numbers."""
    made = Table(
        title=Text(plain(title)), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for i, column in enumerate(columns):
        # Names may be long and are folded; numbers and short headings never break.
        made.add_column(
            Text(plain(column)) if isinstance(column, str) else column,
            justify="left" if i == 0 else "right",
            overflow="fold",
            no_wrap=i > 0 and len(column) < 20,
        )
    return made


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """Return a figure of known order of magnitude; a dash where it is unknown."""
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def score(value: float, *, signed: bool = False) -> str:
    """Return a score, whose order of magnitude can be any."""
    if 0 < abs(value) < 0.01 or 1e5 <= abs(value) < np.inf:
        return f"{value:+.3g}" if signed else f"{value:.3g}"
    return number(value, signed=signed)


def p_value(value: float) -> str:
    """Return a p-value to three decimals."""
    return "–" if np.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"
