"""Commands on a store whose settings somebody has changed: one sentence, exit code 1, and nothing written."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.cli import trimtab
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment

SESSION = "predictive/calculator/0"
COMMANDS = {
    "status": ("status", "out"),
    "status as JSON": ("status", "out", "--json"),
    "sessions": ("sessions", "out"),
    "show": ("show", SESSION, "--store", "out"),
    "resume": ("resume", "out", "--sessions", "2"),
    "explain": ("policy", "explain", SESSION, "--store", "sqlite:///out/trimtab.db"),
    "report": ("report", "sqlite:///out/trimtab.db", "--out", "report.html"),
    "replay": ("run", "--provider", "replay", "--recording", "out", "--out", "again"),
    "run": ("run", "--policy", "predictive", "--tasks", "builtin:calculator", "--sessions", "2", "--out", "out"),
}
READS_NO_SETTINGS = ("show", "report")
"""Commands that go by no setting of a run; a report lists them as they are."""

Settings = dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "out"
    given = {"sessions": 1, "iterations": 2, "policy": "predictive", "strategies": "EF,SF"}
    run_experiment(load_config({**given, "tasks": "builtin:calculator", "out": str(out)}))
    return out


@pytest.fixture
def spoiled(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what writes texts to the experiment of a copy of the run, here in ``out``."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "out")

    def write(**columns: str) -> None:
        with sqlite3.connect("out/trimtab.db") as connection:
            for name, text in columns.items():
                connection.execute(f"update experiment set {name} = ?", (text,))

    return write


def kept(run: Path) -> Settings:
    with sqlite3.connect(run / "trimtab.db") as connection:
        return json.loads(connection.execute("select settings from experiment").fetchone()[0])


def rows() -> list[Any]:
    with sqlite3.connect("out/trimtab.db") as connection:
        return [connection.execute(f"select * from {name}").fetchall() for name in ("experiment", "session", "score")]


def refused(capsys: Any, command: str, said: str) -> None:
    before = rows()
    ran = trimtab(capsys, *COMMANDS[command])
    assert ran.code == 1
    assert [line for line in ran.err.splitlines() if line.startswith("Error: ") and said in line]
    assert rows() == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("", "the settings in the store sqlite:///out/trimtab.db cannot be read (Expecting value"),
        ("{", "cannot be read (Expecting property name"),
        ("[1]", "cannot be read (they are not what trimtab writes): restore the store from a copy"),
        ("null", "cannot be read (they are not what trimtab writes)"),
        ("[" * 100_000, "cannot be read (maximum recursion depth exceeded"),
        ('{"seed": NaN}', "cannot be read (NaN is no JSON)"),
        ('{"seed": 1e999}', "cannot be read (Out of range float values are not JSON compliant"),
        ('{"imports": 5}', "cannot be read (they are not what trimtab writes)"),
        (
            '{"imports": [{"file": "a.csv", "scorer": null, "exclusions": [[1]], "notes": []}]}',
            "not what trimtab writes",
        ),
    ],
)
def test_settings_that_are_none(spoiled: Any, command: str, settings: str, said: str, capsys: Any) -> None:
    spoiled(settings=settings)
    refused(capsys, command, said)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "objectives",
    ["", "5", "[]", "[1]", '[{"name": "a"}]', '[{"name": "a", "low": "x", "high": 1, "direction": "max"}]'],
)
def test_objectives_that_are_none(spoiled: Any, command: str, objectives: str, capsys: Any) -> None:
    spoiled(objectives=objectives)
    refused(capsys, command, "the objectives in the store sqlite:///out/trimtab.db cannot be read (")


def changed(name: str, value: object) -> Callable[[Settings], None]:
    *way, last = name.split(".")

    def change(settings: Settings) -> None:
        for part in way:
            settings = settings[part]
        settings[last] = value

    return change


def without(name: str) -> Callable[[Settings], None]:
    *way, last = name.split(".")

    def change(settings: Settings) -> None:
        for part in way:
            settings = settings[part]
        del settings[last]

    return change


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in READS_NO_SETTINGS])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed("sessions", "many"), "sessions should be a valid integer, but is 'many'"),
        (changed("iterations", 0), "iterations should be greater than or equal to 1, but is 0"),
        (changed("provider", ["rewriter"]), "provider should be a valid string, but is ['rewriter']"),
        (changed("strategies", None), "strategies should be a valid dictionary, but is None"),
        (changed("objectives", [":::"]), "objectives.0 should be an objective, but is ':::'"),
        (changed("scorers", [1]), "scorers.0 should be a valid string, but is 1"),
        (changed("fingerprints", {}), "fingerprints.tasks is missing"),
        (changed("config", "all"), "config should be a valid dictionary, but is 'all'"),
        (changed("config.strategy_tables", []), "config.strategy_tables should be a valid dictionary, but is []"),
        (changed("pilot", {"goal": {}}), "pilot.prior is missing"),
        (without("seed"), "seed is missing"),
        (without("round"), "a policy needs a pilot and a round beside it"),
        (without("config.scorers"), "config.scorers is missing"),
    ],
)
def test_settings_of_the_wrong_kind(
    spoiled: Any, run: Path, command: str, change: Callable[[Settings], None], said: str, capsys: Any
) -> None:
    settings = kept(run)
    change(settings)
    spoiled(settings=json.dumps(settings))
    refused(capsys, command, f"the settings of the run in sqlite:///out/trimtab.db cannot be used: {said}. They were")


VALUES = (None, -1, "x", "\ud800", [], [1], {}, {"x": 1}, True, 1.5, 10**30)


@pytest.mark.parametrize("command", ["status", "sessions", "show", "explain"])
def test_no_value_of_any_setting_is_a_traceback(spoiled: Any, run: Path, command: str, capsys: Any) -> None:
    settings, tried = kept(run), 0
    places = [(name,) for name in settings]
    places += [(name, inner) for name, value in settings.items() if isinstance(value, dict) for inner in value]
    for at, place in enumerate(places):
        # Every value has its turn, in places that differ between the commands.
        for value in VALUES[(at + len(command)) % 3 :: 3]:
            spoilt = kept(run)
            changed(".".join(place), value)(spoilt)
            spoiled(settings=json.dumps(spoilt))
            ran = trimtab(capsys, *COMMANDS[command])
            assert ran.code in (0, 1)
            assert ran.code == 0 or sum(line.startswith("Error: ") for line in ran.err.splitlines()) == 1
            tried += 1
    assert tried > 200


@pytest.mark.parametrize("name", ["config.seed", "config.utility", "config.timeout", "config.floor", "config.judge"])
def test_a_setting_to_go_on_with_that_is_of_the_wrong_kind_is_named(
    spoiled: Any, run: Path, name: str, capsys: Any
) -> None:
    settings = kept(run)
    changed(name, {"x": 1})(settings)
    spoiled(settings=json.dumps(settings))
    refused(capsys, "resume", name.removeprefix("config."))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seed", "x", "the recording out: seed should be a valid integer"),
        ("utility", {"x": 1}, "the recording out: utility should be 'weighted', 'worst', 'product' or 'hypervolume'"),
        ("strategy_tables", {"A": {"x": 1}}, "the recording out holds 1 unusable strategy table"),
    ],
)
def test_a_setting_of_a_recording_is_not_blamed_on_a_file(
    spoiled: Any, run: Path, name: str, value: object, said: str, capsys: Any
) -> None:
    settings = kept(run)
    changed(f"config.{name}", value)(settings)
    spoiled(settings=json.dumps(settings))
    refused(capsys, "replay", said)
    assert not Path("again").exists()
    Path("trimtab.toml").write_text("concurrency = 'x'\n")
    ran = trimtab(capsys, *COMMANDS["replay"])
    assert (ran.code, "trimtab.toml: concurrency should be" in ran.err) == (1, name != "strategy_tables")
