"""``trimtab status``: how far the run in a store is, and how to go on."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.cli.options import Store, store_at
from trimtab.core.counting import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from trimtab.sessions.inspection import Overview

__all__ = ["status"]

_REASONS = 5


def status(
    store: Store = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.status/1) instead.")
    ] = False,
) -> None:
    """Say how far the run in a store is, what failed and what it took, who works on it, and how to go on."""
    import json

    from rich.console import Group

    from trimtab.cli.output import print_blocks, say, say_json
    from trimtab.sessions.inspection import overview
    from trimtab.store.open import open_store

    url = store_at(store)
    opened = open_store(url)
    try:
        found = overview(opened)
    finally:
        opened.close()
    if as_json:
        say_json(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
        return
    print_blocks(Group(*_blocks(found)))
    if then := _next(found, store):
        say(f"  {then}")  # on one line, however long: what is copied from two is no command


def _blocks(found: Overview) -> Iterator[RenderableType]:
    from rich.text import Text

    from trimtab.estimation.layout import listed, paragraph, plain

    yield Text(plain(f"{found.name or 'nothing yet'}, in {found.url}"), style="bold")
    if found.is_run:
        yield from map(paragraph, _settings(found.settings))
    elif files := [str(one.get("file")) for one in found.settings.get("imports", ())]:
        yield paragraph(f"imported from {', '.join(files[:_REASONS])}{' and others' if len(files) > _REASONS else ''}")
    if found.standings:
        yield _table(found)
    shown, more = found.reasons[:_REASONS], found.reasons[_REASONS:]
    lines = [f"{count:,} x {reason}" for reason, count in shown]
    if more:
        lines.append(f"{sum(count for _, count in more):,} for {len(more):,} other reasons")
    yield from listed("Why iterations failed", lines)
    yield Text("Now", style="bold")
    yield from map(paragraph, _now(found))


def _settings(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a run was told, in short."""
    from trimtab.errors import InputError
    from trimtab.providers.registry import provider_label

    try:
        provider = provider_label(settings["provider"])
    except InputError:
        provider = f"{settings['provider']} (not installed here)"
    told = [f"provider {provider}"]
    told += [f"{name} {settings[name]}" for name in ("model", "base_url") if settings.get(name)]
    yield ", ".join(told)
    length = count_of(settings["iterations"], "iteration")
    names = f"strategies {', '.join(settings.get('config', settings)['strategies'])}"
    course = f"{names} x {count_of(settings['sessions'], 'session')} x {length}"
    if settings.get("policy"):
        course = f"policy {settings['policy']} over {course}"
    elif settings.get("follows"):
        course = f"follows {settings['follows']} over {names}, at most {length} a session"
    yield f"{course}, tasks {settings['tasks']}, seed {settings['seed']}"
    yield f"scorers {', '.join(settings['scorers'])}; objectives {', '.join(settings['objectives'])}"


def _table(found: Overview) -> RenderableType:
    from rich.text import Text

    from trimtab.estimation.layout import plain, table
    from trimtab.sessions.inspection import STATES

    arms = found.by_arm()
    there = [state for state in STATES if any(one.state == state for one in found.standings)]
    head = "policy" if found.settings.get("policy") else "recorded as" if found.settings.get("follows") else "strategy"
    made = table("", [head, "sessions", *there, "stored", "failed"])
    rows = [*arms.items(), ("in all", [*found.standings])] if len(arms) > 1 else [*arms.items()]
    for arm, of_arm in rows:
        numbers = [
            len(of_arm),
            *(sum(one.state == state for one in of_arm) for state in there),
            sum(one.stored for one in of_arm),
            sum(one.failed for one in of_arm),
        ]
        made.add_row(Text(plain(arm)), *(f"{number:,}" for number in numbers))
    return made


def _now(found: Overview) -> Iterator[str]:
    """Yield who answered, what was taken, when something last happened, and who is at work."""
    asked, others = found.settings.get("model"), found.answered_by
    if asked and found.settings.get("provider") != "replay" and others not in ([], [asked]):
        more = f" and {len(others) - _REASONS:,} others" if len(others) > _REASONS else ""
        yield f"answered by {', '.join(others[:_REASONS])}{more}, where {asked} was asked for"
    spent = found.spent
    if spent.tokens or spent.usd:
        yield f"taken: {spent}"
    if found.recorded_at is not None:
        yield f"last stored: {_when(found.recorded_at)}"
    for host, process, sessions in found.processes:
        yield f"process {process} on {host} is at work on {count_of(sessions, 'session')}"


def _next(found: Overview, place: str | None) -> str:
    """Return what to do next, in commands that can be copied; "" where somebody is at work."""
    if not found.standings:
        return "there is nothing in it: trimtab run or trimtab import fill it"
    if found.complete:
        return f"{'complete: ' if found.is_run else ''}trimtab report {quote(found.url)} shows what it says"
    if found.processes:
        return ""
    given = "" if place is None else f" {quote(place)}"
    aside = all(one.state in ("done", "paused") for one in found.standings)
    return f"to go on: trimtab resume{given}{' --resume-paused' if aside else ''}"


def _when(seconds: float) -> str:
    """Return a moment, and how long ago it was."""
    from datetime import UTC, datetime

    ago = max(int(datetime.now(UTC).timestamp() - seconds), 0)
    units = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    length, unit = next(((ago // size, unit) for size, unit in units if ago >= size), (0, "second"))
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, {count_of(length, unit)} ago"
