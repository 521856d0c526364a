"""Rows to one row per session and iteration: ordered, repeated judgements folded, what cannot stand counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.judgements import Folded, fold
from trimtab.store.columns import Columns
from trimtab.store.layout import Candidates
from trimtab.store.rows import Report, Rows
from trimtab.store.source import Source

__all__ = ["LARGEST", "Table", "Unusable", "arrange"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LARGEST = 1e100  # no score is larger, and a product of a few such numbers leaves the range of a double
_BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Unusable:
    """Values of each candidate that are no score, (C,) each, and examples of the largest by candidate."""

    words: Ints
    infinite: Ints
    huge: Ints
    contradictory: Ints
    largest: dict[int, list[str]]


@dataclass(slots=True)
class Table:
    """One row per session and iteration, in order; C candidates.

    `at` is the position in the source of a row's first part. `scores` (N, C) and `judgements` (N, C, r) hold only what
    is usable, `missing` says where the source holds nothing, `failed` where it says so.
    """

    at: Ints
    session: Ints
    iteration: Ints
    strategy: Ints
    scores: Floats
    judgements: Floats | None
    missing: Bools
    failed: Bools
    unusable: Unusable
    rows: Rows

    def values(self, c: int) -> Floats:
        """Return all that is known of candidate `c`, each judgement for itself."""
        return self.scores[:, c] if self.judgements is None else self.judgements[:, c].ravel()


@dataclass(frozen=True, slots=True)
class _Given:
    """K rows that stand, W values each: which of N iterations, which candidate and which judgement a value is."""

    place: Ints
    objective: Ints
    label: Ints | None
    values: Floats
    missing: Bools
    failed: Bools


def arrange(source: Source, columns: Columns, candidates: Candidates, rows: Rows, report: Report) -> Table:
    """Order the rows of `source`, fold judgements into scores, and count in `report` what is left out."""
    keys = [rows.session, rows.iteration]
    keys += [] if rows.objective is None else [rows.objective]
    keys += [] if rows.repeat is None else [rows.repeat]
    order = _sorted(*keys)
    if order is None:
        order = np.arange(len(rows.at))
    session, iteration, strategy = rows.session[order], rows.iteration[order], rows.strategy[order]
    changes = [np.concatenate([[True], np.diff(key[order]) != 0]) for key in keys]
    first = changes[0] | changes[1]
    starts = np.flatnonzero(first)
    place = np.cumsum(first) - 1
    stands = np.logical_or.reduce(changes)
    _report_repeats(rows, order, np.flatnonzero(stands)[np.cumsum(stands) - 1], report)
    if rows.repeat is not None:
        # Rows that would not have stood, were it not for the column of repeats.
        repeated = stands & ~np.logical_or.reduce(changes[:-1])
        if repeated.any():
            stands &= _of_one_text(source, columns.text, rows, order, place, stands, report)
        _report_column(candidates, columns, rows.repeat[order[stands]] if repeated.any() else None, report)

    given = _given(candidates, rows, order[stands], place[stands])
    shape = len(starts), len(candidates.names)
    usable = np.isfinite(given.values) & (np.abs(given.values) <= LARGEST) & ~given.failed
    folded, missing, failed = _folded(given, usable, shape)
    report.exclusions += folded.exclusions()
    report.notes += folded.notes()
    return Table(
        # Rows of one iteration keep the order of the source among themselves only in a wide table.
        np.minimum.reduceat(rows.at[order], starts), session[starts], iteration[starts], strategy[starts],
        folded.scores.reshape(shape), None if folded.judgements is None else folded.judgements.reshape(*shape, -1),
        missing, failed, _unusable(given, shape[1]), rows,
    )  # fmt: skip


def _sorted(*keys: Ints) -> Ints | None:
    """Return the stable order by the first key, then the next, or None where the rows are in it already."""
    ordered = np.ones(len(keys[0]) - 1, dtype=bool)
    tied = ordered.copy()
    for key in keys:
        step = np.diff(key)
        ordered &= ~tied | (step >= 0)
        tied &= step == 0
    return None if ordered.all() else np.lexsort(keys[::-1])


def _given(candidates: Candidates, rows: Rows, at: Ints, place: Ints) -> _Given:
    made = candidates.made
    owner, which = np.array(made.owner, dtype=np.int64), np.array(made.places, dtype=np.int64)
    values, missing, failed = rows.values[at], rows.missing[at], rows.failed[at]
    if rows.objective is None:
        objective, label = np.broadcast_to(owner, values.shape), np.broadcast_to(which, values.shape)
    else:
        part = rows.objective[at, None]
        objective, label = owner[part], which[part]
    if rows.repeat is None:
        return _Given(place, objective, label if made.several else None, values, missing, failed)
    return _Given(
        place, objective, rows.repeat[at, None] * (int(which.max(initial=0)) + 1) + label, values, missing, failed
    )


def _folded(given: _Given, usable: Bools, shape: tuple[int, int]) -> tuple[Folded, Bools, Bools]:
    if given.label is None and given.values.shape == shape:
        scores = np.where(usable, given.values, np.nan)
        return Folded(scores, None), given.missing, given.failed
    cell = given.place[:, None] * shape[1] + given.objective
    label = np.zeros_like(cell) if given.label is None else given.label
    missing, failed = np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
    missing.ravel()[cell[~given.missing]] = False
    failed.ravel()[cell[given.failed]] = True
    return fold(cell[usable], label[usable], given.values[usable], shape[0] * shape[1]), missing, failed


def _unusable(given: _Given, n: int) -> Unusable:
    stated = ~given.missing & ~given.failed
    infinite = np.isinf(given.values) & stated
    huge = np.isfinite(given.values) & (np.abs(given.values) > LARGEST) & stated

    def count(which: Bools) -> Ints:
        return np.bincount(given.objective[which], minlength=n)

    largest: dict[int, list[str]] = {}
    for c in np.unique(given.objective[huge]).tolist():
        largest[c] = [f"{value:g}" for value in given.values[huge & (given.objective == c)][:3]]
    words, contradictory = np.isnan(given.values) & stated, given.failed & ~given.missing
    return Unusable(count(words), count(infinite), count(huge), count(contradictory), largest)


def _places(rows: Rows, at: Ints) -> list[str]:
    return [f"session {rows.sessions[rows.session[row]]!r}, iteration {rows.iteration[row]}" for row in at[:3]]


def _report_repeats(rows: Rows, order: Ints, original: Ints, report: Report) -> None:
    """Count what stands at a place that is taken, told apart by whether it says the same as what stood there first.

    `original` (R,) says for each of the ordered rows which of them stands in its place.
    """
    at = np.flatnonzero(original != np.arange(len(original)))
    if not len(at):
        return
    repeat, base = order[at], order[original[at]]
    values, missing = rows.values, rows.missing
    same = ((values[repeat] == values[base]) | (np.isnan(values[repeat]) & np.isnan(values[base]))).all(axis=1)
    same &= (missing[repeat] == missing[base]).all(axis=1)
    if rows.objective is None:
        unit, what = "rows", "iteration of a session" if rows.repeat is None else "iteration and repeat of a session"
    else:
        unit = "scores"
        what = f"{'score' if rows.repeat is None else 'judgement'} of an objective at an iteration"
    if not values.shape[1]:
        report.leave_out(f"a repeated {what}; the first is kept", len(repeat), unit, _places(rows, repeat))
        return
    for reason, which in (
        (f"a repeated {what}, with the same scores; the first is kept", same),
        (f"a repeated {what}, with other scores; the first is kept", ~same),
    ):
        report.leave_out(reason, int(which.sum()), unit, _places(rows, repeat[which]))


def _of_one_text(
    source: Source, column: str, rows: Rows, order: Ints, place: Ints, stands: Bools, report: Report
) -> Bools:
    """Say which of the ordered rows judge the text that the first row of their iteration judges, or name none."""
    one = np.ones(len(order), dtype=bool)
    if column not in source.names:
        return one
    at = np.flatnonzero(stands)
    at = at[np.argsort(rows.at[order[at]])]
    read = (text for batch in source.batches([column], rows.at[order[at]], _BATCH) for (text,) in batch)
    digests: list[int | None] = [None if text is None or not text.strip() else hash(text) for text in read]
    there = np.array([digest is not None for digest in digests], dtype=bool)
    digest = np.array([digest or 0 for digest in digests], dtype=np.int64)
    reference = np.zeros(int(place[-1]) + 1, dtype=np.int64)
    # The first of several assignments counts if they are made backwards.
    reference[place[at[there]][::-1]] = digest[there][::-1]
    one[at[there]] = digest[there] == reference[place[at[there]]]
    reason = "a repeated judgement of another text than the first of its iteration"
    other = order[~one]
    report.leave_out(reason, len(other), "rows" if rows.objective is None else "scores", _places(rows, other))
    return one


def _report_column(candidates: Candidates, columns: Columns, labels: Ints | None, report: Report) -> None:
    if labels is None:
        if candidates.layout == "wide" or columns.repeat is not None:
            report.notes.append(
                f"The column {candidates.repeat!r} was not used, because no iteration has several rows that it tells "
                "apart. Name it with --objective (or objectives=) if it is one."
            )
        return
    unlabelled = int((labels == 0).sum())
    if unlabelled:
        report.notes.append(
            f"{unlabelled:,} rows have nothing in {candidates.repeat!r}; they count as one more judgement."
        )
    if columns.repeat is None:
        report.notes.append(
            f"The column {candidates.repeat!r} was taken to tell repeated judgements of one iteration apart; name "
            "another with --repeat-column (or columns=Columns(repeat=...)). "
            "If it counts repetitions of whole sessions, make it part of the session id."
        )
