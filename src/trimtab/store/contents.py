"""What a store holds, in a form that two stores can be compared by."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.core.records import Iteration
from trimtab.store.base import Store
from trimtab.store.codec import encode_json

__all__ = ["TIMING_KEYS", "contents"]

TIMING_KEYS = ("seconds", "attempts", "remembered", "answered_at", "delivered_at")
"""Keys in an iteration's ``meta`` that say when, or what it took to come, and so differ between equal runs."""

_GIVEN = "config"  # a run's settings as they were given, which say where and how fast it ran


def contents(store: Store) -> list[tuple[object, ...]]:
    """Return everything in `store` as sorted tuples, whatever the order it was written in and however long it took."""
    experiment = store.experiment()
    rows: list[tuple[object, ...]] = []
    if experiment is not None:
        objectives = tuple(map(str, experiment.space))
        settings = {name: value for name, value in experiment.settings.items() if name != _GIVEN}
        rows.append(("experiment", experiment.name, objectives, encode_json(settings, "the settings")))
    rows.extend(
        ("session", s.id, s.task_id, s.strategy, s.replicate, s.model, encode_json(s.meta, "meta"))
        for s in sorted(store.sessions(), key=lambda session: session.id)
    )
    rows.extend(sorted(map(_iteration_row, store.iterations()), key=lambda row: row[1:3]))
    return rows


def _iteration_row(record: Iteration) -> tuple[object, ...]:
    return (
        "iteration",
        record.session_id,
        record.index,
        record.strategy,
        record.status,
        record.reason,
        record.artefact,
        record.answer,
        record.extraction,
        encode_json(_untimed(record.meta), "meta"),
        record.scores,
    )


def _untimed(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _untimed(part) for key, part in value.items() if key not in TIMING_KEYS}
    return [_untimed(part) for part in value] if isinstance(value, list) else value
