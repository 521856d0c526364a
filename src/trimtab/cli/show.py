"""``trimtab show``: one session, iteration by iteration, with what changed in its artefact."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.cli.options import StoreOption, store_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from trimtab.core.objectives import ObjectiveSpace
    from trimtab.core.records import Iteration, Score, Session
    from trimtab.store.base import Experiment

__all__ = ["show"]

_LINES = 40
"""Lines of one difference or text that are shown unless all are asked for."""

_COLUMNS = 200
"""Characters of a line that are shown, unless all are asked for."""

_COMPARED = 4_000
"""Lines of an artefact that are compared; a text beyond that is compared up to there."""


def show(
    session: Annotated[str, typer.Argument(help="Id of the session, as in EF/calculator/0.")],
    store: StoreOption = None,
    iteration: Annotated[
        list[int] | None,
        typer.Option("--iteration", "-t", metavar="T", help="Only this one; repeat for more.", show_default=False),
    ] = None,
    diff: Annotated[bool, typer.Option("--diff/--no-diff", help="Show what each iteration changed.")] = True,
    artefact: Annotated[bool, typer.Option("--artefact", help="Show the artefact whole.")] = False,
    answer: Annotated[bool, typer.Option("--answer", help="Show what the model wrote.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence", "-e", help="Show what each score is made of.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Shorten nothing.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.session/1) instead, texts included.")
    ] = False,
) -> None:
    """Show one session: its scores and their changes, what was decided, and how its artefact changed."""
    import json

    from rich.console import Group

    from trimtab.cli.output import print_blocks, say_json
    from trimtab.errors import InputError, StoreError
    from trimtab.sessions.inspection import find_session
    from trimtab.store.open import open_store

    opened = open_store(store_at(store))
    try:
        found = find_session(opened.sessions(), session)
        experiment = opened.experiment()
        records = list(opened.iterations(found.id))
    finally:
        opened.close()
    if experiment is None:
        raise StoreError(f"the store {opened.url} has sessions but no objectives")
    there = [record.index for record in records]
    missing = [t for t in iteration or () if t not in there]
    if missing:
        raise InputError(f"session {session!r:.200} has no iteration {missing[0]}; it has {_range(there)}")
    wanted = [record for record in records if not iteration or record.index in iteration]
    if as_json:
        say_json(json.dumps(_document(found, wanted), indent=2, ensure_ascii=False, allow_nan=False))
        return
    details = {"diff": diff, "artefact": artefact, "answer": answer, "evidence": evidence}
    print_blocks(Group(*_blocks(found, records, wanted, experiment, details, full)))


def _range(indices: Sequence[int]) -> str:
    return f"{indices[0]} to {indices[-1]}" if indices else "none yet"


def _blocks(
    session: Session,
    records: Sequence[Iteration],
    wanted: Sequence[Iteration],
    experiment: Experiment,
    details: Mapping[str, bool],
    full: bool,
) -> Iterator[RenderableType]:
    from rich.text import Text

    from trimtab.estimation.layout import paragraph, plain
    from trimtab.sessions.inspection import best_of

    yield Text(plain(session.id), style="bold")
    space, settings = experiment.space, experiment.settings
    follows, chooser = settings.get("follows"), "policy" if settings.get("policy") else "strategy"
    made_by = {"follows": follows} if follows else {chooser: session.strategy}
    facts = {"task": session.task_id, **made_by, "model": session.model}
    told = [f"{name} {value}" for name, value in facts.items() if value]
    yield paragraph(", ".join([*told, f"replicate {session.replicate}"]))
    if not records:
        yield paragraph("It has not begun yet.")
        return
    best = best_of(records, space)
    if best is not None:
        yield paragraph(f"The best iterate is that of iteration {best}.")
    by_index = {record.index: record for record in records}
    yield _table(wanted, by_index, space)
    for record in wanted:
        blocks = [*_details(record, by_index.get(record.base), details, full)]
        if blocks:
            yield Text(f"t = {record.index}", style="bold")
            yield from blocks
            yield Text()


def _table(wanted: Sequence[Iteration], by_index: Mapping[int, Iteration], space: ObjectiveSpace) -> RenderableType:
    from rich.text import Text

    from trimtab.estimation.layout import plain, score, table
    from trimtab.sessions.inspection import score_of
    from trimtab.sessions.spending import spending_of

    tokens = any(spending_of(record.meta, {}).tokens for record in wanted)
    made = table("", ["t", "made by", *space.names, *(["tokens"] if tokens else []), "status"])
    made.columns[-1].justify, made.columns[-1].no_wrap, made.columns[-1].overflow = "left", False, "fold"
    for record in wanted:
        cells = []
        before = by_index.get(record.base)
        for name in space.names:
            value = score_of(record, name)
            last = None if before is None else score_of(before, name)
            change = "" if value is None or last is None else f" ({score(value - last, signed=True)})"
            cells.append("–" if value is None else f"{score(value)}{change}")
        taken = [f"{spending_of(record.meta, {}).tokens:,}"] if tokens else []
        made.add_row(f"{record.index}", Text(plain(_maker(record))), *cells, *taken, Text(plain(_status(record))))
    return made


def _maker(record: Iteration) -> str:
    if record.index == 0 and record.extraction == "start":
        return "start"
    return record.strategy if record.base == record.index - 1 else f"{record.strategy} from {record.base}"


def _status(record: Iteration) -> str:
    """Return in words whether the iteration went well, and what was decided, fired and answered after it."""
    from trimtab.sessions.watch import ENDS, remarks

    told = ["ok" if record.status == "ok" else f"failed: {record.reason}"]
    if record.meta.get("unchanged"):
        told.append("nothing changed")
    missing = {one.reason for one in record.scores if one.value is None and one.reason}
    told += [f"not scored: {reason}" for reason in sorted(missing) if not record.reason.startswith(reason)]
    decision = record.meta.get("decision")
    if isinstance(decision, dict):
        chosen = decision.get("strategy") or decision.get("action")
        told.append(f"then {chosen}: {decision.get('reason', '')}")
    told += remarks(record)
    if record.meta.get(ENDS):
        told.append("the recording ends")
    return "; ".join(told)


def _details(
    record: Iteration, before: Iteration | None, details: Mapping[str, bool], full: bool
) -> Iterator[RenderableType]:
    if details["evidence"]:
        judged = Counter(score.objective for score in record.scores)
        for score in record.scores:
            yield from _evidence(score, judged[score.objective])
    if details["answer"] and record.answer is not None:
        yield from _text("what the model wrote", record.answer.split("\n"), full)
    if details["artefact"] and record.artefact is not None:
        yield from _text("artefact", record.artefact.split("\n"), full)
    if details["diff"] and record.artefact is not None and before is not None and before.artefact is not None:
        lines = _difference(before, record)
        if lines:
            yield from _text(f"changes to the artefact of t = {before.index}", lines, full, changes=True)


def _difference(before: Iteration, record: Iteration) -> list[str]:
    """Return a unified difference without its heading, empty where nothing changed."""
    import difflib

    if before.artefact == record.artefact:
        return []
    old, new = ((one.artefact or "").split("\n") for one in (before, record))
    lines = [*difflib.unified_diff(old[:_COMPARED], new[:_COMPARED], lineterm="", n=2)][2:]
    if max(len(old), len(new)) > _COMPARED:
        lines.append(f"(only the first {_COMPARED:,} lines are compared)")
    return lines


def _text(title: str, lines: Sequence[str], full: bool, changes: bool = False) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    from trimtab.core.visible import visible

    styles = {"+": "green", "-": "red", "@": "cyan"} if changes else {}
    yield Text(f"  {title}", style="dim")
    shown = lines if full else lines[:_LINES]
    for line in shown:
        words = visible(line.expandtabs(4), most=None if full else _COLUMNS)
        yield Padding(Text(words, style=styles.get(line[:1], ""), overflow="fold"), (0, 0, 0, 4))
    if len(shown) < len(lines):
        yield Text(f"    ... {len(lines) - len(shown):,} more lines: --full shows them", style="dim")


def _evidence(score: Score, judged: int) -> Iterator[RenderableType]:
    """Show what a score is made of, one of `judged` judgements of its objective."""
    from rich.text import Text

    from trimtab.estimation.layout import paragraph, plain, table
    from trimtab.estimation.layout import score as number
    from trimtab.judging.answer import RULE

    repeat = f", judgement {score.repeat + 1} of {judged}" if judged > 1 else ""
    value = f"{number(score.value)}" if score.value is not None else f"{score.status}: {score.reason}"
    if all(one.rule == RULE for one in score.evidence):
        words = "".join(f". {one.message}" for one in score.evidence)
        yield paragraph(f"{score.objective}{repeat}: {value}{words}")
        return
    made = table(f"  {score.objective}{repeat}: {value}", ["rule", "weight", "line"])
    made.add_column("")
    for one in score.evidence:
        line = "" if one.line is None else f"{one.line:,}"
        made.add_row(Text(plain(one.rule)), f"{one.weight:+.2f}", line, Text(plain(one.message)))
    yield made


def _document(session: Session, records: Sequence[Iteration]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "schema": "trimtab.session/1",
        "id": session.id,
        "task": session.task_id,
        "strategy": session.strategy,
        "replicate": session.replicate,
        "model": session.model,
        "meta": dict(session.meta),
        "iterations": [
            {
                "iteration": record.index,
                "strategy": record.strategy,
                "base": record.base if record.index else None,
                "status": record.status,
                "reason": record.reason,
                "scores": [asdict(score) for score in record.scores],
                "artefact": record.artefact,
                "answer": record.answer,
                "extraction": record.extraction,
                "meta": dict(record.meta),
            }
            for record in records
        ],
    }
