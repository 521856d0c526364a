"""Planned runs scored anew: as long as they were recorded, whatever ended them, and without their triggers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from support.openai_server import chat, serving
from support.plugins import installed
from support.reruns import LENGTH, course, followed, lengths, records, run, settings_of, url
from trimtab.errors import InputError
from trimtab.plugins import SCORERS
from trimtab.providers.base import Completion, Request
from trimtab.providers.rewriter import provider
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.sessions.inspection import overview
from trimtab.sessions.resumption import stored_config
from trimtab.store.open import open_store

PLANNED = {"strategies": "EF,SF", "sessions": 4, "iterations": 4, "seed": 3}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provider, "default_workers", lambda: 0)  # processes of its own take a second to start
    installed(monkeypatch, tmp_path / "site", {SCORERS: {"length": "example_plugin:Length"}}, LENGTH)


@pytest.mark.parametrize("action", ["stop", "pause"])
def test_sessions_that_triggers_ended_are_scored_anew_as_far_as_they_went(action: str) -> None:
    run("a", **PLANNED, trigger=f"security<4:{action}")
    before = records("a")
    lasts = {one.session_id: one.index for one in before}
    assert len({*lasts.values()}) > 1, "some sessions have to end early and others not"
    assert min(lasts.values()) < 4
    outcome = followed("b")
    after = records("b")
    assert (outcome.ended, outcome.aside, outcome.fired) == ("complete", (), ())
    assert sum(n for _, n in outcome.failures) == sum(one.status == "failed" for one in before)
    assert course(after) == course(before)
    assert [one.values for one in after if one.status == "ok"] == [lengths(o) for o in before if o.status == "ok"]
    assert outcome.progress.iterations == outcome.progress.iterations_done == len(before) - len(lasts)
    assert settings_of("b")["follows"] == "the recorded steps"
    store = open_store(url("b"))
    assert overview(store).complete
    config = stored_config(store, {"iterations": 9})
    store.close()
    assert config.trigger == ()
    # More iterations were not recorded, a recording of a recording ends where that did, and given triggers hold.
    assert followed("c", iterations=9).ended == "complete"
    assert run("d", provider="replay", recording="b").ended == "complete"
    assert course(records("c")) == course(records("d")) == course(before)
    followed("e", trigger="length<1e6:stop")
    assert {one.index for one in records("e")} == {0}


def test_a_run_that_broke_off_is_scored_anew_as_far_as_it_went() -> None:
    run("whole", **PLANNED)
    whole = open_store(url("whole"))
    part = open_store("sqlite:///part.db", create=True)
    part.set_experiment(whole.experiment())
    part.add_sessions(whole.sessions())
    # No session of SF has begun, and one of EF is at its start only.
    kept = {"EF/access_log_report/0": 0}
    others = [one.id for one in whole.sessions() if one.strategy == "EF" and one.id not in kept]
    kept |= {others[0]: 2, others[1]: 4}
    part.extend([one for one in whole.iterations() if one.index <= kept.get(one.session_id, -1)])
    part.close()
    whole.close()
    outcome = followed("b", recording="part.db")
    assert (outcome.ended, outcome.failures) == ("complete", ())
    assert {one.session_id: one.index for one in records("b")} == kept
    assert course(records("b")) == [one for one in course(records("whole")) if one[1] <= kept.get(one[0], -1)]


def test_some_strategies_and_some_sessions_of_a_planned_run_are_scored_anew() -> None:
    run("a", **PLANNED)
    before = course(records("a"))
    followed("b", strategies="SF")
    assert course(records("b")) == [one for one in before if one[0].startswith("SF/")]
    followed("c", sessions=2)
    tasks = {one[0].split("/")[1] for one in course(records("c"))}
    assert len(tasks) == 2
    assert course(records("c")) == [one for one in before if one[0].split("/")[1] in tasks]
    with pytest.raises(InputError, match=r"the recording a has no session of FF on these tasks; it has sessions of EF"):
        followed("d", strategies="EF,FF")
    with pytest.raises(InputError, match=r"policy is 'rules', but the recording a holds no decisions of it by"):
        followed("d", policy="rules")


def test_sessions_of_a_file_end_where_they_end_in_the_file() -> None:
    lengths_of = {"a": 2, "b": 4, "c": 0}
    rows = [
        {"session_id": name, "strategy": "A", "iteration": t, "quality": 1, "task_id": "k", "text": f"x = {t}\n"}
        for name, last in lengths_of.items()
        for t in range(last + 1)
    ]
    Path("log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    outcome = followed("b", recording="log.jsonl")
    assert (outcome.ended, outcome.failures) == ("complete", ())
    assert {one.session_id: one.index for one in records("b")} == {"A/k/0": 2, "A/k/1": 4, "A/k/2": 0}


class Judging:
    """A judge that gives each artefact its length, kept to the scale of a rubric, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, request: Request) -> Completion:
        self.asked += 1
        content = request.messages[-1].content
        names = re.findall(r"^### (\w+)$", content, re.MULTILINE)
        entries = {name: {"rationale": "by its length", "score": len(content) % 1000 / 100} for name in names}
        return Completion(json.dumps(entries), "judge-1", "stop", 200, 30)


def test_a_steered_run_is_judged_anew_on_its_recorded_course() -> None:
    run("a", **PLANNED, policy="best_of_n", trigger="security<3:stop", round=2)
    before = records("a")
    judge = Judging()
    with serving(chat(judge)) as served:
        given = {"provider": "replay", "recording": "a", "scorers": "judge", "judge_model": "judge-1", "out": "b"}
        Path("judged.toml").write_text(
            f'[judge]\nbase_url = "{served.url}"\n[judge.rubrics.tidy]\ntext = "How tidy it is."\n'
        )
        # A budget ends the run in the middle, and without one it goes on from there.
        part = run_experiment(load_config({**given, "budget_tokens": 2_000}, Path("judged.toml")))
        done = run_experiment(load_config(given, Path("judged.toml")))
    after = records("b")
    assert (part.ended, done.ended, done.failures) == ("limit", "complete", ())
    assert course(after) == course(before)
    assert {one.base for one in after} == {one.base for one in before}
    assert all(one.values.keys() == {"tidy"} for one in after)
    assert all(one.values["tidy"] is not None for one in after if one.status == "ok")
    assert len({one.values["tidy"] for one in after}) > 4
    assert all("decision" not in one.meta for one in after)
    assert settings_of("b")["follows"] == "the recorded decisions of best_of_n"
    # Each usable artefact is judged once, interrupted or not, and only that is counted as spent.
    judged = [one for one in after if "judge" in one.meta]
    assert judge.asked == len(judged) == sum(one.status == "ok" for one in after)
    assert sum(one.meta["judge"][0]["prompt_tokens"] for one in judged) == 200 * judge.asked
