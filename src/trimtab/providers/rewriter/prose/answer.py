"""From a message that holds a text to what a model might have answered."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from trimtab.providers.rewriter.failures import draw_failure
from trimtab.providers.rewriter.fences import blocks, clean, fence_for
from trimtab.providers.rewriter.phrases import opening
from trimtab.providers.rewriter.prose.draft import LONGEST_TEXT, Draft
from trimtab.providers.rewriter.prose.edits import BROUGHT_IN, TextEdit
from trimtab.providers.rewriter.prose.selection import change_text
from trimtab.providers.rewriter.prose.wish import wish_of

__all__ = ["TEXT_TAGS", "FoundText", "answer_text", "find_text"]

#: Tags of fences that hold text to be edited.
TEXT_TAGS = ("text", "txt", "plain", "plaintext", "markdown", "md", "rst", "prose")

_CURRENT = re.compile(r"^## Current text[ \t]*+\n\s*+^(?P<mark>`{3,}+|~{3,}+)(?P<info>[^`\n]*+)$\n?", re.MULTILINE)
_TASK = re.compile(r"^## Task[ \t]*\n(?P<task>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_PROGRAM = re.compile(r"^## Current program\b", re.MULTILINE)

_OPENINGS = (
    "Here is the revised text.",
    "I went over the text and changed the following.",
    "Below is the new version.",
    "Sure, this is the text as I would put it now.",
    "I have reworked it as asked.",
)
_CLOSINGS = (
    "Let me know if you would like me to go further.",
    "I kept the rest as it was.",
    "Please check facts and figures before you use it.",
)
_REFUSALS = (
    "Before I change anything, could you say who is going to read this? That decides how far to go.",
    "The text looks reasonable to me as it is. I would suggest showing it to a few readers first.",
    "I'm sorry, but I am not able to revise this text without knowing more about its purpose.",
)
_ELIDED = "[The rest of the text stays as it was.]"


@dataclass(frozen=True, slots=True)
class FoundText:
    """The text of a message.

    Parameters
    ----------
    language
        The tag of its fence.
    around
        The message without it: the instruction.
    headed
        Whether the heading says that it is a text.
    """

    text: str
    language: str
    around: str
    headed: bool


def find_text(message: str) -> FoundText | None:
    """Return the text that a message asks to have edited, None where it holds none.

    It is the fenced block below the heading ``## Current text``; where several follow such a heading, the one with the
    longest fence, because the others then lie inside of it. Without that heading it is the last block if its tag names
    text, or it has no tag, and nothing is said of a program.
    """
    message = clean(message)
    openings = list(_CURRENT.finditer(message))
    if openings:
        first = max(openings, key=lambda found: len(found["mark"]))
        body = message[first.end() :]
        closing = re.compile(rf"^{first['mark']}[ \t]*$", re.MULTILINE)
        ends = [found.start() for found in closing.finditer(body)]
        text, rest = (body[: ends[-1]], body[ends[-1] + len(first["mark"]) :]) if ends else (body, "")
        around = f"{message[: first.start()]}\n{rest}"
        return FoundText(text.removesuffix("\n"), _tag(first["info"]), around, headed=True)
    found = [block for block in blocks(message) if block.text.strip()]
    if not found or _PROGRAM.search(message) or found[-1].language not in ("", *TEXT_TAGS):
        return None
    last = found[-1]
    lines = message.split("\n")
    return FoundText(last.text, last.language, "\n".join([*lines[: last.first], *lines[last.last + 1 :]]), headed=False)


def _tag(info: str) -> str:
    words = info.split()
    return words[0].strip("{}.").lower() if words else ""


def answer_text(
    found: FoundText,
    parts: tuple[tuple[str, float], ...],
    temperature: float,
    failure_rate: float,
    rng: np.random.Generator,
) -> tuple[str, str]:
    """Return an answer to a request for a new version of a text, and its finish reason.

    Parameters
    ----------
    parts
        The texts of the request that are read for their words, with their weights.
    failure_rate
        Probability that the answer is cut off, leaves out the end, gives no text, or the text unchanged.
    """
    failure = draw_failure(failure_rate, rng)
    if failure == "prose":
        return str(rng.choice(_REFUSALS)), "stop"
    if found.language not in ("", *TEXT_TAGS):
        return _layout(
            found, found.text, f"I can revise prose only, so I return this {found.language} as it is.", rng
        ), "stop"
    text = found.text
    edits: tuple[TextEdit, ...] = ()
    if failure != "unchanged" and text.strip() and len(text) <= LONGEST_TEXT:
        asked = _TASK.search(found.around)
        draft = Draft.read(text, asked["task"] if asked else "", BROUGHT_IN)
        change = change_text(draft, wish_of(parts), temperature, rng)
        if change.edits:
            text, edits = change.text, change.edits
    said = opening(_OPENINGS, edits, "text", rng)
    if failure == "truncated":
        kept = text[: int(len(text) * rng.uniform(0.3, 0.9))]
        return f"{said}\n\n{fence_for(text)}{found.language or 'text'}\n{kept}", "length"
    if failure == "syntax":
        kept = text[: int(len(text) * rng.uniform(0.4, 0.8))].rstrip()
        text = f"{kept}\n\n{_ELIDED}"
    return _layout(found, text, said, rng), "stop"


def _layout(found: FoundText, text: str, said: str, rng: np.random.Generator) -> str:
    style = rng.random()
    mark = "~" if style < 0.05 else "`"
    tag = "" if 0.05 <= style < 0.15 else found.language or "text"
    fence = fence_for(text, mark)
    parts = [said, f"{fence}{tag}\n{text.rstrip(chr(10))}\n{fence}"]
    if rng.random() < 0.4:
        parts.append(str(rng.choice(_CLOSINGS)))
    return "\n\n".join(parts)
