"""``trimtab plugins``: the providers, scorers and policies that there are, and who brings them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from trimtab.plugins import Plugin

__all__ = ["plugins"]


def plugins(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.plugins/1) instead.")
    ] = False,
) -> None:
    """List the providers, scorers and policies that are installed, with the package that brings each.

    What cannot be imported is listed with the reason.
    """
    import json

    from rich.console import Group

    from trimtab.cli.output import print_blocks, say_json
    from trimtab.plugins import GROUPS
    from trimtab.plugins import plugins as found_in

    groups = {group: [_entry(one) for one in found_in(group).values()] for group in GROUPS}
    if as_json:
        found = [entry for entries in groups.values() for entry in entries]
        document = {"schema": "trimtab.plugins/1", "plugins": found}
        say_json(json.dumps(document, indent=2, ensure_ascii=False))
        return
    print_blocks(Group(*(_table(group, entries) for group, entries in groups.items())))


def _entry(one: Plugin) -> dict[str, Any]:
    """Return one plugin as JSON values; ``error`` says why it cannot be used."""
    from trimtab.errors import InputError

    says, error = "", None
    try:
        says = one.says
    except InputError as problem:
        error = str(problem)
    return {
        "group": one.group,
        "name": one.name,
        "says": says,
        "value": one.value,
        "distribution": one.distribution,
        "version": one.version,
        "error": error,
    }


def _table(group: str, entries: Sequence[dict[str, Any]]) -> RenderableType:
    from rich.text import Text

    from trimtab.cli.output import words
    from trimtab.estimation.layout import plain

    made = words(["name", "what it is", "package"], f"\n{group}")
    for entry in entries:
        said = Text(plain(entry["error"]), style="red") if entry["error"] else Text(plain(entry["says"]))
        made.add_row(Text(plain(entry["name"])), said, Text(plain(f"{entry['distribution']} {entry['version']}")))
    return made
