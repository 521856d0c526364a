"""``trimtab status``, ``sessions`` and ``show``, as a user gives them."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from support.cli import trimtab
from support.records import experiment, iterations, session
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import RESTARTED, Evidence, Iteration, Score, Session
from trimtab.judging.answer import RULE
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import plan_of, run_experiment
from trimtab.sessions.inspection import best_of, overview, score_of
from trimtab.sessions.schemas import json_schema
from trimtab.store.base import Experiment
from trimtab.store.imports import import_entry
from trimtab.store.leases import new_owner
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

SMALL = {"sessions": 2, "iterations": 3, "seed": 4, "strategies": "EF,SF", "tasks": "builtin:calculator"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(out: str = "trimtab-out", **given: object) -> None:
    assert run_experiment(load_config({**SMALL, "out": out, **given})).ended == "complete"


def made(
    index: int, security: float | None, artefact: str, status: str = "ok", reason: str = "", **meta: object
) -> Iteration:
    score = Score("security", security, "failed" if security is None else "ok", reason)
    return Iteration(
        "EF/a/0",
        index,
        "EF",
        artefact,
        (replace(score, evidence=(Evidence("eval", -2.5, 3, "runs what it is given"),)),),
        status,  # type: ignore[arg-type]
        reason,
        answer=f"answer {index}" if index else None,
        extraction="start" if index == 0 else "fence",
        meta=meta,
    )


def as_described(document: dict[str, Any]) -> None:
    """Hold a document against the JSON Schema that it names."""
    name = document["schema"].removeprefix("trimtab.").removesuffix("/1")
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document)
    for lacking in schema["required"]:
        assert not Draft202012Validator(schema).is_valid({k: v for k, v in document.items() if k != lacking})
    assert not Draft202012Validator(schema).is_valid({**document, "more": 1})


@pytest.mark.parametrize("policy", [None, "thompson"])
def test_documents_are_as_their_schemas_say(capsys, policy: str | None) -> None:
    run(**({"policy": policy} if policy else {}))
    session_id = f"{policy or 'EF'}/calculator/0"
    for arguments in (["status"], ["sessions"], ["show", session_id], ["plugins"]):
        document = json.loads(trimtab(capsys, *arguments, "--json").out)
        as_described(document)
        assert document.get("arms") or document.get("sessions") or document.get("iterations") or document["plugins"]


def small_store(url: str, *records: Iteration, **settings: object) -> None:
    store = open_store(url, create=True)
    store.set_experiment(Experiment("small", ObjectiveSpace(["security"]), settings))
    store.add_sessions([Session("EF/a/0", "a", "EF", 0, "tiny")])
    store.extend(records)
    store.close()


def test_status_of_a_run_from_beginning_to_end(capsys) -> None:
    run()
    done = trimtab(capsys, "status")
    assert (done.code, done.err) == (0, "")
    assert "run on rewriter, in sqlite:///trimtab-out/trimtab.db" in done.out
    assert "provider rewriter (Embedded stand-in for an LLM, not an LLM)" in done.out
    assert "strategies EF, SF x 2 sessions x 3 iterations, tasks builtin:calculator, seed 4" in done.out
    lines = [line.split() for line in done.out.splitlines()]
    assert ["strategy", "sessions", "done", "stored", "failed"] in lines
    assert any(line[:4] == ["EF", "2", "2", "6"] for line in lines)
    assert any(line[:5] == ["in", "all", "4", "4", "12"] for line in lines)
    assert "complete: trimtab report sqlite:///trimtab-out/trimtab.db" in done.out
    assert "seconds ago" in done.out or "second ago" in done.out

    store = open_store("sqlite:///trimtab-out/trimtab.db", create=True)
    found = store.experiment()
    store.set_experiment(replace(found, settings={**found.settings, "iterations": 5}))
    store.add_sessions([Session("EF/calculator/2", "calculator", "EF", 2)])
    owner = new_owner()
    store.claim(owner, ["EF/calculator/0", "EF/calculator/1"], 60)
    said = trimtab(capsys, "status", "trimtab-out").out
    assert ["strategy", "sessions", "not", "begun", "under", "way", "stored", "failed"] in map(
        str.split, said.splitlines()
    )
    assert "is at work on 2 sessions" in said
    assert "to go on" not in said
    document = json.loads(trimtab(capsys, "status", "trimtab-out", "--json").out)
    assert document["arms"]["EF"]["under way"] == 2
    assert document["arms"]["EF"]["not begun"] == 1
    assert document["processes"][0]["sessions"] == 2
    store.release(owner)
    store.close()
    assert "to go on: trimtab resume trimtab-out/trimtab.db" in trimtab(capsys, "status", "trimtab-out/trimtab.db").out


def test_commands_to_copy_are_whole_whatever_the_path_is_called(capsys) -> None:
    out = f"it's my {'very ' * 20}own folder; touch evil"
    run(out)

    def given(line: str) -> list[str]:
        return shlex.split(next(one for one in trimtab(capsys, "status", out).out.splitlines() if line in one))

    done = given("complete: ")
    assert done[:4] == ["complete:", "trimtab", "report", f"sqlite:///{out}/trimtab.db"]
    assert done[4:] == ["shows", "what", "it", "says"]
    assert trimtab(capsys, *done[2:4], "--out", "r.html").code == 0
    store = open_store(f"sqlite:///{out}/trimtab.db")
    found = store.experiment()
    assert found is not None
    store.set_experiment(replace(found, settings={**found.settings, "iterations": 5}))
    store.close()
    assert given("to go on: ") == ["to", "go", "on:", "trimtab", "resume", out]
    assert trimtab(capsys, "resume", out, "--iterations", "4").code == 0


def test_a_store_with_nothing_in_it_is_not_complete(capsys) -> None:
    open_store("sqlite:///empty.db", create=True).close()
    assert json.loads(trimtab(capsys, "status", "empty.db", "--json").out)["complete"] is False
    assert "there is nothing in it" in trimtab(capsys, "status", "empty.db").out


def test_status_counts_failures_by_reason_and_what_was_taken(capsys) -> None:
    small_store(
        "sqlite:///s.db",
        made(0, 1.0, "a"),
        made(1, None, "a", "failed", "syntax error on line 3 of it", cost_usd=0.25, finish_reason="stop",
             prompt_tokens=10, completion_tokens=5),
        made(2, None, "a", "failed", "syntax error on line 4", finish_reason="stop"),
        made(3, None, "a", "failed"),
    )  # fmt: skip
    done = trimtab(capsys, "status", "s.db")
    assert "2 x syntax error\n" in done.out
    assert "1 x no reason given" in done.out
    assert "at least 15 tokens, at least $0.250 (1 answer of unknown usage)" in done.out
    spent = json.loads(trimtab(capsys, "status", "sqlite:///s.db", "--json").out)["spent"]
    assert (spent["prompt_tokens"], spent["usd"], spent["of_unknown_usage"]) == (10, 0.25, 1)


def test_steered_sessions_stand_where_their_decisions_say() -> None:
    store = MemoryStore()
    plan = plan_of(load_config({**SMALL, "policy": "rules", "iterations": 5}))
    store.set_experiment(Experiment("steered", ObjectiveSpace(["security"]), plan.settings))
    for name, action, answers in (
        ("go", "continue", []),
        ("stop", "stop", []),
        ("ask", "ask", []),
        ("aside", "ask", [{"action": "continue"}, {"action": "pause"}]),
        ("answered", "ask", [{"action": "stop"}]),
        ("let", "ask", [{"action": "continue"}]),
        ("worse", "ask", [{"action": "dance"}]),
        ("odd", "continue", []),
    ):
        store.add_sessions([Session(name, strategy="rules")])
        meta = {"decision": {"action": action, "keep": 0}, "answers": answers}
        store.append(replace(made(0, 1.0, "a", **meta), session_id=name))
    store.append(replace(made(1, 1.0, "a", decision="nonsense"), session_id="odd"))
    states = {one.session.id: one.state for one in overview(store).standings}
    assert states == {
        "go": "under way",
        "stop": "done",
        "ask": "waits",
        "aside": "paused",
        "answered": "done",
        "let": "under way",
        "worse": "under way",
        "odd": "under way",
    }


def test_a_run_with_sessions_set_aside_is_gone_on_with(capsys) -> None:
    run(trigger="security<10:pause")
    told = trimtab(capsys, "status").out
    assert "paused" in told
    assert "to go on: trimtab resume --resume-paused" in told
    assert "4 of 4 sessions\n" in trimtab(capsys, "sessions", "--status", "paused").out


@pytest.mark.parametrize("name", ["plain", "two words", "it's $HOME", "-1", "--store"])
def test_the_command_that_shows_a_session_can_be_copied(name: str, capsys) -> None:
    Path("my logs").mkdir()
    store = open_store("sqlite:///my logs/a.db", create=True)
    store.set_experiment(Experiment("logs", ObjectiveSpace(["q"])))
    store.add_sessions([Session(name, strategy="A")])
    store.extend([Iteration(name, 0, "A", "text", scores=(Score("q", 1.0),))])
    store.close()
    listed = trimtab(capsys, "sessions", "my logs/a.db").out
    program, *command = shlex.split(listed.partition("to see one: ")[2])
    assert program == "trimtab"
    shown = trimtab(capsys, *command)
    assert (shown.code, shown.err) == (0, "")
    assert name in shown.out


def test_sessions_are_listed_and_chosen(capsys) -> None:
    run()
    done = trimtab(capsys, "sessions", "--limit", 3)
    assert done.code == 0, done.err
    assert "3 of 4 sessions; 1 more with --limit 0\nto see one: trimtab show EF/calculator/0\n" in done.out
    every = json.loads(trimtab(capsys, "sessions", "trimtab-out", "--json").out)
    assert [one["id"] for one in every["sessions"]] == [f"{s}/calculator/{i}" for i in range(2) for s in ("EF", "SF")]
    store = open_store("sqlite:///trimtab-out/trimtab.db")
    for one in every["sessions"]:
        records = list(store.iterations(one["id"]))
        scored = [r for r in records if r.status == "ok" and r.scores[0].value is not None]
        assert one["first_scores"]["security"] == records[0].scores[0].value
        assert one["last_scores"]["security"] == scored[-1].scores[0].value
        assert (one["status"], one["last"], one["stored"]) == ("done", 3, 3)
        assert one["best"] == best_of(records, store.experiment().space)
    store.close()
    only = trimtab(capsys, "sessions", "--strategy", "SF", "--task", "calculator", "--status", "done", "--limit", 0)
    assert "2 of 4 sessions\nto see one: trimtab show SF/calculator/0\n" in only.out
    assert "EF/" not in only.out
    assert trimtab(capsys, "sessions", "--status", "under way").out == "0 of 4 sessions\n"


def test_the_best_iterate_goes_by_scale_direction_and_decision() -> None:
    space = ObjectiveSpace(["quality:0:10", "cost:0:100:min"])

    def at(index: int, quality: float | None, cost: float, status: str = "ok", **meta: object) -> Iteration:
        scores = (Score("quality", quality, "ok" if quality is not None else "failed"), Score("cost", cost))
        return Iteration("s", index, "A", "", scores, status, meta=meta)  # type: ignore[arg-type]

    records = [at(0, 5, 50), at(1, 6, 70), at(2, 5, 30), at(3, 5, 30), at(4, 9, 0, "failed"), at(5, None, 0)]
    assert best_of(records, space) == 2
    assert best_of([at(0, 5, 50), at(1, 6, 40, decision={"keep": 0})], space) == 0
    assert best_of([], space) is None
    assert best_of(records, ObjectiveSpace(["quality:0:10", "cost:0:inf:min"])) is None
    assert best_of(records[:2], ObjectiveSpace(["cost:0:inf:min"])) == 0


def test_a_session_is_shown_with_scores_changes_and_differences(capsys) -> None:
    small_store(
        "sqlite:///s.db",
        made(0, 1.0, "one\ntwo\nthree"),
        made(1, 2.5, "one\n2\nthree", prompt_tokens=1000, completion_tokens=5),
        made(2, None, "one\n2\nthree", "failed", "no code in the answer"),
        made(3, 2.0, "one\n2\nthree", unchanged=True, decision={"action": "stop", "reason": "no gain", "keep": 1}),
        replace(made(4, 0.5, "ONE\ntwo\nthree"), meta={RESTARTED: 0}),
    )
    done = trimtab(capsys, "show", "EF/a/0", "--store", "s.db")
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "task a, strategy EF, model tiny, replicate 0" in lines
    assert "The best iterate is that of iteration 1." in lines
    assert "0 start 1.00 0 ok" in lines
    assert "1 EF 2.50 (+1.50) 1,005 ok" in lines
    assert "2 EF – 0 failed: no code in the answer" in lines
    assert "3 EF 2.00 0 ok; nothing changed; then stop: no gain" in lines
    assert "4 EF from 0 0.50 (-0.50) 0 ok" in lines
    first, last = lines.index("changes to the artefact of t = 0"), len(lines) - lines[::-1].index("-one")
    assert lines[first + 1 : first + 6] == ["@@ -1,3 +1,3 @@", "one", "-two", "+2", "three"]
    assert lines[last - 1 : last + 1] == ["-one", "+ONE"]
    assert "t = 2" not in lines
    assert "t = 3" not in lines
    assert "answer 1" not in done.out

    more = trimtab(
        capsys, "show", "EF/a/0", "--store", "s.db", "-t", 1, "--evidence", "--answer", "--artefact", "--no-diff"
    )
    shown = [" ".join(line.split()) for line in more.out.splitlines()]
    assert "security: 2.50" in shown
    assert "eval -2.50 3 runs what it is given" in shown
    assert "answer 1" in shown
    assert "+2" not in shown
    assert not any(line.startswith("4 EF") for line in shown)

    document = json.loads(trimtab(capsys, "show", "EF/a/0", "--store", "s.db", "--json").out)
    assert [one["base"] for one in document["iterations"]] == [None, 0, 1, 2, 0]
    assert document["iterations"][1]["artefact"] == "one\n2\nthree"
    assert document["iterations"][1]["scores"][0]["evidence"][0]["rule"] == "eval"


def test_long_texts_are_shortened_unless_all_is_asked_for(capsys) -> None:
    text = "\n".join(f"line {i}" for i in range(100)) + "\n" + "x" * 500
    small_store("sqlite:///s.db", made(0, 1.0, "-"), made(1, 1.0, text), made(2, 1.0, "y\n" * 9000))
    short = trimtab(capsys, "show", "EF/a/0", "--store", "s.db", "--artefact", "-t", 1)
    assert "61 more lines: --full shows them" in short.out
    assert "line 99" not in short.out
    whole = trimtab(capsys, "show", "EF/a/0", "--store", "s.db", "--artefact", "-t", 1, "--full")
    assert "more lines" not in whole.out
    assert whole.out.count("x") >= 1000
    tail = trimtab(capsys, "show", "EF/a/0", "--store", "s.db", "-t", 2, "--full")
    assert "(only the first 4,000 lines are compared)" in tail.out


def test_mistakes_are_one_sentence_and_exit_code_1(capsys) -> None:
    small_store("sqlite:///s.db", made(0, 1.0, "a"))
    new = open_store("sqlite:///new.db", create=True)
    new.close()
    for arguments, said in (
        (["show", "EF/a/1", "--store", "s.db"], "there is no session 'EF/a/1'; there are 1, such as EF/a/0"),
        (["show", "EF/a/0", "--store", "s.db", "-t", "1"], "session 'EF/a/0' has no iteration 1; it has 0 to 0"),
        (["show", "EF/a/0", "--store", "new.db"], "there is no session 'EF/a/0', because the store holds none yet"),
        (["show", "EF/a/0"], "there is no store at trimtab-out/trimtab.db"),
        (["sessions", "s.db", "--task", "b"], "no session has the task 'b'; there are a"),
        (["sessions", "s.db", "--status", "gone"], "--status is one of 'not begun', 'under way'"),
        (["sessions", "s.db", "--limit", "-1"], "--limit is a number of sessions, or 0 for all, but got -1"),
        (["status", "nowhere"], "no store at 'nowhere': there is no such file or folder"),
    ):
        done = trimtab(capsys, *arguments)
        assert (done.code, done.out) == (1, ""), said
        assert said in done.err
    empty = trimtab(capsys, "status", "new.db")
    assert "there is nothing in it: trimtab run or trimtab import fill it" in empty.out
    assert trimtab(capsys, "sessions", "new.db").out == "0 of 0 sessions\n"


@pytest.mark.parametrize(
    "arguments",
    [["fit", "NAME"], ["status", "NAME"], ["export", "NAME", "--to", "a.csv"], ["fit", "sqlite:///NAME"]],
)
def test_a_name_that_no_file_can_have_is_one_sentence(capsys, arguments: list[str]) -> None:
    name = "a\x1b" * 200
    done = trimtab(capsys, *(one.replace("NAME", name) for one in arguments))
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: ")
    assert done.err.endswith(" cannot be used: File name too long\n")
    assert "\x1b" not in done.err


def test_a_replay_asks_nobody_so_that_nobody_else_answered(capsys) -> None:
    run("o")
    run("again", provider="replay", recording="o")
    store = open_store("sqlite:///again/trimtab.db")
    found = overview(store)
    store.close()
    assert found.settings["model"] not in found.answered_by
    assert "answered by" not in trimtab(capsys, "status", "again").out


def test_status_says_who_answered_where_it_is_not_who_was_asked(capsys) -> None:
    run("o")
    store = open_store("sqlite:///o/trimtab.db", create=True)
    found = store.experiment()
    store.set_experiment(replace(found, settings={**found.settings, "model": "asked"}))
    (served,) = overview(store).answered_by
    told = " ".join(trimtab(capsys, "status", "o").out.split())
    assert f"answered by {served}, where asked was asked for" in told
    store.set_experiment(replace(found, settings={**found.settings, "model": served}))
    store.close()
    assert "answered by" not in trimtab(capsys, "status", "o").out
    assert json.loads(trimtab(capsys, "status", "o", "--json").out)["answered_by"] == [served]


def test_a_reason_is_not_told_twice_where_an_answer_was_cut_off(capsys) -> None:
    broken = made(1, None, "a", "failed", "syntax error on line 3")
    small_store("sqlite:///s.db", made(0, 1.0, "a"), replace(broken, reason=f"{broken.reason} (it was cut off)"))
    shown = " ".join(trimtab(capsys, "show", "EF/a/0", "--store", "s.db").out.split())
    assert shown.endswith("failed: syntax error on line 3 (it was cut off)")


def test_what_a_judge_said_stands_beside_its_score(capsys) -> None:
    judged = (
        Score("security", 4.0, evidence=(Evidence(RULE, 0.0, None, "It asks for a password."),)),
        Score("security", None, "failed", "the judge's answer is empty", repeat=1),
    )
    small_store("sqlite:///s.db", replace(made(0, 1.0, "a"), scores=judged))
    shown = trimtab(capsys, "show", "EF/a/0", "--store", "s.db", "--evidence").out
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "security, judgement 1 of 2: 4.00. It asks for a password." in lines
    assert "security, judgement 2 of 2: failed: the judge's answer is empty" in lines


def test_what_a_broken_program_scores_is_no_last_score_of_its_session(capsys) -> None:
    small_store("sqlite:///s.db", made(0, 1.0, "a"), made(1, 2.5, "b"), made(2, 0.0, "b", "failed", "syntax error"))
    assert "1.00 → 2.50" in trimtab(capsys, "sessions", "s.db").out
    (one,) = json.loads(trimtab(capsys, "sessions", "s.db", "--json").out)["sessions"]
    assert (one["first_scores"], one["last_scores"]) == ({"security": 1.0}, {"security": 2.5})


def test_the_mean_of_the_largest_numbers_is_a_number() -> None:
    scores = tuple(Score("security", value, repeat=r) for r, value in enumerate((1.7e308, 1.5e308)))
    assert score_of(replace(made(0, 1.0, "a"), scores=scores), "security") == pytest.approx(1.6e308)


def test_imported_stores_are_shown_too(capsys) -> None:
    rows = [{"session_id": "s", "iteration": t, "quality": 3 + t, "text": f"x = {t}\n"} for t in range(3)]
    Path("log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert trimtab(capsys, "import", "log.jsonl", "--store", "sqlite:///i.db").code == 0
    status = trimtab(capsys, "status", "i.db").out
    assert "imported from log.jsonl" in status
    assert "recorded" in status
    assert "complete:" not in status
    assert "3.00 → 5.00" in trimtab(capsys, "sessions", "i.db").out
    assert "+x = 2" in trimtab(capsys, "show", "s", "--store", "i.db").out


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_a_store_holds_can_be_shown(capsys, tmp_path_factory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("any") / "s.db"
    store = open_store(f"sqlite:///{path}", create=True)
    imported = {"imports": [import_entry("\x1b[2J", [], [], None)]}
    store.set_experiment(experiment(**data.draw(st.sampled_from([{}, imported]))))
    store.add_sessions([session("\x1b]0;evil\x07", task_id="\u202e", strategy="\x9b2J")])
    records = data.draw(iterations("\x1b]0;evil\x07"))
    odd = data.draw(st.sampled_from(["x", -1, 10**20, None, [], 0]))
    odder = {"cost_usd": 10**400, "prompt_tokens": 10**400, RESTARTED: odd}
    store.extend(replace(record, meta={**record.meta, **odder}) for record in records)
    store.close()
    for arguments in (
        ["status", path],
        ["status", path, "--json"],
        ["sessions", path],
        ["sessions", path, "--json"],
        ["show", "\x1b]0;evil\x07", "--store", path, "--evidence", "--answer", "--artefact", "--full"],
        ["show", "\x1b]0;evil\x07", "--store", path, "--json"],
    ):
        done = trimtab(capsys, *arguments)
        assert done.code == 0, done.err
        assert not set(done.out) & {"\x1b", "\x07", "\x9b", "\u202e", "\x00", "\x7f"}
        if "--json" in arguments:
            as_described(json.loads(done.out))
    assert len(json.loads(done.out)["iterations"]) == len(records)
