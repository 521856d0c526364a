"""Any table to `Trajectories`: one place where rows are checked, ordered, counted and explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.counting import count_of
from trimtab.core.judgements import repeated_or_none
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.trajectories import FAILED, OK, UNSCORED, Trajectories
from trimtab.store.cells import LARGEST, Table, arrange
from trimtab.store.columns import Columns, require_columns
from trimtab.store.inference import Choice, assumed_scale, choose_objectives, has_bounds, without_labels
from trimtab.store.layout import Candidates, candidates_of
from trimtab.store.parts import checked_judgements
from trimtab.store.rows import UNNAMED, Report, codes_of, read_rows
from trimtab.store.source import Source

__all__ = ["Loaded", "load_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


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
    judgements: Mapping[str, Sequence[str]] | None = None,
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
    judgements
        For some objectives, the columns (or keys, or names in the objective column) that hold their judgements.
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
    names = None if wanted is None else [o.name for o in wanted]
    candidates = candidates_of(source, columns, names, checked_judgements(judgements))
    report.notes += [*candidates.notes]
    report.exclusions += [*candidates.exclusions]
    rows = read_rows(source, columns, candidates, strategy_default, report)
    table = arrange(source, columns, candidates, rows, report)
    bounded = [has_bounds(objective) for objective in objectives or ()]
    return _finish(source, candidates, wanted, bounded, table, report, every)


def _finish(
    source: Source, candidates: Candidates, wanted: Sequence[Objective] | None, bounded: Sequence[bool],
    table: Table, report: Report, every: bool,
) -> Loaded:  # fmt: skip
    scores = table.scores
    if wanted is None:
        choice = _choice(candidates, scores, table, every)
        report.exclusions += choice.exclusions
        kept = list(choice.kept)
        space = [assumed_scale(candidates.names[c], table.values(c)) for c in kept]
        if space:
            shown = ", ".join(str(objective) for objective in space)
            report.notes.append(
                f"Objectives were inferred: {shown}. Higher was taken for better, and the scale is the narrowest of "
                "0 to 1, 0 to 10, 0 to 100 and open; to say otherwise give --objective NAME:LOW:HIGH:min|max "
                "(or objectives=)."
            )
    else:
        kept = [candidates.names.index(objective.name) for objective in wanted]
        values = [table.values(c) for c in kept]
        space = _scaled(wanted, bounded, values, report)
        _report_outside(space, values, report)
    _report_unusable(source, candidates, table, kept, report)
    strategy, strategies = _strategies(table, report)
    offsets = np.concatenate([np.flatnonzero(np.diff(table.session, prepend=-1)), [len(table.session)]])
    ids = tuple(table.rows.sessions[code] for code in table.session[offsets[:-1]])
    _report_starts(table, offsets, report)
    covariates = _covariates(table, offsets, ids, report)
    status = np.where(np.isfinite(scores), OK, np.where(table.failed, FAILED, UNSCORED)).astype(np.int8)
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
        judgements=None if table.judgements is None else repeated_or_none(table.judgements[:, kept]),
    )
    return Loaded(trajectories, table.at)


def _choice(candidates: Candidates, scores: Floats, table: Table, every: bool) -> Choice:
    names, wide = candidates.names, candidates.layout == "wide"
    if not every:
        return choose_objectives(names, scores, table.session, table.iteration, labels=wide)
    return without_labels(names, scores, table.session) if wide else Choice(tuple(range(len(names))), ())


def _scaled(
    wanted: Sequence[Objective], bounded: Sequence[bool], values: Sequence[Floats], report: Report
) -> list[Objective]:
    """Return the wanted objectives, those without bounds on the scale that their values suggest."""
    space = [
        objective if given else replace(assumed_scale(objective.name, values[c]), direction=objective.direction)
        for c, (objective, given) in enumerate(zip(wanted, bounded, strict=True))
    ]
    assumed = [str(objective) for objective, given in zip(space, bounded, strict=True) if not given]
    if assumed:
        report.notes.append(
            f"Scales were inferred: {', '.join(assumed)}. The scale is the narrowest of 0 to 1, 0 to 10, 0 to 100 and "
            "open; to say otherwise give --objective NAME:LOW:HIGH:min|max (or objectives=)."
        )
    return space


def _report_outside(space: Sequence[Objective], values: Sequence[Floats], report: Report) -> None:
    for objective, given in zip(space, values, strict=True):
        outside = int(((given < objective.low) | (given > objective.high)).sum())
        if outside:
            report.notes.append(
                f"{outside:,} values of {objective.name} lie outside {objective.low:g} to {objective.high:g}; "
                "they are kept as they are."
            )


def _report_unusable(source: Source, candidates: Candidates, table: Table, kept: Sequence[int], report: Report) -> None:
    absent = []
    shown = frozenset(kept)
    # Those left out as well: that their values were of no use may be why.
    found = table.unusable
    for c, name in enumerate(candidates.names):
        words, infinite = int(found.words[c]), int(found.infinite[c])
        examples = _examples(source, candidates, c) if words or infinite else ()
        report.leave_out(f"{name} is not a number, so it counts as unscored", words, "scores", examples)
        report.leave_out(f"{name} is infinite, so it counts as unscored", infinite, "scores")
        reason = f"{name} is larger than {LARGEST:g} in size, so it counts as unscored"
        report.leave_out(reason, int(found.huge[c]), "scores", found.largest.get(c, ()))
        report.leave_out(
            f"{name} has a value although its status says failed; the status counts",
            int(found.contradictory[c]), "scores",
        )  # fmt: skip
        missing = table.missing[:, c]
        if c in shown and missing.any():
            absent.append(f"{name} {int(missing.sum()):,}")
    if absent:
        report.notes.append(
            f"Of {count_of(len(table.at), 'iteration')}, scores are missing in the source for: {', '.join(absent)}."
        )


def _examples(source: Source, candidates: Candidates, c: int) -> list[str]:
    refs = candidates.refs
    if candidates.layout != "long":
        refs = tuple(ref for ref, owner in zip(refs, candidates.made.owner, strict=True) if owner == c)
    return [example for ref in refs for example in source.examples(ref)][:3]


def _strategies(table: Table, report: Report) -> tuple[Ints, tuple[str, ...]]:
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
                f"No strategy is named in {count_of(int(leading.sum()), 'row')} at the start of a session; the "
                "session's first one was taken."
            )
        if rest:
            codes[codes < 0] = len(names)
            names.append(UNNAMED)
            report.notes.append(f"No strategy is named in {count_of(rest, 'row')}; {UNNAMED!r} was taken.")
    used, first = np.unique(codes, return_index=True)
    used = used[np.argsort(first)]
    place = np.full(len(names), -1, dtype=np.int64)
    place[used] = np.arange(len(used))
    return place[codes], tuple(names[code] for code in used)


def _report_starts(table: Table, offsets: Ints, report: Report) -> None:
    late = int((table.iteration[offsets[:-1]] != 0).sum())
    if late:
        report.notes.append(f"{late:,} of {len(offsets) - 1:,} sessions do not start at iteration 0.")


def _covariates(table: Table, offsets: Ints, ids: Sequence[str], report: Report) -> Mapping[str, tuple[str, ...]]:
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
                f"{name} changes within {count_of(int(varies.sum()), 'session')} (for example {shown}); the "
                "first is their label."
            )
        found[name] = tuple(names[code] for code in codes[offsets[:-1]])
    return found
