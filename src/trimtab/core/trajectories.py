"""Trajectories: many sessions of unequal length as flat arrays with offsets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.counting import count_of
from trimtab.core.exclusions import Exclusion
from trimtab.core.judgements import check_judgements, judged_scores, mean_judgement, repeated_or_none
from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError

__all__ = ["FAILED", "OK", "UNSCORED", "Exclusion", "Steps", "Trajectories"]

OK, UNSCORED, FAILED = 0, 1, 2

BLOCK = 65_536
"""Rows that are looked at at once where all are looked at."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Steps:
    """Complete step changes dx_t = x_{t+1} - x_t: both ends scored on every objective, at consecutive t.

    Parameters
    ----------
    x, dx
        State before the step and its change, each (M, n).
    session, strategy, iteration
        For each step: index of its session, code of the strategy in force during it, and t; each (M,).
    """

    x: Floats
    dx: Floats
    session: Ints
    strategy: Ints
    iteration: Ints

    def __len__(self) -> int:
        return len(self.session)

    def where(self, keep: NDArray[np.bool_]) -> Steps:
        """Return the steps for which `keep` (M,) is true."""
        return Steps(self.x[keep], self.dx[keep], self.session[keep], self.strategy[keep], self.iteration[keep])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trajectories:
    """Score vectors of S sessions, N iterations in all, on n objectives.

    Session s owns the rows ``offsets[s]:offsets[s + 1]`` of the flat arrays, in increasing order of iteration.

    Parameters
    ----------
    space
        The n objectives.
    scores
        (N, n). Not a number where a score is missing; `status` says why. Where a score has several
        judgements, their mean.
    status
        (N, n) of ``OK``, ``UNSCORED`` or ``FAILED``; OK exactly where `scores` is finite.
    iteration
        (N,) t of each row, strictly increasing within a session.
    strategy
        (N,) code into `strategies` of the strategy that produced the row. The step from row i to row i + 1 therefore
        belongs to ``strategy[i + 1]``, and a session may switch midway.
    offsets
        (S + 1,).
    session_ids
        (S,) names.
    strategies
        Names of the strategies.
    covariates
        Per-session labels such as ``task_id`` or ``model``, each (S,).
    exclusions
        What the reader left out on the way here.
    notes
        What the reader assumed, in sentences.
    judgements
        (N, n, r) The judgements that each score is the mean of, r places for repeats or judges; not-a-number where one
        is absent. None unless some score has two or more.

    Raises
    ------
    InputError
        If shapes, offsets, order, status or judgements contradict each other.
    """

    space: ObjectiveSpace
    scores: Floats
    status: NDArray[np.int8]
    iteration: Ints
    strategy: Ints
    offsets: Ints
    session_ids: tuple[str, ...]
    strategies: tuple[str, ...]
    covariates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()
    judgements: Floats | None = None

    def __post_init__(self) -> None:
        rows, n = self.scores.shape if self.scores.ndim == 2 else (-1, -1)
        sessions = len(self.session_ids)
        needed = {
            "scores": (self.scores.shape, (rows, self.space.n)),
            "status": (self.status.shape, (rows, n)),
            "iteration": (self.iteration.shape, (rows,)),
            "strategy": (self.strategy.shape, (rows,)),
            "offsets": (self.offsets.shape, (sessions + 1,)),
        }
        for name, (got, want) in needed.items():
            if got != want:
                raise InputError(f"{name} needs the shape {want}, but has {got}")
        if self.offsets[0] != 0 or self.offsets[-1] != rows or np.any(np.diff(self.offsets) < 1):
            raise InputError(f"offsets must rise from 0 to the number of rows, {rows}, with no empty session")
        if (
            np.any(np.isfinite(self.scores) != (self.status == OK))
            or not np.isin(self.status, (OK, UNSCORED, FAILED)).all()
        ):
            raise InputError("status must be OK, UNSCORED or FAILED, and a score finite exactly where it is OK")
        if len(set(self.session_ids)) < sessions:
            raise InputError("session ids must be distinct")
        starts = np.zeros(rows, dtype=bool)
        starts[self.offsets[:-1]] = True
        if np.any((np.diff(self.iteration) <= 0) & ~starts[1:]):
            raise InputError("iterations must strictly increase within each session")
        if rows and (self.strategy.min() < 0 or self.strategy.max() >= len(self.strategies)):
            raise InputError(f"strategy codes must lie in 0..{len(self.strategies) - 1}")
        if self.judgements is not None:
            check_judgements(self.judgements, self.scores)

    def __repr__(self) -> str:
        return (
            f"Trajectories of {', '.join(self.space.names)}: "
            f"{count_of(self.n_sessions, 'session')}, {count_of(self.n_rows, 'iteration')}, "
            f"strategies {', '.join(self.strategies)}"
        )

    @classmethod
    def from_arrays(
        cls,
        sessions: Sequence[NDArray[np.floating]] | NDArray[np.floating] | None,
        objectives: ObjectiveSpace | Iterable[str],
        strategy: str | Sequence[str] = "all",
        session_ids: Sequence[str] | None = None,
        *,
        judgements: Sequence[NDArray[np.floating]] | NDArray[np.floating] | None = None,
    ) -> Trajectories:
        """Build from one array of scores per session, t = 0, 1, ... without gaps.

        Parameters
        ----------
        sessions
            S arrays of shape (T_s + 1, n), or one array (S, T + 1, n). Not a number marks an unscored value. None with
            `judgements`, whose means are the scores.
        objectives
            The space, or objectives in the form ``NAME[:LOW:HIGH][:min|max]``.
        strategy
            One name for all sessions, or one per session.
        session_ids
            Names; ``s0``, ``s1``, ... if not given.
        judgements
            S arrays of shape (T_s + 1, n, r_s), or one array (S, T + 1, n, r), of repeated judgements; not-a-number
            where one is absent. Of one score at most 64 are kept, and the rest counted among the exclusions.

        Raises
        ------
        InputError
            If shapes are wrong or differ, or scores are given that are not the means of the judgements.

        Examples
        --------
        >>> found = Trajectories.from_arrays(None, ["quality"], judgements=[[[[6.0, 7.0]], [[8.0, np.nan]]]])
        >>> found.scores.ravel(), found.n_judgements.ravel()
        (array([6.5, 8. ]), array([2, 1]))
        """
        space = objectives if isinstance(objectives, ObjectiveSpace) else ObjectiveSpace(objectives)
        judged = None if judgements is None else _arrays(judgements, space.n, ("iterations", "objectives", "repeats"))
        if sessions is not None:
            arrays = _arrays(sessions, space.n, ("iterations", "objectives"))
        elif judged is not None:
            arrays = [mean_judgement(array) for array in judged]
        else:
            raise InputError("scores or judgements are needed, but neither was given")
        if judged is not None and list(map(len, judged)) != list(map(len, arrays)):
            raise InputError(
                "scores and judgements need the same number of iterations in each session, but theirs differ"
            )
        names = [strategy] * len(arrays) if isinstance(strategy, str) else [str(s) for s in strategy]
        ids = tuple(f"s{i}" for i in range(len(arrays))) if session_ids is None else tuple(map(str, session_ids))
        if len(names) != len(arrays) or len(ids) != len(arrays):
            raise InputError(
                f"{len(arrays)} sessions need as many strategies and ids, but got {len(names)} and {len(ids)}"
            )
        strategies = tuple(dict.fromkeys(names))
        lengths = np.array([len(array) for array in arrays])
        scores = np.concatenate(arrays)
        kept: Floats | None = None
        exclusions: tuple[Exclusion, ...] = ()
        if judged is not None:
            scores, kept, exclusions = judged_scores(scores, judged)
        return cls(
            space=space,
            scores=scores,
            status=np.where(np.isfinite(scores), OK, UNSCORED).astype(np.int8),
            iteration=np.concatenate([np.arange(length) for length in lengths]),
            strategy=np.repeat([strategies.index(name) for name in names], lengths),
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            session_ids=ids,
            strategies=strategies,
            exclusions=exclusions,
            judgements=kept,
        )

    @property
    def n_sessions(self) -> int:
        """Number of sessions S."""
        return len(self.session_ids)

    @property
    def n_rows(self) -> int:
        """Number of iterations N over all sessions, t = 0 included."""
        return len(self.iteration)

    @property
    def lengths(self) -> Ints:
        """Number of iterations of each session, shape (S,)."""
        return np.diff(self.offsets)

    @property
    def session(self) -> Ints:
        """Index of the session that owns each row, shape (N,)."""
        return np.repeat(np.arange(self.n_sessions), self.lengths)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """True for rows scored on every objective, shape (N,)."""
        return np.asarray((self.status == OK).all(axis=1))

    @property
    def n_judgements(self) -> Ints:
        """Number of known judgements of each score, shape (N, n): 0 where it is missing."""
        if self.judgements is None:
            return np.asarray(self.status == OK, dtype=np.int64)
        return np.asarray(np.isfinite(self.judgements).sum(axis=2), dtype=np.int64)

    @property
    def session_strategy(self) -> Ints:
        """Code of the strategy of each session's last iteration, shape (S,)."""
        return self.strategy[self.offsets[1:] - 1]

    def blocks(self) -> Iterator[tuple[int, int]]:
        """Yield first and one past the last session of each block of about `BLOCK` rows; a longer session is its own.

        What looks at all rows does so block by block, so that it needs no memory for all of them at once.
        """
        first = 0
        while first < self.n_sessions:
            beyond = int(np.searchsorted(self.offsets, self.offsets[first] + BLOCK, side="right"))
            last = max(beyond - 1, first + 1)
            yield first, last
            first = last

    def _pairs(self) -> NDArray[np.bool_]:
        """Say for each row i whether the next row is in the same session, shape (N - 1,)."""
        pairs = np.ones(self.n_rows - 1, dtype=bool)
        pairs[self.offsets[1:-1] - 1] = False
        return pairs

    def steps(self) -> Steps:
        """Return all complete steps; see `lost_steps` for what is not among them."""
        complete = self.complete
        usable = self._pairs() & complete[1:] & complete[:-1] & (np.diff(self.iteration) == 1)
        at = np.flatnonzero(usable)
        return Steps(
            x=self.scores[at],
            dx=self.scores[at + 1] - self.scores[at],
            session=self.session[at],
            strategy=self.strategy[at + 1],
            iteration=self.iteration[at],
        )

    def lost_steps(self) -> tuple[Exclusion, ...]:
        """Count the pairs of neighbouring rows that are no complete step, by reason."""
        gaps = failures = absences = 0
        for first, last in self.blocks():
            rows = slice(int(self.offsets[first]), int(self.offsets[last]))
            pairs = np.ones(rows.stop - rows.start - 1, dtype=bool)
            pairs[self.offsets[first + 1 : last] - rows.start - 1] = False
            gap = pairs & (np.diff(self.iteration[rows]) != 1)
            gaps += int(gap.sum())
            status = self.status[rows]
            if not status.any():
                continue
            complete, failed = (status == OK).all(axis=1), (status == FAILED).any(axis=1)
            missing = pairs & ~gap & ~(complete[1:] & complete[:-1])
            failures += int((missing & (failed[1:] | failed[:-1])).sum())
            absences += int((missing & ~(failed[1:] | failed[:-1])).sum())
        counts = (
            ("a gap in the iteration numbers", gaps),
            ("a score failed at one end", failures),
            ("a score is missing at one end", absences),
        )
        return tuple(Exclusion(reason, count, "steps") for reason, count in counts if count)

    def select(
        self, sessions: NDArray[np.bool_] | Ints | None = None, objectives: Sequence[str] | None = None
    ) -> Trajectories:
        """Return the given sessions (mask or indices) and objectives (names), in the given order."""
        chosen = np.arange(self.n_sessions) if sessions is None else np.asarray(sessions)
        if chosen.dtype == bool:
            chosen = np.flatnonzero(chosen)
        lengths = self.lengths[chosen]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.offsets[chosen] - offsets[:-1], lengths) + np.arange(offsets[-1])
        names = self.space.names if objectives is None else objectives
        if not len(chosen) or not len(names):
            raise InputError("at least one session and one objective must be selected, but none was")
        columns = np.array([self.space.index(name) for name in names])
        cells = np.ix_(rows, columns)
        return replace(
            self,
            space=ObjectiveSpace(self.space.objectives[c] for c in columns),
            scores=self.scores[cells],
            status=self.status[cells],
            judgements=None if self.judgements is None else repeated_or_none(self.judgements[cells]),
            iteration=self.iteration[rows],
            strategy=self.strategy[rows],
            offsets=offsets,
            session_ids=tuple(self.session_ids[s] for s in chosen),
            covariates={name: tuple(labels[s] for s in chosen) for name, labels in self.covariates.items()},
        )

    def judgement_rows(self) -> tuple[Ints, Ints]:
        """Return the rows of a table with one row per iteration and repeat, as indices of iteration and of repeat.

        An iteration has a row for each repeat that judged any of its objectives, and one where none did. The two arrays
        are as long as that table, and ordered by iteration, then repeat.
        """
        if self.judgements is None:
            return np.arange(self.n_rows), np.zeros(self.n_rows, dtype=np.int64)
        there: NDArray[np.bool_] = np.asarray(np.isfinite(self.judgements).any(axis=1))
        there[~there.any(axis=1), 0] = True
        row, repeat = np.nonzero(there)
        return row, repeat

    def to_columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the tidy wide table: ``session_id``, ``strategy``, ``iteration``, covariates, one column an objective.

        Missing scores are not-a-number. With judgements, a column ``repeat`` follows ``iteration``, and there is one
        row for each iteration and repeat (see `judgement_rows`), which holds that judgement of each objective. Any
        dataframe library takes the result as it is, and `trimtab.load` reads it back.

        Raises
        ------
        InputError
            If a covariate or an objective has the name of another column.
        """
        row, repeat = self.judgement_rows()
        columns: dict[str, NDArray[np.generic]] = {
            "session_id": np.asarray(self.session_ids, dtype=object)[self.session[row]],
            "strategy": np.asarray(self.strategies, dtype=object)[self.strategy[row]],
            "iteration": self.iteration[row],
        }
        if self.judgements is not None:
            columns["repeat"] = repeat
        for name, labels in self.covariates.items():
            _add(columns, name, np.asarray(labels, dtype=object)[self.session[row]])
        for j, name in enumerate(self.space.names):
            _add(columns, name, self.scores[row, j] if self.judgements is None else self.judgements[row, j, repeat])
        return columns


def _add(columns: dict[str, NDArray[np.generic]], name: str, column: NDArray[np.generic]) -> None:
    if name in columns:
        raise InputError(f"a table needs distinct column names, but {name!r} would name two columns; rename one")
    columns[name] = column


def _arrays(given: Sequence[NDArray[np.floating]] | NDArray[np.floating], n: int, axes: Sequence[str]) -> list[Floats]:
    """Return one array per session, checked to have the named axes, the second of length `n`."""
    shape = ", ".join(str(n) if axis == "objectives" else axis for axis in axes)
    try:
        arrays = [np.asarray(session, dtype=np.float64) for session in given]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"sessions need one array of numbers each, of shape ({', '.join(axes)}), but got "
            f"{type(given).__name__}: {error}"
        ) from error
    for i, array in enumerate(arrays):
        if array.ndim != len(axes) or array.shape[1] != n or not array.size:
            raise InputError(f"each session needs an array of shape ({shape}), but session {i} has {array.shape}")
        if np.any(np.isinf(array)):
            raise InputError(f"scores must be finite, or not-a-number where missing, but session {i} holds inf")
    if not arrays:
        raise InputError("at least one session is needed, but none was given")
    return arrays
