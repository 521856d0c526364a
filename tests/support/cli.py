"""Run the command line in this process, errors and all."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from trimtab.cli.main import main


@dataclass
class Ran:
    code: int
    out: str
    err: str


class _Bytes(io.TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))


def trimtab(capsys: pytest.CaptureFixture[str], *arguments: object, stdin: bytes = b"") -> Ran:
    """Run ``trimtab ARGUMENTS`` and return its exit code and what it printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["trimtab", *map(str, arguments)])
        patch.setattr(sys, "stdin", _Bytes(stdin))
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    printed = capsys.readouterr()
    return Ran(code, printed.out, printed.err)
