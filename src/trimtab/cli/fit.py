"""``trimtab fit`` and ``trimtab report``: the analysis of a source, as text, JSON or a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    source_at,
)

if TYPE_CHECKING:
    from trimtab.core.trajectories import Trajectories
    from trimtab.estimation.results import Fit

__all__ = ["fit", "report"]

Dt = Annotated[float, typer.Option(help="Time between iterations.")]
Level = Annotated[float, typer.Option(help="Coverage of the intervals.")]
Draws = Annotated[int, typer.Option(help="Bootstrap replicates.")]
Seed = Annotated[int, typer.Option(help="Seed of the replicates and of the cross-validation folds.")]
Chosen = Annotated[
    str,
    typer.Option(
        "--estimator",
        help="auto, least-squares (exactly the paper's), tobit, repeats, state-space, or all: every rung that fits.",
    ),
]


Group = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Also pool sessions by this column, such as task_id or model: a population, and each group's own figures.",
        show_default=False,
    ),
]


def _fit(
    trajectories: Trajectories, dt: float, level: float, draws: int, seed: int, estimator: str, group: str | None
) -> Fit:
    from trimtab.estimation.fit import fit as fit_trajectories

    return fit_trajectories(trajectories, dt=dt, level=level, draws=draws, seed=seed, estimator=estimator, group=group)


def fit(
    source: Source,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document (trimtab.fit/1) instead.")] = False,
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
    dt: Dt = 1.0,
    level: Level = 0.95,
    draws: Draws = 2000,
    seed: Seed = 0,
    estimator: Chosen = "auto",
    group: Group = None,
) -> None:
    """Fit the dynamics of every strategy in SOURCE and print what they are and how sure that is."""
    names = columns(
        session_column, strategy_column, iteration_column, objective_column, value_column, repeat_column, group
    )
    result = _fit(read(source, objective, names, judgements), dt, level, draws, seed, estimator, group)
    if out is not None:
        from trimtab.cli.output import write_text

        write_text(out, result.to_json(timings=True) + "\n")
    from trimtab.cli.output import print_blocks, say_json

    if as_json:
        say_json(result.to_json(timings=True))
        return
    from trimtab.estimation.summary import Summary

    print_blocks(Summary(result))


def report(
    source: Source,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the report.")] = Path("report.html"),
    pair: Annotated[
        str | None,
        typer.Option(help="The two objectives of the phase portrait, as NAME,NAME.", show_default=False),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the report.", show_default=False)] = None,
    objective: Objectives = None,
    session_column: SessionColumn = "session_id",
    strategy_column: StrategyColumn = "strategy",
    iteration_column: IterationColumn = "iteration",
    objective_column: ObjectiveColumn = "objective",
    value_column: ValueColumn = "value",
    repeat_column: RepeatColumn = None,
    judgements: Judgements = None,
    dt: Dt = 1.0,
    level: Level = 0.95,
    draws: Draws = 2000,
    seed: Seed = 0,
    estimator: Chosen = "auto",
    group: Group = None,
) -> None:
    """Fit SOURCE and write one self-contained HTML file with the verdicts, figures and tables."""
    from trimtab.errors import InputError

    chosen = None
    if pair is not None:
        parts = [part.strip() for part in pair.split(",")]
        if len(parts) != 2:
            raise InputError(f"--pair needs two objectives as NAME,NAME, but got {pair!r}")
        chosen = (parts[0], parts[1])
    names = columns(
        session_column, strategy_column, iteration_column, objective_column, value_column, repeat_column, group
    )
    result = _fit(read(source, objective, names, judgements), dt, level, draws, seed, estimator, group)
    from trimtab.cli.source_facts import run_settings

    written = result.report(out, title=title or source, pair=chosen, run=run_settings(source_at(source)))
    from trimtab.cli.output import say

    say(f"Report: {written}")
