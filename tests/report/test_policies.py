from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from report_fits import HOSTILE
from trimtab.control.evaluation.evaluate import Evaluation, evaluate
from trimtab.control.evaluation.worlds import random_world
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.errors import InputError
from trimtab.forecasting.sources import loops_of
from trimtab.report.policies import render_policies, write_policies


@pytest.fixture(scope="module")
def found() -> Evaluation:
    loops = loops_of("reference")
    goal = Goal(loops.space, "worst", floors=(Floor("security", 2.0),), cost=0.05)
    names = ["schedule", "sequential", "simultaneous"]
    return evaluate(loops, goal, names, sessions=40, budget=4, triggers=["security<3:warn"], oracle=False)


def figures(page: str) -> dict:
    drawn = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert drawn is not None
    return json.loads(drawn[1])


def test_every_policy_is_drawn_at_its_gain_best_first(found: Evaluation) -> None:
    page = render_policies(found)
    drawn = figures(page)["gains"]
    order = sorted(found, key=lambda name: -found[name].net.mean())
    gains = [found.standing(name).over_fixed for name in order]
    assert len(drawn["data"]) == len(order)
    for trace, gain, k in zip(drawn["data"], gains, range(len(order)), strict=True):
        assert (trace["y"], trace["marker"]["size"]) == ([k], 9)
        assert f"{abs(gain.mean):.3f}" in trace["customdata"][0]
    assert [shape["x0"] for shape in drawn["layout"]["shapes"]] == [0.0]
    for words in ("always EF", "Floors", "Triggers", "Handled one after another", "security&gt;=2@0.05"):
        assert words in page


def heads(page: str, section: str) -> list[str]:
    part = page.partition(f'<section id="{section}">')[2].partition("</thead>")[0]
    return re.findall(r'<th scope="col"><bdi>(.*?)</bdi>', part)


def test_a_table_has_the_columns_that_say_something(found: Evaluation) -> None:
    page = render_policies(found)
    shown = ["Policy", "Utility", "Net", "Iterations", "Over best fixed", "Over schedule", "Hypervolume"]
    assert heads(page, "policies") == shown
    assert heads(page, "triggers") == ["Policy", "security&lt;3:warn"]
    world = random_world(1, seed=0)
    triggers = ["q1<5"]  # it asks, and ends the session
    own = evaluate(world, Goal(world.space), ["predictive"], sessions=20, budget=3, triggers=triggers)
    shown = ["Policy", "Utility", "Iterations", "Over best fixed", "Regret", "Share", "Hypervolume", "Asked"]
    assert heads(render_policies(own), "policies") == shown
    assert "no policy foresees triggers, and the oracle has none" in render_policies(own)


def test_the_oracles_gain_is_a_line() -> None:
    world = random_world(1, seed=0)
    own = evaluate(world, Goal(world.space), ["predictive"], sessions=50, budget=3, robust=True)
    page = render_policies(own, title="A title")
    assert own.oracle is not None
    gain = own.oracle.net.mean() - own[own.best_fixed].net.mean()
    np.testing.assert_allclose(figures(page)["gains"]["layout"]["shapes"][1]["x0"], gain)
    assert "<h1>A title</h1>" in page
    assert "The oracle, by dynamic programming" in page
    assert "What it costs to be wrong" in page


def test_the_same_evaluation_gives_the_same_bytes(found: Evaluation, tmp_path: Path) -> None:
    one, other = (write_policies(found, tmp_path / name).read_bytes() for name in ("a.html", "b/b.html"))
    assert one == other
    with pytest.raises(InputError, match="page of policies needs a file"):
        write_policies(found, tmp_path)


def test_hostile_names_are_shown_and_not_obeyed() -> None:
    world = random_world(1, seed=0, strategies=len(HOSTILE))
    space = ObjectiveSpace([Objective(HOSTILE[0])])
    evil = replace(world, space=space, strategies=HOSTILE)
    goal = Goal(space, floors=(Floor(HOSTILE[0], 2.0),))
    page = render_policies(evaluate(evil, goal, [], sessions=5, budget=2, oracle=False), title=HOSTILE[1])
    assert page.count("&lt;script&gt;alert(1)") > 2
    for tag in ("<script>alert", "<img src=x", "<svg onload"):
        assert tag not in page
    assert "{{7*7}}" in page
