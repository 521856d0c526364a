"""Steering of a run: the pilot that its settings describe, and what of them a store must agree with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from trimtab.errors import InputError, StoreError

if TYPE_CHECKING:
    from trimtab.control.pilot import Pilot
    from trimtab.core.objectives import ObjectiveSpace
    from trimtab.sessions.config import RunConfig

__all__ = [
    "FOLLOWS",
    "differing_steering",
    "in_rounds",
    "pilot_from",
    "pilot_of",
    "read_numbers",
    "round_size",
    "steering_settings",
    "watch_of",
]

T = TypeVar("T")

FOLLOWS = "follows"
"""Key in the settings of a run that takes its course from a recording: what it follows, in words."""

_GIVEN = ("policy", "fit", "utility", "weights", "floor", "cost", "score_noise", "trigger", "round")
_PILOT = "pilot"


def read_numbers(texts: Iterable[str], what: str) -> dict[str, float] | None:
    """Return numbers by objective from texts such as ``security=0.6``; None where there are none.

    >>> read_numbers(["security=0.6", "efficiency=0.4"], "weights")
    {'security': 0.6, 'efficiency': 0.4}
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            if not name.strip() or name.strip() in found:
                raise ValueError
            found[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"{what} are written NAME=NUMBER,..., each name once, but got {text!r:.80}") from None
    return found or None


def pilot_of(config: RunConfig, space: ObjectiveSpace, strategies: Sequence[str]) -> Pilot:
    """Return the pilot that the settings of a run describe, before its first session.

    Raises
    ------
    InputError
        If the policy, the fit, the utility, a floor or a trigger cannot be used.
    """
    from trimtab.control.pilot import Pilot

    pilot = Pilot(
        space,
        strategies,
        policy=config.policy,
        fit=config.fit or None,
        utility=config.utility,
        weights=read_numbers(config.weights, "weights"),
        constraints=config.floor,
        cost=config.cost,
        iterations=config.iterations,
        triggers=config.trigger,
        score_noise=read_numbers(config.score_noise, "standard deviations of score noise"),
        seed=config.seed,
    )
    told = [trigger.told(space) for trigger in pilot.triggers]
    for text in told:
        if told.count(text) > 1:
            raise InputError(f"the trigger {text} is given {told.count(text)} times; give it once")
    return pilot


def watch_of(config: RunConfig, space: ObjectiveSpace, strategies: Sequence[str]) -> Pilot | None:
    """Return a pilot that has the triggers of a run without a policy, None where there are none or a policy has them.

    It steers nothing. Sessions go by its fit, if any, and by their own steps, and never learn from each other.

    Raises
    ------
    InputError
        If the fit or a trigger cannot be used.
    """
    if config.policy or not config.trigger:
        return None
    from trimtab.control.live import MOST_ITERATIONS

    if config.iterations > MOST_ITERATIONS:
        raise InputError(
            f"triggers watch sessions of at most {MOST_ITERATIONS:,} iterations, but {config.iterations:,} are "
            "planned: give fewer --iterations, or no --trigger"
        )
    return pilot_of(config.model_copy(update={"policy": f"fixed:strategy={strategies[0]}"}), space, strategies)


def steering_settings(config: RunConfig, space: ObjectiveSpace, strategies: Sequence[str]) -> dict[str, Any]:
    """Return what a store keeps about the steering of its run, nothing if there is none.

    The pilot is kept whole, with what it knew at the start, so that its decisions can be made again from the store.
    """
    if not config.policy:
        return {"trigger": [*config.trigger], "fit": config.fit} if config.trigger else {}
    values = config.model_dump(mode="json", include={*_GIVEN})
    return {**{name: values[name] for name in _GIVEN}, _PILOT: pilot_of(config, space, strategies).to_dict()}


def differing_steering(stored: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name the settings of a run, and their values, by which a store's decisions would mean something else."""
    if not stored.get("policy") and not new.get("policy"):
        return []
    compared = [name for name in _GIVEN if name != "fit"]
    if stored.get("policy") and new.get("policy"):
        compared += ["iterations"]
    found = [
        f"{name} ({stored.get(name, '')!r} there, {new.get(name, '')!r} now)"
        for name in compared
        if stored.get(name) != new.get(name)
    ]
    if not stored.get("policy") or not new.get("policy"):
        return found[:1]
    there, here = stored[_PILOT], new[_PILOT]
    if there["prior"]["strategies"] != here["prior"]["strategies"]:
        names = [", ".join(one["prior"]["strategies"]) for one in (there, here)]
        found.append(f"strategies ({names[0]} there, {names[1]} now)")
    elif there["prior"] != here["prior"]:
        changed = f"{stored['fit']!r} there, {new['fit']!r} now"
        found.append(f"fit ({changed if stored['fit'] != new['fit'] else 'what it says has changed'})")
    elif _decides(there) != _decides(here) and not found:
        found.append("the pilot, which another version of trimtab made")
    return found


def _decides(pilot: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a pilot's document bears on its decisions."""
    return {name: value for name, value in pilot.items() if name != "doubts"}


def pilot_from(settings: Mapping[str, Any], url: str) -> Pilot:
    """Return the pilot of a store's run as it was before its first session.

    Raises
    ------
    StoreError
        If the settings are not those of a steered run, or cannot be read.
    """
    from trimtab.control.pilot import Pilot

    if follows := settings.get(FOLLOWS):
        raise StoreError(
            f"no policy decided in the store {url}: its sessions follow {follows} in {settings.get('recording')}"
        )
    if not settings.get("policy") or _PILOT not in settings:
        raise StoreError(f"the store {url} holds no steered run: trimtab run --policy NAME makes one")
    try:
        return Pilot.from_dict(settings[_PILOT])
    except InputError as error:
        raise StoreError(f"the pilot in the store {url} cannot be used: {error}") from error


def round_size(settings: Mapping[str, Any]) -> int:
    """Return how many sessions of a store's run were opened together."""
    return int(settings["round"])


def in_rounds(sessions: Sequence[T], size: int) -> list[Sequence[T]]:
    """Part sessions into rounds: those of one are opened together, when all of the former have ended.

    >>> in_rounds([1, 2, 3], 2)
    [[1, 2], [3]]
    """
    return [sessions[at : at + size] for at in range(0, len(sessions), size)]
