"""``trimtab run --provider replay`` of a steered run with other scores, as a user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cli import trimtab
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment

SESSION = "rules/access_log_report/0"


@pytest.fixture(autouse=True)
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"policy": "rules", "sessions": 3, "iterations": 3, "strategies": "EF,SF", "seed": 4, "out": "a"}
    assert run_experiment(load_config(given)).ended == "complete"


def test_what_follows_a_recording_says_so_wherever_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    told = "follows the recorded decisions of rules"
    replay = ("--provider", "replay", "--recording", "a", "--objectives", "efficiency", "--out", "b")
    done = trimtab(capsys, "run", *replay)
    assert done.code == 0, done.err
    assert f"{told} over strategies EF, SF: at most 3 iterations a session, seed 4, into sqlite:///b" in done.err
    assert "The policy has steered" not in done.err
    status = " ".join(trimtab(capsys, "status", "b").out.split())
    assert f"{told} over strategies EF, SF, at most 3 iterations a session" in status
    assert "recorded as sessions done" in status
    shown = trimtab(capsys, "show", SESSION, "--store", "b", "--no-diff").out
    assert f"task access_log_report, {told}, model rewriter" in shown
    assert "ok; the recording ends" in shown
    assert "then EF" not in shown
    assert "task access_log_report, policy rules" in trimtab(capsys, "show", SESSION, "--store", "a").out
    explained = trimtab(capsys, "policy", "explain", SESSION, "--store", "sqlite:///b/trimtab.db")
    assert explained.code == 1
    assert explained.err == (
        "Error: no policy decided in the store sqlite:///b/trimtab.db: its sessions follow the recorded decisions of "
        f"rules in {Path('a').absolute()}\n"
    )
    page = Path("b/report.html").read_text()
    assert "<dt>Follows</dt><dd><bdi>the recorded decisions of rules</bdi>" in page
    assert "Sessions per strategy" not in page
    assert set(json.loads(Path("b/fit.json").read_text())["strategies"]) == {"EF", "SF"}
    assert trimtab(capsys, "resume", "b").code == 0


def test_a_policy_of_a_file_is_refused_with_what_to_say_instead(capsys: pytest.CaptureFixture[str]) -> None:
    Path("trimtab.toml").write_text(
        'policy = "rules"\nprovider = "replay"\nrecording = "a"\nobjectives = "efficiency"\n'
    )
    refused = trimtab(capsys, "run", "--out", "b")
    assert (refused.code, refused.out, Path("b").exists()) == (1, "", False)
    assert "where a file gives it say --policy '', and the run follows the recorded course" in refused.err
    assert trimtab(capsys, "run", "--out", "b", "--policy", "").code == 0
