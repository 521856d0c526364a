"""``trimtab policy evaluate``: policies of steering side by side on simulated sessions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trimtab.control.evaluation.evaluate import Evaluation
    from trimtab.control.goal import Goal
    from trimtab.core.objectives import ObjectiveSpace

__all__ = ["evaluate"]

SESSIONS = 10_000
"""Simulated sessions, if not given."""


def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            help="What the true dynamics are: a store or file as trimtab fit takes, which is fitted first; a saved fit "
            "(.json); a file of models (.toml); or the word reference.",
        ),
    ] = "reference",
    fit: Annotated[
        Path | None,
        typer.Option(help="What policies know, a saved fit. What the source says if not given.", show_default=False),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:OPTION=VALUE,...]",
            help="A policy, as predictive:hedge=0.2; repeat for more. If not given, all that need no option; every "
            "fixed strategy is always among them.",
            show_default=False,
        ),
    ] = None,
    utility: Annotated[
        str, typer.Option(metavar="NAME", help="What a session is worth: weighted, worst, product or hypervolume.")
    ] = "weighted",
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=WEIGHT,...", help="For weighted and product; equal ones if not given.", show_default=False
        ),
    ] = None,
    floor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME>=LEVEL[@ALPHA][:kept|each]",
            help="A level that an objective may pass with a chance of ALPHA (0.05) at most; repeat for more.",
            show_default=False,
        ),
    ] = None,
    trigger: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help='When to call a human, as "security<2"; repeat for more. :warn after it only counts.',
            show_default=False,
        ),
    ] = None,
    cost: Annotated[float, typer.Option(help="Utility points that an iteration costs.")] = 0.0,
    sessions: Annotated[
        int | None,
        typer.Option(
            help="Sessions, the same for all policies: 10,000 simulated or 100 live ones if not given.",
            show_default=False,
        ),
    ] = None,
    iterations: Annotated[int, typer.Option(help="Most iterations of a session.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the sessions, and of the fit where there is one.")] = 0,
    learn: Annotated[
        int,
        typer.Option(
            help="Let policies know only what a pilot learned from so many sessions, having known nothing before."
        ),
    ] = 0,
    oracle: Annotated[
        bool, typer.Option("--oracle/--no-oracle", help="Whether to compute the best that could be done.")
    ] = True,
    robustness: Annotated[
        bool,
        typer.Option("--robustness", help="Also ask what it costs when what policies know is wrong."),
    ] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Run real loops instead of simulated ones: half of the tasks are fitted, and policies that know the "
            "fit steer on the others. Provider, tasks and the like are those of trimtab run, the embedded ones if not "
            "set in trimtab.toml or TRIMTAB_ variables.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.policies/1 or trimtab.trial/1) instead.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Also write the document (.json) or, of simulated sessions, a page (.html).", show_default=False
        ),
    ] = None,
) -> None:
    """Run policies side by side on the same simulated sessions, and say what each achieves."""
    from trimtab.cli.options import source_at
    from trimtab.cli.output import print_blocks, say, say_json
    from trimtab.control.evaluation.evaluate import evaluate as run
    from trimtab.control.knowledge import Knowledge
    from trimtab.forecasting.sources import holds_loops, loops_of

    if live:
        _only_live(source, fit, learn, robustness)
        from trimtab.cli.trial import run_trial

        wanted = {"utility": utility, "weights": weights, "floor": floor, "trigger": trigger, "cost": cost}
        run_trial(policy, {**wanted, "sessions": sessions, "iterations": iterations, "seed": seed}, as_json, out)
        return
    _check_out(out)
    loops = loops_of(source if holds_loops(source) else source_at(source))
    goal = _goal(loops.space, utility, weights, floor, cost)
    knowledge = None if fit is None else Knowledge.of_loops(loops_of(fit), tuple(loops.loops), space=loops.space)
    found = run(
        loops,
        goal,
        policy,
        sessions=SESSIONS if sessions is None else sessions,
        budget=iterations,
        seed=seed,
        knowledge=knowledge,
        triggers=trigger or (),
        learn=learn,
        oracle=oracle,
        robust=robustness,
        progress=lambda name: say(f"{name} ...", err=True),
    )
    written = _write(found, out)
    if as_json:
        say_json(found.to_json())
        return
    from trimtab.control.evaluation.summary import EvaluationSummary

    print_blocks(EvaluationSummary(found))
    for line in written:
        say(line)


def _goal(space: ObjectiveSpace, utility: str, weights: str | None, floors: list[str] | None, cost: float) -> Goal:
    from trimtab.cli.simulate import values_by_name
    from trimtab.control.floor import read_floor
    from trimtab.control.goal import Goal

    given = values_by_name("--weights", weights.split(",")) if weights else None
    return Goal(space, utility, given, tuple(read_floor(text) for text in floors or ()), cost)


def _only_live(source: str, fit: Path | None, learn: int, robustness: bool) -> None:
    from trimtab.errors import InputError

    if source != "reference" or fit is not None:
        raise InputError("--live fits the loops that it runs itself: leave out the source and --fit")
    if learn or robustness:
        raise InputError(
            "--learn and --robustness need simulated sessions: leave them out with --live, where a policy 'from "
            "nothing' learns as it goes"
        )


def _check_out(out: Path | None) -> None:
    from trimtab.errors import InputError

    if out is not None and out.suffix.lower() not in (".json", ".html"):
        raise InputError(f"an evaluation is written to a .json or .html file, but --out is {str(out)!r}")


def _write(found: Evaluation, out: Path | None) -> list[str]:
    from trimtab.cli.output import write_text

    if out is None:
        return []
    if out.suffix.lower() == ".html":
        from trimtab.report.policies import write_policies

        return [f"Page:   {write_policies(found, out)}"]
    write_text(out, found.to_json() + "\n")
    return [f"JSON:   {out}"]
