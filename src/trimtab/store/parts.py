"""Which columns, keys or names of a source hold judgements of which objective."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trimtab.errors import InputError

__all__ = ["Parts", "checked_judgements", "families", "parts_of"]

# Longer names are not looked at: a pattern may take the square of their length.
_LONGEST = 100
_NUMBERED = re.compile(
    r"(?P<stem>.*?[^_ .-])(?P<word>[_ .-]+(?:judge[_ -]?(?:repeat|rep)|judge?ment|judge|repeat|rep)[_ .-]*)"
    r"(?P<number>[0-9]{1,4})",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Parts:
    """Objectives and what they are made of.

    Parameters
    ----------
    names
        (C,) The objectives.
    parts
        (P,) What they are called in the source, those of one objective together and in the order of its judgements.
    owner
        (P,) Position of each part's objective.
    notes
        What was assumed.
    """

    names: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    owner: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, members: Mapping[str, Sequence[str]], notes: Iterable[str] = ()) -> Parts:
        """Return what `members`, the parts of each objective, come to."""
        owner = [c for c, parts in enumerate(members.values()) for _ in parts]
        flat = [part for parts in members.values() for part in parts]
        return cls(tuple(members), tuple(flat), tuple(owner), tuple(notes))

    @property
    def several(self) -> bool:
        """True where an objective has more than one part."""
        return len(self.parts) > len(self.names)

    @property
    def places(self) -> tuple[int, ...]:
        """(P,) Which judgement of its objective each part is: 0, 1, ..."""
        starts: dict[int, int] = {}
        return tuple(p - starts.setdefault(c, p) for p, c in enumerate(self.owner))


def checked_judgements(given: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Return which columns the caller says are judgements of which objective.

    Raises
    ------
    InputError
        If an objective has no name or fewer than two columns, or a column is named twice.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(
            "judgements need a mapping of objectives to their columns, such as {'quality': ['judge_a', 'judge_b']}, "
            f"but got {type(given).__name__}"
        )
    found: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    for name, columns in given.items():
        members = () if isinstance(columns, str) else tuple(columns)
        if not str(name).strip() or len(members) < 2 or not all(isinstance(m, str) and m for m in members):
            raise InputError(
                f"judgements need an objective and two or more of its columns, as in quality=judge_a,judge_b, "
                f"but got {name!r} with {columns!r}"
            )
        for member in members:
            if member in owner:
                raise InputError(
                    f"judgements need distinct columns, but {member!r} is named for {owner[member]!r} and for {name!r}"
                )
            owner[member] = str(name)
        found[str(name)] = members
    return found


def families(names: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the judgements that names tell, by objective, and those that are unclear.

    ``quality_rep0`` and ``quality_rep1`` are judgements of ``quality``, and so are ``quality_judge_1``, ... : the same
    stem and word (rep, repeat, judge, judge_rep, judgement), and two or more numbers that follow one another from 0 or
    1 on. It is unclear where the stem is a name itself, or has such names of two kinds.

    >>> families(["q_rep0", "q_rep1", "speed_judge_1", "p", "p_rep1", "p_rep2"])
    ({'q': ('q_rep0', 'q_rep1')}, {'p': ('p_rep1', 'p_rep2')})
    """
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name) if len(name) <= _LONGEST else None
        if match:
            key = match["stem"], match["word"]
            found.setdefault(key, []).append((int(match["number"]), name))
    there = set(names)
    clear: dict[str, tuple[str, ...]] = {}
    unclear: dict[str, tuple[str, ...]] = {}
    for (stem, _), numbered in found.items():
        numbered.sort()
        first = numbered[0][0]
        if len(numbered) < 2 or first > 1 or [k for k, _ in numbered] != [*range(first, first + len(numbered))]:
            continue
        members = tuple(name for _, name in numbered)
        if stem in there or stem in clear or stem in unclear:
            unclear[stem] = (*clear.pop(stem, ()), *unclear.get(stem, ()), *members)
        else:
            clear[stem] = members
    return clear, unclear


def parts_of(
    candidates: Sequence[str],
    there: Sequence[str],
    wanted: Sequence[str] | None,
    given: Mapping[str, Sequence[str]],
    origin: str,
) -> Parts:
    """Return the objectives of a source.

    Parameters
    ----------
    candidates
        What may be an objective, or a judgement of one, where nothing is said.
    there
        All that may be named.
    wanted
        The objectives asked for, or None for all.
    given
        The judgements of some objectives, as the caller says; for others, their names tell.

    Raises
    ------
    InputError
        If something is asked for that is not there.
    """
    _require([part for parts in given.values() for part in parts], there, origin, "nothing")
    if wanted is None:
        return _all(candidates, given)
    for name in given:
        if name not in wanted:
            raise InputError(
                f"judgements are given for {name!r}, which is none of the objectives asked for, {', '.join(wanted)}"
            )
    clear, _ = families(there)
    members: dict[str, Sequence[str]] = {}
    for name in wanted:
        members[name] = given[name] if name in given else (name,) if name in there else clear.get(name, (name,))
    _require([part for parts in members.values() for part in parts], there, origin, "no objective")
    told = {name: clear[name] for name in wanted if name in clear and members[name] == clear[name]}
    return Parts.of(members, _told(told))


def _all(candidates: Sequence[str], given: Mapping[str, Sequence[str]]) -> Parts:
    said = {part: name for name, parts in given.items() for part in parts}
    rest = [name for name in candidates if name not in said]
    clear, unclear = families(rest)
    clear = {name: parts for name, parts in clear.items() if name not in given}
    told = {part: name for name, parts in clear.items() for part in parts}
    members: dict[str, Sequence[str]] = {}
    notes = []
    for name in candidates:
        if name in said:
            members.setdefault(said[name], given[said[name]])
        elif name in told:
            members.setdefault(told[name], clear[told[name]])
        elif name in given:
            notes.append(f"{name!r} itself is not read, because its judgements are named: {_listed(given[name])}.")
        else:
            members[name] = [name]
    for name, parts in given.items():
        members.setdefault(name, parts)
    notes += _told(clear)
    notes += [
        f"{_listed(parts)} look like judgements of {name!r}, but {name!r} is there as well or is judged in two ways, "
        f"so each was taken for an objective; to say otherwise give --judgements {name}=COLUMN,COLUMN (or judgements=)."
        for name, parts in unclear.items()
        if name not in given
    ]
    return Parts.of(members, notes)


def _told(clear: Mapping[str, Sequence[str]]) -> list[str]:
    if not clear:
        return []
    shown = "; ".join(f"{name} ({_listed(parts)})" for name, parts in clear.items())
    return [
        f"Taken for repeated judgements of one objective because of their names: {shown}. "
        "To say otherwise name the objectives with --objective (or objectives=)."
    ]


def _listed(parts: Sequence[str], most: int = 4) -> str:
    shown = ", ".join(map(repr, parts[:most]))
    return shown if len(parts) <= most else f"{shown} and {len(parts) - most:,} more"


def _require(names: Sequence[str], there: Sequence[str], origin: str, what: str) -> None:
    known = set(there)
    absent = [name for name in names if name not in known]
    if absent:
        raise InputError(
            f"{origin} has {what} called {', '.join(map(repr, absent))}; it has "
            f"{_listed(there, 30) if there else 'no numeric column'}"
        )
