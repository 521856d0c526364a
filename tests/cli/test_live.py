"""Limits, triggers and the webhook of a run, from the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from support.cli import trimtab
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.store.contents import contents
from trimtab.store.open import open_store

SMALL = ("--sessions", "2", "--iterations", "3", "--strategies", "EF,FF", "--concurrency", "2")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def stored(folder: str) -> list[tuple[object, ...]]:
    store = open_store(f"sqlite:///{folder}/trimtab.db")
    found = [row for row in contents(store) if row[0] == "iteration"]
    store.close()
    return found


@contextmanager
def hook() -> Iterator[tuple[str, list[dict]]]:
    came: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/TOPSECRET", came
    finally:
        server.shutdown()
        server.server_close()


def test_a_budget_ends_the_run_with_a_sentence_and_a_larger_one_goes_on_to_the_same_end(capsys) -> None:
    done = trimtab(capsys, "run", *SMALL, "--out", "o", "--budget-tokens", "6000")
    assert done.code == 3
    assert "Ended early: the budget of 6,000 tokens is spent: iterations took " in done.err
    assert "give the same command with another limit to go on. Store: sqlite:///o/trimtab.db" in done.err
    assert "by all runs into the store: " not in done.err
    part = len(stored("o"))
    assert 4 < part < 16
    again = trimtab(capsys, "run", *SMALL, "--out", "o", "--budget-tokens", "6000")
    assert (again.code, len(stored("o"))) == (3, part)
    assert "by all runs into the store: " in again.err
    resumed = trimtab(capsys, "resume", "o/trimtab.db", "--budget-tokens", "1000000")
    assert resumed.code == 0, resumed.err
    given = {"sessions": 2, "iterations": 3, "strategies": "EF,FF", "out": "whole"}
    assert run_experiment(load_config(given)).ended == "complete"
    assert stored("o") == stored("whole")


def test_a_deadline_that_is_over_begins_nothing(capsys) -> None:
    done = trimtab(capsys, "run", *SMALL, "--out", "o", "--deadline", "2020-01-01T00:00:00Z")
    assert done.code == 3
    assert "Ended early: the deadline has come." in done.err
    assert stored("o") == []


def test_a_budget_in_money_needs_prices_and_keeps_the_cost(capsys) -> None:
    refused = trimtab(capsys, "run", *SMALL, "--out", "o", "--budget-usd", "1")
    assert refused.code == 1
    assert 'as a table [prices."rewriter"] with input and output in USD per million tokens' in refused.err
    assert not Path("o").exists()
    Path("trimtab.toml").write_text('[prices."rewriter*"]\ninput = 1.0\noutput = 2.0\n')
    done = trimtab(capsys, "run", *SMALL, "--out", "o", "--budget-usd", "1")
    assert done.code == 0, done.err
    assert "  taken: " in done.err
    assert ", $0.0" in done.err
    costs = [json.loads(row[9])["cost_usd"] for row in stored("o") if row[2]]
    assert len(costs) == 12
    assert all(cost > 0 for cost in costs)


def test_a_webhook_is_told_and_its_address_is_nowhere(capsys) -> None:
    with hook() as (address, came):
        triggers = "security<9.9:webhook,security<9.9:pause"
        done = trimtab(capsys, "run", *SMALL, "--out", "o", "--trigger", triggers, "--webhook", address)
        assert done.code == 0, done.err
        assert (len(came), {one["iteration"] for one in came}) == (4, {0})
        assert "4 sessions set aside (--resume-paused goes on where iterations are left):" in done.err
        assert "There is nothing to analyse before they go on." in done.err
        missing = trimtab(capsys, "resume", "o/trimtab.db")
        assert missing.code == 1
        assert "give --webhook URL, or set TRIMTAB_WEBHOOK" in missing.err
        resumed = trimtab(capsys, "resume", "o/trimtab.db", "--resume-paused", "--webhook", address)
        assert resumed.code == 0, resumed.err
        assert len(came) == 16
    assert len({one["id"] for one in came}) == 16
    assert "4 x security<9.9:webhook" in done.err
    said = done.out + done.err + resumed.out + resumed.err
    kept = b"".join(path.read_bytes() for path in Path("o").rglob("*") if path.is_file())
    assert "TOPSECRET" not in said
    assert b"TOPSECRET" not in kept


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--deadline", "soon"), "a deadline is a duration such as 30m or 2h"),
        (("--budget-tokens", "0"), "--budget-tokens should be greater than or equal to 1, but is 0"),
        (("--history", "some"), "--history should be 'none', 'last' or 'full', but is 'some'"),
        (("--trigger", "security<2:fly"), "then @PROBABILITY and :warn, :webhook, :ask, :pause or :stop if wanted"),
        (("--trigger", "speed<2"), "no objective is called 'speed'"),
        (("--trigger", "security<2:webhook"), "give --webhook URL"),
        (("--trigger", "security<2:webhook", "--webhook", "ftp://TOPSECRET"), "webhook should look like http"),
        (("--trigger", "security<2", "--answers", "70000"), "--answers should be less than or equal to 65535"),
        (("--answers", "0"), "answers is given, but nothing asks"),
        (("--trigger", "security<2", "--fit", "nowhere.json"), "nowhere.json"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(capsys, options: tuple[str, ...], said: str) -> None:
    done = trimtab(capsys, "run", *SMALL, "--out", "o", *options)
    assert done.code == 1
    assert said in done.err
    assert "TOPSECRET" not in done.err
    assert "Traceback" not in done.err
    assert not Path("o").exists()
