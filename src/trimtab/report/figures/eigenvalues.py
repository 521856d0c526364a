"""Eigenvalues of the drift in the complex plane, with both borders of stability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from trimtab.estimation.results import StrategyFit
from trimtab.report.bands import evenly
from trimtab.report.figures.layout import NEUTRAL, axis, compact, figure
from trimtab.report.palette import Look, translucent

__all__ = ["Plane", "cloud", "eigenvalue_figure", "plane"]

CLOUD = 300
"""Most points of a bootstrap cloud that are drawn."""


@dataclass(frozen=True, slots=True)
class Plane:
    """The part of the complex plane that is shown: ends of the real axis and height of the imaginary one."""

    left: float
    right: float
    top: float


def cloud(one: StrategyFit) -> NDArray[np.complex128]:
    """Return at most `CLOUD` eigenvalues from evenly spaced bootstrap draws."""
    draws, k = one.draws.eigenvalues.shape
    if not draws or not k:
        return np.empty(0, dtype=np.complex128)
    return np.asarray(one.draws.eigenvalues[evenly(draws, max(1, CLOUD // k))].ravel())


def plane(fits: Sequence[StrategyFit], dt: float) -> Plane:
    """Return a common view of the stability circle and of all clouds but their most extreme points."""
    points = [np.concatenate([cloud(one), one.eigenvalues]) * dt for one in fits]
    found = np.concatenate([*points, np.empty(0, dtype=np.complex128)])
    found = found[np.isfinite(found)]
    left, right, top = -2.0, 0.0, 1.0
    if len(found):
        left = min(left, float(np.quantile(found.real, 0.005)))
        right = max(right, float(np.quantile(found.real, 0.995)))
        top = max(top, float(np.quantile(np.abs(found.imag), 0.995)))
    return Plane(max(left - 0.25, -12.0) / dt, min(right + 0.35, 10.0) / dt, min(top + 0.2, 11.0) / dt)


def eigenvalue_figure(one: StrategyFit, look: Look, view: Plane) -> go.Figure:
    """Draw the eigenvalues of one strategy, their bootstrap cloud, |1 + lambda dt| = 1 and Re(lambda) = 0."""
    points, dt = cloud(one), one.dt
    names = [f"{lam.real:.3g} {'−' if lam.imag < 0 else '+'} {abs(lam.imag):.3g}i" for lam in one.eigenvalues]
    data = [
        {
            "type": "scatter",
            "x": compact(points.real),
            "y": compact(points.imag),
            "mode": "markers",
            "marker": {"size": 3.5, "color": translucent(look.color, 0.4), "symbol": look.symbol},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": compact(one.eigenvalues.real),
            "y": compact(one.eigenvalues.imag),
            "mode": "markers",
            "marker": {
                "size": 13,
                "color": look.color,
                "symbol": f"{look.symbol}-open",
                "line": {"width": 2.5},
            },
            "text": names,
            "customdata": compact(np.abs(1 + one.eigenvalues * dt)),
            "hovertemplate": "eigenvalue %{text}<br>|multiplier| %{customdata:.3f}<extra></extra>",
        },
    ]
    shapes = [
        {
            "type": "circle",
            "x0": -2 / dt,
            "x1": 0,
            "y0": -1 / dt,
            "y1": 1 / dt,
            "layer": "below",
            "fillcolor": "rgba(0,158,115,0.09)",
            "line": {"color": "rgba(0,158,115,0.9)", "width": 1.5},
        },
        {
            "type": "line",
            "x0": 0,
            "x1": 0,
            "yref": "y domain",
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "line": {"color": NEUTRAL, "width": 1.5, "dash": "dash"},
        },
        {
            "type": "line",
            "x0": -1 / dt,
            "x1": -1 / dt,
            "y0": -0.06 / dt,
            "y1": 0.06 / dt,
            "layer": "below",
            "line": {"color": NEUTRAL, "width": 1},
        },
    ]
    return figure(
        data,
        height=275,
        shapes=shapes,
        xaxis=axis("real part", range=[view.left, view.right], zeroline=False, constrain="domain"),
        yaxis=axis(
            "imaginary part",
            range=[-view.top, view.top],
            zeroline=True,
            scaleanchor="x",
            constrain="domain",
        ),
    )
