"""Going on with a run from what its store says of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from trimtab.errors import InputError, StoreError
from trimtab.sessions.config import RunConfig, option_of
from trimtab.sessions.kept import CONFIG
from trimtab.sessions.kept_settings import is_run, settings_of
from trimtab.store.base import Store

__all__ = ["stored_config"]


def stored_config(store: Store, changes: Mapping[str, Any], out: Path | None = None) -> RunConfig:
    """Return the settings with which the run in `store` goes on.

    Parameters
    ----------
    changes
        Settings to be other than stored; None means as stored.
    out
        Output folder. By default the one of before, or where the store lay in it by default, the store's own.

    Raises
    ------
    StoreError
        If the store holds no run, or one whose settings were not kept.
    InputError
        If a setting cannot be used any more, or a change cannot be used.
    """
    settings = settings_of(store)
    if not is_run(settings):
        what = "imported data, not a run" if settings else "nothing yet"
        raise StoreError(f"the store {store.url} holds {what}, so there is nothing to go on with: see trimtab run")
    if CONFIG not in settings:
        raise StoreError(
            f"the run in {store.url} was begun by a version of trimtab that did not keep all of its settings: "
            "give its trimtab run command again to go on"
        )
    given = {name: value for name, value in changes.items() if value is not None}
    values = {**settings[CONFIG], **given, "store": store.url}
    values["out"] = str(out or _folder(store.url) or values["out"])
    try:
        return RunConfig(**values)
    except ValidationError as error:
        problems = dict.fromkeys(_sentence(problem, given, store.url) for problem in error.errors())
        raise InputError("\n".join(problems)) from error


def _sentence(problem: Any, given: Mapping[str, Any], url: str) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    name = ".".join(map(str, problem["loc"]))
    if not name:
        return message
    where = option_of(name) if name in given else f"the setting {name} of the run in {url}"
    return f"{where} {message[0].lower()}{message[1:]}, but is {str(problem['input'])!r:.80}"


def _folder(url: str) -> Path | None:
    """Return the folder of a store that has its default name, None of another: with the folder it may have moved."""
    path = Path(url.partition(":///")[2])
    return path.parent if url.startswith("sqlite:") and path.name == "trimtab.db" else None
