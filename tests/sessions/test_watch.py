"""Triggers in any run: which fire, how sure they are, and what is stored and said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trimtab as tt
from support.watched import SCORERS, Paced, fired, human, plan_for, run, store_for, task
from trimtab.core.records import Iteration
from trimtab.errors import InputError
from trimtab.sessions.attendance import Attendance
from trimtab.sessions.config import RunConfig
from trimtab.sessions.plan import make_plan
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.watch import remarks
from trimtab.store.base import Experiment
from trimtab.store.contents import contents


def test_a_warning_is_recorded_and_said_and_changes_nothing_else() -> None:
    plan, said = plan_for([task(5.0)], 3, "quality<2:warn", "quality falls 30%:warn"), []
    store = store_for(plan)
    outcome = run(plan, store, Paced(plan, 1.5, 4.0, 1.0), Attendance(say=said.append))
    assert outcome.ended == "complete"
    assert fired(store) == [
        (1, ["quality<2:warn", "quality falls 30%:warn"]),
        (3, ["quality<2:warn", "quality falls 30%:warn"]),
    ]
    assert said[0] == "quality<2:warn in session EF/task/0, iteration 1: quality is past 2 with probability 100%"
    assert len(said) == 4
    assert outcome.fired == (("quality<2:warn", 2), ("quality falls 30%:warn", 2))
    bare = plan_for([task(5.0)], 3)
    other = store_for(bare)
    run(bare, other, Paced(bare, 1.5, 4.0, 1.0))
    assert [one.artefact for one in store.iterations()] == [one.artefact for one in other.iterations()]
    assert not any("watch" in one.meta for one in other.iterations())


def test_stop_ends_the_session_and_no_other() -> None:
    plan = plan_for([task(5.0, "a"), task(1.0, "b")], 3, "quality<2:stop")
    store = store_for(plan)
    outcome = run(plan, store, Paced(plan, 5.0, 1.0, 5.0))
    assert [(one.session_id, one.index) for one in store.iterations()] == [
        ("EF/a/0", 0), ("EF/a/0", 1), ("EF/a/0", 2), ("EF/b/0", 0)
    ]  # fmt: skip
    assert (outcome.ended, outcome.progress.iterations, outcome.aside) == ("complete", 2, ())
    again = Paced(plan)
    assert run(plan, store, again).ended == "complete"
    assert again.calls == 0


def test_without_a_fit_a_session_learns_its_rate_from_its_own_steps() -> None:
    settled, wild = (5.0, 5.1, 5.0, 4.9, 5.0, 5.1), (2.0, 8.0, 2.0, 8.0, 2.0, 8.0)
    found = []
    for values in (settled, wild):
        plan = plan_for([task(5.0)], 6, "rate>1.2:warn", objectives=("quality",))
        store = store_for(plan)
        run(plan, store, Paced(plan, *values))
        found.append([index for index, _ in fired(store)])
    assert found[0] == []
    assert found[1]
    assert min(found[1]) >= 2


def test_of_several_triggers_the_first_that_calls_and_was_not_let_pass_counts() -> None:
    plan = plan_for([task(5.0)], 3, "quality<3:ask", "quality<2:stop", "cost>6:warn")
    store, seen = store_for(plan), []
    run(plan, store, Paced(plan, 2.5, 1.0), Attendance(human("continue", seen=seen)))
    assert fired(store) == [
        (1, ["quality<3", "cost>6:warn"]), (2, ["quality<3", "quality<2:stop", "cost>6:warn"])
    ]  # fmt: skip
    last = list(store.iterations())[-1]
    assert (last.index, last.meta["watch"]["call"]["trigger"], len(seen)) == (2, "quality<2:stop", 1)
    assert seen[0].says == ["quality is past 3 with probability 100%"]


def test_more_iterations_find_the_calls_of_the_last_one() -> None:
    values = (5.0, 1.0, 5.0)
    short, long = (plan_for([task(5.0)], n, "quality<2:stop") for n in (2, 3))
    whole, grown = store_for(long), store_for(short)
    run(long, whole, Paced(long, *values))
    assert run(short, grown, Paced(long, *values)).aside == ()
    grown.set_experiment(Experiment("test", long.space, long.settings))
    run(long, grown, Paced(long, *values))
    assert contents(grown) == contents(whole)


def test_a_fit_says_how_sure_it_is(fit: str) -> None:
    plain, fitted = (plan_for([task(3.0)], 1, "quality<4.5:warn", **more) for more in ({}, {"fit": fit}))
    stores = [store_for(plain), store_for(fitted)]
    for plan, store in zip((plain, fitted), stores, strict=True):
        run(plan, store, Paced(plan, 3.0))
    certain, unsure = (list(store.iterations())[1].meta["watch"]["fired"][0]["probability"] for store in stores)
    assert certain == 1.0
    assert 0.5 < unsure < 0.999


@pytest.fixture
def fit(tmp_path: Path) -> str:
    rng = np.random.default_rng(3)
    level = 5 + rng.normal(0, 1, (60, 1, 2))
    scores = [np.clip(5 + 0.5 * (one - 5) + rng.normal(0, 1.2, (8, 2)), 0, 10) for one in level]
    found = tt.fit(tt.Trajectories.from_arrays(scores, ["quality", "cost:0:10:min"], strategy="EF"))
    path = tmp_path / "fit.json"
    path.write_text(found.to_json())
    return str(path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trigger": ("quality>2",)}, "write quality<2"),
        ({"trigger": ("size<2",)}, "no objective is called 'size'"),
        ({"trigger": ("quality<2:fly",)}, "a trigger is written"),
        ({"trigger": ("quality<2", "quality < 2.0:ask")}, "the trigger quality<2 is given 2 times"),
        ({"trigger": ("quality<2",), "iterations": 1001}, "at most 1,000 iterations, but 1,001 are planned"),
        ({"trigger": ("quality<2",), "fit": "nowhere.json"}, "nowhere.json"),
        ({"fit": "fit.json"}, "only a policy or a trigger goes by one"),
        ({"trigger": ("quality<2:webhook",)}, "its address is missing: give --webhook URL"),
        ({"webhook": "http://x/y"}, "no trigger calls it"),
        ({"trigger": ("quality<2:webhook",), "webhook": "x/SECRET"}, "webhook should look like http"),
        ({"trigger": ("quality<2:webhook",), "webhook": "http://[SECRET"}, "webhook should look like http"),
        ({"trigger": ("quality<2:webhook",), "webhook": "http://h:99999/SECRET"}, "webhook should look like http"),
        ({"webhook_artefact": True}, "there is no webhook"),
        ({"answers": 0}, "nothing asks"),
    ],
)
def test_what_cannot_be_watched_is_said_before_anything_starts(fields: dict, said: str) -> None:
    with pytest.raises((InputError, ValueError)) as caught:
        make_plan(RunConfig(sessions=1, **{"iterations": 2, **fields}), [task(5.0)], load_strategies(["EF"]), SCORERS)
    assert said in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "meta",
    [{}, {"watch": 3}, {"watch": {"fired": "x"}}, {"watch": {"fired": [1]}}, {"answers": [None]}, {"answers": {}}],
)
def test_remarks_pass_by_whatever_else_an_imported_meta_holds(meta: dict) -> None:
    assert remarks(Iteration("s", 1, "EF", "x", meta=meta)) == []
