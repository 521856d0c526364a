"""What was run, or what the imported data are: the head of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from trimtab.core.objectives import Objective
from trimtab.estimation.results import Fit
from trimtab.report.text import number, shorten

__all__ = ["Item", "facts", "lengths_text", "objective_rows", "settings", "stand_ins"]

Item = tuple[str, str]
"""A label and its value."""

_REWRITER = "Data made by the embedded rewriter: a stand-in for an LLM, not an LLM."
_LEXICAL = "Scores given by the scorer lexical: a stand-in for a judge, not a judge."

_LABELS = {
    "provider": "Provider",
    "model": "Model",
    "temperature": "Temperature",
    "tasks": "Tasks",
    "strategies": "Strategies",
    "sessions": "Sessions per strategy",
    "iterations": "Iterations",
    "concurrency": "Concurrency",
    "seed": "Seed",
    "source": "Source",
    "store": "Store",
    "scorers": "Scorers",
    "version": "trimtab version",
    "date": "Date",
}

_APART = ("objectives",)
"""Keys of a run that are not listed: objectives have a table of their own."""

_VALUE = 240
_LISTED = 12


def stand_ins(run: Mapping[str, Any] | None) -> list[str]:
    """Return a sentence for each part of a run that only stands in for a real one: its model, its judge."""
    said = []
    if run and str(run.get("provider", "")).strip().lower() == "rewriter":
        said.append(_REWRITER)
    scorers = run.get("scorers") if run else None
    if scorers == "lexical" or (isinstance(scorers, list | tuple) and "lexical" in scorers):
        said.append(_LEXICAL)
    return said


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return _joined(f"{key}: {shorten(_part(item), 60)}" for key, item in value.items() if item is not None)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return _joined(shorten(item, 60) for item in value)
    return shorten(value, _VALUE)


def _part(value: object) -> object:
    """Return what stands for one value of a table: of a table in it, the names alone."""
    return ", ".join(map(str, value)) if isinstance(value, Mapping) else value


def _joined(parts: Iterable[str]) -> str:
    listed = list(parts)
    more = f" and {len(listed) - _LISTED:,} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def _label(key: str) -> str:
    words = shorten(key.replace("_", " "), 40)
    return words[:1].upper() + words[1:]


def settings(run: Mapping[str, Any] | None, strategies: Sequence[str] = ()) -> list[Item]:
    """Return the settings of a run as labels and values: the known ones first, then the others in their own order.

    A run's strategies come in the order of `strategies`, the names in the order they ran, because a store keeps none.
    """
    if not run:
        return []
    titles = run.get("strategies")
    if isinstance(titles, Mapping):
        ordered = [*(name for name in strategies if name in titles), *titles]
        run = {**run, "strategies": {name: titles[name] for name in ordered}}
    labels = {**_LABELS, "sessions": "Sessions"} if run.get("policy") or run.get("follows") else _LABELS
    known = [(label, run[key]) for key, label in labels.items() if key in run]
    rest = [key for key in run if str(key) not in _LABELS and str(key) not in _APART]
    others = [(_label(str(key)), run[key]) for key in rest]
    return [(label, _value(value)) for label, value in [*known, *others] if value not in (None, "", [])]


def lengths_text(lengths: Sequence[int] | np.ndarray[Any, np.dtype[np.int64]]) -> str:
    """Return how many iterations the sessions have, as a number or a range with its median."""
    short, long = int(np.min(lengths)), int(np.max(lengths))
    if short == long:
        return f"{short:,}"
    return f"{short:,} to {long:,} (median {np.median(lengths):g})"


def facts(fit: Fit) -> list[Item]:
    """Return what the data are, whatever their source."""
    data = fit.trajectories
    found = [
        ("Sessions", f"{data.n_sessions:,}"),
        ("Iterations scored", f"{data.n_rows:,}"),
        ("Scores per session", f"{lengths_text(data.lengths)}, iteration 0 included"),
        ("Strategies", f"{len(fit):,}"),
        ("Complete steps", f"{fit.pooled.steps:,}"),
    ]
    for name, labels in data.covariates.items():
        distinct = len(dict.fromkeys(labels))
        found.append((f"Different values of {shorten(name, 30)}", f"{distinct:,}"))
    if fit.dt != 1:
        found.append(("Time between iterations", number(fit.dt)))
    found.append(("Intervals", f"{fit.level:.0%}, sessions resampled (seed {fit.seed})"))
    return found


def _bound(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _scale(objective: Objective) -> str:
    if not np.isfinite(objective.low) and not np.isfinite(objective.high):
        return "open"
    if not np.isfinite(objective.low):
        return f"up to {_bound(objective.high)}"
    if not np.isfinite(objective.high):
        return f"from {_bound(objective.low)}"
    return f"{_bound(objective.low)} to {_bound(objective.high)}"


def objective_rows(objectives: Iterable[Objective]) -> list[tuple[str, str, str]]:
    """Return name, scale and direction of each objective."""
    return [
        (shorten(one.name, 80), _scale(one), "lower is better" if one.direction == "min" else "higher is better")
        for one in objectives
    ]
