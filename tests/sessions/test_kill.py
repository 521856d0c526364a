"""kill -9 of ``trimtab run`` at any moment, and on again: what it leaves is what an undisturbed run leaves."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trimtab.store.contents import contents
from trimtab.store.open import open_store

KILLS = 10
SESSIONS, ITERATIONS = 6, 6
TOTAL = 4 * SESSIONS * (ITERATIONS + 1)
SETTINGS = ("--sessions", str(SESSIONS), "--iterations", str(ITERATIONS), "--seed", "5", "--tasks", "builtin")


def start(folder: Path, out: str, concurrency: int) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("TRIMTAB_")}
    # A session of its own, so that the kill takes the worker processes with it.
    return subprocess.Popen(
        [sys.executable, "-m", "trimtab", "run", *SETTINGS, "--out", out, "--concurrency", str(concurrency)],
        cwd=folder,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err


def stored(path: Path) -> int:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return 0
    try:
        return int(connection.execute("SELECT count(*) FROM iteration").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def left_in(folder: Path) -> tuple[object, bytes, object]:
    """Return what a run left: the contents of its store, its fit to the byte, and the rows of its trajectories."""
    store = open_store(f"sqlite:///{folder / 'trimtab.db'}")
    found = contents(store)
    store.close()
    return found, (folder / "fit.json").read_bytes(), pq.read_table(folder / "trajectories.parquet").to_pylist()


@pytest.mark.slow
def test_ten_kills_and_a_finish_equal_one_run(tmp_path: Path) -> None:
    finish(start(tmp_path, "whole", concurrency=7))

    database = tmp_path / "broken" / "trimtab.db"
    moments = random.Random(20)
    counts = [0]
    for kill in range(KILLS):
        process = start(tmp_path, "broken", concurrency=4)
        # Most kills hit while iterations are being written, a few anywhere from the first import on. None waits for
        # more than a few iterations, so that a fast machine is not done before it is killed.
        anywhere = kill % 4 == 3
        goal = counts[-1] + moments.randrange(1, 14)
        deadline = time.monotonic() + (1.5 * moments.random() if anywhere else 30)
        while process.poll() is None and stored(database) < goal and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.random() * 0.02)
        assert process.poll() is None, "the run must be at work when it is killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        counts.append(stored(database))
    assert counts == sorted(counts)
    assert len(set(counts)) > KILLS // 2, "the kills must hit at different points of the run"
    assert 0 < counts[-1] < TOTAL, "the last kill must leave something to do"
    assert not (tmp_path / "broken" / "fit.json").exists()

    finish(start(tmp_path, "broken", concurrency=4))
    assert stored(database) == TOTAL
    assert left_in(tmp_path / "broken") == left_in(tmp_path / "whole")
