"""Load trajectories from a store, a file, a dataframe or a mapping of columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.store.columns import Columns
from trimtab.store.imports import remembered
from trimtab.store.inference import assumed_scale, has_bounds, rescaled, without_sparse
from trimtab.store.save import save
from trimtab.store.tables import load_table

__all__ = ["Columns", "load", "save"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def load(
    source: str | Path | Trajectories | Mapping[str, Any] | Any,
    *,
    objectives: ObjectiveSpace | Sequence[str | Objective] | None = None,
    columns: Columns | None = None,
    strategy_default: str = "all",
    judgements: Mapping[str, Sequence[str]] | None = None,
) -> Trajectories:
    """Load trajectories.

    Parameters
    ----------
    source
        A store URL such as ``sqlite:///run.db``; a ``.csv``, ``.parquet``, ``.jsonl`` or ``.jsonl.gz`` file; a
        dataframe of any library that narwhals knows; a mapping of column names to arrays; scores as one array
        (sessions, iterations, objectives) or a list of arrays (iterations, objectives); or `Trajectories`.
        A table is wide (one column per objective), long (objective, value) or holds one object of scores a row. Where
        it holds several judgements of a score, they are kept apart in `Trajectories.judgements`, and their mean is the
        score. A column of repeats tells them apart (see `Columns`), or they have a column each.
    objectives
        Which objectives, each an `Objective` or ``NAME[:LOW:HIGH][:min|max]``; inferred if None. Text without bounds
        keeps the scale that a store or `Trajectories` have, and in a table the scale is inferred from the values.
    columns
        The names of the table's columns.
    strategy_default
        The name of the one strategy of a table without a strategy column.
    judgements
        Which columns of a table (or keys of its objects, or names in its objective column) hold the judgements of an
        objective, as in ``{"quality": ["judge_a", "judge_b"]}``. Columns called like ``quality_rep0``, ``quality_rep1``
        or ``quality_judge_1``, ``quality_judge_2`` need not be named.

    Returns
    -------
    Trajectories
        ``exclusions`` counts everything left out and ``notes`` says what was assumed.

    Raises
    ------
    SourceError
        If the source cannot be opened or read.
    InputError
        If it holds no usable row or objective, or lacks one that was named.

    Examples
    --------
    >>> table = {"session_id": ["a", "a", "a"], "iteration": [0, 1, 2], "quality": [2.0, 4.5, 6.0]}
    >>> load(table, objectives=["quality"]).scores.ravel()
    array([2. , 4.5, 6. ])
    >>> table = {"session_id": ["a", "a"], "iteration": [0, 1], "anna": [2.0, 4.0], "ben": [3.0, 6.0]}
    >>> load(table, judgements={"quality": ["anna", "ben"]}).judgements
    array([[[2., 3.]],
    <BLANKLINE>
           [[4., 6.]]])
    """
    wanted = _wanted(objectives)
    if judgements is not None and (
        isinstance(source, (Trajectories, np.ndarray, list, tuple)) or (isinstance(source, str) and _URL.match(source))
    ):
        raise InputError(
            "judgements (--judgements) name columns of a table, but the source is a store, trajectories or arrays, "
            "which keep judgements apart as they are; leave them out"
        )
    if isinstance(source, Trajectories):
        return _restricted(source, wanted)
    if isinstance(source, str) and _URL.match(source):
        from trimtab.store.open import open_store

        store = open_store(source)
        try:
            found = store.trajectories(None if wanted is None else list(map(_name, wanted)))
            experiment = store.experiment()
        finally:
            store.close()
        exclusions, notes = remembered({} if experiment is None else experiment.settings)
        found = replace(found, exclusions=(*exclusions, *found.exclusions), notes=(*notes, *found.notes))
        return without_sparse(found) if wanted is None else _restricted(found, wanted)
    names = columns or Columns()
    if isinstance(source, (str, Path)):
        from trimtab.store.readers import open_file

        table = open_file(Path(source))
    else:
        from trimtab.store.frames import open_frame

        frame = open_frame(source)
        if frame is None and isinstance(source, (np.ndarray, list, tuple)):
            return _from_arrays(source, wanted, strategy_default)
        if frame is None:
            raise InputError(
                "trajectories come from a store URL, a file, a dataframe, a mapping of columns or arrays of scores, "
                f"but got {type(source).__name__}"
            )
        table = frame
    try:
        return load_table(table, names, wanted, strategy_default, judgements=judgements).trajectories
    finally:
        table.close()


def _from_arrays(source: Any, wanted: Sequence[str | Objective] | None, strategy: str) -> Trajectories:
    """Take arrays of scores, one a session, with names made up and scales inferred where none are given."""
    sessions = [source] if isinstance(source, np.ndarray) and source.ndim == 2 else source
    if wanted is None:
        width = np.shape(sessions[0])[-1] if len(sessions) and np.ndim(sessions[0]) == 2 else 1
        wanted = [f"objective_{j + 1}" for j in range(width)]
    found = Trajectories.from_arrays(sessions, map(_name, wanted), strategy)
    space = []
    for j, objective in enumerate(wanted):
        given = objective if isinstance(objective, Objective) else Objective.parse(objective)
        if not isinstance(objective, Objective) and not has_bounds(objective):
            assumed = assumed_scale(given.name, found.scores[:, j])
            given = replace(given, low=assumed.low, high=assumed.high)
        space.append(given)
    note = f"Objectives were taken as {', '.join(map(str, space))}; to say otherwise give objectives=."
    return replace(found, space=ObjectiveSpace(space), notes=(note,))


def _wanted(objectives: ObjectiveSpace | Sequence[str | Objective] | None) -> list[str | Objective] | None:
    if objectives is None:
        return None
    chosen: list[str | Objective] = [objectives] if isinstance(objectives, (str, Objective)) else list(objectives)
    ObjectiveSpace(chosen)  # says what is wrong with them, if anything
    return chosen


def _name(objective: str | Objective) -> str:
    return objective.name if isinstance(objective, Objective) else Objective.parse(objective).name


def _restricted(trajectories: Trajectories, wanted: Sequence[str | Objective] | None) -> Trajectories:
    """Return the wanted objectives, on the scale that is known where no other was given."""
    if wanted is None:
        return trajectories
    chosen = trajectories.select(objectives=[_name(objective) for objective in wanted])
    space = ObjectiveSpace(rescaled(chosen.space[_name(o)], o) for o in wanted)
    return replace(chosen, space=space)
