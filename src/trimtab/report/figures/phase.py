"""Phase portraits: where the fitted drift pushes the scores from each point of the plane of two objectives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.estimation.results import StrategyFit
from trimtab.report.bands import axis_range, evenly, strategy_sessions
from trimtab.report.figures.layout import NEUTRAL, axis, compact, figure, objective_title
from trimtab.report.palette import Look, translucent

__all__ = ["Held", "drift_figure", "held_at", "phase_figure", "sample_paths", "state_ranges"]

Floats = NDArray[np.float64]

GRID = 9
PATHS = 4
PATH_ITERATIONS = 40
STEPS = 300


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The point (n,) at which a portrait holds the objectives it does not show, and what that point is."""

    at: Floats
    kind: str


def state_ranges(trajectories: Trajectories) -> list[tuple[float, float]]:
    """Return for each objective the range that portraits of all strategies show."""
    ranges = []
    for j, objective in enumerate(trajectories.space):
        known = trajectories.scores[np.isfinite(trajectories.scores[:, j]), j]
        ends = np.quantile(known, (0.005, 0.995)) if len(known) else np.empty(0)
        ranges.append(axis_range(ends, objective.low, objective.high, pad=0.1))
    return ranges


def held_at(one: StrategyFit, trajectories: Trajectories) -> Held:
    """Return where to hold the objectives not shown: the equilibrium if it lies in the box, else the mean score."""
    rows = trajectories.scores[trajectories.strategy == trajectories.strategies.index(one.name)]
    known = np.isfinite(rows)
    mean = np.where(known, rows, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    point = one.equilibrium.estimate
    found = np.isfinite(point)
    inside = (point >= one.space.low) & (point <= one.space.high)
    if found[one.active].all() and inside[found].all() and found.any():
        return Held(np.where(found, point, mean), "equilibrium")
    return Held(mean, "mean score")


def sample_paths(trajectories: Trajectories, name: str) -> list[Floats]:
    """Return the first iterations of a few sessions, evenly spaced in the order of the data, each (T, n)."""
    sessions = strategy_sessions(trajectories, name)
    long = sessions[trajectories.lengths[sessions] > 1]
    chosen = long[evenly(len(long), PATHS)]
    starts = trajectories.offsets
    return [trajectories.scores[starts[s] : starts[s + 1]][:PATH_ITERATIONS] for s in chosen]


def _arrows(
    one: StrategyFit, pair: tuple[int, int], held: Held, ranges: Sequence[tuple[float, float]]
) -> tuple[Floats, Floats]:
    """Return the arrows as one line with gaps, (3 GRID^2,) each: tail, head, nan.

    Directions are true in the units of the axes; lengths share one factor so that neighbours do not touch.
    """
    i, j = pair
    (x0, x1), (y0, y1) = ranges[i], ranges[j]
    fractions = (np.arange(GRID) + 0.5) / GRID
    gx, gy = np.meshgrid(x0 + fractions * (x1 - x0), y0 + fractions * (y1 - y0))
    points = np.tile(held.at, (GRID * GRID, 1))
    points[:, i], points[:, j] = gx.ravel(), gy.ravel()
    drift = (points @ one.A.T + one.b)[:, [i, j]] * one.dt
    size = np.array([x1 - x0, y1 - y0])
    lengths = np.hypot(*(drift / size).T)
    longest = lengths.max()
    if longest > 0:
        # The square root keeps weak drift visible next to strong drift.
        wanted = 0.95 / GRID * np.sqrt(lengths / longest)
        drift = drift * (wanted / np.where(lengths > 0, lengths, 1.0))[:, None]
    tails = points[:, [i, j]]
    line = np.stack([tails, tails + drift, np.full_like(tails, np.nan)], axis=1).reshape(-1, 2)
    return line[:, 0], line[:, 1]


def phase_figure(
    one: StrategyFit,
    pair: tuple[int, int],
    look: Look,
    held: Held,
    ranges: Sequence[tuple[float, float]],
    paths: Sequence[Floats],
) -> go.Figure:
    """Draw the portrait of one strategy for the objectives at positions `pair`; only paths if it is not identified."""
    i, j = pair
    data: list[dict[str, Any]] = []
    if one.identified:
        x, y = _arrows(one, pair, held, ranges)
        data.append(
            {
                "type": "scatter",
                "x": compact(x),
                "y": compact(y),
                "mode": "lines+markers",
                "line": {"width": 1.1, "color": NEUTRAL},
                "marker": {
                    "symbol": "arrow",
                    "angleref": "previous",
                    "size": np.tile(np.array([0, 7, 0], dtype=np.int8), GRID * GRID),
                    "color": NEUTRAL,
                    "opacity": 1,
                    "line": {"width": 0},
                },
                "hoverinfo": "skip",
            }
        )
    if paths:
        data.append(_sessions(paths, pair, look))
    point = one.equilibrium.estimate[[i, j]]
    if np.isfinite(point).all():
        data.append(
            {
                "type": "scatter",
                "x": [float(point[0])],
                "y": [float(point[1])],
                "mode": "markers",
                "marker": {
                    "symbol": "star",
                    "size": 15,
                    "color": look.color,
                    "line": {"width": 1.2, "color": "#ffffff"},
                },
                "hovertemplate": "equilibrium: %{x:.3~g}, %{y:.3~g}<extra></extra>",
            }
        )
    return figure(
        data,
        height=310,
        shapes=_box(one.space, i, j),
        xaxis=axis(objective_title(one.space.objectives[i]), range=list(ranges[i]), zeroline=False),
        yaxis=axis(objective_title(one.space.objectives[j]), range=list(ranges[j]), zeroline=False),
    )


def _sessions(paths: Sequence[Floats], pair: tuple[int, int], look: Look) -> dict[str, Any]:
    """Return paths as one line with gaps and a dot at the end of each."""
    n = paths[0].shape[1]
    joined = np.concatenate([part for path in paths for part in (path, np.full((1, n), np.nan))])
    ends = np.cumsum([len(path) + 1 for path in paths]) - 2
    sizes = np.zeros(len(joined), dtype=np.int8)
    sizes[ends] = 7
    return {
        "type": "scatter",
        "x": compact(joined[:, pair[0]]),
        "y": compact(joined[:, pair[1]]),
        "mode": "lines+markers",
        "line": {"width": 1.2, "color": translucent(look.color, 0.75)},
        "marker": {"size": sizes, "symbol": "circle", "color": look.color, "opacity": 1, "line": {"width": 0}},
        "customdata": np.concatenate([np.arange(len(path) + 1, dtype=np.int16) for path in paths]),
        "hovertemplate": "point %{customdata} of a session: %{x:.3~g}, %{y:.3~g}<extra></extra>",
    }


def _box(space: ObjectiveSpace, i: int, j: int) -> list[dict[str, Any]]:
    """Return the sides of the box of bounds that exist."""
    sides: list[dict[str, Any]] = []
    for letter, other, k in (("x", "y", i), ("y", "x", j)):
        for bound in (space.low[k], space.high[k]):
            if np.isfinite(bound):
                ends = {f"{letter}0": bound, f"{letter}1": bound, f"{other}0": 0, f"{other}1": 1}
                line = {"color": NEUTRAL, "width": 1, "dash": "dot"}
                sides.append({"type": "line", **ends, f"{other}ref": "paper", "line": line, "layer": "below"})
    return sides


def drift_figure(
    one: StrategyFit, trajectories: Trajectories, look: Look, x_range: tuple[float, float], level: float
) -> go.Figure:
    """Draw the expected step against the score, for a single objective, over the steps it was fitted to."""
    steps = trajectories.steps()
    own = steps.where(steps.strategy == trajectories.strategies.index(one.name))
    chosen = evenly(len(own), STEPS)
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": compact(own.x[chosen, 0]),
            "y": compact(own.dx[chosen, 0]),
            "mode": "markers",
            "marker": {"size": 4, "color": translucent(look.color, 0.35), "symbol": look.symbol},
            "hovertemplate": "a step: at %{x:.3~g}, change %{y:.3~g}<extra></extra>",
        }
    ]
    grid = np.linspace(*x_range, 41)
    if one.identified:
        if len(one.draws.A):
            drawn = (one.draws.A[:, 0, 0, None] * grid + one.draws.b[:, 0, None]) * one.dt
            low, high = np.quantile(drawn, (0.5 - level / 2, 0.5 + level / 2), axis=0)
            data.append(
                {
                    "type": "scatter",
                    "x": compact(np.concatenate([grid, grid[::-1]])),
                    "y": compact(np.concatenate([high, low[::-1]])),
                    "mode": "lines",
                    "line": {"width": 0},
                    "fill": "toself",
                    "fillcolor": translucent(look.color, 0.25),
                    "hoverinfo": "skip",
                }
            )
        data.append(
            {
                "type": "scatter",
                "x": compact(grid),
                "y": compact((one.A[0, 0] * grid + one.b[0]) * one.dt),
                "mode": "lines",
                "line": {"width": 2, "color": look.color},
                "hovertemplate": "at %{x:.3~g} the expected change is %{y:.3~g}<extra></extra>",
            }
        )
    point = float(one.equilibrium.estimate[0])
    if np.isfinite(point):
        data.append(
            {
                "type": "scatter",
                "x": [point],
                "y": [0.0],
                "mode": "markers",
                "marker": {
                    "symbol": "star",
                    "size": 15,
                    "color": look.color,
                    "line": {"width": 1.2, "color": "#ffffff"},
                },
                "hovertemplate": "equilibrium: %{x:.3~g}<extra></extra>",
            }
        )
    return figure(
        data,
        height=310,
        xaxis=axis(objective_title(one.space.objectives[0]), range=list(x_range), zeroline=False),
        yaxis=axis("change in one iteration", zeroline=True, zerolinewidth=1.5),
    )
