"""Several loops that run side by side, joined into one larger system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.exclusions import Exclusion
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError

__all__ = ["SEPARATOR", "agents_of", "couple"]

SEPARATOR = "."
"""What stands between an agent's name and its objective's."""

_EXAMPLES = 3


def agents_of(space: ObjectiveSpace) -> dict[str, NDArray[np.int64]]:
    """Return the positions of each agent's objectives, whose names are AGENT.NAME.

    Raises
    ------
    InputError
        If a name holds no point, or there are fewer than two agents.

    Examples
    --------
    >>> {name: own.tolist() for name, own in agents_of(ObjectiveSpace(["writer.style", "critic.rigour"])).items()}
    {'writer': [0], 'critic': [1]}
    """
    found: dict[str, list[int]] = {}
    for j, name in enumerate(space.names):
        agent, point, objective = name.partition(SEPARATOR)
        if not (point and agent and objective):
            raise InputError(
                f"the objectives of several agents are named AGENT.NAME, such as writer.style, but one is {name!r}; "
                "to join agents that were recorded apart, give trimtab agents a source for each, or trimtab.couple "
                "their trajectories"
            )
        found.setdefault(agent, []).append(j)
    if len(found) < 2:
        raise InputError(f"at least two agents are needed, but all objectives belong to {next(iter(found))!r}")
    return {agent: np.array(own, dtype=np.int64) for agent, own in found.items()}


def couple(agents: Mapping[str, Trajectories], by: str = "session_id") -> Trajectories:
    """Join the sessions of several agents, iteration by iteration, into one system with objectives AGENT.NAME.

    Iteration t of every agent belongs together: dx = A x + b + e then says how the scores of each at t move those of
    all from t to t + 1. Where agents act one after another within an iteration, that order is not in it.

    Parameters
    ----------
    agents
        Trajectories by agent. Names may hold no point.
    by
        What is the same for sessions that belong together: ``"session_id"``, or a covariate such as ``"task_id"`` that
        names one session of each agent.

    Returns
    -------
    Trajectories
        The sessions and iterations that all agents have; those that some lack are counted as exclusions. Rows are
        called by the strategy of all agents, or where these differ, by all of theirs. Covariates on which the agents
        agree are kept; the others become AGENT.NAME.

    Raises
    ------
    InputError
        If there are fewer than two agents, a name cannot be used, sessions cannot be told apart, or none match.

    Examples
    --------
    >>> paths = np.arange(12.0).reshape(2, 3, 2)
    >>> writer = Trajectories.from_arrays(paths[..., :1], ["style"])
    >>> critic = Trajectories.from_arrays(paths[:1, :, 1:], ["rigour"])
    >>> both = couple({"writer": writer, "critic": critic})
    >>> both.space.names, both.n_sessions
    (('writer.style', 'critic.rigour'), 1)
    >>> print(both.exclusions[0])
    1 session: of 'writer', without a partner among all agents (for example s1)
    """
    if not isinstance(agents, Mapping) or len(agents) < 2:
        raise InputError("two or more agents are needed, as a dictionary of trajectories by name")
    for name, one in agents.items():
        if not isinstance(name, str) or not name.strip() or SEPARATOR in name:
            raise InputError(f"an agent needs a name without {SEPARATOR!r}, but one is called {name!r}")
        if not isinstance(one, Trajectories):
            raise InputError(
                f"agent {name!r} needs trajectories, but got {type(one).__name__}; read files with trimtab.load first"
            )
    found = {name: _by_label(name, one, by) for name, one in agents.items()}
    first = next(iter(found.values()))
    common = [label for label in first if all(label in own for own in found.values())]
    exclusions = [
        replace(gone, reason=f"of {name!r}: {gone.reason}") for name, one in agents.items() for gone in one.exclusions
    ]
    for name, own in found.items():
        alone = [label for label in own if label not in set(common)]
        if alone:
            reason = f"of {name!r}, without a partner among all agents"
            exclusions.append(Exclusion(reason, len(alone), "sessions", tuple(alone[:_EXAMPLES])))
    rows, kept, lost = _matching_rows(agents, found, common)
    if not kept:
        raise InputError(
            f"no session is shared by all of {', '.join(agents)}: joined by {by!r}, "
            + ("they name different sessions" if not common else "their sessions share no iteration")
        )
    exclusions += [Exclusion("without the same iteration of all agents", lost, "rows")] if lost else []
    empty = [label for label in common if label not in kept]
    if empty:
        reason = "whose agents share no iteration"
        exclusions.append(Exclusion(reason, len(empty), "sessions", tuple(empty[:_EXAMPLES])))
    flat = {name: np.concatenate([rows[name][label] for label in kept]) for name in agents}
    names, codes = _strategies(agents, flat)
    lengths = [len(rows[next(iter(agents))][label]) for label in kept]
    some = next(iter(agents))
    return Trajectories(
        space=ObjectiveSpace(
            replace(objective, name=f"{name}{SEPARATOR}{objective.name}")
            for name, one in agents.items()
            for objective in one.space
        ),
        scores=np.hstack([one.scores[flat[name]] for name, one in agents.items()]),
        status=np.hstack([one.status[flat[name]] for name, one in agents.items()]),
        iteration=agents[some].iteration[flat[some]],
        strategy=codes,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        session_ids=tuple(kept),
        strategies=names,
        covariates=_covariates(agents, found, kept),
        exclusions=tuple(exclusions),
        notes=tuple(f"{name}: {note}" for name, one in agents.items() for note in one.notes),
        judgements=_judgements(agents, flat),
    )


def _by_label(name: str, one: Trajectories, by: str) -> dict[str, int]:
    """Return the index of each session by its label."""
    if by != "session_id" and by not in one.covariates:
        known = ", ".join(["session_id", *one.covariates])
        raise InputError(f"agent {name!r} has no column {by!r} to be joined by; it has {known}")
    labels = one.session_ids if by == "session_id" else one.covariates[by]
    index = {label: s for s, label in enumerate(labels)}
    if len(index) < len(labels):
        twice = next(label for label in index if labels.count(label) > 1)
        raise InputError(f"{by!r} must name one session of each agent, but {twice!r} names several of {name!r}")
    return index


def _matching_rows(
    agents: Mapping[str, Trajectories], found: Mapping[str, Mapping[str, int]], common: list[str]
) -> tuple[dict[str, dict[str, NDArray[np.int64]]], list[str], int]:
    """Return each agent's rows of the iterations that all have, by session; the sessions with any; the rows lost."""
    rows: dict[str, dict[str, NDArray[np.int64]]] = {name: {} for name in agents}
    kept, lost = [], 0
    for label in common:
        own = {
            name: np.arange(one.offsets[found[name][label]], one.offsets[found[name][label] + 1])
            for name, one in agents.items()
        }
        times = [agents[name].iteration[at] for name, at in own.items()]
        shared = times[0]
        for other in times[1:]:
            shared = np.intersect1d(shared, other, assume_unique=True)
        lost += sum(map(len, times)) - len(shared) * len(times)
        if len(shared):
            kept.append(label)
            for (name, at), time in zip(own.items(), times, strict=True):
                rows[name][label] = at[np.isin(time, shared)]
    return rows, kept, lost


def _strategies(
    agents: Mapping[str, Trajectories], flat: Mapping[str, NDArray[np.int64]]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names of the joint strategies and the code of each row."""
    pairs, codes = np.unique(
        np.stack([one.strategy[flat[name]] for name, one in agents.items()]), axis=1, return_inverse=True
    )
    first = np.array([int(np.argmax(codes.ravel() == k)) for k in range(pairs.shape[1])])
    order = np.argsort(first)  # in the order of their first rows
    names = []
    for k in order:
        own = [one.strategies[code] for one, code in zip(agents.values(), pairs[:, k], strict=True)]
        names.append(own[0] if len(set(own)) == 1 else " + ".join(own))
    # Two sets of strategies may give the same name.
    distinct = tuple(dict.fromkeys(names))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = [distinct.index(name) for name in names]
    return distinct, place[codes.ravel()]


def _covariates(
    agents: Mapping[str, Trajectories], found: Mapping[str, Mapping[str, int]], kept: list[str]
) -> dict[str, tuple[str, ...]]:
    labels = {
        (column, name): tuple(values[found[name][label]] for label in kept)
        for name, one in agents.items()
        for column, values in one.covariates.items()
    }
    result: dict[str, tuple[str, ...]] = {}
    for column in dict.fromkeys(column for column, _ in labels):
        own = {name: labels[column, name] for name in agents if (column, name) in labels}
        if len(set(own.values())) == 1:
            result[column] = next(iter(own.values()))
        else:
            result.update({f"{name}{SEPARATOR}{column}": values for name, values in own.items()})
    return result


def _judgements(
    agents: Mapping[str, Trajectories], flat: Mapping[str, NDArray[np.int64]]
) -> NDArray[np.float64] | None:
    """Return the repeated judgements of all agents side by side, where any has some."""
    if all(one.judgements is None for one in agents.values()):
        return None
    parts = [
        (one.scores[..., None] if one.judgements is None else one.judgements)[flat[name]]
        for name, one in agents.items()
    ]
    width = max(part.shape[2] for part in parts)
    padded = [np.pad(part, ((0, 0), (0, 0), (0, width - part.shape[2])), constant_values=np.nan) for part in parts]
    joined = np.concatenate(padded, axis=1)
    return joined if np.isfinite(joined).sum(axis=2).max() > 1 else None
