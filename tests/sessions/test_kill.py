"""kill -9 at any moment, and on again: the store ends up as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.store.contents import contents
from trimtab.store.open import open_store

KILLS = 10
SETTINGS = {"sessions": 6, "iterations": 6, "seed": 5, "concurrency": 4, "tasks": "builtin"}
RUN = """
import sys
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
print(run_experiment(load_config({settings!r})).ended)
"""


def start(settings: dict[str, object]) -> subprocess.Popen[str]:
    # A session of its own, so that the kill takes the worker processes with it.
    code = RUN.format(settings=settings)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True)


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


@pytest.mark.slow
def test_ten_kills_and_a_finish_equal_one_run(tmp_path: Path) -> None:
    whole = load_config({**SETTINGS, "out": tmp_path / "whole", "concurrency": 7})
    assert run_experiment(whole).ended == "complete"

    settings = {**SETTINGS, "out": str(tmp_path / "broken")}
    database = tmp_path / "broken" / "trimtab.db"
    moments = random.Random(20)
    counts = [0]
    for kill in range(KILLS):
        process = start(settings)
        # Most kills hit while iterations are being written, a few anywhere from the first import on.
        if kill % 4 != 3:
            deadline = time.monotonic() + 30
            goal = counts[-1] + moments.randrange(1, 14)
            while process.poll() is None and stored(database) < goal and time.monotonic() < deadline:
                time.sleep(0.002)
        time.sleep(moments.random() * (0.02 if kill % 4 != 3 else 1.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        counts.append(stored(database))
    total = 4 * SETTINGS["sessions"] * (SETTINGS["iterations"] + 1)
    assert counts == sorted(counts)
    assert len(set(counts)) > KILLS // 2, "the kills must hit at different points of the run"
    assert 0 < counts[-1] < total, "the last kill must leave something to do"

    process = start(settings)
    assert process.communicate(timeout=120)[0].strip() == "complete"
    one, other = open_store(whole.store_url), open_store(f"sqlite:///{database}")
    assert contents(one) == contents(other)
    assert len(list(other.iterations())) == total
    one.close()
    other.close()
