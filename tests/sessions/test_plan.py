"""What a plan is made of, and which other settings go with those of a store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.runs import STRATEGIES, TASKS, Faulty, plan_for
from trimtab.errors import InputError, StoreError
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.plan import agreed_settings, space_of
from trimtab.sessions.strategies import Strategy, load_strategies


def test_sessions_are_paired_over_strategies_and_spread_over_tasks() -> None:
    plan = plan_for(sessions=5)
    assert [s.id for s in plan.sessions][:4] == ["EF/task0/0", "SF/task0/0", "EF/task1/0", "SF/task1/0"]
    assert [s.id for s in plan.sessions if s.strategy.name == "SF"][3:] == ["SF/task0/1", "SF/task1/1"]
    assert plan_for(sessions=3).sessions == plan.sessions[:6]


def test_objectives_are_chosen_among_those_of_the_scorers() -> None:
    scorers = [get_scorer("python-static"), Faulty("silent")]
    assert space_of(scorers, ("calm", "security")).names == ("calm", "security")
    with pytest.raises(InputError, match="no scorer gives the objective 'beauty'; there are security"):
        space_of(scorers, ("beauty",))
    with pytest.raises(InputError, match="both give the objective 'calm'"):
        space_of([Faulty("silent"), Faulty("silent")])


def test_tasks_in_other_languages_are_refused() -> None:
    with pytest.raises(InputError, match="task 'r' is in 'rust'"):
        plan_for(tasks=[replace(TASKS[0], id="r", language="rust")])


def test_settings_that_change_the_meaning_are_named() -> None:
    plan = plan_for(2, 2)
    other = Strategy("EF", "EF", "Do something else.")
    changes = {
        "seed": plan_for(2, 2, seed=9),
        "temperature": plan_for(2, 2, temperature=0.3),
        "max_tokens": plan_for(2, 2, max_tokens=5),
        "provider": plan_for(2, 2, provider="openai", model="m"),
        "objectives": plan_for(2, 2, objectives=("security",)),
        "tasks": plan_for(2, 2, tasks=TASKS[:2]),
        "the text of strategy EF": plan_for(2, 2, strategies=[other, STRATEGIES[1]]),
    }
    for name, changed in changes.items():
        with pytest.raises(StoreError, match=rf"other settings: .*{name}.*choose another --out or --store"):
            agreed_settings(plan.settings, changed.settings, "sqlite:///x.db")
    with pytest.raises(StoreError, match="holds imported data"):
        agreed_settings({}, plan.settings, "sqlite:///x.db")


def test_settings_that_only_add_are_agreed_to() -> None:
    plan = plan_for(3, 3)
    more = plan_for(5, 2, [*load_strategies(["FF"]), STRATEGIES[0]], concurrency=1)
    agreed = agreed_settings(plan.settings, more.settings, "")
    assert (agreed["sessions"], agreed["iterations"]) == (5, 3)
    assert list(agreed["strategies"]) == ["EF", "SF", "FF"]
    for one in (plan, more):
        again = agreed_settings(agreed, one.settings, "")
        assert {**again, "config": None} == {**agreed, "config": None}
        given = again["config"]
        assert (given["sessions"], given["iterations"], given["strategies"]) == (5, 3, ["EF", "SF", "FF"])
    assert (agreed["config"]["concurrency"], again["config"]["concurrency"]) == (1, 1)
