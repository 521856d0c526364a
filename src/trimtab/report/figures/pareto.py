"""Final scores of all sessions, and which of them no other dominates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.pareto import non_dominated
from trimtab.estimation.outcomes import end_scores
from trimtab.report.bands import axis_range, evenly, strategy_sessions
from trimtab.report.figures.layout import axis, compact, figure, objective_title
from trimtab.report.palette import Look, translucent
from trimtab.report.text import plain

__all__ = ["Finals", "finals", "finals_figure", "pareto_figure"]

Floats = NDArray[np.float64]

POINTS = 1200
"""Most final scores that are drawn, over all strategies."""


@dataclass(frozen=True, slots=True, eq=False)
class Finals:
    """Complete final scores: of strategy k the points ``scores[owner == k]``.

    Parameters
    ----------
    scores
        (M, n).
    owner, session
        (M,) position of the strategy among those given, and index of the session.
    best
        (M,) true where no other final score, of any strategy, dominates it on all objectives.
    incomplete
        Sessions without a known score on every objective.
    """

    scores: Floats
    owner: NDArray[np.int64]
    session: NDArray[np.int64]
    best: NDArray[np.bool_]
    incomplete: int


def finals(trajectories: Trajectories, names: Sequence[str]) -> Finals:
    """Return the final scores of the sessions of the given strategies."""
    groups = [strategy_sessions(trajectories, name) for name in names]
    session = np.concatenate([*groups, np.empty(0, dtype=np.int64)]).astype(np.int64)
    owner = np.repeat(np.arange(len(names)), [len(group) for group in groups])
    scores = end_scores(trajectories, session)
    known = np.isfinite(scores).all(axis=1)
    scores, owner, session = scores[known], owner[known], session[known]
    return Finals(scores, owner, session, non_dominated(scores, trajectories.space.sign), int((~known).sum()))


def _shown(found: Finals, k: int, strategies: int) -> NDArray[np.int64]:
    """Return which points of strategy `k` are drawn: evenly spaced, non-dominated ones first in line."""
    limit = max(20, POINTS // max(strategies, 1))
    own = np.flatnonzero(found.owner == k)
    if len(own) <= limit:
        return own
    best, rest = own[found.best[own]], own[~found.best[own]]
    best = best[evenly(len(best), limit * 3 // 4 if len(rest) else limit)]
    rest = rest[evenly(len(rest), limit - len(best))]
    return np.sort(np.concatenate([best, rest]))


def _better(space: ObjectiveSpace, k: int) -> str:
    one = space.objectives[k]
    return f"{plain(one.name, 32)} ({'lower' if one.direction == 'min' else 'higher'} is better)"


def pareto_figure(
    found: Finals, pair: tuple[int, int], trajectories: Trajectories, names: Sequence[str], looks: Sequence[Look]
) -> go.Figure:
    """Draw two objectives of the final scores, one trace per strategy (its position in ``meta``)."""
    i, j = pair
    space = trajectories.space
    data = []
    for k, (name, look) in enumerate(zip(names, looks, strict=True)):
        at = _shown(found, k, len(names))
        best = found.best[at]
        data.append(
            {
                "type": "scatter",
                "x": compact(found.scores[at, i]),
                "y": compact(found.scores[at, j]),
                "name": plain(name, 24),
                "meta": k,
                "mode": "markers",
                "marker": {
                    "symbol": look.symbol,
                    "opacity": 1,
                    "size": np.where(best, 10, 6).astype(np.int8),
                    "color": [look.color if one else translucent(look.color, 0.5) for one in best.tolist()],
                    "line": {"width": np.where(best, 1.5, 0)},  # the page sets its colour, light or dark
                },
                "text": [plain(trajectories.session_ids[s]) for s in found.session[at]],
                "customdata": np.where(best, "non-dominated", "dominated").tolist(),
                "hovertemplate": "%{text}<br>%{x:.3~g}, %{y:.3~g}<br>%{customdata}<extra>%{fullData.name}</extra>",
            }
        )
    ranges = [
        axis_range(found.scores[:, k], space.objectives[k].low, space.objectives[k].high, pad=0.08) for k in (i, j)
    ]
    return figure(
        data,
        height=470,
        showlegend=1 < len(names) <= 12,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "itemsizing": "constant"},
        xaxis=axis(_better(space, i), range=list(ranges[0]), zeroline=False),
        yaxis=axis(_better(space, j), range=list(ranges[1]), zeroline=False),
    )


def finals_figure(found: Finals, trajectories: Trajectories, names: Sequence[str], looks: Sequence[Look]) -> go.Figure:
    """Draw the final scores of a single objective, one box with points per strategy (its position in ``meta``)."""
    objective = trajectories.space.objectives[0]
    data = []
    for k, (name, look) in enumerate(zip(names, looks, strict=True)):
        # Evenly spaced in order of size, so that the box of the points drawn is the box of all.
        values = np.sort(found.scores[found.owner == k, 0])
        values = values[evenly(len(values), max(20, POINTS // len(names)))]
        data.append(
            {
                "type": "box",
                "x": np.full(len(values), k),
                "y": compact(values),
                "name": plain(name, 24),
                "meta": k,
                "boxpoints": "all",
                "jitter": 0.5,
                "pointpos": 0,
                "marker": {"color": translucent(look.color, 0.5), "size": 4, "symbol": look.symbol},
                "line": {"color": look.color, "width": 1.5},
                "fillcolor": translucent(look.color, 0.12),
                "hovertemplate": "%{y:.3~g}<extra>%{fullData.name}</extra>",
            }
        )
    ends = axis_range(found.scores[:, 0], objective.low, objective.high, pad=0.08)
    positions = list(range(len(names)))
    return figure(
        data,
        height=400,
        xaxis=axis(tickvals=positions, ticktext=[plain(name, 24) for name in names], zeroline=False, showgrid=False),
        yaxis=axis(objective_title(objective), range=list(ends), zeroline=False),
    )
