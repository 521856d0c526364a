"""How a run puts its questions to a human: in the terminal, one at a time, or at a server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from trimtab.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from trimtab.cli.progress import ProgressDisplay
    from trimtab.sessions.desk import Clerk, Desk, Question

__all__ = ["at_the_terminal", "over_http", "somebody_is_there"]

_WORDS = {"c": "continue", "s": "stop", "p": "pause"}
_LONGEST_LINE = 4096
_LOOK_AGAIN = 0.5


def somebody_is_there() -> bool:
    """Tell whether questions can be shown and answered in a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty() and hasattr(os, "tcgetpgrp")


def at_the_terminal(display: ProgressDisplay) -> Clerk:
    """Return a clerk that prints one question at a time and reads a line for it; the other sessions go on meanwhile.

    What was typed before a question was shown is no answer to it, and is dropped.
    """

    async def clerk(desk: Desk) -> None:
        lines = _Lines(sys.stdin.fileno())
        while not lines.ended:
            if not desk.questions:
                await desk.changed()
                continue
            question = desk.questions[0]
            with display.still() as console:
                lines.drop()
                _print(console, question)
                await _put(desk, question, lines, console)
        # Nobody is at the terminal any more, so nobody is going to answer; a server may still have somebody who does.
        while len(desk.clerks) == 1:
            for question in desk.questions:
                desk.answer(question.id, "pause", "nobody")
            await desk.changed()
        await asyncio.Event().wait()

    return clerk


async def _put(desk: Desk, question: Question, lines: _Lines, console: Console) -> None:
    """Read lines until one of them answers the question, or somebody else has."""
    reading: asyncio.Task[str] | None = None
    try:
        while question in desk.questions:
            reading = reading or asyncio.create_task(lines.next())
            changed = asyncio.create_task(desk.changed())
            await asyncio.wait((reading, changed), return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if not reading.done():
                continue
            line, reading = reading.result(), None
            if lines.ended:
                return
            word, _, strategy = line.strip().partition(" ")
            try:
                desk.answer(question.id, _WORDS.get(word.lower(), word.lower()), "terminal", strategy.strip())
                return
            except InputError as error:
                console.print(f"{error}\n> ", end="")
        console.print("\nIt is asked again when the run goes on." if desk.closed else "\nAnswered elsewhere.")
    finally:
        if reading is not None:
            reading.cancel()


def _print(console: Console, question: Question) -> None:
    scores = ", ".join(
        f"{name} {'missing' if value is None else f'{value:.2f}'}" for name, value in question.scores.items()
    )
    console.print(
        f"\nSession {question.session} (task {question.task}) waits after iteration {question.iteration}: {scores}"
    )
    for sentence in question.says:
        console.print(f"  {sentence}")
    first, *others = question.strategies
    named = f", or c NAME to go on with {' or '.join(others)}" if others else ""
    console.print(f"[c]ontinue with {first}{named}, [s]top it, or [p]ause it for a later run?\n> ", end="")


class _Lines:
    """Lines of a terminal, read by the event loop: a thread that waits for one could not be called back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False

    async def next(self) -> str:
        """Return the next line; "" at the end."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._rest and not self.ended:
            ready = asyncio.Event()
            loop.add_reader(self._descriptor, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(self._descriptor)
            if not self._in_the_foreground():
                await asyncio.sleep(_LOOK_AGAIN)  # in the background, where what is typed is for somebody else
                continue
            try:
                read = os.read(self._descriptor, _LONGEST_LINE)
            except OSError:  # the terminal is gone
                read = b""
            self._rest += read
            self.ended = not read
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    def drop(self) -> None:
        """Forget what was typed until now."""
        import termios

        self._rest = b""
        # In the background it is for somebody else, and this process would be stopped.
        if self._in_the_foreground():
            with contextlib.suppress(termios.error):
                termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def _in_the_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # not the terminal that this process belongs to, so that nobody else reads there
            return True


def over_http(port: int, display: ProgressDisplay) -> Clerk:
    """Return a clerk that serves questions at a port of this machine, and print where.

    Raises
    ------
    InputError
        If the port cannot be had, or the extra ``serve`` is not installed.
    """
    try:
        from trimtab.web.answers import AnswerServer
    except ModuleNotFoundError as error:
        raise InputError(
            f'--answers needs {error.name}, which is not installed: pip install "trimtab[serve]"'
        ) from None
    server = AnswerServer(port)
    display.say(f"Questions are answered at {server.address}")

    async def clerk(desk: Desk) -> None:
        await server.serve(desk)

    return clerk
