"""What an edit of a text is, and the three forms that most edits have: put, take away, say otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from trimtab.providers.rewriter.prose.draft import PROSE, Block, Draft, capitalised

__all__ = ["CONCERNS", "Addition", "Concern", "TextEdit", "addition", "filled", "removal", "substitution", "text_edit"]

Concern = Literal[
    "vividness",
    "engagement",
    "precision",
    "brevity",
    "depth",
    "clarity",
    "initiative",
    "control",
    "economy",
    "latency",
    "thrift",
    "help",
    "caution",
    "candour",
]
CONCERNS: tuple[Concern, ...] = (
    *("vividness", "engagement", "precision", "brevity", "depth", "clarity", "initiative", "control", "economy"),
    *("latency", "thrift", "help", "caution", "candour"),
)

Rng = np.random.Generator
Find = Callable[[Draft], Sequence[Any]]
Apply = Callable[[Draft, Any, Rng], Draft | None]

_SLOT = re.compile(r"\{(\w+)\}(?: (is|[a-z]{2,9}s)\b)?")
_PLURAL = {"is": "are", "was": "were", "has": "have"} | {
    f"{verb}s": verb
    for verb in (
        *("behave", "belong", "change", "come", "decide", "depend", "fail", "follow", "get", "look", "matter", "mean"),
        *("need", "refer", "stay"),
    )
}
_ARTICLE = re.compile(r"(?<![\w'’-])([Aa])n?\s$")
#: Fewest words that a removal leaves.
FEWEST = 25


@dataclass(frozen=True, slots=True)
class TextEdit:
    """One kind of change to a text.

    Parameters
    ----------
    name
        Stable identifier.
    concerns
        What it serves.
    summary
        What it does, as an instruction.
    words
        Beginnings of words whose presence in the instruction makes it likelier.
    find
        Places in a draft where it applies.
    apply
        The draft with the change at one place; None where a closer look shows that it does not apply.
    careless
        True where it buys one concern with truth, safety or what was there.
    reach
        Most places that one answer changes.
    weight
        Base rate within its concerns.
    growth
        True where it makes the text longer by a sentence or more, False where it makes it shorter by as much.
    """

    name: str
    concerns: tuple[Concern, ...]
    summary: str
    words: tuple[str, ...]
    find: Find
    apply: Apply
    careless: bool = False
    reach: int = 1
    weight: float = 1.0
    growth: bool | None = None


def text_edit(
    name: str,
    concerns: tuple[Concern, ...],
    summary: str,
    *words: str,
    find: Find,
    careless: bool = False,
    reach: int = 1,
    weight: float = 1.0,
    growth: bool | None = None,
) -> Callable[[Apply], TextEdit]:
    """Make a `TextEdit` of the function that applies it."""

    def build(apply: Apply) -> TextEdit:
        return TextEdit(name, concerns, summary, words, find, apply, careless, reach, weight, growth)

    return build


def _slots(draft: Draft, rng: Rng) -> dict[str, str]:
    """Return what can stand in the slots of a template."""
    subjects = list(draft.subjects[:6]) or ["this"]
    order = rng.permutation(len(subjects))
    one, other = subjects[int(order[0])], subjects[int(order[-1])]
    return {
        "subject": one,
        "other": other if other != one else "the rest",
        "missing": str(rng.choice(draft.missing[:4])) if draft.missing else one,
        "few": str(int(rng.integers(2, 6))),
        "number": str(int(rng.integers(3, 15))),
        "dozens": str(int(rng.integers(2, 9)) * 10),
        "percent": str(int(rng.integers(51, 98))),
    }


def filled(template: str, draft: Draft, rng: Rng) -> str:
    """Return a template with its slots filled: what the text is about, what the task misses in it, and numbers."""
    slots = _slots(draft, rng)

    def fill(slot: re.Match[str]) -> str:
        put, verb = slots[slot[1]], slot[2] or ""
        several = put.endswith("s") and not put.endswith(("ss", "us", "is"))
        return f"{put} {_PLURAL.get(verb, verb) if several else verb}" if verb else put

    return _SLOT.sub(fill, template)


def _telling(template: str) -> str:
    """Return the longest piece of a template that its slots do not change, in small letters."""
    return max(re.split(r"\{\w+\}", template), key=len).strip().lower()


def _compiled(pattern: str) -> re.Pattern[str] | None:
    return re.compile(pattern, re.IGNORECASE) if pattern else None


@dataclass(frozen=True, slots=True)
class Addition:
    """Sentences that an edit may add.

    Parameters
    ----------
    where
        ``"block"``: to a paragraph, item or step; ``"end"``: as the last paragraph or item; ``"start"``: before the
        first sentence; ``"list"``: as the last item of the last list, at the end where there is none.
    unless
        What a block (for ``"block"``) or the text (otherwise) must not hold, as a pattern.
    only
        What the text must hold.
    field
        What the text or its task must hold.
    near
        What the block must hold, for ``"block"``.
    templates
        With slots, see `filled`. Each is used once in a text.
    """

    where: Literal["block", "end", "start", "list"]
    unless: str
    templates: tuple[str, ...]
    only: str = ""
    field: str = ""
    near: str = ""

    def edit(self, **about: Any) -> TextEdit:
        """Return the edit that adds one of the sentences."""
        unless, near = _compiled(self.unless), _compiled(self.near)
        only, field = _compiled(self.only), _compiled(self.field)

        def fresh(draft: Draft) -> list[str]:
            return [template for template in self.templates if _telling(template) not in draft.lower]

        def find(draft: Draft) -> list[int]:
            strange = (only and not only.search(draft.lower)) or (field and not field.search(draft.about))
            if strange or not fresh(draft):
                return []
            if self.where != "block":
                return [] if unless and unless.search(draft.lower) else [-1]
            return [
                number
                for number in draft.of_kind(*PROSE)
                if not (unless and unless.search(draft.blocks[number].text))
                and (not near or near.search(draft.blocks[number].text))
            ]

        def apply(draft: Draft, site: int, rng: Rng) -> Draft | None:
            # A missing subject is spoken of only where the task has one that the text does not.
            usable = [t for t in fresh(draft) if draft.missing or "{missing}" not in t]
            if not usable:
                return None
            said = capitalised(filled(str(rng.choice(usable)), draft, rng))
            if self.where == "block":
                return appended(draft, site, said)
            if self.where == "start":
                return _begun(draft, said)
            return _ended(draft, said, in_list=self.where == "list")

        return TextEdit(find=find, apply=apply, growth=True, **about)


def appended(draft: Draft, number: int, sentence: str) -> Draft:
    """Return the draft with a sentence at the end of a block."""
    text = draft.blocks[number].text.rstrip()
    end = "" if text.rstrip('"”’)]*_').endswith((".", "!", "?", ":", "…")) or not text else "."
    return draft.with_text(number, f"{text}{end} {sentence}".strip())


def _begun(draft: Draft, sentence: str) -> Draft:
    """Return the draft with a sentence before its first."""
    for number in draft.of_kind(*PROSE):
        if draft.blocks[number].kind == "paragraph":
            return draft.with_text(number, f"{sentence} {draft.blocks[number].text}")
        return draft.inserted(number, Block("paragraph", "", sentence, True))
    return draft.inserted(len(draft.blocks), Block("paragraph", "", sentence, True))


def _ended(draft: Draft, sentence: str, *, in_list: bool) -> Draft:
    """Return the draft with a sentence at its end, as an item where it ends with a list or one is wanted."""
    listed = draft.of_kind("item", "step")
    if listed and (in_list or listed[-1] == len(draft.blocks) - 1):
        last = draft.blocks[listed[-1]]
        return draft.inserted(listed[-1] + 1, Block(last.kind, last.lead, sentence, False))
    prose = draft.of_kind("paragraph")
    if in_list and prose:
        return appended(draft, prose[-1], sentence)
    return draft.inserted(len(draft.blocks), Block("paragraph", "", sentence, True))


def with_article(before: str, after: str) -> str:
    """Return the two joined, with "a" or "an" at the end of the first as the second needs it."""
    article = _ARTICLE.search(before)
    if article is None or not after[:1].isalpha():
        return f"{before}{after}"
    n = "n" if after[0].lower() in "aeiou" and not after.lower().startswith(("use", "uni", "one", "eu")) else ""
    return f"{before[: article.end(1)]}{n}{before[article.end() - 1 :]}{after}"


def addition(table: Mapping[str, Any]) -> TextEdit:
    """Return the edit that a table of ``edits.toml`` describes under ``add``."""
    own = ("where", "unless", "templates", "only", "field", "near")
    given = {key: table[key] for key in own if key in table}
    given["templates"] = tuple(given["templates"])
    return Addition(**given).edit(**_about(table, own))


def removal(table: Mapping[str, Any]) -> TextEdit:
    """Return the edit that a table describes under ``remove``: it leaves out a sentence that holds a pattern."""
    pattern = re.compile(table["pattern"], re.IGNORECASE)
    keep = _compiled(table.get("keep", ""))

    def find(draft: Draft) -> list[tuple[int, int]]:
        return [
            (number, position)
            for number, position, sentence in draft.sentences
            if pattern.search(sentence) and not (keep and keep.search(sentence))
        ]

    def apply(draft: Draft, site: tuple[int, int], rng: Rng) -> Draft | None:
        shorter = draft.with_sentence(*site, "")
        return shorter if shorter.words >= FEWEST else None

    return TextEdit(find=find, apply=apply, growth=False, **_about(table, ("pattern", "keep")))


def substitution(table: Mapping[str, Any]) -> TextEdit:
    """Return the edit that a table describes under ``substitute``: it puts phrases in the place of others.

    A phrase stands between word boundaries, in capitals or not; what is put in its place keeps its capital. Several
    phrases in its place, parted by ``|``, are drawn from. Where the place stays empty, a comma after it goes too.
    """
    pairs: Mapping[str, str] = table["pairs"]
    unless = _compiled(table.get("unless", ""))
    longest = sorted(pairs, key=lambda phrase: (-len(phrase), phrase))
    pattern = re.compile(
        r"(?<![\w'’-])(" + "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in longest) + r")(?![\w'’-])",
        re.IGNORECASE,
    )

    def find(draft: Draft) -> list[tuple[int, int]]:
        return [
            (number, position)
            for number, position, sentence in draft.sentences
            if not (unless and unless.search(sentence)) and pattern.search(sentence)
        ]

    def apply(draft: Draft, site: tuple[int, int], rng: Rng) -> Draft | None:
        sentence = draft.blocks[site[0]].sentences[site[1]]
        places = list(pattern.finditer(sentence))
        place = places[int(rng.integers(len(places)))]
        put = pairs.get(" ".join(place[0].lower().split()))
        if put is None:
            return None  # a letter that only Unicode takes for the same
        choices = put.split("|")
        new = filled(choices[int(rng.integers(len(choices)))], draft, rng)
        before, after = sentence[: place.start()], sentence[place.end() :]
        if not new:
            after = after.lstrip(",;").lstrip(" ")
        changed = with_article(before, f"{new}{after}")
        if not any(map(str.isalnum, before)):
            changed = before + capitalised(changed[len(before) :])
        return draft.with_sentence(*site, changed) if any(map(str.isalnum, changed)) else None

    return TextEdit(find=find, apply=apply, **_about(table, ("pairs", "unless")))


def _about(table: Mapping[str, Any], own: Sequence[str]) -> dict[str, Any]:
    about = {key: value for key, value in table.items() if key not in own}
    about["concerns"] = tuple(about["concerns"])
    about["words"] = tuple(about.get("words", ()))
    return about
