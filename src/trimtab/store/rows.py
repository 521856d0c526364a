"""The usable rows of a table: sessions, strategies and iterations as codes, and what had to be left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError
from trimtab.store.columns import Columns
from trimtab.store.layout import Candidates
from trimtab.store.source import Numbers, Ref, Source, number_of

__all__ = ["UNNAMED", "Report", "Rows", "codes_of", "read_rows"]

UNNAMED = "unnamed"
"""The strategy of rows that name none."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Objects = NDArray[np.object_]


@dataclass(slots=True)
class Report:
    """What was left out and what was assumed, in the order it was found."""

    exclusions: list[Exclusion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def leave_out(self, reason: str, count: int, unit: str, examples: Sequence[str] = ()) -> None:
        """Count an exclusion, unless there is nothing to count."""
        if count:
            self.exclusions.append(Exclusion(reason, int(count), unit, tuple(examples)))


@dataclass(slots=True)
class Rows:
    """Usable rows in the order of the source: codes into names, one entry per row.

    `objective` is the position of the row's objective among the candidates' parts, in a long table; `repeat` the rank
    of its label among those that tell repeated judgements apart, 0 where it has none.
    """

    at: Ints
    session: Ints
    sessions: list[str]
    strategy: Ints
    strategies: list[str]
    iteration: Ints
    objective: Ints | None
    repeat: Ints | None
    values: Floats
    missing: Bools
    failed: Bools
    labels: dict[str, Objects]


def codes_of(column: Objects) -> tuple[Ints, list[str]]:
    """Return a code per value in order of first appearance, -1 where missing or blank, and the names."""
    values = column.tolist()
    names: dict[str | None, int] = {}
    kept: list[str] = []
    for value in dict.fromkeys(values):
        if value is None or not value.strip():
            names[value] = -1
        else:
            names[value] = len(kept)
            kept.append(value)
    return np.fromiter(map(names.__getitem__, values), dtype=np.int64, count=len(values)), kept


def read_rows(source: Source, columns: Columns, candidates: Candidates, strategy_default: str, report: Report) -> Rows:
    """Read the rows that have a session and an iteration, and count the others in `report`.

    Raises
    ------
    InputError
        If none is left.
    """
    there = set(source.names)
    named = {"task_id": columns.task, "model": columns.model} | (
        {columns.label: columns.label} if columns.label else {}
    )
    labels = {name: column for name, column in named.items() if column in there}
    by_name = columns.strategy in there
    by_number = columns.iteration in there
    long = candidates.layout == "long"
    texts = [columns.session, *labels.values(), *candidates.status.values()]
    texts += [columns.strategy] if by_name else []
    texts += [columns.objective] if long else []
    texts += [] if candidates.repeat is None else [candidates.repeat]
    refs = [*candidates.refs]
    at_iteration = Ref(columns.iteration)
    words, numbers = source.read(list(dict.fromkeys(texts)), [*refs, at_iteration] if by_number else refs)
    # Only now has a reader seen every row.
    report.exclusions[:0] = source.exclusions
    report.notes[:0] = source.notes

    session, sessions = codes_of(words[columns.session])
    total = len(session)
    if not total:
        raise InputError(f"{source.origin} holds no rows")
    keep = session >= 0
    report.leave_out("no session id", total - int(keep.sum()), "rows", _row_names(np.flatnonzero(~keep)))
    if by_name:
        strategy, strategies = codes_of(words[columns.strategy])
    else:
        strategy, strategies = np.zeros(total, dtype=np.int64), [strategy_default]
        report.notes.append(
            f"There is no column {columns.strategy!r}: all rows count as one strategy, {strategy_default!r}."
        )

    objective = None
    if long:
        objective = _objective_codes(words[columns.objective], candidates)
        unnamed = keep & (objective == -1)
        report.leave_out("no objective named", int(unnamed.sum()), "rows", _row_names(np.flatnonzero(unnamed)))
        keep &= objective >= 0
    if by_number:
        truths = _truth_values(source, columns.iteration)
        iteration, usable = _iterations(numbers[at_iteration], truths, keep, words[columns.session], report)
        keep &= usable
    else:
        group = _counted_together(session, strategy, keep) if by_name else session
        if objective is not None:
            group = group * (int(objective.max(initial=0)) + 1) + objective
        iteration = _order_within(group, keep)
        report.notes.append(
            f"There is no column {columns.iteration!r}: iterations are numbered in the order of the rows."
        )

    if by_name:
        session, sessions = _split_reused(session, sessions, strategy, strategies, iteration, keep, report)
    at = np.flatnonzero(keep)
    if not len(at):
        why = "; ".join(str(exclusion) for exclusion in report.exclusions)
        raise InputError(f"{source.origin} holds no usable row: {why}")
    # A long table has one column of values; every other layout has one a candidate.
    width = len(refs)
    values = np.empty((len(at), width))
    missing = np.empty((len(at), width), dtype=bool)
    for c, ref in enumerate(refs):
        values[:, c], missing[:, c] = numbers[ref].values[at], numbers[ref].missing[at]
    failed = np.zeros((len(at), width), dtype=bool)
    for c, ref in enumerate(refs):
        if ref in candidates.status:
            failed[:, c] = [str(word).strip().lower() == "failed" for word in words[candidates.status[ref]][at]]
    return Rows(
        at, session[at], sessions, strategy[at], strategies, iteration[at],
        None if objective is None else objective[at],
        None if candidates.repeat is None else _ranks(words[candidates.repeat][at]), values, missing, failed,
        {name: words[column][at] for name, column in labels.items()},
    )  # fmt: skip


def _counted_together(session: Ints, strategy: Ints, keep: Bools) -> Ints:
    """Return for each row the group whose rows are numbered together where no iterations are given.

    That is its session, unless the session has rows of several strategies with other sessions between them at every
    change: then the id was used again, and each strategy's rows are a group. Where the strategy changes from one row
    to the next, the session switched.
    """
    at = np.flatnonzero(keep)
    order = at[np.argsort(session[at], kind="stable")]
    one, other = order[:-1], order[1:]
    change = (session[one] == session[other]) & (strategy[one] != strategy[other])
    switched = session[one[change & (np.searchsorted(at, other) - np.searchsorted(at, one) == 1)]]
    apart = np.isin(session, np.setdiff1d(session[one[change]], switched))
    return np.where(apart, (strategy + 2) * (int(session.max(initial=0)) + 1) + session, session)


def _split_reused(
    session: Ints,
    sessions: list[str],
    strategy: Ints,
    strategies: list[str],
    iteration: Ints,
    keep: Bools,
    report: Report,
) -> tuple[Ints, list[str]]:
    """Give each strategy its own session where one id stands for several: sessions 1..100 counted anew per strategy.

    That is so where two strategies claim the same iteration of a session; rows that name none count as one more. A
    session that switches strategy midway has one strategy at each iteration, and is left alone.
    """
    at = np.flatnonzero(keep)
    order = at[np.lexsort((strategy[at], iteration[at], session[at]))]
    one, other = order[:-1], order[1:]
    clash = (session[one] == session[other]) & (iteration[one] == iteration[other]) & (strategy[one] != strategy[other])
    reused = np.unique(session[one[clash]])
    if not len(reused):
        return session, sessions
    rows = at[np.isin(session[at], reused)]
    pairs, place = np.unique(np.stack([session[rows], strategy[rows]], axis=1), axis=0, return_inverse=True)
    taken, names = set(sessions), [*sessions]
    for old, mode in pairs.tolist():
        name = f"{strategies[mode] if mode >= 0 else UNNAMED}/{sessions[old]}"
        while name in taken:
            name += "'"
        taken.add(name)
        names.append(name)
    split = session.copy()
    split[rows] = len(sessions) + place.ravel()
    report.notes.append(
        f"{len(reused):,} session ids are used under several strategies at the same iterations: each strategy's rows "
        f"count as a session of their own, named STRATEGY/SESSION (for example {names[len(sessions)]})."
    )
    return split, names


def _row_names(at: Ints) -> list[str]:
    return [f"row {int(row) + 1}" for row in at[:3]]


def _objective_codes(column: Objects, candidates: Candidates) -> Ints:
    """Return the position of each row's objective among the parts, -1 where none is named, -2 for the others."""
    place = {name: c for c, name in enumerate(candidates.made.parts)}
    codes, names = codes_of(column)
    return np.array([*(place.get(name.strip(), -2) for name in names), -1], dtype=np.int64)[codes]


def _ranks(column: Objects) -> Ints:
    """Return 0 for rows without a label, and 1, 2, ... for the others: numbers by size, then words by name."""
    codes, names = codes_of(column)
    labels = [_label(name) for name in names]
    rank = {label: k for k, label in enumerate(sorted(set(labels)), start=1)}
    return np.array([*(rank[label] for label in labels), 0], dtype=np.int64)[codes]


def _label(name: str) -> tuple[int, float, str]:
    number = number_of(name)
    # 1, 1.0 and 01 are one label; beyond 2^53 different numbers would be.
    if number is not None and abs(number) < 2**53:
        return 0, number, ""
    return 1, 0.0, name.strip()


def _truth_values(source: Source, column: str) -> Bools | None:
    """Return where `column` holds true or false, which scores may be but a count may not; None if nowhere."""
    ref = Ref(column)
    if not source.profile([ref])[ref].boolean:
        return None
    found, _ = source.read([column], [])
    return np.array([str(word).strip().lower() in ("true", "false") for word in found[column].tolist()], dtype=bool)


def _iterations(
    numbers: Numbers, truths: Bools | None, keep: Bools, sessions: Objects, report: Report
) -> tuple[Ints, Bools]:
    values = numbers.values if truths is None else np.where(truths, np.nan, numbers.values)
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(values) & (values == np.trunc(values)) & (np.abs(values) < 2**53)
        usable = whole & (values >= 0)
    for reason, wrong in (
        ("no iteration number", numbers.missing),
        ("the iteration is no whole number", ~whole & ~numbers.missing),
        ("the iteration is negative", whole & ~usable),
    ):
        at = np.flatnonzero(wrong & keep)
        report.leave_out(reason, len(at), "rows", [f"row {row + 1}, session {sessions[row]!r}" for row in at[:3]])
    return np.where(usable, values, 0).astype(np.int64), usable


def _order_within(group: Ints, keep: Bools) -> Ints:
    """Return 0, 1, ... for the kept rows within each group, in their order."""
    at = np.flatnonzero(keep)
    order = at[np.argsort(group[at], kind="stable")]
    sorted_group = group[order]
    starts = np.flatnonzero(np.concatenate([[True], sorted_group[1:] != sorted_group[:-1]]))
    out = np.zeros(len(group), dtype=np.int64)
    out[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return out
