"""A whole run from its settings: find the parts, make sure that the store is the right one, run, and stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from trimtab.errors import InputError, StoreError
from trimtab.judging.judge import LLMJudge
from trimtab.providers.base import Provider
from trimtab.providers.registry import get_provider
from trimtab.scoring.base import AnyScorer
from trimtab.sessions.attendance import Attendance
from trimtab.sessions.config import RunConfig
from trimtab.sessions.desk import Clerk, Desk
from trimtab.sessions.kept_settings import is_run
from trimtab.sessions.leftovers import Leftovers
from trimtab.sessions.limits import Meter, require_prices
from trimtab.sessions.plan import Plan, agreed_settings, make_plan
from trimtab.sessions.preset import get_preset
from trimtab.sessions.rerun import recorded_part, recorded_tasks
from trimtab.sessions.runner import Listener, Outcome, run_sessions
from trimtab.sessions.scorers import scorers_of
from trimtab.sessions.strategies import Strategy, load_strategies, strategies_from_mapping
from trimtab.sessions.task import Task
from trimtab.sessions.webhook import Webhook
from trimtab.store.base import Experiment, Store
from trimtab.store.open import open_store

__all__ = ["close", "plan_of", "run_experiment", "run_into", "run_plan", "strategies_of"]

INTERRUPTED = 130


def plan_of(
    config: RunConfig,
    scorers: Sequence[AnyScorer] | None = None,
    tasks: Sequence[Task] | None = None,
    strategies: Sequence[Strategy] | None = None,
) -> Plan:
    """Lay out the run that `config` describes, with what else is given; see `trimtab.sessions.plan.make_plan`."""
    plan = make_plan(
        config,
        recorded_tasks(config) if tasks is None else tasks,
        strategies_of(config) if strategies is None else strategies,
        scorers_of(config) if scorers is None else scorers,
    )
    return recorded_part(config, plan) if config.recording else plan


def strategies_of(config: RunConfig) -> tuple[Strategy, ...]:
    """Return the strategies that `config` names, its own among them."""
    own = strategies_from_mapping(config.strategy_tables, config.file)
    preset = get_preset(config.preset).strategies if config.preset else ()
    return load_strategies(config.strategies, config.strategy_files, own, preset)


def run_experiment(
    config: RunConfig,
    *,
    listener: Listener | None = None,
    on_stopping: Callable[[], None] | None = None,
    clerks: Sequence[Clerk] = (),
    say: Callable[[str], None] | None = None,
) -> Outcome:
    """Run what `config` describes into its store, or go on with it there.

    The first SIGINT (Ctrl-C) or SIGTERM stops the run gracefully, a second one at once; see `run_sessions`.

    Parameters
    ----------
    listener
        Called with the progress after every iteration.
    on_stopping
        Called when a signal has asked for a stop.
    clerks
        Who puts questions to a human. Without any, sessions that ask are set aside.
    say
        Called with a sentence for whatever speaks against going by the fit, and for each trigger that fires.

    Raises
    ------
    InputError
        If tasks, strategies, scorers or the provider cannot be had as described.
    StoreError
        If the store cannot be used, or holds a run with other settings.
    """
    # Before the store, so that a missing key leaves no store behind. Providers start nothing until they are asked.
    provider = get_provider(config.provider, config.provider_settings)
    scorers = scorers_of(config, provider)
    plan = plan_of(config, scorers)
    say = say or (lambda _: None)
    for doubt in plan.settings.get("pilot", {}).get("doubts", ()):
        say(f"Assumed: {doubt}")
    attendance = Attendance(
        Desk(clerks),
        Webhook(config.webhook, artefact=config.webhook_artefact) if config.webhook else None,
        config.resume_paused,
        say,
    )
    return run_plan(config, plan, provider, scorers, attendance, listener=listener, on_stopping=on_stopping)


def run_plan(
    config: RunConfig,
    plan: Plan,
    provider: Provider,
    scorers: Sequence[AnyScorer],
    attendance: Attendance | None = None,
    *,
    listener: Listener | None = None,
    on_stopping: Callable[[], None] | None = None,
) -> Outcome:
    """Run a plan into the store of `config`, or go on with it there, as `run_experiment` does; all is closed then."""
    require_prices(config, plan.model, _judge_of(scorers))
    leftovers = Leftovers.of(config)
    if not config.store:
        _make_folder(config.out)
    store = open_store(config.store_url, create=True)
    new = store.experiment() is None
    try:
        outcome = run_into(
            store, config, plan, provider, scorers, attendance, listener=listener, on_stopping=on_stopping
        )
        if outcome.ended == "error" and not any(store.heads().values()) and not _others(store):
            if new:
                with contextlib.suppress(StoreError):  # another run has come meanwhile
                    store.start_over()
            store.close()
            leftovers.remove()
        return outcome
    finally:
        store.close()


def run_into(
    store: Store,
    config: RunConfig,
    plan: Plan,
    provider: Provider,
    scorers: Sequence[AnyScorer],
    attendance: Attendance | None = None,
    *,
    listener: Listener | None = None,
    on_stopping: Callable[[], None] | None = None,
) -> Outcome:
    """Run a plan into `store`, or go on with it there; provider and judges are closed then, the store is not."""
    _agree(store, plan)
    attends = attendance or Attendance()
    if others := _others(store):
        attends.say(f"sharing the run with {len(others)} at work on it: process {', '.join(others)}")
    return asyncio.run(_run(config, plan, store, provider, scorers, attends, listener, on_stopping))


def _judge_of(scorers: Sequence[AnyScorer]) -> str:
    """Return the name of the model that judges, "" if none does."""
    return next((scorer.model for scorer in scorers if isinstance(scorer, LLMJudge)), "")


def _others(store: Store) -> list[str]:
    """Return which processes are at work on a store."""
    return sorted({f"{one.process} on {one.host}" for one in store.leases() if one.alive})


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the output folder {path} cannot be made: {error.strerror}; choose another --out") from error


def _agree(store: Store, plan: Plan) -> None:
    """Give `store` the settings of `plan`, if the two agree, in one step that no other process comes between.

    A store where no answer has arrived yet, say because the model's name was wrong, holds nothing that a new run would
    not make again: it is started over instead of refused.
    """

    def agreed(stored: Experiment | None) -> Experiment:
        settings = dict(plan.settings)
        if stored is not None:
            settings = agreed_settings(stored.settings, settings, store.url)
            if settings == stored.settings:
                return stored
        return Experiment(f"run on {plan.model}", plan.space, settings)

    try:
        store.revise(agreed)
    except StoreError:
        stored = store.experiment()
        if stored is None or not is_run(stored.settings) or any(store.heads().values()):
            raise
        store.start_over()
        store.revise(agreed)


async def _run(
    config: RunConfig,
    plan: Plan,
    store: Store,
    provider: Provider,
    scorers: Sequence[AnyScorer],
    attendance: Attendance,
    listener: Listener | None,
    on_stopping: Callable[[], None] | None,
) -> Outcome:
    stop = asyncio.Event()
    try:
        with _signals(stop, on_stopping), _rare_collections():
            return await run_sessions(
                plan,
                store,
                provider,
                scorers,
                concurrency=config.concurrency,
                timeout=config.timeout,
                listener=listener,
                stop=stop,
                meter=Meter.of(config, store, plan.model, _judge_of(scorers)),
                attendance=attendance,
                cache=config.cache,
            )
    finally:
        await close([provider, *scorers, attendance.webhook])


async def close(used: Iterable[object]) -> None:
    """Close providers and judges, whatever the closing of the others does."""
    closing = [one.aclose() for one in used if hasattr(one, "aclose")]
    for done in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(done, BaseException):
            raise done


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Search for garbage in cycles less often.

    Reading a program makes thousands of short-lived objects, hardly any of them in a cycle; searching them every few
    hundred takes about a fifth of the time of scoring.
    """
    before = gc.get_threshold()
    gc.set_threshold(50 * before[0], *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextlib.contextmanager
def _signals(stop: asyncio.Event, on_stopping: Callable[[], None] | None) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM set `stop` and the second end the process at once."""
    asked = False

    def handle() -> None:
        nonlocal asked
        if asked:
            # Every stored iteration is whole, so there is nothing to tidy but the provider's own processes.
            for child in multiprocessing.active_children():
                child.terminate()
            os._exit(INTERRUPTED)
        asked = True
        stop.set()
        if on_stopping is not None:
            on_stopping()

    loop = asyncio.get_running_loop()
    handled = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not every system has signal handlers in its event loop, and only a main thread may set them.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, handle)
            handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
