"""Options that several commands share, and the reading of a SOURCE with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trimtab.core.trajectories import Trajectories
    from trimtab.store.columns import Columns

__all__ = [
    "IterationColumn",
    "Judgements",
    "ObjectiveColumn",
    "Objectives",
    "RepeatColumn",
    "SessionColumn",
    "Source",
    "Store",
    "StoreOption",
    "StrategyColumn",
    "ValueColumn",
    "columns",
    "judgements_of",
    "option",
    "read",
    "source_at",
    "store_at",
]

Source = Annotated[
    str,
    typer.Argument(
        help="A store (URL, database file or output folder of a run) or a .csv, .parquet, .jsonl or .jsonl.gz file.",
        show_default=False,
    ),
]
Store = Annotated[
    str | None,
    typer.Argument(
        help="Output folder of a run, database file or store URL. By default the store that trimtab run would use.",
        show_default=False,
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PLACE",
        help="Output folder, database file or store URL. By default the store that trimtab run would use.",
        show_default=False,
    ),
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
RepeatColumn = Annotated[
    str | None,
    typer.Option(
        help="Column that tells several judgements of one score apart: numbers or judges. If not given, the first of "
        "judge_repeat, judge_rep, repeat and rep that there is.",
        show_default=False,
    ),
]
Judgements = Annotated[
    list[str] | None,
    typer.Option(
        "--judgements",
        metavar="NAME=COLUMN,COLUMN[,...]",
        help="Columns that hold the judgements of one objective; repeat for more.",
        show_default=False,
    ),
]


def option(text: str, metavar: str) -> Any:
    """Return an option of which nothing is shown but what it is for."""
    return typer.Option(help=text, metavar=metavar, show_default=False)


def columns(
    session: str,
    strategy: str,
    iteration: str,
    objective: str,
    value: str,
    repeat: str | None = None,
    group: str | None = None,
) -> Columns:
    """Return the column names a reader needs."""
    from trimtab.store.columns import Columns

    return Columns.grouped_by(
        group,
        session=session,
        strategy=strategy,
        iteration=iteration,
        objective=objective,
        value=value,
        repeat=repeat,
    )


def judgements_of(options: list[str] | None) -> dict[str, list[str]] | None:
    """Return the columns of each objective's judgements from options of the form NAME=COLUMN,COLUMN."""
    from trimtab.errors import InputError

    found: dict[str, list[str]] = {}
    for option in options or ():
        name, equals, listed = option.partition("=")
        if not equals or name.strip() in found:
            raise InputError(f"--judgements needs each objective once, as NAME=COLUMN,COLUMN, but got {option!r}")
        found[name.strip()] = [column.strip() for column in listed.split(",")]
    return found or None


def source_at(place: str) -> str:
    """Return a source as it is to be loaded: the store of a run's output folder or of a database file, else `place`."""
    from pathlib import Path

    path = Path(place)
    return store_at(place) if path.suffix == ".db" or (path / "trimtab.db").is_file() else place


def store_at(place: str | None) -> str:
    """Return the URL of the store at `place`: a URL, a run's output folder, or a database file.

    Parameters
    ----------
    place
        If None, the store that ``trimtab run`` would use.

    Raises
    ------
    SourceError
        If there is nothing there.
    """
    from pathlib import Path

    from trimtab.errors import SourceError

    if place is None:
        from trimtab.sessions.config import load_config

        return load_config().store_url
    if "://" in place:
        return place
    path = Path(place)
    file = path / "trimtab.db" if path.is_dir() else path
    if not file.exists():
        what = "the folder holds no trimtab.db" if path.is_dir() else "there is no such file or folder"
        raise SourceError(
            f"no store at {place!r}: {what}; give the output folder of a run, a database file, or a store URL"
        )
    return f"sqlite:///{file}"


def read(
    source: str, objectives: list[str] | None, names: Columns, judgements: list[str] | None = None
) -> Trajectories:
    """Load trajectories from a source named on the command line."""
    from trimtab.store.load import load

    return load(source_at(source), objectives=objectives or None, columns=names, judgements=judgements_of(judgements))
