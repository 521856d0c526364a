"""Dataframes of any library, and mappings of arrays, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError
from trimtab.store.source import Numbers, Profile, Ref, number_of

__all__ = ["FrameSource", "open_frame"]

_MARKERS = frozenset({"nan", "na", "n/a", "null", "none", "-", "?"})


class FrameSource:
    """Columns in memory.

    Parameters
    ----------
    columns
        Arrays of one length, each float, integer, boolean or object; missing is None or not-a-number.
    origin
        What messages call the table.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]], origin: str) -> None:
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{name!r} has {n}" for name, n in lengths.items())
            raise InputError(f"{origin} needs columns of one length, but {shown}")
        if not columns or not next(iter(lengths.values())):
            raise InputError(f"{origin} holds no rows")
        self.origin = origin
        self.names = tuple(columns)
        self.exclusions: tuple[Exclusion, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._columns = columns

    def close(self) -> None:
        """Do nothing: the columns belong to the caller."""

    def keys(self, column: str) -> tuple[str, ...] | None:
        """Return the keys of the objects in `column`, or None where it holds none."""
        values = self._columns[column]
        if values.dtype != object:
            return None
        objects = [value for value in values if isinstance(value, Mapping)]
        if not objects:
            return None
        others = sum(not isinstance(value, Mapping) and not _absent(value) for value in values)
        if others:
            reason = f"{column!r} holds no object, so the row has no score"
            self.exclusions = (*self.exclusions, Exclusion(reason, others, "rows"))
        return tuple(dict.fromkeys(str(key) for value in objects for key in value))

    def _raw(self, ref: Ref) -> NDArray[Any]:
        column = self._columns[ref.column]
        if ref.key is None:
            return column
        out = np.empty(len(column), dtype=object)
        out[:] = [value.get(ref.key) if isinstance(value, Mapping) else None for value in column]
        return out

    def profile(self, refs: Sequence[Ref]) -> dict[Ref, Profile]:
        """Count what each column holds."""
        return {ref: _profile(self._raw(ref)) for ref in refs}

    def read(
        self, texts: Sequence[str], numbers: Sequence[Ref]
    ) -> tuple[dict[str, NDArray[np.object_]], dict[Ref, Numbers]]:
        """Return columns as text (None where missing) and as numbers."""
        return (
            {name: _as_text(self._columns[name]) for name in texts},
            {ref: _as_numbers(self._raw(ref)) for ref in numbers},
        )

    def examples(self, ref: Ref) -> tuple[str, ...]:
        """Return the most frequent values of a column that are no finite number."""
        column = self._raw(ref)
        numbers = _as_numbers(column)
        bad = ~np.isfinite(numbers.values) & ~numbers.missing
        counts = Counter(str(value)[:40] for value in column[bad])
        return tuple(repr(text) for text, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3])

    def batches(self, texts: Sequence[str], rows: NDArray[np.int64], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the text columns of the given `rows`, in the order of `rows`, in lists of up to `size` tuples."""
        columns = [_as_text(self._columns[name]) for name in texts]
        for start in range(0, len(rows), size):
            at = rows[start : start + size]
            yield list(zip(*(column[at] for column in columns), strict=True))


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _profile(column: NDArray[Any]) -> Profile:
    if column.dtype == bool:
        return Profile(len(column), len(column), len(column))
    if column.dtype != object:
        filled = int(np.count_nonzero(~np.isnan(column)))
        return Profile(filled, filled, 0)
    filled = numeric = boolean = words = 0
    for value in column:
        number = None if _absent(value) else number_of(value)
        if number is None:
            continue
        bare = value.strip().lower() if isinstance(value, str) else ""
        filled += bare not in _MARKERS
        if number == number:
            truth = isinstance(value, (bool, np.bool_)) or bare in ("true", "false")
            numeric += 1
            boolean += truth
            words += isinstance(value, str) and not truth
    return Profile(filled, numeric, boolean, words)


def _as_numbers(column: NDArray[Any]) -> Numbers:
    if column.dtype != object:
        values = column.astype(np.float64)
        return Numbers(values, np.isnan(values))
    read = [None if _absent(value) else number_of(value) for value in column]
    missing = np.array([value is None for value in read], dtype=bool)
    return Numbers(np.array([np.nan if value is None else value for value in read], dtype=np.float64), missing)


def _as_text(column: NDArray[Any]) -> NDArray[np.object_]:
    out = np.empty(len(column), dtype=object)
    if column.dtype == object:
        out[:] = [value if isinstance(value, str) else _word(value) for value in column]
    else:
        out[:] = [_word(value) for value in column.tolist()]
    return out


def _word(value: object) -> str | None:
    if _absent(value):
        return None
    # Other libraries turn whole-number ids into decimals as soon as one is missing; 7.0 is still session 7.
    if isinstance(value, float) and value.is_integer() and abs(value) < 9e15:
        return str(int(value))
    return str(value)


def open_frame(source: object) -> FrameSource | None:
    """Return `source` as a table if it is a dataframe or a mapping of columns, otherwise None.

    Raises
    ------
    InputError
        If its columns cannot be read as columns.
    """
    if isinstance(source, Mapping):
        return FrameSource({str(name): _array(str(name), column) for name, column in source.items()}, "the mapping")
    import narwhals as nw
    from narwhals.exceptions import NarwhalsError

    try:
        native: Any = source
        frame: Any = nw.from_native(native, pass_through=True)
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect()
        if not isinstance(frame, nw.DataFrame):
            return None
        columns = {str(name): _from_series(frame[name]) for name in frame.columns}
    except (NarwhalsError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the dataframe cannot be read: {error}") from error
    return FrameSource(columns, "the dataframe")


def _from_series(series: Any) -> NDArray[Any]:
    import narwhals as nw

    kind = series.dtype
    if kind.is_numeric():
        # Casting first turns each library's own missing value into not-a-number.
        return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64)
    if kind == nw.Boolean and not series.is_null().any():
        return np.asarray(series.to_numpy(), dtype=bool)
    out = np.empty(len(series), dtype=object)
    out[:] = [None if _absent(value) else value for value in series.to_list()]
    return out


def _array(name: str, column: object) -> NDArray[Any]:
    try:
        array = np.ma.filled(column.astype(object), None) if isinstance(column, np.ma.MaskedArray) else None
        if array is None:
            array = np.asarray(column)
            if array.dtype.kind not in "bifuO":
                # A list that mixes numbers and words would otherwise become all words.
                array = np.array(column if isinstance(column, (list, tuple)) else array.astype(object), dtype=object)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {name!r} cannot be read as an array: {error}") from error
    if array.ndim != 1:
        raise InputError(f"column {name!r} needs one dimension, but has the shape {array.shape}")
    if array.dtype.kind in "iu" and array.dtype.itemsize < 8:
        return array.astype(np.int64)
    return array
