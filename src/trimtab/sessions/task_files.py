"""Tasks from files: a folder of programs or texts, or rows of JSONL.

An artefact is data: a Python program is parsed to see that it is one at all, and nothing is imported or executed.
"""

from __future__ import annotations

import ast
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from trimtab.core.counting import count_of
from trimtab.core.python_syntax import parse_python
from trimtab.errors import InputError
from trimtab.sessions.task import MAX_ARTEFACT_BYTES, Task, is_storable

__all__ = ["GENERAL_PROMPT", "GENERAL_TEXT_PROMPT", "LANGUAGES", "load_files", "load_folder", "load_jsonl"]

GENERAL_PROMPT = (
    "Improve this program. Keep what it does for its users: its purpose, its public functions and classes, "
    "and the meaning of its inputs and outputs."
)
"""Prompt of a program that says nothing of itself in a module docstring."""

GENERAL_TEXT_PROMPT = (
    "Improve this text. Keep what it is for: its subject, its readers, the facts that it states, and the form in which "
    "it is written."
)
"""Prompt of a text from a file."""

LANGUAGES: Mapping[str, str] = MappingProxyType(
    {
        ".py": "python",
        ".txt": "text",
        ".md": "markdown",
        ".rst": "rst",
        ".html": "html",
        ".tex": "latex",
        ".json": "json",
        ".yaml": "yaml",
        ".yml": "yaml",
        ".toml": "toml",
        ".xml": "xml",
        ".js": "javascript",
        ".ts": "typescript",
        ".sql": "sql",
        ".sh": "bash",
        ".c": "c",
        ".cpp": "cpp",
        ".cs": "csharp",
        ".go": "go",
        ".java": "java",
        ".kt": "kotlin",
        ".php": "php",
        ".r": "r",
        ".rb": "ruby",
        ".rs": "rust",
        ".swift": "swift",
    }
)
"""Language of a task file, by the ending of its name in small letters."""

_ID_KEYS = ("id", "task_id")
_ARTEFACT_KEYS = ("artefact", "code", "text", "program")
_LONGEST_LINE = 16 * 2**20
_SHOWN = 20


def load_folder(folder: Path) -> tuple[Task, ...]:
    """Load each file of a known ending directly in `folder`, sorted by name, except hidden files and ``__init__.py``.

    A folder with ``.py`` files is one of programs, and what else is in it, such as a README, is no task.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"the task folder {str(folder)!r} cannot be listed: {error.strerror}") from error
    paths = [
        folder / name
        for name in names
        if not name.startswith(".")
        and name != "__init__.py"
        and _ending(name) in LANGUAGES
        and (folder / name).is_file()
    ]
    paths = [path for path in paths if path.suffix == ".py"] or paths
    if not paths:
        found = f"only {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else "nothing at all"
        raise InputError(
            f"the task folder {str(folder)!r} needs at least one program or text, but holds {found}; each .py file in "
            f"it becomes one task, or where there is none, each file that ends in {', '.join(sorted(LANGUAGES))}"
        )
    twice = [stem for stem, count in Counter(path.stem for path in paths).items() if count > 1]
    if twice:
        raise InputError(
            f"the task folder {str(folder)!r} holds several files called {twice[0]!r} that differ in their endings "
            "alone, and a file's name without its ending is the task's id: rename all but one"
        )
    return load_files(paths, f"the task folder {str(folder)!r}")


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def load_files(paths: Iterable[Path], where: str) -> tuple[Task, ...]:
    """Load one task a file; ``InputError`` naming all unusable ones, which it says are held by `where`."""
    tasks, problems = [], []
    for path in paths:
        try:
            tasks.append(_task_of_file(path))
        except InputError as error:
            problems.append(f"{path.name}: {error}")
    if problems:
        raise _refuse(
            f"{where} holds {count_of(len(problems), 'unusable file')}",
            problems,
            f"a task file is a program or text in UTF-8 of at most {MAX_ARTEFACT_BYTES:,} bytes; mend or remove these",
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
        artefact = _newlines(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8 (byte {error.start})") from error
    language = LANGUAGES[_ending(path.name)]
    said = ast.get_docstring(_parse(artefact)) or "" if language == "python" else ""
    task = Task(id=path.stem, prompt=said if said.strip() else GENERAL_PROMPT, artefact=artefact, language=language)
    return replace(task, prompt=GENERAL_TEXT_PROMPT) if task.kind == "text" else task


def load_jsonl(path: Path) -> tuple[Task, ...]:
    """Load one task a line of a JSONL file, gzipped or not; ``InputError`` naming all unusable lines."""
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
            f"the task file {str(path)!r} has {count_of(len(problems), 'unusable line')}",
            problems,
            'a line is a JSON object such as {"id": "sort", "prompt": "Sorts names.", "artefact": "print(1)\\n"}',
        )
    if not tasks:
        raise InputError(f"the task file {str(path)!r} holds no task: it is empty")
    return tuple(tasks)


def _refuse(head: str, problems: list[str], advice: str) -> InputError:
    shown = problems[:_SHOWN]
    if len(problems) > len(shown):
        shown.append(f"... and {len(problems) - _SHOWN:,} more")
    return InputError("\n  ".join([f"{head}:", *shown]) + f"\n{advice}")


def _parse(program: str) -> ast.Module:
    """Parse a Python program; ``InputError`` with the line where it cannot be."""
    try:
        return parse_python(program)
    except SyntaxError as error:
        raise InputError(
            f"does not parse as Python: {error.msg} (line {error.lineno or '?'} of the program)"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"does not parse as Python: {reason}") from error


def _newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
    if not is_storable(json.dumps(rest, ensure_ascii=False)):
        raise InputError("holds characters that UTF-8 cannot store (lone surrogates)")
    task = Task(id=identifier, prompt=prompt, artefact=artefact, language=language, meta=rest)
    if task.is_python:
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
