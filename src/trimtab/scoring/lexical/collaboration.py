"""Autonomy, user control and efficiency of a plan that people and an assistant carry out together."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.scoring.evidence import Finding, Rule
from trimtab.scoring.lexical.rules import counted, each, found, judged, length, lines, measured
from trimtab.scoring.lexical.text import Text

__all__ = ["AUTONOMY", "EFFICIENCY", "USER_CONTROL"]

_MANY_STEPS = 8


def _unguarded(text: Text, rule: Rule) -> Iterator[Finding]:
    guarded = text.blocks_with("approval", "undo", "limit")
    seen: set[int] = set()
    for hit in text.hits("irreversible"):
        block = text.block_of(hit)
        if block not in guarded and block not in seen:
            seen.add(block)
            yield Finding(rule, hit.line, detail=repr(hit.text))


def _unapproved(text: Text, rule: Rule) -> Iterator[Finding]:
    approved = text.sentences_with("approval", "choice", "stop", "limit")
    for hit in text.hits("acts-alone"):
        if hit.sentence not in approved or hit.text.startswith("without"):
            yield Finding(rule, hit.line, detail=repr(hit.text))


def _bounded(text: Text) -> list[int]:
    limited = text.sentences_with("limit")
    sentences = text.reading.sentences
    return [sentences[number].line for number in sorted(text.sentences_with("acts-alone") & limited)]


def _further_steps(text: Text) -> list[int]:
    return [block.line for block in text.reading.blocks if block.kind in ("item", "step")][_MANY_STEPS:]


AUTONOMY = judged(
    "autonomy",
    *(4.0, 6.0, 6.0),
    counted("acts-alone", 2.4, 4, "the assistant decides or acts by itself", "acts-alone"),
    each("standing-rule", 0.7, "a rule says what holds unless somebody objects", "standing-rule"),
    counted("initiative", 1.5, 4, "it watches, anticipates, prepares", "initiative"),
    each("fallback", 0.6, "it says what happens when something fails", "fallback"),
    lines("bounded-authority", 0.5, "it acts by itself within a limit", _bounded),
    each("approval", -0.55, "it waits for an approval", "approval"),
    lines("question", -0.4, "a question is put to somebody", lambda text: text.questions()),
    each("manual", -0.6, "people do it by hand", "manual"),
    each("undecided", -0.5, "a decision is left open", "undecided"),
    each("hedge", -0.2, "words that take back what is said", "hedge"),
)

USER_CONTROL = judged(
    "user_control",
    *(3.5, 6.5, 6.5),
    each("approval", 0.7, "the user confirms or approves", "approval"),
    each("choice", 0.5, "the user chooses", "choice"),
    each("undo", 0.8, "it can be undone, or is only a draft", "undo"),
    each("stop", 0.6, "the user can stop, pause or overrule it", "stop"),
    counted("visibility", 1.4, 4, "the user sees what happens: log, preview, notice", "visibility"),
    each("limit", 0.5, "a limit to what it may do", "limit"),
    found("acts-alone", -0.6, "it acts by itself, and nobody can object", _unapproved),
    found("unguarded", -0.7, "something that cannot be taken back, with no approval, limit or undo near", _unguarded),
    each("hidden", -0.8, "it happens where nobody sees it", "hidden"),
    each("forced", -0.8, "the user has no say", "forced"),
)

EFFICIENCY = judged(
    "efficiency",
    *(5.5, 4.5, 7.0),
    counted("automation", 1.2, 3, "work that nobody has to do", "acts-alone", "initiative"),
    counted("reuse", 1.4, 3, "work done once or in batches: templates, defaults", "reuse", "standing-rule"),
    counted("parallel", 0.8, 2, "things are done side by side", "parallel"),
    each("time-box", 0.6, "a time limit", "time-box"),
    counted("handover", -2.2, 5, "somebody waits for somebody else", "handover"),
    each("manual", -0.5, "people do it by hand", "manual"),
    counted("rework", -1.4, 4, "something is done again", "rework"),
    lines("many-steps", -0.3, f"a step or item beyond the first {_MANY_STEPS}", _further_steps),
    length("length", -0.9, 100),
    counted("filler", -0.8, 4, "words that say nothing", "filler"),
    measured("redundancy", -3.0, "share of runs of four words that occurred before", lambda text: text.redundancy),
)
