"""Fan chart: how the scores of simulated sessions spread by iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from trimtab.core.objectives import Objective
from trimtab.forecasting.fan import Fan
from trimtab.report.bands import MAX_ITERATIONS, axis_range, evenly
from trimtab.report.figures.layout import NEUTRAL, axis, bound_lines, compact, figure, objective_title, ribbon
from trimtab.report.palette import Look, translucent

__all__ = ["fan_figure", "fan_range"]


def fan_range(fans: Sequence[Fan], j: int, objective: Objective) -> tuple[float, float]:
    """Return the common vertical range of objective `j` over all fans, so that panels compare."""
    shown = [fan.quantiles[:, :, j].ravel() for fan in fans]
    wanted = [value for fan in fans for value in _targets(fan, objective)]
    return axis_range(np.concatenate([*shown, np.array(wanted)]), objective.low, objective.high)


def fan_figure(fan: Fan, j: int, objective: Objective, look: Look, y_range: tuple[float, float]) -> go.Figure:
    """Draw objective `j`: the median, and bands that hold the middle 50% and 90% of paths.

    Upright dotted lines are where a schedule changes its strategy, a dashed level line is a target.
    """
    t = evenly(fan.steps + 1, MAX_ITERATIONS)
    low, lower, median, upper, high = fan.quantiles[t, :, j].T
    hover = np.column_stack([fan.mean[t, j], low, high, lower, upper, 100 * fan.at_bound[t, j]])
    data: list[dict[str, Any]] = [
        ribbon(t, low, high, translucent(look.color, 0.15)),
        ribbon(t, lower, upper, translucent(look.color, 0.35)),
        {
            "type": "scatter",
            "x": t,
            "y": compact(median),
            "customdata": compact(hover),
            "mode": "lines+markers" if len(t) <= 60 else "lines",
            "line": {"width": 2, "color": look.color},
            "marker": {"size": 5, "symbol": look.symbol, "color": look.color},
            "hovertemplate": (
                "iteration %{x}<br>median %{y:.3~g}, mean %{customdata[0]:.3~g}<br>50% of sessions: "
                "%{customdata[3]:.3~g} to %{customdata[4]:.3~g}<br>90%: %{customdata[1]:.3~g} to "
                "%{customdata[2]:.3~g}<br>at a bound: %{customdata[5]:.3~g}%<extra></extra>"
            ),
        },
    ]
    marked = bound_lines(objective, y_range)
    marked += [_level(value, look.color) for value in _targets(fan, objective)]
    changes = [s for s in range(1, fan.steps) if fan.schedule[s] != fan.schedule[s - 1]]
    if len(changes) <= MAX_CHANGES:
        marked += [_upright(s) for s in changes]
    return figure(
        data,
        height=215,
        shapes=marked,
        xaxis=axis(
            "iteration", showgrid=False, zeroline=False, **({"dtick": 2, "tick0": 0} if fan.steps <= 12 else {})
        ),
        yaxis=axis(objective_title(objective), range=list(y_range), zeroline=False, nticks=6),
    )


MAX_CHANGES = 20
"""Changes of strategy up to which they are drawn."""


def _targets(fan: Fan, objective: Objective) -> list[float]:
    return [one.target[objective.name] for one in fan.passages if [*one.target] == [objective.name]]


def _level(y: float, color: str) -> dict[str, Any]:
    ends = {"xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}
    return {"type": "line", **ends, "line": {"width": 1.5, "color": color, "dash": "dash"}}


def _upright(x: float) -> dict[str, Any]:
    ends = {"yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x}
    return {"type": "line", **ends, "line": {"width": 1, "color": NEUTRAL, "dash": "dot"}}
