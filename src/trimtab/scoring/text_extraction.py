"""Take a text that is no Python program out of a model's answer: prose, a plan, JSON, a program in another language.

The text is the longest fenced block that says the language asked for; a block that says none counts where it is most
of what was written. Without such a block prose is the whole answer, less the words around it that speak to the reader.
Nothing shows of prose whether it is whole, so an unfenced answer that asks, refuses or is far too short fails; and so
does a text, fenced or not, that says of a part of itself only that it stays as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from trimtab.scoring.elision import elision
from trimtab.scoring.extraction import MAX_ANSWER_CHARACTERS, Extraction
from trimtab.scoring.fences import Block, Kind, next_fence, normalise, opening_of, outdent, strip_thinking
from trimtab.scoring.syntax import MAX_PROGRAM_BYTES

__all__ = ["PROSE", "extract_text", "text_may_be_cut"]

PROSE = frozenset({"", "text", "txt", "plain", "plaintext", "markdown", "md", "rst", "prose"})
"""Names of languages whose texts need no fence to be told from the words around them."""

_ALIASES = (
    PROSE,
    {"javascript", "js", "mjs"},
    {"typescript", "ts"},
    {"bash", "sh", "shell", "zsh"},
    {"yaml", "yml"},
    {"c++", "cpp", "cxx"},
    {"c#", "csharp", "cs"},
    {"rust", "rs"},
    {"ruby", "rb"},
    {"go", "golang"},
    {"html", "htm"},
    {"latex", "tex"},
)
_NESTED_TRIES = 20
_LONGEST_ASIDE = 300
_LONGEST_REFUSAL = 600
_ASIDES = 3

_WHAT = r"(?:text|version|draft|plan|answer|reply|response|article|post|document|message)"
_REVISED = r"(?:revised|rewritten|improved|updated|edited|reworked|shortened|polished)"
_ASSENT = re.compile(r"[*_#> ]*(?:sure|certainly|of course|absolutely|okay|ok|gladly|great)\b[,.!:]", re.IGNORECASE)
_POINTER = re.compile(r"[*_#> ]*(?:here(?:['’]s| is| are)|below is)\b", re.IGNORECASE)
_HEADING = re.compile(rf"[*_#> ]*(?:the |my )?(?:{_REVISED}|new|final|complete) {_WHAT}[*_: ]*", re.IGNORECASE)
_REPORT = re.compile(rf"[*_#> ]*i(?:['’]ve| have) {_REVISED}\b", re.IGNORECASE)
_SAYS_REVISED = re.compile(rf"\b(?:{_REVISED}|version|rewrite|revision)\b", re.IGNORECASE)
_SAYS_WHAT = re.compile(rf"\b{_WHAT}\b", re.IGNORECASE)
_CLOSING = re.compile(
    r"[*_> ]*(?:let me know|please let me know|i hope|hope this|feel free|would you like|if you(?:['’]d| would) like"
    r"|is there anything|do you want me|(?:these|the|my|key|main) (?:changes|edits|revisions)\b"
    r"|i(?:['’]ve| have) (?:kept|made|tried|removed|added|changed|shortened|focused|aimed))",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"[*_> ]*(?:(?:i['’]?m|i am|we['’]re|we are) (?:very )?sorry\b|sorry\b|i apologi[sz]e|unfortunately, i"
    r"|i (?:can(?:not|['’]?t)|could not|couldn['’]t|won['’]?t|will not)\b|(?:i am|i['’]m) (?:not able|unable)\b"
    r"|as an ai\b|before i (?:change|revise|rewrite|start|begin|edit)|(?:could|can|would) you\b"
    r"|please (?:provide|send|share|paste|give)\b|there is no (?:text|draft)\b|no (?:text|draft) was)",
    re.IGNORECASE,
)


def extract_text(answer: str, language: str = "text", current: str = "") -> Extraction:
    """Take the text out of an answer; never raises.

    Parameters
    ----------
    answer
        What the model wrote, at most `MAX_ANSWER_CHARACTERS`.
    language
        What the text is written in, as behind a code fence. Only one of `PROSE`, and JSON, is found without a fence.
    current
        The text in force, which shows how long an answer may be expected to be.
    """
    if len(answer) > MAX_ANSWER_CHARACTERS:
        reason = f"the answer has {len(answer):,} characters; at most {MAX_ANSWER_CHARACTERS:,} are read"
        return Extraction(None, "none", False, reason)
    whole = normalise(answer)
    if not whole.strip():
        return Extraction(None, "none", False, "the answer is empty")
    text = strip_thinking(whole).strip("\n")
    if not text.strip():
        return Extraction(None, "none", False, "the answer holds nothing but thinking")
    language = language.lower()
    prose = language in PROSE
    blocks = [block for block in _outer_blocks(text) if block.text.strip()]
    found = _chosen(blocks, text, language, current)
    if found is not None:
        return _checked(found.text, found.kind, language, current)
    if language == "json" and _problem(text, language) == "":
        return _checked(text, "bare", language, current)
    if not prose:
        if blocks:
            longest = max(blocks, key=lambda block: len(block.text))
            return _checked(longest.text, "other-language-fence", language, current)
        return Extraction(None, "none", False, f"no fenced block of {language} in the answer")
    body = _without_asides(text)
    inner = [block for block in _outer_blocks(body) if block.text.strip()]
    if len(inner) == 1 and not _around(body, inner).strip():
        return _checked(inner[0].text, "other-language-fence", language, current)
    if _REFUSAL.match(body) and len(body) < max(_LONGEST_REFUSAL, len(current) // 2):
        return Extraction(None, "none", False, "the answer refuses, or asks, instead of giving a text")
    if len(body) < min(_LONGEST_ASIDE, len(current) // 2):
        return Extraction(None, "none", False, "the answer holds no fenced block, and is too short for a new version")
    return _checked(body, "bare" if body == text else "prose-trimmed", language, current)


def text_may_be_cut(answer: str, found: Extraction) -> bool:
    """Tell whether the text `found` in an answer that broke off may lack its end, as all do but in a closed fence."""
    if found.method in ("bare", "prose-trimmed", "unterminated-fence"):
        return True
    blocks = _outer_blocks(strip_thinking(normalise(answer)))
    return not blocks or blocks[-1].kind == "unterminated-fence"


def _checked(text: str, method: str, language: str, current: str) -> Extraction:
    text = text.strip("\n") + "\n"
    if len(text.encode(errors="replace")) > MAX_PROGRAM_BYTES:
        return Extraction(None, method, False, f"the text is larger than {MAX_PROGRAM_BYTES // 1024} KB")
    if problem := _problem(text, language):
        return Extraction(text, method, False, problem)
    if left_out := elision(text, current, comments=language not in PROSE):
        number, line = left_out
        return Extraction(text, method, False, f"the answer leaves out a part of the text on line {number}: {line!r}")
    return Extraction(text, method, True, "")


def _problem(text: str, language: str) -> str:
    """Return why a text in a language with a strict form is none, "" where nothing is known against it."""
    if language != "json":
        return ""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"the text is not JSON: {error.msg} on line {error.lineno}"
    except (ValueError, RecursionError) as error:
        return f"the text is not usable JSON ({type(error).__name__})"
    return ""


def _tags(language: str) -> frozenset[str]:
    return frozenset({language}.union(*(names for names in _ALIASES if language in names)))


def _chosen(blocks: Sequence[Block], text: str, language: str, current: str) -> Block | None:
    """Return the longest block that says the language, else the longest that says none and is most of the answer."""
    tags = _tags(language) - {""}
    # Among equals the last: what comes later has been thought about for longer.
    longest_last = sorted(enumerate(blocks), key=lambda pair: (len(pair[1].text), pair[0]), reverse=True)
    for _, block in longest_last:
        if block.tag in tags:
            return block
    for _, block in longest_last:
        if not block.tag:
            enough = min(len(_around(text, blocks).strip()), len(current) // 2)
            return block if len(block.text) >= enough else None
    return None


def _around(text: str, blocks: Sequence[Block]) -> str:
    """Return the lines of `text` outside of `blocks`, their fences aside."""
    lines = text.split("\n")
    for block in reversed(blocks):
        del lines[block.line - 2 : block.line + block.text.count("\n") + (block.kind != "unterminated-fence")]
    return "\n".join(lines)


def _outer_blocks(text: str) -> list[Block]:
    """Return the outermost fenced blocks in order.

    By CommonMark the first bare fence closes a block, whatever opened since. Models that write a document with code in
    it behind fences of one length mean them to nest; so they do here wherever that closes every block.
    """
    lines = text.split("\n")
    blocks, i, tries = [], 0, _NESTED_TRIES
    while i < len(lines):
        opening = opening_of(lines[i])
        if opening is None:
            i += 1
            continue
        indent, fence, tag = opening
        end = next_fence(lines, i + 1, indent, fence)
        if tries and end < len(lines):
            tries -= 1
            end = _balanced_end(lines, i + 1, fence) or end
        body = [outdent(line, indent) for line in lines[i + 1 : end]]
        kind: Kind = "unterminated-fence" if end == len(lines) else "fence" if fence[0] == "`" else "tilde-fence"
        blocks.append(Block("\n".join(body), tag, kind, i + 2))
        i = end + 1
    return blocks


def _balanced_end(lines: Sequence[str], start: int, fence: str) -> int | None:
    """Return the line that closes a block where fences nest, or None where something would stay open."""
    depth = 1
    for i in range(start, len(lines)):
        line = lines[i].strip()
        if not line.startswith(fence):
            continue
        depth += 1 if line.strip(fence[0]) else -1
        if depth == 0:
            return i
    return None


def _without_asides(text: str) -> str:
    """Return an unfenced answer without the paragraphs at its beginning and end that speak to the reader."""
    paragraphs = re.split(r"\n[ \t]*\n", text.strip())
    for _ in range(_ASIDES):
        first = paragraphs[0]
        if "\n" in first and _is_preamble(line := first.partition("\n")[0]) and line.rstrip("* _").endswith(":"):
            paragraphs[0] = first.partition("\n")[2]
        elif len(paragraphs) > 1 and (_is_preamble(first) or _is_rule(first)):
            del paragraphs[0]
        if len(paragraphs) > 1 and (_is_rule(last := paragraphs[-1]) or _is_closing(last)):
            del paragraphs[-1]
    return "\n\n".join(paragraphs).strip()


def _is_preamble(paragraph: str) -> bool:
    if len(paragraph) > _LONGEST_ASIDE:
        return False
    announces, revised = paragraph.rstrip("*_ ").endswith(":"), _SAYS_REVISED.search(paragraph) is not None
    if _ASSENT.match(paragraph):
        return announces or revised
    if _POINTER.match(paragraph):
        return revised or (announces and _SAYS_WHAT.search(paragraph) is not None)
    return (_HEADING.fullmatch(paragraph) or _REPORT.match(paragraph)) is not None


def _is_closing(paragraph: str) -> bool:
    return len(paragraph) <= _LONGEST_ASIDE and _CLOSING.match(paragraph) is not None


def _is_rule(paragraph: str) -> bool:
    return re.fullmatch(r"\s*(?:-{3,}|\*{3,}|_{3,})\s*", paragraph) is not None
