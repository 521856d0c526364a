"""Where the words and phrases of a lexicon occur in a text, in one pass whatever the lexicon's size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trimtab.scoring.lexical.reading import Reading

__all__ = ["Hit", "Lexicon"]

_NEGATIONS = frozenset(
    (
        *("not", "no", "never", "without", "nor", "neither", "cannot", "can't", "don't", "doesn't", "isn't", "aren't"),
        *("won't", "wasn't", "weren't", "shouldn't", "nothing"),
    )
)
#: How many words before a phrase are looked at for negations.
_REACH = 4
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase of the lexicon in a text: its words in a few characters, their place, and whether it is negated."""

    text: str
    at: int
    sentence: int
    line: int
    negated: bool


@dataclass(slots=True)
class _Phrases:
    """Phrases that begin with the same word: marks of that word alone, and longer phrases by their second word.

    A second word that is no plain word (a stem, any word) stands under the empty text.
    """

    alone: list[str]
    longer: dict[str, list[tuple[str, tuple[str, ...]]]]

    def add(self, mark: str, rest: tuple[str, ...]) -> None:
        if not rest:
            self.alone.append(mark)
        else:
            second = "" if rest[0] == "_" or rest[0][-1] == "*" else rest[0]
            self.longer.setdefault(second, []).append((mark, rest))

    def starting(self, words: list[str], at: int, end: int) -> dict[str, int]:
        """Return the marks of the phrases that begin at word `at`, each with the length of its longest."""
        best = dict.fromkeys(self.alone, 1)
        if self.longer and at + 1 < end:
            for second in (words[at + 1], ""):
                for mark, rest in self.longer.get(second, ()):
                    longer = len(rest) >= best.get(mark, 0) and at + len(rest) < end
                    if longer and all(map(_matches, rest, words[at + 1 : at + 1 + len(rest)])):
                        best[mark] = 1 + len(rest)
        return best


def _matches(pattern: str, word: str) -> bool:
    return pattern == word or pattern == "_" or (pattern[-1] == "*" and word.startswith(pattern[:-1]))


class Lexicon:
    """Phrases by mark, prepared to be looked for together.

    A phrase is one or several words; one that ends in ``*`` stands for all words that begin so, ``_`` for any word and
    ``#`` for a number. Words of one phrase stand in one sentence. Where
    several phrases of a mark begin at the same word, the longest counts; none begins within another of its mark.

    A phrase is negated where an odd number of the four words before it, in its sentence, are negations, so that "never
    send without approval" still speaks of approval.
    """

    def __init__(self, marks: Mapping[str, Sequence[str]]) -> None:
        self.names = tuple(marks)
        self._whole: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._stems: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        for mark, phrases in marks.items():
            for phrase in phrases:
                first, *rest = phrase.split()
                table, key = (self._stems, first[:-1]) if first.endswith("*") else (self._whole, first)
                table.setdefault(key, []).append((mark, tuple(rest)))
        self._lengths = sorted({len(stem) for stem in self._stems})

    def _phrases(self, word: str) -> _Phrases | None:
        """Return the phrases that may begin with `word`."""
        found = list(self._whole.get(word, ()))
        for length in self._lengths:
            if length > len(word):
                break
            found += self._stems.get(word[:length], ())
        phrases = _Phrases([], {})
        for mark, rest in found:
            phrases.add(mark, rest)
        return phrases if found else None

    def find(self, reading: Reading) -> dict[str, list[Hit]]:
        """Return the hits of every mark, in the order of the text."""
        words = reading.words
        known = {word: phrases for word in set(words) if (phrases := self._phrases(word)) is not None}
        hits: dict[str, list[Hit]] = {name: [] for name in self.names}
        busy = dict.fromkeys(self.names, 0)
        for number, sentence in enumerate(reading.sentences):
            for at in range(sentence.first, sentence.last):
                phrases = known.get(words[at])
                if phrases is None:
                    continue
                for mark, length in phrases.starting(words, at, sentence.last).items():
                    if at < busy[mark]:
                        continue
                    busy[mark] = at + length
                    before = words[max(sentence.first, at - _REACH) : at]
                    negated = sum(word in _NEGATIONS for word in before) % 2 == 1
                    text = " ".join(word[:_SHOWN] for word in words[at : at + length])[:_SHOWN]
                    hits[mark].append(Hit(text, at, number, reading.lines[at], negated))
        return hits
