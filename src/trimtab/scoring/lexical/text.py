"""A text as the lexical rules see it: what was read, where the marks are, and how far it keeps to its task."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property, lru_cache
from itertools import islice, pairwise

from trimtab.scoring.base import ScoringContext
from trimtab.scoring.lexical.lexicon import COMMON, IMPERATIVES, LEXICON, PARTICIPLES
from trimtab.scoring.lexical.marks import Hit
from trimtab.scoring.lexical.reading import FIGURE, Reading, read

__all__ = ["LONG_SENTENCE", "WALL", "Text"]

#: Words from which on a sentence is long, and a paragraph a wall.
LONG_SENTENCE, WALL = 28, 90
#: Words of a window in which different words are counted.
_WINDOW = 50
_TERM = re.compile(r"[^\W\d_]{4,}")
#: How much of a prompt or a starting artefact is read for its terms, in characters.
_READ = 20_000
_STEM = 6

_BE = frozenset(("is", "are", "was", "were", "been", "being", "be"))


@lru_cache(maxsize=256)
def _terms(text: str) -> frozenset[str]:
    """Return the beginnings of the words of `text` that carry its subject."""
    words = (word.lower() for word in _TERM.findall(text[:_READ]))
    return frozenset(word[:_STEM] for word in words if word not in COMMON)


class Text:
    """One text with everything that the rules ask about, each computed once.

    Parameters
    ----------
    artefact, context
        As a scorer is given them.
    """

    def __init__(self, artefact: str, context: ScoringContext) -> None:
        self.artefact = artefact
        self.context = context
        self.reading: Reading = read(artefact)
        found = LEXICON.find(self.reading)
        self._hits = {mark: [hit for hit in hits if not hit.negated] for mark, hits in found.items()}

    def hits(self, *marks: str) -> list[Hit]:
        """Return where the phrases of `marks` stand and are not negated, in the order of the text."""
        if len(marks) == 1:
            return self._hits[marks[0]]
        return sorted((hit for mark in marks for hit in self._hits[mark]), key=lambda hit: hit.at)

    def sentences_with(self, *marks: str) -> set[int]:
        """Return the sentences that hold a phrase of `marks`, negated ones aside."""
        return {hit.sentence for hit in self.hits(*marks)}

    def blocks_with(self, *marks: str) -> set[int]:
        """Return the blocks that hold a phrase of `marks`, negated ones aside."""
        return {self.reading.sentences[number].block for number in self.sentences_with(*marks)}

    def block_of(self, hit: Hit) -> int:
        """Return the block of a hit."""
        return self.reading.sentences[hit.sentence].block

    @cached_property
    def size(self) -> int:
        """Number of words, code apart."""
        return len(self.reading.words)

    @cached_property
    def prose(self) -> list[int]:
        """Numbers of the sentences of three words or more outside headings."""
        blocks = self.reading.blocks
        return [
            number
            for number, sentence in enumerate(self.reading.sentences)
            if len(sentence) >= 3 and blocks[sentence.block].kind != "heading"
        ]

    @cached_property
    def sentence_length(self) -> float:
        """Mean number of words of the sentences in `prose`; 0 without any."""
        lengths = [len(self.reading.sentences[number]) for number in self.prose]
        return sum(lengths) / len(lengths) if lengths else 0.0

    @cached_property
    def rhythm(self) -> float:
        """Standard deviation of the sentences' lengths over their mean; 0 for fewer than four."""
        lengths = [len(self.reading.sentences[number]) for number in self.prose]
        if len(lengths) < 4:
            return 0.0
        mean = self.sentence_length
        return math.sqrt(sum((length - mean) ** 2 for length in lengths) / len(lengths)) / mean

    @cached_property
    def variety(self) -> float:
        """Mean share of different words among fifty that follow each other; of all words where there are fewer.

        0 for fewer than twenty words, which always differ.
        """
        words = [word for word in self.reading.words if word != FIGURE]
        if len(words) < 20:
            return 0.0
        window = min(_WINDOW, len(words))
        counts = Counter(words[:window])
        total, windows = len(counts), 1
        for leaving, entering in zip(words, words[window:], strict=False):
            counts[entering] += 1
            counts[leaving] -= 1
            if not counts[leaving]:
                del counts[leaving]
            total += len(counts)
            windows += 1
        return total / windows / window

    @cached_property
    def redundancy(self) -> float:
        """Share of the runs of four words that have occurred before."""
        words = self.reading.words
        runs = list(zip(words, words[1:], words[2:], words[3:], strict=False))
        return 1 - len(set(runs)) / len(runs) if runs else 0.0

    @cached_property
    def repeated(self) -> list[int]:
        """Lines of sentences of five words or more that occurred before, word for word."""
        seen: set[tuple[str, ...]] = set()
        lines = []
        for number in self.prose:
            sentence = self.reading.sentences[number]
            words = tuple(self.reading.sentence_words(sentence))
            if len(words) >= 5 and words in seen:
                lines.append(sentence.line)
            seen.add(words)
        return lines

    @cached_property
    def coverage(self) -> float:
        """Share of the task's terms that the text speaks of; 0.5 where the task has none."""
        wanted = _terms(self.context.prompt)
        return len(wanted & self._stems) / len(wanted) if wanted else 0.5

    @cached_property
    def lost(self) -> float:
        """Share of the starting artefact's terms that the text no longer speaks of; 0 where that is unknown."""
        start = _terms(self.context.reference or "")
        return 1 - len(start & self._stems) / len(start) if start else 0.0

    @cached_property
    def _stems(self) -> frozenset[str]:
        return frozenset(word[:_STEM] for word in self.reading.words)

    @cached_property
    def passives(self) -> list[int]:
        """Lines on which a form of "be" is followed by a participle."""
        words, lines = self.reading.words, self.reading.lines
        return [
            lines[at]
            for at, (word, after) in enumerate(pairwise(words))
            if word in _BE and (after in PARTICIPLES or (len(after) > 4 and after.endswith("ed")))
        ]

    @cached_property
    def imperatives(self) -> list[int]:
        """Lines of the sentences that begin with a verb that tells what to do."""
        reading = self.reading
        return [
            reading.sentences[number].line
            for number in self.prose
            if reading.words[reading.sentences[number].first] in IMPERATIVES
        ]

    @cached_property
    def long_words(self) -> float:
        """Share of the words that have twelve letters or more."""
        return sum(len(word) >= 12 for word in self.reading.words) / self.size if self.size else 0.0

    @cached_property
    def statistics(self) -> list[tuple[str, int]]:
        """Percentages and numbers of three digits or more, years apart, with their lines."""
        return [(text, line) for text, line in self.reading.figures if _is_statistic(text)]

    def questions(self) -> list[int]:
        """Return the lines of the questions."""
        return [sentence.line for sentence in self.reading.sentences if sentence.asks]

    def openings(self) -> list[int]:
        """Return the lines of sentences that begin with the word that began the one before, in the same block."""
        sentences, words = self.reading.sentences, self.reading.words
        return [
            sentences[after].line
            for before, after in pairwise(self.prose)
            if words[sentences[before].first] == words[sentences[after].first]
            and sentences[before].block == sentences[after].block
        ]

    def first_sentences(self, number: int) -> Iterable[int]:
        """Return the numbers of the first sentences outside headings, however short."""
        blocks = self.reading.blocks
        outside = (n for n, s in enumerate(self.reading.sentences) if blocks[s.block].kind != "heading")
        return tuple(islice(outside, number))


def _is_statistic(text: str) -> bool:
    digits = [c for c in text if c.isdigit()]
    year = len(digits) == 4 and text.isdigit() and text[:2] in ("18", "19", "20")
    return text.endswith("%") or (len(digits) >= 3 and not year)
