"""Which edits, how many, and where: one draw of changes to one text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimtab.providers.rewriter.prose.draft import Draft
from trimtab.providers.rewriter.prose.edits import CONCERNS, TEXT_EDITS, Concern, TextEdit
from trimtab.providers.rewriter.prose.wish import Wish
from trimtab.providers.rewriter.selection import DEFAULT_TEMPERATURE, MORE_TRIES, edit_count, sharpened

__all__ = ["LARGEST_TEXT", "WORD_BUDGET", "TextChange", "change_text"]

#: Words from which on additions become rarer and removals likelier.
WORD_BUDGET = 200
_BUDGET_SCALE = 90
#: No change makes a text longer than this many characters, or adds to one that is longer already.
LARGEST_TEXT = 8_000


@dataclass(frozen=True, slots=True)
class TextChange:
    """A text after an answer's edits, and what was done, in order."""

    text: str
    edits: tuple[TextEdit, ...]


def _size_factor(edit: TextEdit, words: int) -> float:
    """Return how the length of the text changes the weight of an edit."""
    excess = max(0.0, (words - WORD_BUDGET) / _BUDGET_SCALE)
    if edit.growth is True:
        return math.exp(-1.4 * excess)
    return 1 + 2 * excess if edit.growth is False else 1.0


class _Urn:
    """The edits that apply to a draft, to be drawn one after the other without replacement."""

    def __init__(self, draft: Draft, wish: Wish, temperature: float) -> None:
        self._tau = min(3.0, max(0.2, temperature / DEFAULT_TEMPERATURE))
        self._shares = sharpened([wish.concerns[concern] for concern in CONCERNS], self._tau)
        self._weighed: dict[Concern, dict[str, tuple[TextEdit, float]]] = {concern: {} for concern in CONCERNS}
        for edit in TEXT_EDITS:
            found = len(edit.find(draft))
            if found:
                # A second place counts half as much as the first: n / (n + 1), scaled to 1 at n = 1.
                weight = 2 * found / (found + 1) * wish.weight(edit) * _size_factor(edit, draft.words)
                for concern in edit.concerns:
                    self._weighed[concern][edit.name] = edit, weight

    def draw(self, rng: np.random.Generator) -> TextEdit | None:
        """Draw a concern by its share, then whether it finds something to do, then what.

        The less a concern has left, the more often nothing is found: w / (w + 3) with w its total weight.
        """
        weighed = list(self._weighed[CONCERNS[int(rng.choice(len(CONCERNS), p=self._shares))]].values())
        total = sum(weight for _, weight in weighed)
        if not rng.random() < total / (total + 3):
            return None
        shares = sharpened([weight for _, weight in weighed], self._tau)
        drawn = weighed[int(rng.choice(len(weighed), p=shares))][0]
        for held in self._weighed.values():
            held.pop(drawn.name, None)
        return drawn


def _applied(draft: Draft, edit: TextEdit, rng: np.random.Generator) -> Draft | None:
    """Return the draft after one edit at up to as many places as it reaches, None where it does not apply after all."""
    reach = 1 + int(rng.integers(edit.reach))
    changed = None
    for _ in range(reach):
        current = changed or draft
        sites: Sequence[Any] = edit.find(current)
        new = edit.apply(current, sites[int(rng.integers(len(sites)))], rng) if sites else None
        if new is None or not new.text.strip() or len(new.text) > max(LARGEST_TEXT, len(draft.text)):
            break
        changed = new
    return changed


def change_text(draft: Draft, wish: Wish, temperature: float, rng: np.random.Generator) -> TextChange:
    """Draw and apply edits to a text, one after the other, each to what the former made of it."""
    urn = _Urn(draft, wish, temperature)
    done: list[TextEdit] = []
    wished = edit_count(temperature, rng)
    for attempt in range(wished + MORE_TRIES):
        if attempt >= wished and done:
            break
        edit = urn.draw(rng)
        changed = _applied(draft, edit, rng) if edit is not None else None
        if edit is not None and changed is not None and changed.text != draft.text:
            draft = changed
            done.append(edit)
    return TextChange(draft.text, tuple(done))
