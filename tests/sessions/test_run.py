"""``tt.run``: everything given as simply as it can be."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

import trimtab as tt
from support.providers import ScriptedProvider
from trimtab.core.objectives import Objective
from trimtab.core.records import Score
from trimtab.errors import InputError, ProviderError
from trimtab.scoring.base import ScoringContext
from trimtab.store.open import open_store

SMALL = {"sessions": 2, "iterations": 2}
TEXT = "Dear all,\n\nplease come on Sunday, there will be cake.\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith("TRIMTAB_"):
            monkeypatch.delenv(name)


def shorter(messages: list[dict[str, str]]) -> str:
    text = messages[-1]["content"].rsplit("```text\n", 1)[1].removesuffix("```\n")
    return f"```text\n{text[: len(text) // 2 + 10]}\n```"


def length(artefact: str, context: ScoringContext) -> dict[str, float]:
    return {"brevity": max(0.0, 10 - len(artefact) / 10)}


def test_the_simplest_run() -> None:
    result = tt.run([TEXT], {"short": "Make it shorter."}, shorter, length, objectives=["brevity"], **SMALL)
    assert result.outcome.ended == "complete"
    assert result.store_url == "memory://"
    assert [i.session_id for i in result.iterations()] == ["short/task-0/0"] * 3 + ["short/task-0/1"] * 3
    first = result.iterations()[0]
    assert (first.artefact, first.values) == (TEXT, {"brevity": pytest.approx(10 - len(TEXT) / 10)})
    assert result.trajectories.space.names == ("brevity",)
    assert result.trajectories.n_sessions == 2


def test_functions_may_be_asynchronous_and_several_and_stand_beside_named_scorers() -> None:
    async def slow(artefact: str, context: ScoringContext) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"taste": [5, 6.5], "depth": None, "calm": Score("calm", 1.0)}

    async def answer(messages: list[dict[str, str]]) -> str:
        return shorter(messages)

    result = tt.run(
        [tt.Task("one", "Invites.", TEXT, "text"), {"artefact": TEXT, "prompt": "Invites."}],
        [tt.Strategy("short", "Short", "Make it shorter.")],
        answer,
        [slow, length, "lexical"],
        objectives=["taste:0:10", Objective("depth"), "calm", "brevity"],
        **SMALL,
    )
    record = result.iterations()[-1]
    assert record.session_id == "short/task-1/0"
    given = {(s.objective, s.repeat): s.value for s in record.scores}
    assert (given["taste", 0], given["taste", 1], given["depth", 0], given["calm", 0]) == (5.0, 6.5, None, 1.0)
    assert given["helpfulness", 0] is not None


def test_a_preset_and_settings_by_name() -> None:
    result = tt.run(preset="safety", sessions=2, iterations=1, provider=ScriptedProvider(lambda _: "```\nGo on.\n```"))
    assert result.trajectories.space.names == ("helpfulness", "harmlessness", "honesty")
    assert {i.strategy for i in result.iterations()} == {"helpful", "harmless", "honest", "balanced"}


def test_a_store_that_lasts_is_gone_on_with() -> None:
    def go(iterations: int) -> tt.Run:
        return tt.run(
            [TEXT], {"short": "Shorter!"}, shorter, length, objectives=["brevity"], store="sqlite:///my.db", sessions=1,
            iterations=iterations,
        )  # fmt: skip

    assert go(1).outcome.progress.new == 1
    again = go(3)
    assert again.outcome.progress.new == 2
    assert len(again.iterations()) == 4
    store = open_store("sqlite:///my.db")
    assert store.experiment().settings["provider"] == "shorter"
    assert store.experiment().settings["tasks"] == "given in Python"
    store.close()


def test_a_run_inside_of_an_event_loop() -> None:
    async def notebook() -> tt.Run:
        return tt.run([TEXT], {"short": "Shorter!"}, shorter, length, objectives=["brevity"], **SMALL)

    assert asyncio.run(notebook()).outcome.ended == "complete"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"brevty": 1}, "gave 'brevty', which is none of brevity"),
        ({"brevity": "7"}, "the score of brevity should be a finite number or None, but is str '7'"),
        ({"brevity": float("nan")}, "but is float nan"),
        ({"brevity": True}, "but is bool True"),
        (7, "should give a mapping from objectives, but gave int 7"),
        ({}, "gave no score"),
        (None, "should give a mapping"),
    ],
)
def test_a_function_that_scores_badly_costs_scores_and_not_the_run(given: Any, reason: str) -> None:
    def odd(artefact: str, context: ScoringContext) -> Any:
        return given if context.iteration else {"brevity": 1}

    result = tt.run([TEXT], {"short": "Shorter!"}, shorter, odd, objectives=["brevity"], **SMALL)
    assert result.outcome.ended == "complete"
    score = result.iterations()[1].scores[0]
    assert score.value is None
    assert reason in score.reason


def test_a_provider_that_raises_ends_the_run_and_what_there_is_stays() -> None:
    calls = iter(range(10))

    def breaks(messages: list[dict[str, str]]) -> str:
        if next(calls) == 1:
            raise RuntimeError("the line is dead")
        return shorter(messages)

    with pytest.raises(ProviderError, match="the provider broke with RuntimeError: the line is dead"):
        tt.run([TEXT], {"s": "Shorter!"}, breaks, length, objectives=["brevity"], store="sqlite:///a.db", concurrency=1)
    store = open_store("sqlite:///a.db")
    assert len(list(store.iterations())) == 2
    store.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tasks": []}, "tasks should be a source or a list of tasks, at least one"),
        ({"tasks": [7]}, "a task should be a Task, a mapping or a text, but task 0 is 7"),
        ({"tasks": [{"text": "x"}]}, "task 0 should have id, prompt, artefact, language and meta"),
        ({"tasks": [{"id": "a", "artefact": "x"}] * 2}, "tasks need distinct ids"),
        ({"tasks": "nowhere"}, "there is no file or folder of tasks at 'nowhere'"),
        ({"strategies": "short"}, "strategies should be a list of names, or instructions by name, but is 'short'"),
        ({"strategies": ["XX"]}, "no strategy is called 'XX'"),
        ({"provider": 7}, "the provider should be a name, a provider or a function, but is 7"),
        ({"provider": "oracle"}, "provider should be one of"),
        ({"scorers": [7]}, "a scorer should be a name, a scorer or a function, but is 7"),
        ({"scorers": []}, "scorers should name at least one, but is empty"),
        ({"objectives": []}, "a function that scores needs the objectives that it gives"),
        ({"objectives": ["a:1"]}, "an objective is written NAME"),
        ({"scorers": "lexical"}, "no scorer gives the objective 'brevity'"),
        ({"sessions": 0}, "sessions should be greater than or equal to 1, but is 0"),
        ({"sesions": 1}, "'sesions' is no setting of trimtab"),
        ({"preset": "nope"}, "no preset is called 'nope'"),
        ({"store": "memory://"}, "store should be a URL that lasts"),
    ],
)
def test_mistakes_are_one_sentence(given: dict[str, Any], said: str) -> None:
    good: dict[str, Any] = {
        "tasks": [TEXT],
        "strategies": {"s": "Shorter!"},
        "provider": shorter,
        "scorers": length,
        "objectives": ["brevity"],
    }
    with pytest.raises(InputError) as caught:
        tt.run(**{**good, **given})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
