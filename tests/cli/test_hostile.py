"""Words of models, tasks, servers and files on a real terminal: they are shown, and nothing in them is obeyed."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.plugins import install
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.records import Evidence, Iteration, Score, Session
from trimtab.plugins import PROVIDERS
from trimtab.store.base import Experiment
from trimtab.store.open import open_store

EVIL = "\x1b[97;45;5mEVIL\x1b]0;owned\x07\x1b]8;;http://h\x1b\\\x9b2J\u202e\u200b\x7f\r\b[bold]B[/bold]:smile:"
"""Colours, a title, a link, a bell, a clear screen in eight bits, a turned line, and what rich would take as markup."""

OWN = re.compile(rb"\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[AK]|1A|2K)|\r\n|\r(?=\x1b\[2K)")
"""What trimtab itself sends to a terminal: colours, and a progress bar that is drawn over itself."""

PROVIDER = f"""
    from trimtab.errors import ProviderError
    from trimtab.providers.base import Completion

    class Evil:
        {EVIL!r}
        name = "evil"

        def __init__(self, settings):
            pass

        async def complete(self, request):
            if request.seed % 2:
                raise ProviderError({EVIL!r})
            return Completion({EVIL!r} + "```python\\nx = '" + {EVIL.replace(chr(13), "")!r} + "'\\n```")

        async def aclose(self):
            pass
"""

DRIVER = """
import json, sys
from trimtab.cli.main import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["trimtab", *arguments]
    print("=" * 9, len(arguments), flush=True)
    try:
        main()
    except SystemExit as stop:
        print("-" * 9, stop.code, flush=True)
"""


def hostile_store(url: str) -> None:
    store = open_store(url, create=True)
    space = ObjectiveSpace([Objective(EVIL), Objective("security")])
    imported = {"file": EVIL, "scorer": EVIL, "exclusions": [[EVIL, 1, EVIL, [EVIL]]], "notes": [EVIL]}
    store.set_experiment(Experiment(EVIL, space, {"imports": [imported]}))
    names = [f"{EVIL}{i}" for i in range(6)]
    store.add_sessions([Session(name, EVIL, EVIL, 0, EVIL) for name in names])
    for i, name in enumerate(names):
        for t in range(5):
            evidence = (Evidence(EVIL, -2.0, 1, EVIL),)
            scores = tuple(Score(one, 5.0 + (i * 7 + t * 3) % 4, evidence=evidence) for one in space.names)
            failed = t == 3
            store.append(
                Iteration(
                    name, t, EVIL, f"{EVIL}\n{t}", scores, "failed" if failed else "ok", EVIL if failed else "",
                    answer=EVIL, meta={"decision": {"action": "continue", "strategy": EVIL, "reason": EVIL}},
                )
            )  # fmt: skip
    store.close()


def on_a_terminal(commands: list[list[str]], folder: Path) -> bytes:
    """Return all that the commands print on a terminal of 100 columns."""
    parent, child = pty.openpty()
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), *sys.path]),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, json.dumps(commands)],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=child, stderr=child,
    )  # fmt: skip
    os.close(child)
    printed = b""
    while True:
        try:
            block = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        printed += block
    os.close(parent)
    assert process.wait(timeout=60) == 0
    return printed


def test_nothing_that_a_command_prints_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    install(tmp_path / "site", {PROVIDERS: {"evil": "example_plugin:Evil", f"e{chr(27)}[2J": "nowhere:x"}}, PROVIDER)
    hostile_store("sqlite:///s.db")
    Path(f"a{chr(27)}[2J.py").write_text(f"x = eval({EVIL!r})\n# {EVIL}\n")
    name = EVIL.replace("\r", "").replace("\b", "")
    rows = [
        {"session_id": f"{name}{s}", "strategy": name, "iteration": t, name: (s + t) % 5, "text": EVIL, "meta": EVIL}
        for s in range(5)
        for t in range(4)
    ]
    Path("log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    size = ["--sessions", "4", "--iterations", "3", "--strategies", "EF", "--tasks", "builtin:calculator"]
    printed = on_a_terminal(
        [
            ["run", "--provider", "evil", *size, "--out", "o"],
            ["status", "s.db"],
            ["status", "o"],
            ["sessions", "s.db"],
            ["show", f"{EVIL}0", "--store", "s.db", "--evidence", "--answer", "--artefact"],
            ["show", "EF/calculator/0", "--store", "o", "--full", "--answer"],
            ["show", EVIL, "--store", "s.db"],
            ["show", EVIL, "--store", EVIL.replace("/", "")],
            ["sessions", "s.db", "--task", "b"],
            ["fit", "sqlite:///s.db"],
            ["findings", "sqlite:///s.db", "--after", "2"],
            ["import", "log.jsonl", "--store", "sqlite:///i.db"],
            ["import", "log.jsonl", "--store", "sqlite:///i.db"],
            ["export", "log.jsonl", "--to", "e.csv"],
            ["score", f"a{chr(27)}[2J.py", "--evidence"],
            ["score", f"a{chr(27)}[2J.py", "--json"],
            ["score", "log.jsonl"],
            ["sessions", "s.db", "--json"],
            ["show", f"{EVIL}0", "--store", "s.db", "--json"],
            ["plugins"],
            ["run", "--provider", f"e{chr(27)}[2J", "--out", "p"],
        ],
        tmp_path,
    )
    left = OWN.sub(b"\n", printed).decode()
    assert "Traceback" not in left
    assert left.count("=========") == 21
    assert left.count("EVIL") > 100
    assert "[bold]B[/bold]:smile:" in left
    assert b"\x1b[97;45;5m" not in printed
    assert not set(left) & {"\x1b", "\x07", "\x08", "\x9b", "\x7f", "\r", "\u202e", "\u200b"}
    assert "␛[97;45;5mEVIL␛]0;owned␇" in left
