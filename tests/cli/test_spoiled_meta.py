"""Commands on a store in which somebody changed the meta of iterations: it is passed by, or refused in one sentence."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.cli import trimtab
from trimtab.providers.rewriter import provider
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.store.open import open_store

SESSION = "best_of_n/calculator/0"
STORE = "sqlite:///out/trimtab.db"
COMMANDS = {
    "status": ("status", "out"),
    "sessions": ("sessions", "out"),
    "show": ("show", SESSION, "--store", "out", "--evidence"),
    "show as JSON": ("show", SESSION, "--store", "out", "--json"),
    "resume": ("resume", "out", "--resume-paused", "--sessions", "2", "--budget-tokens", "1000000"),
    "explain": ("policy", "explain", SESSION, "--store", STORE),
    "report": ("report", STORE, "--out", "report.html"),
    "fit": ("fit", STORE),
    "export": ("export", STORE, "--to", "all.jsonl"),
    "replay": ("run", "--provider", "replay", "--recording", "out", "--out", "again"),
    "follow": ("run", "--provider", "replay", "--recording", "out", "--objectives", "efficiency", "--out", "again"),
}
QUICK = ("status", "sessions", "show", "show as JSON", "explain")

WHOLE = ("", "{", "[1]", "null", '"x"', '{"a": NaN}', "[" * 100_000)
"""Texts that are no meta at all."""

VALUES = (None, -1, "x", "\ud800", [], [1], [{}], {}, {"x": 1}, True, 1.5, 10**30)
PLACES: tuple[tuple[str | int, ...], ...] = (
    ("decision",), ("decision", "action"), ("decision", "strategy"), ("decision", "base"), ("decision", "keep"),
    ("decision", "reason"), ("watch",), ("watch", "fired"), ("watch", "fired", 0), ("watch", "fired", 0, "trigger"),
    ("watch", "fired", 0, "action"), ("watch", "fired", 0, "says"), ("watch", "call"), ("watch", "call", "action"),
    ("watch", "call", "says"), ("answers",), ("answers", 0), ("answers", 0, "action"), ("answers", 0, "strategy"),
    ("webhook",), ("restarted_from",), ("attempts",), ("wasted",), ("prompt_tokens",), ("completion_tokens",),
    ("judge",), ("answer_bytes",), ("model",), ("finish_reason",), ("cost_usd",), ("seconds",), ("recording_ends",),
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a steered run whose session was set aside at its start, gone on with, and set aside in the middle."""
    whole, out = (tmp_path_factory.mktemp("run") / name for name in ("whole", "out"))
    given = {
        "sessions": 1,
        "iterations": 4,
        "policy": "best_of_n",
        "strategies": "EF,SF",
        "tasks": "builtin:calculator",
    }
    given |= {"trigger": "security<10:ask,efficiency<10:warn", "out": str(whole)}
    for resumed in (False, True):
        run_experiment(load_config({**given, "resume_paused": resumed}))
    store = open_store(f"sqlite:///{whole / 'trimtab.db'}")
    out.mkdir()
    part = open_store(f"sqlite:///{out / 'trimtab.db'}", create=True)
    part.set_experiment(store.experiment())
    part.add_sessions(store.sessions())
    records = [*store.iterations()][:3]
    store.close()
    watch = {**records[0].meta["watch"], "call": {"action": "ask", "trigger": "security<10", "says": "low"}}
    aside = {"watch": watch, "answers": [{"action": "pause", "by": "nobody"}], "webhook": {}}
    part.extend([replace(one, meta={**one.meta, **(aside if one.index else {})}) for one in records])
    part.close()
    return out


@pytest.fixture
def folder(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provider, "default_workers", lambda: 0)  # processes of its own take a second to start
    return run


def written(run: Path, change: Any) -> None:
    """Write a copy of the run to ``out``, whose latest two iterations have a meta that was changed."""
    for name in ("out", "again"):
        shutil.rmtree(name, ignore_errors=True)
    shutil.copytree(run, "out")
    with sqlite3.connect("out/trimtab.db") as connection:
        found = connection.execute("select rowid, meta from iteration order by iteration desc limit 2").fetchall()
        for row, text in found:
            connection.execute("update iteration set meta = ? where rowid = ?", (change(text), row))


def spoiled(place: tuple[str | int, ...], value: object) -> Any:
    def change(text: str) -> str:
        meta = json.loads(text)
        at: Any = meta
        for part in place[:-1]:
            if part not in at if isinstance(at, dict) else int(part) >= len(at):
                return text
            at = at[part]
        at[place[-1]] = value
        return json.dumps(meta)

    return change


def check(ran: Any) -> None:
    assert ran.code in (0, 1), ran.err
    assert "Traceback" not in ran.err
    errors = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == ran.code


@pytest.mark.parametrize("command", COMMANDS)
def test_no_value_in_the_meta_of_an_iteration_is_a_traceback(folder: Path, command: str, capsys: Any) -> None:
    number, every = [*COMMANDS].index(command), 6 if command in QUICK else 24
    for at, place in enumerate(PLACES):
        # Values have their turns in places that differ between the commands.
        for value in VALUES[(5 * at + number) % every :: every]:
            written(folder, spoiled(place, value))
            check(trimtab(capsys, *COMMANDS[command]))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_meta_that_is_none_is_a_sentence(folder: Path, command: str, capsys: Any) -> None:
    for text in WHOLE if command in QUICK else WHOLE[::3]:
        written(folder, lambda _, text=text: text)
        ran = trimtab(capsys, *COMMANDS[command])
        check(ran)
        assert ran.code == 0 or " in the store cannot be read (" in ran.err
        assert ran.code == 1 or command in ("fit", "report", "export", "replay"), "these do not read so far"


@pytest.mark.parametrize("command", ["resume", "explain"])
@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("decision",), 1, "decision should be a valid dictionary"),
        (("watch", "fired"), "x", "watch.fired should be a valid list, but is 'x'"),
        (("watch", "fired", 0), {}, "watch.fired.0.trigger is missing"),
        (("watch", "call"), {}, "watch.call.action is missing"),
        (("answers", 0), "x", "answers.0 should be a valid dictionary"),
    ],
)
def test_what_a_run_goes_by_is_named(
    folder: Path, command: str, place: tuple[str | int, ...], value: object, said: str, capsys: Any
) -> None:
    written(folder, spoiled(place, value))
    ran = trimtab(capsys, *COMMANDS[command])
    check(ran)
    assert f"of session '{SESSION}' cannot be used: {said}" in ran.err
