"""What a configuration file says of steering where a run is not steered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.sessions.config_checks import STEERING
from trimtab.sessions.rerun import DECIDING, follows

__all__ = ["set_aside"]

_TELLING = ("webhook", "webhook_artefact", "answers")
"""What only a trigger or a policy has use for."""


def set_aside(file: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which settings of a configuration file do not hold beside what is given otherwise.

    Parameters
    ----------
    file
        What the file says, by name of the setting.
    given
        What options and variables say.

    Returns
    -------
    tuple of str
        With an empty policy given: what only a policy goes by. Where the run follows a recording:
        all that decides, triggers included, unless the file itself names the provider ``replay``.
    """
    asked = {**file, **given}
    names: tuple[str, ...]
    if file.get("provider") != "replay" and file.keys() & {*DECIDING} and follows(asked):
        names, triggered = DECIDING, given.get("trigger")
    elif given.get("policy") == "":
        names, triggered = STEERING, asked.get("trigger")
    else:
        return ()
    if not triggered:
        names += ("fit", *_TELLING)
    return tuple(name for name in file if name in names and name not in given)
