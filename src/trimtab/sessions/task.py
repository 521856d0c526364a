"""What a session works on: a prompt and the artefact that it starts from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trimtab.errors import InputError
from trimtab.scoring.text_extraction import PROSE

__all__ = ["MAX_ARTEFACT_BYTES", "Kind", "Task", "is_storable"]

Kind = Literal["program", "text"]
"""What an artefact is, as prompts speak of it."""

MAX_ARTEFACT_BYTES = 64 * 1024
"""Longest starting artefact in UTF-8; longer texts cannot be scored."""

_PYTHON = frozenset({"python", "py", "python3"})
_TEXTS = PROSE | {"html", "htm", "xml", "latex", "tex", "json", "yaml", "yml", "toml", "csv", "ini"}
_LANGUAGE = re.compile(r"[A-Za-z0-9+#._-]*")
_LONGEST_ID = 200


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
        Name of the artefact's language as used behind a code fence; empty for plain text. It decides how prompts speak
        of the artefact and how answers are read.
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
            if not is_storable(text):
                raise InputError(f"the task's {name} holds characters that UTF-8 cannot store (lone surrogates)")
        if len(self.id) > _LONGEST_ID or not self.id.isprintable():
            raise InputError(
                f"a task id must be at most {_LONGEST_ID} printable characters, but got {self.id[:_LONGEST_ID]!r}"
            )
        if (size := len(self.artefact.encode())) > MAX_ARTEFACT_BYTES:
            raise InputError(f"a task's artefact may have {MAX_ARTEFACT_BYTES:,} bytes, but this one has {size:,}")
        if not isinstance(self.language, str) or not _LANGUAGE.fullmatch(self.language):
            raise InputError(f"a task's language must be one word such as python, but got {self.language!r}")

    @property
    def kind(self) -> Kind:
        """What prompts call the artefact: anything but prose, markup and data is a program."""
        return "text" if self.language.lower() in _TEXTS else "program"

    @property
    def is_python(self) -> bool:
        """True where the artefact is a Python program, which can be parsed and statically scored."""
        return self.language.lower() in _PYTHON

    @property
    def tag(self) -> str:
        """What stands behind the fence of the artefact."""
        return self.language or "text"


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def is_storable(text: str) -> bool:
    """Tell whether `text` can be written as UTF-8, which lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
