"""How commands write: to the terminal through rich, and to files without ever leaving half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rich.console import Console, RenderableType

from trimtab.errors import InputError

__all__ = ["print_blocks", "write_text"]

_PIPE_WIDTH = 118


def print_blocks(blocks: RenderableType) -> None:
    """Print to standard output, in colour where that is a terminal; tables keep a readable width in pipes."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPE_WIDTH)
    console.print(blocks)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; choose another place") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
