"""Strategies: the prompting modes that a session can be in, built in or written by the user in TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from trimtab.errors import InputError

__all__ = ["Strategy", "builtin_strategies", "load_strategies", "strategies_from_mapping"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_TEXT_KEYS = ("title", "instruction", "system")
_KEYS = (*_TEXT_KEYS, "override")


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way of asking for the next version of an artefact.

    Parameters
    ----------
    name
        Short identifier: a letter, then letters, digits, ``_`` or ``-``, 64 characters at most.
    title
        How tables and figures call it.
    instruction
        What the model is asked to do. ``{language}`` and ``{iteration}`` stand for the artefact's language and the
        index of the iteration asked for.
    system
        System message; empty for the neutral one of `trimtab.sessions.prompts`.

    Raises
    ------
    InputError
        If the name is not such an identifier, or title or instruction is empty.
    """

    name: str
    title: str
    instruction: str
    system: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InputError(
                "a strategy's name must be a letter followed by letters, digits, '_' or '-' (64 characters at most), "
                f"but got {self.name!r}"
            )
        for key in ("title", "instruction"):
            if not getattr(self, key).strip():
                raise InputError(f"the strategy {self.name} needs its {key}, but it is empty")


def builtin_strategies() -> tuple[Strategy, ...]:
    """Return the paper's four strategies in its order: EF, SF, FF, AI."""
    return _builtin_strategies()


@cache
def _builtin_strategies() -> tuple[Strategy, ...]:
    file = resources.files("trimtab.sessions") / "builtin_strategies.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))["strategies"]
    return _build(table, "the built-in strategies", builtin=())


def strategies_from_mapping(mapping: Mapping[str, Any], origin: str) -> tuple[Strategy, ...]:
    """Build strategies from tables such as those under ``[strategies]`` in a TOML file.

    Parameters
    ----------
    mapping
        From name to a table with ``instruction`` and, if wanted, ``title`` (default: the name), ``system`` and
        ``override``. A strategy named like a built-in one must say ``override = true``, and only such a one may.
    origin
        Where the tables come from, for messages: ``"trimtab.toml"``.

    Raises
    ------
    InputError
        If any table has a missing, unknown or ill-typed key, or takes a built-in's name without saying so.
        All problems are named at once.
    """
    return _build(mapping, origin, builtin=tuple(strategy.name for strategy in builtin_strategies()))


def load_strategies(
    names: Sequence[str],
    files: Sequence[Path] = (),
    own: Iterable[Strategy] = (),
    preset: Iterable[Strategy] = (),
) -> tuple[Strategy, ...]:
    """Find the strategies called `names` among the built-in ones, those in `files`, and `own`.

    Parameters
    ----------
    names
        The strategies wanted, in the order wanted, each once.
    files
        TOML files of ``[strategies.NAME]`` tables.
    own
        Strategies made by `strategies_from_mapping`, for example from ``trimtab.toml``. They and those of the files
        take the place of built-in ones of the same name.

    Raises
    ------
    InputError
        If no name was given, one is unknown or given twice, a file cannot be used, or two of the user's own strategies
        share a name.
    """
    origins: dict[str, str] = {}
    found: dict[str, Strategy] = {}
    batches = [("the configuration", tuple(own)), *((f"{str(file)!r}", _read(Path(file))) for file in files)]
    for origin, batch in batches:
        for strategy in batch:
            if strategy.name in found:
                raise InputError(
                    f"the strategy {strategy.name} is defined twice: in {origins[strategy.name]} and in {origin}; "
                    "rename one of them"
                )
            found[strategy.name], origins[strategy.name] = strategy, origin
    known = {strategy.name: strategy for strategy in (*builtin_strategies(), *preset)} | found
    there = f"there are {', '.join(known)}"
    if isinstance(names, str):
        raise InputError(f"strategies must be given as a list of names, but got the text {names!r}; {there}")
    if not names:
        raise InputError(f"at least one strategy is needed, but none was named; {there}")
    if unknown := [name for name in dict.fromkeys(names) if name not in known]:
        raise InputError(f"no strategy is called {', '.join(map(repr, unknown))}; {there}")
    if twice := [name for name in dict.fromkeys(names) if list(names).count(name) > 1]:
        raise InputError(f"each strategy can be named once, but {', '.join(twice)} came more often")
    return tuple(known[name] for name in names)


def _read(file: Path) -> tuple[Strategy, ...]:
    where = f"the strategy file {str(file)!r}"
    try:
        table = tomllib.loads(file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
    except FileNotFoundError as error:
        raise InputError(f"there is no strategy file {str(file)!r}") from error
    except OSError as error:
        raise InputError(f"{where} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where} must be UTF-8, but byte {error.start} is not") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{where} is not valid TOML: {error}") from error
    needed = "a strategy file holds tables [strategies.NAME] with title and instruction"
    if unknown := [key for key in table if key != "strategies"]:
        raise InputError(f"{where} holds {', '.join(map(repr, unknown))} at its top level, but {needed}")
    if not isinstance(table.get("strategies"), dict) or not table["strategies"]:
        raise InputError(f"{where} holds no strategy; {needed}")
    return strategies_from_mapping(table["strategies"], where)


def _build(mapping: Mapping[str, Any], origin: str, builtin: tuple[str, ...]) -> tuple[Strategy, ...]:
    strategies, problems = [], []
    for name, table in mapping.items():
        try:
            strategies.append(_strategy(name, table, builtin))
        except InputError as error:
            problems.append(f"[strategies.{name}]: {error}")
    if problems:
        tables = "table" if len(problems) == 1 else "tables"
        raise InputError("\n  ".join([f"{origin} holds {len(problems):,} unusable strategy {tables}:", *problems]))
    return tuple(strategies)


def _strategy(name: str, table: Any, builtin: tuple[str, ...]) -> Strategy:
    if not isinstance(table, Mapping):
        raise InputError(f"must be a table with title and instruction, but is {type(table).__name__}")
    if unknown := [str(key) for key in table if key not in _KEYS]:
        keys = "key" if len(unknown) == 1 else "keys"
        raise InputError(f"has the unknown {keys} {', '.join(unknown)}; known are {', '.join(_KEYS)}")
    if "instruction" not in table:
        raise InputError("needs the key instruction: what the model is asked to do")
    for key in _TEXT_KEYS:
        if not isinstance(table.get(key, ""), str):
            raise InputError(f"{key} must be text, but is {type(table[key]).__name__}")
    override = table.get("override", False)
    if not isinstance(override, bool):
        raise InputError(f"override must be true or false, but is {override!r}")
    if name in builtin and not override:
        raise InputError(f"{name} is a built-in strategy: give yours another name, or say override = true")
    if override and name not in builtin:
        raise InputError(
            f"override = true replaces a built-in strategy, but none is called {name}; "
            f"built in are {', '.join(builtin)}"
        )
    return Strategy(
        name=name,
        title=table.get("title", name).strip(),
        instruction=table["instruction"].strip(),
        system=table.get("system", "").strip(),
    )
