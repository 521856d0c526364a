"""The provider ``replay``: runs made again from what was recorded."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.plugins import installed
from support.records import experiment
from support.reruns import LENGTH
from trimtab.core.records import Iteration, Session
from trimtab.errors import InputError, ProviderError, StoreError
from trimtab.plugins import PROVIDERS, SCORERS
from trimtab.providers.base import Place, ProviderSettings, Request
from trimtab.providers.registry import get_provider
from trimtab.providers.replay import completion_of
from trimtab.providers.rewriter import provider
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.sessions.iterate import MAX_ANSWER_BYTES
from trimtab.sessions.progress import Outcome
from trimtab.sessions.recording import Recording
from trimtab.store.base import Experiment
from trimtab.store.contents import contents
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

SMALL = {"sessions": 2, "iterations": 3, "seed": 4, "strategies": "EF,SF"}

HARSH = '''
    """A provider whose answers are of every kind."""
    from trimtab.errors import ProviderError
    from trimtab.providers.base import Completion

    class Harsh:
        name = "harsh"

        def __init__(self, settings):
            self.settings = settings

        async def complete(self, request):
            kind = (request.seed // 7) % 7
            if kind == 0:
                raise ProviderError("the endpoint failed with status 500", meta={"attempts": 3},
                                    usage={"prompt_tokens": 5, "completion_tokens": 0})
            if kind == 1:
                return Completion("é" * 200_000, "m", prompt_tokens=3, completion_tokens=9)
            if kind == 2:
                return Completion("I would rather not.", finish_reason="length")
            if kind == 3:
                return Completion("```python\\ndef f(:\\n```")
            return Completion(f"```python\\nx = {request.seed % 3}\\n```", "m", prompt_tokens=1, completion_tokens=2,
                              attempts=2, cached_tokens=1)

        async def aclose(self):
            pass
'''


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provider, "default_workers", lambda: 0)  # processes of its own take a second to start


def run(out: str, **given: Any) -> Outcome:
    return run_experiment(load_config({"out": out, **given}))


def replayed(out: str, recording: str = "a", **given: Any) -> Outcome:
    return run(out, provider="replay", recording=recording, **given)


def rows(out: str) -> list[tuple[object, ...]]:
    store = open_store(f"sqlite:///{out}/trimtab.db")
    found = [row for row in contents(store) if row[0] != "experiment"]
    store.close()
    return found


def reasons(outcome: Outcome) -> list[str]:
    return [reason for reason, _ in outcome.failures]


def test_a_replay_with_the_same_scorers_has_the_same_contents() -> None:
    run("a", **SMALL)
    assert replayed("b").ended == "complete"
    assert rows("b") == rows("a")
    store = open_store("sqlite:///b/trimtab.db")
    assert store.experiment().settings["recording"] == str(Path("a").absolute())
    store.close()
    assert replayed("c", recording="sqlite:///a/trimtab.db", concurrency=1).ended == "complete"
    assert rows("c") == rows("a")


def test_answers_that_failed_fail_again_in_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, tmp_path / "site", {PROVIDERS: {"harsh": "example_plugin:Harsh"}}, HARSH)
    first = run("a", **{**SMALL, "sessions": 8}, provider="harsh", model="m")
    assert len(first.failures) >= 4
    assert any("400,000 bytes" in reason for reason in reasons(first))
    again = replayed("b")
    assert sorted(again.failures) == sorted(first.failures)
    assert rows("b") == rows("a")


def test_a_replay_with_other_scorers_has_the_same_answers_and_other_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, tmp_path / "site", {SCORERS: {"length": "example_plugin:Length"}}, LENGTH)
    run("a", **SMALL)
    assert replayed("b", scorers="length").ended == "complete"
    ours, theirs = rows("b"), rows("a")
    texts = [row[1:9] for row in theirs if row[0] == "iteration"]
    assert [row[1:9] for row in ours if row[0] == "iteration"] == texts
    for row in ours:
        if row[0] == "iteration" and row[4] == "ok":
            assert [(s.objective, s.value) for s in row[-1]] == [
                ("length", len(row[6])),
                ("lines", len(row[6].splitlines())),
            ]


def test_a_steered_run_is_replayed_with_its_decisions() -> None:
    given = {**SMALL, "strategies": "EF,SF,AI", "policy": "best_of_n", "utility": "worst", "round": 2, "sessions": 4}
    run("a", **given)
    assert replayed("b").ended == "complete"
    assert rows("b") == rows("a")
    other = replayed("d", policy="best_of_n", cost=0.0, utility="product", scorers="python-static")
    assert all(reason.startswith(("not recorded: iteration", "not recorded: session")) for reason in reasons(other))


def test_texts_of_other_tasks_and_lost_files_are_replayed_by_what_the_recording_holds() -> None:
    Path("tasks.jsonl").write_text(
        "\n".join(
            json.dumps({"id": name, "prompt": "Say it.", "artefact": text, "language": language})
            for name, text, language in (("plan", "First this. Then that.", "text"), ("note", "All is well.", "text"))
        )
    )
    given = {**SMALL, "tasks": "tasks.jsonl", "scorers": "lexical", "objectives": "accuracy"}
    run("a", **given)
    assert replayed("b").ended == "complete"
    assert rows("b") == rows("a")
    Path("tasks.jsonl").unlink()
    assert replayed("c").ended == "complete"
    texts = [row[1:9] for row in rows("a") if row[0] == "iteration"]
    assert [row[1:9] for row in rows("c") if row[0] == "iteration"] == texts


def test_what_was_not_recorded_fails_and_says_so() -> None:
    run("a", **SMALL)
    more = replayed("b", iterations=5, sessions=9)
    assert more.ended == "complete"
    assert more.progress.sessions == 4
    texts = dict(more.failures)
    assert sum(n for reason, n in texts.items() if reason.startswith("not recorded: session")) == 8
    store = open_store("sqlite:///b/trimtab.db")
    last = store.last_iterations(["EF/access_log_report/0"])["EF/access_log_report/0"]
    store.close()
    assert last.reason == "not recorded: session EF/access_log_report/0 has no iteration 5 in a"


def test_a_replay_can_be_stopped_and_gone_on_with() -> None:
    from trimtab.sessions.resumption import stored_config

    run("a", **SMALL)
    replayed("b", iterations=1)
    store = open_store("sqlite:///b/trimtab.db")
    config = stored_config(store, {"iterations": 3})
    store.close()
    assert run_experiment(config).ended == "complete"
    assert rows("b") == rows("a")
    run("other", **{**SMALL, "seed": 5})
    with pytest.raises(StoreError, match="recording"):
        replayed("b", recording="other", seed=4)


def test_recordings_of_files_are_replayed_from_their_texts() -> None:
    lines = [
        {"session_id": f"s{s}", "strategy": "mine", "iteration": t, "quality": t, "task_id": "k", "text": text}
        for s in range(2)
        for t, text in enumerate((f"x = {0 if s < 1 else 7}\n", "y = eval('2')\n", "z = 3\n"))
    ]
    Path("log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    outcome = replayed("b", recording="log.jsonl")
    assert (outcome.ended, outcome.progress.failures, outcome.progress.sessions) == ("complete", 0, 2)
    store = open_store("sqlite:///b/trimtab.db")
    found = [(one.session_id, one.index, one.artefact) for one in store.iterations()]
    store.close()
    # Sessions of one task that begin with different texts are on tasks of their own.
    assert found == [
        (f"mine/{task}/0", t, text)
        for task, start in (("k", "x = 0\n"), ("s1", "x = 7\n"))
        for t, text in enumerate((start, "y = eval('2')\n", "z = 3\n"))
    ]


def test_mistakes_are_a_sentence() -> None:
    run("a", **SMALL)
    Path("scores.csv").write_text("session_id,iteration,quality\na,0,1\na,1,2\n")
    empty = open_store("sqlite:///empty.db", create=True)
    empty.close()
    for settings, said in (
        ({"provider": "replay"}, "the provider replay needs what was recorded: give --recording SOURCE"),
        ({"recording": "a"}, "recording is given, but only provider replay has one: add --provider replay"),
        ({"tasks": "recording"}, "tasks is 'recording', but there is none"),
        ({"provider": "replay", "recording": "nowhere"}, "there is no recording at 'nowhere': give a store URL"),
        ({"provider": "replay", "recording": "."}, "there is no recording at '.'"),
        ({"provider": "replay", "recording": "empty.db"}, "the recording empty.db holds no session that has begun"),
        ({"provider": "replay", "recording": "scores.csv"}, "does not say what session 'a' began with"),
        ({"provider": "replay", "recording": "a", "strategies": "FF"}, "the recording a has no session of FF on these"),
        ({"provider": "replay", "recording": "a", "base_url": "http://h/v1"}, "the provider replay asks no endpoint"),
        ({"provider": "replay", "recording": "a", "policy": "rules"}, "no session of rules on these tasks; it has"),
    ):
        with pytest.raises(InputError, match=said):
            run("b", **settings)
        assert not Path("b").exists(), said


def test_a_judged_recording_is_not_judged_again_unasked() -> None:
    run("a", **SMALL)
    store = open_store("sqlite:///a/trimtab.db")
    found = store.experiment()
    settings = {**found.settings, "config": {**found.settings["config"], "scorers": ["judge"]}}
    store.set_experiment(Experiment(found.name, found.space, settings))
    store.close()
    with pytest.raises(InputError, match="scored by a judge, which asks a model: say --scorers judge"):
        replayed("b")
    assert replayed("b", scorers="python-static").ended == "complete"


def test_requests_outside_of_a_run_are_refused() -> None:
    run("a", **SMALL)
    recorded = get_provider("replay", ProviderSettings(options={"recording": "a"}))
    with pytest.raises(ProviderError, match="answers iterations of a run only") as refused:
        asyncio.run(recorded.complete(Request(())))
    assert refused.value.fatal
    asyncio.run(recorded.aclose())


def test_a_long_answer_is_made_up_again_whatever_was_cut_at() -> None:
    for head in range(5):
        text = "x" * (MAX_ANSWER_BYTES - head) + "€" * 3 + "é" + "y" * head
        kept = text.encode()[:MAX_ANSWER_BYTES].decode(errors="ignore")
        record = Iteration("s", 1, "A", "", answer=kept, status="failed", meta={"answer_bytes": len(text.encode())})
        again = completion_of(record).text
        assert len(again.encode()) == len(text.encode())
        assert again.encode()[:MAX_ANSWER_BYTES].decode(errors="ignore") == kept
    boast = replace(record, answer="short", meta={"answer_bytes": 10**15})
    assert len(completion_of(boast).text) <= 64 * 2**20


NAMES = ["model", "finish_reason", "wasted", "attempts", "answer_bytes", "prompt_tokens"]
VALUES = st.none() | st.integers(-5, 10**6) | st.text() | st.lists(st.integers()) | st.booleans()


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_whatever_an_import_left_in_meta_is_answered(meta: dict[str, Any]) -> None:
    found = completion_of(Iteration("s", 1, "A", "x", answer="hello", meta=meta))
    assert found.text.startswith("hello")
    with pytest.raises(ProviderError, match="neither an answer nor an artefact was recorded"):
        completion_of(Iteration("s", 1, "A", None, meta=meta))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_each_session_is_the_next_free_replicate_of_its_task(replicates: list[int]) -> None:
    store = MemoryStore()
    store.set_experiment(experiment())
    sessions = [Session(f"s{i}", "a", "EF", replicate) for i, replicate in enumerate(replicates)]
    store.add_sessions(sessions)
    for one in sessions:
        store.append(Iteration(one.id, 0, "EF", "x = 1\n", (), extraction="start"))
    recording = Recording(store, "log")
    taken: dict[int, str] = {}
    for one in sessions:
        taken[next(r for r in count(one.replicate) if r not in taken)] = one.id
    found = {r: recording.iteration(Place("EF", "a", r, 0, "EF"), "").session_id for r in taken}
    assert found == taken
    assert recording.size(1) == max(taken) + 1
