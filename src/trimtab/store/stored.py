"""Columns of stored iterations and scores to `Trajectories`, without an object per row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.judgements import fold
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import FAILED, OK, UNSCORED, Exclusion, Trajectories
from trimtab.errors import SourceError, StoreError

__all__ = ["StoredColumns", "chosen_objectives", "trajectories_of"]


@dataclass(frozen=True, slots=True, eq=False)
class StoredColumns:
    """What is stored, column by column.

    Parameters
    ----------
    session_key, session_id, task_id, model
        One entry per session, in the order they were added; keys rise.
    row_key, row_t, row_strategy
        One entry per iteration, ordered by session key, then t.
    score_key, score_t, score_objective, score_repeat, score_status, score_value
        One entry per judgement of a score, in any order; a missing value is None.
    restarts
        By session key, t of the first iteration that was made from another than the one before.
    """

    session_key: Sequence[int]
    session_id: Sequence[str]
    task_id: Sequence[str]
    model: Sequence[str]
    row_key: Sequence[int]
    row_t: Sequence[int]
    row_strategy: Sequence[str]
    score_key: Sequence[int]
    score_t: Sequence[int]
    score_objective: Sequence[str]
    score_repeat: Sequence[int]
    score_status: Sequence[str]
    score_value: Sequence[float | None]
    restarts: Mapping[int, int] = field(default_factory=dict)


def chosen_objectives(space: ObjectiveSpace, objectives: Iterable[str] | None) -> ObjectiveSpace:
    """Return the objectives named, in the order named, or all; ``SourceError`` for a name that is not there."""
    if objectives is None:
        return space
    names = [objectives] if isinstance(objectives, str) else list(objectives)
    for name in names:
        if name not in space:
            raise SourceError(f"no objective is called {name!r}; the store has {', '.join(space.names)}")
    return ObjectiveSpace(space[name] for name in names)


def trajectories_of(columns: StoredColumns, space: ObjectiveSpace, source: str) -> Trajectories:
    """Assemble `Trajectories` from columns.

    Where an iteration was judged several times on an objective, its ok judgements are kept apart and their mean is the
    score; it is failed or unscored only where none is ok. Sessions without an iteration are left out and counted, and
    so are iterations from where a session restarted: what follows is no chain of steps any more.

    Raises
    ------
    SourceError
        If there is no iteration at all.
    StoreError
        If a repeat is no whole number.
    """
    if not len(columns.row_key):
        raise SourceError(f"{source} holds no iterations yet")
    columns, exclusions = _chains(columns)
    n = space.n
    keys = np.asarray(columns.session_key, dtype=np.int64)
    row_session = np.searchsorted(keys, np.asarray(columns.row_key, dtype=np.int64))
    row_t = np.asarray(columns.row_t, dtype=np.int64)
    counts = np.bincount(row_session, minlength=len(keys))
    started: list[int] = np.flatnonzero(counts).tolist()
    waiting: list[int] = np.flatnonzero(counts == 0).tolist()

    places = {name: j for j, name in enumerate(space.names)}
    objective = _coded(columns.score_objective, {name: places.get(name, -1) for name in set(columns.score_objective)})
    wanted = objective >= 0
    status = _coded(columns.score_status, {"ok": OK, "unscored": UNSCORED, "failed": FAILED})[wanted]
    value = np.array(columns.score_value, dtype=np.float64)[wanted]  # None becomes not-a-number

    # Rank t first: stored t may be any 63-bit number, while session * T + rank always fits.
    ranks, row_rank = np.unique(row_t, return_inverse=True)
    score_session = np.searchsorted(keys, np.asarray(columns.score_key, dtype=np.int64)[wanted])
    score_rank = np.searchsorted(ranks, np.asarray(columns.score_t, dtype=np.int64)[wanted])
    row = np.searchsorted(row_session * len(ranks) + row_rank, score_session * len(ranks) + score_rank)
    cell = row * n + objective[wanted]

    cells = len(row_t) * n
    ok = (status == OK) & np.isfinite(value)
    empty = int((status == OK).sum() - ok.sum())
    repeat = _whole(columns.score_repeat, "repeat", source)[wanted]
    folded = fold(cell[ok], repeat[ok], value[ok], cells)
    failed = np.bincount(cell[status == FAILED], minlength=cells) > 0
    judged = np.bincount(cell[ok], minlength=cells) > 0
    cell_status = np.where(judged, OK, np.where(failed, FAILED, UNSCORED)).astype(np.int8)

    strategies = tuple(dict.fromkeys(columns.row_strategy))
    strategy = _coded(columns.row_strategy, {name: i for i, name in enumerate(strategies)})

    if waiting:
        examples = tuple(columns.session_id[s] for s in waiting[:3])
        exclusions += (Exclusion("not started, so without any iteration", len(waiting), "sessions", examples),)
    if empty:
        reason = "said to be ok but without a finite value, so it counts as unscored"
        exclusions += (Exclusion(reason, empty, "judgements"),)
    exclusions += folded.exclusions()
    labels = {"task_id": columns.task_id, "model": columns.model}
    return Trajectories(
        space=space,
        scores=folded.scores.reshape(-1, n),
        status=cell_status.reshape(-1, n),
        iteration=row_t,
        strategy=strategy,
        offsets=np.concatenate([[0], np.cumsum(counts[started])]).astype(np.int64),
        session_ids=tuple(columns.session_id[s] for s in started),
        strategies=strategies,
        covariates={name: tuple(values[s] for s in started) for name, values in labels.items() if any(values)},
        exclusions=exclusions,
        notes=folded.notes(),
        judgements=None if folded.judgements is None else folded.judgements.reshape(len(row_t), n, -1),
    )


def _chains(columns: StoredColumns) -> tuple[StoredColumns, tuple[Exclusion, ...]]:
    """Leave out iterations from a session's first restart on."""
    first = columns.restarts
    if not first:
        return columns, ()

    def kept(keys: Sequence[int], times: Sequence[int]) -> list[bool]:
        return [key not in first or t < first[key] for key, t in zip(keys, times, strict=True)]

    rows, scores = kept(columns.row_key, columns.row_t), kept(columns.score_key, columns.score_t)
    parts = {"row": rows, "score": scores}
    chosen: dict[str, Any] = {
        one.name: list(compress(getattr(columns, one.name), parts[one.name.partition("_")[0]]))
        for one in fields(columns)
        if one.name.partition("_")[0] in parts
    }
    names = [name for key, name in zip(columns.session_key, columns.session_id, strict=True) if key in first]
    reason = "in a session that had started anew from an earlier iterate, so no further steps of its chain"
    return replace(columns, **chosen), (Exclusion(reason, rows.count(False), "rows", tuple(names[:3])),)


def _whole(numbers: Sequence[int], what: str, source: str) -> NDArray[np.int64]:
    # SQLite keeps words in a column of numbers if some program puts them there.
    try:
        return np.asarray(numbers, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise StoreError(
            f"{source} needs whole numbers for the {what} of its scores, but holds others: {error}"
        ) from error


def _coded(names: Sequence[str], codes: Mapping[str, int]) -> NDArray[np.int64]:
    return np.fromiter(map(codes.__getitem__, names), dtype=np.int64, count=len(names))
