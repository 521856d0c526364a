"""Save trajectories as a file that `trimtab.store.load.load` reads back the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import FAILED, OK, UNSCORED, Trajectories
from trimtab.errors import InputError, SourceError
from trimtab.store.columns import Columns
from trimtab.store.files import FileFormat, first_line, format_of, private_database, quoted

__all__ = ["WRITABLE", "save"]

WRITABLE: dict[str, FileFormat] = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".jsonl.gz": "jsonl"}

_OPTIONS = {
    "csv": "FORMAT csv, HEADER true",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "jsonl": "FORMAT json, COMPRESSION none",
}
Ints = NDArray[np.int64]

_WORDS = np.array(["ok", "unscored", "failed"], dtype=object)


def save(trajectories: Trajectories, path: str | Path, *, layout: Literal["wide", "long"] = "wide") -> Path:
    """Write `trajectories` to a ``.csv``, ``.parquet``, ``.jsonl`` or ``.jsonl.gz`` file, and return its path.

    Loading the file gives the same sessions, iterations, strategies, scores, judgements, statuses and labels; the
    scales of the objectives are not in the file and are given to `load` again. A missing score is an empty cell. *Wide*
    has one column per objective, and beside one that has failed scores a column ``<objective>_status`` that tells
    ``failed`` from ``unscored``; *long* has one row per score, with its ``status``. With judgements there is a column
    ``repeat``, and a row for each judgement instead of one for their mean (wide: for each iteration and repeat).

    The file appears whole or not at all: it is written beside its place and then moved there.

    Raises
    ------
    InputError
        If the name's ending is unknown, two sessions share an id, or two columns would share a name.
    SourceError
        If the file cannot be written.
    """
    import duckdb

    target = Path(path)
    if layout not in ("wide", "long"):
        raise InputError(f"the layout is 'wide' or 'long', but got {layout!r}")
    format_, compressed = format_of(target, WRITABLE)
    if len(set(trajectories.session_ids)) < trajectories.n_sessions:
        raise InputError("saving needs distinct session ids, but two sessions share one; rename them first")
    columns = _wide(trajectories) if layout == "wide" else _long(trajectories)
    options = _OPTIONS[format_].replace("none", "gzip") if compressed else _OPTIONS[format_]
    if target.is_dir():
        raise SourceError(f"{target} is a folder; name a file in it")
    if not target.parent.is_dir():
        raise SourceError(f"{target} cannot be written: its folder {target.parent} does not exist")
    # Resolved, so that writing to a link replaces what it leads to rather than the link.
    place = target.resolve()
    partial = place.with_name(f".trimtab-{uuid4().hex}.tmp")
    names = ", ".join(f"c{i} AS {quoted(name, chr(34))}" for i, name in enumerate(columns))
    try:
        with private_database(partial) as connection:
            connection.register("table_in_memory", {f"c{i}": column for i, column in enumerate(columns.values())})
            query = " ".join(("SELECT", names, "FROM table_in_memory"))
            connection.execute(f"COPY ({query}) TO {quoted(str(partial))} ({options}, USE_TMP_FILE false)")
        partial.replace(place)
    except (duckdb.Error, OSError) as error:
        raise SourceError(f"{target} cannot be written: {first_line(error)}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def _labels(trajectories: Trajectories, row: Ints, repeat: Ints) -> dict[str, NDArray[Any]]:
    session = trajectories.session[row]
    columns: dict[str, NDArray[Any]] = {
        "session_id": np.array(trajectories.session_ids, dtype=object)[session],
        "strategy": np.array(trajectories.strategies, dtype=object)[trajectories.strategy[row]],
        "iteration": trajectories.iteration[row].astype(np.int64),
    }
    if trajectories.judgements is not None:
        columns["repeat"] = repeat
    for name, labels in trajectories.covariates.items():
        if name == "repeat" and trajectories.judgements is not None:
            raise InputError("a table of judgements has its own column 'repeat', so no covariate can be called that")
        columns[name] = np.array(labels, dtype=object)[session]
    return columns


def _wide(trajectories: Trajectories) -> dict[str, NDArray[Any]]:
    row, repeat = trajectories.judgement_rows()
    columns = _labels(trajectories, row, repeat)
    known = Columns().known | {"meta"} | columns.keys()
    for j, name in enumerate(trajectories.space.names):
        failed = bool((trajectories.status[:, j] == FAILED).any())
        values, status = _judged(trajectories, row, np.full(len(row), j), repeat)
        added: dict[str, NDArray[Any]] = {name: values}
        if failed:
            added[f"{name}_status"] = status
        taken = {column.lower() for column in [*columns, *known]}
        clash = next((column for column in added if column.lower() in taken), None)
        if clash is not None:
            raise InputError(
                f"a wide table needs distinct column names, upper and lower case alike, but {clash!r} would stand for "
                "an objective and for something else; rename the objective or save with layout='long'"
            )
        columns |= added
    return columns


def _long(trajectories: Trajectories) -> dict[str, NDArray[Any]]:
    n = trajectories.space.n
    if trajectories.judgements is None:
        row, repeat = np.repeat(np.arange(trajectories.n_rows), n), np.zeros(trajectories.n_rows * n, dtype=np.int64)
        j = np.tile(np.arange(n), trajectories.n_rows)
    else:
        there = np.isfinite(trajectories.judgements)
        there[..., 0] |= ~there.any(axis=2)
        row, j, repeat = np.nonzero(there)
    columns = _labels(trajectories, row, repeat)
    clash = next((name for name in ("objective", "value", "status") if name in columns), None)
    if clash is not None:
        raise InputError(f"a long table has its own column {clash!r}, so no covariate can be called that")
    columns["objective"] = np.array(trajectories.space.names, dtype=object)[j]
    columns["value"], columns["status"] = _judged(trajectories, row, j, repeat)
    return columns


def _judged(trajectories: Trajectories, row: Ints, j: Ints, repeat: Ints) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return values, masked where missing, and their statuses; an absent judgement of a known score is unscored."""
    if trajectories.judgements is None:
        values, status = trajectories.scores[row, j], trajectories.status[row, j]
    else:
        values, status = trajectories.judgements[row, j, repeat], trajectories.status[row, j]
        status = np.where(np.isnan(values) & (status == OK), UNSCORED, status)
    return np.ma.masked_invalid(values), _WORDS[status]
