"""The page of an evaluation of policies in a real browser."""

from __future__ import annotations

from dataclasses import replace

from playwright.sync_api import Browser

from report_fits import HOSTILE
from support.browser import drawn, visit
from trimtab.control.evaluation.evaluate import evaluate
from trimtab.control.evaluation.worlds import random_world
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.report.policies import write_policies


def test_a_narrow_dark_screen_holds_the_page_and_hostile_names_do_nothing(browser: Browser, tmp_path) -> None:
    world = random_world(1, seed=0, strategies=len(HOSTILE))
    space = ObjectiveSpace([Objective(HOSTILE[0])])
    world = replace(world, space=space, strategies=HOSTILE)
    goal = Goal(space, floors=(Floor(HOSTILE[0], 2.0),))
    found = evaluate(world, goal, ["predictive"], sessions=10, budget=2, oracle=False)
    seen = visit(browser, write_policies(found, tmp_path / "page.html", title=HOSTILE[3]), width=420, scheme="dark")
    page = seen.page
    assert drawn(page) == [1, 1]
    assert page.locator("h1").text_content() == HOSTILE[3]
    assert page.locator('[data-figure="gains"] .scatterlayer .trace').count() == len(HOSTILE) + 1
    assert page.locator("img, iframe, svg a, body a").count() == 0
    assert page.locator("script").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert seen.silent, seen
    page.close()


def test_a_wide_screen_shows_all_columns_and_each_fact_beside_its_name(browser: Browser, tmp_path) -> None:
    world = random_world(3, seed=0)
    found = evaluate(world, Goal(world.space, cost=0.05), ["schedule:schedule=S1x1,S2"], sessions=10, budget=2)
    page = visit(browser, write_policies(found, tmp_path / "page.html"), width=1200).page
    tables = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map(each => [each.clientWidth, each.scrollWidth])"
    )
    assert all(there == needed for there, needed in tables)
    assert page.evaluate("document.querySelector('.facts dl').clientWidth") <= 640
    page.close()
