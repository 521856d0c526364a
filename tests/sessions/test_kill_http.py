"""kill -9 of ``trimtab run`` over HTTP, with faults, and on again: what it leaves is what an undisturbed run leaves.

The server forgets how often a request was sent whenever a run is killed, as one that is started anew: a request that
was under way then meets with the faults that it would have met with.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.model_server import Running, model_serving, until
from support.postgres import PostgresServer
from trimtab.store.contents import contents
from trimtab.store.open import open_store
from trimtab.web.faults import read_shares

KILLS = 3
SESSIONS, ITERATIONS = 3, 5
TOTAL = 2 * SESSIONS * (ITERATIONS + 1)
# A page in place of an answer ends a run that has not been answered yet: it counts as a wrong address.
SHARES = read_shares(0.3, ["content-type=0"])


def start(url: str, store: str, out: Path) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("TRIMTAB_", "OPENAI_"))}
    arguments = {
        "provider": "openai",
        "model": "rewriter-1",
        "base-url": url,
        "strategies": "EF,SF",
        "sessions": SESSIONS,
        "iterations": ITERATIONS,
        "seed": 5,
        "store": store,
        "out": out,
    }
    given = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
    return subprocess.Popen(
        [sys.executable, "-m", "trimtab", "run", *given],
        env={**kept, "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err


def left_by(running: Running, store: str, out: Path) -> list[tuple[object, ...]]:
    """Run to the end, or on to it, and return what the store holds."""
    forget(running)
    out.mkdir(exist_ok=True)
    finish(start(running.url, store, out))
    opened = open_store(store)
    found = contents(opened)
    opened.close()
    return found


def forget(running: Running) -> None:
    """Let the server forget its requests once it has read all that were sent."""
    server = running.server
    assert until(lambda: not server.answering)
    while (before := server.requests) != (time.sleep(0.1), server.requests)[1]:
        assert before <= server.requests
    server.attempts.forget()


def killed_and_finished(
    running: Running, store: str, out: Path, kills: int, stored: Callable[[], int]
) -> list[tuple[object, ...]]:
    """Kill a run some times while it is at work, let it go on to its end, and return what the store then holds."""
    moments = random.Random(8)
    out.mkdir()
    counts = [0]
    for _ in range(kills):
        forget(running)
        process = start(running.url, store, out)
        goal = counts[-1] + moments.randrange(1, TOTAL // (kills + 1))
        assert until(lambda goal=goal, process=process: stored() >= goal or process.poll() is not None, 60)
        time.sleep(moments.random() * 0.1)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        counts.append(stored())
    assert counts == sorted(counts)
    assert 0 < counts[-1] < TOTAL, "the last kill must leave something to do"
    return left_by(running, store, out)


def in_sqlite(path: Path) -> int:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(*) FROM iteration").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with model_serving(shares=SHARES, seed=2, hang=0.2, drip=0.2, retry_after=0.1) as running:
        yield running


@pytest.fixture(scope="module")
def whole(running: Running, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """Return what an undisturbed run leaves."""
    folder = tmp_path_factory.mktemp("whole")
    found = left_by(running, f"sqlite:///{folder}/whole.db", folder / "out")
    assert len(set(running.server.met)) > 6, "the run must meet with faults of many kinds"
    assert sum(row[0] == "iteration" for row in found) == TOTAL
    return found


@pytest.mark.slow
def test_kills_under_faults_and_a_finish_equal_one_run(
    running: Running, whole: list[tuple[object, ...]], tmp_path: Path
) -> None:
    path = tmp_path / "broken.db"
    assert (
        killed_and_finished(running, f"sqlite:///{path}", tmp_path / "broken", KILLS, lambda: in_sqlite(path)) == whole
    )


@pytest.mark.slow
def test_kills_under_faults_leave_the_same_in_postgresql(
    running: Running, whole: list[tuple[object, ...]], tmp_path: Path, postgres: PostgresServer
) -> None:
    store = postgres.fresh()

    def stored() -> int:
        made = postgres.sql("SELECT to_regclass('iteration') IS NOT NULL", store)[0][0]
        return int(postgres.sql("SELECT count(*) FROM iteration", store)[0][0]) if made else 0

    assert killed_and_finished(running, store, tmp_path / "out", 1, stored) == whole
