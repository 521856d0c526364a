"""``trimtab sessions``: the sessions of a store, one a line."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.cli.options import Store, option, store_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from trimtab.core.objectives import ObjectiveSpace
    from trimtab.core.records import Iteration
    from trimtab.sessions.inspection import Standing
    from trimtab.store.base import Store as Opened

__all__ = ["sessions"]

_SHOWN = 50


def sessions(
    store: Store = None,
    strategy: Annotated[str | None, option("Only those of this strategy or policy.", "NAME")] = None,
    task: Annotated[str | None, option("Only those on this task.", "ID")] = None,
    status: Annotated[
        str | None,
        option("Only those that are 'not begun', 'under way', 'waits', 'paused', 'done' or 'recorded'.", "STATUS"),
    ] = None,
    limit: Annotated[
        int | None, option(f"Most sessions to show, 0 for all. By default {_SHOWN}, and all as JSON.", "N")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.sessions/1) instead.")
    ] = False,
) -> None:
    """List the sessions of a store: how far each is, its first and last scores, and its best iterate."""
    import json

    from trimtab.cli.output import print_blocks, say, say_json
    from trimtab.errors import InputError
    from trimtab.sessions.inspection import standings
    from trimtab.store.open import open_store

    if limit is not None and limit < 0:
        raise InputError(f"--limit is a number of sessions, or 0 for all, but got {limit}")
    opened = open_store(store_at(store))
    try:
        every = standings(opened)
        chosen = _chosen(every, strategy=strategy, task=task, state=status)
        most = (0 if as_json else _SHOWN) if limit is None else limit
        shown = chosen[:most] if most else chosen
        experiment = opened.experiment()
        records = _records(opened, shown, len(every))
    finally:
        opened.close()
    space = None if experiment is None else experiment.space
    if as_json:
        found = [_entry(one, records.get(one.session.id, []), space) for one in shown]
        document = {"schema": "trimtab.sessions/1", "matching": len(chosen), "sessions": found}
        say_json(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        return
    if shown and space is not None:
        print_blocks(_table(shown, records, space))
    more = len(chosen) - len(shown)
    rest = f"; {more:,} more with --limit 0" if more else ""
    say(f"{len(shown):,} of {len(every):,} sessions{rest}")
    if shown:
        say(f"to see one: {_show(shown[0].session.id, store)}")


def _show(name: str, place: str | None) -> str:
    """Return the command that shows a session, as it can be copied."""
    where = "" if place is None else f" --store {quote(place)}"
    return f"trimtab show{where} {'-- ' if name.startswith('-') else ''}{quote(name)}"


def _chosen(
    found: Sequence[Standing], *, strategy: str | None, task: str | None, state: str | None
) -> Sequence[Standing]:
    """Return the sessions that fit what was asked for, each of which must be there to be asked for."""
    from trimtab.errors import InputError
    from trimtab.sessions.inspection import STATES

    for name, value, attribute in (("strategy", strategy, "strategy"), ("task", task, "task_id")):
        if value is None:
            continue
        there = dict.fromkeys(getattr(one.session, attribute) for one in found)
        if value not in there:
            shown = ", ".join([*there][:10]) + (", ..." if len(there) > 10 else "")
            raise InputError(f"no session has the {name} {value!r:.200}; there are {shown or 'no sessions'}")
        found = [one for one in found if getattr(one.session, attribute) == value]
    if state is not None:
        if state not in STATES:
            raise InputError(f"--status is one of {', '.join(map(repr, STATES))}, but got {state!r:.80}")
        found = [one for one in found if one.state == state]
    return found


def _records(store: Opened, shown: Sequence[Standing], count: int) -> Mapping[str, list[Iteration]]:
    """Return the iterations of the sessions shown."""
    names = {one.session.id for one in shown if one.last >= 0}
    one_by_one = (record for name in names for record in store.iterations(name))
    found: dict[str, list[Iteration]] = {}
    for record in store.iterations() if len(names) > count // 2 else one_by_one:
        if record.session_id in names:
            found.setdefault(record.session_id, []).append(_without_texts(record))
    return found


def _without_texts(record: Iteration) -> Iteration:
    from dataclasses import replace

    return replace(record, artefact=None, answer=None)


def _ends(records: Sequence[Iteration], name: str) -> tuple[float | None, float | None]:
    """Return the first and the last score on an objective of artefacts that were in force, None where there is none."""
    from trimtab.sessions.inspection import score_of

    usable = (record for record in records if record.status == "ok")
    values = [value for record in usable if (value := score_of(record, name)) is not None]
    return (values[0], values[-1]) if values else (None, None)


def _entry(one: Standing, records: Sequence[Iteration], space: ObjectiveSpace | None) -> dict[str, Any]:
    from trimtab.sessions.inspection import best_of

    names = () if space is None else space.names
    ends = {name: _ends(records, name) for name in names}
    return {
        "id": one.session.id,
        "task": one.session.task_id,
        "strategy": one.session.strategy,
        "replicate": one.session.replicate,
        "model": one.session.model,
        "status": one.state,
        "last": one.last,
        "stored": one.stored,
        "failed": one.failed,
        "at_work": one.worked_on,
        "first_scores": {name: first for name, (first, _) in ends.items()},
        "last_scores": {name: last for name, (_, last) in ends.items()},
        "best": None if space is None else best_of(records, space),
        "recorded_at": one.recorded_at,
    }


def _table(shown: Sequence[Standing], records: Mapping[str, list[Iteration]], space: ObjectiveSpace) -> RenderableType:
    from rich.text import Text

    from trimtab.estimation.layout import plain, score, table
    from trimtab.sessions.inspection import best_of

    made = table("", ["session", "status", "t", "failed", *space.names, "best t"])
    for one in shown:
        own = records.get(one.session.id, [])
        cells = []
        for name in space.names:
            first, last = _ends(own, name)
            cells.append("–" if first is None or last is None else f"{score(first)} → {score(last)}")
        best = best_of(own, space)
        made.add_row(
            Text(plain(one.session.id)),
            f"{one.state}{' *' if one.worked_on else ''}",
            "–" if one.last < 0 else f"{one.last:,}",
            f"{one.failed:,}",
            *cells,
            "–" if best is None else f"{best:,}",
        )
    return made
