"""Trajectories: mean score by iteration, with a band for the mean and one for the sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from trimtab.core.objectives import Objective
from trimtab.report.bands import Band, Corrected, axis_range
from trimtab.report.figures.layout import axis, bound_lines, compact, figure, objective_title, ribbon
from trimtab.report.palette import Look, translucent

__all__ = ["score_range", "trajectory_figure"]


FEW = 5
"""Fewest sessions whose interval for the mean the vertical axis makes room for."""


def score_range(
    bands: Sequence[Band], j: int, objective: Objective, curves: Sequence[Corrected | None] = ()
) -> tuple[float, float]:
    """Return the common vertical range of objective `j` over all strategies, so that panels compare."""
    shown = [part[:, j] for one in bands for part in (one.q10, one.q90, one.mean)]
    # The interval of a mean over very few sessions would flatten everything else.
    shown += [part[one.count[:, j] >= FEW, j] for one in bands for part in (one.low, one.high)]
    shown += [one.mean[:, j] for one in curves if one is not None]
    return axis_range(np.concatenate([*shown, np.empty(0)]), objective.low, objective.high)


def trajectory_figure(
    own: Band,
    j: int,
    objective: Objective,
    look: Look,
    *,
    y_range: tuple[float, float],
    level: float,
    others: Sequence[Band] = (),
    curve: Corrected | None = None,
) -> go.Figure:
    """Draw objective `j` of one strategy; the means of `others` appear as thin grey lines for comparison.

    The mean that allows for sessions that end early is dashed, where `curve` knows it.
    """
    data: list[dict[str, Any]] = []
    if others:
        gap = np.array([np.nan])
        data.append(
            {
                "type": "scatter",
                "x": compact(np.concatenate([part for one in others for part in (one.iteration, gap)])),
                "y": compact(np.concatenate([part for one in others for part in (one.mean[:, j], gap)])),
                "mode": "lines",
                "line": {"width": 1, "color": "rgba(128,128,128,0.45)"},
                "hoverinfo": "skip",
            }
        )
    data.append(ribbon(own.iteration, own.q10[:, j], own.q90[:, j], translucent(look.color, 0.15)))
    data.append(ribbon(own.iteration, own.low[:, j], own.high[:, j], translucent(look.color, 0.4)))
    hover = np.column_stack([own.count[:, j], own.low[:, j], own.high[:, j], own.q10[:, j], own.q90[:, j]])
    data.append(
        {
            "type": "scatter",
            "x": own.iteration,
            "y": compact(own.mean[:, j]),
            "customdata": compact(hover),
            "mode": "lines+markers" if len(own.iteration) <= 60 else "lines",
            "line": {"width": 2, "color": look.color, "dash": look.dash},
            "marker": {"size": 5, "symbol": look.symbol, "color": look.color},
            "hovertemplate": (
                "iteration %{x}<br>mean %{y:.3~g}, "
                f"{level:.0%} interval "
                "%{customdata[1]:.3~g} to %{customdata[2]:.3~g}<br>10–90% of sessions: %{customdata[3]:.3~g} to "
                "%{customdata[4]:.3~g}<br>%{customdata[0]:,} sessions<extra></extra>"
            ),
        }
    )
    if curve is not None and np.isfinite(curve.mean[:, j]).any():
        data.append(
            {
                "type": "scatter",
                "x": curve.iteration,
                "y": compact(curve.mean[:, j]),
                "customdata": curve.runs,
                "mode": "lines",
                "line": {"width": 2, "color": look.color, "dash": "5px,4px"},
                "hovertemplate": (
                    "iteration %{x}<br>%{y:.3~g} had all sessions gone on<br>%{customdata:,} of them did<extra></extra>"
                ),
            }
        )
    shapes = bound_lines(objective, y_range)
    few = len(own.iteration) and own.iteration[-1] - own.iteration[0] <= 12
    return figure(
        data,
        height=215,
        shapes=shapes,
        xaxis=axis("iteration", showgrid=False, zeroline=False, **({"dtick": 2, "tick0": 0} if few else {})),
        yaxis=axis(objective_title(objective), range=list(y_range), zeroline=False, nticks=6),
    )
