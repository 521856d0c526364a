"""The configuration file of a run: found, read, and its tables of strategies told from their names."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from trimtab.errors import InputError

__all__ = ["CONFIG_FILE", "CONFIG_VARIABLE", "LONGEST_SHOWN", "read_file", "shown"]

CONFIG_FILE = "trimtab.toml"
"""Read from the working folder where no other file is named."""

CONFIG_VARIABLE = "TRIMTAB_CONFIG"
LONGEST_SHOWN = 80


def read_file(file: Path | None) -> tuple[str, dict[str, Any]]:
    """Return the path of the configuration file and what it holds; nothing if there is none.

    Parameters
    ----------
    file
        By default the one that ``TRIMTAB_CONFIG`` names, or ``trimtab.toml`` in the working folder if any.

    Raises
    ------
    InputError
        If it cannot be read, or is no TOML.
    """
    named = file or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    path = named or Path(CONFIG_FILE)
    if named is None and not path.exists():
        return str(path), {}
    try:
        values = tomllib.loads(path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
    except FileNotFoundError:
        raise InputError(f"there is no configuration file {path}") from None
    except OSError as error:
        raise InputError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the configuration file {path} must be UTF-8, but byte {error.start} is not") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"the configuration file {path} is not valid TOML: {error}") from error
    if "strategy_tables" in values:
        raise InputError(f"{path}: strategies are defined in tables [strategies.NAME]")
    return str(path), _with_strategies(values, str(path))


def _with_strategies(values: dict[str, Any], path: str) -> dict[str, Any]:
    """Part ``[strategies.NAME]`` tables from the list of names: in the file, both live under ``strategies``."""
    tables = values.get("strategies")
    if not isinstance(tables, dict):
        return values
    values = {name: value for name, value in values.items() if name != "strategies"}
    use = tables.get("use")
    if use is not None and not isinstance(use, dict):
        tables = {name: table for name, table in tables.items() if name != "use"}
        values["strategies"] = use
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise InputError(
                f"{path}: strategies.{name} should be a table [strategies.{name}] with an instruction, "
                f"but is {shown(table)}; the names to run go into strategies.use"
            )
    return {**values, "strategy_tables": tables}


def shown(value: object) -> str:
    """Return a value as a message shows it: cut if it is long."""
    text = repr(str(value)) if isinstance(value, Path) else repr(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
