"""Options that several commands share, and the reading of a SOURCE with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trimtab.core.trajectories import Trajectories
    from trimtab.store.columns import Columns

__all__ = [
    "IterationColumn",
    "ObjectiveColumn",
    "Objectives",
    "SessionColumn",
    "Source",
    "StrategyColumn",
    "ValueColumn",
    "columns",
    "read",
]

Source = Annotated[
    str,
    typer.Argument(help="A store (sqlite:///FILE) or a .csv, .parquet, .jsonl or .jsonl.gz file.", show_default=False),
]
Objectives = Annotated[
    list[str] | None,
    typer.Option(
        "--objective",
        metavar="NAME[:LOW:HIGH][:min|max]",
        help="An objective to use; repeat for more. Inferred from the data if not given.",
        show_default=False,
    ),
]
SessionColumn = Annotated[str, typer.Option(help="Column that names the session.")]
StrategyColumn = Annotated[str, typer.Option(help="Column that names the strategy that produced the row.")]
IterationColumn = Annotated[str, typer.Option(help="Column with the iteration number.")]
ObjectiveColumn = Annotated[str, typer.Option(help="Long tables: column that names the objective.")]
ValueColumn = Annotated[str, typer.Option(help="Long tables: column with the score.")]


def columns(session: str, strategy: str, iteration: str, objective: str, value: str) -> Columns:
    """Return the column names a reader needs."""
    from trimtab.store.columns import Columns

    return Columns(session=session, strategy=strategy, iteration=iteration, objective=objective, value=value)


def read(source: str, objectives: list[str] | None, names: Columns) -> Trajectories:
    """Load trajectories from a source named on the command line."""
    from trimtab.store.load import load

    return load(source, objectives=objectives or None, columns=names)
