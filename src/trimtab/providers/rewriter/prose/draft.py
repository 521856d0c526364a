"""A text as the rewriter sees it: blocks with their sentences, and what the text is about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

__all__ = ["LONGEST_TEXT", "PROSE", "Block", "Draft", "Kind", "capitalised", "sentences_of", "subjects_of"]

Kind = Literal["heading", "item", "step", "paragraph", "opaque"]

#: Longest text that is edited, in characters.
LONGEST_TEXT = 32 * 1024
#: Kinds of blocks whose sentences are edited.
PROSE: tuple[Kind, ...] = ("paragraph", "item", "step")
_LONGEST_TASK = 4_000

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LEADS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("heading", re.compile(r" {0,3}#{1,6}[ \t]+")),
    ("step", re.compile(r"[ \t]{0,12}\d{1,3}[.)][ \t]+")),
    ("item", re.compile(r"[ \t]{0,12}[-*+•][ \t]+")),
    ("opaque", re.compile(r"[ \t]{0,3}[>|]|(?:[ \t]*[-=*_]){3,}[ \t]*$")),
)
_END = re.compile(r"[.!?…]{1,8}[\"”’)\]*_]{0,8}\s+")
_SHORT = ("e.g.", "i.e.", "etc.", "vs.", "cf.", "dr.", "mr.", "mrs.", "ms.", "prof.", "approx.", "no.")
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")

_NOUN = re.compile(
    r"\b(?:the|a|an|each|every|this|our|your|their|its)\s+((?:[a-z-]{3,14}\s){0,1}[a-z-]{3,14})"
    r"(?=\s*(?:[.,;:!?)]|$)|\s+(?:is|are|was|were|has|have|can|will|of|in|on|to|for|and|or|with|that|which|by|at|from)\b)"
)
_PAIR = re.compile(r"(?=\b([a-z]{4,14} [a-z]{4,14}s?)\b)")
#: Words that make no subject: too general, no nouns, or what a text is called and not what it is about.
_EMPTY = frozenset(
    [
        *(
            "about",
            "above",
            "after",
            "again",
            "all",
            "already",
            "also",
            "always",
            "and",
            "another",
            "any",
            "are",
            "because",
        ),
        *("been", "before", "best", "better", "both", "but", "can", "case", "cases", "catch", "could", "day", "days"),
        *("does", "each", "else", "end", "even", "every", "everyone", "example", "fact", "few", "first", "for", "from"),
        *("give", "gives", "good", "great", "has", "have", "here", "how", "into", "is", "it", "just", "kind", "last"),
        *("less", "like", "lot", "make", "makes", "many", "may", "might", "moment", "more", "most", "much", "must"),
        *("never", "new", "next", "not", "nothing", "number", "often", "once", "one", "only", "or", "other", "others"),
        *(
            "over",
            "own",
            "part",
            "people",
            "point",
            "reader",
            "rest",
            "same",
            "say",
            "says",
            "several",
            "should",
            "since",
        ),
        *("so", "some", "sort", "still", "such", "take", "takes", "than", "that", "their", "them", "then", "there"),
        *("these", "they", "thing", "things", "this", "those", "time", "to", "too", "two", "under", "until", "use"),
        *("used", "uses", "using", "usually", "very", "want", "was", "way", "we", "were", "what", "when", "where"),
        *("whether", "which", "while", "who", "whole", "whom", "why", "will", "with", "within", "without", "would"),
        *("write", "year", "years", "you", "your", "years", "month", "months", "week", "weeks", "today"),
        *(
            "answer",
            "article",
            "essay",
            "explanation",
            "instructions",
            "letter",
            "message",
            "note",
            "paragraph",
            "plan",
        ),
        *("post", "question", "report", "sentence", "story", "summary", "task", "text", "version", "words", "draft"),
    ]
)
_JOINTS = frozenset(("and", "are", "but", "for", "from", "has", "have", "that", "was", "were", "which", "who", "with"))
_MOST_SUBJECTS = 12


def sentences_of(text: str) -> tuple[str, ...]:
    """Return the sentences of `text`, each with the white space after it, so that joined they are `text`."""
    found = []
    start = 0
    for end in _END.finditer(text):
        after = text[end.end() : end.end() + 1]
        last = text[max(start, end.start() - 6) : end.start() + 1].lower()
        if after.islower() or last.endswith(_SHORT):
            continue
        found.append(text[start : end.end()])
        start = end.end()
    if start < len(text):
        found.append(text[start:])
    return tuple(found)


def capitalised(text: str) -> str:
    """Return `text` with its first letter in capitals."""
    for position, letter in enumerate(text):
        if letter.isalpha():
            return text[:position] + letter.upper() + text[position + 1 :]
        if letter.isdigit():
            break
    return text


def subjects_of(text: str, without: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return what a text speaks of, most often first, each with an article: "the bicycle lane".

    Subjects are nouns after an article, alone or with the word before them, and pairs of words that come twice.

    Parameters
    ----------
    without
        Words that count for nothing.
    """
    text = text.lower()

    def empty(word: str) -> bool:
        return word in _EMPTY or word in without or word.endswith(("ly", "ing", "ed"))

    counts: Counter[str] = Counter()
    for found in _NOUN.finditer(text):
        words = found[1].split()
        if words[-1] in _JOINTS:
            words.pop()
        if words and not empty(words[-1]):
            counts[" ".join(word for word in words if not empty(word))] += 1
    pairs = Counter(found[1] for found in _PAIR.finditer(text))
    counts.update({pair: 2 * n for pair, n in pairs.items() if n > 1 and not any(map(empty, pair.split()))})
    ranked = sorted(counts, key=lambda phrase: (-counts[phrase], phrase))
    return tuple(f"the {phrase}" for phrase in ranked[:_MOST_SUBJECTS])


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a paragraph, an item of a list, a numbered step, or something that is left as it is.

    Parameters
    ----------
    lead
        What stands before its text: ``"## "``, ``"- "``, ``"1. "``.
    text
        Its text, line ends included.
    gap
        Whether a blank line stands before it.
    """

    kind: Kind
    lead: str
    text: str
    gap: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        """Its sentences; none where it is not prose."""
        return sentences_of(self.text) if self.kind in PROSE else ()


class Draft:
    """A text in blocks.

    Parameters
    ----------
    blocks
        In order.
    asked
        The task's words around the text, from which a missing subject can be taken.
    foreign
        Words that make no subject, because edits bring them in.
    """

    def __init__(self, blocks: Sequence[Block], asked: str = "", foreign: frozenset[str] = frozenset()) -> None:
        self.blocks = tuple(blocks)
        self.asked = asked
        self.foreign = foreign

    @classmethod
    def read(cls, text: str, asked: str = "", foreign: frozenset[str] = frozenset()) -> Draft:
        """Return the draft of a text with plain line ends; of the task no more is read than a few paragraphs."""
        return cls(tuple(_blocks(text)), asked[:_LONGEST_TASK], foreign)

    @cached_property
    def text(self) -> str:
        """The text, with a blank line at most between two blocks and no blanks at the ends of lines."""
        lines = []
        for position, block in enumerate(self.blocks):
            if block.gap and position:
                lines.append("")
            lines.append(
                f"{block.lead}{block.text}" if block.kind == "opaque" else f"{block.lead}{block.text}".rstrip()
            )
        return "\n".join(lines)

    @cached_property
    def lower(self) -> str:
        """The text in small letters, white space made single blanks."""
        return " ".join(self.text.lower().split())

    @cached_property
    def words(self) -> int:
        """Number of words."""
        return len(_WORD.findall(self.text))

    @cached_property
    def sentences(self) -> tuple[tuple[int, int, str], ...]:
        """All sentences of prose, with the indices of their blocks and their own in them."""
        return tuple(
            (number, position, sentence)
            for number, block in enumerate(self.blocks)
            for position, sentence in enumerate(block.sentences)
        )

    @cached_property
    def about(self) -> str:
        """The text and its task in small letters: what tells the field it belongs to."""
        return f"{self.lower} {self.asked.lower()}"

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """What the text and its task speak of; what only edits have brought in does not count."""
        asked = subjects_of(self.asked)
        return tuple(dict.fromkeys((*subjects_of(f"{self.text}\n{self.asked}", self.foreign), *asked)))

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """What the task speaks of and the text does not."""
        return tuple(subject for subject in subjects_of(self.asked) if subject.rsplit(" ", 1)[-1] not in self.lower)

    def of_kind(self, *kinds: Kind) -> list[int]:
        """Return the indices of the blocks of these kinds."""
        return [number for number, block in enumerate(self.blocks) if block.kind in kinds]

    def with_blocks(self, blocks: Sequence[Block]) -> Draft:
        """Return the draft with other blocks, empty ones left out, parted where they need it and steps counted on."""
        kept = [block for block in blocks if block.text.strip() or block.kind == "opaque"]
        return Draft(_renumbered(_parted(kept)), self.asked, self.foreign)

    def with_text(self, number: int, text: str) -> Draft:
        """Return the draft with another text in one block, its lines joined; a block without text is left out."""
        blocks = list(self.blocks)
        blocks[number] = replace(blocks[number], text=" ".join(text.split()))
        return self.with_blocks(blocks)

    def with_sentence(self, number: int, position: int, sentence: str) -> Draft:
        """Return the draft with another sentence in place of one; an empty one is left out."""
        sentences = list(self.blocks[number].sentences)
        end = sentences[position][len(sentences[position].rstrip()) :]
        sentences[position] = f"{sentence.strip()}{end}" if sentence.strip() else ""
        return self.with_text(number, "".join(sentences).rstrip())

    def inserted(self, at: int, *blocks: Block) -> Draft:
        """Return the draft with more blocks before the one of index `at`."""
        return self.with_blocks((*self.blocks[:at], *blocks, *self.blocks[at:]))


def _blocks(text: str) -> Iterator[Block]:
    fence = ""
    gap = False
    held: Block | None = None
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence or mark:
            if held:
                yield held
            held = Block("opaque", "", line, gap)
            gap = False
            if mark and (not fence or (mark[1].startswith(fence) and not line.strip().strip(mark[1][0]))):
                fence = "" if fence else mark[1]
            continue
        if not line.strip():
            if held:
                yield held
            held, gap = None, True
            continue
        kind, lead = _lead(line)
        continues = held is not None and kind == "paragraph" and held.kind in PROSE
        if continues and held is not None:
            held = replace(held, text=f"{held.text}\n{line.rstrip()}")
            continue
        if held:
            yield held
        held, gap = Block(kind, lead, line[len(lead) :].rstrip(), gap), False
    if held:
        yield held


def _lead(line: str) -> tuple[Kind, str]:
    for kind, pattern in _LEADS:
        found = pattern.match(line)
        if found:
            return kind, "" if kind == "opaque" else found[0]
    return "paragraph", ""


def _parted(blocks: list[Block]) -> list[Block]:
    """Return the blocks with a blank line wherever one would otherwise run into the block before it."""
    return [
        replace(block, gap=True)
        if number and not block.gap and blocks[number - 1].kind in PROSE and block.kind in ("paragraph", "heading")
        else block
        for number, block in enumerate(blocks)
    ]


def _renumbered(blocks: list[Block]) -> list[Block]:
    """Return the blocks with the steps of each list counted on from its first."""
    counted = []
    count = 0
    for block in blocks:
        if block.kind != "step":
            # A heading or a paragraph ends a list; an item below a step does not.
            count = count if block.kind == "item" else 0
            counted.append(block)
            continue
        found = _NUMBER.search(block.lead)
        if found is None:
            counted.append(block)
            continue
        count = count + 1 if count else int(found[0])
        counted.append(replace(block, lead=f"{block.lead[: found.start()]}{count}{block.lead[found.end() :]}"))
    return counted
