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


STEERING = 'policy = "rules"\nfloor = "security>=1"\ncost = 0.1\ntrigger = "security<1:webhook"\n'
HOOK = 'webhook = "http://127.0.0.1:9/hook"\n'


def test_what_a_file_says_of_steering_is_set_aside_where_a_recording_is_followed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("trimtab.toml").write_text(STEERING + HOOK + "seed = 4\n")
    replay = ("run", "--provider", "replay", "--recording", "a", "--objectives", "efficiency")
    done = trimtab(capsys, *replay, "--out", "b")
    assert done.code == 0, done.err
    said = "set aside, as nothing steers this run: policy, floor, cost, trigger, webhook of trimtab.toml"
    assert said in " ".join(done.err.split())
    assert "Triggers fired" not in done.err
    # What is said otherwise holds, and so does what a trigger needs.
    fired = trimtab(capsys, *replay, "--out", "c", "--trigger", "efficiency<10:warn,efficiency<1:webhook")
    assert "Triggers fired" in fired.err
    assert "policy, floor, cost of trimtab.toml" in " ".join(fired.err.split())
    refused = trimtab(capsys, *replay, "--out", "d", "--cost", "0.1")
    assert (refused.code, Path("d").exists()) == (1, False)
    assert "cost is given, but only a policy has one" in refused.err
    refused = trimtab(capsys, *replay, "--out", "d", "--policy", "rules")
    assert (refused.code, Path("d").exists()) == (1, False)
    assert (
        "policy is 'rules', but the recording a holds no decisions of it by these scores: leave it out" in refused.err
    )


def test_an_empty_policy_sets_aside_what_only_a_policy_of_the_file_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("trimtab.toml").write_text(STEERING.replace(":webhook", ":warn") + "seed = 4\nsessions = 2\niterations = 1\n")
    done = trimtab(capsys, "run", "--policy", "", "--strategies", "EF", "--out", "b")
    assert done.code == 0, done.err
    assert "set aside, as nothing steers this run: floor, cost of trimtab.toml" in " ".join(done.err.split())
    assert load_config({"policy": ""}).trigger == ("security<1:warn",)
    assert load_config({}).policy == "rules"
    assert load_config({}).aside == ()
    Path("trimtab.toml").write_text('policy = "rules"\nfit = "reference"\nanswers = 0\n')
    assert load_config({"policy": ""}).aside == ("fit", "answers")


def test_a_file_that_itself_replays_is_taken_at_its_word(capsys: pytest.CaptureFixture[str]) -> None:
    replay = 'provider = "replay"\nrecording = "a"\nobjectives = "efficiency"\n'
    Path("trimtab.toml").write_text(replay + 'policy = "rules"\n')
    refused = trimtab(capsys, "run", "--out", "b")
    assert (refused.code, refused.out, Path("b").exists()) == (1, "", False)
    assert "leave it out, and the run follows the recorded course" in refused.err
    assert trimtab(capsys, "run", "--out", "b", "--policy", "").code == 0
    Path("trimtab.toml").write_text(replay + 'trigger = "efficiency<10:warn"\n')
    assert "Triggers fired" in trimtab(capsys, "run", "--out", "c").err
