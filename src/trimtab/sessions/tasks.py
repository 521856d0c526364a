"""Where tasks come from: the package (``builtin``), a folder of programs or texts, or a JSONL file."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from trimtab.errors import InputError
from trimtab.sessions.preset import get_preset
from trimtab.sessions.task import MAX_ARTEFACT_BYTES, Task
from trimtab.sessions.task_files import (
    GENERAL_PROMPT,
    GENERAL_TEXT_PROMPT,
    LANGUAGES,
    load_files,
    load_folder,
    load_jsonl,
)

__all__ = ["GENERAL_PROMPT", "GENERAL_TEXT_PROMPT", "MAX_ARTEFACT_BYTES", "Task", "builtin_tasks", "load_tasks"]

_BUILTIN = "builtin"
_PRESET = "preset"


def builtin_tasks() -> tuple[Task, ...]:
    """Return the tasks that ship with the package, sorted by id.

    Each is a plausible, mediocre Python program of 20 to 120 lines; ``meta["title"]`` says in a few words what it is.
    """
    return _builtin_tasks()


@cache
def _builtin_tasks() -> tuple[Task, ...]:
    folder = resources.files("trimtab.sessions") / "builtin_tasks"
    table = tomllib.loads((folder / "tasks.toml").read_text(encoding="utf-8"))
    return tuple(
        Task(
            id=name,
            prompt=entry["prompt"].strip(),
            artefact=(folder / f"{name}.py").read_text(encoding="utf-8"),
            meta={"title": entry["title"]},
        )
        for name, entry in sorted(table.items())
    )


def load_tasks(source: str | Path) -> tuple[Task, ...]:
    r"""Load tasks from the package, a folder, or a file.

    Parameters
    ----------
    source
        One of

        * ``"builtin"``, or ``"builtin:ID,ID,..."`` for some of them in that order. A folder of that name is written
          ``./builtin``.
        * A folder: each of its ``.py`` files is a task, sorted by name, or where there is none, each program or text
          with an ending of `trimtab.sessions.task_files.LANGUAGES`; hidden files and ``__init__.py`` are left out. The
          id is the file's name without its ending, the prompt a program's module docstring or a general one.
        * One such file, as in a folder.
        * A ``.jsonl`` or ``.jsonl.gz`` file with one object a line: ``id`` (or ``task_id``), ``prompt``, ``artefact``
          (or ``code``, ``text``, ``program``; the first that is there), and optionally ``language``, by default
          ``python``. All other keys are kept in ``meta``. Empty lines are skipped.

    Returns
    -------
    tuple of Task
        At least one. Line endings are ``\n``, and a byte order mark is removed.

    Raises
    ------
    InputError
        If the source does not exist, holds no task, or holds any that is unusable; the message names them all
        (the first twenty where there are more). Python artefacts must parse.
    """
    text = str(source)
    if isinstance(source, str) and (text == _BUILTIN or text.startswith(f"{_BUILTIN}:")):
        return _select(builtin_tasks(), _BUILTIN, text)
    if isinstance(source, str) and text.startswith(f"{_PRESET}:"):
        preset = get_preset(text.split(":")[1])
        return _select(preset.examples or builtin_tasks(), f"{_PRESET}:{preset.name}", text)
    if not text.strip():
        raise InputError(f"no source of tasks was given: {_accepted()}")
    path = Path(source)
    if path.is_dir():
        return load_folder(path)
    if not path.exists():
        raise InputError(f"there is no file or folder of tasks at {text!r}: {_accepted()}")
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return load_jsonl(path)
    if path.suffix.lower() in LANGUAGES:
        return load_files((path,), f"the task file {text!r}")
    raise InputError(f"cannot tell what kind of tasks {text!r} holds from its name: {_accepted()}")


def _accepted() -> str:
    return (
        "give 'builtin', 'builtin:ID,ID', a folder of programs or texts, one such file, or a .jsonl or .jsonl.gz file "
        "with id, prompt and artefact on each line"
    )


def _select(tasks: Sequence[Task], source: str, named: str) -> tuple[Task, ...]:
    """Return all `tasks`, or those whose ids stand behind a colon after `source` in what was `named`."""
    if named == source:
        return tuple(tasks)
    by_id = {task.id: task for task in tasks}
    wanted = [part.strip() for part in named.removeprefix(f"{source}:").split(",") if part.strip()]
    there = f"there are {', '.join(by_id)}"
    what = "built-in task" if source == _BUILTIN else f"task of the {source.replace(':', ' ')}"
    if not wanted:
        raise InputError(f"{named!r} names no {what}; {there}")
    if unknown := [name for name in dict.fromkeys(wanted) if name not in by_id]:
        raise InputError(f"no {what} is called {', '.join(map(repr, unknown))}; {there}")
    if twice := [name for name in by_id if wanted.count(name) > 1]:
        raise InputError(f"each {what} can be named once, but {', '.join(twice)} came more often")
    return tuple(by_id[name] for name in wanted)
