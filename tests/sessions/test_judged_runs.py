"""Whole runs that a model judges, over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.openai_server import Reply, Served, chat, serving
from trimtab.core.records import Iteration
from trimtab.core.streams import stream
from trimtab.errors import InputError, StoreError
from trimtab.estimation.fit import fit
from trimtab.estimation.score_noise import score_noise
from trimtab.judging.judge import LLMJudge
from trimtab.judging.prompt import SYSTEM
from trimtab.providers.base import Completion, Request
from trimtab.providers.registry import get_provider
from trimtab.sessions.config import RunConfig, load_config
from trimtab.sessions.experiment import plan_of, run_experiment
from trimtab.sessions.resumption import stored_config
from trimtab.sessions.runner import run_sessions
from trimtab.sessions.scorers import judge_endpoint, rubrics_of, scorers_of
from trimtab.store.base import Experiment
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

RUBRICS = ("calm", "clear")
CONFIG = """
tasks = "letters"
scorers = ["judge"]
sessions = 2
iterations = 3
[strategies]
use = ["soften"]
[strategies.soften]
instruction = "Make it calmer."
[judge]
repeats = 3
[judge.rubrics.calm]
text = "How calm it is."
[judge.rubrics.clear]
text = "How clear it is."
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith("TRIMTAB_") or name.upper().endswith("_PROXY") or name.startswith("OPENAI_"):
            monkeypatch.delenv(name)
    Path("letters").mkdir()
    for name in ("one", "two"):
        Path(f"letters/{name}.txt").write_text(f"Dear {name}, come at once!\n" * 5)


NOISE = np.array([0.6, 0.3])


def answer(request: Request) -> Completion:
    """Revise towards a level with chance steps, or judge the level with noise; all drawn from the request's seed."""
    content = request.messages[-1].content
    found = re.findall(r"level (-?[\d.]+) (-?[\d.]+)", content)
    level = np.array(found[0] if found else [2.0, 8.0], dtype=float)
    drawn = stream(request.seed).normal(size=2)
    if request.messages[0].content == SYSTEM:
        scores = dict(zip(RUBRICS, (level + NOISE * drawn).clip(0, 10).round(3), strict=True))
        names = re.findall(r"^### (\w+)$", content, re.MULTILINE)
        entries = {name: {"rationale": f"level {level[0]:.2f}", "score": scores.get(name, 5.0)} for name in names}
        return Completion(json.dumps(entries), "judge-1", "stop", 200, 30)
    calm, clear = level + 0.5 * ([5.0, 5.0] - level) + 0.7 * drawn
    return Completion(f"```text\nlevel {calm:.3f} {clear:.3f}\n```", "writer-1", "stop", 50, 40)


@pytest.fixture
def server() -> Iterator[Served]:
    with serving(chat(answer)) as served:
        yield served


def config(served: Served, text: str = CONFIG, **options: Any) -> RunConfig:
    Path("trimtab.toml").write_text(text)
    return load_config({"provider": "openai", "model": "writer", "base_url": served.url, **options})


def stored(out: str = "trimtab-out") -> list[Iteration]:
    store = open_store(f"sqlite:///{out}/trimtab.db")
    try:
        return list(store.iterations())
    finally:
        store.close()


def test_a_judged_run_keeps_its_judgements_apart_and_their_usage(server: Served) -> None:
    assert run_experiment(config(server)).ended == "complete"
    for record in stored():
        assert [(s.objective, s.repeat) for s in record.scores] == [(name, r) for name in RUBRICS for r in range(3)]
        assert len({s.value for s in record.scores}) == 6
        assert record.scores[0].evidence[0].message.startswith("level ")
        usage = {"model": "judge-1", "finish_reason": "stop", "prompt_tokens": 200, "completion_tokens": 30}
        assert record.meta["judge"] == [usage] * 3
    judged = [body for body in server.bodies if body["messages"][0]["content"] == SYSTEM]
    assert len(judged) == 3 * 2 * 4
    assert {body["model"] for body in server.bodies} == {"writer"}
    assert all(("response_format" in body) == (body in judged) for body in server.bodies)
    assert len({body["seed"] for body in server.bodies}) == len(server.bodies)


def test_repeated_judgements_tell_the_noise_of_scores(server: Served) -> None:
    """The noise planted in the judge is found again, within five standard errors of its variance."""
    wide = config(server, sessions=10, iterations=6, concurrency=10, judge_repeats=2)
    assert run_experiment(wide).ended == "complete"
    store = open_store("sqlite:///trimtab-out/trimtab.db")
    trajectories = store.trajectories()
    store.close()
    assert trajectories.judgements is not None
    found = score_noise(trajectories.judgements)
    assert found.dof.tolist() == [70, 70]
    assert np.all(np.abs(found.variance / NOISE**2 - 1) < 5 * np.sqrt(2 / 70)), found.variance
    assert "repeats" in fit(trajectories)["soften"].rungs


def test_the_result_does_not_depend_on_concurrency_and_goes_on_where_it_stopped(server: Served) -> None:
    results = []
    for out, options in (("a", [{"concurrency": 1}]), ("b", [{"concurrency": 9}]), ("c", [{"iterations": 1}, {}])):
        for more in options:
            assert run_experiment(config(server, out=out, **more)).ended == "complete"
        store = open_store(f"sqlite:///{out}/trimtab.db")
        results.append([row for row in contents(store) if row[0] == "iteration"])
        store.close()
    assert results[0] == results[1] == results[2]


def test_the_judge_may_be_another_model_elsewhere_with_its_own_options(server: Served) -> None:
    with serving(chat(answer)) as other:
        table = f'[judge]\nrepeats = 3\nbase_url = "{other.url}"\nmodel = "judge"\ntemperature = 0.5\nmax_tokens = 70'
        run_experiment(config(server, CONFIG.replace("[judge]\nrepeats = 3", table), judge_repeats=1))
        assert {(b["model"], b["temperature"], b["max_tokens"]) for b in other.bodies} == {("judge", 0.5, 70)}
        assert len(other.bodies) == 2 * 4
    assert {body["model"] for body in server.bodies} == {"writer"}


def test_a_spent_budget_of_the_judge_ends_the_run_cleanly_and_more_of_it_goes_on(server: Served) -> None:
    def limited(tokens: int) -> RunConfig:
        return config(server, CONFIG.replace("[judge]", f"[judge]\nbudget_tokens = {tokens}"), concurrency=2)

    outcome = run_experiment(limited(3_000))
    assert outcome.ended == "limit"
    assert "the judge's budget of 3,000 tokens is spent: judgements took" in outcome.reason
    spent = sum(one["prompt_tokens"] + one["completion_tokens"] for record in stored() for one in record.meta["judge"])
    assert 3_000 - 690 < spent <= 3_000
    assert all(s.status == "ok" for record in stored() for s in record.scores)
    assert run_experiment(limited(1_000_000)).ended == "complete"
    assert len(stored()) == 8


def test_answers_of_a_judge_that_are_none_fail_alone(server: Served) -> None:
    def odd(request: Request) -> Completion:
        judging = request.messages[0].content == SYSTEM
        return Completion("10 out of 10!") if judging and request.seed % 3 == 0 else answer(request)

    with serving(chat(odd)) as served:
        outcome = run_experiment(config(served))
    assert outcome.ended == "complete"
    scores = [score for record in stored() for score in record.scores]
    failed = [score for score in scores if score.value is None]
    assert 0 < len(failed) < len(scores)
    assert {score.status for score in failed} == {"failed"}
    said = "the judge's answer holds no JSON object"
    assert outcome.unscored == ((said, len(failed)),)
    assert {score.reason for score in failed} == {f"{said}, but begins with '10 out of 10!'"}
    assert all(record.status == "ok" for record in stored())


def test_a_judge_whose_key_is_refused_ends_the_run(server: Served) -> None:
    def locked(body: dict[str, Any]) -> Reply:
        return 401, {"Content-Type": "application/json"}, b'{"error": {"message": "bad key"}}'

    with serving(locked) as other:
        table = f'[judge]\nmodel = "judge"\nbase_url = "{other.url}"'
        outcome = run_experiment(config(server, CONFIG.replace("[judge]", table)))
    assert outcome.ended == "error"
    assert outcome.reason.startswith("the judge cannot go on: the endpoint http")
    assert not Path("trimtab-out").exists()


def test_no_judgement_is_paid_for_twice(server: Served) -> None:
    """What was asked for iterations that never came to be stored is there when the run goes on."""
    settings = config(server, sessions=1, iterations=1, concurrency=1)
    scorers = scorers_of(settings)
    plan = plan_of(settings, scorers)

    class Broken(MemoryStore):
        def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
            if any(iteration.index == 1 for iteration in iterations) and not self.mended:
                raise StoreError("the disk is full")
            super().extend(iterations, owner)

        mended = False

    async def go(store: Broken) -> None:
        provider = get_provider("openai", settings.provider_settings)
        try:
            await run_sessions(plan, store, provider, scorers_of(settings, provider))
        finally:
            await provider.aclose()

    store = Broken()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    with pytest.raises(StoreError):
        asyncio.run(go(store))
    assert len(server.bodies) == 3 + 1 + 3
    store.mended = True
    asyncio.run(go(store))
    assert len(server.bodies) == 3 + 1 + 3
    whole = Broken()
    whole.mended = True
    whole.set_experiment(Experiment("test", plan.space, plan.settings))
    asyncio.run(go(whole))
    assert contents(whole) == contents(store)


def test_a_judge_that_is_mended_is_asked_again(server: Served) -> None:
    """Answers without any score are outcomes of iterations that are stored, and are not kept for others."""
    seen: list[int] = []

    def babbling(request: Request) -> Completion:
        if request.messages[0].content != SYSTEM:
            return answer(request)
        seen.append(request.seed)
        return Completion("10 out of 10!", "judge-1", "stop", 200, 5)

    small = CONFIG.replace("repeats = 3", "repeats = 12")
    assert run_experiment(config(server, small, sessions=1, iterations=1)).ended == "complete"
    with serving(chat(babbling)) as broken:
        for _ in range(2):
            before = len(seen)
            outcome = run_experiment(config(broken, small, sessions=2, iterations=3))
            assert outcome.ended == "error"
            assert outcome.reason.startswith("the judge cannot judge: none of its first 2")
            assert len(seen) > before
    assert run_experiment(config(server, small, sessions=2, iterations=3)).ended == "complete"
    last = [record for record in stored() if record.index == 3]
    assert len(last) == 2
    assert all(score.status == "ok" for record in last for score in record.scores)


def test_what_gives_judgements_their_meaning_may_not_change_within_a_store(server: Served) -> None:
    run_experiment(config(server, iterations=1, sessions=1))
    changes = {
        "repeats of the judge (3 there, 2 now)": {"judge_repeats": 2},
        "model of the judge ('writer' there, 'x' now)": {"judge_model": "x"},
    }
    for said, options in changes.items():
        with pytest.raises(StoreError) as caught:
            run_experiment(config(server, iterations=1, sessions=1, **options))
        assert said in str(caught.value)
    with pytest.raises(StoreError, match="the rubric of clear"):
        run_experiment(config(server, CONFIG.replace("How clear", "How very clear"), iterations=1, sessions=1))
    moved = CONFIG.replace("[judge]", "[judge]\nconcurrency = 3\ntimeout = 9.0")
    assert run_experiment(config(server, moved, iterations=1, sessions=1)).ended == "complete"


def test_a_store_judged_by_other_words_is_not_gone_on_with(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    run_experiment(config(server, iterations=1, sessions=1))
    monkeypatch.setattr("trimtab.judging.prompt.SYSTEM", SYSTEM + " Be kind.")
    with pytest.raises(StoreError, match="other settings: the words in which the judge is asked, which come from"):
        run_experiment(config(server, iterations=2, sessions=1))


def test_a_judged_run_of_a_preset_goes_on_from_what_its_store_says(server: Served) -> None:
    text = "[judge]\ntemperature = 0.5\n[judge.rubrics.warmth]\ntext = 'Warm?'"
    run_experiment(config(server, text, preset="content", sessions=1, iterations=1, strategies="creative"))
    store = open_store("sqlite:///trimtab-out/trimtab.db")
    Path("trimtab.toml").unlink()
    again = stored_config(store, {"iterations": 2})
    store.close()
    assert (again.preset, again.scorers, again.judge.temperature) == ("content", ("judge",), 0.5)
    outcome = run_experiment(again)
    assert (outcome.ended, outcome.progress.new) == ("complete", 1)
    assert {score.objective for score in stored()[2].scores} == {"creativity", "accuracy", "engagement", "warmth"}


def test_a_judge_at_the_same_endpoint_shares_its_limit(server: Served) -> None:
    settings = config(server)
    provider = get_provider("openai", settings.provider_settings)
    (shared,) = scorers_of(settings, provider)
    assert isinstance(shared, LLMJudge)
    assert shared.provider is provider
    (apart,) = scorers_of(config(server, CONFIG.replace("[judge]", "[judge]\nconcurrency = 2")), provider)
    assert isinstance(apart, LLMJudge)
    assert apart.provider is not provider


def test_rubrics_are_those_of_the_preset_and_the_file_for_what_is_recorded(server: Served) -> None:
    Path("trimtab.toml").write_text(
        '[judge.rubrics.warmth]\ntext = "Warm?"\n[judge.rubrics.accuracy]\ntext = "Our way."'
    )
    settings = load_config({"preset": "content", "provider": "openai", "model": "m", "base_url": server.url})
    assert settings.objectives == ("creativity", "accuracy", "engagement", "warmth")
    found = rubrics_of(settings)
    assert [rubric.objective.name for rubric in found] == list(settings.objectives)
    assert found[1].text == "Our way."
    fewer = load_config({"preset": "content", "provider": "openai", "model": "m", "objectives": "warmth,creativity"})
    assert [rubric.objective.name for rubric in rubrics_of(fewer)] == ["warmth", "creativity"]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("", {"scorers": "judge"}, "the scorer judge needs a rubric for each objective: give --preset NAME"),
        ("", {"scorers": "judge", "preset": "content"}, "the scorer judge needs the name of a model: give --judge-"),
        ("", {"judge_model": "m"}, "judge_model is given, but no scorer asks a model: add judge to --scorers"),
        ("", {"judge_repeats": 2}, "judge_repeats is given, but no scorer asks a model"),
        ("", {"judge_repeats": 65, "scorers": "judge"}, "--judge-repeats should be less than or equal to 64, but"),
        ("[judge]\nmodel = 'm'", {}, 'there is a table [judge], but no scorer uses it: say scorers = ["judge"]'),
        ("[judge]\nmodle = 'm'", {}, "judge.modle"),
        ("[judge]\nrepeats = 'many'", {}, "judge.repeats"),
        ("scorers = ['judge']\n[judge]\nmodel='m'\n[judge.rubrics.calm]\nlow = 1", {}, "calm needs a text"),
        (
            "scorers = ['judge']\nobjectives = ['warm']\n[judge]\nmodel='m'\nbase_url='http://127.0.0.1:1/v1'\n"
            "[judge.rubrics.calm]\ntext = 'Calm?'",
            {},
            "no scorer gives the objective 'warm'; there are calm",
        ),
        ("", {"preset": "nope"}, "no preset is called 'nope'; there are code, content"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(text: str, options: dict[str, Any], said: str) -> None:
    Path("trimtab.toml").write_text(text)
    with pytest.raises(InputError) as caught:
        plan_of(load_config({"tasks": "letters", **options}))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_where_a_judge_is_asked() -> None:
    def where(text: str = "", **options: Any) -> tuple[str, str, str]:
        Path("trimtab.toml").write_text(text)
        name, settings = judge_endpoint(load_config({"preset": "content", "scorers": "judge", **options}))
        return name, settings.model, settings.base_url

    online = {"provider": "openai", "model": "m", "base_url": "http://a/v1"}
    assert where(**online) == ("openai", "m", "http://a/v1")
    assert where(judge_model="j", **online) == ("openai", "j", "http://a/v1")
    assert where("[judge]\nmodel = 'j'\nbase_url = 'http://b/v1'", **online) == ("openai", "j", "http://b/v1")
    assert where("[judge]\nbase_url = 'http://b/v1'", judge_model="j") == ("openai", "j", "http://b/v1")
    with pytest.raises(InputError, match="needs the name of a model"):
        where("[judge]\nbase_url = 'http://b/v1'", **online)
