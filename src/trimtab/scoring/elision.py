"""Lines by which an answer leaves a part of the text out: "[The rest of the article stays the same.]"."""

from __future__ import annotations

import re

__all__ = ["elision"]

_LONGEST = 160
_TEXT = (
    r"(?:text|document|draft|article|post|essay|story|letter|message|e-?mail|answer|reply|response|plan|report|content"
    r"|version|original|section|paragraph|part|chapter|step|item|code|file|program|query|script|function|class)s?"
)
_REST = (
    r"(?:(?:and|all|the|of|your) ){0,3}(?:rest|remainder|remaining|others?|everything else|existing|previous|earlier)"
)
_SAME = (
    r"(?:unchanged|unaltered|untouched|unmodified|identical|(?:stays?|remains?|is|are|kept|keep) the same|same as"
    r"|as (?:it|they) (?:was|were|is|are|stands?)|as (?:before|above|is)|as in the original|omitted"
    r"|not (?:shown|repeated))"
)
_DOTS = re.compile(r"\.\.\.|…")
_MARKS = " \t[](){}<>!-/*_#%;…."

# What stands in square brackets or a comment is no part of the text; in round ones, in italics or after dots it may be.
_ASIDE = re.compile(r"\[|\{|<!--|//|/\*")
_COMMENT = re.compile(r"#|--|%|;")
_PERHAPS = re.compile(r"\(|[*_](?! )|\.\.\.|…")

_OF_ANYTHING = re.compile(rf"(?:{_REST}|(?:the )?{_TEXT})\b.{{0,80}}\b{_SAME}\b", re.IGNORECASE)
_OF_THE_TEXT = re.compile(
    rf"{_REST}(?: of)?(?: \w+){{0,3}} {_TEXT}\b.{{0,60}}\b{_SAME}(?: (?:as before|(?:as )?in (?:the|your) \w+|here))?",
    re.IGNORECASE,
)
_TRAILING_OFF = re.compile(rf"(?:{_REST}|continue(?:s| with)?)\b(?: \w+){{0,4}} {_TEXT}\b", re.IGNORECASE)


def elision(text: str, current: str = "", *, comments: bool = False) -> tuple[int, str] | None:
    """Return the first line of `text` that stands for what it leaves out, with its number from 1; None without one.

    Parameters
    ----------
    current
        The text in force: a line that it has as well stands for nothing.
    comments
        True where ``#``, ``--``, ``%`` and ``;`` begin comments, as in programs.
    """
    before = frozenset(map(str.strip, current.split("\n")))
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        if 0 < len(line) <= _LONGEST and line not in before and _leaves_out(line, comments):
            return number, line
    return None


def _leaves_out(line: str, comments: bool) -> bool:
    said = line.strip(_MARKS)
    if _ASIDE.match(line) or (comments and _COMMENT.match(line)):
        found = _OF_ANYTHING.match(said)
    elif _PERHAPS.match(line):
        found = _OF_THE_TEXT.fullmatch(said)
    else:
        return False
    return found is not None or (_DOTS.search(line) is not None and _TRAILING_OFF.match(said) is not None)
