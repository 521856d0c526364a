"""The two sides of a comparison: which sessions, under which strategy, and what is drawn together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.counting import count_of
from trimtab.core.trajectories import Exclusion, Steps, Trajectories
from trimtab.errors import FitError, InputError

__all__ = ["Between", "Side", "Units", "align", "between", "idle", "matched", "units", "unlike"]

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Between = str | tuple[str, str, str]

SESSION = "session_id"
TASK = "task_id"

ALIKE = 0.9
"""Share of the session ids on either side that must be the same for sessions of two sources to count as pairs."""

_MOST_NAMED = 12


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The steps that one strategy took in one set of sessions.

    Parameters
    ----------
    name
        How the side is called.
    trajectories, code
        Sessions, and the strategy's code in them.
    steps
        Its complete steps.
    """

    name: str
    trajectories: Trajectories
    code: int
    steps: Steps

    @classmethod
    def of(cls, name: str, trajectories: Trajectories, strategy: str) -> Side:
        """Return the side on which `strategy` acts."""
        code, steps = trajectories.strategies.index(strategy), trajectories.steps()
        return cls(name, trajectories, code, steps.where(steps.strategy == code))

    @property
    def sessions(self) -> Ints:
        """Indices of the sessions with a complete step."""
        return np.unique(self.steps.session)

    def labels(self, by: str) -> list[tuple[str, str]]:
        """Return for each session of the trajectories what it is drawn with: its label, or itself if it has none."""
        ids = self.trajectories.session_ids
        if by == SESSION:
            return [(name, "") for name in ids]
        return [(label, "" if label else name) for label, name in zip(self._covariate(by), ids, strict=True)]

    def _covariate(self, by: str) -> tuple[str, ...]:
        found = self.trajectories.covariates.get(by)
        if found is None:
            known = named([SESSION, *self.trajectories.covariates])
            raise InputError(f"{self.name} has no column {by!r} to pair or draw sessions by; it has {known}")
        return found

    def kept(self, sessions: Ints) -> Side:
        """Return the same side with the steps of some sessions only."""
        return replace(self, steps=self.steps.where(np.isin(self.steps.session, sessions)))


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is drawn with replacement, and so the independent units of the comparison.

    Parameters
    ----------
    paired
        True where a unit has sessions on both sides, which are drawn together.
    by
        The column whose labels are the units: ``"session_id"`` or a covariate.
    a, b
        (S,) unit of each session of a side's trajectories; -1 for sessions that are not used.
    count
        Number of units on the two sides, equal where paired.
    exclusions, notes
        Sessions left out, and what was decided, in sentences.
    """

    paired: bool
    by: str
    a: Ints
    b: Ints
    count: tuple[int, int]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    @property
    def noun(self) -> str:
        """What the units are called, in the plural."""
        return {SESSION: "sessions", TASK: "tasks"}.get(self.by, f"groups by {self.by}")


def named(names: Sequence[str]) -> str:
    """Return up to a dozen names as a list in words."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return (", ".join(map(repr, names[:_MOST_NAMED])) + more) or "none"


def align(a: Trajectories, b: Trajectories, names: tuple[str, str]) -> tuple[Trajectories, tuple[str, ...]]:
    """Return b with its objectives in the order of a, and what to say about their scales.

    Raises
    ------
    InputError
        If the two hold different objectives, or one that is better high here and low there.
    """
    only = [sorted(set(x.space.names) - set(y.space.names)) for x, y in ((a, b), (b, a))]
    if any(only):
        common = [name for name in a.space.names if name in b.space]
        advice = (
            "compare those in both with " + " ".join(f"--objective {name}" for name in common[:_MOST_NAMED])
            if common
            else "they have none in common"
        )
        there = [f"only {name} has {named(found)}" for name, found in zip(names, only, strict=True) if found]
        raise InputError(f"a comparison needs the same objectives on both sides, but {'; '.join(there)}: {advice}")
    b = b.select(objectives=a.space.names) if b.space.names != a.space.names else b
    opposed = [one.name for one, other in zip(a.space, b.space, strict=True) if one.direction != other.direction]
    if opposed:
        raise InputError(
            f"{named(opposed)} must be better in one direction on both sides, but one says max and the other min: "
            "say which with --objective NAME:max or NAME:min"
        )
    scales = [
        f"{one.name} is on {one.low:g} to {one.high:g} in {names[0]} and on {other.low:g} to {other.high:g} in "
        f"{names[1]}; its values are compared as they are."
        for one, other in zip(a.space, b.space, strict=True)
        if (one.low, one.high) != (other.low, other.high)
    ]
    return b, tuple(scales)


def matched(
    a: Trajectories, b: Trajectories, names: tuple[str, str], strategy: str | None
) -> tuple[dict[str, tuple[Side, Side]], tuple[str, ...]]:
    """Pair the strategies of two sets of sessions by name; also say what is compared with nothing.

    Where each has a single strategy, these are compared whatever their names.

    Raises
    ------
    InputError
        If they have no strategy in common, or lack the one asked for.
    """
    known = [_stepping(trajectories) for trajectories in (a, b)]
    if strategy is not None:
        for side, found in zip(names, known, strict=True):
            if strategy not in found:
                raise InputError(f"{side} has no step under the strategy {strategy!r}; it has {named(found)}")
        return {strategy: (Side.of(names[0], a, strategy), Side.of(names[1], b, strategy))}, ()
    common = [name for name in known[0] if name in known[1]]
    if not common and len(known[0]) == len(known[1]) == 1:
        one, other = known[0][0], known[1][0]
        note = f"{names[0]} holds the strategy {one!r} only and {names[1]} {other!r}: these two are compared."
        return {f"{one} vs {other}": (Side.of(names[0], a, one), Side.of(names[1], b, other))}, (note,)
    if not common:
        there = "; ".join(f"{name} has {named(found)}" for name, found in zip(names, known, strict=True))
        raise InputError(
            f"a comparison needs a strategy with steps on both sides, but there is none: {there}. Two strategies of "
            "one source are compared with --between strategy=NAME,NAME"
        )
    alone = [
        f"Only {side} has steps under {named([name for name in found if name not in common])}: compared with nothing."
        for side, found in zip(names, known, strict=True)
        if set(found) - set(common)
    ]
    return {name: (Side.of(names[0], a, name), Side.of(names[1], b, name)) for name in common}, tuple(alone)


def between(
    trajectories: Trajectories, selection: Between, strategy: str | None
) -> tuple[tuple[str, str], dict[str, tuple[Side, Side]], tuple[str, ...]]:
    """Take two sides from one set of sessions: two strategies, or two labels of a covariate.

    Raises
    ------
    InputError
        If the column or a label is not there.
    """
    column, *given = selection.split("=", 1) if isinstance(selection, str) else selection
    if column == "strategy":
        known = _stepping(trajectories)
    elif column in trajectories.covariates:
        known = list(dict.fromkeys(trajectories.covariates[column]))
    else:
        raise InputError(
            f"two sides of one source are taken by a column of it, as COLUMN=ONE,OTHER, but got {selection!r}; the "
            f"columns are {named(['strategy', *trajectories.covariates])}"
        )
    one, other = _two(column, given, known)
    if column == "strategy":
        if strategy is not None:
            raise InputError("either two strategies are compared or one is chosen, but both were asked for")
        sides = Side.of(one, trajectories, one), Side.of(other, trajectories, other)
        return (one, other), {f"{one} vs {other}": sides}, ()
    labels = np.asarray(trajectories.covariates[column], dtype=object)
    parts = [replace(trajectories.select(labels == label), exclusions=(), notes=()) for label in (one, other)]
    pairs, notes = matched(parts[0], parts[1], (one, other), strategy)
    return (one, other), pairs, notes


def _two(column: str, given: Sequence[str], known: Sequence[str]) -> tuple[str, str]:
    """Return the two labels; one text is cut at the comma that leaves a known label on either side."""
    needed = f"needs two different labels of {column!r}, of which there are {named(known)}"
    if len(given) == 1:
        text = given[0]
        cuts = [(text[:i], text[i + 1 :]) for i, letter in enumerate(text) if letter == ","]
        cuts = [(one.strip(), other.strip()) for one, other in cuts]
        fitting = [cut for cut in cuts if cut[0] in known and cut[1] in known]
        if len(fitting) != 1:
            raise InputError(f"a comparison {needed}, as {column}=ONE,OTHER, but got {text!r}")
        given = fitting[0]
    if len(given) != 2 or given[0] == given[1] or not set(given) <= set(known):
        raise InputError(f"a comparison {needed}, but got {named(list(given))}")
    return given[0], given[1]


def _stepping(trajectories: Trajectories) -> list[str]:
    """Return the names of the strategies with a complete step, in order."""
    return [trajectories.strategies[code] for code in np.unique(trajectories.steps().strategy)]


def units(
    a: Side, b: Side, *, one_source: bool, apart: str | None, by: str | None, paired: bool | None, fewest: int
) -> Units:
    """Decide what is drawn: tasks where they are known, else sessions; together where both sides hold them.

    Tasks pair where at least half of those of the smaller side are on both sides, and so do sessions of one source.
    Equal ids in two sources can be chance, as where both count from 0: they pair where `ALIKE` of them are shared.

    Parameters
    ----------
    one_source
        True where both sides come from one source, so that equal session ids mean the same session.
    apart
        The column that tells the sides apart; it cannot pair them.
    by, paired
        What the caller demands; None decides from the data.
    fewest
        Units below which there is nothing to infer from.

    Raises
    ------
    FitError
        If there are fewer.
    InputError
        If pairs are demanded and there are none.
    """
    notes: tuple[str, ...] = ()
    column = by
    if column is None:
        column = SESSION
        if apart != TASK and all(any(side.trajectories.covariates.get(TASK, ())) for side in (a, b)):
            tasks = [len({side.labels(TASK)[s] for s in side.sessions.tolist()}) for side in (a, b)]
            if min(tasks) >= fewest:
                column = TASK
            else:
                notes = (
                    f"With {count_of(min(tasks), 'task')} on one side, sessions are drawn and not tasks: what is said "
                    "holds for these tasks only.",
                )
    labels = a.labels(column), b.labels(column)
    used = [{labels[i][s] for s in side.sessions.tolist()} for i, side in enumerate((a, b))]
    shared = used[0] & used[1]
    if paired is None:
        certain = one_source or column != SESSION
        enough = 2 * len(shared) >= min(map(len, used)) if certain else len(shared) >= ALIKE * max(map(len, used))
        paired = enough and len(shared) >= fewest
        if shared and not paired and certain:
            notes = (
                *notes,
                f"Only {len(shared)} of {len(used[0])} and {len(used[1])} labels of {column} are on both sides: "
                "compared without pairing.",
            )
    # In the order of the sessions, so that a side's folds are those of its own fit.
    orders = [[*dict.fromkeys(labels[i][s] for s in side.sessions.tolist())] for i, side in enumerate((a, b))]
    kept = [[label for label in orders[0] if label in shared]] * 2 if paired else orders
    found = [
        _numbered(side, labels[i], {label: unit for unit, label in enumerate(kept[i])}) for i, side in enumerate((a, b))
    ]
    made = Units(paired, column, found[0], found[1], (len(kept[0]), len(kept[1])), _lost(a, b, found), notes)
    _check(made, a, b, fewest)
    return made


def unlike(a: Side, b: Side, drawn: Units, apart: str | None) -> tuple[str, ...]:
    """Say which other columns differ between the sides: what they do to the scores looks like a difference of sides."""
    found = []
    for column, labels in a.trajectories.covariates.items():
        others = b.trajectories.covariates.get(column)
        if column in (apart, drawn.by, TASK) or others is None:
            continue
        one = {labels[s] for s in np.flatnonzero(drawn.a >= 0).tolist()}
        other = {others[s] for s in np.flatnonzero(drawn.b >= 0).tolist()}
        if one != other:
            found.append(
                f"{column} is {named(sorted(one))} in {a.name} and {named(sorted(other))} in {b.name}: differences may "
                "be due to that"
            )
    return tuple(found)


def idle(side: Side) -> tuple[Exclusion, ...]:
    """Count the sessions that ended under the side's strategy without a complete step."""
    trajectories = side.trajectories
    without = trajectories.session_strategy == side.code
    without[side.sessions] = False
    if not without.any():
        return ()
    space, last = trajectories.space, trajectories.scores[trajectories.offsets[1:][without] - 1]
    best = np.where(space.sign > 0, space.high, space.low)
    done = int((np.isfinite(best) & (last == best)).all(axis=1).sum())
    solved = f" ({done:,} of them end at the best score of all: what is compared is harder)" if done else ""
    return (Exclusion(f"without a complete step in {side.name}{solved}", int(without.sum()), "sessions"),)


def _numbered(side: Side, labels: list[tuple[str, str]], index: dict[tuple[str, str], int]) -> Ints:
    unit = np.full(side.trajectories.n_sessions, -1, dtype=np.int64)
    for s in side.sessions.tolist():
        unit[s] = index.get(labels[s], -1)
    return unit


def _lost(a: Side, b: Side, found: list[Ints]) -> tuple[Exclusion, ...]:
    exclusions = []
    for side, unit in zip((a, b), found, strict=True):
        dropped = side.sessions[unit[side.sessions] < 0].tolist()
        if dropped:
            examples = tuple(side.trajectories.session_ids[s] for s in dropped[:3])
            reason = f"in {side.name} only, and left out because pairs are compared"
            exclusions.append(Exclusion(reason, len(dropped), "sessions", examples))
    return tuple(exclusions)


def _check(made: Units, a: Side, b: Side, fewest: int) -> None:
    noun, count = made.noun, made.count
    if made.paired and count[0] < fewest:
        raise InputError(
            f"a paired comparison needs at least {fewest} {noun} on both sides, but there are {count[0]}; compare "
            "unpaired, pair by another column, or choose fewer objectives"
        )
    for side, found in zip((a, b), count, strict=True):
        if found < fewest:
            raise FitError(
                f"a comparison needs at least {fewest} {noun} on each side, but {side.name} has {found}; give more, "
                "or choose fewer objectives with --objective"
            )
