"""The settings of a run as its store keeps them, so that it can be gone on with from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trimtab.sessions.config import RunConfig
from trimtab.sessions.strategies import Strategy, builtin_strategies

__all__ = ["CONFIG", "anywhere", "kept_config", "merged_config"]

CONFIG = "config"
"""Key in a store's settings: what the run was given, keys and secrets aside."""

_ANEW = {"store", "strategies", "strategy_files", "strategy_tables"}
_FILES = ("tasks", "fit", "recording")
_PACKAGED = ("builtin", "preset", "recording", "reference")
"""What names a part of the package, even if a file is called like it."""

_URL = "sqlite:///"


def kept_config(config: RunConfig, strategies: Iterable[Strategy]) -> dict[str, Any]:
    """Return the settings of a run as a store keeps them: JSON values that hold anywhere on this machine.

    Paths are made absolute, and strategies are written out, so that neither the folder where the run began nor its
    files of strategies are needed again. Settings declared with ``exclude=True``, which may be secret, are left out.
    """
    values = config.model_dump(mode="json", exclude=_ANEW)
    values["out"] = str(config.out.absolute())
    for name in _FILES:
        if values.get(name):
            values[name] = anywhere(values[name])
    strategies = tuple(strategies)
    values["strategies"] = [strategy.name for strategy in strategies]
    values["strategy_tables"] = _tables(strategies)
    return values


def merged_config(stored: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run that adds to another: `new`, with all strategies and the larger numbers of both."""
    if stored is None:
        return dict(new)
    return {
        **new,
        "strategies": list(dict.fromkeys([*stored["strategies"], *new["strategies"]])),
        "strategy_tables": {**stored["strategy_tables"], **new["strategy_tables"]},
        "sessions": max(stored["sessions"], new["sessions"]),
        "iterations": max(stored["iterations"], new["iterations"]),
    }


def anywhere(place: str) -> str:
    """Return a path or SQLite URL that holds from any folder; what is neither stays as it is."""
    if place.startswith(_URL) and not place.startswith(f"{_URL}/"):
        return f"{_URL}{Path(place.removeprefix(_URL)).absolute()}"
    if place.partition(":")[0] in _PACKAGED:
        return place
    return str(Path(place).absolute()) if "://" not in place and Path(place).exists() else place


def _tables(strategies: Iterable[Strategy]) -> dict[str, Any]:
    """Return the strategies that are not simply built in, as tables of a configuration file."""
    builtin = {strategy.name: strategy for strategy in builtin_strategies()}
    return {
        one.name: {
            "title": one.title,
            "instruction": one.instruction,
            "system": one.system,
            "override": one.name in builtin,
        }
        for one in strategies
        if one != builtin.get(one.name)
    }
