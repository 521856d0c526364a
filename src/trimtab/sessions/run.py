"""Runs from Python: tasks, strategies, what answers and what scores, each given as simply as it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.records import Iteration
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Provider
from trimtab.providers.registry import get_provider
from trimtab.scoring.base import AnyScorer, Judge
from trimtab.sessions.config import RunConfig
from trimtab.sessions.experiment import plan_of, run_into, run_plan, strategies_of
from trimtab.sessions.functions import FunctionProvider, ScoringFunction, scorer_from
from trimtab.sessions.progress import Listener, Outcome
from trimtab.sessions.scorers import scorers_of
from trimtab.sessions.strategies import Strategy
from trimtab.sessions.task import Task
from trimtab.sessions.task_files import GENERAL_TEXT_PROMPT
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

if TYPE_CHECKING:
    from trimtab.estimation.results import Fit

__all__ = ["Run", "run"]

T = TypeVar("T")

_IN_PYTHON = "given in Python"
_MEMORY = "memory://"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to.

    Parameters
    ----------
    outcome
        How far it came, and how it ended.
    trajectories
        The scores of all sessions in its store.
    store_url
        Where they are kept; ``memory://`` where they are not.
    """

    outcome: Outcome
    trajectories: Trajectories
    store_url: str
    _iterations: tuple[Iteration, ...] = ()

    def iterations(self) -> tuple[Iteration, ...]:
        """Return all iterations with their artefacts, answers and scores, by session, then index."""
        if self.store_url == _MEMORY:
            return self._iterations
        store = open_store(self.store_url)
        try:
            return tuple(store.iterations())
        finally:
            store.close()

    def fit(self, **options: Any) -> Fit:
        """Fit the dynamics; see `trimtab.fit`."""
        from trimtab.estimation.fit import fit

        return fit(self.trajectories, **options)


def run(
    tasks: str | Path | Sequence[Task | Mapping[str, Any] | str] | None = None,
    strategies: Sequence[str | Strategy] | Mapping[str, str] | None = None,
    provider: str | Provider | Callable[..., Any] | None = None,
    scorers: str | AnyScorer | ScoringFunction | Sequence[str | AnyScorer | ScoringFunction] | None = None,
    *,
    objectives: Sequence[str | Objective] = (),
    store: str | None = None,
    listener: Listener | None = None,
    **settings: Any,
) -> Run:
    """Run sessions: every strategy on every task, each iteration scored.

    Parameters
    ----------
    tasks
        A source as on the command line, or tasks: each a `Task`, a mapping of its parts, or just the text to start
        from.
    strategies
        Names, `Strategy` objects, or instructions by name.
    provider
        A name, a `Provider`, or a function from messages (mappings with ``role`` and ``content``) to text, which may
        be asynchronous.
    scorers
        Names, scorers, or functions ``f(artefact, context)`` that return a mapping from objectives to numbers (None
        for no score, a list for repeated judgements) and may be asynchronous.
    objectives
        What functions score, as ``NAME[:LOW:HIGH][:min|max]``; otherwise, which objectives to record.
    store
        URL of a store that lasts, to go on from after an interruption; in memory by default.
    listener
        Called with the progress after every iteration.
    settings
        Any other setting of ``trimtab run``: ``sessions``, ``iterations``, ``seed``, ``preset``, ``model`` and so on.

    Raises
    ------
    InputError
        If anything cannot be used as given.
    ProviderError
        If the provider cannot go on; what was made until then is in the store.
    """
    config = _config(tasks, strategies, provider, scorers, objectives, store, settings)
    chosen_provider = _provider(provider, config)
    chosen_scorers = _scorers(scorers, objectives, config, chosen_provider)
    config = config.model_copy(
        update={
            "provider": chosen_provider.name,
            "scorers": tuple(one.name for one in chosen_scorers),
            "tasks": config.tasks if tasks is None or isinstance(tasks, str | Path) else _IN_PYTHON,
        }
    )
    plan = plan_of(config, chosen_scorers, _tasks(tasks), _strategies(strategies, config))
    held = None if store else MemoryStore()

    def carry_out() -> Outcome:
        if held is None:
            return run_plan(config, plan, chosen_provider, chosen_scorers, listener=listener)
        return run_into(held, config, plan, chosen_provider, chosen_scorers, listener=listener)

    outcome = _beside_loops(carry_out)
    if outcome.ended == "error":
        raise ProviderError(outcome.reason, fatal=True)
    if held is not None:
        return Run(outcome, held.trajectories(), _MEMORY, tuple(held.iterations()))
    kept = open_store(config.store_url)
    try:
        return Run(outcome, kept.trajectories(), config.store_url)
    finally:
        kept.close()


def _config(
    tasks: object,
    strategies: object,
    provider: object,
    scorers: object,
    objectives: Sequence[str | Objective],
    store: str | None,
    settings: Mapping[str, Any],
) -> RunConfig:
    """Return the settings, with what is given as names or sources among them."""
    given = dict(settings)
    if isinstance(tasks, str | Path):
        given["tasks"] = str(tasks)
    if isinstance(provider, str):
        given["provider"] = provider
    names = [scorers] if isinstance(scorers, str) else scorers
    if isinstance(names, Sequence) and all(isinstance(one, str) for one in names):
        given["scorers"] = tuple(names)
        given |= {"objectives": tuple(_named(objectives))} if objectives else {}
    elif scorers is not None and given.get("recording"):  # whether decisions hold goes by what scores
        several = names if isinstance(names, list | tuple) else [names]
        given["scorers"] = tuple(one if isinstance(one, str) else getattr(one, "name", _IN_PYTHON) for one in several)
    if isinstance(strategies, str):
        raise InputError(f"strategies should be a list of names, or instructions by name, but is {strategies!r:.80}")
    if isinstance(strategies, Sequence) and all(isinstance(one, str) for one in strategies):
        given["strategies"] = tuple(strategies)
    if store:
        given["store"] = store
    try:
        return RunConfig(**given)
    except ValidationError as error:
        problems = [_sentence(problem) for problem in error.errors()]
        raise InputError("\n".join(dict.fromkeys(problems))) from error


def _sentence(problem: Any) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    name = ".".join(map(str, problem["loc"]))
    if not name:
        return message
    if problem["type"] == "extra_forbidden":
        return f"{name!r} is no setting of trimtab"
    return f"{name} {message[0].lower()}{message[1:]}, but is {problem['input']!r:.80}"


def _named(objectives: Sequence[str | Objective]) -> list[str]:
    return [one.name if isinstance(one, Objective) else Objective.parse(one).name for one in objectives]


def _provider(given: Any, config: RunConfig) -> Provider:
    if given is None or isinstance(given, str):
        return get_provider(config.provider, config.provider_settings)
    if hasattr(given, "complete") and hasattr(given, "aclose"):
        found: Provider = given
        return found
    if callable(given):
        return FunctionProvider(given)
    raise InputError(f"the provider should be a name, a provider or a function, but is {given!r:.80}")


def _scorers(
    given: Any, objectives: Sequence[str | Objective], config: RunConfig, provider: Provider
) -> tuple[AnyScorer, ...]:
    if given is None or isinstance(given, str):
        return scorers_of(config, provider)
    several = given if isinstance(given, list | tuple) else [given]
    found: list[AnyScorer] = []
    functions: list[ScoringFunction] = []
    for one in several:
        if isinstance(one, str):
            found += scorers_of(config.model_copy(update={"scorers": (one,)}), provider)
        elif isinstance(one, Judge) or hasattr(one, "score"):
            found.append(one)
        elif callable(one):
            functions.append(one)
        else:
            raise InputError(f"a scorer should be a name, a scorer or a function, but is {one!r:.80}")
    if functions:
        taken = {objective.name for scorer in found for objective in scorer.objectives}
        wanted = ObjectiveSpace(objectives) if objectives else ()
        found.append(scorer_from(functions, [one for one in wanted if one.name not in taken]))
    if not found:
        raise InputError("at least one scorer is needed, but none was given")
    return tuple(found)


def _tasks(given: object) -> tuple[Task, ...] | None:
    if given is None or isinstance(given, str | Path):
        return None  # the settings name them
    if not isinstance(given, Sequence) or not given:
        raise InputError(f"tasks should be a source or a list of tasks, at least one, but got {given!r:.80}")
    tasks = tuple(_task(one, i) for i, one in enumerate(given))
    if len({task.id for task in tasks}) < len(tasks):
        raise InputError("tasks need distinct ids, but two share one")
    return tasks


def _task(given: object, i: int) -> Task:
    if isinstance(given, Task):
        return given
    if isinstance(given, str):
        return Task(f"task-{i}", GENERAL_TEXT_PROMPT, given, "text")
    if isinstance(given, Mapping):
        try:
            return Task(**{"id": f"task-{i}", "prompt": GENERAL_TEXT_PROMPT, "language": "text", **given})
        except TypeError as error:
            raise InputError(f"task {i} should have id, prompt, artefact, language and meta: {error}") from None
    raise InputError(f"a task should be a Task, a mapping or a text, but task {i} is {given!r:.80}")


def _strategies(given: object, config: RunConfig) -> tuple[Strategy, ...]:
    if given is None:
        return strategies_of(config)
    if isinstance(given, Mapping):
        return tuple(Strategy(str(name), str(name), str(text)) for name, text in given.items())
    if not isinstance(given, Sequence) or not given:
        raise InputError(f"strategies should be names, strategies or instructions by name, but got {given!r:.80}")
    found: list[Strategy] = []
    for one in given:
        found += [one] if isinstance(one, Strategy) else strategies_of(config.model_copy(update={"strategies": (one,)}))
    return tuple(found)


def _beside_loops(work: Callable[[], T]) -> T:
    """Return what `work` gives, in a thread of its own where this one is in an event loop, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()
