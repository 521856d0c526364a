"""The pages of forecasts and of the reproduction in a real browser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Browser

import trimtab as tt
from report_fits import HOSTILE
from reproduced import small
from support.browser import Visit, drawn, visit
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.dynamics.affine import AffineSDE
from trimtab.forecasting.forecast import forecast
from trimtab.forecasting.loops import Loop, Loops
from trimtab.forecasting.starts import Starts
from trimtab.report.forecast import write_fan_chart
from trimtab.report.reproduction import write_reproduction


@pytest.fixture(scope="module")
def fan_chart(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    found = tt.forecast("reference", paths=300, schedule="FFx3,SF", targets={"security": 6.0})
    return visit(browser, write_fan_chart(found, tmp_path_factory.mktemp("fan") / "fan.html"))


def test_every_fan_is_drawn_without_a_sound(fan_chart: Visit) -> None:
    # One schedule, of three objectives.
    assert drawn(fan_chart.page) == [3, 3]
    first = fan_chart.page.locator('[data-figure="fan-0-0"]')
    assert first.locator(".scatterlayer .trace").count() == 3  # 90%, 50% and the median
    assert first.locator(".shapelayer path").count() >= 2  # the change of strategy and the target
    assert fan_chart.silent, fan_chart


def test_hovering_over_a_fan_tells_the_median_and_both_bands(fan_chart: Visit) -> None:
    page = fan_chart.page
    place = page.locator('[data-figure="fan-0-0"]')
    place.scroll_into_view_if_needed()
    box = place.locator(".scatterlayer .trace").last.locator(".point").nth(4).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hover = place.locator(".hoverlayer .hovertext")
    hover.first.wait_for()
    text = hover.first.text_content() or ""
    assert all(word in text for word in ("iteration 4", "median", "50% of sessions", "90%")), text


@pytest.mark.parametrize("of", ["forecast", "reproduction"])
def test_narrow_dark_screens_hold_every_figure(of: str, browser: Browser, tmp_path) -> None:
    if of == "forecast":
        page = write_fan_chart(tt.forecast("reference", paths=200), tmp_path / "page.html")
    else:
        page = write_reproduction(small(), tmp_path / "page.html")
    seen = visit(browser, page, width=420, scheme="dark")
    places, figures = drawn(seen.page)
    assert places == figures >= 9
    assert seen.page.locator(".waiting").count() == 0
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 420
    tick = seen.page.evaluate("""getComputedStyle(document.querySelector(".xtick text")).fill""")
    assert sum(map(int, tick[4:-1].split(","))) > 380
    assert seen.silent, seen
    seen.page.close()


def test_every_figure_of_the_reproduction_is_drawn_with_the_papers_marks(browser: Browser, tmp_path) -> None:
    seen = visit(browser, write_reproduction(small(), tmp_path / "page.html"))
    # Rate, modulus, both R2 and Pareto efficiency; three objectives reached; interference.
    assert drawn(seen.page) == [9, 9]
    rate = seen.page.locator('[data-figure="rate"]')
    assert rate.locator(".boxlayer .trace").count() == 5  # four strategies and noise
    assert rate.locator(".errorbar").count() == 3  # where the paper gives a rate with its error
    assert seen.silent, seen
    seen.page.close()


def test_hostile_names_of_forecasts_are_shown_and_do_nothing(browser: Browser, tmp_path) -> None:
    space = ObjectiveSpace([Objective(HOSTILE[0]), Objective(HOSTILE[1])])
    starts = Starts(np.array([5.0, 5.0]), np.eye(2), HOSTILE[3])
    model = AffineSDE([[-0.5, 0], [0, -0.5]], [2, 3], np.eye(2))
    loops = Loops(space, {name: Loop(name, model, starts, cautions=HOSTILE) for name in HOSTILE}, "fit", {}, HOSTILE)
    page = write_fan_chart(forecast(loops, 3, 20), tmp_path / "page.html", title=HOSTILE[3])
    harmless(visit(browser, page), HOSTILE[3], 2 * len(HOSTILE))


def test_hostile_words_of_a_reproduction_are_shown_and_do_nothing(browser: Browser, tmp_path) -> None:
    found = small()
    claims = tuple(replace(one, why=HOSTILE[k % len(HOSTILE)]) for k, one in enumerate(found.claims))
    page = write_reproduction(replace(found, claims=claims), tmp_path / "page.html")
    harmless(visit(browser, page), None, 9)


def harmless(seen: Visit, title: str | None, figures: int) -> None:
    """Check that everything is drawn, and that no name became more than text."""
    page = seen.page
    assert drawn(page) == [figures, figures]
    if title is not None:
        assert page.locator("h1").text_content() == title
    assert "alert(1)" in (page.locator("main, body").first.text_content() or "")
    assert page.locator("img, iframe, svg a, body a:not([href^='#']):not([href^='https://arxiv.org/'])").count() == 0
    assert page.locator("script").count() == 3
    assert seen.silent, seen
    page.close()
