"""Tasks: what a session works on. A prompt and the artefact that it starts from.

Tasks come from the package (``builtin``), from a folder of Python files, or from a JSONL file. An artefact is data: it
is parsed to see that it is a program at all, and never imported or executed.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import tomllib
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import IO, Any

from trimtab.errors import InputError

__all__ = ["GENERAL_PROMPT", "MAX_ARTEFACT_BYTES", "Task", "builtin_tasks", "load_tasks"]

MAX_ARTEFACT_BYTES = 64 * 1024
"""Longest starting artefact in UTF-8; longer texts cannot be scored."""

GENERAL_PROMPT = (
    "Improve this program. Keep what it does for its users: its purpose, its public functions and classes, "
    "and the meaning of its inputs and outputs."
)
"""Prompt of a Python file that has no module docstring."""

_BUILTIN = "builtin"
_LANGUAGE = re.compile(r"[A-Za-z0-9+#._-]*")
_ID_KEYS = ("id", "task_id")
_ARTEFACT_KEYS = ("artefact", "code", "text", "program")
_LONGEST_ID = 200
_LONGEST_LINE = 16 * 2**20
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to work on.

    Parameters
    ----------
    id
        Unique within a run; it becomes part of session ids and random streams.
    prompt
        What the artefact is for and what it must keep doing.
    artefact
        The text that sessions start from, iteration 0. At most 64 KB of UTF-8.
    language
        Name of the artefact's language as used behind a code fence; empty for plain text.
    meta
        Anything else worth keeping, as JSON values.

    Raises
    ------
    InputError
        If the id, prompt or artefact is empty, too long or not storable as UTF-8, or the language is not one word.
    """

    id: str
    prompt: str
    artefact: str
    language: str = "python"
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("id", "prompt", "artefact"):
            text = getattr(self, name)
            if not isinstance(text, str):
                raise InputError(f"a task's {name} must be text, but is {type(text).__name__}")
            if not text.strip():
                raise InputError(f"a task needs {_article(name)} {name}, but it is empty")
            if not _is_storable(text):
                raise InputError(f"the task's {name} holds characters that UTF-8 cannot store (lone surrogates)")
        if len(self.id) > _LONGEST_ID or not self.id.isprintable():
            raise InputError(
                f"a task id must be at most {_LONGEST_ID} printable characters, but got {self.id[:_LONGEST_ID]!r}"
            )
        if (size := len(self.artefact.encode())) > MAX_ARTEFACT_BYTES:
            raise InputError(f"a task's artefact may have {MAX_ARTEFACT_BYTES:,} bytes, but this one has {size:,}")
        if not isinstance(self.language, str) or not _LANGUAGE.fullmatch(self.language):
            raise InputError(f"a task's language must be one word such as python, but got {self.language!r}")


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
        * A folder: each of its ``.py`` files is a task, sorted by name; hidden files and ``__init__.py`` are left out.
          The id is the file's name without its ending, the prompt its module docstring or `GENERAL_PROMPT`.
        * One ``.py`` file, as in a folder.
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
        return _select_builtin(text)
    if not text.strip():
        raise InputError(f"no source of tasks was given: {_accepted()}")
    path = Path(source)
    if path.is_dir():
        return _load_folder(path)
    if not path.exists():
        raise InputError(f"there is no file or folder of tasks at {text!r}: {_accepted()}")
    if path.suffix == ".py":
        return _load_files((path,), f"the task file {text!r}")
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _load_jsonl(path)
    raise InputError(f"cannot tell what kind of tasks {text!r} holds from its name: {_accepted()}")


def _accepted() -> str:
    return (
        "give 'builtin', 'builtin:ID,ID', a folder of .py files, one .py file, or a .jsonl or .jsonl.gz file "
        "with id, prompt and artefact on each line"
    )


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(head: str, problems: list[str], advice: str) -> InputError:
    shown = problems[:_SHOWN]
    if len(problems) > len(shown):
        shown.append(f"... and {len(problems) - _SHOWN:,} more")
    return InputError("\n  ".join([f"{head}:", *shown]) + f"\n{advice}")


def _select_builtin(text: str) -> tuple[Task, ...]:
    tasks = builtin_tasks()
    if text == _BUILTIN:
        return tasks
    by_id = {task.id: task for task in tasks}
    wanted = [part.strip() for part in text.removeprefix(f"{_BUILTIN}:").split(",") if part.strip()]
    there = f"there are {', '.join(by_id)}"
    if not wanted:
        raise InputError(f"{text!r} names no built-in task; {there}")
    if unknown := [name for name in dict.fromkeys(wanted) if name not in by_id]:
        raise InputError(f"no built-in task is called {', '.join(map(repr, unknown))}; {there}")
    if twice := _repeated(wanted):
        raise InputError(f"each built-in task can be named once, but {', '.join(twice)} came more often")
    return tuple(by_id[name] for name in wanted)


def _repeated(names: Iterable[str]) -> list[str]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return [name for name, count in counts.items() if count > 1]


def _parse(program: str) -> ast.Module:
    """Parse a Python program; ``InputError`` with the line where it cannot be."""
    try:
        with warnings.catch_warnings():
            # Doubtful escapes and comparisons in somebody's program are no concern of the reader of this message.
            warnings.simplefilter("ignore")
            return ast.parse(program)
    except SyntaxError as error:
        raise InputError(
            f"does not parse as Python: {error.msg} (line {error.lineno or '?'} of the program)"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"does not parse as Python: {reason}") from error


def _load_folder(folder: Path) -> tuple[Task, ...]:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"the task folder {str(folder)!r} cannot be listed: {error.strerror}") from error
    paths = [
        folder / name
        for name in names
        if name.endswith(".py") and not name.startswith(".") and name != "__init__.py" and (folder / name).is_file()
    ]
    if not paths:
        found = f"only {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else "nothing at all"
        raise InputError(
            f"the task folder {str(folder)!r} needs at least one .py file, but holds {found}; "
            "each .py file in it becomes one task"
        )
    return _load_files(paths, f"the task folder {str(folder)!r}")


def _load_files(paths: Iterable[Path], where: str) -> tuple[Task, ...]:
    tasks, problems = [], []
    for path in paths:
        try:
            tasks.append(_task_of_file(path))
        except InputError as error:
            problems.append(f"{path.name}: {error}")
    if problems:
        raise _refuse(
            f"{where} holds {len(problems):,} unusable file(s)",
            problems,
            f"a task file is a Python program in UTF-8 of at most {MAX_ARTEFACT_BYTES:,} bytes; mend or remove these",
        )
    return tuple(tasks)


def _task_of_file(path: Path) -> Task:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_ARTEFACT_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_ARTEFACT_BYTES:
        raise InputError(f"has more than {MAX_ARTEFACT_BYTES:,} bytes")
    try:
        program = _newlines(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})") from error
    prompt = ast.get_docstring(_parse(program)) or ""
    return Task(id=path.stem, prompt=prompt if prompt.strip() else GENERAL_PROMPT, artefact=program)


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _load_jsonl(path: Path) -> tuple[Task, ...]:
    tasks: list[Task] = []
    problems: list[str] = []
    first_line: dict[str, int] = {}
    for number, line in _lines(path):
        try:
            task = _task_of_row(line)
        except InputError as error:
            problems.append(f"line {number}: {error}")
            continue
        if task.id in first_line:
            problems.append(f"line {number}: the id {task.id!r} was used on line {first_line[task.id]} already")
            continue
        first_line[task.id] = number
        tasks.append(task)
    if problems:
        raise _refuse(
            f"the task file {str(path)!r} has {len(problems):,} unusable line(s)",
            problems,
            'a line is a JSON object such as {"id": "sort", "prompt": "Sorts names.", "artefact": "print(1)\\n"}',
        )
    if not tasks:
        raise InputError(f"the task file {str(path)!r} holds no task: it is empty")
    return tuple(tasks)


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """Open a file that may be gzipped, whatever its name says."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if zipped:
            with gzip.open(raw) as unzipped:
                yield unzipped
        else:
            yield raw


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line that is not empty."""
    try:
        with _open(path) as file:
            number = 0
            while data := file.readline(_LONGEST_LINE + 1):
                number += 1
                if len(data) > _LONGEST_LINE:
                    raise InputError(f"line {number} of {str(path)!r} is longer than {_LONGEST_LINE:,} bytes")
                try:
                    line = data.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(
                        f"the task file {str(path)!r} must be UTF-8, but line {number} is not (byte {error.start})"
                    ) from error
                if line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"the task file {str(path)!r} cannot be read: {error}") from error


def _unusable_constant(name: str) -> Any:
    raise InputError(f"holds {name}, which is not JSON")


def _task_of_row(line: str) -> Task:
    try:
        row = json.loads(line, parse_constant=_unusable_constant)
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error.msg} (column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not usable JSON: {error}") from error
    if not isinstance(row, dict):
        raise InputError(f"must be a JSON object, but is {_kind(row)}")
    id_key = _first_key(row, _ID_KEYS)
    artefact_key = _first_key(row, _ARTEFACT_KEYS)
    prompt = _text(row, _first_key(row, ("prompt",)))
    identifier = _text(row, id_key, also_int=True)
    artefact = _newlines(_text(row, artefact_key))
    language = _text(row, "language") if row.get("language") is not None else "python"
    rest = {key: value for key, value in row.items() if key not in (id_key, artefact_key, "prompt", "language")}
    if not _is_storable(json.dumps(rest, ensure_ascii=False)):
        raise InputError("holds characters that UTF-8 cannot store (lone surrogates)")
    task = Task(id=identifier, prompt=prompt, artefact=artefact, language=language, meta=rest)
    if language.lower() in ("python", "py"):
        try:
            _parse(artefact)
        except InputError as error:
            raise InputError(f"its {artefact_key} {error}") from error
    return task


def _first_key(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    for key in keys:
        if row.get(key) is not None:
            return key
    raise InputError(f"needs {' or '.join(keys)}, but has {', '.join(map(repr, row)) or 'no keys'}")


def _text(row: Mapping[str, Any], key: str, *, also_int: bool = False) -> str:
    value = row[key]
    if also_int and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise InputError(f"{key!r} must be text, but is {_kind(value)}")
    return value


def _kind(value: object) -> str:
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        ((int, float), "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "an object"),
    )
    return next((words for kind, words in kinds if isinstance(value, kind)), "null")
