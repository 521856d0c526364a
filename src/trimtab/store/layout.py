"""Recognise the layout of a table, and which of its columns may be objectives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError
from trimtab.store.columns import REPEAT_COLUMNS, Columns, Layout, is_ignored
from trimtab.store.parts import Parts, parts_of
from trimtab.store.source import Profile, Ref, Source

__all__ = ["STATUS_WORDS", "Candidates", "candidates_of"]

STATUS_WORDS = frozenset({"ok", "unscored", "failed"})
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be an objective.

    Parameters
    ----------
    made
        The candidates, and which columns, keys or names are judgements of them.
    refs
        Where the values are: one for each part of a candidate, or the one value column of a long table.
    status
        The text column that tells failed from unscored, for those that have one.
    repeat
        The column that tells repeated judgements apart, where there is one.
    """

    layout: Layout
    made: Parts
    refs: tuple[Ref, ...]
    status: Mapping[Ref, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    repeat: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The candidates, in order."""
        return self.made.names


def candidates_of(
    source: Source, columns: Columns, wanted: Sequence[str] | None, judgements: Mapping[str, Sequence[str]]
) -> Candidates:
    """Return the candidates of `source`, or just the `wanted` ones; with an empty `wanted` no score is read at all.

    A table is *long* if it has the columns for objective and value and the former names objectives, of the *scores*
    layout if its scores column holds objects, and *wide* otherwise.

    Parameters
    ----------
    judgements
        For some objectives, the columns (or keys, or names in the objective column) that hold their judgements.

    Raises
    ------
    InputError
        If the table fits two layouts, holds nothing numeric, or lacks a wanted objective or a judgement.
    """
    used = {part for name in wanted or judgements for part in judgements.get(name, (name,))}
    repeat = _repeat_column(source, columns, used)
    return replace(_candidates(source, columns, wanted, judgements, repeat), repeat=repeat)


def _repeat_column(source: Source, columns: Columns, used: Collection[str]) -> str | None:
    if columns.repeat is not None:
        return columns.repeat
    # Without numbered iterations, a row that repeats an iteration cannot be told from the next one.
    if columns.iteration not in source.names:
        return None
    taken = columns.known | {columns.objective, columns.value, columns.scores} | set(used)
    open_names = {name.strip().lower(): name for name in reversed(source.names) if name not in taken}
    for ref in (Ref(open_names[name]) for name in REPEAT_COLUMNS if name in open_names):
        profile = source.profile([ref])[ref]
        if profile.mostly_numeric and not profile.boolean:
            return ref.column
    return None


def _candidates(
    source: Source,
    columns: Columns,
    wanted: Sequence[str] | None,
    judgements: Mapping[str, Sequence[str]],
    repeat: str | None,
) -> Candidates:
    if wanted is not None and not wanted:
        return Candidates("wide", Parts(), ())
    there = set(source.names)
    keys = source.keys(columns.scores) if columns.scores in there else None
    long = columns.objective in there and columns.value in there and _names_objectives(source, columns)
    if keys is not None and long:
        raise InputError(
            f"{source.origin} fits two layouts: {columns.scores!r} holds objects, and there are the columns "
            f"{columns.objective!r} and {columns.value!r} of a long table; rename or drop one of them"
        )
    mapped = columns.mapped()
    if not long and len({"objective", "value"} & mapped.keys()) == 1:
        role, other = ("value", columns.objective) if "value" in mapped else ("objective", columns.value)
        raise InputError(
            f"{source.origin}: {role} is the column {mapped[role]!r}, but a long table also needs {other!r}, "
            f"naming the objective and its value; it has {', '.join(map(repr, source.names))}"
        )
    if long:
        return _long(source, columns, wanted, judgements)
    asked = {part for name in wanted or judgements for part in judgements.get(name, (name,))}
    if keys is not None and (not asked or asked & set(keys) or not asked <= there):
        return _scores(source, columns, keys, wanted, judgements)
    return _wide(source, columns, wanted, judgements, repeat)


def _names_objectives(source: Source, columns: Columns) -> bool:
    # Two numeric columns that merely happen to be called objective and value are two scores of a wide table, unless
    # an iteration has several rows that differ in their objective: then its whole numbers stand for names.
    ref = Ref(columns.objective)
    if not source.profile([ref])[ref].mostly_numeric or {"objective", "value"} <= columns.mapped().keys():
        return True
    place = [name for name in (columns.session, columns.strategy, columns.iteration) if name in source.names]
    if columns.iteration not in place:
        return False
    found, _ = source.read(list(dict.fromkeys([*place, columns.objective])), [])
    named = [word or "" for word in found[columns.objective].tolist()]
    if not all(word.strip().removeprefix("-").isdecimal() for word in dict.fromkeys(named) if word.strip()):
        return False
    places = list(zip(*(found[name].tolist() for name in place), strict=True))
    return len(set(places)) < len(set(zip(places, named, strict=True)))


def _status_of(source: Source, column: str) -> bool:
    found, _ = source.read([column], [])
    words = {None if word is None else str(word).strip().lower() for word in dict.fromkeys(found[column].tolist())}
    return bool(words - {None}) and words - {None, ""} <= STATUS_WORDS


def _too_many(names: Sequence[str], origin: str) -> None:
    if len(names) > _MOST:
        raise InputError(f"{origin} has {len(names):,} objectives; at most {_MOST:,} can be inferred, so name yours")


def _long(
    source: Source, columns: Columns, wanted: Sequence[str] | None, judgements: Mapping[str, Sequence[str]]
) -> Candidates:
    found, _ = source.read([columns.objective], [])
    names = list(dict.fromkeys(name.strip() for name in dict.fromkeys(found[columns.objective].tolist()) if name))
    names = [name for name in names if name]
    if not names:
        raise InputError(f"{source.origin} names no objective in its column {columns.objective!r}")
    made = parts_of(names, names, wanted, judgements, source.origin)
    _too_many(made.parts, source.origin)
    ref = Ref(columns.value)
    status = {ref: "status"} if "status" in source.names and _status_of(source, "status") else {}
    return Candidates("long", made, (ref,), status, made.notes)


def _scores(
    source: Source,
    columns: Columns,
    keys: Sequence[str],
    wanted: Sequence[str] | None,
    judgements: Mapping[str, Sequence[str]],
) -> Candidates:
    there = [key for key in keys if key.strip()]
    exclusions: tuple[Exclusion, ...] = ()
    profiles: dict[Ref, Profile] = {}
    if wanted is None:
        _too_many(there, source.origin)
        profiles = source.profile([Ref(columns.scores, key) for key in there])
        empty = [ref.name for ref in profiles if not profiles[ref].numeric]
        there = [ref.name for ref in profiles if profiles[ref].numeric]
        if empty:
            exclusions = (Exclusion("without a single number", len(empty), "objectives", tuple(empty[:3])),)
    made = parts_of(there, keys, wanted, judgements, source.origin)
    _too_many(made.parts, source.origin)
    refs = [Ref(columns.scores, key) for key in made.parts]
    profiles |= source.profile([ref for ref in refs if ref not in profiles])
    _require_numbers(source, [ref for ref in refs if not profiles[ref].numeric])
    if not refs:
        raise InputError(f"{source.origin} holds no number in its column {columns.scores!r}")
    return Candidates("scores", made, tuple(refs), {}, (*made.notes, *_conversions(refs, profiles)), exclusions)


def _wide(
    source: Source,
    columns: Columns,
    wanted: Sequence[str] | None,
    judgements: Mapping[str, Sequence[str]],
    repeat: str | None,
) -> Candidates:
    notes: list[str] = []
    if wanted is None:
        open_names = [name for name in source.names if name not in columns.known | {columns.scores, "meta", repeat}]
        profiles = source.profile([Ref(name) for name in open_names])
        judged = {part for parts in judgements.values() for part in parts}
        numeric = {ref.name for ref in profiles if profiles[ref].mostly_numeric}
        ignored = [name for name in open_names if name in numeric - judged and is_ignored(name)]
        candidates = [name for name in open_names if name in numeric | judged and name not in ignored]
        if not candidates:
            named = ", ".join(map(repr, ignored))
            hint = f"; {named} can be named with --objective (or objectives=)" if ignored else ""
            raise InputError(
                f"{source.origin} holds no score: it needs a numeric column for each objective, or the columns "
                f"{columns.objective!r} and {columns.value!r}, or a column {columns.scores!r} of objects, "
                f"but has {', '.join(map(repr, source.names))}{hint}"
            )
        _too_many(candidates, source.origin)
        if ignored:
            notes.append(
                f"Not taken for objectives because of their names: {', '.join(ignored)}. "
                "Name them with --objective (or objectives=) if they are."
            )
        beside = [name for name in open_names if name not in numeric | judged and not name.endswith("_status")]
        if beside:
            notes.append(f"Not taken for objectives because they hold no numbers: {', '.join(beside)}.")
        made = parts_of(candidates, open_names, None, judgements, source.origin)
        refs = [Ref(name) for name in made.parts]
    else:
        there = [name for name in source.names if name not in columns.known]
        made = parts_of(there, there, wanted, judgements, source.origin)
        refs = [Ref(name) for name in made.parts]
        profiles = source.profile(refs)
    _require_numbers(source, [ref for ref in refs if not profiles[ref].numeric])
    status = {
        ref: f"{ref.name}_status"
        for ref in refs
        if f"{ref.name}_status" in source.names and _status_of(source, f"{ref.name}_status")
    }
    notes += [*made.notes, *_conversions(refs, profiles)]
    return Candidates("wide", made, tuple(refs), status, tuple(notes))


def _require_numbers(source: Source, empty: Sequence[Ref]) -> None:
    for ref in empty:
        examples = ", ".join(source.examples(ref)) or "nothing at all"
        raise InputError(f"{source.origin} has no number in {ref.name!r}, which holds {examples}")


def _conversions(refs: Sequence[Ref], profiles: Mapping[Ref, Profile]) -> list[str]:
    notes = []
    truths = [ref.name for ref in refs if profiles[ref].boolean]
    words = [ref.name for ref in refs if profiles[ref].words]
    if truths:
        notes.append(f"True and false were read as 1 and 0 in: {', '.join(truths)}.")
    if words:
        notes.append(f"Numbers written as text were read as numbers in: {', '.join(words)}.")
    return notes
