"""``trimtab import`` and ``trimtab export``: files into a store, and any source into a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import (
    IterationColumn,
    Judgements,
    ObjectiveColumn,
    Objectives,
    RepeatColumn,
    SessionColumn,
    Source,
    StrategyColumn,
    ValueColumn,
    columns,
    judgements_of,
    read,
)
from trimtab.core.counting import count_of

__all__ = ["export", "import_"]


class TableLayout(StrEnum):
    """One column per objective, or one row per objective."""

    wide = "wide"
    long = "long"


def import_(
    files: Annotated[
        list[Path], typer.Argument(help="Files to bring in: .csv, .parquet, .jsonl or .jsonl.gz.", show_default=False)
    ],
    store: Annotated[
        str, typer.Option(help="Store to write to, made if missing, as sqlite:///FILE.", show_default=False)
    ],
    score: Annotated[
        bool, typer.Option("--score", help="Score the text of every row instead of taking the scores in the file.")
    ] = False,
    scorer: Annotated[str, typer.Option(help="Which scorer --score uses.")] = "python-static",
    objective: Objectives = None,
    session_column: SessionColumn = "session_id",
    strategy_column: StrategyColumn = "strategy",
    iteration_column: IterationColumn = "iteration",
    objective_column: ObjectiveColumn = "objective",
    value_column: ValueColumn = "value",
    repeat_column: RepeatColumn = None,
    judgements: Judgements = None,
    text_column: Annotated[str, typer.Option(help="Column with the text of the iteration.")] = "text",
) -> None:
    """Bring recorded sessions into a store, with their texts where the files hold them."""
    from dataclasses import replace

    from trimtab.cli.output import say
    from trimtab.ingest.importer import import_files
    from trimtab.scoring.registry import get_scorer

    names = columns(session_column, strategy_column, iteration_column, objective_column, value_column, repeat_column)
    chosen = get_scorer(scorer) if score else None
    done = import_files(
        files,
        store,
        columns=replace(names, text=text_column),
        objectives=objective or None,
        judgements=judgements_of(judgements),
        scorer=chosen,
    )
    say(f"Imported {count_of(done.sessions, 'session')} with {count_of(done.iterations, 'iteration')} into {store}")
    for heading, lines in (("Left out", [*map(str, done.exclusions)]), ("Assumed", [*done.notes])):
        for line in lines:
            say(f"  {heading}: {line}")


def export(
    source: Source,
    to: Annotated[
        Path, typer.Option("--to", help="File to write: .csv, .parquet, .jsonl or .jsonl.gz.", show_default=False)
    ],
    layout: Annotated[TableLayout, typer.Option(help="One column per objective, or one row.")] = TableLayout.wide,
    objective: Objectives = None,
    session_column: SessionColumn = "session_id",
    strategy_column: StrategyColumn = "strategy",
    iteration_column: IterationColumn = "iteration",
    objective_column: ObjectiveColumn = "objective",
    value_column: ValueColumn = "value",
    repeat_column: RepeatColumn = None,
    judgements: Judgements = None,
) -> None:
    """Write the scores of SOURCE as a tidy table."""
    from trimtab.cli.output import say
    from trimtab.errors import InputError
    from trimtab.store.load import save

    if to.exists() and Path(source).exists() and to.samefile(source):
        raise InputError(f"{to} is the source itself, and an export may hold less than it: choose another name")
    names = columns(session_column, strategy_column, iteration_column, objective_column, value_column, repeat_column)
    trajectories = read(source, objective, names, judgements)
    written = save(trajectories, to, layout="long" if layout is TableLayout.long else "wide")
    size = f"{count_of(trajectories.n_rows, 'iteration')} of {count_of(trajectories.n_sessions, 'session')}"
    say(f"Wrote {size} to {written}")
    for exclusion in trajectories.exclusions:
        say(f"  Left out: {exclusion}", err=True)
