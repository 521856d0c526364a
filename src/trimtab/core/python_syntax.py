"""Parsing Python text that others wrote, from any thread, without a word on the reader's own standard error."""

from __future__ import annotations

import ast
import threading
import warnings

__all__ = ["parse_python"]

# Warning filters belong to the process: two threads that change them at once leave each other's behind.
_filters = threading.Lock()


def parse_python(text: str) -> ast.Module:
    """Return the syntax tree of `text`, which is neither compiled nor executed; its warnings mean nothing here.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        As `ast.parse` does for what is no program, or too deep for its parser.
    """
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)
