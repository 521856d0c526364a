"""CSV, JSON lines and Parquet files as tables: every column by position, every value by rules of our own.

DuckDB splits and converts; it never guesses. CSV columns are text until a column is asked for as numbers, names and
types are not detected, and a value that is no number is told apart from one that is missing.
"""

from __future__ import annotations

import csv
import io
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError, SourceError
from trimtab.store.files import Prepared, first_line, prepare, private_database, quoted
from trimtab.store.source import Ref, Source
from trimtab.store.sql_table import MOST_NAMES, NAN, NumberSql, SqlFile, json_lists, nested, pointer, select

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["open_file"]

_MOST_OBJECT_BYTES = 64 << 20


def open_file(path: Path) -> Source:
    """Open a CSV, JSON lines or Parquet file for reading.

    Raises
    ------
    InputError
        If the name's ending or the header is unusable.
    SourceError
        If the file cannot be read.
    """
    import duckdb

    reader: dict[str, Callable[[Prepared, DuckDBPyConnection], SqlFile]] = {
        "csv": _CsvFile,
        "jsonl": _JsonLinesFile,
        "parquet": _ParquetFile,
    }
    with ExitStack() as stack:
        prepared = stack.enter_context(prepare(path))
        connection = stack.enter_context(private_database(prepared.link, prepared.folder))
        try:
            opened = reader[prepared.format](prepared, connection)
        except duckdb.Error as error:
            raise SourceError(f"{path} cannot be read as {prepared.format}: {first_line(error)}") from error
        opened.held = stack.pop_all()
        return opened
    raise AssertionError("unreachable: an exit stack lets every exception through")


class _Tabular(SqlFile):
    """What CSV and Parquet share: real columns, of which one may hold JSON."""

    _table = ""

    def _at(self, name: str) -> str:
        return f"c{self.names.index(name)}"

    def _text(self, name: str) -> str:
        return self._at(name)

    @abstractmethod
    def _number(self, name: str) -> NumberSql:
        """Return the expression of a column as a number."""

    def _json(self, name: str) -> str:
        x = self._at(name)
        return f"CASE WHEN json_valid({x}) THEN {x} END"

    def _require_rows(self, count: int) -> None:
        if not count:
            why = "".join(f"; {exclusion}" for exclusion in self.exclusions)
            raise InputError(f"{self.origin} holds no rows below its header{why}")

    def _document(self, column: str) -> tuple[str, str]:
        return nested(f"{self._json(column)} AS doc", self._table), "doc"

    def _relation(self, texts: Sequence[str], refs: Sequence[Ref]) -> tuple[str, list[str], list[NumberSql]]:
        keyed = [ref for ref in refs if ref.key is not None]
        source, pairs = self._table, {}
        if keyed:
            column = keyed[0].column
            document = nested(f"*, {self._json(column)} AS doc", self._table)
            source, found = json_lists("doc", [pointer(ref.name) for ref in keyed], document)
            pairs = dict(zip(keyed, found, strict=True))
        numbers = [NumberSql.of_json(*pairs[ref]) if ref in pairs else self._number(ref.column) for ref in refs]
        return source, [self._text(name) for name in texts], numbers


class _CsvFile(_Tabular):
    def __init__(self, prepared: Prepared, connection: DuckDBPyConnection) -> None:
        super().__init__(prepared, connection)
        header = _read_header(prepared)
        self.names, self._delimiter = header.names, header.delimiter
        if self._delimiter == ";":
            self.notes += (f"{prepared.path.name} is separated by semicolons; a comma in a number is a decimal comma.",)
        types = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(self.names)))
        line_end = {"\r\n": r"'\r\n'", "\n": r"'\n'", "\r": r"'\r'"}[header.line_end]
        options = (
            f"{quoted(str(prepared.link))}, auto_detect = false, header = true, skip = {header.empty_lines}, "
            f"new_line = {line_end}, delim = {quoted(self._delimiter)}, quote = '\"', escape = '\"', "
            f"columns = {{{types}}}, "
            f"compression = '{'gzip' if prepared.compressed else 'none'}'"
        )
        try:
            counted = self._rows(select("count(*)", f"read_csv({options}, store_rejects = true, rejects_limit = 0)"))
        except SourceError as error:
            raise SourceError(
                f"{prepared.path} cannot be read as CSV: its lines end in different ways, or its quotation marks do "
                "not match; write it again"
            ) from error
        rejects = self._rows(select("error_type::VARCHAR, line", "reject_errors", "ORDER BY line, error_type"))
        lines: dict[str, dict[int, None]] = defaultdict(dict)
        for kind, line in rejects:
            lines[_REJECTIONS.get(kind, "the line cannot be read")][int(line)] = None
        self.exclusions = tuple(
            Exclusion(reason, len(at), "rows", tuple(f"line {n}" for n in islice(at, 3)))
            for reason, at in lines.items()
        )
        self._require_rows(counted[0][0])
        self._table = f"read_csv({options}, ignore_errors = true)"

    def _number(self, name: str) -> NumberSql:
        return NumberSql.of_text(self._at(name), comma=self._delimiter == ";")


_REJECTIONS = {
    "MISSING COLUMNS": "the line has fewer fields than the header",
    "TOO MANY COLUMNS": "the line has more fields than the header",
    "UNQUOTED VALUE": "a quotation mark is never closed, or stands inside a field",
    "LINE SIZE OVER MAXIMUM": "the line is longer than 2 MB",
}


@dataclass(frozen=True, slots=True)
class _Header:
    names: tuple[str, ...]
    delimiter: str
    line_end: str
    empty_lines: int


def _read_header(prepared: Prepared) -> _Header:
    """Read the header line of a CSV file, and with it how the file is written."""
    with prepared.open() as stream:
        text = stream.read(1 << 20).decode("utf-8", errors="ignore")
    body = text.lstrip("\r\n")
    empty_lines = text[: len(text) - len(body)].count("\n")
    if body.startswith(('{"', "[{", "{ ")):
        raise InputError(f"{prepared.path} holds JSON, not CSV; let its name end in .jsonl")
    try:
        samples = {delimiter: _sample(body, delimiter) for delimiter in (",", ";", "\t", "|")}
    except csv.Error as error:
        raise SourceError(f"{prepared.path} has no readable header line: {error}") from error

    def fit(delimiter: str) -> tuple[bool, int]:
        # What splits the first lines alike is the separator; a sign within a name would split the header alone.
        records, _ = samples[delimiter]
        width = len(records[0])
        return width > 1 and all(len(record) == width for record in records[1:]), width

    delimiter = max(samples, key=fit)
    records, line_end = samples[delimiter]
    names = [name.strip(" \t") or f"unnamed: {i}" for i, name in enumerate(records[0])]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise InputError(f"{prepared.path} needs distinct column names, but has {', '.join(map(repr, twice))} twice")
    if len(names) > MOST_NAMES:
        raise InputError(f"{prepared.path} has {len(names):,} columns; at most {MOST_NAMES:,} can be read")
    return _Header(tuple(names), delimiter, line_end, empty_lines)


def _sample(text: str, delimiter: str) -> tuple[list[list[str]], str]:
    """Return the first records, and the sign or signs that end the first."""
    used: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            used.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    header = next(reader)
    end = next((sign for sign in ("\r\n", "\n", "\r") if used[-1].endswith(sign)), "\n")
    records = [header]
    with suppress(csv.Error):
        records += [record for record in islice(reader, 5) if record]
    return records, end


_NUMERIC = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
_NUMERIC_TYPES = _NUMERIC + tuple(f"U{name}" for name in _NUMERIC[:5])


class _ParquetFile(_Tabular):
    def __init__(self, prepared: Prepared, connection: DuckDBPyConnection) -> None:
        super().__init__(prepared, connection)
        table = f"read_parquet({quoted(str(prepared.link))})"
        described = self._rows("DESCRIBE " + select("*", table))
        self.names = tuple(str(row[0]) for row in described)
        self._types = {str(row[0]): str(row[1]) for row in described}
        aliases = ", ".join(f"{quoted(name, chr(34))} AS c{i}" for i, name in enumerate(self.names))
        self._require_rows(self._rows(select("count(*)", table))[0][0])
        self._table = nested(aliases, table)

    def _is(self, name: str, kinds: tuple[str, ...]) -> bool:
        # Nested types are written like "INTEGER[]" and must not pass for numbers.
        type_ = self._types[name]
        return type_.startswith(kinds) and not type_.endswith("]")

    def _text(self, name: str) -> str:
        x = self._at(name)
        if self._is(name, ("DOUBLE", "FLOAT")):
            # Other libraries turn whole-number ids into decimals as soon as one is missing; 7.0 is still session 7.
            whole = f"{x} = trunc({x}) AND abs({x}) < 9e15"
            return f"CASE WHEN isnan({x}) THEN NULL WHEN {whole} THEN {x}::BIGINT::VARCHAR ELSE {x}::VARCHAR END"
        if self._is(name, ("STRUCT", "MAP", "LIST")) or self._types[name].endswith("]"):
            return f"to_json({x})::VARCHAR"
        return f"{x}::VARCHAR"

    def _number(self, name: str) -> NumberSql:
        x = self._at(name)
        if self._is(name, _NUMERIC_TYPES):
            return NumberSql(f"{x}::DOUBLE", f"{x}::VARCHAR")
        if self._is(name, ("BOOLEAN",)):
            return NumberSql(f"{x}::DOUBLE", f"{x}::VARCHAR", boolean=f"{x} IS NOT NULL")
        if self._is(name, ("VARCHAR", "ENUM")):
            return NumberSql.of_text(f"{x}::VARCHAR")
        return NumberSql(f"CASE WHEN {x} IS NOT NULL THEN {NAN} END", f"{x}::VARCHAR")

    def _json(self, name: str) -> str:
        if self._is(name, ("STRUCT", "MAP")):
            return f"to_json({self._at(name)})"
        x = f"{self._at(name)}::VARCHAR" if self._is(name, ("VARCHAR", "JSON")) else "NULL::VARCHAR"
        return f"CASE WHEN json_valid({x}) THEN {x} END"


class _JsonLinesFile(SqlFile):
    def __init__(self, prepared: Prepared, connection: DuckDBPyConnection) -> None:
        super().__init__(prepared, connection)
        raw = (
            f"read_ndjson_objects({quoted(str(prepared.link))}, ignore_errors = true, "
            f"maximum_object_size = {_MOST_OBJECT_BYTES}, compression = '{'gzip' if prepared.compressed else 'none'}')"
        )
        shapes = self._shapes(raw, "json")
        rows = sum(count for _, _, count in shapes)
        parsed = sum(count for kind, _, count in shapes if kind is not None)
        objects = sum(count for kind, _, count in shapes if kind == "OBJECT")
        found = []
        if rows > parsed:
            found.append(self._excluded(raw, "json IS NULL", rows - parsed, "the line is no valid JSON"))
        if parsed > objects:
            wrong = "json IS NOT NULL AND json_type(json) <> 'OBJECT'"
            found.append(self._excluded(raw, wrong, parsed - objects, "the line is no JSON object"))
        self.exclusions = tuple(found)
        if not objects:
            raise InputError(
                f"{prepared.path} needs one JSON object a line, but none of its {rows:,} lines is one"
                + _json_hint(prepared)
            )
        self._table = nested("json AS doc", raw, "WHERE json_type(json) = 'OBJECT'")
        self.names = self._key_names(self._table, "doc", shapes)

    def _excluded(self, raw: str, which: str, count: int, reason: str) -> Exclusion:
        numbered = nested("json, row_number() OVER () - 1 AS row_at", raw)
        first = self._rows(select("row_at", numbered, f"WHERE {which} ORDER BY row_at LIMIT 3"))
        lines = _lines_of(self._prepared, [int(row) for (row,) in first])
        return Exclusion(reason, int(count), "rows", tuple(f"line {line}" for line in lines))

    def _document(self, column: str) -> tuple[str, str]:
        sql = f"json_extract(doc, {quoted(pointer(column))})"
        return nested(f"{sql} AS inner_doc", self._table), "inner_doc"

    def _relation(self, texts: Sequence[str], refs: Sequence[Ref]) -> tuple[str, list[str], list[NumberSql]]:
        pointers = [pointer(name) for name in texts]
        pointers += [pointer(ref.column, *([] if ref.key is None else [ref.key])) for ref in refs]
        source, found = json_lists("doc", pointers, self._table)
        words = [text for text, _ in found[: len(texts)]]
        return source, words, [NumberSql.of_json(text, kind) for text, kind in found[len(texts) :]]


def _json_hint(prepared: Prepared) -> str:
    with prepared.open() as stream:
        start = stream.read(64).lstrip()
    if start.startswith(b"["):
        return "; it looks like one JSON array: write each of its objects on a line of its own"
    if start.startswith(b"{"):
        return "; it looks like one object spread over several lines: write each object on one line"
    return ""


def _lines_of(prepared: Prepared, rows: Sequence[int]) -> list[int]:
    """Return the 1-based lines of the given 0-based rows, which differ because the reader skips empty lines."""
    wanted, found, row = list(rows), [], 0
    with prepared.open() as stream:
        for number, line in enumerate(stream, start=1):
            if not wanted:
                break
            if line.strip():
                if row == wanted[0]:
                    found.append(number)
                    wanted.pop(0)
                row += 1
    return found
