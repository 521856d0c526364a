"""``trimtab score``: the scores of programs, with the evidence behind them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.core.counting import count_of

if TYPE_CHECKING:
    from trimtab.scoring.base import Scorer
    from trimtab.scoring.text import ScoredText

__all__ = ["score"]

_STDIN = "-"
_LARGEST = 16 * 2**20
_LOOKED_AT = 8192


def score(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Programs or Markdown answers, .jsonl[.gz] files of recorded texts, or - for standard input.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a text, with all evidence.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence", "-e", help="Show what every score is made of.")] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="JSONL files: write the scored rows here instead of printing.", show_default=False),
    ] = None,
    scorer: Annotated[str, typer.Option(help="Which scorer to use.")] = "python-static",
    text_column: Annotated[str, typer.Option(help="JSONL files: the field with the text.")] = "text",
) -> None:
    """Score programs without running them; rows of JSONL files come back with their scores in place of any others."""
    from trimtab.cli.output import say_json
    from trimtab.errors import InputError
    from trimtab.ingest.rescore import is_jsonl
    from trimtab.scoring.registry import get_scorer

    chosen = get_scorer(scorer)
    tables = [name for name in files if name != _STDIN and is_jsonl(Path(name))]
    if tables and len(tables) < len(files):
        raise InputError("score either JSONL files or single texts, not both at once")
    if tables:
        _check_row_options(as_json, evidence, to)
        _score_rows([Path(name) for name in tables], chosen, text_column, to)
        return
    if to is not None:
        raise InputError("--to goes with .jsonl files; for single texts use --json and redirect the output")
    from trimtab.scoring.base import ScoringContext
    from trimtab.scoring.text import score_text

    done = {name: score_text(_read(name), chosen, ScoringContext(task_id=name)) for name in files}
    if as_json:
        import json

        for name, one in done.items():
            say_json(json.dumps(_document(name, one), ensure_ascii=False))
        return
    _print(done, evidence)


def _check_row_options(as_json: bool, evidence: bool, to: Path | None) -> None:
    from trimtab.errors import InputError

    if as_json or evidence:
        option = "--json" if as_json else "--evidence"
        raise InputError(
            f"{option} goes with single texts, but got JSONL files: their rows come back as JSONL with scores in "
            f"place; leave {option} out, or score the texts as files of their own"
        )
    if to is not None and not to.name.lower().endswith((".jsonl", ".jsonl.gz")):
        raise InputError(f"--to writes JSONL and needs a name that ends in .jsonl or .jsonl.gz, but got {str(to)!r}")


def _read(name: str) -> str:
    from trimtab.errors import InputError, SourceError

    try:
        if name == _STDIN:
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(_LARGEST + 1)
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise InputError(f"{name} is larger than {_LARGEST // 2**20} MB; a text to score must be smaller")
    if b"\0" in data[:_LOOKED_AT]:
        raise InputError(f"{name} is no text: it holds zero bytes; give programs, answers, or .jsonl files of them")
    return data.decode("utf-8-sig", errors="replace")


def _document(name: str, one: ScoredText) -> dict[str, Any]:
    return {
        "file": name,
        "found": one.method,
        "scores": {s.objective: s.value for s in one.scores},
        "status": {s.objective: s.status for s in one.scores},
        "reasons": {s.objective: s.reason for s in one.scores if s.reason},
        "evidence": {
            s.objective: [
                {"rule": e.rule, "weight": e.weight, "line": e.line, "message": e.message} for e in s.evidence
            ]
            for s in one.scores
        },
    }


def _print(done: dict[str, ScoredText], evidence: bool) -> None:
    from rich import box
    from rich.console import Group
    from rich.table import Table

    from trimtab.cli.output import print_blocks
    from trimtab.core.visible import visible

    names = list(dict.fromkeys(s.objective for one in done.values() for s in one.scores))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("text", overflow="fold")
    for name in names:
        table.add_column(visible(name), justify="right")
    table.add_column("note", overflow="fold")
    details = []
    for file, one in done.items():
        values = {s.objective: s for s in one.scores}
        cells = ["–" if values[n].value is None else f"{values[n].value:.2f}" for n in names]
        note = next((s.reason for s in one.scores if s.reason), "" if one.method == "whole" else f"found: {one.method}")
        table.add_row(visible(file), *cells, visible(note))
        for one_score in one.scores if evidence else ():
            rows = Table(
                title=visible(f"{file}: {one_score.objective}"), title_justify="left", box=box.SIMPLE, pad_edge=False
            )
            for column, side in (("weight", "right"), ("line", "right"), ("rule", "left"), ("", "left")):
                rows.add_column(column, justify="right" if side == "right" else "left")
            for item in one_score.evidence:
                line = "" if item.line is None else str(item.line)
                rows.add_row(f"{item.weight:+.2f}", line, visible(item.rule), visible(item.message))
            details.append(rows)
    print_blocks(Group(table, *details))


def _score_rows(paths: list[Path], scorer: Scorer, text_column: str, to: Path | None) -> None:
    import json

    from trimtab.cli.output import say, write_lines
    from trimtab.core.visible import escaped
    from trimtab.ingest.rescore import RescoreCount, rescored_rows

    count = RescoreCount()
    lines = (
        json.dumps(row, ensure_ascii=False) + "\n"
        for path in paths
        for row in rescored_rows(path, scorer, text_column, count)
    )
    if to is None:
        for line in lines:
            sys.stdout.write(escaped(line))
    else:
        write_lines(to, lines)
    say(
        f"Scored {count_of(count.scored, 'row')}" + (f", written to {to}" if to else ""),
        err=True,
    )
    for exclusion in count.exclusions():
        say(f"  {exclusion}", err=True)
