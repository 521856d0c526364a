"""Creativity, accuracy and engagement: what the wording of a text suggests about them."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.scoring.evidence import Finding, Rule
from trimtab.scoring.lexical.rules import (
    counted,
    each,
    found,
    judged,
    lines,
    long_sentences,
    measured,
    tally,
    walls,
)
from trimtab.scoring.lexical.text import Text

__all__ = ["ACCURACY", "CREATIVITY", "ENGAGEMENT", "anonymous_authority", "bare_statistics", "sources"]

_SHORT_OPENING = 12


def _within(value: float, low: float, high: float) -> float:
    """Return how far `value` is on the way from `low` to `high`, 0 to 1."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _first_line(text: Text, wanted: bool) -> int | None:
    first = next(iter(text.first_sentences(1)), None)
    return text.reading.sentences[first].line if wanted and first is not None else None


def _opens_with_scene(text: Text) -> list[int]:
    opening = set(text.first_sentences(1))
    line = _first_line(text, bool(opening & text.sentences_with("figurative", "story", "sensory", "vivid")))
    return [line] if line is not None else []


def _hooks(text: Text) -> list[int]:
    for number in text.first_sentences(1):
        sentence = text.reading.sentences[number]
        if sentence.asks or len(sentence) <= _SHORT_OPENING:
            return [sentence.line]
    return []


def _lists(text: Text) -> float:
    blocks = len(text.reading.blocks)
    return _within(text.reading.count("item", "step") / blocks, 0.4, 0.9) if blocks > 3 else 0.0


def anonymous_authority(text: Text, rule: Rule) -> Iterator[Finding]:
    """Find experts and studies without a name, in sentences that neither name a source nor say that it is missing."""
    sourced = text.sentences_with("source", "open-point")
    hits = (hit for hit in text.hits("authority") if hit.sentence not in sourced)
    return (Finding(rule, hit.line, detail=repr(hit.text)) for hit in hits)


def bare_statistics(text: Text, rule: Rule) -> Iterator[Finding]:
    """Find statistics on lines that neither name a source nor say that it is missing."""
    vouched = {hit.line for hit in text.hits("source", "open-point", "estimate")}
    return (Finding(rule, line, detail=repr(said[:40])) for said, line in text.statistics if line not in vouched)


def sources(text: Text, rule: Rule) -> Iterator[Finding]:
    """Find sentences that name a source, those that only leave room for one aside."""
    open_points = text.sentences_with("open-point")
    seen: set[int] = set()
    for hit in text.hits("source"):
        if hit.sentence not in open_points and hit.sentence not in seen:
            seen.add(hit.sentence)
            yield Finding(rule, hit.line, detail=repr(hit.text))


def figures(text: Text) -> tuple[float, int | None]:
    """Return how many numbers there are, and the line of the first."""
    numbers = text.reading.figures
    return len(numbers), numbers[0][1] if numbers else None


CREATIVITY = judged(
    "creativity",
    *(2.5, 6.5, 5.0),
    each("figure-of-speech", 0.7, "a comparison, an image, an invitation to imagine", "figurative"),
    counted("vivid-verb", 1.6, 4, "verbs that show something happening", "vivid"),
    counted("senses", 1.2, 4, "words for what is seen, heard, smelt or felt", "sensory"),
    measured(
        *("varied-words", 2.2, "different words among fifty in a row, from a share of 0.65 (none) to 0.9 (all)"),
        lambda text: _within(text.variety, 0.65, 0.9),
    ),
    measured(
        *("varied-rhythm", 1.4, "sentences of different lengths: their spread over their mean, from 0.2 to 0.8"),
        lambda text: _within(text.rhythm, 0.2, 0.8),
    ),
    lines("opening-scene", 0.7, "the first sentence opens with a scene or an image", _opens_with_scene),
    counted("story", 0.9, 3, "something that happens to somebody", "story"),
    each("cliche", -0.7, "a worn-out phrase", "cliche"),
    each("boilerplate", -0.6, "a phrase that fits every text", "boilerplate"),
    counted("filler", -1.2, 4, "words that say nothing", "filler"),
    lines("same-opening", -0.35, "a sentence begins like the one before", lambda text: text.openings()),
    lines("repeated-sentence", -1.0, "a sentence stands there twice", lambda text: text.repeated),
    measured("mostly-lists", -1.2, "lists instead of prose, from 40% of the blocks to 90%", _lists),
    counted("officialese", -0.9, 3, "warnings and disclaimers between the lines", "disclaimer", "open-point"),
)

ACCURACY = judged(
    "accuracy",
    *(4.0, 6.0, 6.0),
    tally("figure", 1.3, 4, "numbers instead of adjectives", figures),
    found("source", 0.7, "a source is named", sources),
    each("flagged-gap", 0.3, "it says that a source or a check is missing", "open-point"),
    each("definition", 0.5, "it says what a word means", "definition"),
    counted("scope", 1.2, 3, "it says how far a claim goes", "scope"),
    each("check", 0.5, "something is checked, measured or compared", "check"),
    each("evaluation", 0.5, "quality is evaluated on known cases", "evaluation"),
    each("second-look", 0.4, "a second pass or model looks again", "second-pass"),
    each("full-input", 0.4, "the input is used at full size", "large-model"),
    measured("on-topic", 1.6, "share of the task's terms that it speaks of", lambda text: text.coverage),
    measured(
        *("lost-content", -2.5, "share of the starting text's terms that are gone, beyond a quarter"),
        lambda text: max(0.0, text.lost - 0.25),
    ),
    each("absolute", -0.5, "a claim without exceptions", "absolute"),
    each("exaggeration", -0.5, "a word that is too big", "exaggeration"),
    counted("vague-quantity", -1.2, 3, "quantities without a number", "vague"),
    found("anonymous-authority", -0.8, "experts or studies without a name", anonymous_authority),
    found("bare-statistic", -0.35, "a statistic without a source", bare_statistics),
    each("figurative", -0.25, "a figure of speech where a fact could stand", "figurative"),
    each("coarse-input", -0.35, "input or model are cut down", "reduction", "small-model", "early-exit"),
)

ENGAGEMENT = judged(
    "engagement",
    *(3.0, 6.5, 6.0),
    lines("question", 0.6, "a question to the reader", lambda text: text.questions()),
    counted("address", 1.5, 6, "the reader is spoken to (you, your)", "address"),
    lines("hook", 0.8, f"the first sentence asks, or has at most {_SHORT_OPENING} words", _hooks),
    measured(
        *("short-sentences", 1.4, "sentences short on average, from 24 words (none) to 10 (all)"),
        lambda text: _within(-text.sentence_length, -24, -10) if text.prose else 0.0,
    ),
    counted("story", 1.2, 3, "something that happens to somebody", "story"),
    counted("contrast", 0.9, 4, "a turn: but, yet, unlike", "contrast"),
    each("invitation", 0.5, "an invitation to do or try something", "invitation"),
    each("example", 0.4, "an example", "example"),
    counted("vivid-verb", 0.8, 4, "verbs that show something happening", "vivid"),
    tally(
        *("passive", -1.3, 3, "something is done by nobody"),
        lambda text: (len(text.passives), next(iter(text.passives), None)),
    ),
    counted("hedge", -1.3, 4, "words that take back what is said", "hedge"),
    long_sentences(-0.5),
    walls(-0.7),
    measured(
        *("long-words", -1.3, "share of words of twelve letters or more, from 3% to 15%"),
        lambda text: _within(text.long_words, 0.03, 0.15),
    ),
    counted("filler", -0.9, 4, "words that say nothing", "filler"),
    each("disclaimer", -0.5, "a disclaimer", "disclaimer"),
    tally(
        *("shouting", -1.2, 3, "exclamation marks beyond the first"),
        lambda text: (max(0, len(text.reading.exclamations) - 1), next(iter(text.reading.exclamations[1:]), None)),
    ),
)
