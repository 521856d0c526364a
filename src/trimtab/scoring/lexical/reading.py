"""One pass over a text: its blocks, sentences and words, each with its line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["FIGURE", "Block", "Kind", "Reading", "Sentence", "read"]

Kind = Literal["heading", "item", "step", "paragraph", "code"]

#: What a number is called among the words of a text.
FIGURE = "#"

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+")
_STEP = re.compile(r"[ \t]*\d{1,3}[.)][ \t]+")
_ITEM = re.compile(r"[ \t]*(?:[-*+•][ \t]+|\|)")
_QUOTE = re.compile(r"[ \t]*>[ \t]?")
_TOKEN = re.compile(
    r"(?P<short>\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|Prof|approx)\.(?![ \t]*$))"
    r"|(?P<address>https?://[^\s)>\]]{1,300})"
    r"|(?P<word>[^\W\d_][\w'’-]*)"
    r"|(?P<number>[$€£]?\d+(?:[.,:]\d+)*%?)"
    r"|(?P<end>[.!?…。！？]+)"
    r"|(?P<nest>[;(])"
)


@dataclass(slots=True)
class Sentence:
    """Words `first` to `last` (exclusive) of a text, on the line on which they begin.

    Parameters
    ----------
    block
        Index of the block that holds it.
    asks
        Whether it ends with a question mark.
    nested
        Number of brackets and semicolons in it.
    """

    first: int
    last: int
    line: int
    block: int
    asks: bool = False
    nested: int = 0

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(slots=True)
class Block:
    """A paragraph, a heading, one item of a list, one numbered step, or fenced code, with the line it begins on."""

    kind: Kind
    line: int
    words: int = 0


@dataclass(slots=True)
class Reading:
    """What the rules ask about a text.

    Parameters
    ----------
    words
        All words in small letters, in order; a number is `FIGURE`. Code is left out.
    lines
        Line of each word.
    sentences, blocks
        In order. A heading or an item is a sentence of its own, however it ends.
    figures
        The numbers with their lines, as they are written.
    capitals
        Words of two to six capitals, with their lines: abbreviations.
    explained
        Whether a bracket opens right after or before each of `capitals`.
    exclamations
        Lines on which an exclamation mark ends a sentence.
    """

    words: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    figures: list[tuple[str, int]] = field(default_factory=list)
    capitals: list[tuple[str, int]] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)
    exclamations: list[int] = field(default_factory=list)

    def sentence_words(self, sentence: Sentence) -> list[str]:
        """Return the words of a sentence."""
        return self.words[sentence.first : sentence.last]

    def count(self, *kinds: Kind) -> int:
        """Return the number of blocks of these kinds."""
        return sum(block.kind in kinds for block in self.blocks)


def read(text: str) -> Reading:
    """Read `text`; linear in its length, and never raises.

    Markdown is understood as far as headings, lists, quotes, tables and fenced code go. What follows a blank line or
    one of these marks is a new block.
    """
    reading = Reading()
    fence = ""
    joined = quoted = False
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        mark = _FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
            continue
        if mark:
            fence, joined = mark[1], False
            reading.blocks.append(Block("code", number))
            continue
        quote = _QUOTE.match(line)
        start = quote.end() if quote else 0
        if not line[start:].strip():
            joined = False
            continue
        kind, start = _kind_of(line, start)
        joined = joined and quoted == bool(quote)
        quoted = bool(quote)
        if kind != "paragraph" or not joined:
            reading.blocks.append(Block(kind, number))
            _sentence(reading, number)
        joined = kind == "paragraph" or kind in ("item", "step")
        _words(reading, line, start, number)
        if kind == "heading":
            joined = False
    reading.sentences = [sentence for sentence in reading.sentences if len(sentence)]
    return reading


def _kind_of(line: str, start: int) -> tuple[Kind, int]:
    kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (("heading", _HEADING), ("step", _STEP), ("item", _ITEM))
    for kind, pattern in kinds:
        if found := pattern.match(line, start):
            return kind, found.end()
    return "paragraph", start


def _sentence(reading: Reading, line: int) -> None:
    at = len(reading.words)
    reading.sentences.append(Sentence(at, at, line, len(reading.blocks) - 1))


def _words(reading: Reading, line: str, start: int, number: int) -> None:
    words = reading.words
    before = len(words)
    sentence = reading.sentences[-1]
    empty = sentence.first == before
    for found in _TOKEN.finditer(line, start):
        kind, text = found.lastgroup, found[0]
        if kind == "word":
            words.append(text.lower() if text.isascii() else text.lower().replace("’", "'"))
            if 2 <= len(text) <= 6 and text.isupper():
                _capitals(reading, line, found, number)
        elif kind == "number":
            words.append(FIGURE)
            reading.figures.append((text, number))
        elif kind == "address":
            words.append("https")
        elif kind == "short":
            words.append(text[:-1].lower())
        elif kind == "nest":
            sentence.nested += 1
            continue
        else:
            if text in (".", "..") and line[found.end() : found.end() + 1].isalnum():
                continue  # a file's name, a version: no sentence ends here
            sentence.asks = "?" in text or "？" in text
            if not empty:
                if "!" in text:
                    reading.exclamations.append(number)
                sentence.last = len(words)
                _sentence(reading, number)
                sentence, empty = reading.sentences[-1], True
            continue
        if empty:
            sentence.line, empty = number, False
    sentence.last = len(words)
    reading.lines += [number] * (len(words) - before)
    reading.blocks[-1].words += len(words) - before


def _capitals(reading: Reading, line: str, found: re.Match[str], number: int) -> None:
    reading.capitals.append((found[0], number))
    if "(" in line[max(0, found.start() - 2) : found.start()] + line[found.end() : found.end() + 2]:
        reading.explained.add(found[0])
