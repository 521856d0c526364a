"""Policies side by side: what each gains over the best fixed strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from trimtab.control.evaluation.outcome import Figure
from trimtab.report.figures.layout import NEUTRAL, axis, compact, figure
from trimtab.report.palette import Look
from trimtab.report.text import fixed, plain

__all__ = ["Gain", "gains_figure"]


@dataclass(frozen=True, slots=True)
class Gain:
    """One line of the figure: a policy's gain, mean and interval."""

    name: str
    look: Look
    gain: Figure


def gains_figure(rows: Sequence[Gain], oracle: float | None) -> go.Figure:
    """Draw a mark with its 95% interval per policy; a dashed line is the oracle's gain, the dotted one no gain."""
    data: list[dict[str, Any]] = []
    for k, row in enumerate(rows):
        half = row.gain.high - row.gain.mean
        said = f"{plain(row.name)}: {fixed(row.gain.mean, 3)} [{fixed(row.gain.low, 3)}, {fixed(row.gain.high, 3)}]"
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": compact([row.gain.mean]),
                "y": [k],
                "error_x": {"type": "data", "array": compact([half]), "color": row.look.color, "thickness": 1.5},
                "marker": {"color": row.look.color, "symbol": row.look.symbol, "size": 9},
                "customdata": [said],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    return figure(
        data,
        height=70 + 30 * len(rows),
        shapes=[_upright(0.0, "dot"), *([] if oracle is None else [_upright(oracle, "dash")])],
        xaxis=axis("net utility gained over the best fixed strategy", zeroline=False, nticks=8),
        yaxis=axis(
            range=[len(rows) - 0.4, -0.6],
            tickvals=list(range(len(rows))),
            ticktext=[plain(row.name, 30) for row in rows],
            zeroline=False,
        ),
    )


def _upright(x: float, dash: str) -> dict[str, Any]:
    ends = {"yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x}
    return {"type": "line", **ends, "line": {"width": 1.5, "color": NEUTRAL, "dash": dash}}
