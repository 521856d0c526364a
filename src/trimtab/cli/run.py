"""``trimtab run``: sessions from start to report, and on from wherever they stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.options import option
from trimtab.core.counting import count_of

if TYPE_CHECKING:
    from rich.console import Console

    from trimtab.cli.progress import ProgressDisplay
    from trimtab.sessions.config import RunConfig
    from trimtab.sessions.desk import Clerk
    from trimtab.sessions.runner import Outcome, Progress

__all__ = ["carry_out", "run"]

INTERRUPTED = 130
LIMIT = 3
"""Exit code of a run that a budget or a deadline ended."""

_REASONS = 5


def run(
    config: Annotated[
        Path | None, option("Configuration file. By default trimtab.toml in the working folder, if any.", "FILE")
    ] = None,
    provider: Annotated[
        str | None,
        option(
            "What answers: 'rewriter', an embedded stand-in for an LLM; 'openai', any compatible endpoint; or another "
            "that 'trimtab plugins' lists.",
            "NAME",
        ),
    ] = None,
    model: Annotated[
        str | None, option("Name of the model as the endpoint knows it. Needed with provider openai.", "NAME")
    ] = None,
    base_url: Annotated[
        str | None, option("Address of the endpoint, as in http://127.0.0.1:8000/v1. Provider openai.", "URL")
    ] = None,
    provider_options: Annotated[
        str | None,
        option(
            "What else the provider is told, as NAME=VALUE. No keys: they are stored with the run.", "NAME=VALUE,..."
        ),
    ] = None,
    recording: Annotated[
        str | None,
        option(
            "Provider replay: what was recorded, as a store, the output folder of a run, or a file with texts.",
            "SOURCE",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        option(
            "Domain whose tasks, strategies, objectives and scorer are used where none are given; 'trimtab presets' "
            "lists them.",
            "NAME",
        ),
    ] = None,
    strategies: Annotated[str | None, option("Names of the strategies to run, in order.", "NAME,NAME")] = None,
    strategy_files: Annotated[str | None, option("TOML files that define more strategies.", "FILE,FILE")] = None,
    tasks: Annotated[
        str | None, option("Tasks: 'builtin', a folder of programs or texts, or a JSONL file.", "SOURCE")
    ] = None,
    sessions: Annotated[int | None, option("Sessions per strategy, spread over the tasks.", "N")] = None,
    iterations: Annotated[int | None, option("Iterations per session, the starting artefact aside.", "N")] = None,
    concurrency: Annotated[int | None, option("Sessions at work at the same time.", "N")] = None,
    seed: Annotated[int | None, option("Seed of all random streams.", "N")] = None,
    store: Annotated[
        str | None,
        option("Store URL, SQLite or PostgreSQL. By default sqlite:///OUT/trimtab.db.", "URL"),
    ] = None,
    out: Annotated[Path | None, option("Output folder.", "FOLDER")] = None,
    scorers: Annotated[str | None, option("Names of the scorers.", "NAME,NAME")] = None,
    objectives: Annotated[
        str | None, option("Objectives to record, of those the scorers give. By default all.", "NAME,NAME")
    ] = None,
    judge_model: Annotated[
        str | None, option("Name of the model that the scorer 'judge' asks. By default the run's own.", "NAME")
    ] = None,
    judge_repeats: Annotated[
        int | None, option("How often each iteration is judged by the scorer 'judge'. By default once.", "N")
    ] = None,
    temperature: Annotated[
        float | None, option("Sampling temperature. By default the provider's own.", "NUMBER")
    ] = None,
    max_tokens: Annotated[int | None, option("Longest answer in tokens. By default the provider's own.", "N")] = None,
    stop: Annotated[
        list[str] | None,
        option("Texts at which an answer ends, four at most. Provider openai.", "TEXT"),
    ] = None,
    timeout: Annotated[float | None, option("Seconds that one attempt at an answer may take.", "SECONDS")] = None,
    retries: Annotated[
        int | None, option("How often a request is sent again after a fault that may pass. Provider openai.", "N")
    ] = None,
    adaptive: Annotated[
        bool | None,
        typer.Option(
            help="Whether the requests under way, at most concurrency, follow what the endpoint bears. "
            "Provider openai.",
            show_default=False,
        ),
    ] = None,
    cache: Annotated[
        bool | None,
        typer.Option(
            help="Whether answers that cost something are kept, so that no run pays for them again.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        str | None,
        option(
            "Policy that steers, as NAME[:OPTION=VALUE,...]. By default every strategy is run on its own.", "POLICY"
        ),
    ] = None,
    fit: Annotated[
        str | None,
        option(
            "What policy and triggers know at first: a fit, a file of models, or 'reference'. By default nothing.",
            "FILE",
        ),
    ] = None,
    utility: Annotated[
        str | None, option("What the policy wants: 'weighted', 'worst', 'product' or 'hypervolume'.", "NAME")
    ] = None,
    weights: Annotated[
        str | None, option("Weights of the objectives, as NAME=NUMBER, in the utility.", "NAME=NUMBER,...")
    ] = None,
    floor: Annotated[
        str | None, option("Floors that the policy keeps, as NAME>=LEVEL[@ALPHA][:kept|each].", "FLOOR,FLOOR")
    ] = None,
    cost: Annotated[float | None, option("Utility points that an iteration costs the policy.", "NUMBER")] = None,
    score_noise: Annotated[
        str | None,
        option(
            "Standard deviations of the scorer's own error, 0 where it is exact. By default what the fit says.",
            "NAME=NUMBER,...",
        ),
    ] = None,
    trigger: Annotated[
        str | None,
        option("Conditions to watch for, and what to do then, as in security<2:ask.", "TRIGGER,TRIGGER"),
    ] = None,
    webhook: Annotated[
        str | None, option("Address that triggers with :webhook call. It is never stored.", "URL")
    ] = None,
    webhook_artefact: Annotated[
        bool | None, typer.Option("--webhook-artefact", help="Tell the webhook the artefact in force as well.")
    ] = None,
    answers: Annotated[
        int | None,
        option("Port of this machine at which questions are answered over HTTP; 0 takes one.", "PORT"),
    ] = None,
    resume_paused: Annotated[
        bool | None, typer.Option("--resume-paused", help="Go on with the sessions that are set aside.")
    ] = None,
    history: Annotated[
        str | None,
        option(
            "What a request shows of its session: 'none', the 'last' exchange, or the 'full' conversation.",
            "NAME",
        ),
    ] = None,
    history_limit: Annotated[
        int | None,
        option("Most characters of former exchanges in a request; the oldest are left out first.", "N"),
    ] = None,
    budget_usd: Annotated[
        float | None, option("Most that all runs into the store may cost, in USD. Needs prices.", "USD")
    ] = None,
    budget_tokens: Annotated[int | None, option("Most tokens that all runs into the store may take.", "N")] = None,
    deadline: Annotated[
        str | None,
        option("When to end: after a duration such as 30m or 2h, or at a time in ISO format.", "WHEN"),
    ] = None,
    round: Annotated[  # noqa: A002 - the setting's name
        int | None, option("Sessions that start with the same knowledge, before the policy learns of them.", "N")
    ] = None,
) -> None:
    """Run sessions, score and store every iteration, fit the dynamics, and write the report.

    Stop it at any moment and run it again: it goes on where it stopped. Every option can also be given in
    trimtab.toml or as an environment variable TRIMTAB_..., and options win over both. With --policy, one arm of
    sessions is run in which each iteration's strategy, and the end, is what the policy decides. With --provider replay
    and other scorers than those of the recorded run, its sessions go as they were recorded.
    """
    given = {name: value for name, value in locals().items() if name != "config" and value is not None}
    from trimtab.sessions.config import load_config

    carry_out(load_config(given, config))


def carry_out(settings: RunConfig) -> None:
    """Run what `settings` describe to its end or to a stop, show how far it is, fit, and report.

    Raises
    ------
    typer.Exit
        With the exit code of a run that did not come to its end.
    """
    from trimtab.cli import output
    from trimtab.cli.advice import advice
    from trimtab.cli.progress import ProgressDisplay, duration, pace
    from trimtab.sessions.experiment import run_experiment

    console = output.console(stderr=True)
    _announce(console, settings)
    with ProgressDisplay(console) as display:
        clerks = _clerks(settings, display)
        outcome = run_experiment(
            settings, listener=display.update, on_stopping=display.stopping, clerks=clerks, say=display.say
        )
    progress = outcome.progress
    if outcome.ended == "error" and outcome.empty:
        _leave_early(outcome, settings)
    console.print(
        f"{count_of(progress.new, 'new iteration')} in {duration(progress.seconds)} ({pace(progress.rate)}), "
        f"{progress.failures:,} of them failed; {progress.iterations_done:,} of {progress.iterations:,} are stored"
    )
    _say_spending(console, outcome, settings)
    _say_most(console, outcome.failures)
    if outcome.unscored:
        missing = sum(count for _, count in outcome.unscored)
        console.print(f"{count_of(missing, 'score')} of what could be used could not be had:")
        _say_most(console, outcome.unscored)
    failures, unscored = ([reason for reason, _ in found] for found in (outcome.failures, outcome.unscored))
    for sentence in advice(failures, unscored, settings):
        console.print(sentence)
    if settings.policy:
        _say_steering(console, outcome, settings)
    if outcome.fired:
        console.print("Triggers fired:")
        _say_most(console, outcome.fired)
    if outcome.aside:
        aside = sum(count for _, count in outcome.aside)
        console.print(f"{count_of(aside, 'session')} set aside (--resume-paused goes on where iterations are left):")
        _say_most(console, outcome.aside)
    _leave_early(outcome, settings)
    if outcome.aside and outcome.empty:
        console.print("There is nothing to analyse before they go on.")
        return
    if beyond := _beyond(progress):
        console.print(beyond)
    if outcome.reports:
        _results(settings)
    else:
        output.say(
            "Everything asked for is stored. Another process shared the run and reports; "
            f"trimtab report {quote(settings.store_url)} does so here."
        )


def _say_most(console: Console, reasons: Sequence[tuple[str, int]]) -> None:
    """List the most frequent reasons."""
    for reason, count in reasons[:_REASONS]:
        console.print(f"  {count:,} x {reason}")
    if len(reasons) > _REASONS:
        console.print(f"  and {count_of(len(reasons) - _REASONS, 'other reason')}")


def _beyond(progress: Progress) -> str:
    """Return a line on what the store holds beyond the plan, "" where it holds nothing more."""
    more = [
        count_of(count, f"more {noun}")
        for count, noun in ((progress.sessions_beyond, "session"), (progress.iterations_beyond, "iteration"))
        if count
    ]
    return f"The store holds more than was asked for ({', '.join(more)}): all of it is analysed." if more else ""


def _clerks(settings: RunConfig, display: ProgressDisplay) -> list[Clerk]:
    """Return who puts questions to a human: the terminal if there is one, and a server if one is asked for."""
    from trimtab.cli.asking import at_the_terminal, over_http, somebody_is_there

    if not settings.may_ask:
        return []
    found = [] if settings.answers is None else [over_http(settings.answers, display)]
    return [*found, at_the_terminal(display)] if somebody_is_there() else found


def _announce(console: Console, settings: RunConfig) -> None:
    from trimtab.judging.judge import JUDGE
    from trimtab.providers.registry import provider_label
    from trimtab.scoring.registry import scorer_label
    from trimtab.sessions.rerun import followed

    console.print(f"provider: {provider_label(settings.provider)}")
    for scorer in settings.scorers:
        console.print(f"scorer: {scorer_label(scorer)}{_asked(settings) if scorer == JUDGE else ''}")
    strategies = "strategy" if len(settings.strategies) == 1 else "strategies"
    steps = count_of(settings.iterations, "iteration")
    size = f"{count_of(settings.sessions, 'session')} x {steps}"
    arms = f"{strategies} {', '.join(settings.strategies)} x {size}"
    if settings.policy:
        arms = f"policy {settings.policy} over {strategies} {', '.join(settings.strategies)}: at most {size}"
    elif follows := followed(settings):
        arms = f"follows {follows} over {strategies} {', '.join(settings.strategies)}: at most {steps} a session"
    console.print(f"{arms}, seed {settings.seed}, into {settings.store_url}")
    if settings.aside:
        console.print(f"set aside, as nothing steers this run: {', '.join(settings.aside)} of {settings.file}")


def _say_spending(console: Console, outcome: Outcome, settings: RunConfig) -> None:
    """Say what the run took, and with a budget what all runs into the store took."""
    from trimtab.sessions.preset import OFFLINE

    spent, in_all = outcome.progress.spent, outcome.spent_in_all
    if spent.tokens or spent.unknown:
        offline = settings.provider in OFFLINE
        told = "" if settings.prices or offline else f"; no price of {settings.model} is set"
        taken = "taken when it was recorded" if settings.provider == "replay" else "taken"
        console.print(f"  {taken}: {spent}{told}")
    if in_all is not None and in_all != spent:
        console.print(f"  by all runs into the store: {in_all}")


def _asked(settings: RunConfig) -> str:
    """Return which model judges, where, and how often, as the end of a line."""
    from trimtab.sessions.scorers import judge_endpoint

    provider, endpoint = judge_endpoint(settings)
    at = f" at {endpoint.base_url}" if endpoint.base_url else ""
    times = settings.judge_repeats or settings.judge.repeats
    return f": {endpoint.model} by {provider}{at}, {count_of(times, 'judgement')} of each iteration"


def _say_steering(console: Console, outcome: Outcome, settings: RunConfig) -> None:
    """Say how many sessions the policy steered, and how many iterations it did without."""
    progress = outcome.progress
    spared = settings.sessions * settings.iterations - progress.iterations
    console.print(
        f"The policy has steered {count_of(progress.sessions_done, 'session')} to the end and did without "
        f"{count_of(spared, 'iteration')}"
    )


def _leave_early(outcome: Outcome, settings: RunConfig) -> None:
    """Leave with the exit code of a run that did not come to its end, if this is one."""
    from trimtab.cli.advice import advice
    from trimtab.cli.output import say

    place = quote(str(settings.store or settings.out))
    again = f"Everything so far is stored: trimtab resume {place} goes on, and so does the same command."
    if outcome.ended == "error":
        for line in (f"Error: {outcome.reason}", *advice([outcome.reason], [outcome.reason], settings)):
            say(line, err=True)
        say("No answer came, and nothing is stored." if outcome.empty else again, err=True)
        raise typer.Exit(1)
    if outcome.ended == "limit":
        say(f"Ended early: {outcome.reason}.", err=True)
        say(
            f"Everything so far is stored: give the same command with another limit to go on. "
            f"Store: {settings.store_url}",
            err=True,
        )
        raise typer.Exit(LIMIT)
    if outcome.ended == "stopped":
        say(f"Stopped. {again} Store: {settings.store_url}", err=True)
        raise typer.Exit(INTERRUPTED)


def _results(settings: RunConfig) -> None:
    from trimtab.cli.analyse import analyse
    from trimtab.cli.output import print_blocks, say
    from trimtab.estimation.summary import Summary

    analysis = analyse(settings.store_url, settings.out)
    print_blocks(Summary(analysis.fit))
    places = {
        "Store": settings.store_url,
        "Fit": analysis.fit_json,
        "Trajectories": analysis.trajectories,
        "Report": analysis.report,
    }
    width = max(map(len, places)) + 1
    for name, place in places.items():
        say(f"{name + ':':<{width}} {place}")
