"""The fenced blocks of a Markdown answer, and the answer without its thinking sections. Linear in the answer's length.

A Python program may hold fences of its own, in a docstring or a string. Where a block opens as Python (or says no
language), a closing fence therefore does not count while a triple-quoted string of the program is open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Block", "Kind", "find_blocks", "next_fence", "normalise", "opening_of", "outdent", "strip_thinking"]

PYTHON_TAGS = frozenset({"", "py", "py3", "python", "python2", "python3", "pycon", "ipython", "ipython3", "cython"})

MAX_TAGS_PER_LINE = 20

Kind = Literal["fence", "tilde-fence", "unterminated-fence"]


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Parameters
    ----------
    tag
        The language it says, in small letters, "" for none.
    line
        1-based line of the answer on which its text begins.
    """

    text: str
    tag: str
    kind: Kind
    line: int

    @property
    def is_python(self) -> bool:
        """True where the block says it is Python, or says nothing."""
        return self.tag in PYTHON_TAGS


_OPEN = re.compile(r"([ \t]*+)(`{3,}+|~{3,}+)[ \t]*+([^`\n]*+)")
_THINK_OPEN = re.compile(r"\s*+<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_THINK_CLOSE = re.compile(r"\s*+</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
# What matters to know whether a triple-quoted string is open: comments, escapes, and the two kinds of quotes.
_TOKENS = re.compile(r"\"\"\"|'''|\\.|[\"'#\n]", re.DOTALL)
_CLOSERS = {quote: re.compile(r"\\.|" + quote, re.DOTALL) for quote in ('"""', "'''")}
_LINE_CLOSERS = {quote: re.compile(r"\\.|\n|" + quote, re.DOTALL) for quote in ('"', "'")}


def normalise(text: str) -> str:
    """Return `text` with plain line ends and without byte order marks."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")


def strip_thinking(text: str) -> str:
    """Return the answer without its thinking sections; one that never ends reaches to the end of the answer.

    Tags count at the start of a line outside fences. A closing tag alone ends a section whose opening tag was part of
    the prompt, so that all before it is thinking.
    """
    kept: list[str] = []
    fence = ""
    closing: re.Pattern[str] | None = None
    for line in text.split("\n"):
        rest = line
        if fence:
            stripped = rest.strip()
            if stripped.startswith(fence) and not stripped.strip(fence[0]):
                fence = ""
            kept.append(rest)
            continue
        for _ in range(MAX_TAGS_PER_LINE):
            if closing is not None:
                end = closing.search(rest)
                if end is None:
                    break
                rest, closing = rest[end.end() :], None
            alone = _THINK_CLOSE.match(rest)
            if alone is not None:
                kept.clear()
                rest = rest[alone.end() :]
            opening = _THINK_OPEN.match(rest)
            if opening is None:
                break
            rest, closing = rest[opening.end() :], re.compile(f"</{opening[1]}>", re.IGNORECASE)
        if closing is not None:
            continue
        marks = opening_of(rest)
        fence = marks[1] if marks is not None else ""
        kept.append(rest)
    return "\n".join(kept)


@dataclass(slots=True)
class _Budget:
    """Characters that may still be read ahead, so that many openings cannot make the scan quadratic."""

    left: int


def find_blocks(text: str) -> list[Block]:
    """Return the fenced blocks in order. A block that never closes reaches to the end of the answer."""
    lines = text.split("\n")
    budget = _Budget(8 * len(text) + 4096)
    blocks = []
    i = 0
    while i < len(lines):
        opening = opening_of(lines[i])
        if opening is None:
            i += 1
            continue
        indent, fence, tag = opening
        end = _closing(lines, i + 1, indent, fence, tag, budget)
        body = [outdent(line, indent) for line in lines[i + 1 : end]]
        kind: Kind = "unterminated-fence" if end == len(lines) else "fence" if fence[0] == "`" else "tilde-fence"
        blocks.append(Block("\n".join(body), tag, kind, i + 2))
        i = end + 1
    return blocks


def opening_of(line: str) -> tuple[str, str, str] | None:
    """Return the indent, the fence and the tag of a line that opens a block, or None."""
    match = _OPEN.fullmatch(line)
    if match is None:
        return None
    words = match[3].strip().strip("{}.").split()
    tag = words[0].lower().split("{")[0].split(":")[0].strip(",;") if words else ""
    return match[1], match[2], tag


def outdent(line: str, indent: str) -> str:
    """Return a line of a block without the indent of its opening fence."""
    return line.removeprefix(indent) if indent else line


def _closing(lines: list[str], start: int, indent: str, fence: str, tag: str, budget: _Budget) -> int:
    """Return the index of the line that closes a block, or the number of lines."""
    first = next_fence(lines, start, indent, fence)
    if tag not in PYTHON_TAGS or first == len(lines):
        return first
    end = first
    state = ""
    at = start
    while end < len(lines):
        chunk = "\n".join(lines[at:end]) + "\n"
        budget.left -= len(chunk)
        if budget.left < 0:
            return first
        state = _open_string(chunk, state)
        if not state:
            return end
        at, end = end, next_fence(lines, end + 1, indent, fence)
    # The string never closed, so it was no string of a program: the first fence counts after all.
    return first


def next_fence(lines: list[str], start: int, indent: str, fence: str) -> int:
    """Return the index of the first line from `start` that can close `fence`, or the number of lines."""
    mark, widest = fence[0], len(indent) + 3
    for i in range(start, len(lines)):
        stripped = lines[i].strip()
        if not stripped.startswith(fence) or stripped.strip(mark):
            continue
        if len(lines[i]) - len(lines[i].lstrip()) <= widest:
            return i
    return len(lines)


def _open_string(text: str, state: str) -> str:
    """Return the triple quote that is open at the end of `text`, "" for none, given the one open at its beginning."""
    position = 0
    while position < len(text):
        if state:
            position, closed = _skip(_CLOSERS[state], text, position)
            if not closed:
                return state
            state = ""
            continue
        token = _TOKENS.search(text, position)
        if token is None:
            return ""
        position = token.end()
        match token[0]:
            case '"""' | "'''":
                state = token[0]
            case '"' | "'":
                position, _ = _skip(_LINE_CLOSERS[token[0]], text, position)
            case "#":
                newline = text.find("\n", position)
                position = len(text) if newline < 0 else newline
    return state


def _skip(closer: re.Pattern[str], text: str, position: int) -> tuple[int, bool]:
    for match in closer.finditer(text, position):
        if not match[0].startswith("\\"):
            return match.end(), True
    return len(text), False
