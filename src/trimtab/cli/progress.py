"""How a run shows its progress: a live bar on a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from trimtab.sessions.runner import Progress

__all__ = ["ProgressDisplay", "duration", "pace"]

EVERY = 5.0
"""Seconds between lines where there is no terminal."""

_REFRESH = 0.1
_MOST_SAID = 20


def duration(seconds: float | None) -> str:
    """Return a length of time as ``m:ss`` or ``h:mm:ss``, or ``-:--`` where it is not known.

    >>> duration(75.2), duration(3700), duration(None)
    ('1:15', '1:01:40', '-:--')
    """
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def pace(rate: float, what: str = "") -> str:
    """Return a rate given per second, in the unit that shows it best: a model on one's own machine takes minutes.

    >>> pace(12.3, "iterations"), pace(4.0), pace(0.05), pace(0.0002), pace(0.0)
    ('12 iterations/s', '4.0/s', '3.0/min', '0.7/h', '0.0/s')
    """
    unit, of = ("s", 1) if rate >= 1 or not rate else ("min", 60) if rate * 60 >= 1 else ("h", 3600)
    number = f"{rate * of:,.0f}" if rate * of >= 10 else f"{rate * of:.1f}"
    return f"{number} {what}/{unit}" if what else f"{number}/{unit}"


class ProgressDisplay:
    """A context in which `update` shows how far a run is."""

    def __init__(self, console: Console, every: float = EVERY) -> None:
        self._console = console
        self._every = every if not console.is_terminal else _REFRESH
        self._shown: Progress | None = None
        self._said = self._held = 0
        self._stopping = False
        self._unsaid: list[str] = []
        self._last: Progress | None = None
        self._at = -math.inf
        self._bars = Bars(
            TextColumn("{task.fields[sessions]} sessions"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[said]}"),
            console=console,
            transient=False,
            disable=not console.is_terminal,
            auto_refresh=False,
        )
        self._task = self._bars.add_task("", total=None, sessions="", said="")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last is not None and self._last != self._shown:
            self._show(self._last)
        self._bars.stop()

    def update(self, progress: Progress) -> None:
        """Show `progress`, if the last showing is long enough ago."""
        self._last = progress
        now = time.monotonic()
        if not self._held and now - self._at >= self._every:
            self._at = now
            self._show(progress)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar; after `_MOST_SAID` of them only that there are more."""
        self._said += 1
        if self._said == _MOST_SAID + 1:
            sentence = "More fires than is shown here: all of it is stored, and counted at the end."
        if self._said <= _MOST_SAID + 1:
            self._unsaid.append(sentence)
        if not self._held:
            self._speak()

    @contextmanager
    def still(self) -> Iterator[Console]:
        """Show nothing else for as long as somebody reads and writes here; gives where to print."""
        self._bars.stop()
        self._held += 1
        try:
            yield self._console
        finally:
            self._held -= 1
            self._speak()

    def stopping(self) -> None:
        """Say that a stop was asked for; whatever ends the process from now on leaves the terminal its cursor."""
        self._stopping = True
        self._console.show_cursor()
        self._console.print("Stopping: iterations under way may finish. Press Ctrl-C again to stop at once.")

    def _speak(self) -> None:
        for sentence in self._unsaid:
            self._console.print(sentence)
        self._unsaid.clear()

    def _show(self, progress: Progress) -> None:
        self._shown = progress
        speed = f"{pace(progress.rate, 'iterations')}, {duration(progress.remaining)} left"
        said = f"{speed}, {progress.failures:,} failed"
        if progress.spent.tokens or progress.spent.unknown:
            said += f", {progress.spent}"
        sessions = f"{progress.sessions_done:,}/{progress.sessions:,}"
        if self._console.is_terminal:
            self._bars.start()  # hides the cursor, unless it has started already
            if self._stopping:
                self._console.show_cursor()
            self._bars.update(
                self._task, completed=progress.iterations_done, total=progress.iterations, sessions=sessions, said=said
            )
            self._bars.refresh()
        else:
            self._console.print(
                f"{sessions} sessions, {progress.iterations_done:,}/{progress.iterations:,} iterations, {said}"
            )
