"""The progress of a run on a terminal and elsewhere."""

from __future__ import annotations

import io
import re

from rich.console import Console

from trimtab.cli.progress import ProgressDisplay, duration, pace
from trimtab.sessions.runner import Progress


def steps() -> list[Progress]:
    return [Progress(4, n // 10, 40, n, n, n // 8, n / 4) for n in range(0, 41, 5)]


def test_lines_where_there_is_no_terminal() -> None:
    written = io.StringIO()
    with ProgressDisplay(Console(file=written, width=200), every=0.0) as display:
        for progress in steps():
            display.update(progress)
    lines = written.getvalue().splitlines()
    assert lines[0] == "0/4 sessions, 0/40 iterations, 0.0 iterations/s, -:-- left, 0 failed"
    assert lines[4] == "2/4 sessions, 20/40 iterations, 4.0 iterations/s, 0:05 left, 2 failed"
    assert lines[-1] == "4/4 sessions, 40/40 iterations, 4.0 iterations/s, 0:00 left, 5 failed"


def test_few_lines_and_always_the_last() -> None:
    written = io.StringIO()
    with ProgressDisplay(Console(file=written, width=200), every=3600.0) as display:
        for progress in steps():
            display.update(progress)
    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[-1].startswith("4/4 sessions")


def test_a_bar_on_a_terminal() -> None:
    written = io.StringIO()
    console = Console(file=written, width=100, force_terminal=True, color_system=None)
    with ProgressDisplay(console) as display:
        for progress in steps():
            display.update(progress)
        display.stopping()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.getvalue())
    assert "Press Ctrl-C again to stop at once." in shown
    last = shown.splitlines()[-1]
    assert re.match(r"4/4 sessions .*100% 4\.0 iterations/s, 0:00 left, 5 failed", last)


def test_the_terminal_has_its_cursor_from_the_moment_a_stop_is_asked_for() -> None:
    written = io.StringIO()
    hidden = []

    def note() -> None:
        hidden.append(written.getvalue().rfind("\x1b[?25l") > written.getvalue().rfind("\x1b[?25h"))

    with ProgressDisplay(Console(file=written, width=100, force_terminal=True, color_system=None)) as display:
        display.update(steps()[0])
        note()
        display.stopping()
        note()
        with display.still():
            pass
        display._show(steps()[1])
        note()
    assert hidden == [True, False, False]


def test_words_for_figures() -> None:
    assert [duration(s) for s in (None, 0, 59.6, 3599.4, 3600)] == ["-:--", "0:00", "1:00", "59:59", "1:00:00"]
    assert [pace(r) for r in (9.94, 10, 12345.6)] == ["9.9/s", "10/s", "12,346/s"]
    assert [pace(r, "rows") for r in (0.04, 0.5, 0.001)] == ["2.4 rows/min", "30 rows/min", "3.6 rows/h"]
