"""A run that asks: in a real terminal and over HTTP at the same time, and with nobody there."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from trimtab.store.open import open_store

OPTIONS = ("--sessions", "3", "--iterations", "1", "--strategies", "EF", "--concurrency", "1", "--out", "o")


class Terminal:
    """A process at a terminal of its own."""

    def __init__(self, *command: str) -> None:
        self.end, inner = pty.openpty()
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("TRIMTAB_")}
        login = (
            "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
            "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", login, *command],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**kept, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(inner)
        self.shown = ""

    def until(self, words: str) -> str:
        """Return what is shown up to `words`."""
        limit = time.monotonic() + 60
        while words not in self.shown:
            assert time.monotonic() < limit, self.shown
            if not select.select([self.end], [], [], 0.2)[0]:
                continue
            try:
                read = os.read(self.end, 65536)
            except OSError:  # the other end is gone
                read = b""
            assert read, self.shown
            self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read.decode()).replace("\r", "")
        found, _, self.shown = self.shown.partition(words)
        return found + words

    def say(self, line: str) -> None:
        os.write(self.end, f"{line}\n".encode())

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.end)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_questions_are_answered_in_the_terminal_or_over_http_and_never_twice() -> None:
    terminal = Terminal("-m", "trimtab", "run", *OPTIONS, "--trigger", "security<9.9", "--answers", "0")
    try:
        terminal.until("Questions are answered at ")
        address = terminal.until("\n").strip()
        first = terminal.until("\n> ")
        assert "waits after iteration 0: security " in first
        assert "security is past 9.9 with probability 100%" in first
        assert "[c]ontinue with EF, [s]top it, or [p]ause it for a later run?" in first
        terminal.say("what?")
        assert "an answer is continue, stop or pause, but got 'what?'" in terminal.until("\n> ")
        terminal.say("c")
        terminal.until("\n> ")
        base, _, token = address.partition("/?token=")
        request = urllib.request.Request(f"{base}/questions", headers={"Authorization": f"Bearer {token}"})
        listed = json.load(urllib.request.urlopen(request))["questions"]
        assert len(listed) in (1, 2)
        body = json.dumps({"id": listed[0]["id"], "action": "stop"}).encode()
        kind = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{base}/answers", body, kind))
        assert "Answered elsewhere." in terminal.until("\n> ")
        terminal.say("pause")
        terminal.until("1 session set aside")
    finally:
        terminal.close()
    store = open_store("sqlite:///o/trimtab.db")
    answers = {record.session_id: record.meta["answers"][0] for record in store.iterations() if not record.index}
    store.close()
    assert [(one["action"], one["by"]) for one in answers.values()] == [
        ("continue", "terminal"), ("stop", "http"), ("pause", "terminal")
    ]  # fmt: skip
