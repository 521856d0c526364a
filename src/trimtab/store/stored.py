"""Columns of stored iterations and scores to `Trajectories`, without an object per row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import FAILED, OK, UNSCORED, Exclusion, Trajectories
from trimtab.errors import SourceError

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
    score_key, score_t, score_objective, score_status, score_value
        One entry per score, repeats included, in any order; a missing value is None.
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
    score_status: Sequence[str]
    score_value: Sequence[float | None]


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

    Where an iteration was scored several times on an objective, the mean of its ok scores counts and a note says so.
    Sessions without an iteration are left out and counted.

    Raises
    ------
    SourceError
        If there is no iteration at all.
    """
    if not len(columns.row_key):
        raise SourceError(f"{source} holds no iterations yet")
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
    ok = status == OK
    times = np.bincount(cell[ok], minlength=cells)
    total = np.bincount(cell[ok], weights=value[ok], minlength=cells)
    failed = np.bincount(cell[status == FAILED], minlength=cells) > 0
    scores = np.where(times > 0, total / np.maximum(times, 1), np.nan)
    cell_status = np.where(times > 0, OK, np.where(failed, FAILED, UNSCORED)).astype(np.int8)

    strategies = tuple(dict.fromkeys(columns.row_strategy))
    strategy = _coded(columns.row_strategy, {name: i for i, name in enumerate(strategies)})

    exclusions: tuple[Exclusion, ...] = ()
    if waiting:
        examples = tuple(columns.session_id[s] for s in waiting[:3])
        exclusions = (Exclusion("not started, so without any iteration", len(waiting), "sessions", examples),)
    repeated = int((times > 1).sum())
    notes = (f"{repeated:,} scores were given more than once; their mean is used",) if repeated else ()
    labels = {"task_id": columns.task_id, "model": columns.model}
    return Trajectories(
        space=space,
        scores=scores.reshape(-1, n),
        status=cell_status.reshape(-1, n),
        iteration=row_t,
        strategy=strategy,
        offsets=np.concatenate([[0], np.cumsum(counts[started])]).astype(np.int64),
        session_ids=tuple(columns.session_id[s] for s in started),
        strategies=strategies,
        covariates={name: tuple(values[s] for s in started) for name, values in labels.items() if any(values)},
        exclusions=exclusions,
        notes=notes,
    )


def _coded(names: Sequence[str], codes: Mapping[str, int]) -> NDArray[np.int64]:
    return np.fromiter(map(codes.__getitem__, names), dtype=np.int64, count=len(names))
