"""What all figures share: size, margins, fonts, and compact numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from trimtab.core.objectives import Objective
from trimtab.report.text import plain

__all__ = ["NEUTRAL", "axis", "bound_lines", "compact", "figure", "objective_title", "ribbon"]

NEUTRAL = "rgba(128,128,128,0.75)"
"""A grey that is visible on a light and on a dark page."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def compact(values: ArrayLike) -> NDArray[np.float32]:
    """Return values in single precision, which a figure cannot show the limits of, at half the size."""
    return np.asarray(values, dtype=np.float32)


def axis(title: str = "", **options: Any) -> dict[str, Any]:
    """Return an axis; `title` must be safe for plotly already."""
    return {"title": {"text": title, "standoff": 6}, "automargin": True, **options}


def objective_title(objective: Objective, *, limit: int = 32) -> str:
    """Return the axis title of an objective, with the direction in which it improves where that is downwards."""
    return plain(objective.name, limit) + (" (lower is better)" if objective.direction == "min" else "")


def ribbon(x: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64], color: str) -> dict[str, Any]:
    """Return the trace of a band from `low` to `high` over `x`, all (T,), where both are known."""
    known = np.isfinite(low) & np.isfinite(high)
    x, low, high = x[known], low[known], high[known]
    return {
        "type": "scatter",
        "x": compact(np.concatenate([x, x[::-1]])),
        "y": compact(np.concatenate([high, low[::-1]])),
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": color,
        "hoverinfo": "skip",
    }


def bound_lines(objective: Objective, y_range: tuple[float, float]) -> list[dict[str, Any]]:
    """Return dotted lines at the bounds of an objective that lie within the vertical range."""
    return [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": bound,
            "y1": bound,
            "line": {"width": 1, "color": NEUTRAL, "dash": "dot"},
        }
        for bound in (objective.low, objective.high)
        if np.isfinite(bound) and y_range[0] <= bound <= y_range[1]
    ]


def figure(data: list[dict[str, Any]], *, height: int, **layout: Any) -> go.Figure:
    """Return a figure of `data` in the common layout, with `layout` on top."""
    common: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 10, "b": 8},
        "font": {"family": FONT, "size": 12},
        "showlegend": False,
        "hovermode": "closest",
        "template": go.layout.Template(),
        "dragmode": False,
    }
    return go.Figure(data=data, layout={**common, **layout})
