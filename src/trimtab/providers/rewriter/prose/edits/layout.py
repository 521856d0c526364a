"""Edits that need to look at how a text is built: its sentences, steps, lists and headings."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from trimtab.providers.rewriter.prose.draft import Block, Draft, capitalised
from trimtab.providers.rewriter.prose.edits.base import FEWEST, TextEdit, text_edit

__all__ = ["EDITS"]

Rng = np.random.Generator
Place = tuple[int, int]

_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_LONG, _LONG_BLOCK = 22, 70
_JOINT = re.compile(r"(?:;|, (?:and|but|which|while|because|so|although|where))\s+|, (?=\w+ing\b)|: (?=\w)")
_RESULT = re.compile(
    r"\b(?:so the answer|the answer|therefore|conclusion|recommend\w*|result|in the end|verdict)\b", re.I
)
_ORDER = ("First, ", "Next, ", "Then ", "After that, ", "Finally, ")
_ORDERED = re.compile(r"(?:first|next|then|after that|finally|second|third|in short|here|i|what|who)\b", re.IGNORECASE)
_SERIES = re.compile(r":\s++([^.:!?;]{3,400}+)[.!]?\s*+$")
_PASSIVE = re.compile(
    r"^((?:the|a|an|this|these|all|most|many|some)\s[\w\s'-]{2,50}?)\s(?:is|are|was|were)\s(\w{2,20}ed)\sby\s"
    r"((?:the|a|an|our|their|its)\s[\w'-]+(?:\s[\w'-]+)?)(?=[.,;!?]|$|\s(?:and|to|in|on|for|at|with)\b)",
    re.IGNORECASE,
)
_OPENERS = ("Meanwhile, ", "Even so, ", "Look closer and ", "Elsewhere, ", "By then, ", "All at once, ")


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _decapitalised(text: str) -> str:
    """Return `text` with a small first letter, unless its first word looks like a name or abbreviation."""
    first = _WORD.search(text)
    if first is None or first.start() or first[0] == "I" or first[0][1:].lower() != first[0][1:]:
        return text
    return text[0].lower() + text[1:]


def _long_sentences(draft: Draft) -> list[Place]:
    return [
        (number, position)
        for number, position, sentence in draft.sentences
        if len(_words(sentence)) > _LONG and _JOINT.search(sentence, len(sentence) // 4)
    ]


@text_edit(
    "split-sentence", ("clarity", "engagement", "brevity"), "split long sentences",
    "short", "clear", "readab", "sentence", "plain", find=_long_sentences, reach=3, weight=1.3,
)  # fmt: skip
def split_sentence(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """End a sentence at the joint nearest its middle and begin another there."""
    sentence = draft.blocks[site[0]].sentences[site[1]].rstrip()
    joints = [j for j in _JOINT.finditer(sentence) if len(sentence) // 5 < j.start() < 4 * len(sentence) // 5]
    if not joints:
        return None
    joint = min(joints, key=lambda j: abs(j.start() - len(sentence) / 2))
    word, rest = joint[0].strip(" ,;:\n"), sentence[joint.end() :]
    start = {"while": "Meanwhile ", "where": "There ", "although": "Still, ", "because": "The reason: ", "so": "So "}
    first = start.get(word, "")
    if word == "which":
        first = "They " if rest.startswith(("are ", "were ", "have ", "do ")) else "This "
    elif word == "but":
        first = "But "
    return draft.with_sentence(
        *site, f"{sentence[: joint.start()].rstrip()}. {first}{rest if first else capitalised(rest)}"
    )


def _repeats(draft: Draft) -> list[Place]:
    seen: list[frozenset[str]] = []
    found = []
    for number, position, sentence in draft.sentences[:200]:
        words = frozenset(word.lower() for word in _words(sentence) if len(word) > 3)
        if len(words) >= 3 and any(len(words & other) >= 0.7 * len(words) for other in seen):
            found.append((number, position))
        seen.append(words)
    return found


@text_edit(
    "drop-repeat", ("brevity", "economy", "clarity"), "leave out what was said before",
    "redundan", "repeat", "concis", "duplicat", "short", find=_repeats, reach=2, growth=False, weight=1.2,
)  # fmt: skip
def drop_repeat(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """Leave out a sentence most of whose words stand in one before it."""
    shorter = draft.with_sentence(*site, "")
    return shorter if shorter.words >= FEWEST else None


def _runs(draft: Draft) -> list[int]:
    blocks = draft.blocks
    return [
        n
        for n in range(len(blocks) - 1)
        if blocks[n].kind == blocks[n + 1].kind
        and blocks[n].kind in ("item", "step")
        and len(_words(blocks[n].text)) + len(_words(blocks[n + 1].text)) <= 26
    ]


@text_edit(
    "merge-steps", ("brevity", "economy", "latency"), "merge steps",
    "merge", "fewer", "combin", "step", "short", "streamlin", find=_runs, reach=2,
)  # fmt: skip
def merge_steps(draft: Draft, site: int, rng: Rng) -> Draft | None:
    """Make one item of two short ones."""
    one, other = draft.blocks[site], draft.blocks[site + 1]
    text = f"{one.text.rstrip().rstrip('.;,')}, and {_decapitalised(other.text)}"
    return draft.with_blocks((*draft.blocks[:site], replace(one, text=text), *draft.blocks[site + 2 :]))


def _late_result(draft: Draft) -> list[Place]:
    late = [place for place in draft.sentences[2:] if _RESULT.search(place[2])]
    early = any(_RESULT.search(sentence) for _, _, sentence in draft.sentences[:2])
    return [] if early else [(number, position) for number, position, _ in late]


@text_edit(
    "answer-first", ("brevity", "clarity", "help"), "put the answer first",
    "answer", "first", "direct", "speed", "quick", find=_late_result, weight=1.2,
)  # fmt: skip
def answer_first(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """Move the sentence that holds the result before all others."""
    sentence = draft.blocks[site[0]].sentences[site[1]].strip()
    first = draft.sentences[0][0]
    rest = draft.with_sentence(*site, "")
    return rest.inserted(first, Block("paragraph", "", capitalised(sentence), True))


def _last_details(draft: Draft) -> list[Place]:
    return [
        (number, len(block.sentences) - 1) for number, block in enumerate(draft.blocks) if len(block.sentences) >= 4
    ]


@text_edit(
    "drop-detail", ("brevity", "latency", "thrift"), "leave out details",
    "short", "concis", "brief", "lean", "fast", "minim", find=_last_details, careless=True, reach=2, growth=False,
)  # fmt: skip
def drop_detail(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """Leave out the last sentence of a paragraph of four or more."""
    shorter = draft.with_sentence(*site, "")
    return shorter if shorter.words >= FEWEST else None


def _same_openings(draft: Draft) -> list[Place]:
    found = []
    for (before, _, one), (number, position, other) in zip(draft.sentences, draft.sentences[1:], strict=False):
        first, second = _WORD.match(one), _WORD.match(other)
        if before == number and first and second and first[0].lower() == second[0].lower():
            found.append((number, position))
    return found


@text_edit(
    "vary-opening", ("vividness", "engagement"), "begin sentences differently",
    "varied", "variet", "style", "rhythm", "creativ", find=_same_openings, reach=2,
)  # fmt: skip
def vary_opening(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """Put a few words before a sentence that begins like the one before it."""
    sentence = draft.blocks[site[0]].sentences[site[1]]
    return draft.with_sentence(*site, f"{rng.choice(_OPENERS)}{_decapitalised(sentence)}")


def _passives(draft: Draft) -> list[Place]:
    return [(number, position) for number, position, sentence in draft.sentences if _PASSIVE.search(sentence)]


@text_edit(
    "active-voice", ("engagement", "clarity"), "say who does it",
    "active", "lively", "direct", "clear", find=_passives, reach=2,
)  # fmt: skip
def active_voice(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """Turn "the plan was approved by the council" into "the council approved the plan"."""
    sentence = draft.blocks[site[0]].sentences[site[1]]
    found = _PASSIVE.search(sentence)
    if found is None:
        return None
    return draft.with_sentence(
        *site, f"{capitalised(found[3])} {found[2]} {_decapitalised(found[1])}{sentence[found.end() :]}"
    )


def _series(draft: Draft) -> list[tuple[int, int]]:
    return [
        (number, position)
        for number, position, sentence in draft.sentences
        if draft.blocks[number].kind == "paragraph"
        and position == len(draft.blocks[number].sentences) - 1
        and (found := _SERIES.search(sentence))
        and found[1].count(",") >= 2
    ]


@text_edit(
    "list-series", ("clarity", "help"), "make lists of enumerations",
    "list", "structur", "clear", "bullet", "format", "scan", find=_series,
)  # fmt: skip
def list_series(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """Make a list of what follows a colon, item by item."""
    number, position = site
    sentence = draft.blocks[number].sentences[position]
    found = _SERIES.search(sentence)
    if found is None:
        return None
    parts = [re.sub(r"^(?:and|or)\s+", "", part.strip()) for part in found[1].split(",")]
    items = [Block("item", "- ", capitalised(part), False) for part in parts if part]
    headed = draft.with_sentence(number, position, f"{sentence[: found.start()].rstrip()}:")
    return headed.inserted(number + 1, *(replace(item, gap=position_ == 0) for position_, item in enumerate(items)))


def _listable(draft: Draft) -> list[int]:
    return [
        number
        for number, block in enumerate(draft.blocks)
        if block.kind == "paragraph" and 3 <= len(block.sentences) <= 8 and not block.text.startswith(("In short", "#"))
    ]


@text_edit(
    "make-steps", ("clarity", "depth", "help"), "make numbered steps of a paragraph",
    "step", "structur", "list", "instruct", "follow", find=_listable, weight=0.8,
)  # fmt: skip
def make_steps(draft: Draft, site: int, rng: Rng) -> Draft | None:
    """Make the sentences of a paragraph steps, the first aside."""
    first, *rest = draft.blocks[site].sentences
    steps = [Block("step", f"{n}. ", " ".join(text.split()), n == 1) for n, text in enumerate(rest, 1)]
    head = replace(draft.blocks[site], text=first.rstrip())
    return draft.with_blocks((*draft.blocks[:site], head, *steps, *draft.blocks[site + 1 :]))


def _bullets(draft: Draft) -> list[int]:
    items = draft.of_kind("item")
    return [items[0]] if len(items) >= 3 else []


@text_edit(
    "number-steps", ("clarity", "depth"), "number the items of a list",
    "number", "order", "step", "structur", find=_bullets,
)  # fmt: skip
def number_steps(draft: Draft, site: int, rng: Rng) -> Draft | None:
    """Make numbered steps of the items of the first list."""
    blocks = list(draft.blocks)
    for count, number in enumerate(n for n in draft.of_kind("item") if n >= site):
        if count and number - 1 >= 0 and blocks[number - 1].kind != "step":
            break
        indent = blocks[number].lead[: len(blocks[number].lead) - len(blocks[number].lead.lstrip())]
        blocks[number] = replace(blocks[number], kind="step", lead=f"{indent}{count + 1}. ")
    return draft.with_blocks(blocks)


def _headless(draft: Draft) -> list[int]:
    """Return paragraphs above which no heading stands, in texts of several paragraphs."""
    paragraphs = draft.of_kind("paragraph")
    if len(paragraphs) < 2 or len(draft.of_kind("heading")) >= 4:
        return []
    return [
        n
        for n in paragraphs
        if (n == 0 or draft.blocks[n - 1].kind != "heading") and len(_words(draft.blocks[n].text)) > 14
    ]


@text_edit(
    "add-heading", ("clarity",), "add headings",
    "heading", "structur", "section", "readab", "overview", find=_headless, reach=2,
)  # fmt: skip
def add_heading(draft: Draft, site: int, rng: Rng) -> Draft | None:
    """Put a heading above a paragraph: what it speaks of first that no heading names yet."""
    own = Draft((draft.blocks[site],), "", draft.foreign).subjects or draft.subjects
    taken = " ".join(draft.blocks[n].text.lower() for n in draft.of_kind("heading"))
    for subject in own:
        name = subject.removeprefix("the ")
        if name not in taken:
            return draft.inserted(site, Block("heading", "## ", capitalised(name), True))
    return None


@text_edit(
    "drop-heading", ("vividness", "brevity", "engagement"), "leave out headings",
    "flow", "short", "story", find=lambda draft: draft.of_kind("heading")[1:], weight=0.6,
)  # fmt: skip
def drop_heading(draft: Draft, site: int, rng: Rng) -> Draft | None:
    """Leave out a heading other than the first."""
    return draft.with_text(site, "")


def _walls(draft: Draft) -> list[int]:
    return [
        number
        for number in draft.of_kind("paragraph")
        if len(_words(draft.blocks[number].text)) > _LONG_BLOCK and len(draft.blocks[number].sentences) >= 2
    ]


@text_edit(
    "break-paragraph", ("clarity", "engagement"), "break long paragraphs",
    "paragraph", "readab", "structur", "short", find=_walls, reach=2, weight=1.2,
)  # fmt: skip
def break_paragraph(draft: Draft, site: int, rng: Rng) -> Draft | None:
    """Make two paragraphs of one, at the sentence nearest its middle."""
    block = draft.blocks[site]
    half = len(block.sentences) // 2
    one, other = "".join(block.sentences[:half]).rstrip(), "".join(block.sentences[half:])
    return draft.with_blocks(
        (*draft.blocks[:site], replace(block, text=one), Block("paragraph", "", other, True), *draft.blocks[site + 1 :])
    )


def _unordered(draft: Draft) -> list[int]:
    return [
        number
        for number, block in enumerate(draft.blocks)
        if block.kind == "paragraph"
        and len(block.sentences) >= 3
        and not any(_ORDERED.match(sentence) for sentence in block.sentences)
    ]


@text_edit(
    "signpost", ("clarity", "depth"), "say what comes first, next and last",
    "order", "sequence", "structur", "follow", "logic", find=_unordered,
)  # fmt: skip
def signpost(draft: Draft, site: int, rng: Rng) -> Draft | None:
    """Put words of order before the sentences of a paragraph."""
    sentences = draft.blocks[site].sentences[:5]
    marks = (*_ORDER[: len(sentences) - 1], _ORDER[-1])
    said = [f"{mark}{_decapitalised(sentence)}" for mark, sentence in zip(marks, sentences, strict=True)]
    return draft.with_text(site, "".join((*said, *draft.blocks[site].sentences[5:])))


def _calm(draft: Draft) -> list[Place]:
    shouting = sum(sentence.rstrip().endswith("!") for _, _, sentence in draft.sentences)
    if shouting > len(draft.sentences) // 3:
        return []
    return [
        (n, p) for n, p, sentence in draft.sentences if sentence.rstrip().endswith(".") and len(_words(sentence)) < 12
    ]


@text_edit(
    "exclaim", ("engagement",), "add exclamation marks",
    "excit", "energ", "enthus", find=_calm, careless=True, reach=2, weight=0.7,
)  # fmt: skip
def exclaim(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """End a short sentence with an exclamation mark."""
    sentence = draft.blocks[site[0]].sentences[site[1]].rstrip()
    return draft.with_sentence(*site, f"{sentence.rstrip('.')}!")


@text_edit(
    "calm-down", ("precision", "candour", "clarity"), "leave out exclamation marks",
    "sober", "neutral", "exact",
    find=lambda draft: [(n, p) for n, p, sentence in draft.sentences if sentence.rstrip().endswith("!")], reach=3,
)  # fmt: skip
def calm_down(draft: Draft, site: Place, rng: Rng) -> Draft | None:
    """End a sentence with a full stop instead."""
    sentence = draft.blocks[site[0]].sentences[site[1]].rstrip()
    return draft.with_sentence(*site, f"{sentence.rstrip('!')}.")


EDITS: tuple[TextEdit, ...] = (
    *(split_sentence, active_voice, signpost, answer_first, make_steps, number_steps, list_series, add_heading),
    *(break_paragraph, drop_heading, vary_opening, calm_down, exclaim, merge_steps, drop_repeat, drop_detail),
)
