"""Whether the settings of a run fit together: what needs what, and what nothing would heed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trimtab.judging.judge import JUDGE
from trimtab.providers.http import check_address
from trimtab.sessions.config_file import LONGEST_SHOWN
from trimtab.sessions.limits import read_deadline
from trimtab.store.open import require_lasting

if TYPE_CHECKING:
    from trimtab.sessions.config import RunConfig

__all__ = ["RECORDED_TASKS", "STEERING", "check_together"]

_SECRET = re.compile(r"(?i)key|token$|secret|passw|pwd|credential|auth(?!ors?$)|bearer|cookie")
RECORDED_TASKS = "recording"
"""Source of tasks that means those of the recording itself."""

STEERING = ("utility", "weights", "floor", "cost", "score_noise", "round")
"""What only a policy goes by."""


def check_together(config: RunConfig) -> None:
    """Raise ``ValueError`` where settings do not fit together, with a sentence that says what to do."""
    _check_endpoint(config)
    _check_recording(config)
    _check_steering(config)
    _check_triggers(config)
    _check_limits(config)
    _check_judge(config)
    for name in ("strategies", "scorers"):
        if not getattr(config, name):
            raise ValueError(f"{name} should name at least one, but is empty")
    if config.store:
        require_lasting(config.store)


def _check_endpoint(config: RunConfig) -> None:
    if config.base_url:
        check_address(config.base_url, "base_url")
    for text in config.provider_options:
        name, equals, _ = text.partition("=")
        if not equals or not name.strip():
            raise ValueError("provider_options should be NAME=VALUE,..., but one has no name and value")
        if _SECRET.search(name):
            raise ValueError(
                f"provider_options should hold no {name.strip()}, because they are stored with the run: "
                "a provider reads its keys from the environment"
            )


def _check_recording(config: RunConfig) -> None:
    if config.recording and config.provider != "replay":
        raise ValueError("recording is given, but only provider replay has one: add --provider replay")
    if config.tasks == RECORDED_TASKS and not config.recording:
        raise ValueError(f"tasks is {RECORDED_TASKS!r}, but there is none: add --provider replay --recording SOURCE")


def _check_steering(config: RunConfig) -> None:
    if config.fit and not (config.policy or config.trigger):
        raise ValueError("fit is given, but only a policy or a trigger goes by one: add --policy or --trigger")
    if config.policy:
        if not config.policy.isprintable() or len(config.policy) > LONGEST_SHOWN:
            raise ValueError(f"policy should be NAME[:OPTION=VALUE,...], at most {LONGEST_SHOWN} characters")
        return
    fields = type(config).model_fields
    idle = [name for name in STEERING if getattr(config, name) != fields[name].default]
    if idle:
        instead = "leave it out" if config.recording else "add --policy NAME"
        raise ValueError(f"{idle[0]} is given, but only a policy has one: {instead}")


def _check_triggers(config: RunConfig) -> None:
    calls = any(text.replace(" ", "").endswith(":webhook") for text in config.trigger)
    if calls and not config.webhook:
        raise ValueError(
            "a trigger calls a webhook, but its address is missing: give --webhook URL, or set TRIMTAB_WEBHOOK"
        )
    if config.webhook and not calls:
        raise ValueError("webhook is given, but no trigger calls it: end one with :webhook")
    if config.webhook and not _is_web_address(config.webhook):
        raise ValueError("webhook should look like http://host:port/path (what was given is not shown)")
    if config.webhook_artefact and not config.webhook:
        raise ValueError("webhook_artefact is given, but there is no webhook: add --webhook URL")
    if config.answers is not None and not (config.policy or config.trigger):
        raise ValueError("answers is given, but nothing asks: add a --trigger, or a --policy that may ask")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port or an address in brackets that is none
        return False


def _check_limits(config: RunConfig) -> None:
    if config.deadline:
        read_deadline(config.deadline, 0.0)


def _check_judge(config: RunConfig) -> None:
    if config.judge.base_url:
        check_address(config.judge.base_url, "judge.base_url")
    if JUDGE in config.scorers:
        return
    idle = [name for name in ("judge_model", "judge_repeats") if getattr(config, name)]
    if idle:
        raise ValueError(f"{idle[0]} is given, but no scorer asks a model: add judge to --scorers")
    if "judge" in config.model_fields_set and "scorers" not in config.model_fields_set:
        raise ValueError('there is a table [judge], but no scorer uses it: say scorers = ["judge"]')
