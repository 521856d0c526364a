"""A Markov chain on few levels: transition probabilities as a heat map, with its long run below."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from trimtab.estimation.coarse.chain import Chain
from trimtab.report.figures.layout import axis, compact, figure
from trimtab.report.text import brief, percent, plain

__all__ = ["STATES", "ending", "state_names", "transition_figure"]

STATES = 12
"""Most states that are drawn."""

SCALE = [[0.0, "#f4f6f9"], [0.25, "#c3daee"], [0.5, "#92bfe2"], [0.75, "#3f80bc"], [1.0, "#0b3f78"]]
"""From white for never to dark blue for always; numbers are written on it."""

FRAME = "#d9a21b"
"""Around states that are not left."""


def state_names(chain: Chain) -> list[str]:
    """Return the scores of each state; a state in which rare ones are lumped is called so."""
    many = np.bincount(chain.group, minlength=len(chain.P)) > 1
    return ["rare ones" if many[k] else _scores(chain.values[k]) for k in range(len(chain.P))]


def _scores(values: NDArray[np.float64]) -> str:
    return ", ".join(brief(float(value)) for value in values)


def ending(chain: Chain) -> str:
    """Say which states are not left, and why; empty where all are."""
    said, names = [], state_names(chain)
    for marked, why in (
        (chain.by_design, "sessions end there, so that nothing is known of what would follow"),
        (chain.absorbing & ~chain.by_design, "never left, as far as the data go"),
    ):
        if marked.any():
            listed = " and ".join(names[k] for k in np.flatnonzero(marked))
            said.append(f"{listed} ({why})")
    return "; ".join(said)


def transition_figure(chain: Chain) -> go.Figure:
    """Draw P with rows for where a step starts and columns for where it ends, and the long-run law as a row below.

    States that are not left are framed. With such states the long run is where sessions end.
    """
    K = len(chain.P)
    known = bool(np.isfinite(chain.law).all())
    z = np.vstack([chain.P, np.full((2, K), np.nan)]) if known else chain.P.copy()
    if known:
        z[-1] = chain.law
    states = [plain(name, 18) for name in state_names(chain)]
    end = "sessions end at" if chain.absorbing.any() else "in the long run"
    hover = [[_step(chain, states, i, j) for j in range(K)] for i in range(K)]
    if known:
        hover += [[""] * K, [f"{end} {states[j]}: {percent(chain.law[j])}" for j in range(K)]]
    data: list[dict[str, Any]] = [
        {
            "type": "heatmap",
            "z": compact(z),
            "x": list(range(K)),
            "y": list(range(len(z))),
            "text": [[percent(value) if np.isfinite(value) else "" for value in row] for row in z],
            "texttemplate": "%{text}",
            "textfont": {"size": 11},
            "customdata": hover,
            "hovertemplate": "%{customdata}<extra></extra>",
            "hoverongaps": False,
            "colorscale": SCALE,
            "zmin": 0,
            "zmax": 1,
            "xgap": 2,
            "ygap": 2,
            "showscale": False,
        }
    ]
    named = plain(", ".join(chain.objectives), 40)
    frames = [
        {
            "type": "rect",
            "x0": -0.5,
            "x1": K - 0.5,
            "y0": k - 0.5,
            "y1": k + 0.5,
            "line": {"color": FRAME, "width": 2},
        }
        for k in np.flatnonzero(chain.absorbing).tolist()
    ]
    ticks: dict[str, Any] = {"showgrid": False, "zeroline": False, "ticks": ""}
    rows = [*range(K), *([K + 1] if known else [])]
    return figure(
        data,
        height=max(200, 80 + 30 * len(z)),
        shapes=frames,
        xaxis=axis(
            f"to {named}",
            range=[-0.5, K - 0.5],
            tickvals=list(range(K)),
            ticktext=states,
            tickangle=0 if max(map(len, states)) * K <= 44 else -40,
            side="top",
            **ticks,
        ),
        yaxis=axis(
            f"from {named}",
            range=[len(z) - 0.5, -0.5],
            tickvals=rows,
            ticktext=[*states, *([end] if known else [])],
            **ticks,
        ),
    )


def _step(chain: Chain, states: list[str], i: int, j: int) -> str:
    chance = f"{states[i]} → {states[j]}: {percent(chain.P[i, j])}"
    if chain.by_design[i]:
        return f"sessions end at {states[i]}"
    seen = f"{int(chain.counts[i, j]):,} of {int(chain.counts[i].sum()):,} steps from {states[i]}"
    return f"{chance}<br>{seen}" + ("<br>never left, as far as the data go" if chain.absorbing[i] else "")
