"""A run that asks: in a real terminal and over HTTP at the same time, and with nobody there."""

from __future__ import annotations

import asyncio
import contextlib
import io
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
from types import SimpleNamespace

import pytest
from rich.console import Console

from trimtab.cli.asking import at_the_terminal
from trimtab.cli.progress import ProgressDisplay
from trimtab.sessions.desk import Answer, Desk, Question
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


@pytest.mark.parametrize("gone", [False, True])
def test_what_nobody_answers_any_more_is_set_aside(gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = pty.openpty()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: inner))
    written = io.StringIO()
    desk = Desk([at_the_terminal(ProgressDisplay(Console(file=written, width=200, markup=False)))])

    async def scenario() -> list[Answer | None]:
        async with asyncio.timeout(10):
            clerk = asyncio.create_task(desk.clerks[0](desk))
            asking = [
                asyncio.create_task(desk.ask(Question(f"s@{t}", "s", "t", t, "EF", ["why"], {"a": None}, ["EF", "SF"])))
                for t in range(2)
            ]
            while "> " not in written.getvalue():  # noqa: ASYNC110 - what a terminal shows has no event
                await asyncio.sleep(0.01)
            if gone:
                os.close(outer)
            else:
                os.write(outer, b"\x04")
            answers = await asyncio.gather(*asking)
            clerk.cancel()
            return answers

    answers = asyncio.run(scenario())
    assert [(one.action, one.by) for one in answers] == [("pause", "nobody")] * 2
    assert "[c]ontinue with EF, or c NAME to go on with SF, [s]top it, or [p]ause it" in written.getvalue()
    assert "a missing" in written.getvalue()
    os.close(inner)
    if not gone:
        os.close(outer)


def test_what_is_typed_before_a_question_is_shown_is_no_answer_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = pty.openpty()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(fileno=lambda: inner))
    written = io.StringIO()
    desk = Desk([at_the_terminal(ProgressDisplay(Console(file=written, width=200, markup=False)))])

    async def shown(prompts: int) -> None:
        while written.getvalue().count("> ") < prompts:  # noqa: ASYNC110 - what a terminal shows has no event
            await asyncio.sleep(0.01)

    async def scenario() -> list[Answer | None]:
        async with asyncio.timeout(10):
            os.write(outer, b"stop\n\x04\nhalf a li")
            clerk = asyncio.create_task(desk.clerks[0](desk))
            asking = [
                asyncio.create_task(desk.ask(Question(f"s@{t}", "s", "t", t, "EF", ["why"], {"a": 1.0}, ["EF"])))
                for t in range(2)
            ]
            await shown(1)
            await asyncio.sleep(0.2)
            assert not any(one.done() for one in asking)
            os.write(outer, b"what?\nc\nstop\n")  # the first two are of the first question, the last one of none
            await shown(3)
            await asyncio.sleep(0.2)
            assert [one.done() for one in asking] == [True, False]
            os.write(outer, b"p\n")
            answers = await asyncio.gather(*asking)
            clerk.cancel()
            return answers

    answers = asyncio.run(scenario())
    os.close(inner)
    os.close(outer)
    assert [(one.action, one.by) for one in answers] == [("continue", "terminal"), ("pause", "terminal")]
    assert "but got 'what?'" in written.getvalue()


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
