"""Runs that follow a recording: its course, iteration by iteration, under other scores."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trimtab as tt
from support.plugins import installed
from support.reruns import LENGTH, course, followed, lengths, records, run, settings_of, url
from trimtab.core.records import Iteration
from trimtab.errors import InputError, StoreError
from trimtab.plugins import SCORERS
from trimtab.providers.registry import get_provider
from trimtab.providers.rewriter import provider
from trimtab.sessions.config import RunConfig, load_config
from trimtab.sessions.course import RecordedCourse
from trimtab.sessions.experiment import plan_of, run_experiment
from trimtab.sessions.inspection import overview
from trimtab.sessions.progress import Outcome
from trimtab.sessions.replay import explain
from trimtab.sessions.resumption import stored_config
from trimtab.sessions.runner import run_sessions
from trimtab.sessions.scorers import scorers_of
from trimtab.store.base import Experiment
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

STEERED = {
    "policy": "best_of_n",
    "strategies": "EF,SF,AI",
    "sessions": 6,
    "iterations": 4,
    "seed": 3,
    "round": 3,
    "trigger": "security<3:stop",
    "score_noise": "security=1,efficiency=1,functionality=1",
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provider, "default_workers", lambda: 0)  # processes of its own take a second to start
    installed(monkeypatch, tmp_path / "site", {SCORERS: {"length": "example_plugin:Length"}}, LENGTH)


def assert_scored_anew(found: Sequence[Iteration]) -> None:
    assert [one.values for one in found if one.status == "ok"] == [lengths(one) for one in found if one.status == "ok"]


@pytest.mark.parametrize("policy", ["best_of_n", "predictive", "rules"])
def test_other_scorers_follow_what_a_policy_decided(policy: str) -> None:
    run("a", **{**STEERED, "policy": policy})
    outcome = followed("b")
    before, after = records("a"), records("b")
    assert outcome.ended == "complete"
    assert course(after) == course(before)
    assert_scored_anew(after)
    bases = [one.base for one in before if one.base != one.index - 1]
    assert bool(bases) == (policy == "best_of_n"), "an earlier iterate has to be gone on from in one of the three"
    assert len({one.strategy for one in before}) == 3
    assert len({one.session_id for one in before if one.meta["decision"]["action"] == "stop"}) == 6
    assert outcome.progress.iterations == outcome.progress.iterations_done == len(before) - 6 < 24
    assert all(not {"decision", "watch"} & one.meta.keys() for one in after)
    assert settings_of("b")["follows"] == f"the recorded decisions of {policy}"
    # A recording of a recording is followed too, with its own scorers where none are named.
    assert run("c", provider="replay", recording="b").ended == "complete"
    assert (course(records("c")), [one.values for one in records("c")]) == (course(before), [o.values for o in after])


def test_a_store_that_follows_says_so_and_no_policy_is_explained() -> None:
    run("a", **STEERED)
    followed("b")
    store = open_store(url("b"))
    found = overview(store)
    with pytest.raises(StoreError, match=r"no policy decided in the store .*b/trimtab\.db: its sessions follow the "):
        explain(store, "best_of_n/access_log_report/0")
    store.close()
    assert found.complete
    assert {one.state for one in found.standings} == {"done"}
    assert "policy" not in found.settings


def test_each_step_belongs_to_the_strategy_that_made_it() -> None:
    run("a", **STEERED)
    followed("b")
    ours, theirs = tt.load(url("b")), tt.load(url("a"))
    names = [[data.strategies[k] for k in data.strategy] for data in (ours, theirs)]
    assert names[0] == names[1]
    assert ours.session_ids == theirs.session_ids
    np.testing.assert_array_equal(ours.iteration, theirs.iteration)


def test_scores_of_the_same_scorer_that_differ_are_followed_too() -> None:
    run("a", **STEERED)
    for out, given in (
        ("objectives", {"objectives": "efficiency"}),
        ("asked", {"policy": ""}),
        ("file", {"policy": "", "scorers": "python-static"}),
    ):
        assert run(out, provider="replay", recording="a", **given).ended == "complete"
        assert course(records(out)) == course(records("a"))
        assert "follows" in settings_of(out)
    run(
        "same",
        provider="replay",
        recording="a",
        scorers="python-static",
        objectives="security,efficiency,functionality",
    )
    assert "decision" in records("same")[0].meta


def test_a_judge_asked_again_gives_scores_that_no_decision_went_by() -> None:
    run("a", **STEERED)
    store = open_store(url("a"))
    found = store.experiment()
    kept = {**found.settings, "config": {**found.settings["config"], "scorers": ["judge"]}}
    store.set_experiment(Experiment(found.name, found.space, kept))
    store.close()
    config = load_config({"provider": "replay", "recording": "a", "scorers": "judge", "judge_model": "m"})
    assert (config.policy, config.trigger) == ("", ())


def test_a_course_is_followed_as_far_as_asked_and_to_where_it_broke_off() -> None:
    run("whole", **STEERED)
    store = open_store(url("whole"))
    part = MemoryStore()
    part.set_experiment(store.experiment())
    part.add_sessions(store.sessions())
    # Three sessions broke off in the middle, and the others have not begun.
    part.extend([one for session in store.sessions()[:3] for one in [*store.iterations(session.id)][:3]])
    store.close()
    saved = open_store("sqlite:///part.db", create=True)
    saved.set_experiment(part.experiment())
    saved.add_sessions(part.sessions())
    saved.extend(part.iterations())
    saved.close()
    assert followed("b", recording="part.db").ended == "complete"
    assert course(records("b")) == course(sorted(part.iterations(), key=lambda one: (one.session_id, one.index)))

    followed("c", recording="whole", iterations=2)
    assert max(one.index for one in records("c")) == 2
    again = open_store(url("c"))
    config = stored_config(again, {"iterations": 4})
    again.close()
    assert run_experiment(config).ended == "complete"
    assert course(records("c")) == course(records("whole"))


class Dying(MemoryStore):
    """A store whose process dies after so many iterations: nothing more gets in."""

    left = 0

    def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
        if self.left < len(iterations):
            raise StoreError("killed")
        self.left -= len(iterations)
        super().extend(iterations, owner)


@pytest.mark.parametrize("history", ["none", "full"])
def test_a_killed_run_goes_on_with_the_same_course(history: str) -> None:
    run("a", **STEERED, history=history)
    followed("b", trigger="length<900:warn")
    config = load_config(
        {"provider": "replay", "recording": "a", "scorers": "length", "trigger": "length<900:warn", "out": "b"}
    )
    store = open_store(url("b"))
    whole = contents(store)
    store.close()

    async def goes_on(broken: Dying) -> Outcome:
        answers = get_provider("replay", config.provider_settings)
        try:
            return await run_sessions(plan_of(config), broken, answers, scorers_of(config), concurrency=2)
        finally:
            await answers.aclose()

    for writes in (0, 3, 8, 13):
        broken = Dying()
        broken.left = writes
        plan = plan_of(config)
        broken.set_experiment(Experiment("run on rewriter", plan.space, plan.settings))
        for again in (4, 10**6):
            with pytest.raises(StoreError, match="killed"):
                asyncio.run(goes_on(broken))
            broken.left = again
        assert asyncio.run(goes_on(broken)).ended == "complete"
        assert contents(broken) == whole


def test_triggers_of_then_do_not_hold_and_new_ones_do() -> None:
    run("a", **{**STEERED, "trigger": "security<9:stop"})
    assert {one.index for one in records("a")} == {0}, "every session is stopped at its start"
    followed("b")
    assert course(records("b")) == course(records("a"))
    run("c", **{**STEERED, "trigger": ""})
    assert followed("d", recording="c", trigger="length<2000:stop,length<1e6:warn").fired
    first = {one.session_id: one.values["length"] for one in records("d") if not one.index}
    last = {one.session_id: one.index for one in records("d")}
    assert any(at == 0 for at in last.values())
    assert all(first[name] < 2000 for name, at in last.items() if at == 0)
    paused = followed("e", recording="c", trigger="length<1e6:ask")
    assert paused.aside
    assert {one.index for one in records("e")} == {0}
    for _ in range(9):
        if not followed("e", recording="c", trigger="length<1e6:ask", resume_paused=True).aside:
            break
    assert course(records("e")) == course(records("c"))


def test_what_cannot_be_followed_is_a_sentence() -> None:
    run("a", **STEERED)
    for given, said in (
        (
            {"policy": "best_of_n"},
            "policy is 'best_of_n', but the recording a holds no decisions of it by these",
        ),
        ({"utility": "worst"}, "utility is given, but only a policy has one: leave it out"),
        ({"strategies": "EF"}, "has iterations made by AI, SF, but this run has EF only: leave strategies out"),
        ({"tasks": "preset:content"}, "the recording a has no session on these tasks"),
    ):
        with pytest.raises(InputError, match=said):
            followed("b", **given)
        assert not Path("b").exists(), said
    followed("b")
    with pytest.raises(InputError, match="policy is 'best_of_n', but the recording b holds no decisions of it by"):
        followed("c", recording="b", policy="best_of_n")
    run("other", **{**STEERED, "seed": 4})
    with pytest.raises(StoreError, match="recording"):
        followed("b", recording="other")


def rows_of(courses: Mapping[str, Sequence[tuple[str, int]]]) -> list[dict[str, Any]]:
    """Return rows of a log: of each session strategy and base by index."""
    return [
        {
            "session_id": name,
            "strategy": strategy,
            "iteration": t,
            "quality": t,
            "task_id": "k",
            "text": f"x = {t}\n",
            **({"meta": {"restarted_from": base}} if base != t - 1 else {}),
        }
        for name, steps in courses.items()
        for t, (strategy, base) in enumerate(steps)
    ]


def test_sessions_of_a_file_that_switch_strategy_or_restart_are_followed() -> None:
    mine = [("A", -1), ("A", 0), ("B", 1), ("A", 0)]
    Path("log.jsonl").write_text("\n".join(map(json.dumps, rows_of({"s": mine, "u": mine[:3], "v": [("B", -1)]}))))
    outcome = followed("b", recording="log.jsonl")
    assert (outcome.ended, outcome.failures, outcome.progress.iterations) == ("complete", (), 5)
    found = {
        name: [(one.strategy, one.base) for one in records("b") if one.session_id == name]
        for name in ("A/k/0", "A/k/1", "B/k/0")
    }
    assert found == {"A/k/0": mine, "A/k/1": mine[:3], "B/k/0": [("B", -1)]}
    assert [one.artefact for one in records("b")][:4] == [f"x = {t}\n" for t in range(4)]
    assert_scored_anew(records("b"))
    assert settings_of("b")["follows"] == "the recorded steps"


def test_an_answer_counts_where_its_text_was_not_read_to_the_letter() -> None:
    texts = ("x = 0\n", "  y = 1\n", "z = 2\n")
    lines = [{**row, "text": texts[row["iteration"]]} for row in rows_of({"s": [("A", -1), ("A", 0), ("B", 1)]})]
    Path("log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert followed("b", recording="log.jsonl").failures == ()
    assert [one.artefact for one in records("b")] == ["x = 0\n", "y = 1\n", "z = 2\n"]


def test_an_iteration_that_a_file_lacks_fails_and_the_others_are_followed() -> None:
    steps = [("A", -1), ("B", 0), ("B", 1), ("A", 2)]
    lines = [row for row in rows_of({"s": steps}) if row["iteration"] != 2]
    Path("log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert [reason for reason, _ in followed("b", recording="log.jsonl").failures] == [
        "not recorded: session s has no iteration 2 in log.jsonl"
    ]
    assert [(one.strategy, one.artefact) for one in records("b")] == [
        ("A", "x = 0\n"),
        ("B", "x = 1\n"),
        ("B", "x = 1\n"),
        ("A", "x = 3\n"),
    ]


def test_python_functions_score_recorded_runs() -> None:
    run("a", **STEERED)
    found = tt.run(provider="replay", recording="a", scorers=lambda text, _: {"n": len(text)}, objectives=["n:0:99999"])
    ours = sorted(found.iterations(), key=lambda one: (one.session_id, one.index))
    assert course(ours) == course(records("a"))
    assert [one.values["n"] for one in ours if one.status == "ok"] == [
        len(one.artefact or "") for one in records("a") if one.status == "ok"
    ]
    same = sorted(tt.run(provider="replay", recording="a").iterations(), key=lambda one: (one.session_id, one.index))
    assert [one.meta["decision"] for one in same] == [one.meta["decision"] for one in records("a")]


def test_objectives_of_then_are_left_to_the_scorers_that_gave_them() -> None:
    run("a", preset="content", policy="best_of_n", sessions=2, iterations=2)
    assert followed("b").ended == "complete"
    assert course(records("b")) == course(records("a"))
    assert_scored_anew(records("b"))


def test_a_course_goes_on_from_the_recorded_iterate_also_after_an_interruption() -> None:
    run("a", **STEERED)
    plan = plan_of(RunConfig(provider="replay", recording="a", scorers=("length",)))
    found = records("a")
    restarted = [one for one in found if one.base != one.index - 1]
    assert restarted
    for record in restarted:
        session = next(one for one in plan.sessions if one.id == record.session_id)
        stored = [one for one in found if one.session_id == record.session_id][: record.index]
        interrupted = RecordedCourse(plan, session, stored[-1], lambda stored=stored: stored)
        straight = RecordedCourse(plan, session, None)
        for one in stored:
            straight.take(one)
        for going in (interrupted, straight):
            step = going.next()
            assert step is not None
            assert (step.t, step.session.strategy.name) == (record.index, record.strategy)
            assert step.current == stored[record.base].artefact
            assert going.options() == [record.strategy]


def test_a_plan_keeps_who_follows() -> None:
    run("a", **STEERED)
    plan = plan_of(RunConfig(provider="replay", recording="a", scorers=("length",)))
    assert not plan.steered
    assert plan.course is not None
    assert {session.arm for session in plan.sessions} == {"best_of_n"}
    assert plan.course.keys() == {session.id for session in plan.sessions}
