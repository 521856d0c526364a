"""``trimtab policy explain`` and the summary of a steered run, as a user sees them."""

from __future__ import annotations

import io
import json
import os
import sqlite3
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from support.cli import trimtab
from trimtab.cli.explain import _Page
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.sessions.replay import explain
from trimtab.sessions.schemas import json_schema
from trimtab.store.open import open_store

STORE = "sqlite:///o/trimtab.db"
SMALL = {"sessions": 5, "iterations": 3, "strategies": "EF,SF", "seed": 4, "round": 2, "out": "o"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith("TRIMTAB_"):
            monkeypatch.delenv(name)


def steered(**more: object) -> None:
    assert run_experiment(load_config({**SMALL, "policy": "predictive", **more})).ended == "complete"


def sessions() -> list[str]:
    store = open_store(STORE)
    found = [session.id for session in store.sessions()]
    store.close()
    return found


def test_a_store_is_named_by_its_folder_its_file_or_its_url(capsys) -> None:
    steered()
    for command in (("policy", "explain", sessions()[0], "--store"), ("fit",), ("report",)):
        by = [trimtab(capsys, *command, place) for place in ("o", "o/trimtab.db", STORE)]
        assert [done.code for done in by] == [0, 0, 0], by[0].err
        assert by[0].out == by[1].out == by[2].out
    (page,) = Path().glob("*.html")
    assert "predictive" in page.read_text()


def test_a_steered_run_says_what_it_does_and_what_came_of_it(capsys) -> None:
    options = [f"--{name}={value}" for name, value in SMALL.items()]
    done = trimtab(capsys, "run", *options, "--policy", "predictive", "--floor", "security>=9.9", "--sessions", "3")
    assert done.code == 0, done.err
    assert "policy predictive over strategies EF, SF: at most 3 sessions x 3 iterations, seed 4" in done.err
    assert "The policy has steered 3 sessions to the end and did without" in done.err
    assert "3 sessions set aside (--resume-paused goes on where iterations are left):" in done.err
    assert "  3 x no iterate meets security>=9.9@0.05" in done.err
    assert list(json.loads(Path("o/fit.json").read_text())["strategies"]) != ["predictive"]
    page = Path("o/report.html").read_text()
    assert "predictive" in page
    assert "trimtab.pilot/1" not in page


def test_every_session_is_explained_by_the_decisions_that_it_took(capsys) -> None:
    steered(utility="worst", weights="", floor="security>=1", cost=0.02)
    store = open_store(STORE)
    for place, session in enumerate(store.sessions()):
        found = explain(store, session.id)
        assert found.agrees, found.says
        assert found.learned_from == place // 2 * 2
        assert (sum(found.known_steps.values()) > 0) == (place > 1)
        for moment, record in zip(found.moments, store.iterations(session.id), strict=True):
            assert moment.decided.to_dict() == record.meta["decision"]
    store.close()
    last = sessions()[-1]
    said = trimtab(capsys, "policy", "explain", last, "--store", STORE, "--out", "e.json")
    assert said.code == 0, said.err
    assert f"{last}, steered by predictive" in said.out
    assert "It wants a high utility (worst) and the floor security>=1@0.05 and 0.02 points saved" in said.out
    assert "At its start 4 sessions had taught the policy" in said.out
    assert "The replay gives every recorded decision." in said.out
    document = json.loads(Path("e.json").read_text())
    jsonschema.Draft202012Validator(json_schema("explanation")).validate(document)
    assert (document["schema"], document["session"], document["agrees"]) == ("trimtab.explanation/1", last, True)
    printed = trimtab(capsys, "policy", "explain", last, "--store", STORE, "--json")
    assert json.loads(printed.out) == document
    # A narrow terminal gets two tables, and no column of theirs is cut.
    page, narrow = io.StringIO(), 80
    Console(file=page, width=narrow).print(_Page(found))
    lines = page.getvalue().splitlines()
    assert max(map(len, lines)) <= narrow
    heads = [" ".join(line.split()) for line in lines if line.startswith(" t ")]
    assert heads == ["t made by security efficiency functionality", "t decision keep utility"]
    # The store that a run here would use.
    assert trimtab(capsys, "policy", "explain", last).code == 1
    Path("trimtab.toml").write_text('out = "o"\n')
    assert trimtab(capsys, "policy", "explain", last).out == said.out


@pytest.mark.parametrize("early", [True, False])
def test_a_store_that_was_changed_is_found_out(early: bool, capsys) -> None:
    steered()
    ids = sessions()
    assert len(ids) == 5
    edited = ids[0] if early else ids[4]
    with sqlite3.connect("o/trimtab.db") as database:
        ((key,),) = database.execute("SELECT key FROM session WHERE id = ?", (edited,)).fetchall()
        database.execute("UPDATE score SET value = 9.5 WHERE session_key = ? AND iteration = 1", (key,))
    said = trimtab(capsys, "policy", "explain", ids[4], "--store", STORE)
    assert said.code == 0, said.err
    at = 0 if early else 1
    assert f"The replay departs from the record after iteration {at}, in " in " ".join(said.out.split())
    assert "The record says " in " ".join(said.out.split())
    assert "the store may have been changed since" in " ".join(said.out.split())


def test_the_rest_of_a_session_is_replayed_where_the_replay_would_have_ended_it(capsys) -> None:
    steered()
    last = sessions()[-1]
    with sqlite3.connect("o/trimtab.db") as database:
        # Nothing is left to gain from the second iterate on.
        database.execute("UPDATE score SET value = 10 WHERE iteration = 1")
    store = open_store(STORE)
    found = explain(store, last)
    store.close()
    assert found.moments[1].decided.action == "stop"
    assert found.moments[1].recorded["action"] == "continue"
    assert "action" in found.moments[1].differences
    assert [moment.iteration for moment in found.moments] == [0, 1, 2, 3]


def test_what_cannot_be_explained_is_said(capsys) -> None:
    steered()
    wrong = trimtab(capsys, "policy", "explain", "predictive/none/0", "--store", STORE)
    assert wrong.code == 1
    assert "there is no session 'predictive/none/0'; there are 5, such as predictive/" in wrong.err
    assert "e.txt" in trimtab(capsys, "policy", "explain", sessions()[0], "--store", STORE, "--out", "e.txt").err
    assert run_experiment(load_config({**SMALL, "round": None, "sessions": 1, "out": "fixed"})).ended == "complete"
    fixed = trimtab(capsys, "policy", "explain", "x", "--store", "sqlite:///fixed/trimtab.db")
    assert fixed.code == 1
    assert "holds no steered run: trimtab run --policy NAME makes one" in fixed.err
