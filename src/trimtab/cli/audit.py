"""``trimtab audit``: the questions that a sceptical referee asks of a fit, as text or JSON."""

from __future__ import annotations

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

__all__ = ["audit"]


def audit(
    source: Source,
    strategy: Annotated[
        str | None, typer.Option(help="Look at this strategy alone.", metavar="NAME", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document (trimtab.audit/1) instead.")] = False,
    objective: Objectives = None,
    session_column: SessionColumn = "session_id",
    strategy_column: StrategyColumn = "strategy",
    iteration_column: IterationColumn = "iteration",
    objective_column: ObjectiveColumn = "objective",
    value_column: ValueColumn = "value",
    repeat_column: RepeatColumn = None,
    judgements: Judgements = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals; tests reject below 1 - LEVEL.")] = 0.95,
    shuffles: Annotated[int, typer.Option(help="Refits of scores in random order.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of shuffles, cross-validation folds and replicates.")] = 0,
) -> None:
    """Ask of every strategy in SOURCE whether it is dynamics, and whether what a fit assumes holds."""
    names = columns(session_column, strategy_column, iteration_column, objective_column, value_column, repeat_column)
    from trimtab.estimation.audit.audit import audit as audit_trajectories

    trajectories = read(source, objective, names, judgements)
    result = audit_trajectories(trajectories, strategy=strategy, level=level, seed=seed, shuffles=shuffles)
    from trimtab.cli.output import print_blocks, say_json

    if as_json:
        say_json(result.to_json())
        return
    from trimtab.estimation.audit.summary import AuditSummary

    print_blocks(AuditSummary(result))
