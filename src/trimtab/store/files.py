"""Open a file of trajectories safely, whatever it is called and whatever is in it.

The reader is DuckDB in memory, shut off from everything but the one file: no other path, no address, no extension,
no change of these settings. The file is reached through a link of a fixed name in a private folder, so that a name
with brackets, stars or a scheme is never taken for a pattern or an address. Text is checked from end to end before
it is parsed: truncated compression, other encodings and binary content each get their own message.
"""

from __future__ import annotations

import codecs
import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, cast

from trimtab.errors import InputError, SourceError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["READABLE", "FileFormat", "Prepared", "first_line", "format_of", "prepare", "private_database", "quoted"]

FileFormat = Literal["csv", "jsonl", "parquet"]

READABLE: dict[str, FileFormat] = {
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
}

_CHUNK = 1 << 20
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that has been checked and may be parsed.

    Parameters
    ----------
    path
        What the user named.
    link
        Where DuckDB finds it.
    folder
        The private folder, to be removed afterwards.
    compressed
        True where `link` is gzip.
    notes
        What was assumed.
    """

    path: Path
    link: Path
    folder: Path
    format: FileFormat
    compressed: bool
    notes: tuple[str, ...] = ()

    def open(self) -> IO[bytes]:
        """Return the decompressed bytes."""
        return cast("IO[bytes]", gzip.open(self.link, "rb")) if self.compressed else self.link.open("rb")


def quoted(text: str, mark: str = "'") -> str:
    """Return `text` as an SQL literal, or with ``mark='"'`` as an SQL name."""
    return mark + text.replace(mark, mark * 2) + mark


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, which is the part that a user can use."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def format_of(path: Path, known: dict[str, FileFormat] | None = None) -> tuple[FileFormat, bool]:
    """Return the format and whether it is compressed, by the end of the name; ``InputError`` if it is none of ours."""
    allowed = READABLE if known is None else known
    name = path.name.lower()
    for suffix in sorted(allowed, key=len, reverse=True):
        if name.endswith(suffix):
            return allowed[suffix], suffix.endswith(".gz")
    raise InputError(
        f"{path} needs a name that ends in {', '.join(list(allowed)[:-1])} or {list(allowed)[-1]}, "
        f"but ends in {path.suffix or 'nothing'!r}"
    )


@contextmanager
def private_database(allowed: Path, folder: Path | None = None) -> Iterator[DuckDBPyConnection]:
    """Yield a DuckDB connection in memory that can reach the file `allowed` and nothing else."""
    import duckdb

    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "threads": os.cpu_count() or 1,
        }
    )
    try:
        if folder is not None:
            connection.execute(f"SET temp_directory = {quoted(str(folder / 'spill'))}")
        connection.execute(f"SET allowed_paths = [{quoted(str(allowed))}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


@contextmanager
def prepare(path: Path) -> Iterator[Prepared]:
    """Check that `path` is a readable file of a known format and yield it; remove the private folder afterwards.

    Raises
    ------
    InputError
        If the name's ending is unknown, or the content is plainly of another format.
    SourceError
        If the file is missing, is no regular file, is empty, is truncated, or is no text.
    """
    size = _regular_size(path)
    format_, compressed = format_of(path)
    if size == 0:
        raise SourceError(f"{path} is empty")
    folder = Path(tempfile.mkdtemp(prefix="trimtab-"))
    try:
        try:
            link = folder / "data"
            _link(path.resolve(), link)
            prepared = Prepared(path, link, folder, format_, compressed)
            prepared = _check_parquet(prepared) if format_ == "parquet" else _check_text(prepared)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
        yield prepared
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _regular_size(path: Path) -> int:
    try:
        if path.is_dir():
            raise SourceError(f"{path} is a folder; a file is needed")
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        if not path.is_file():
            raise SourceError(f"{path} is no regular file; write the data to a file first")
        with path.open("rb"):
            return path.stat().st_size
    except (OSError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from error


def _link(target: Path, link: Path) -> None:
    # Some systems refuse symbolic links to ordinary users; a hard link, then a copy, serve as well.
    for make in (os.symlink, os.link):
        with suppress(OSError, NotImplementedError):
            make(target, link)
            return
    shutil.copyfile(target, link)


def _check_parquet(prepared: Prepared) -> Prepared:
    with prepared.link.open("rb") as stream:
        if stream.read(4) != b"PAR1":
            raise SourceError(f"{prepared.path} is no Parquet file; give it the ending of the format that it has")
    return prepared


def _check_text(prepared: Prepared) -> Prepared:
    path = prepared.path
    with prepared.link.open("rb") as stream:
        start = stream.read(4)
    if prepared.compressed and start[:2] != b"\x1f\x8b":
        raise SourceError(f"{path} ends in .gz but is not gzip; drop the .gz from its name if it is plain text")
    if not prepared.compressed and start[:2] == b"\x1f\x8b":
        raise SourceError(f"{path} is gzip; let its name end in .gz")
    if start == b"PAR1":
        raise SourceError(f"{path} is a Parquet file; let its name end in .parquet")
    try:
        with prepared.open() as stream:
            head = stream.read(4)
            encoding = next((name for bom, name in _BOMS if head.startswith(bom)), "utf-8")
        if encoding == "utf-8":
            with prepared.open() as stream:
                _check_utf8(stream, path)
            return prepared
        return _as_utf8(prepared, encoding)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(
            f"{path} is damaged or was cut off: {first_line(error)}; make or download the file again"
        ) from error
    except UnicodeError as error:
        raise SourceError(f"{path} is not UTF-8 text: {first_line(error)}; save it as UTF-8") from error


def _check_utf8(stream: IO[bytes], path: Path) -> None:
    decode = codecs.getincrementaldecoder("utf-8")().decode
    blank = True
    while chunk := stream.read(_CHUNK):
        if b"\0" in chunk:
            raise SourceError(f"{path} holds zero bytes, so it is binary and not the text that its name promises")
        decode(chunk)
        blank = blank and chunk.isspace()
    decode(b"", True)
    if blank:
        raise SourceError(f"{path} is empty")


def _as_utf8(prepared: Prepared, encoding: str) -> Prepared:
    copy = prepared.folder / "data-utf8"
    blank = True
    with prepared.open() as raw, copy.open("w", encoding="utf-8", newline="") as out:
        for chunk in codecs.getreader(encoding)(raw):
            out.write(chunk)
            blank = blank and (not chunk or chunk.isspace())
    if blank:
        raise SourceError(f"{prepared.path} is empty")
    notes = () if encoding == "utf-8-sig" else (f"{prepared.path.name} is written in {encoding.upper()}.",)
    return Prepared(prepared.path, copy, prepared.folder, prepared.format, False, notes)
