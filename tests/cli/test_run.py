"""``trimtab run``, as a user gives it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.cli import trimtab
from support.openai_server import Served, chat, serving
from trimtab.providers.rewriter.answer import rewrite
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.store.contents import contents
from trimtab.store.leases import new_owner
from trimtab.store.open import open_store

KEY = "sk-planted-0123456789"
SMALL = ("--sessions", "3", "--iterations", "3", "--strategies", "EF,SF", "--seed", "4")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith("TRIMTAB_") or name.upper().endswith("_PROXY") or name.startswith("OPENAI_"):
            monkeypatch.delenv(name)


def command(*options: str) -> list[str]:
    return [sys.executable, "-c", "from trimtab.cli.main import main; main()", "run", *options]


def embedded(out: str, *options: str) -> None:
    """Run to the end with the rewriter, without the analysis."""
    given = dict(zip(options[::2], options[1::2], strict=True))
    settings = {name.removeprefix("--"): value for name, value in given.items()}
    assert run_experiment(load_config({**settings, "out": out})).ended == "complete"


def iterations(path: str) -> list[tuple[object, ...]]:
    store = open_store(f"sqlite:///{path}")
    found = [row for row in contents(store) if row[0] == "iteration"]
    store.close()
    return found


@pytest.mark.workers
def test_a_run_from_start_to_report(capsys) -> None:
    done = trimtab(capsys, "run", *SMALL, "--out", "o")
    assert done.code == 0, done.err
    assert "provider: rewriter (Embedded stand-in for an LLM, not an LLM)" in done.err
    assert "6/6 sessions, 18/18 iterations" in done.err
    assert re.search(r"18 new iterations in \d+:\d\d", done.err)
    assert sorted(p.name for p in Path("o").iterdir()) == [
        "fit.json",
        "report.html",
        "trajectories.parquet",
        "trimtab.db",
    ]
    assert list(json.loads(Path("o/fit.json").read_text())["strategies"]) == ["EF", "SF"]
    for place in ("sqlite:///o/trimtab.db", "o/fit.json", "o/trajectories.parquet", "o/report.html"):
        assert place in done.out
    assert "EF" in done.out
    store = open_store("sqlite:///o/trimtab.db")
    assert store.trajectories().n_rows == 6 * 4
    assert store.experiment().settings["seed"] == 4
    store.close()

    again = trimtab(capsys, "run", *SMALL, "--out", "o", "--concurrency", "1")
    assert again.code == 0, again.err
    assert "0 new iterations" in again.err

    other = trimtab(capsys, "run", *SMALL, "--out", "o", "--temperature", "0.1")
    assert other.code == 1
    assert other.err.splitlines()[-1].startswith(
        "Error: the store sqlite:///o/trimtab.db holds a run with other settings: temperature (None there, 0.1 now)"
    )

    Path("o/fit.json").unlink()
    store = open_store("sqlite:///o/trimtab.db")
    store.claim(new_owner(), [store.sessions()[0].id], 60)
    shared = trimtab(capsys, "run", *SMALL, "--out", "o")
    store.close()
    assert shared.code == 0
    assert f"sharing the run with 1 at work on it: process {os.getpid()} on " in shared.err
    assert Path("o/fit.json").exists()


def test_a_store_that_holds_more_than_asked_for_is_said_to_be_analysed_whole(capsys) -> None:
    embedded("o", *SMALL)
    line = "The store holds more than was asked for"
    same = trimtab(capsys, "run", *SMALL, "--out", "o")
    assert (same.code, line in same.err) == (0, False)
    fewer = trimtab(capsys, "run", *SMALL, "--out", "o", "--strategies", "SF", "--sessions", "1", "--iterations", "1")
    assert fewer.code == 0, fewer.err
    assert "strategy SF x 1 session x 1 iteration, seed 4" in fewer.err
    # Of the 18 iterations in 6 sessions, one is asked for.
    assert f"{line} (5 more sessions, 17 more iterations): all of it is analysed." in fewer.err.splitlines()
    assert list(json.loads(Path("o/fit.json").read_text())["strategies"]) == ["EF", "SF"]
    shorter = trimtab(capsys, "run", *SMALL, "--out", "o", "--iterations", "2")
    assert f"{line} (6 more iterations): all of it is analysed." in shorter.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--strategies", "XX"), "no strategy is called 'XX'; there are EF, SF, FF, AI"),
        (("--tasks", "nowhere"), "there is no file or folder of tasks at 'nowhere'"),
        (("--scorers", "taste"), "no scorer is called 'taste'; there are judge, lexical, python-static"),
        (("--objectives", "beauty"), "no scorer gives the objective 'beauty'"),
        (("--provider", "oracle"), "--provider should be one of anthropic, openai"),
        (("--provider", "openai"), "provider openai needs the name of a model"),
        (("--model", "m"), "model is given, but the provider rewriter has none: add --provider openai"),
        (("--provider-options", "a=1"), "the provider rewriter has no options, but got 'a'"),
        (("--provider", "openai", "--model", "m"), "needs a key in the environment variable OPENAI_API_KEY"),
        (("--store", "sqlite:///no/where.db"), "the folder no for the store where.db does not exist"),
        (("--store", "sqlite:///notes.txt"), "is some other kind of file"),
        (("--out", "notes.txt"), "the output folder notes.txt cannot be made: File exists"),
        (("--config", "nowhere.toml"), "there is no configuration file nowhere.toml"),
        (("--sessions", "0"), "--sessions should be greater than or equal to 1"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_1(capsys, options: tuple[str, ...], said: str) -> None:
    Path("notes.txt").write_text("only notes")
    done = trimtab(capsys, "run", *SMALL, *options)
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("Error: ")
    assert said in last
    assert "Traceback" not in done.err
    assert done.out == ""
    assert Path("notes.txt").read_text() == "only notes"


def until(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until the store at `path` holds `count` iterations."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists():
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            try:
                if connection.execute("SELECT count(*) FROM iteration").fetchone()[0] >= count:
                    return
            except sqlite3.OperationalError:
                pass  # the tables are not there yet
            finally:
                connection.close()
        time.sleep(0.01)
    raise AssertionError(f"the run ended or took too long: {process.poll()}")


def test_ctrl_c_stops_and_the_same_command_goes_on() -> None:
    options = ("--sessions", "5", "--iterations", "4", "--strategies", "EF,FF")
    process = subprocess.Popen(
        command(*options, "--out", "o"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(Path("o/trimtab.db"), 12, process)
    os.killpg(process.pid, signal.SIGINT)  # the terminal sends it to the whole group
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping: iterations under way may finish." in err
    assert "Stopped. Everything so far is stored: trimtab resume o goes on, and so does the same command." in err
    assert "Traceback" not in err
    assert out == ""
    assert len(iterations("o/trimtab.db")) < 10 * 5

    embedded("o", *options)
    embedded("whole", *options)
    assert iterations("o/trimtab.db") == iterations("whole/trimtab.db")


def test_a_second_ctrl_c_ends_at_once() -> None:
    def silent(_: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(30)
        return 200, {}, b"{}"

    with serving(silent) as server:
        options = ("--provider", "openai", "--model", "m", "--base-url", server.url, "--out", "o", *SMALL)
        process = subprocess.Popen(command(*options), stderr=subprocess.PIPE, text=True)
        until(Path("o/trimtab.db"), 6, process)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    # A run that ends gracefully says so.
    assert "Stopped" not in err
    assert process.returncode == 130
    assert "Traceback" not in err
    assert {row[2] for row in iterations("o/trimtab.db")} == {0}


def over_http(server: Served, *more: str) -> tuple[str, ...]:
    return ("run", "--provider", "openai", "--model", "m", "--base-url", server.url, *SMALL, *more)


def test_the_same_seed_gives_the_same_sessions_over_http_as_embedded(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded("embedded", *SMALL)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(chat(rewrite)) as server:
        remote = trimtab(capsys, *over_http(server, "--out", "remote"))
    assert remote.code == 0, remote.err
    assert "provider: openai (Any OpenAI-compatible chat endpoint)" in remote.err
    assert iterations("remote/trimtab.db") == iterations("embedded/trimtab.db")
    assert server.keys == [f"Bearer {KEY}"] * 18
    assert KEY not in remote.out + remote.err
    for path in Path("remote").iterdir():
        assert KEY.encode() not in path.read_bytes(), path


def test_an_endpoint_that_refuses_ends_the_run_with_one_sentence_and_can_go_on(
    capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(range(10**6))
    answer = chat(rewrite)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def tired(body: dict[str, object]) -> tuple[int, dict[str, str], bytes]:
        if next(left) < 7:
            return answer(body)
        return 401, {"Content-Type": "application/json"}, json.dumps({"error": {"message": f"bad {KEY}"}}).encode()

    with serving(tired) as server:
        failed = trimtab(capsys, *over_http(server, "--out", "o", "--concurrency", "2"))
    assert failed.code == 1
    assert f"Error: the endpoint {server.url} refused the key in OPENAI_API_KEY (401)" in failed.err
    assert "and so does the same command" in failed.err
    assert KEY not in failed.err
    assert len([row for row in iterations("o/trimtab.db") if row[2] > 0]) == 7

    with serving(answer) as server:
        done = trimtab(capsys, *over_http(server, "--out", "o"))
    assert done.code == 0, done.err
    assert "11 new iterations" in done.err
    embedded("embedded", *SMALL)
    assert iterations("o/trimtab.db") == iterations("embedded/trimtab.db")


def test_a_wrong_model_name_does_not_spoil_the_store(capsys) -> None:
    def unknown(body: dict[str, object]) -> tuple[int, dict[str, str], bytes]:
        if body["model"] == "m":
            return chat(rewrite)(body)
        return 404, {"Content-Type": "application/json"}, b'{"error": {"message": "no such model"}}'

    with serving(unknown) as server:
        wrong = trimtab(capsys, *over_http(server, "--model", "typo", "--out", "o"))
        assert wrong.code == 1
        assert "knows no model 'typo'" in wrong.err
        right = trimtab(capsys, *over_http(server, "--out", "o"))
    assert right.code == 0, right.err
    store = open_store("sqlite:///o/trimtab.db")
    assert {session.model for session in store.sessions()} == {"m"}
    store.close()
    other = trimtab(capsys, "run", *SMALL, "--out", "o")
    assert (other.code, "holds a run with other settings: provider ('openai' there" in other.err) == (1, True)


def test_imported_data_are_never_run_into(capsys) -> None:
    Path("a.csv").write_text("session_id,strategy,iteration,security\ns,EF,0,1\ns,EF,1,2\n")
    assert trimtab(capsys, "import", "a.csv", "--store", "sqlite:///a.db").code == 0
    before = iterations("a.db")
    ran = trimtab(capsys, "run", *SMALL, "--store", "sqlite:///a.db")
    assert ran.code == 1
    assert "holds imported data, not a run" in ran.err
    assert iterations("a.db") == before != []


def test_strategies_and_settings_from_a_file(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("trimtab.toml").write_text(
        'sessions = 2\niterations = 2\nout = "here"\n[strategies]\nuse = ["calm"]\n'
        '[strategies.calm]\ninstruction = "Simplify the program and remove what it does not need."\n'
    )
    monkeypatch.setenv("TRIMTAB_ITERATIONS", "3")
    done = trimtab(capsys, "run")
    assert done.code == 0, done.err
    assert {row[3] for row in iterations("here/trimtab.db")} == {"calm"}
    assert len(iterations("here/trimtab.db")) == 2 * 4


def test_a_bad_strategy_is_laid_to_the_file_that_holds_it(capsys) -> None:
    for name, options in (("d.toml", ("--config", "d.toml")), ("trimtab.toml", ())):
        Path(name).write_text("[strategies.calm]\ninstruktion = 'Simplify.'\n")
        done = trimtab(capsys, "run", *SMALL, *options)
        assert done.code == 1
        assert f"Error: {name} holds 1 unusable strategy table" in done.err
