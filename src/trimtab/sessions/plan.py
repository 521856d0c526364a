"""The plan of a run: which sessions there are, what each works on, and what of it a store must agree with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.records import Session
from trimtab.errors import InputError, StoreError
from trimtab.judging.prompt import judge_messages
from trimtab.judging.rubric import Rubric
from trimtab.scoring.base import AnyScorer, ScoringContext
from trimtab.sessions.config import RunConfig
from trimtab.sessions.kept import CONFIG, anywhere, kept_config, merged_config
from trimtab.sessions.kept_settings import checked_settings, is_run
from trimtab.sessions.prompts import build_messages
from trimtab.sessions.scorers import differing_judge, judge_settings
from trimtab.sessions.steering import FOLLOWS, differing_steering, steering_settings, watch_of
from trimtab.sessions.strategies import Strategy
from trimtab.sessions.task import Task

if TYPE_CHECKING:
    from trimtab.control.pilot import Pilot

__all__ = ["Plan", "PlannedSession", "agreed_settings", "make_plan", "space_of", "tasks_fingerprint"]


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """One session to run: `strategy` on `task`, the `replicate`-th time.

    Parameters
    ----------
    policy
        What chooses the strategy of each iteration, or the arm of a recording that is followed; "" where it stays the
        same. `strategy` is then the one in force.
    """

    strategy: Strategy
    task: Task
    replicate: int
    policy: str = ""

    @property
    def arm(self) -> str:
        """What the session was planned with: the text of its policy, or the name of its strategy."""
        return self.policy or self.strategy.name

    @property
    def id(self) -> str:
        """Name of the session, the same in every run of the same plan."""
        return f"{self.arm}/{self.task.id}/{self.replicate}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run does, laid out before it starts.

    Parameters
    ----------
    sessions
        In the order they start: the i-th sessions of all strategies side by side, so that a run that is stopped early
        has treated the strategies alike.
    space
        The objectives that are recorded.
    iterations
        Iterations of each session, t = 0 aside.
    seed
        Seed of all random streams.
    model, temperature, max_tokens
        What each request says.
    settings
        What the store keeps about the run, as JSON values.
    strategies
        What steered sessions may use.
    history, history_limit
        What requests show of their session before, see `trimtab.sessions.history`, and how many characters of it.
    stop
        Texts at which answers end.
    watch
        Has the triggers of a run that no policy steers, and what is known of its dynamics; None if there are none.
    course
        Of a run that follows a recording: by id of the session and index, from 0 on, the strategy that made each
        recorded iteration and the index of the iterate it was made from. None where none is followed.
    """

    sessions: tuple[PlannedSession, ...]
    space: ObjectiveSpace
    iterations: int
    seed: int
    model: str
    temperature: float | None
    max_tokens: int | None
    settings: Mapping[str, Any]
    strategies: tuple[Strategy, ...] = ()
    history: str = "none"
    history_limit: int = 0
    stop: tuple[str, ...] = ()
    watch: Pilot | None = None
    course: Mapping[str, Mapping[int, tuple[str, int]]] | None = None

    @property
    def steered(self) -> bool:
        """True where a policy chooses the strategy of each iteration."""
        return self.course is None and bool(self.sessions[0].policy)

    def records(self) -> list[Session]:
        """Return the sessions as a store keeps them."""
        return [Session(s.id, s.task.id, s.arm, s.replicate, self.model) for s in self.sessions]


def space_of(scorers: Sequence[AnyScorer], wanted: Sequence[str] = ()) -> ObjectiveSpace:
    """Return the objectives that `scorers` give, or those `wanted` of them, in the order wanted.

    Raises
    ------
    InputError
        If two scorers give the same objective, or one wanted is given by none.
    """
    giver: dict[str, str] = {}
    for scorer in scorers:
        for objective in scorer.objectives:
            if objective.name in giver:
                raise InputError(
                    f"the scorers {giver[objective.name]} and {scorer.name} both give the objective "
                    f"{objective.name!r}; use one of them"
                )
            giver[objective.name] = scorer.name
    every = {objective.name: objective for scorer in scorers for objective in scorer.objectives}
    for name in wanted:
        if name not in every:
            raise InputError(f"no scorer gives the objective {name!r}; there are {', '.join(every)}")
    return ObjectiveSpace([every[name] for name in wanted] or every.values())


def make_plan(
    config: RunConfig, tasks: Sequence[Task], strategies: Sequence[Strategy], scorers: Sequence[AnyScorer]
) -> Plan:
    """Lay out a run.

    Session i of every strategy works on task i mod T as replicate i div T, so that strategies are paired, and more
    sessions only ever add to those planned before. With a policy there is one arm of sessions, which it steers.
    """
    _check_languages(tasks, scorers)
    space = space_of(scorers, config.objectives)
    sessions = tuple(
        PlannedSession(strategy, tasks[i % len(tasks)], i // len(tasks), config.policy)
        for i in range(config.sessions)
        for strategy in (strategies[:1] if config.policy else strategies)
    )
    judged = judge_settings(scorers)
    return Plan(
        sessions=sessions,
        space=space,
        iterations=config.iterations,
        seed=config.seed,
        model=config.model or config.provider,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        stop=config.stop,
        strategies=tuple(strategies),
        history=config.history,
        history_limit=config.history_limit,
        watch=watch_of(config, space, [strategy.name for strategy in strategies]),
        settings={
            "provider": config.provider,
            "model": config.model,
            "base_url": config.base_url,
            "provider_options": list(config.provider_options),
            "temperature": config.temperature,
            "max_tokens": config.max_tokens,
            "history": config.history,
            "history_limit": None if config.history == "none" else config.history_limit,
            "stop": list(config.stop),
            "seed": config.seed,
            "scorers": [scorer.name for scorer in scorers],
            "objectives": [str(objective) for objective in space],
            "tasks": config.tasks,
            "strategies": {strategy.name: strategy.title for strategy in strategies},
            "sessions": config.sessions,
            "iterations": config.iterations,
            "fingerprints": {
                "tasks": tasks_fingerprint(tasks),
                "strategies": {strategy.name: _strategy_fingerprint(strategy, tasks) for strategy in strategies},
                **({"judge": _judge_fingerprint()} if judged else {}),
            },
            **({"preset": config.preset} if config.preset else {}),
            **({"recording": anywhere(config.recording)} if config.recording else {}),
            **judged,
            **steering_settings(config, space, [strategy.name for strategy in strategies]),
            CONFIG: kept_config(config, strategies),
        },
    )


def _check_languages(tasks: Iterable[Task], scorers: Iterable[AnyScorer]) -> None:
    """Raise ``InputError`` where a scorer cannot read what a task is written in."""
    for scorer in scorers:
        languages = getattr(scorer, "languages", ())
        for task in tasks:
            if languages and task.language.lower() not in languages:
                read = ", ".join(filter(None, languages))
                raise InputError(
                    f"the scorer {scorer.name} reads {read} only, but task {task.id!r} is in {task.tag!r}: "
                    "name another with --scorers"
                )


def _fingerprint(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def tasks_fingerprint(tasks: Iterable[Task]) -> str:
    """Return what tells whether tasks are the same: ids, prompts, artefacts and languages."""
    return _fingerprint([[task.id, task.prompt, task.artefact, task.language] for task in tasks])


def _strategy_fingerprint(strategy: Strategy, tasks: Iterable[Task]) -> str:
    """Fingerprint what the model would be told, so that a change in the frame of the prompt counts as well."""
    texts = [[strategy.instruction, strategy.system]]
    for kind in sorted({task.kind for task in tasks}):
        example = Task("task", "prompt", "artefact", "python" if kind == "program" else "text")
        texts += [[m.role, m.content] for m in build_messages(strategy, example, "artefact", 1)]
    return _fingerprint(texts)


def _judge_fingerprint() -> str:
    """Fingerprint the frame of what a judge is told; its rubrics are kept as they are."""
    rubrics = [Rubric(Objective(name), "text", ((0, "low"), (10, "high"))) for name in ("one", "two")]
    messages = judge_messages(rubrics, "artefact", ScoringContext("task", "prompt", "artefact", "text"))
    return _fingerprint([[m.role, m.content] for m in messages])


_MEANING = (
    "provider",
    "model",
    "provider_options",
    "recording",
    FOLLOWS,
    "temperature",
    "max_tokens",
    "stop",
    "seed",
    "scorers",
    "objectives",
    "history",
    "history_limit",
)
_ALWAYS_WAS: Mapping[str, object] = {"history": "none", "history_limit": None, "provider_options": [], "stop": []}
"""What the runs of former versions did, where they had no such setting."""


def agreed_settings(stored: Mapping[str, Any], new: Mapping[str, Any], url: str) -> dict[str, Any]:
    """Return the settings of a store that goes on with a run, where that would not mix two experiments.

    More sessions, more iterations and more strategies may be added, and the endpoint may have moved. A policy decides
    with the iterations and strategies that there are in view, so that steered sessions can only become more.

    Raises
    ------
    StoreError
        If anything differs that changes what the stored iterations mean; it is named.
    """
    if not is_run(stored):
        raise StoreError(f"the store {url} holds imported data, not a run; choose another --out or --store")
    before = {**_ALWAYS_WAS, **checked_settings(stored, url)}
    differing = [
        f"{name} ({before.get(name)!r} there, {new.get(name)!r} now)"
        for name in _MEANING
        if before.get(name) != new.get(name)
    ]
    differing += differing_judge(stored, new)
    differing += differing_steering(stored, new)
    there, here = stored["fingerprints"], new["fingerprints"]
    if stored.get("judge") and new.get("judge") and there.get("judge") != here["judge"]:
        differing.append("the words in which the judge is asked, which come from another version of trimtab there")
    if there["tasks"] != here["tasks"]:
        changed = f"{stored['tasks']!r} there, {new['tasks']!r} now"
        differing.append(f"tasks ({changed if stored['tasks'] != new['tasks'] else 'their texts have changed'})")
    differing.extend(
        f"the text of strategy {name}"
        for name, fingerprint in here["strategies"].items()
        if there["strategies"].get(name, fingerprint) != fingerprint
    )
    if differing:
        raise StoreError(
            f"the store {url} holds a run with other settings: {'; '.join(differing)}. "
            "Give the same settings to go on with it, or choose another --out or --store for a new run"
        )
    return {
        **new,
        "strategies": {**stored["strategies"], **new["strategies"]},
        "sessions": max(stored["sessions"], new["sessions"]),
        "iterations": max(stored["iterations"], new["iterations"]),
        "fingerprints": {**here, "strategies": {**there["strategies"], **here["strategies"]}},
        CONFIG: merged_config(stored.get(CONFIG), new[CONFIG]),
    }
