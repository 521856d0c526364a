"""Groups of sessions as dots with intervals, beside the population that they were drawn towards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from trimtab.core.counting import count_of
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.pooling.results import GroupFit
from trimtab.report.figures.layout import NEUTRAL, axis, compact, figure
from trimtab.report.palette import Look
from trimtab.report.text import bounds, percent, plain

__all__ = ["GROUPS", "group_figure"]

GROUPS = 20
"""Most groups that are drawn: those farthest from the population."""


def group_figure(
    groups: Sequence[GroupFit],
    values: Sequence[Estimate],
    population: Estimate,
    look: Look,
    *,
    title: str,
    decimals: int | None = None,
) -> go.Figure:
    """Draw one value of each group, the first at the top, over the population's mean (line) and its interval (band).

    Parameters
    ----------
    groups, values
        The groups and their shrunken estimates, in the same order.
    title
        Of the axis, safe for plotly already.
    decimals
        Of the values in hover text; by their intervals if not given.
    """
    x = np.array([float(value) for value in values])
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": compact(x),
            "y": list(range(len(groups))),
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": compact([value.high - float(value) for value in values]),
                "arrayminus": compact([float(value) - value.low for value in values]),
                "color": look.color,
                "thickness": 1.5,
                "width": 3,
            },
            "mode": "markers",
            "marker": {"size": 8, "color": look.color, "symbol": look.symbol},
            "customdata": [_hover(group, value, decimals) for group, value in zip(groups, values, strict=True)],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
    ]
    shapes: list[dict[str, Any]] = []
    if np.isfinite(population.low) and np.isfinite(population.high):
        shapes.append(
            {
                "type": "rect",
                "yref": "paper",
                "x0": population.low,
                "x1": population.high,
                "y0": 0,
                "y1": 1,
                "layer": "below",
                "fillcolor": "rgba(128,128,128,0.16)",
                "line": {"width": 0},
            }
        )
    if np.isfinite(float(population)):
        mean = float(population)
        shapes.append(
            {
                "type": "line",
                "yref": "paper",
                "x0": mean,
                "x1": mean,
                "y0": 0,
                "y1": 1,
                "line": {"color": NEUTRAL, "width": 1.5, "dash": "dash"},
            }
        )
    return figure(
        data,
        height=80 + 24 * max(len(groups), 3),
        shapes=shapes,
        xaxis=axis(title, zeroline=False, nticks=6, range=_range(values, population)),
        yaxis=axis(
            range=[len(groups) - 0.4, -0.6],
            tickvals=list(range(len(groups))),
            ticktext=[plain(group.name, 22) for group in groups],
            zeroline=False,
        ),
    )


def _range(values: Sequence[Estimate], population: Estimate) -> list[float] | None:
    """Return an axis on which all estimates are seen, and intervals as far as they do not flatten them."""
    dots = np.array([float(value) for value in (*values, population)])
    dots = dots[np.isfinite(dots)]
    if not len(dots):
        return None
    ends = np.array([end for value in (*values, population) for end in (value.low, value.high)])
    ends = ends[np.isfinite(ends)]
    low, high = float(dots.min()), float(dots.max())
    size = max(high - low, 1e-9 * max(1.0, abs(high)))
    if len(ends):
        # An interval may be much wider than all that is known of the others.
        widths = np.array([value.high - value.low for value in values])
        room = max(size, float(np.nanmedian(widths)) if np.isfinite(widths).any() else 0.0)
        low, high = (
            max(float(min(low, ends.min())), low - 1.5 * room),
            min(float(max(high, ends.max())), high + 1.5 * room),
        )
    margin = 0.05 * (high - low) or 0.5
    return [low - margin, high + margin]


def _hover(group: GroupFit, value: Estimate, decimals: int | None) -> str:
    number, between = bounds(value, decimals)
    sizes = f"{count_of(group.sessions, 'session')}, {count_of(group.steps, 'step')}"
    drawn = f"drawn {percent(group.shrinkage)} of the way to the population"
    return f"{plain(group.name, 60)}<br>{number} {between}<br>{sizes}<br>{drawn}"
