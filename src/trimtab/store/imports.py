"""What a store remembers of the files that were imported into it: what was left out, and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trimtab.core.trajectories import Exclusion

__all__ = ["IMPORTS", "has_imports", "import_entry", "remembered"]

IMPORTS = "imports"
"""The key of an experiment's settings under which its imports are listed."""


def import_entry(
    file: str, exclusions: Sequence[Exclusion], notes: Sequence[str], scorer: str | None
) -> dict[str, Any]:
    """Return one import as JSON values."""
    return {
        "file": file,
        "scorer": scorer,
        "exclusions": [[e.reason, e.count, e.unit, list(e.examples)] for e in exclusions],
        "notes": list(notes),
    }


def has_imports(settings: Mapping[str, Any]) -> bool:
    """Tell whether settings list imports as `import_entry` makes them, or none at all."""
    imports = settings.get(IMPORTS, [])
    return isinstance(imports, list) and all(map(_is_entry, imports))


def _is_entry(value: object) -> bool:
    match value:
        case {"file": str(), "scorer": str() | None, "exclusions": [*exclusions], "notes": [*notes]}:
            return all(map(_is_exclusion, exclusions)) and all(isinstance(note, str) for note in notes)
    return False


def _is_exclusion(value: object) -> bool:
    match value:
        case [str(), int(), str(), [*examples]]:
            return all(isinstance(example, str) for example in examples)
    return False


def remembered(settings: Mapping[str, Any]) -> tuple[tuple[Exclusion, ...], tuple[str, ...]]:
    """Return what all imports left out, alike reasons added up, and what they assumed, each sentence once.

    >>> one = import_entry("a.csv", [Exclusion("no session id", 2, "rows")], ["One strategy."], None)
    >>> exclusions, notes = remembered({"imports": [one, one]})
    >>> [str(exclusion) for exclusion in exclusions], notes
    (['4 rows: no session id'], ('One strategy.',))
    """
    found: dict[tuple[str, str], Exclusion] = {}
    notes: dict[str, None] = {}
    for entry in settings.get(IMPORTS, ()):
        for reason, count, unit, examples in entry["exclusions"]:
            known = found.get((reason, unit))
            new = Exclusion(reason, count, unit, tuple(examples)) if known is None else known
            found[reason, unit] = new if known is None else replace(known, count=known.count + count)
        notes.update(dict.fromkeys(entry["notes"]))
        if entry["scorer"]:
            notes[f"Texts were scored by {entry['scorer']!r} at the import."] = None
    return tuple(found.values()), tuple(notes)
