"""Speed, thoroughness and interpretability of a piece of reasoning, as far as its form shows them."""

from __future__ import annotations

from trimtab.scoring.lexical.rules import (
    counted,
    each,
    judged,
    length,
    lines,
    long_sentences,
    measured,
    tally,
    walls,
)
from trimtab.scoring.lexical.text import Text

__all__ = ["INTERPRETABILITY", "SPEED", "THOROUGHNESS"]

_EARLY = 2
_MANY_STEPS = 6


def _answers_first(text: Text) -> list[int]:
    early = set(text.first_sentences(_EARLY))
    return [hit.line for hit in text.hits("answer", "summary") if hit.sentence in early][:1]


def _steps(text: Text) -> tuple[float, int | None]:
    steps = [block.line for block in text.reading.blocks if block.kind == "step"]
    return len(steps), next(iter(steps), None)


def _items(text: Text) -> tuple[float, int | None]:
    items = [block.line for block in text.reading.blocks if block.kind in ("item", "step")]
    return len(items), next(iter(items), None)


def _headings(text: Text) -> tuple[float, int | None]:
    headings = [block.line for block in text.reading.blocks if block.kind == "heading"]
    return len(headings), next(iter(headings), None)


def _further_steps(text: Text) -> list[int]:
    steps = [block.line for block in text.reading.blocks if block.kind in ("item", "step")]
    return steps[_MANY_STEPS:]


def _unexplained(text: Text) -> list[int]:
    seen: dict[str, int] = {}
    for word, line in text.reading.capitals:
        if word not in text.reading.explained:
            seen.setdefault(word, line)
    return list(seen.values())


def _nested(text: Text) -> list[int]:
    return [sentence.line for sentence in text.reading.sentences if sentence.nested >= 2]


SPEED = judged(
    "speed",
    *(6.5, 3.5, 7.0),
    lines("answer-first", 1.5, f"the answer or recommendation stands in the first {_EARLY} sentences", _answers_first),
    measured(
        *("short-sentences", 1.2, "sentences short on average, from 24 words (none) to 10 (all)"),
        lambda text: min(1.0, max(0.0, (24 - text.sentence_length) / 14)) if text.prose else 0.0,
    ),
    each("time-box", 0.4, "a time limit", "time-box"),
    counted("parallel", 0.5, 2, "things are done side by side", "parallel"),
    length("length", -1.6, 80),
    lines("many-steps", -0.3, f"a step or item beyond the first {_MANY_STEPS}", _further_steps),
    counted("hedge", -0.9, 4, "words that take back what is said", "hedge"),
    counted("filler", -1.2, 4, "words that say nothing", "filler"),
    each("restatement", -0.6, "something is said again in other words", "restatement"),
    each("detour", -0.7, "a digression", "detour"),
    each("alternative", -0.4, "another way is gone into", "alternative"),
    counted("rework", -1.0, 4, "something is done again", "rework"),
    measured("redundancy", -3.0, "share of runs of four words that occurred before", lambda text: text.redundancy),
    long_sentences(-0.3),
)

THOROUGHNESS = judged(
    "thoroughness",
    *(1.5, 7.5, 5.0),
    tally("steps", 1.6, 5, "numbered steps", _steps),
    counted("sequence", 0.9, 4, "words of order: first, then, finally", "sequence"),
    counted("reason", 1.4, 4, "reasons: because, since, therefore", "reason"),
    each("check", 0.6, "something is checked, measured or compared", "check"),
    counted("case", 1.2, 3, "cases are told apart: if, unless, otherwise", "case"),
    each("alternative", 0.6, "another way is considered", "alternative"),
    each("assumption", 0.6, "an assumption is named", "assumption"),
    each("example", 0.4, "an example", "example"),
    tally("figure", 0.8, 5, "numbers", lambda text: (len(text.reading.figures), None)),
    measured("on-topic", 1.6, "share of the task's terms that it speaks of", lambda text: text.coverage),
    measured(
        *("substance", 1.5, "length without what is repeated, up to 250 words"),
        lambda text: min(1.0, text.size * (1 - text.redundancy) / 250),
    ),
    each("leap", -0.7, "a step is skipped: obviously, of course", "leap"),
    each("vague", -0.3, "something is left open: etc., somehow, things", "vague"),
    lines("repeated-sentence", -1.0, "a sentence stands there twice", lambda text: text.repeated),
    measured(
        *("lost-content", -2.5, "share of the starting text's terms that are gone, beyond a quarter"),
        lambda text: max(0.0, text.lost - 0.25),
    ),
)

INTERPRETABILITY = judged(
    "interpretability",
    *(3.0, 6.5, 6.0),
    tally("heading", 1.2, 2, "headings", _headings),
    tally("listed", 1.2, 4, "items and steps of lists", _items),
    counted("reason", 1.3, 4, "reasons: because, since, therefore", "reason"),
    counted("sequence", 1.0, 4, "words of order: first, then, finally", "sequence"),
    each("definition", 0.5, "it says what a word means", "definition"),
    each("example", 0.5, "an example", "example"),
    each("assumption", 0.4, "an assumption is named", "assumption"),
    lines(
        *("summary", 0.7, "a summary, once"),
        lambda text: [hit.line for hit in text.hits("summary")][:1],
    ),
    measured(
        *("short-sentences", 1.2, "sentences short on average, from 26 words (none) to 12 (all)"),
        lambda text: min(1.0, max(0.0, (26 - text.sentence_length) / 14)) if text.prose else 0.0,
    ),
    long_sentences(-0.6),
    walls(-0.8),
    measured(
        *("long-words", -1.4, "share of words of twelve letters or more, from 3% to 15%"),
        lambda text: min(1.0, max(0.0, (text.long_words - 0.03) / 0.12)),
    ),
    lines("nested", -0.35, "a sentence with two brackets or semicolons or more", _nested),
    lines("unexplained-abbreviation", -0.35, "an abbreviation without a bracket that explains it", _unexplained),
    each("leap", -0.6, "a step is skipped: obviously, of course", "leap"),
    counted("figurative", -0.8, 3, "figures of speech", "figurative"),
    length("length", -0.6, 200),
)
