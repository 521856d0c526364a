"""The forms that lexical rules have: a phrase each time, phrases counted, something measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.scoring.evidence import Finding, Rule, Scale, compose, saturating
from trimtab.scoring.lexical.text import LONG_SENTENCE, WALL, Text

__all__ = [
    "Judged",
    "Test",
    "counted",
    "each",
    "found",
    "judged",
    "length",
    "lines",
    "long_sentences",
    "measured",
    "tally",
    "walls",
]

Find = Callable[[Text, Rule], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Test:
    """A rule, and what finds it in a text."""

    rule: Rule
    find: Find


@dataclass(frozen=True, slots=True)
class Judged:
    """One objective: its scale and its tests."""

    scale: Scale
    tests: tuple[Test, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order of the documentation."""
        return tuple(test.rule for test in self.tests)

    def score(self, text: Text) -> Score:
        """Return the score of `text` with its evidence."""
        return compose(self.scale, (finding for test in self.tests for finding in test.find(text, test.rule)))


def judged(name: str, base: float, credit_limit: float, penalty_limit: float, *tests: Test) -> Judged:
    """Return the objective called `name`, from 0 to 10 and more is better."""
    return Judged(Scale(Objective(name), base, credit_limit, penalty_limit, "text"), tests)


def found(name: str, weight: float, summary: str, find: Find) -> Test:
    """Return a test whose findings `find` makes itself."""
    return Test(Rule(name, weight, summary), find)


def each(name: str, weight: float, summary: str, *marks: str) -> Test:
    """Return a test that fires wherever a phrase of `marks` stands, once a sentence."""

    def find(text: Text, rule: Rule) -> Iterator[Finding]:
        seen: set[int] = set()
        for hit in text.hits(*marks):
            if hit.sentence not in seen:
                seen.add(hit.sentence)
                yield Finding(rule, hit.line, detail=repr(hit.text))

    return found(name, weight, summary, find)


def counted(name: str, weight: float, scale: float, summary: str, *marks: str) -> Test:
    """Return a test whose amount grows with the number of phrases of `marks`, less and less."""

    def count(text: Text) -> tuple[float, int | None]:
        hits = text.hits(*marks)
        return len(hits), hits[0].line if hits else None

    return tally(name, weight, scale, summary, count)


def tally(
    name: str, weight: float, scale: float, summary: str, count: Callable[[Text], tuple[float, int | None]]
) -> Test:
    """Return a test whose amount grows with a count, less and less; `count` gives it with the line of the first."""

    def find(text: Text, rule: Rule) -> Iterator[Finding]:
        number, line = count(text)
        if number:
            yield saturating(rule, number, line)

    return Test(Rule(name, weight, summary, scale), find)


def measured(name: str, weight: float, summary: str, amount: Callable[[Text], float], shown: str = "") -> Test:
    """Return a test whose amount is a measure of the whole text; below 0.005 it does not fire."""

    def find(text: Text, rule: Rule) -> Iterator[Finding]:
        value = amount(text)
        if value >= 0.005:
            yield Finding(rule, None, value, f"{value:.2f}{shown}")

    return found(name, weight, summary, find)


def lines(name: str, weight: float, summary: str, where: Callable[[Text], Iterable[int]]) -> Test:
    """Return a test that fires on each of some lines."""
    return found(name, weight, summary, lambda text, rule: (Finding(rule, line) for line in where(text)))


def length(name: str, weight: float, words: int) -> Test:
    """Return the test of a text's length: its amount is the number of doublings of `words`, at most 4."""

    def beyond(text: Text) -> float:
        return min(4.0, math.log2(max(1.0, text.size / words)))

    return measured(name, weight, f"doublings of the length beyond {words} words (at most 4 count)", beyond)


def long_sentences(weight: float) -> Test:
    """Return the test of long sentences."""

    def where(text: Text) -> list[int]:
        sentences = text.reading.sentences
        return [sentences[number].line for number in text.prose if len(sentences[number]) > LONG_SENTENCE]

    return lines("long-sentence", weight, f"a sentence of more than {LONG_SENTENCE} words", where)


def walls(weight: float) -> Test:
    """Return the test of long paragraphs."""
    return lines(
        "wall-of-text",
        weight,
        f"a paragraph or item of more than {WALL} words",
        lambda text: [block.line for block in text.reading.blocks if block.words > WALL],
    )
