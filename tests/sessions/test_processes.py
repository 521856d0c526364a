"""Several ``trimtab run`` processes on one PostgreSQL database, one of them killed: nothing is lost or made twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from support.model_server import until
from support.openai_server import chat, serving
from support.postgres import PostgresServer
from support.providers import fenced
from trimtab.core.streams import stream
from trimtab.providers.base import Completion, Request
from trimtab.sessions.config import load_config, option_of
from trimtab.sessions.experiment import run_experiment
from trimtab.store.contents import contents
from trimtab.store.open import open_store

SESSIONS, ITERATIONS, AT_ONCE = 12, 5, 3
MADE = 2 * SESSIONS * ITERATIONS


def answer(request: Request) -> Completion:
    time.sleep(0.02)
    number = int(stream(request.seed).integers(1_000_000))
    return Completion(fenced(f"import os\n\n\ndef work(x):\n    return x + {number}\n"), "tiny", "stop", 10, 20)


def settings(folder: Path, store: str, url: str) -> dict[str, object]:
    return {
        "provider": "openai",
        "model": "m",
        "base_url": url,
        "strategies": "EF,SF",
        "sessions": SESSIONS,
        "iterations": ITERATIONS,
        "concurrency": AT_ONCE,
        "store": store,
        "out": folder,
    }


def start(folder: Path, store: str, url: str) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("TRIMTAB_", "OPENAI_"))}
    chosen = settings(folder, store, url)
    given = [text for name, value in chosen.items() for text in (option_of(name), str(value))]
    return subprocess.Popen(
        [sys.executable, "-m", "trimtab", "run", *given],
        env={**kept, "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_in(store: str) -> list[tuple[object, ...]]:
    opened = open_store(store)
    try:
        return contents(opened)
    finally:
        opened.close()


@pytest.mark.slow
def test_three_processes_one_of_which_is_killed_equal_one(postgres: PostgresServer, tmp_path: Path) -> None:
    shared, alone = postgres.fresh(), f"sqlite:///{tmp_path}/alone.db"
    with serving(chat(answer)) as server:
        assert run_experiment(load_config(settings(tmp_path, alone, server.url))).ended == "complete"
        assert len(server.bodies) == MADE
        server.bodies.clear()

        runs = [start(tmp_path / str(i), shared, server.url) for i in range(3)]
        assert until(lambda: len(server.bodies) > MADE // 5, 60)
        victim = next(run for run in runs if str(run.pid) in {owner_of(row) for row in held(postgres, shared)})
        victim.send_signal(signal.SIGKILL)
        ends = [run.communicate(timeout=120) for run in runs]
    others = [(run, *end) for run, end in zip(runs, ends, strict=True) if run is not victim]
    assert victim.returncode == -signal.SIGKILL
    assert [run.returncode for run, _, _ in others] == [0, 0], others
    assert left_in(shared) == left_in(alone)
    assert held(postgres, shared) == []
    assert all("of 120 are stored" in err for _, _, err in others)
    # One of those left reports, and the other says so.
    assert sorted("Another process shared the run and reports" in out for _, out, _ in others) == [False, True]
    assert sum((tmp_path / str(i) / "fit.json").exists() for i in range(3)) == 1

    asked = Counter(json.dumps(body, sort_keys=True) for body in server.bodies)
    assert len(asked) == MADE
    again = [count for count in asked.values() if count > 1]
    assert len(again) <= AT_ONCE, "only what was on its way to the process that was killed may be asked for again"
    assert set(again) <= {2}


def held(postgres: PostgresServer, store: str) -> list[tuple[str]]:
    return postgres.sql("SELECT DISTINCT owner FROM lease", store)


def owner_of(row: tuple[str]) -> str:
    return row[0].split(":")[1]
