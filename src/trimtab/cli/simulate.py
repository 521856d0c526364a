"""``trimtab simulate``: what the loops of a fit would do next, as a table, a fan chart, JSON or paths."""

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
    StrategyColumn,
    ValueColumn,
    columns,
    read,
)
from trimtab.core.counting import count_of

if TYPE_CHECKING:
    from trimtab.forecasting.forecast import Forecast
    from trimtab.forecasting.loops import Loops
    from trimtab.store.columns import Columns

__all__ = ["simulate", "values_by_name"]


def simulate(
    source: Annotated[
        str,
        typer.Argument(
            help="A store or file as trimtab fit takes, which is fitted first; a saved fit (.json); a file of models "
            "(.toml); or the word reference.",
            show_default=False,
        ),
    ],
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Forecast this strategy; repeat for more. All by default.", show_default=False
        ),
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMExSTEPS,...",
            help='Forecast strategies one after another, as "FFx3,SFx4,EFx3"; the last may be a name alone, which '
            "lasts to the end. Repeat for more.",
            show_default=False,
        ),
    ] = None,
    paths: Annotated[int, typer.Option(help="Simulated sessions of each forecast.")] = 10_000,
    steps: Annotated[
        int | None,
        typer.Option(help="Iterations. 10, or as many as the schedule has, if not given.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the paths, and of the fit where there is one.")] = 0,
    x0: Annotated[
        str | None,
        typer.Option(
            "--x0",
            metavar="NAME=VALUE,...",
            help="Where paths start. Objectives not named start where sessions of the source do.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A score to come to: how many paths do, and when. Repeat for more.",
            show_default=False,
        ),
    ] = None,
    parameter_uncertainty: Annotated[
        bool,
        typer.Option(
            "--parameter-uncertainty/--no-parameter-uncertainty",
            help="Whether to spread the paths over all drifts that the data leave possible.",
        ),
    ] = True,
    with_score_noise: Annotated[
        bool,
        typer.Option("--with-score-noise", help="Forecast scores, the scorer's noise included, where it is known."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.simulation/1) instead.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the paths as a table: .parquet, .csv, .jsonl or .jsonl.gz.", show_default=False),
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Also write a fan chart, one HTML file.", show_default=False)
    ] = None,
    objective: Objectives = None,
    session_column: SessionColumn = "session_id",
    strategy_column: StrategyColumn = "strategy",
    iteration_column: IterationColumn = "iteration",
    objective_column: ObjectiveColumn = "objective",
    value_column: ValueColumn = "value",
    repeat_column: RepeatColumn = None,
    judgements: Judgements = None,
    dt: Annotated[float, typer.Option(help="Time between iterations, where the source is fitted first.")] = 1.0,
    draws: Annotated[int, typer.Option(help="Bootstrap replicates, where the source is fitted first.")] = 2000,
    estimator: Annotated[str, typer.Option(help="As in trimtab fit, where the source is fitted first.")] = "auto",
) -> None:
    """Simulate sessions from a fit, a file of models or the paper's strategies, and say where they may end."""
    from trimtab.forecasting.sources import holds_loops

    _check_outputs(source, out, chart)
    if holds_loops(source):
        _no_fit_options(source, objective, judgements, dt, draws, estimator)
        found: Loops | str = source
    else:
        names = columns(
            session_column, strategy_column, iteration_column, objective_column, value_column, repeat_column
        )
        found = _fitted(source, objective, judgements, names, dt, draws, seed, estimator)
    from trimtab.forecasting.forecast import forecast

    result = forecast(
        found,
        steps,
        paths,
        strategy=strategy,
        schedule=schedule,
        seed=seed,
        x0=values_by_name("--x0", x0.split(",") if x0 else []),
        parameter_uncertainty=parameter_uncertainty,
        score_noise=with_score_noise,
        targets=values_by_name("--target", target or []),
        keep=out is not None,
    )
    written = _write(result, out, chart, source)
    from trimtab.cli.output import print_blocks, say, say_json

    if as_json:
        say_json(result.to_json())
        return
    from trimtab.forecasting.summary import ForecastSummary

    print_blocks(ForecastSummary(result))
    for line in written:
        say(line)


def _fitted(
    source: str,
    objective: list[str] | None,
    judgements: list[str] | None,
    names: Columns,
    dt: float,
    draws: int,
    seed: int,
    estimator: str,
) -> Loops:
    from trimtab.estimation.fit import fit
    from trimtab.forecasting.from_fit import loops_of_fit

    trajectories = read(source, objective, names, judgements)
    return loops_of_fit(fit(trajectories, dt=dt, draws=draws, seed=seed, estimator=estimator))


def _no_fit_options(
    source: str, objective: list[str] | None, judgements: list[str] | None, dt: float, draws: int, estimator: str
) -> None:
    """Refuse options that only a source which is fitted first has a use for."""
    from trimtab.errors import InputError

    given = {
        "--objective": bool(objective),
        "--judgements": bool(judgements),
        "--dt": dt != 1.0,
        "--draws": draws != 2000,
        "--estimator": estimator != "auto",
    }
    useless = [name for name, there in given.items() if there]
    if useless:
        raise InputError(
            f"{' and '.join(useless)} can be given where a source is fitted first, but {source} holds loops already: "
            "leave it out, or give the trajectories instead"
        )


def values_by_name(option: str, parts: list[str]) -> dict[str, float]:
    """Return numbers by name from parts of the form NAME=VALUE."""
    from trimtab.errors import InputError

    found: dict[str, float] = {}
    for part in parts:
        name, equals, value = part.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            equals = ""
            number = 0.0
        if not equals or not name.strip() or name.strip() in found:
            raise InputError(f"{option} needs each objective once, as NAME=VALUE, but got {part!r}")
        found[name.strip()] = number
    return found


def _check_outputs(source: str, out: Path | None, chart: Path | None) -> None:
    """Refuse places that cannot be written to before anything takes time."""
    from trimtab.errors import InputError

    if chart is not None and chart.suffix.lower() != ".html":
        raise InputError(f"a fan chart is one .html file, but --chart is {str(chart)!r}")
    if out is None:
        return
    from trimtab.store.files import format_of
    from trimtab.store.save import WRITABLE

    format_of(out, WRITABLE)
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise InputError(f"{out} is the source itself: choose another name for the paths")


def _write(result: Forecast, out: Path | None, chart: Path | None, source: str) -> list[str]:
    """Write what was asked for, and return a line on each."""
    lines = []
    if out is not None:
        from trimtab.store.save import save

        trajectories = result.trajectories()
        lines.append(f"Paths:  {save(trajectories, out)} ({count_of(trajectories.n_rows, 'row')})")
    if chart is not None:
        from trimtab.report.forecast import write_fan_chart

        what = "the paper's strategies" if result.kind == "reference" else source
        lines.append(f"Chart:  {write_fan_chart(result, chart, title=f'What {what} would do next')}")
    return lines
