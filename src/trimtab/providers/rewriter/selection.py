"""Which edits, how many, and where: one draw of changes to one program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimtab.providers.rewriter.edits import EDITS, FAMILIES, Edit, Family
from trimtab.providers.rewriter.instruction import Affinities
from trimtab.providers.rewriter.patch import Patch, compatible, compose, importable
from trimtab.providers.rewriter.program import Program, parse

__all__ = [
    "DEFAULT_TEMPERATURE",
    "LARGEST",
    "LINE_BUDGET",
    "LONGEST",
    "MORE_TRIES",
    "MOST_EDITS",
    "Change",
    "change_program",
    "edit_count",
    "opportunities",
    "sharpened",
]

DEFAULT_TEMPERATURE = 0.7
#: Most edits in one answer.
MOST_EDITS = 6
#: How often a model that found nothing to do looks again before it returns the program as it is.
MORE_TRIES = 3
#: Non-blank lines from which on additions become rarer and removals likelier.
LINE_BUDGET = 90
#: No change makes a program longer than this many lines, or adds to one that already is.
LONGEST = 320
#: The same in characters.
LARGEST = 16_000


@dataclass(frozen=True, slots=True)
class Change:
    """A program after an answer's edits.

    Parameters
    ----------
    source
        The new program; the old one where nothing could be changed.
    edits
        What was done, in the order of the draws.
    """

    source: str
    edits: tuple[Edit, ...]


def opportunities(program: Program) -> dict[str, Sequence[Any]]:
    """Return for each edit that applies somewhere the places where it does."""
    return {edit.name: sites for edit in EDITS if (sites := edit.find(program))}


def edit_count(temperature: float, rng: np.random.Generator) -> int:
    """Draw the number of edits to try: 1 + Poisson(2.2 T), at most `MOST_EDITS`."""
    return min(MOST_EDITS, 1 + int(rng.poisson(2.2 * max(0.0, temperature))))


def _size_factor(edit: Edit, length: int) -> float:
    """Return how the length of the program, in lines, changes the weight of an edit."""
    excess = max(0.0, (length - LINE_BUDGET) / 40)
    if edit.growth is True:
        return math.exp(-1.8 * excess)
    if edit.growth is False:
        return 1 + 3 * excess
    return math.exp(-0.7 * excess) if edit.family == "feature" else 1.0


class _Urn:
    """The edits that apply to a program, to be drawn one after the other without replacement."""

    def __init__(self, sites: dict[str, Sequence[Any]], wanted: Affinities, length: int, temperature: float) -> None:
        self._tau = min(3.0, max(0.2, temperature / DEFAULT_TEMPERATURE))
        self._shares = sharpened([wanted.families[family] for family in FAMILIES], self._tau)
        self._weighed: dict[Family, list[tuple[Edit, float]]] = {family: [] for family in FAMILIES}
        for edit in EDITS:
            found = len(sites.get(edit.name, ()))
            if found:
                # A second place counts half as much as the first: n / (n + 1), scaled to 1 at n = 1.
                weight = 2 * found / (found + 1) * wanted.weight(edit) * _size_factor(edit, length)
                self._weighed[edit.family].append((edit, weight))

    def draw(self, rng: np.random.Generator) -> Edit | None:
        """Draw a family by its share, then whether it finds something to do, then what.

        The less a family has left, the more often nothing is found: w / (w + 1) with w its total weight.
        """
        weighed = self._weighed[FAMILIES[int(rng.choice(len(FAMILIES), p=self._shares))]]
        total = sum(weight for _, weight in weighed)
        if not rng.random() < total / (total + 1):
            return None
        shares = sharpened([weight for _, weight in weighed], self._tau)
        return weighed.pop(int(rng.choice(len(weighed), p=shares)))[0]


def sharpened(weights: Sequence[float], tau: float) -> Any:
    """Return probabilities proportional to w^(1 / tau)."""
    logits = np.log(np.maximum(weights, 1e-12)) / tau
    raised = np.exp(logits - logits.max())
    return raised / raised.sum()


def _patches(
    program: Program, edit: Edit, sites: Sequence[Any], taken: list[Patch], rng: np.random.Generator
) -> list[Patch]:
    """Return compatible patches of one edit, at up to as many places as it reaches."""
    reach = 1 + int(rng.integers(edit.reach))
    made: list[Patch] = []
    for position in rng.permutation(len(sites)):
        if len(made) == reach:
            break
        patch = edit.apply(program, sites[int(position)], rng)
        if patch is None or not all(importable(program, statement) for statement in patch.imports):
            continue
        if compatible([*taken, *made], patch):
            made.append(patch)
    return made


def _fits(program: Program, source: str) -> bool:
    """Return whether a new source stays within the bounds, or does not add to one that is beyond them."""
    lines, before = source.count("\n"), program.source.count("\n")
    return lines <= max(LONGEST, before) and len(source) <= max(LARGEST, len(program.source))


def change_program(program: Program, wanted: Affinities, temperature: float, rng: np.random.Generator) -> Change:
    """Draw and apply edits to a program.

    The edits are drawn one after the other without replacement from those that apply to the program as it was given,
    and put into it together; one that touches what another changes is left out.
    """
    sites = opportunities(program)
    urn = _Urn(sites, wanted, program.length, temperature)
    patches: list[Patch] = []
    done: list[Edit] = []
    source = program.source
    wished = edit_count(temperature, rng)
    for attempt in range(wished + MORE_TRIES):
        if attempt >= wished and done:
            break
        edit = urn.draw(rng)
        if edit is None:
            continue
        new = _patches(program, edit, sites[edit.name], patches, rng)
        if not new:
            continue
        changed = compose(program, [*patches, *new])
        if _fits(program, changed):
            patches += new
            done.append(edit)
            source = changed
    tree = parse(source) if done else program.tree
    if tree is None or not tree.body:
        # Two edits that are sound alone may clash in a way nobody foresaw; a broken program is a failure only by
        # declaration, so the program stays as it was.
        return Change(program.source, ())
    return Change(source, tuple(done))
