"""How commands write: to the terminal through rich, and to files without ever leaving half of one."""

from __future__ import annotations

import gzip
import io
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, RenderableType

from trimtab.errors import InputError

__all__ = ["print_blocks", "write_lines", "write_text"]

_PIPE_WIDTH = 118


def print_blocks(blocks: RenderableType) -> None:
    """Print to standard output: in colour and at its width on a terminal, as plain lines of 118 columns in a pipe."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(blocks)
        return
    buffer = io.StringIO()
    Console(highlight=False, width=_PIPE_WIDTH, file=buffer).print(blocks)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines()))


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all."""
    write_lines(path, (text,))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write `lines`, which end in newlines, to `path` whole or not at all; compressed where it ends in ``.gz``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; choose another place") from error
    try:
        with os.fdopen(handle, "wb") as raw:
            # Without name and time of day, so that the same lines give the same bytes.
            packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) if path.suffix == ".gz" else raw
            with packed as file:
                for line in lines:
                    file.write(line.encode("utf-8", errors="replace"))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
