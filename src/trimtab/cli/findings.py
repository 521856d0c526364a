"""``trimtab findings``: how many findings of each severity there are, and how that changes after some iterations."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.core.counting import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from trimtab.reproduction.findings import Findings

__all__ = ["findings"]


def findings(
    source: Annotated[str, typer.Argument(help="A store with scored texts, as sqlite:///FILE.", show_default=False)],
    objective: Annotated[str, typer.Option(help="Whose findings to count.")] = "security",
    after: Annotated[int, typer.Option(help="Iterations after which the change is taken.")] = 5,
    level: Annotated[float, typer.Option(help="Coverage of the intervals, over sessions.")] = 0.95,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.findings/1) instead.")
    ] = False,
) -> None:
    """Count what the scorer holds against each iteration, by severity, and say how that changes over a session."""
    from trimtab.reproduction.findings import count_findings, finding_trends
    from trimtab.store.open import is_store_url, open_store

    if not is_store_url(source):
        from trimtab.errors import InputError

        raise InputError(
            f"findings are kept in stores only, as sqlite:///FILE, but got {source!r}; trimtab import FILE --score "
            "--store sqlite:///FILE makes one from a file with texts"
        )
    store = open_store(source)
    try:
        strategies = {session.id: session.strategy for session in store.sessions()}
        result = finding_trends(count_findings(store.iterations(), strategies, objective), after, level)
    finally:
        store.close()
    from trimtab.cli.output import print_blocks, say_json

    if as_json:
        import json

        say_json(json.dumps(result.to_dict(), indent=2, allow_nan=False))
        return
    from rich.console import Group

    print_blocks(Group(*_blocks(result)))


def _blocks(found: Findings) -> Iterator[RenderableType]:
    from rich.text import Text

    from trimtab.estimation.layout import number, paragraph, plain, table
    from trimtab.reproduction.findings import FEWEST, SEVERITIES

    k = found.after
    made = table(
        f"Findings against {found.objective} per session, at the start and after {count_of(k, 'iteration')}",
        ["Strategy", "Severity", "Sessions", "t = 0", f"t = {k}", "Change", "in percent"],
    )
    for one in found.trends:
        end = one.before + float(one.change)
        change, relative = one.change, one.relative
        cells = (
            plain(one.strategy),
            one.severity,
            f"{one.sessions:,}",
            number(one.before),
            number(end),
            f"{number(change, signed=True)} [{number(change.low)}, {number(change.high)}]",
            f"{_percent(relative)} [{_percent(relative.low)}, {_percent(relative.high)}]",
        )
        made.add_row(*map(Text, cells), end_section=one.severity == [*SEVERITIES][-1])
    yield made
    classes = ", ".join(f"{name} {least:g}" for name, least in SEVERITIES.items())
    yield paragraph(
        f"{found.level:.0%} intervals over sessions in brackets. Severity goes by the points, of ten, that the rule "
        f"takes for its first finding: {classes} or more. Sessions are those with a score at both ends."
    )
    if any(not isnan(one.relative) and isnan(one.relative.low) for one in found.trends):
        yield paragraph(
            f"[–, –]: fewer than {FEWEST} of the sessions have such a finding at the start, too few for an interval."
        )
    if found.cut_short:
        yield paragraph(f"{found.cut_short:,} scores kept only their heaviest evidence: light findings are missing.")


def _percent(value: float) -> str:
    return "–" if isnan(value) else f"{100 * value:+.1f}%"
