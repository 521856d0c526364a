"""Data quality: what was left out, what is missing, and how the sessions differ in length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from trimtab.core.trajectories import FAILED, OK, UNSCORED, Trajectories
from trimtab.estimation.moments import stepping_sessions
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.report.text import percent, shorten

__all__ = ["Bar", "Missing", "Quality", "idle_sessions", "lengths_differ", "quality", "switching"]

BARS = 14
NAMES = 5
"""Most strategies named in front of a warning."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a small histogram: label, count and width in percent of the longest."""

    label: str
    count: int
    width: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Scores of one objective by status."""

    objective: str
    known: int
    unscored: int
    failed: int
    share: str


@dataclass(frozen=True, slots=True)
class Quality:
    """Everything the last section says."""

    exclusions: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    bounds: tuple[tuple[str, tuple[str, ...]], ...]
    lengths: tuple[Bar, ...]
    missing: tuple[Missing, ...]
    switching: int


def lengths_differ(trajectories: Trajectories) -> bool:
    """Say whether some sessions end before others, so that averages by iteration are over the survivors."""
    last = trajectories.iteration[trajectories.offsets[1:] - 1]
    return bool(last.min() != last.max())


def idle_sessions(trajectories: Trajectories) -> int:
    """Return how many sessions hold no complete step, so that they say nothing of the dynamics."""
    return trajectories.n_sessions - len(stepping_sessions(trajectories))


def switching(trajectories: Trajectories) -> int:
    """Return how many sessions change strategy midway."""
    rows = trajectories.n_rows
    starts = np.zeros(rows, dtype=bool)
    starts[trajectories.offsets[:-1]] = True
    changes = np.flatnonzero((np.diff(trajectories.strategy) != 0) & ~starts[1:])
    return len(np.unique(trajectories.session[changes]))


def _lengths(trajectories: Trajectories) -> tuple[Bar, ...]:
    lengths = trajectories.lengths
    values, counts = np.unique(lengths, return_counts=True)
    labels = [f"{value:,}" for value in values]
    if len(values) > BARS:
        edges = np.unique(np.linspace(values[0], values[-1] + 1, BARS + 1).round().astype(np.int64))
        counts, _ = np.histogram(lengths, edges)
        labels = [f"{low:,}" if high - low == 1 else f"{low:,}–{high - 1:,}" for low, high in pairwise(edges.tolist())]
    top = int(counts.max())
    return tuple(
        Bar(label, int(count), max(1, round(100 * int(count) / top)) if count else 0)
        for label, count in zip(labels, counts, strict=True)
    )


def _warnings(fit: Fit) -> list[str]:
    """Return every warning once, with the strategies it concerns in front."""
    concerned: dict[str, list[str]] = {}
    for name, one in fit.strategies.items():
        for text in dict.fromkeys(one.warnings):
            concerned.setdefault(text, []).append(shorten(name, 40))
    said = []
    for text, names in concerned.items():
        more = f" and {len(names) - NAMES:,} more" if len(names) > NAMES else ""
        said.append(f"{', '.join(names[:NAMES])}{more}: {text}")
    return [*said, *fit.own_warnings]


def quality(fit: Fit, shown: Sequence[StrategyFit]) -> Quality:
    """Gather what the reader and the fit have to say about the data; `shown` are the strategies with a row."""
    data = fit.trajectories
    missing = []
    for j, name in enumerate(data.space.names):
        known, unscored, failed = (int((data.status[:, j] == status).sum()) for status in (OK, UNSCORED, FAILED))
        share = percent((unscored + failed) / max(data.n_rows, 1))
        missing.append(Missing(shorten(name, 80), known, unscored, failed, share))
    return Quality(
        exclusions=tuple(shorten(one, 600) for one in fit.exclusions),
        notes=tuple(shorten(one, 600) for one in fit.notes),
        warnings=tuple(shorten(one, 600) for one in _warnings(fit)),
        bounds=tuple((one.name, tuple(percent(float(share)) for share in one.at_bound)) for one in shown),
        lengths=_lengths(data),
        missing=tuple(missing),
        switching=switching(data),
    )
