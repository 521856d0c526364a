"""Markdown code fences: find the program in a message, and put one into an answer."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import islice

from trimtab.providers.rewriter.program import parse

__all__ = ["Block", "Found", "blocks", "clean", "fence_for", "find_program"]

_FENCE = re.compile(r"^ {0,3}(?P<mark>`{3,}+|~{3,}+)(?P<info>[^`\n]*+)$")
#: Most ways of pairing fences that are tried where the plain reading gives no program.
_MOST_TRIES = 16
_PYTHON = ("", "python", "py", "python3")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language tag, its text, and the lines of the message that it fills, fences included."""

    language: str
    text: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Found:
    """The program of a message.

    Parameters
    ----------
    text
        What the block holds.
    tree
        Its syntax tree; None where it is no Python program.
    language
        The block's tag.
    around
        The message without the block: the instruction.
    """

    text: str
    tree: ast.Module | None
    language: str
    around: str


def clean(text: str) -> str:
    """Return `text` with plain line ends, and without form feeds and NUL."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "").replace("\0", "")


def _fences(lines: list[str]) -> list[tuple[int, str, str]]:
    found = []
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if match:
            found.append((number, match["mark"], match["info"].strip()))
    return found


def _closes(opening: tuple[int, str, str], other: tuple[int, str, str]) -> bool:
    mark = opening[1]
    return other[0] > opening[0] and not other[2] and other[1][0] == mark[0] and len(other[1]) >= len(mark)


def _block(lines: list[str], opening: tuple[int, str, str], end: int) -> Block:
    info = opening[2].split()
    language = info[0].strip("{}.").lower() if info else ""
    return Block(language, "\n".join(lines[opening[0] + 1 : end]), opening[0], min(end, len(lines) - 1))


def blocks(message: str) -> list[Block]:
    """Return the fenced blocks as CommonMark reads them; an unclosed fence runs to the end."""
    lines = message.split("\n")
    fences = _fences(lines)
    found = []
    position = 0
    while position < len(fences):
        opening = fences[position]
        closing = next((n for n in range(position + 1, len(fences)) if _closes(opening, fences[n])), None)
        end = fences[closing][0] if closing is not None else len(lines)
        found.append(_block(lines, opening, end))
        if closing is None:
            break
        position = closing + 1
    return found


def _repaired(lines: list[str]) -> tuple[Block, ast.Module] | None:
    """Return the longest program found by pairing fences otherwise, as a fence inside a docstring needs."""
    fences = _fences(lines)
    pairs = (
        (opening, end)
        for position, opening in enumerate(fences)
        for end in [len(lines), *(other[0] for other in reversed(fences[position + 1 :]) if _closes(opening, other))]
    )
    found: tuple[Block, ast.Module] | None = None
    for opening, end in islice(pairs, _MOST_TRIES):
        block = _block(lines, opening, end)
        if found is None or len(block.text) > len(found[0].text):
            tree = parse(block.text)
            if tree is not None and tree.body:
                found = block, tree
    return found


def find_program(message: str) -> Found | None:
    """Return the last block of a message that parses as Python, else the last block, else None."""
    message = clean(message)
    lines = message.split("\n")
    read = [block for block in blocks(message) if block.text.strip()]
    chosen: tuple[Block, ast.Module | None] | None = None
    for block in reversed(read):
        tree = parse(block.text) if block.language in _PYTHON else None
        if tree is not None and tree.body:
            chosen = block, tree
            break
    if chosen is None:
        python = not read or any(block.language in _PYTHON for block in read)
        chosen = _repaired(lines) if python else None
    if chosen is None and read:
        chosen = read[-1], None
    if chosen is None:
        return None
    block, tree = chosen
    around = "\n".join([*lines[: block.first], *lines[block.last + 1 :]])
    return Found(block.text, tree, block.language, around)


def fence_for(text: str, mark: str = "`") -> str:
    """Return a fence longer than any run of its mark in `text`."""
    longest = max((len(run) for run in re.findall(re.escape(mark) + "+", text)), default=0)
    return mark * max(3, longest + 1)
