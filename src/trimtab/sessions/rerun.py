"""Runs made again: what a run with the provider ``replay`` takes from its recording: settings, tasks, the course."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trimtab.core.objectives import Objective
from trimtab.errors import InputError
from trimtab.sessions.config_checks import RECORDED_TASKS
from trimtab.sessions.plan import Plan, PlannedSession, tasks_fingerprint
from trimtab.sessions.recording import Recording, open_recording
from trimtab.sessions.steering import FOLLOWS
from trimtab.sessions.strategies import builtin_strategies, strategies_from_mapping
from trimtab.sessions.task import Task
from trimtab.sessions.tasks import load_tasks

if TYPE_CHECKING:
    from trimtab.sessions.config import RunConfig

__all__ = ["DECIDING", "followed", "follows", "recorded_part", "recorded_tasks", "recording_defaults"]

_SAME = (
    "preset", "strategies", "strategy_tables", "sessions", "iterations", "seed", "temperature", "max_tokens", "stop",
    "history", "history_limit",
)  # fmt: skip
"""Settings of the recorded run that hold for its replay as well."""

DECIDING = ("policy", "fit", "utility", "weights", "floor", "cost", "score_noise", "trigger", "round")
"""Those that do unless the replay follows the recorded course, in which all that they decided is there already."""


def recording_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with which a replay is the run that was recorded, less those that are `given`.

    Raises
    ------
    InputError
        If the recording cannot be read, or what is given would make something else of it.
    """
    source = given.get("recording")
    if given.get("provider") != "replay" or not isinstance(source, str) or not source:
        return {}
    recording = open_recording(source)
    try:
        if given.get("policy") and _follows(recording, given):
            raise InputError(
                f"policy is {given['policy']!r:.80}, but the recording {source} holds no decisions of it by these "
                "scores: leave it out, and the run follows the recorded course"
            )
        config = recording.settings.get("config")
        found = _of_run(recording, config, given) if isinstance(config, Mapping) else _of_data(recording)
    finally:
        recording.close()
    return {name: value for name, value in found.items() if name not in given}


def _of_run(recording: Recording, config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    wanted = _names(given.get("scorers"))
    other = wanted is not None and wanted != [*config["scorers"]]
    if wanted is None and "judge" in config["scorers"]:
        raise InputError(
            f"the recording {recording.source} was scored by a judge, which asks a model: say --scorers judge to have "
            "it judged again, or name other scorers"
        )
    held = _SAME if _follows(recording, given) else (*_SAME, *DECIDING)
    found = {name: config[name] for name in held if name in config}
    strategies_from_mapping(found.get("strategy_tables", {}), f"the recording {recording.source}")
    found |= {"objectives": []} if other else {"scorers": config["scorers"], "objectives": config["objectives"]}
    return {**found, "model": recording.model, "tasks": _source_of_tasks(recording, config)}


def _follows(recording: Recording, given: Mapping[str, Any]) -> bool:
    """Tell whether a replay follows the recorded course: under other scores, and where no policy repeats decisions."""
    config = recording.settings.get("config")
    if not isinstance(config, Mapping):
        return not (recording.is_run and given.get("policy"))
    if recording.settings.get(FOLLOWS) or not _scored_alike(recording, config, given):
        return True
    return bool(config.get("policy")) and not given.get("policy", config.get("policy"))


def _scored_alike(recording: Recording, config: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Tell whether the scores of a replay are those of the recorded run."""
    names = [Objective.parse(text).name for text in recording.settings["objectives"]]
    scorers, objectives = (_names(given.get(name)) for name in ("scorers", "objectives"))
    return (
        "judge" not in config["scorers"]
        and scorers in (None, [*config["scorers"]])
        and objectives in (None, [*config["objectives"]], names)
    )


def _names(value: Any) -> list[str] | None:
    """Return names as a setting gives them, None where it gives none or something else, which is refused later."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return [*value] if isinstance(value, list | tuple) else None


def _source_of_tasks(recording: Recording, config: Mapping[str, Any]) -> str:
    """Return where the tasks of a recorded run come from, if they are still what they were."""
    source = str(config["tasks"])
    try:
        same = tasks_fingerprint(load_tasks(source)) == recording.settings["fingerprints"]["tasks"]
    except InputError:
        same = False
    return source if same else RECORDED_TASKS


def _of_data(recording: Recording) -> dict[str, Any]:
    builtin = {strategy.name for strategy in builtin_strategies()}
    strategies = recording.strategies
    tables = {name: {"instruction": "Recorded elsewhere."} for name in strategies if name not in builtin}
    return {
        "tasks": RECORDED_TASKS,
        "strategies": list(strategies),
        "strategy_tables": tables,
        "sessions": recording.size(len(recording.tasks())),
        "iterations": max(recording.iterations, 1),
        "model": recording.model,
    }


def follows(given: Mapping[str, Any]) -> bool:
    """Tell whether a run with the settings `given`, in which defaults may lack, follows a recording."""
    source = given.get("recording")
    if given.get("provider") != "replay" or not isinstance(source, str) or not source:
        return False
    recording = open_recording(source)
    try:
        return _follows(recording, given)
    finally:
        recording.close()


def followed(config: RunConfig) -> str:
    """Return what the sessions of a run follow, in words; "" where they do not take their course from a recording."""
    if not config.recording:
        return ""
    recording = open_recording(config.recording)
    try:
        return recording.told if _follows(recording, _choices(config)) else ""
    finally:
        recording.close()


def _choices(config: RunConfig) -> dict[str, Any]:
    """Return the settings by which a run follows its recording or not."""
    return {name: getattr(config, name) for name in ("policy", "scorers", "objectives")}


def recorded_tasks(config: RunConfig) -> tuple[Task, ...]:
    """Return the tasks of the recording, where the settings of a run ask for those, and otherwise as usual."""
    if config.tasks != RECORDED_TASKS:
        return load_tasks(config.tasks)
    recording = open_recording(config.recording)
    try:
        return recording.tasks()
    finally:
        recording.close()


def recorded_part(config: RunConfig, plan: Plan) -> Plan:
    """Return a plan with those of its sessions that were recorded, on the recorded course where they follow it.

    Raises
    ------
    InputError
        If an arm of the plan has none, or the plan lacks a strategy that was recorded.
    """
    recording = open_recording(config.recording)
    try:
        if _follows(recording, _choices(config)):
            return _following(recording, plan)
        kept = tuple(session for session in plan.sessions if recording.holds(session))
        _require(recording, {session.arm for session in plan.sessions} - {session.arm for session in kept})
    finally:
        recording.close()
    return replace(plan, sessions=kept)


def _require(recording: Recording, missing: Collection[str]) -> None:
    if missing:
        raise InputError(
            f"the recording {recording.source} has no session of {', '.join(sorted(missing))} on these tasks; it has "
            f"sessions of {', '.join(recording.arms)}"
        )


def _following(recording: Recording, plan: Plan) -> Plan:
    """Return a plan of the recorded sessions, each to go as it was recorded.

    Of chains of one strategy, those whose strategy the plan lacks are left out.
    """
    known = {strategy.name: strategy for strategy in plan.strategies}
    made_by = {*recording.strategies}
    arms = [arm for arm in recording.arms if arm in known or arm not in made_by]
    if made_by.issuperset(recording.arms):
        planned = recording.settings["strategies"] if recording.is_run else ()
        _require(recording, known.keys() - {*made_by, *planned})
    sessions = [
        PlannedSession(known.get(arm, one.strategy), one.task, one.replicate, arm)
        for one in plan.sessions[:: len(known)]
        for arm in arms
    ]
    course = {session.id: recording.course(session) for session in sessions if recording.holds(session)}
    if not course:
        raise InputError(f"the recording {recording.source} has no session on these tasks")
    unknown = {name for steps in course.values() for name, _ in steps.values()} - known.keys()
    if unknown:
        raise InputError(
            f"the recording {recording.source} has iterations made by {', '.join(sorted(unknown))}, but this run has "
            f"{', '.join(known)} only: leave strategies out"
        )
    kept = tuple(session for session in sessions if session.id in course)
    return replace(plan, sessions=kept, course=course, settings={**plan.settings, FOLLOWS: recording.told})
