"""Records to stored rows and back, with the checks that every store makes before it writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from trimtab.core import plain
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.records import RESTARTED, Evidence, Iteration, Score, Session
from trimtab.errors import InputError, StoreError
from trimtab.store.base import Experiment
from trimtab.store.imports import has_imports

__all__ = [
    "Row",
    "amended",
    "decode_experiment",
    "decode_iteration",
    "decode_meta",
    "decode_session",
    "encode_iteration",
    "encode_json",
    "encode_scores",
    "encode_session",
    "encode_space",
    "first_restarts",
    "no_iteration",
]

Row = dict[str, Any]

_LARGEST = 2**63 - 1


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} is none")


_encoder = json.JSONEncoder(allow_nan=False, sort_keys=True, separators=(",", ":"), default=_plain)


def encode_json(value: object, what: str) -> str:
    """Return `value` as compact JSON with sorted keys; ``StoreError`` naming `what` if it is not plain JSON."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{what} must be made of JSON values, but {error}") from error


def _text(value: str, what: str) -> str:
    if not isinstance(value, str):
        raise StoreError(f"{what} must be text, but is {'None' if value is None else 'a ' + type(value).__name__}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise StoreError(
                f"{what} holds a lone surrogate at character {error.start}, so it is not valid Unicode; replace it"
            ) from error
    return value


def _count(value: int, what: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= value <= _LARGEST:
        raise StoreError(f"{what} must be a whole number from 0 to 2^63 - 1, but is {value!r}")
    return int(value)


def _json_object(value: Mapping[str, Any], what: str) -> str:
    if not isinstance(value, Mapping):
        raise StoreError(f"{what} must be a mapping, but is a {type(value).__name__}")
    return encode_json(value, what) if value else "{}"


def encode_session(session: Session) -> Row:
    """Return the row of `session`, or raise ``StoreError`` if it cannot be kept."""
    if not session.id:
        raise StoreError("a session needs an id, but has an empty one")
    what = f"session {session.id!r}:"
    return {
        "id": _text(session.id, f"{what} its id"),
        "task_id": _text(session.task_id, f"{what} its task id"),
        "strategy": _text(session.strategy, f"{what} its strategy"),
        "replicate": _count(session.replicate, f"{what} its replicate"),
        "model": _text(session.model, f"{what} its model"),
        "meta": _json_object(session.meta, f"{what} its meta"),
    }


def decode_session(row: Mapping[Any, Any]) -> Session:
    """Read what `encode_session` wrote."""
    return Session(
        row["id"], row["task_id"], row["strategy"], row["replicate"], row["model"], decode_meta(row["meta"], row["id"])
    )


def decode_meta(text: str, session_id: str = "", index: int | None = None) -> dict[str, Any]:
    """Read the meta of a session or iteration, which an error names; ``StoreError`` where it is no JSON object."""
    try:
        found = _decoder.decode(text)
        if isinstance(found, dict):
            return found
        why = "it is no JSON object"
    except (ValueError, RecursionError) as error:
        why = str(error)
    of = [f"iteration {index:,}"] if index is not None else [] if session_id else ["an iteration"]
    of += [f"session {session_id!r:.200}"] if session_id else []
    raise StoreError(
        f"the meta of {' of '.join(of)} in the store cannot be read ({why}): restore the store from a copy"
    )


def encode_iteration(iteration: Iteration) -> Row:
    """Return the row of `iteration`, its session and scores aside, or raise ``StoreError`` if it cannot be kept."""
    what = f"session {iteration.session_id!r}, iteration {iteration.index!r}:"
    if iteration.status not in ("ok", "failed"):
        raise StoreError(f"{what} the status must be 'ok' or 'failed', but is {iteration.status!r}")
    return {
        "iteration": _count(iteration.index, f"{what} its index"),
        "strategy": _text(iteration.strategy, f"{what} its strategy"),
        "status": iteration.status,
        "reason": _text(iteration.reason, f"{what} its reason"),
        "extraction": _text(iteration.extraction, f"{what} its extraction"),
        "meta": _json_object(iteration.meta, f"{what} its meta"),
        "artefact": None if iteration.artefact is None else _text(iteration.artefact, f"{what} its artefact"),
        "answer": None if iteration.answer is None else _text(iteration.answer, f"{what} its answer"),
    }


def amended(meta: str, more: Mapping[str, Any]) -> str:
    """Return an iteration's meta, as it is kept, with keys of it set."""
    return _json_object({**decode_meta(meta), **more}, "what is added to an iteration's meta")


def no_iteration(session_id: str, index: int) -> StoreError:
    """Return the error of an iteration that is to be amended and is not there."""
    return StoreError(f"session {session_id!r} has no iteration {index} in the store; nothing was written")


def encode_scores(iteration: Iteration, space: ObjectiveSpace | None) -> list[Row]:
    """Return the rows of the scores of `iteration`, or raise ``StoreError`` if they cannot be kept.

    Parameters
    ----------
    space
        The experiment's objectives; None while the store has no experiment, which is refused.
    """
    if space is None:
        raise StoreError("the store knows no objectives yet: give it an experiment before any iteration")
    what = f"session {iteration.session_id!r}, iteration {iteration.index!r}:"
    seen: set[tuple[str, int]] = set()
    rows = []
    for score in iteration.scores:
        if score.objective not in space:
            raise StoreError(
                f"{what} a score for {score.objective!r}, which is none of the experiment's objectives "
                f"({', '.join(space.names)})"
            )
        if score.status not in ("ok", "unscored", "failed"):
            raise StoreError(f"{what} a score's status must be 'ok', 'unscored' or 'failed', but is {score.status!r}")
        if (score.objective, score.repeat) in seen:
            raise StoreError(f"{what} {score.objective!r} is scored twice as repeat {score.repeat}")
        seen.add((score.objective, score.repeat))
        evidence = [[e.rule, float(e.weight), e.line, e.message] for e in score.evidence]
        rows.append(
            {
                "iteration": int(iteration.index),
                "objective": score.objective,
                "repeat": _count(score.repeat, f"{what} the repeat of a score"),
                "status": score.status,
                "value": None if score.value is None else float(score.value),
                "reason": _text(score.reason, f"{what} the reason of a score"),
                "evidence": encode_json(evidence, f"{what} the evidence of a score") if evidence else "[]",
            }
        )
    return rows


def decode_iteration(
    session_id: str, row: Mapping[Any, Any], scores: Iterable[Mapping[Any, Any]], space: ObjectiveSpace | None
) -> Iteration:
    """Read what `encode_iteration` and `encode_scores` wrote.

    Scores come in the order of the objectives, then of repeats; objectives no longer in `space` come last.
    """
    place = {} if space is None else {name: i for i, name in enumerate(space.names)}

    def order(score: Mapping[Any, Any]) -> tuple[int, str, int]:
        return place.get(score["objective"], len(place)), score["objective"], score["repeat"]

    return Iteration(
        session_id=session_id,
        index=row["iteration"],
        strategy=row["strategy"],
        artefact=row["artefact"],
        scores=tuple(_decode_score(score) for score in sorted(scores, key=order)),
        status=row["status"],
        reason=row["reason"],
        answer=row["answer"],
        extraction=row["extraction"],
        meta=decode_meta(row["meta"], session_id, row["iteration"]),
    )


def first_restarts(rows: Iterable[tuple[int, int, str]]) -> dict[int, int]:
    """Return where sessions first went on from another iterate than the latest, by session key.

    Parameters
    ----------
    rows
        Session key, index and meta of iterations, by session and index.
    """
    found: dict[int, int] = {}
    for key, index, meta in rows:
        if key not in found and f'"{RESTARTED}":' in meta and RESTARTED in decode_meta(meta):
            found[key] = index
    return found


def _decode_score(row: Mapping[Any, Any]) -> Score:
    evidence = () if row["evidence"] == "[]" else tuple(Evidence(*item) for item in json.loads(row["evidence"]))
    return Score(row["objective"], row["value"], row["status"], row["reason"], evidence, row["repeat"])


def encode_space(space: ObjectiveSpace) -> str:
    """Return the objectives as JSON; an open end of a scale is null."""
    for objective in space:
        _text(objective.name, f"the name of objective {objective.name!r}")
    return encode_json(plain.objectives(space), "the objectives")


def decode_experiment(name: str, objectives: str, settings: str, url: str) -> Experiment:
    """Return the experiment of the store `url`; ``StoreError`` where its row was spoiled."""
    try:
        space = _decode_space(objectives)
    except (ValueError, LookupError, TypeError, RecursionError, InputError) as error:
        raise _spoiled("objectives", url, error) from error
    try:
        found = json.loads(settings, parse_constant=_no_json)
        _encoder.encode(found)  # numbers may be infinite
    except (ValueError, TypeError, RecursionError) as error:
        raise _spoiled("settings", url, error) from error
    if not isinstance(found, dict) or not has_imports(found):
        raise _spoiled("settings", url, "they are not what trimtab writes")
    return Experiment(name, space, found)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_json(text)


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_no_json)


def _spoiled(what: str, url: str, why: object) -> StoreError:
    return StoreError(f"the {what} in the store {url} cannot be read ({why}): restore the store from a copy")


def _decode_space(text: str) -> ObjectiveSpace:
    return ObjectiveSpace(
        Objective(
            item["name"],
            -math.inf if item["low"] is None else item["low"],
            math.inf if item["high"] is None else item["high"],
            item["direction"],
        )
        for item in json.loads(text)
    )
