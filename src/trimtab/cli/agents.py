"""``trimtab agents``: several agents' loops as one system, and which of them moves which, as text or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.options import (
    IterationColumn,
    ObjectiveColumn,
    SessionColumn,
    StrategyColumn,
    ValueColumn,
    columns,
    read,
)

__all__ = ["agents"]


def agents(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="One source for each agent; or a single one whose objectives are named AGENT.NAME.",
            show_default=False,
            metavar="SOURCE...",
        ),
    ],
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AGENT", help="What to call the agents, in the order of sources; file names if not given."
        ),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="COLUMN", help="What is the same for sessions that belong together.")
    ] = "session_id",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.agents/1) instead.")
    ] = False,
    session_column: SessionColumn = "session_id",
    strategy_column: StrategyColumn = "strategy",
    iteration_column: IterationColumn = "iteration",
    objective_column: ObjectiveColumn = "objective",
    value_column: ValueColumn = "value",
    level: Annotated[float, typer.Option(help="Coverage of the intervals; tests reject below 1 - LEVEL.")] = 0.95,
    draws: Annotated[int, typer.Option(help="Bootstrap replicates.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the replicates.")] = 0,
    estimator: Annotated[str, typer.Option(help="Which estimate to trust, as in trimtab fit.")] = "auto",
) -> None:
    """Join the sessions of several agents, and say which agent's scores move whose, and what that does to the speed."""
    from trimtab.core.coupling import couple
    from trimtab.estimation.fit import fit

    names = columns(session_column, strategy_column, iteration_column, objective_column, value_column)
    called = _names(sources, name)
    found = {agent: read(source, None, names) for agent, source in zip(called, sources, strict=True)}
    joined = couple(found, by) if len(sources) > 1 else next(iter(found.values()))
    result = fit(joined, level=level, draws=draws, seed=seed, estimator=estimator).coupling()
    from trimtab.cli.output import print_blocks, say_json

    if as_json:
        say_json(result.to_json())
        return
    from trimtab.estimation.coupling.summary import CouplingSummary

    print_blocks(CouplingSummary(result))


def _names(sources: list[str], given: list[str] | None) -> list[str]:
    """Return a name for each source."""
    from trimtab.errors import InputError

    called = given or [Path(source).name.split(".")[0] for source in sources]
    if len(called) != len(sources) or len(set(called)) < len(called):
        raise InputError(
            f"{len(sources)} sources need as many different names, but these are {', '.join(called)}; "
            "give --name once for each source"
        )
    return called
