"""Any table to `Trajectories`: one place where rows are checked, ordered, counted and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.trajectories import FAILED, OK, UNSCORED, Trajectories
from trimtab.store.columns import Columns, require_columns
from trimtab.store.inference import Choice, assumed_scale, choose_objectives, has_bounds, without_labels
from trimtab.store.layout import Candidates, candidates_of
from trimtab.store.rows import UNNAMED, Report, Rows, codes_of, read_rows
from trimtab.store.source import Source

__all__ = ["Loaded", "load_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_LARGEST = 1e100  # no score is larger, and a product of a few such numbers leaves the range of a double


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Trajectories, and where each of their rows stood in the source.

    Parameters
    ----------
    row
        (N,) 0-based position in the source, of the first where a long table has several.
    """

    trajectories: Trajectories
    row: Ints


def load_table(
    source: Source,
    columns: Columns,
    objectives: Sequence[str | Objective] | None,
    strategy_default: str = "all",
    *,
    every: bool = False,
) -> Loaded:
    """Read `source` as trajectories.

    Parameters
    ----------
    objectives
        Which, in this order; inferred if None. If empty, no score is read and every iteration is unscored on one
        objective of no meaning, which an import puts its scorer's in place of.
    strategy_default
        Name of the one strategy of a table without a strategy column.
    every
        Where objectives are inferred, keep also those too sparse to be analysed beside the others.

    Raises
    ------
    InputError
        If the table has no session column, no usable row or no objective.
    """
    require_columns(columns, source.names, source.origin)
    wanted = None if objectives is None else [o if isinstance(o, Objective) else Objective.parse(o) for o in objectives]
    report = Report()
    candidates = candidates_of(source, columns, None if wanted is None else [o.name for o in wanted])
    report.notes += [*candidates.notes]
    report.exclusions += [*candidates.exclusions]
    rows = read_rows(source, columns, candidates, strategy_default, report)
    table = _arrange(source, candidates, rows, report)
    bounded = [has_bounds(objective) for objective in objectives or ()]
    return _finish(source, candidates, wanted, bounded, table, report, every)


@dataclass(slots=True)
class _Table:
    """One row per session and iteration, in order; scores of all candidates."""

    at: Ints
    session: Ints
    iteration: Ints
    strategy: Ints
    scores: Floats
    missing: Bools
    failed: Bools
    rows: Rows


def _sorted(*keys: Ints) -> Ints | None:
    """Return the stable order by the first key, then the next, or None where the rows are in it already."""
    ordered = np.ones(len(keys[0]) - 1, dtype=bool)
    tied = ordered.copy()
    for key in keys:
        step = np.diff(key)
        ordered &= ~tied | (step >= 0)
        tied &= step == 0
    return None if ordered.all() else np.lexsort(keys[::-1])


def _arrange(source: Source, candidates: Candidates, rows: Rows, report: Report) -> _Table:
    keys = [rows.session, rows.iteration]
    keys += [] if rows.objective is None else [rows.objective]
    order = _sorted(*keys)
    if order is None:
        order = np.arange(len(rows.at))
    session, iteration, strategy = rows.session[order], rows.iteration[order], rows.strategy[order]
    values, missing, failed = rows.values[order], rows.missing[order], rows.failed[order]
    first = np.concatenate([[True], (np.diff(session) != 0) | (np.diff(iteration) != 0)])
    place = np.cumsum(first) - 1
    starts = np.flatnonzero(first)

    if rows.objective is None:
        _report_repeats(rows, session, iteration, values, missing, starts[place], report)
        table = values[starts], missing[starts], failed[starts]
    else:
        objective = rows.objective[order]
        cell_first = first | np.concatenate([[True], np.diff(objective) != 0])
        cells = np.flatnonzero(cell_first)
        original = cells[np.cumsum(cell_first) - 1]
        _report_repeats(rows, session, iteration, values, missing, original, report, unit="scores")
        shape = (len(starts), len(candidates.names))
        table = np.full(shape, np.nan), np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for whole, part in zip(table, (values, missing, failed), strict=True):
            whole[place[cells], objective[cells]] = part[cells, 0]
    # Rows of one iteration keep the order of the source among themselves only in a wide table.
    at = np.minimum.reduceat(rows.at[order], starts)
    return _Table(at, session[starts], iteration[starts], strategy[starts], *table, rows)


def _places(rows: Rows, session: Ints, iteration: Ints, at: Ints) -> list[str]:
    return [f"session {rows.sessions[session[row]]!r}, iteration {iteration[row]}" for row in at[:3]]


def _report_repeats(
    rows: Rows, session: Ints, iteration: Ints, values: Floats, missing: Bools, original: Ints,
    report: Report, unit: str = "rows",
) -> None:  # fmt: skip
    """Count what stands at a place that is taken, told apart by whether it says the same as what stood there first."""
    repeat = np.flatnonzero(original != np.arange(len(original)))
    if not len(repeat):
        return
    base = original[repeat]
    same = ((values[repeat] == values[base]) | (np.isnan(values[repeat]) & np.isnan(values[base]))).all(axis=1)
    same &= (missing[repeat] == missing[base]).all(axis=1)
    what = "iteration of a session" if unit == "rows" else "score of an objective at an iteration"
    if not values.shape[1]:
        report.leave_out(
            f"a repeated {what}; the first is kept", len(repeat), unit, _places(rows, session, iteration, repeat)
        )
        return
    for reason, which in (
        (f"a repeated {what}, with the same scores; the first is kept", same),
        (f"a repeated {what}, with other scores; the first is kept", ~same),
    ):
        report.leave_out(reason, int(which.sum()), unit, _places(rows, session, iteration, repeat[which]))


def _finish(
    source: Source, candidates: Candidates, wanted: Sequence[Objective] | None, bounded: Sequence[bool],
    table: _Table, report: Report, every: bool,
) -> Loaded:  # fmt: skip
    usable = np.isfinite(table.scores) & (np.abs(table.scores) <= _LARGEST) & ~table.failed
    scores = np.where(usable, table.scores, np.nan)
    if wanted is None:
        choice = _choice(candidates, scores, table, every)
        report.exclusions += choice.exclusions
        kept = list(choice.kept)
        space = [assumed_scale(candidates.names[c], scores[:, c]) for c in kept]
        if space:
            shown = ", ".join(str(objective) for objective in space)
            report.notes.append(
                f"Objectives were inferred: {shown}. Higher was taken for better, and the scale is the narrowest of "
                "0 to 1, 0 to 10, 0 to 100 and open; to say otherwise give --objective NAME:LOW:HIGH:min|max "
                "(or objectives=)."
            )
    else:
        kept = [candidates.names.index(objective.name) for objective in wanted]
        space = _scaled(wanted, bounded, scores[:, kept], report)
        _report_outside(space, scores[:, kept], report)
    _report_unusable(source, candidates, table, kept, report)
    strategy, strategies = _strategies(table, report)
    offsets = np.concatenate([np.flatnonzero(np.diff(table.session, prepend=-1)), [len(table.session)]])
    ids = tuple(table.rows.sessions[code] for code in table.session[offsets[:-1]])
    _report_starts(table, offsets, report)
    covariates = _covariates(table, offsets, ids, report)
    status = np.where(usable, OK, np.where(table.failed, FAILED, UNSCORED)).astype(np.int8)
    if not space:
        space, scores, status = (
            [Objective("unscored")],
            np.full((len(scores), 1), np.nan),
            np.ones((len(scores), 1), np.int8),
        )
        kept = [0]
    trajectories = Trajectories(
        space=ObjectiveSpace(space),
        scores=np.ascontiguousarray(scores[:, kept]),
        status=np.ascontiguousarray(status[:, kept]),
        iteration=table.iteration,
        strategy=strategy,
        offsets=offsets.astype(np.int64),
        session_ids=ids,
        strategies=strategies,
        covariates=covariates,
        exclusions=tuple(report.exclusions),
        notes=tuple(report.notes),
    )
    return Loaded(trajectories, table.at)


def _choice(candidates: Candidates, scores: Floats, table: _Table, every: bool) -> Choice:
    names, wide = candidates.names, candidates.layout == "wide"
    if not every:
        return choose_objectives(names, scores, table.session, table.iteration, labels=wide)
    return without_labels(names, scores, table.session) if wide else Choice(tuple(range(len(names))), ())


def _scaled(wanted: Sequence[Objective], bounded: Sequence[bool], scores: Floats, report: Report) -> list[Objective]:
    """Return the wanted objectives, those without bounds on the scale that their values suggest."""
    space = [
        objective if given else replace(assumed_scale(objective.name, scores[:, c]), direction=objective.direction)
        for c, (objective, given) in enumerate(zip(wanted, bounded, strict=True))
    ]
    assumed = [str(objective) for objective, given in zip(space, bounded, strict=True) if not given]
    if assumed:
        report.notes.append(
            f"Scales were inferred: {', '.join(assumed)}. The scale is the narrowest of 0 to 1, 0 to 10, 0 to 100 and "
            "open; to say otherwise give --objective NAME:LOW:HIGH:min|max (or objectives=)."
        )
    return space


def _report_outside(space: Sequence[Objective], scores: Floats, report: Report) -> None:
    for c, objective in enumerate(space):
        outside = int(((scores[:, c] < objective.low) | (scores[:, c] > objective.high)).sum())
        if outside:
            report.notes.append(
                f"{outside:,} values of {objective.name} lie outside {objective.low:g} to {objective.high:g}; "
                "they are kept as they are."
            )


def _report_unusable(
    source: Source, candidates: Candidates, table: _Table, kept: Sequence[int], report: Report
) -> None:
    absent = []
    shown = frozenset(kept)
    # Those left out as well: that their values were of no use may be why.
    for c in range(len(candidates.names)):
        name, ref = candidates.names[c], candidates.refs[c] if candidates.layout != "long" else candidates.refs[0]
        column, missing, failed = table.scores[:, c], table.missing[:, c], table.failed[:, c]
        words, infinite = np.isnan(column) & ~missing & ~failed, np.isinf(column) & ~failed
        huge = np.isfinite(column) & (np.abs(column) > _LARGEST) & ~failed
        examples = source.examples(ref) if words.any() or infinite.any() else ()
        report.leave_out(f"{name} is not a number, so it counts as unscored", int(words.sum()), "scores", examples)
        report.leave_out(f"{name} is infinite, so it counts as unscored", int(infinite.sum()), "scores")
        reason = f"{name} is larger than {_LARGEST:g} in size, so it counts as unscored"
        report.leave_out(reason, int(huge.sum()), "scores", [f"{value:g}" for value in column[huge][:3]])
        report.leave_out(
            f"{name} has a value although its status says failed; the status counts",
            int((failed & ~missing).sum()), "scores",
        )  # fmt: skip
        if c in shown and missing.any():
            absent.append(f"{name} {int(missing.sum()):,}")
    if absent:
        report.notes.append(
            f"Of {len(table.at):,} iterations, scores are missing in the source for: {', '.join(absent)}."
        )


def _strategies(table: _Table, report: Report) -> tuple[Ints, tuple[str, ...]]:
    """Give every row a strategy, and number strategies in order of first appearance."""
    codes, names = table.strategy.copy(), [*table.rows.strategies]
    empty = codes < 0
    if empty.any():
        # t = 0 was produced by no strategy, so loops often leave it empty; it belongs to no step.
        n = len(codes)
        after = np.minimum.accumulate(np.where(empty, n, np.arange(n))[::-1])[::-1]
        seen = np.maximum.accumulate(np.where(empty, -1, np.arange(n)))
        starts = np.maximum.accumulate(np.where(np.diff(table.session, prepend=-1) != 0, np.arange(n), 0))
        known_after = np.where(after < n, table.session[np.minimum(after, n - 1)] == table.session, False)
        leading = empty & (seen < starts) & known_after
        codes[leading] = table.strategy[after[leading]]
        rest = int((empty & ~leading).sum())
        if leading.any():
            report.notes.append(
                f"{int(leading.sum()):,} rows at the start of a session name no strategy; "
                "they were given the session's first one."
            )
        if rest:
            codes[codes < 0] = len(names)
            names.append(UNNAMED)
            report.notes.append(f"{rest:,} rows name no strategy; they count as the strategy {UNNAMED!r}.")
    used, first = np.unique(codes, return_index=True)
    used = used[np.argsort(first)]
    place = np.full(len(names), -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    return place[codes], tuple(names[code] for code in used)


def _report_starts(table: _Table, offsets: Ints, report: Report) -> None:
    late = int((table.iteration[offsets[:-1]] != 0).sum())
    if late:
        report.notes.append(f"{late:,} of {len(offsets) - 1:,} sessions do not start at iteration 0.")


def _covariates(table: _Table, offsets: Ints, ids: Sequence[str], report: Report) -> Mapping[str, tuple[str, ...]]:
    found = {}
    # Positions in the rows that were read, of the first row of each iteration.
    at = np.searchsorted(table.rows.at, table.at)
    for name, column in table.rows.labels.items():
        codes, names = codes_of(column[at])
        if not names:
            continue
        # The empty label is a label like any other, of code 0.
        codes, names = codes + 1, ["", *names]
        first = np.repeat(codes[offsets[:-1]], np.diff(offsets))
        varies = np.add.reduceat(codes != first, offsets[:-1]) > 0
        if varies.any():
            shown = ", ".join(ids[s] for s in np.flatnonzero(varies)[:3])
            report.notes.append(
                f"{name} changes within {int(varies.sum()):,} sessions (for example {shown}); the first is their label."
            )
        found[name] = tuple(names[code] for code in codes[offsets[:-1]])
    return found
