"""``trimtab nonlinear``: whether a drift bends, and where the loop then leads, as text or JSON."""

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

__all__ = ["nonlinear"]


def nonlinear(
    source: Source,
    strategy: Annotated[
        str | None, typer.Option(help="Look at this strategy alone.", metavar="NAME", show_default=False)
    ] = None,
    basis: Annotated[
        str, typer.Option(help="How the drift may bend: quadratic, or cubic, which allows for several resting points.")
    ] = "quadratic",
    drift: Annotated[
        str,
        typer.Option(
            help="auto: sessions that were held out choose; linear or nonlinear: that one, whatever they say."
        ),
    ] = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.nonlinear/1) instead.")
    ] = False,
    objective: Objectives = None,
    session_column: SessionColumn = "session_id",
    strategy_column: StrategyColumn = "strategy",
    iteration_column: IterationColumn = "iteration",
    objective_column: ObjectiveColumn = "objective",
    value_column: ValueColumn = "value",
    repeat_column: RepeatColumn = None,
    judgements: Judgements = None,
    level: Annotated[float, typer.Option(help="Coverage of the intervals.")] = 0.95,
    draws: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 300,
    seed: Annotated[int, typer.Option(help="Seed of replicates, cross-validation folds and innovations.")] = 0,
) -> None:
    """Ask of every strategy in SOURCE whether its drift bends, and where it leads: to which points, and how surely."""
    names = columns(session_column, strategy_column, iteration_column, objective_column, value_column, repeat_column)
    from trimtab.estimation.nonlinear.fit import fit_nonlinear

    result = fit_nonlinear(
        read(source, objective, names, judgements),
        strategy=strategy,
        basis=basis,
        drift=drift,
        level=level,
        draws=draws,
        seed=seed,
    )
    from trimtab.cli.output import print_blocks, say_json

    if as_json:
        say_json(result.to_json())
        return
    from trimtab.estimation.nonlinear.summary import NonlinearSummary

    print_blocks(NonlinearSummary(result))
