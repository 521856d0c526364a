"""``trimtab resume``, as a user gives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cli import trimtab
from support.openai_server import chat, serving
from trimtab.providers.rewriter.answer import rewrite
from trimtab.sessions.config import RunConfig, load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.sessions.kept import CONFIG, kept_config
from trimtab.sessions.runner import Progress
from trimtab.sessions.strategies import builtin_strategies
from trimtab.store.base import Experiment
from trimtab.store.contents import contents
from trimtab.store.open import open_store

PROGRAM = "def f(path):\n    return eval(open(path).read())\n"
SMALL = {"sessions": 3, "iterations": 3, "seed": 4}


class BrokenOffError(Exception):
    pass


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tasks.jsonl").write_text(json.dumps({"id": "reader", "prompt": "Read a file.", "artefact": PROGRAM}) + "\n")
    Path("calm.toml").write_text(
        "[strategies.calm]\ninstruction = 'Make it simpler.'\n"
        "[strategies.SF]\noverride = true\ninstruction = 'Safer!'\n"
    )


def begin(out: str, after: int, **given: object) -> None:
    """Begin a run, and break it off after some iterations."""

    def watch(progress: Progress) -> None:
        if progress.new >= after:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        run_experiment(load_config({**SMALL, "out": out, **given}), listener=watch)


def stored(path: str) -> list[tuple[object, ...]]:
    store = open_store(f"sqlite:///{path}")
    found = contents(store)
    store.close()
    return found


def rows(path: str) -> list[tuple[object, ...]]:
    return [row for row in stored(path) if row[0] != "experiment"]


OWN = {"tasks": "tasks.jsonl", "strategies": "EF,SF,calm", "strategy_files": "calm.toml"}


def test_a_run_goes_on_from_anywhere_without_its_options_and_files(
    capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_experiment(load_config({**SMALL, **OWN, "out": "whole"})).ended == "complete"
    begin("o", 7, **OWN)
    assert len(rows("o/trimtab.db")) < len(rows("whole/trimtab.db"))
    Path("calm.toml").unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    done = trimtab(capsys, "resume", "../o")
    assert done.code == 0, done.err
    assert "strategies EF, SF, calm x 3 sessions x 3 iterations, seed 4" in done.err
    assert "27 of 27 are stored" in done.err
    assert "Report:       ../o/report.html" in done.out
    assert rows("../o/trimtab.db") == rows("../whole/trimtab.db")


def test_a_steered_run_goes_on(capsys) -> None:
    given = {"policy": "simultaneous", "utility": "worst", "weights": "", "trigger": "security<1", "round": 2}
    assert run_experiment(load_config({**SMALL, **given, "out": "whole"})).ended == "complete"
    begin("o", 4, **given)
    assert trimtab(capsys, "resume", "o/trimtab.db").code == 0
    assert rows("o/trimtab.db") == rows("whole/trimtab.db")


def test_more_may_be_asked_for_and_how_it_runs_may_change(capsys) -> None:
    begin("o", 2, strategies="EF")
    done = trimtab(capsys, "resume", "o", "--sessions", 4, "--iterations", 5, "--concurrency", 1, "--timeout", 7)
    assert done.code == 0, done.err
    assert "strategy EF x 4 sessions x 5 iterations" in done.err
    store = open_store("sqlite:///o/trimtab.db")
    kept = store.experiment().settings[CONFIG]
    store.close()
    assert (kept["sessions"], kept["iterations"], kept["concurrency"], kept["timeout"]) == (4, 5, 1, 7)


def test_what_runs_added_is_gone_on_with_too(capsys) -> None:
    begin("o", 2, strategies="EF", iterations=4)
    begin("o", 2, strategies="SF", strategy_files="calm.toml", sessions=1)
    done = trimtab(capsys, "resume", "o")
    assert done.code == 0, done.err
    assert "strategies EF, SF x 3 sessions x 4 iterations" in done.err


def test_a_folder_that_was_moved_keeps_all_it_makes(capsys) -> None:
    begin("o", 2, strategies="EF")
    Path("o").rename("moved")
    assert trimtab(capsys, "resume", "moved").code == 0
    assert Path("moved/report.html").exists()
    assert not Path("o").exists()


def test_the_key_comes_from_the_environment_again(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    with serving(chat(rewrite)) as server:
        begin("o", 2, strategies="EF", provider="openai", model="m", base_url=server.url)
        done = trimtab(capsys, "resume", "o")
        assert done.code == 0, done.err
        assert "provider: openai" in done.err
    assert b"sk-planted" not in Path("o/trimtab.db").read_bytes()
    moved = trimtab(capsys, "resume", "o", "--iterations", 4, "--base-url", "http://127.0.0.1:9/v1")
    assert moved.code == 1
    assert "http://127.0.0.1:9/v1" in moved.err


def test_mistakes_are_one_sentence_and_exit_code_1(capsys) -> None:
    begin("o", 2, strategies="EF", tasks="tasks.jsonl")
    new = open_store("sqlite:///new.db", create=True)
    new.close()
    for arguments, said in (
        (["nowhere"], "no store at 'nowhere': there is no such file or folder; give the output folder of a run"),
        (["."], "no store at '.': the folder holds no trimtab.db"),
        (["new.db"], "the store sqlite:///new.db holds nothing yet, so there is nothing to go on with"),
        (["tasks.jsonl"], "is some other kind of file"),
        (["o", "--timeout", "-1"], "--timeout should be greater than 0, but is '-1.0'"),
        ([], "there is no store at trimtab-out/trimtab.db"),
    ):
        done = trimtab(capsys, "resume", *arguments)
        assert (done.code, done.out) == (1, ""), said
        assert said in done.err.splitlines()[-1]
    Path("tasks.jsonl").write_text(json.dumps({"id": "reader", "prompt": "Other.", "artefact": PROGRAM}) + "\n")
    assert "tasks (" in trimtab(capsys, "resume", "o").err
    Path("tasks.jsonl").unlink()
    assert "there is no file or folder of tasks at" in trimtab(capsys, "resume", "o").err


def test_imported_data_and_runs_of_former_versions_are_told_apart(capsys) -> None:
    Path("a.csv").write_text("session_id,iteration,quality\na,0,1\na,1,2\n")
    assert trimtab(capsys, "import", "a.csv", "--store", "sqlite:///a.db").code == 0
    assert "holds imported data, not a run" in trimtab(capsys, "resume", "a.db").err
    begin("o", 2, strategies="EF")
    store = open_store("sqlite:///o/trimtab.db")
    found = store.experiment()
    settings = {name: value for name, value in found.settings.items() if name != CONFIG}
    store.set_experiment(Experiment(found.name, found.space, settings))
    store.close()
    assert "give its trimtab run command again to go on" in trimtab(capsys, "resume", "o").err


def test_every_setting_is_kept_or_made_anew(tmp_path: Path) -> None:
    config = load_config({**SMALL, "strategies": "SF"})
    kept = kept_config(config, builtin_strategies()[1:2])
    secret = {name for name, field in RunConfig.model_fields.items() if field.exclude}
    assert set(kept) == set(RunConfig.model_fields) - {"store", "strategy_files"} - secret
    again = RunConfig(**json.loads(json.dumps(kept)))
    changed = {"out", "strategies", "strategy_tables"}
    assert again.model_dump(exclude=changed) == config.model_dump(exclude=changed)
