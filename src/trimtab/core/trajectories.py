"""Trajectories: many sessions of unequal length as flat arrays with offsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError

__all__ = ["FAILED", "OK", "UNSCORED", "Exclusion", "Steps", "Trajectories"]

OK, UNSCORED, FAILED = 0, 1, 2

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Something left out or changed on the way from the source to the fit, counted so that nothing is silent.

    Parameters
    ----------
    reason
        What was wrong, in a few words a reader understands.
    count
        How many.
    unit
        What was counted: ``"rows"``, ``"scores"``, ``"steps"``, ``"sessions"`` or ``"objectives"``.
    examples
        The first few, by name or line.
    """

    reason: str
    count: int
    unit: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" (for example {', '.join(self.examples)})" if self.examples else ""
        unit = self.unit[:-1] if self.count == 1 and self.unit.endswith("s") else self.unit
        return f"{self.count:,} {unit}: {self.reason}{shown}"


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
        (N, n). Not a number where a score is missing; `status` says why.
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

    Raises
    ------
    InputError
        If shapes, offsets, order or status contradict each other.
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

    def __repr__(self) -> str:
        return (
            f"Trajectories of {', '.join(self.space.names)}: {self.n_sessions:,} sessions, {self.n_rows:,} iterations, "
            f"strategies {', '.join(self.strategies)}"
        )

    @classmethod
    def from_arrays(
        cls,
        sessions: Sequence[NDArray[np.floating]] | NDArray[np.floating],
        objectives: ObjectiveSpace | Iterable[str],
        strategy: str | Sequence[str] = "all",
        session_ids: Sequence[str] | None = None,
    ) -> Trajectories:
        """Build from one array of scores per session, t = 0, 1, ... without gaps.

        Parameters
        ----------
        sessions
            S arrays of shape (T_s + 1, n), or one array (S, T + 1, n). Not a number marks an unscored value.
        objectives
            The space, or objectives in the form ``NAME[:LOW:HIGH][:min|max]``.
        strategy
            One name for all sessions, or one per session.
        session_ids
            Names; ``s0``, ``s1``, ... if not given.
        """
        space = objectives if isinstance(objectives, ObjectiveSpace) else ObjectiveSpace(objectives)
        try:
            arrays = [np.asarray(session, dtype=np.float64) for session in sessions]
        except (TypeError, ValueError) as error:
            raise InputError(
                "sessions need one array of numbers each, of shape (iterations, objectives), but got "
                f"{type(sessions).__name__}: {error}"
            ) from error
        for i, array in enumerate(arrays):
            if array.ndim != 2 or array.shape[1] != space.n or not len(array):
                raise InputError(
                    f"each session needs an array of shape (iterations, {space.n}), but session {i} has {array.shape}"
                )
            if np.any(np.isinf(array)):
                raise InputError(f"scores must be finite, or not-a-number where missing, but session {i} holds inf")
        if not arrays:
            raise InputError("at least one session is needed, but none was given")
        names = [strategy] * len(arrays) if isinstance(strategy, str) else [str(s) for s in strategy]
        ids = tuple(f"s{i}" for i in range(len(arrays))) if session_ids is None else tuple(map(str, session_ids))
        if len(names) != len(arrays) or len(ids) != len(arrays):
            raise InputError(
                f"{len(arrays)} sessions need as many strategies and ids, but got {len(names)} and {len(ids)}"
            )
        strategies = tuple(dict.fromkeys(names))
        lengths = np.array([len(array) for array in arrays])
        scores = np.concatenate(arrays)
        return cls(
            space=space,
            scores=scores,
            status=np.where(np.isfinite(scores), OK, UNSCORED).astype(np.int8),
            iteration=np.concatenate([np.arange(length) for length in lengths]),
            strategy=np.repeat([strategies.index(name) for name in names], lengths),
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            session_ids=ids,
            strategies=strategies,
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
    def session_strategy(self) -> Ints:
        """Code of the strategy of each session's last iteration, shape (S,)."""
        return self.strategy[self.offsets[1:] - 1]

    def _pairs(self) -> NDArray[np.bool_]:
        """Say for each row i whether the next row is in the same session, shape (N - 1,)."""
        session = self.session
        return np.asarray(session[1:] == session[:-1])

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
        pairs = self._pairs()
        gap = pairs & (np.diff(self.iteration) != 1)
        complete = self.complete
        missing = pairs & ~gap & ~(complete[1:] & complete[:-1])
        failed = pairs & ~gap & ((self.status == FAILED).any(axis=1)[1:] | (self.status == FAILED).any(axis=1)[:-1])
        counts = (
            ("a gap in the iteration numbers", int(gap.sum())),
            ("a score failed at one end", int((missing & failed).sum())),
            ("a score is missing at one end", int((missing & ~failed).sum())),
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
        return replace(
            self,
            space=ObjectiveSpace(self.space.objectives[c] for c in columns),
            scores=self.scores[np.ix_(rows, columns)],
            status=self.status[np.ix_(rows, columns)],
            iteration=self.iteration[rows],
            strategy=self.strategy[rows],
            offsets=offsets,
            session_ids=tuple(self.session_ids[s] for s in chosen),
            covariates={name: tuple(labels[s] for s in chosen) for name, labels in self.covariates.items()},
        )

    def to_columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the tidy wide table: ``session_id``, ``strategy``, ``iteration``, covariates, one column an objective.

        Missing scores are not-a-number. Any dataframe library takes the result as it is.
        """
        columns: dict[str, NDArray[np.generic]] = {
            "session_id": np.asarray(self.session_ids, dtype=object)[self.session],
            "strategy": np.asarray(self.strategies, dtype=object)[self.strategy],
            "iteration": self.iteration,
        }
        for name, labels in self.covariates.items():
            columns[name] = np.asarray(labels, dtype=object)[self.session]
        for j, name in enumerate(self.space.names):
            columns[name] = self.scores[:, j]
        return columns
