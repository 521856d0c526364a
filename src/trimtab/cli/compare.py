"""``trimtab compare``: whether two strategies, two models or two versions of a loop differ in their dynamics."""

from __future__ import annotations

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
    read,
)

__all__ = ["compare"]


def compare(
    source: Source,
    other: Annotated[
        str | None, typer.Argument(help="A second source, to compare the first with.", show_default=False)
    ] = None,
    between: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN=ONE,OTHER",
            help="With one source: what to compare in it, such as strategy=EF,SF or model=NAME,NAME.",
            show_default=False,
        ),
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Compare under this strategy only.", show_default=False)] = None,
    paired: Annotated[
        bool | None,
        typer.Option(
            "--paired/--unpaired",
            help="Whether both sides hold the same tasks or sessions; found out if not given.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="What is drawn and paired by: task_id, model or session_id; tasks where they are known.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.comparison/1) instead.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Also write the JSON document to this file.", show_default=False)
    ] = None,
    objective: Objectives = None,
    session_column: SessionColumn = "session_id",
    strategy_column: StrategyColumn = "strategy",
    iteration_column: IterationColumn = "iteration",
    objective_column: ObjectiveColumn = "objective",
    value_column: ValueColumn = "value",
    repeat_column: RepeatColumn = None,
    judgements: Judgements = None,
    dt: Annotated[float, typer.Option(help="Time between iterations.")] = 1.0,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    draws: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 2000,
    seed: Annotated[
        int, typer.Option(help="Seed of the replicates, the permutations and the cross-validation folds.")
    ] = 0,
    estimator: Annotated[
        str,
        typer.Option(help="Which estimate each side trusts, as in trimtab fit; least-squares is the fastest."),
    ] = "auto",
) -> None:
    """Compare the dynamics of two sources, or of two strategies or models in one, and say how sure that is.

    Each side is also fitted as trimtab fit does, so that noise is not taken for speed; loops that try until they pass
    are compared by their chances per try.
    """
    from trimtab.estimation.comparison.compare import compare as compare_sides

    names = columns(session_column, strategy_column, iteration_column, objective_column, value_column, repeat_column)
    result = compare_sides(
        read(source, objective, names, judgements),
        None if other is None else read(other, objective, names, judgements),
        between=between,
        strategy=strategy,
        paired=paired,
        by=by,
        names=("A", "B") if other is None else _names(source, other),
        dt=dt,
        level=level,
        draws=draws,
        seed=seed,
        estimator=estimator,
    )
    if out is not None:
        from trimtab.cli.output import write_text

        write_text(out, result.to_json() + "\n")
    from trimtab.cli.output import print_blocks, say_json

    if as_json:
        say_json(result.to_json())
        return
    from trimtab.estimation.comparison.summary import ComparisonSummary

    print_blocks(ComparisonSummary(result))


def _names(source: str, other: str) -> tuple[str, str]:
    """Return the shortest names that tell two sources apart."""
    short = [Path(text).name.split(".")[0] for text in (source, other)]
    if all(short) and short[0] != short[1]:
        return short[0], short[1]
    return (source, other) if source != other else ("A", "B")
