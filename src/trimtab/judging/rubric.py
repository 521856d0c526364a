"""Rubrics: what a judge is to look at for one objective, with examples of what the ends of the scale mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.core.objectives import Objective
from trimtab.errors import InputError

__all__ = ["Rubric", "rubric_from_table", "rubrics_by_objective"]

_KEYS = ("text", "anchors", "low", "high", "direction")
_LONGEST_TEXT = 4_000
_MOST_ANCHORS = 11


@dataclass(frozen=True, slots=True)
class Rubric:
    """How one objective is judged.

    Parameters
    ----------
    objective
        What is judged; both ends of its scale are finite.
    text
        What counts, in words for the judge. At most 4,000 characters.
    anchors
        Values of the scale, each with a description of an artefact that deserves it. At most 11.

    Raises
    ------
    InputError
        If any of that does not hold, or an anchor lies outside of the scale.
    """

    objective: Objective
    text: str
    anchors: tuple[tuple[float, str], ...] = ()

    def __post_init__(self) -> None:
        name, objective = self.objective.name, self.objective
        if not objective.bounded:
            raise InputError(f"the rubric of {name!r} needs a scale with two finite ends, but got {objective}")
        if not self.text.strip() or len(self.text) > _LONGEST_TEXT:
            raise InputError(
                f"the rubric of {name!r} needs a text of 1 to {_LONGEST_TEXT:,} characters, "
                f"but it has {len(self.text):,}"
            )
        if len(self.anchors) > _MOST_ANCHORS:
            raise InputError(
                f"the rubric of {name!r} can have {_MOST_ANCHORS} anchors at most, but has {len(self.anchors):,}"
            )
        for value, said in self.anchors:
            if not objective.low <= value <= objective.high:
                raise InputError(
                    f"the rubric of {name!r} has an anchor at {value:g}, outside of its scale from {objective.low:g} "
                    f"to {objective.high:g}"
                )
            if not said.strip() or len(said) > _LONGEST_TEXT:
                raise InputError(
                    f"the anchor at {value:g} of the rubric of {name!r} needs a text of 1 to {_LONGEST_TEXT:,} "
                    f"characters, but it has {len(said):,}"
                )

    def to_table(self) -> dict[str, Any]:
        """Return it as `rubric_from_table` reads it."""
        one = self.objective
        return {
            "text": self.text,
            "anchors": {f"{value:g}": said for value, said in self.anchors},
            "low": one.low,
            "high": one.high,
            "direction": one.direction,
        }


def rubric_from_table(name: str, table: Any, origin: str) -> Rubric:
    """Build a rubric from a table such as ``[judge.rubrics.NAME]`` in a TOML file.

    Parameters
    ----------
    table
        With ``text`` and, if wanted, ``anchors`` (a table from numbers to texts), and ``low``, ``high`` and
        ``direction`` of the objective; by default 0, 10 and ``"max"``.
    origin
        Where the table is, for messages.

    Raises
    ------
    InputError
        If the table has a missing, unknown or unusable key.
    """
    where = f"{origin}.{name}"
    if not isinstance(table, Mapping):
        raise InputError(f"{where} should be a table with a text, but is {type(table).__name__}")
    if unknown := [str(key) for key in table if key not in _KEYS]:
        raise InputError(f"{where} has the unknown key {unknown[0]!r:.80}; known are {', '.join(_KEYS)}")
    text, anchors = table.get("text"), table.get("anchors", {})
    if not isinstance(text, str):
        raise InputError(f"{where} needs a text: what a judge is to look at for {name}")
    if not isinstance(anchors, Mapping) or not all(isinstance(said, str) for said in anchors.values()):
        raise InputError(f'{where}.anchors should be a table from numbers to texts, as in 0 = "Nobody understands it."')
    low, high = (_number(table.get(end, default), f"{where}.{end}") for end, default in (("low", 0), ("high", 10)))
    pairs = sorted((_number(value, f"{where}.anchors"), said.strip()) for value, said in anchors.items())
    try:
        return Rubric(Objective(name, low, high, table.get("direction", "max")), text.strip(), tuple(pairs))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _number(value: object, where: str) -> float:
    """Return a number that TOML gives as one, or as the text that keys of tables are."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where} should be a finite number, but is {value!r:.80}")
    return number


def rubrics_by_objective(rubrics: Iterable[Rubric]) -> dict[str, Rubric]:
    """Return rubrics by the name of their objective, later ones in the place of earlier ones of the same name."""
    return {rubric.objective.name: rubric for rubric in rubrics}
