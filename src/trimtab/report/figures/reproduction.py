"""A reported figure beside its spread over simulated experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from trimtab.report.figures.layout import axis, compact, figure
from trimtab.report.palette import Look
from trimtab.report.text import fixed, plain

__all__ = ["Row", "spread_figure"]

PAPER = "#c2185b"
"""Colour of what the paper reports."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the figure.

    Parameters
    ----------
    values
        (E,) one number per experiment.
    paper
        The reported number, None where there is none.
    error
        What the paper gives after its plus-minus sign.
    """

    name: str
    look: Look
    values: NDArray[np.float64]
    paper: float | None = None
    error: float | None = None


def spread_figure(rows: Sequence[Row], title: str, decimals: int = 2) -> go.Figure:
    """Draw a box per row, whiskers at the central 95%, and the paper's number as a diamond."""
    data: list[dict[str, Any]] = []
    for k, row in enumerate(rows):
        low, q1, median, q3, high = np.quantile(row.values, [0.025, 0.25, 0.5, 0.75, 0.975])
        data.append(
            {
                "type": "box",
                "orientation": "h",
                "y": [k],
                "q1": compact([q1]),
                "median": compact([median]),
                "q3": compact([q3]),
                "lowerfence": compact([low]),
                "upperfence": compact([high]),
                "line": {"color": row.look.color, "width": 1.5},
                "width": 0.5,
                "hoverinfo": "skip",
            }
        )
        data.append(
            _marker(
                k,
                float(median),
                row.look.color,
                "line-ns",
                11,
                _said(row.name, "simulated", median, low, high, decimals),
            )
        )
        if row.paper is not None:
            made = _marker(
                k, row.paper, PAPER, "diamond", 10, f"{plain(row.name)}, paper: {fixed(row.paper, decimals)}"
            )
            if row.error is not None:
                made["error_x"] = {"type": "data", "array": [row.error], "color": PAPER, "thickness": 1.5, "width": 4}
            data.append(made)
    return figure(
        data,
        height=70 + 34 * len(rows),
        xaxis=axis(title, zeroline=False, nticks=6),
        yaxis=axis(
            range=[len(rows) - 0.4, -0.6],
            tickvals=list(range(len(rows))),
            ticktext=[plain(row.name, 30) for row in rows],
            zeroline=False,
        ),
    )


def _marker(k: int, x: float, color: str, symbol: str, size: int, words: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x],
        "y": [k],
        "marker": {"color": color, "symbol": symbol, "size": size, "line": {"color": color, "width": 1.5}},
        "customdata": [words],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _said(name: str, what: str, median: float, low: float, high: float, decimals: int) -> str:
    ends = f"[{fixed(float(low), decimals)}, {fixed(float(high), decimals)}]"
    return f"{plain(name)}, {what}: {fixed(float(median), decimals)} {ends}"
