"""Interference: correlations of step changes as a heat map with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from trimtab.core.objectives import ObjectiveSpace
from trimtab.estimation.results import ArrayEstimate
from trimtab.report.figures.layout import axis, compact, figure
from trimtab.report.text import fixed, plain

__all__ = ["color_limit", "interference_figure", "is_clear", "panel_width"]

SCALE = [[0.0, "#b2182b"], [0.25, "#ef8a62"], [0.5, "#f7f7f7"], [0.75, "#67a9cf"], [1.0, "#2166ac"]]
"""Red for objectives that move against each other, blue for those that move together; told apart by all readers."""

DETAILED = 5
"""Up to this many objectives the interval is written into each cell."""


def panel_width(n: int) -> int:
    """Return the width in pixels that the cells of n objectives need to be read."""
    return min(1200, 110 + n * (82 if n <= DETAILED else 54))


def color_limit(matrices: Sequence[ArrayEstimate]) -> float:
    """Return the common end of the colour scale: the largest absolute correlation, at least 0.3."""
    found = np.concatenate([np.abs(one.estimate).ravel() for one in matrices])
    found = found[np.isfinite(found)]
    return float(max(0.3, found.max(initial=0.0)))


def is_clear(matrix: ArrayEstimate, i: int, j: int) -> bool:
    """Say whether the interval of entry (i, j) excludes 0."""
    return bool(matrix.low[i, j] > 0 or matrix.high[i, j] < 0)


def interference_figure(matrix: ArrayEstimate, space: ObjectiveSpace, limit: float) -> go.Figure:
    """Draw one interference matrix; entries whose interval excludes 0 carry a star. The diagonal is 0 by definition."""
    n = space.n
    values = matrix.estimate.copy()
    np.fill_diagonal(values, np.nan)
    cells, hover = [], []
    for i in range(n):
        cells.append(["" if i == j else _cell(matrix, i, j, detailed=n <= DETAILED) for j in range(n)])
        hover.append(["" if i == j else _cell(matrix, i, j, detailed=True) for j in range(n)])
    names = [plain(name, 18) for name in space.names]
    positions = list(range(n))
    data = [
        {
            "type": "heatmap",
            "z": compact(values),
            "x": positions,
            "y": positions,
            "text": cells,
            "texttemplate": "%{text}",
            "textfont": {"size": 11},
            "customdata": hover,
            "hovertemplate": "%{customdata}<extra></extra>",
            "hoverongaps": False,
            "colorscale": SCALE,
            "zmin": -limit,
            "zmax": limit,
            "zmid": 0,
            "xgap": 2,
            "ygap": 2,
            "showscale": False,
        }
    ]
    flat = n <= 3 and max(map(len, names)) <= 14
    ticks: dict[str, Any] = {
        "tickvals": positions,
        "ticktext": names,
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
    }
    return figure(
        data,
        height=max(230, 60 + 62 * n if n <= DETAILED else 90 + 34 * n),
        xaxis=axis(range=[-0.5, n - 0.5], tickangle=0 if flat else -30, **ticks),
        yaxis=axis(range=[n - 0.5, -0.5], **ticks),
    )


def _cell(matrix: ArrayEstimate, i: int, j: int, *, detailed: bool) -> str:
    text = fixed(matrix.estimate[i, j], 2) + (" *" if is_clear(matrix, i, j) else "")
    if detailed and np.isfinite(matrix.low[i, j]):
        text += f"<br>[{fixed(matrix.low[i, j], 2)}, {fixed(matrix.high[i, j], 2)}]"
    return text
