"""A file behind a DuckDB relation: expressions that read text and numbers, and the queries over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError, SourceError
from trimtab.store.files import Prepared, first_line, quoted
from trimtab.store.source import Numbers, Profile, Ref

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["MOST_NAMES", "NAN", "NumberSql", "SqlFile", "json_lists", "nested", "pointer", "select"]

NAN = "'nan'::DOUBLE"
MOST_NAMES = 5_000
_BLANK = r"E' \t\r\n'"
_MARKERS = "('nan', 'na', 'n/a', 'null', 'none', '-', '?')"
_SCANNED_FOR_ORDER = 1_000


def select(what: str, source: str, rest: str = "") -> str:
    """Return a query. Its parts are made by this package: names are positions or quoted, values are quoted."""
    return " ".join(("SELECT", what, "FROM", source, rest))


def nested(what: str, source: str, rest: str = "") -> str:
    """Return a query to stand in a FROM clause."""
    return f"({select(what, source, rest)})"


class SqlFile(ABC):
    """A file behind a DuckDB relation whose columns have the safe names c0, c1, ..."""

    def __init__(self, prepared: Prepared, connection: DuckDBPyConnection) -> None:
        self.origin = str(prepared.path)
        self.exclusions: tuple[Exclusion, ...] = ()
        self.notes: tuple[str, ...] = prepared.notes
        self.names: tuple[str, ...] = ()
        self.held = ExitStack()
        self._prepared = prepared
        self._connection = connection

    @abstractmethod
    def _relation(self, texts: Sequence[str], refs: Sequence[Ref]) -> tuple[str, list[str], list[NumberSql]]:
        """Return the FROM clause and, over it, one expression for each text and each number."""

    @abstractmethod
    def _document(self, column: str) -> tuple[str, str]:
        """Return the FROM clause and the expression of a column as JSON, and NULL where it is none."""

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise SourceError(f"{self.origin} cannot be read: {first_line(error)}") from error

    def close(self) -> None:
        """Release the connection and the private folder."""
        self.held.close()

    def keys(self, column: str) -> tuple[str, ...] | None:
        """Return the keys of the objects in `column`, or None where it holds none."""
        source, document = self._document(column)
        shapes = self._shapes(source, document)
        others = sum(count for kind, _, count in shapes if kind not in (None, "NULL", "OBJECT"))
        if not any(kind == "OBJECT" for kind, _, _ in shapes):
            return None
        if others:
            reason = f"{column!r} holds no object, so the row has no score"
            self.exclusions = (*self.exclusions, Exclusion(reason, others, "rows"))
        return self._key_names(source, document, shapes)

    def _shapes(self, source: str, document: str) -> list[tuple[str | None, Sequence[str] | None, int]]:
        """Return each kind of value that `document` takes, the keys of objects, and how often."""
        grouped = f"json_type({document}) AS kind, json_keys({document}) AS names, count(*)"
        return [(kind, names, int(n)) for kind, names, n in self._rows(select(grouped, source, "GROUP BY kind, names"))]

    def _key_names(
        self, source: str, document: str, shapes: Sequence[tuple[str | None, Sequence[str] | None, int]]
    ) -> tuple[str, ...]:
        # The order of the first rows where they tell it, then by name: the same in every run, whatever the threads do.
        of_objects = f"WHERE json_type({document}) = 'OBJECT' LIMIT {_SCANNED_FOR_ORDER}"
        first = self._rows(select(f"json_keys({document})", source, of_objects))
        there = {name for kind, names, _ in shapes if kind == "OBJECT" for name in names or ()}
        if len(there) > MOST_NAMES:
            raise InputError(
                f"{self.origin} has over {MOST_NAMES:,} different names in its objects, too many for a table"
            )
        ordered = dict.fromkeys(name for (names,) in first for name in names)
        return (*ordered, *sorted(there - ordered.keys()))

    def profile(self, refs: Sequence[Ref]) -> dict[Ref, Profile]:
        """Count what each column holds."""
        if not refs:
            return {}
        source, _, numbers = self._relation([], refs)
        counts = [
            f"count_if({n.value} IS NOT NULL AND NOT {n.marker}), "
            f"count_if({n.value} IS NOT NULL AND NOT isnan({n.value})), count_if({n.boolean}), count_if({n.word})"
            for n in numbers
        ]
        flat = self._rows(select(", ".join(counts), source))[0]
        return {ref: Profile(*map(int, flat[4 * i : 4 * i + 4])) for i, ref in enumerate(refs)}

    def read(
        self, texts: Sequence[str], numbers: Sequence[Ref]
    ) -> tuple[dict[str, NDArray[np.object_]], dict[Ref, Numbers]]:
        """Return columns as text (None where missing) and as numbers."""
        import duckdb

        source, words, values = self._relation(texts, numbers)
        chosen = [f"{sql} AS t{i}" for i, sql in enumerate(words)]
        chosen += [f"{n.value} AS n{i}" for i, n in enumerate(values)]
        try:
            got: dict[str, Any] = self._connection.execute(select(", ".join(chosen), source)).fetchnumpy()
        except duckdb.Error as error:
            raise SourceError(f"{self.origin} cannot be read: {first_line(error)}") from error
        return (
            {name: _as_objects(got[f"t{i}"]) for i, name in enumerate(texts)},
            {ref: _as_numbers(got[f"n{i}"]) for i, ref in enumerate(numbers)},
        )

    def examples(self, ref: Ref) -> tuple[str, ...]:
        """Return the most frequent values of a column that are no finite number."""
        source, _, (number,) = self._relation([], [ref])
        rows = self._rows(
            select(
                f"left({number.raw}, 40) AS x, count(*) AS n",
                source,
                f"WHERE NOT isfinite({number.value}) GROUP BY x ORDER BY n DESC, x LIMIT 3",
            )
        )
        return tuple(repr(text) for (text, _) in rows)

    def batches(self, texts: Sequence[str], rows: NDArray[np.int64], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the text columns of the given `rows`, in the order of `rows`, in lists of up to `size` tuples."""
        source, words, _ = self._relation(texts, [])
        cursor = self._connection.cursor()
        chosen = ", ".join(f"{sql} AS t{i}" for i, sql in enumerate(words))
        if np.all(np.diff(rows) > 0):
            cursor.execute(select(chosen, source))
            yield from _picked(cursor, rows, size)
            return
        cursor.register("wanted", {"row_at": rows, "rank": np.arange(len(rows))})
        numbered = nested(f"{chosen}, row_number() OVER () - 1 AS row_at", source)
        columns = ", ".join(f"t{i}" for i in range(len(words)))
        cursor.execute(select(columns, numbered, "JOIN wanted USING (row_at) ORDER BY rank"))
        while batch := cursor.fetchmany(size):
            yield batch


def _picked(cursor: DuckDBPyConnection, rows: NDArray[np.int64], size: int) -> Iterator[list[tuple[Any, ...]]]:
    start = 0
    while batch := cursor.fetchmany(size):
        low, high = np.searchsorted(rows, [start, start + len(batch)])
        yield [batch[r - start] for r in rows[low:high].tolist()]
        start += len(batch)


class NumberSql:
    """The expressions that read one value as a number.

    ``value`` is NULL where missing, not-a-number where it is none; ``boolean``, ``word`` and ``marker`` tell what kind
    of value it was, never NULL; ``raw`` is its text.
    """

    def __init__(
        self, value: str, raw: str, boolean: str = "false", word: str = "false", marker: str = "false"
    ) -> None:
        self.value, self.raw, self.boolean, self.word, self.marker = value, raw, boolean, word, marker

    @classmethod
    def of_text(cls, x: str, comma: bool = False) -> NumberSql:
        """Read the text `x`, with `comma` also with a decimal comma."""
        digits = f"CASE WHEN contains({x}, '.') THEN {x} ELSE replace({x}, ',', '.') END" if comma else x
        number = f"TRY_CAST({digits} AS DOUBLE)"
        bare = f"lower(trim({x}, {_BLANK}))"
        # Trimming is far slower than converting, so only what is no number is ever trimmed.
        value = (
            f"CASE WHEN {x} IS NULL THEN NULL WHEN {number} IS NOT NULL AND NOT contains({x}, '_') THEN {number} "
            f"ELSE CASE {bare} WHEN '' THEN NULL WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE {NAN} END END"
        )

        def word_in(words: str) -> str:
            return f"CASE WHEN {x} IS NULL OR isfinite({number}) THEN false ELSE {bare} IN {words} END"

        return cls(value, x, boolean=word_in("('true', 'false')"), marker=word_in(_MARKERS))

    @classmethod
    def of_json(cls, text: str, kind: str) -> NumberSql:
        """Read a JSON value of which `text` is the text and `kind` the type."""
        words = cls.of_text(text)
        value = (
            f"CASE WHEN {kind} IS NULL OR {kind} = 'NULL' THEN NULL WHEN {kind} IN ('OBJECT', 'ARRAY') THEN {NAN} "
            f"ELSE {words.value} END"
        )
        word = f"CASE WHEN {kind} = 'VARCHAR' THEN NOT isnan({value}) AND NOT {words.boolean} ELSE false END"
        return cls(value, text, words.boolean, f"coalesce({word}, false)", words.marker)


def json_lists(document: str, pointers: Sequence[str], source: str) -> tuple[str, list[tuple[str, str]]]:
    """Return a FROM clause that parses `document` once a row, and the text and type expression of each pointer."""
    if not pointers:
        return source, []
    paths = "[" + ", ".join(quoted(pointer) for pointer in pointers) + "]"
    clause = nested(f"*, json_extract_string({document}, {paths}) AS jv, json_type({document}, {paths}) AS jt", source)
    return clause, [(f"jv[{i + 1}]", f"jt[{i + 1}]") for i in range(len(pointers))]


def pointer(*keys: str) -> str:
    """Return the JSON pointer (RFC 6901) that leads through `keys`."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _as_objects(column: NDArray[Any]) -> NDArray[np.object_]:
    if not isinstance(column, np.ma.MaskedArray):
        return np.asarray(column, dtype=object)
    out = np.array(column.data, dtype=object)
    out[np.ma.getmaskarray(column)] = None
    return out


def _as_numbers(column: NDArray[Any]) -> Numbers:
    if not isinstance(column, np.ma.MaskedArray):
        values = np.asarray(column, dtype=np.float64)
        return Numbers(values, np.zeros(len(values), dtype=bool))
    missing = np.ma.getmaskarray(column)
    return Numbers(np.where(missing, np.nan, np.asarray(column.data, dtype=np.float64)), missing)
