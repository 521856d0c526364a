"""How commands write: to the terminal, where no text can do anything but be read, and to files, never half of one.

All that a command prints goes through `say`, `say_json`, `print_blocks` or a `console`: words of models, tasks, servers
and files may hold anything, and are made visible here (`trimtab.core.visible`), in one place.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from trimtab.core.visible import escaped, visible
from trimtab.errors import InputError

__all__ = ["console", "print_blocks", "say", "say_json", "words", "write_lines", "write_text"]

_PIPE_WIDTH = 118


class _Console(Console):
    """Makes every text visible: strings before they are laid out, and whatever else is written at last."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text, lines=True), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text, lines=True), style, control)


def console(*, stderr: bool = False) -> Console:
    """Return where to print lines: nothing in them is taken as markup, and nothing is obeyed by a terminal."""
    return _Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False, emoji=False)


def say(text: str, *, err: bool = False) -> None:
    """Print lines to standard output or standard error."""
    typer.echo(visible(text, lines=True), err=err)


def say_json(document: str) -> None:
    """Print a JSON document to standard output."""
    typer.echo(escaped(document))


def print_blocks(blocks: RenderableType) -> None:
    """Print to standard output: in colour and at its width on a terminal, as plain lines of 118 columns in a pipe."""
    console = _Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(blocks)
        return
    buffer = io.StringIO()
    _Console(highlight=False, markup=False, emoji=False, width=_PIPE_WIDTH, file=buffer).print(blocks)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in buffer.getvalue().splitlines()))


def words(headings: Iterable[str], title: str | None = None) -> Table:
    """Return an empty table of words, which are folded where they are long."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


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
