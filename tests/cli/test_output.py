"""How commands write."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import trimtab.cli
from trimtab.cli.output import console, print_blocks, say, say_json

COMMANDS = Path(trimtab.cli.__file__).parent


def test_no_command_prints_but_by_what_makes_every_text_visible() -> None:
    by_itself = re.compile(r"\btyper\.echo\(|\bprint\(|\bConsole\(")
    for file in COMMANDS.glob("*.py"):
        if file.name in ("output.py", "main.py"):
            continue
        found = [line for line in file.read_text().splitlines() if by_itself.search(line) and ".print(" not in line]
        assert not found, file


def test_lines_tables_and_documents_obey_nothing(capsys) -> None:
    from rich.table import Table
    from rich.text import Text

    evil = "\x1b[2J[bold]x[/bold] :smile: \x9b1m\u202e"
    seen = "␛[2J[bold]x[/bold] :smile: \\x9b1m\\u202e"
    say(evil)
    say(evil, err=True)
    console(stderr=True).print(evil)
    made = Table(evil)
    made.add_row(evil)
    print_blocks(made)
    print_blocks(Text(evil))
    say_json('{"a": "\x9b\u202e"}')
    printed = capsys.readouterr()
    assert printed.err == f"{seen}\n{seen}\n"
    assert printed.out.count(seen) == 4
    assert printed.out.splitlines()[-1] == '{"a": "\\u009b\\u202e"}'


@pytest.mark.parametrize("module", ["trimtab", "trimtab.cli.main"])
def test_the_command_can_be_called_as_a_module(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"trimtab {version('trimtab')}\n")
