"""The report in a real browser: it draws, it stays silent, and hostile names stay text."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from report_fits import HOSTILE, ODD, fitted, graded, grouped, hostile, ordinary, pooled, simulated, stopping
from support.browser import Visit, drawn, visit
from trimtab.estimation.results import Fit
from trimtab.report.html import write_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Fit, Path]:
    fit = ordinary()
    return fit, write_report(fit, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def open_report(browser: Browser, report: tuple[Fit, Path]) -> Visit:
    return visit(browser, report[1])


def test_every_figure_is_drawn_without_a_sound(open_report):
    # Four strategies: trajectories of three objectives, eigenvalues, interference and its parts with pooled, phase, one
    # scatter.
    assert drawn(open_report.page) == [12 + 4 + 5 + 5 + 4 + 1] * 2
    page = open_report.page
    assert page.locator(".waiting").count() == 0
    assert page.locator('[data-figure="trajectory-3-2"] .scatterlayer .trace').count() == 4
    assert page.locator('[data-figure="trajectory-3-2"] .scatterlayer .point').count() == 11
    assert page.locator('[data-figure^="eigenvalues"] .shapelayer path').count() >= 4 * 2
    assert page.locator('[data-figure^="interference"] .heatmaplayer image').count() == 5
    assert page.locator('[data-figure="interference-all"] .heatmaplayer text').count() == 6
    assert page.locator('[data-figure="phase-0"] .scatterlayer .trace').count() == 3
    assert open_report.silent, open_report


def test_choosing_a_pair_redraws_its_figures_only(open_report):
    page = open_report.page
    assert page.locator('[data-figure="phase-2"] .xtitle').text_content() == "security"
    page.select_option('[data-pair-select="phase"]', "1-2")
    page.wait_for_function("""() => [...document.querySelectorAll("[data-figure^=phase]")].every(
        (plot) => plot.dataset.drawn.endsWith("1-2"))""")
    assert page.locator('[data-figure="phase-2"] .xtitle').text_content() == "efficiency"
    assert page.locator('[data-figure="phase-2"] .ytitle').text_content() == "functionality"
    assert page.locator('[data-figure="pareto"] .xtitle').text_content() == "security (higher is better)"
    page.select_option('[data-pair-select="pareto"]', label="efficiency × functionality")
    page.wait_for_function("""() => document.querySelector("[data-figure=pareto]").dataset.drawn === "pareto-1-2" """)
    assert page.locator('[data-figure="pareto"] .xtitle').text_content() == "efficiency (higher is better)"
    assert open_report.silent, open_report


def test_a_strategy_can_be_hidden_everywhere(open_report):
    page = open_report.page
    traces = page.locator('[data-figure="pareto"] .scatterlayer .trace')
    assert traces.count() == 4
    button = page.locator('[data-toggle="1"]')
    button.click()
    page.wait_for_function(
        """() => document.querySelectorAll('[data-figure="pareto"] .scatterlayer .trace').length === 3"""
    )
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator('[data-strategy="1"]:visible').count() == 0
    button.click()
    page.wait_for_function(
        """() => document.querySelectorAll('[data-figure="pareto"] .scatterlayer .trace').length === 4"""
    )
    assert page.locator('article[data-strategy="1"]').is_visible()


def test_hovering_tells_mean_interval_and_sessions(open_report):
    page = open_report.page
    page.locator('[data-figure="trajectory-0-0"]').scroll_into_view_if_needed()
    box = (
        page.locator('[data-figure="trajectory-0-0"] .scatterlayer .trace').last.locator(".point").nth(5).bounding_box()
    )
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hover = page.locator('[data-figure="trajectory-0-0"] .hoverlayer .hovertext')
    hover.wait_for()
    text = hover.text_content() or ""
    assert "iteration 5" in text
    assert "95% interval" in text
    assert "30 sessions" in text


def test_parts_of_interference_are_stacked_and_say_what_they_are(open_report):
    page = open_report.page
    place = page.locator('[data-figure="interference-parts-1"]')
    # Five parts of three pairs, and the correlations beside them.
    assert place.locator(".barlayer .trace").count() == 5
    assert place.locator(".barlayer .point path").count() == 15
    assert place.locator(".scatterlayer .point").count() == 3
    place.scroll_into_view_if_needed()
    box = place.locator(".barlayer .trace").first.locator(".point path").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hover = place.locator(".hoverlayer .hovertext")
    hover.first.wait_for()
    text = hover.first.text_content() or ""
    assert "security × efficiency" in text
    assert "own pull" in text
    assert "each objective is pulled back" in text


def test_a_narrow_dark_screen_and_its_print(browser, report):
    seen = visit(browser, report[1], width=420, scheme="dark")
    page = seen.page
    places, figures = drawn(page)
    assert places == figures > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    tick = page.evaluate("""getComputedStyle(document.querySelector(".xtick text")).fill""")
    assert [sum(map(int, color[4:-1].split(","))) > 380 for color in (background, tick)] == [False, True]
    assert seen.silent, seen
    # Printed, it is dark on white.
    page.evaluate("""() => window.dispatchEvent(new Event("beforeprint"))""")
    page.wait_for_function(
        """() => getComputedStyle(document.querySelector(".xtick text")).fill === "rgb(60, 68, 77)" """
    )
    page.close()


def test_hostile_names_are_shown_and_do_nothing(browser, tmp_path):
    run = dict(zip(["provider", "model", *HOSTILE], [*HOSTILE, "x", "y"], strict=False))
    seen = visit(browser, write_report(hostile(), tmp_path / "report.html", run=run, title=HOSTILE[3]))
    page = seen.page
    places, figures = drawn(page)
    assert places == figures > 40
    assert page.locator("h1").text_content() == HOSTILE[3]
    # Drawn by plotly, as an axis title, exactly as it was named.
    assert page.locator('[data-figure="trajectory-0-0"] .ytitle').text_content() == HOSTILE[0]
    assert page.locator('[data-figure="trajectory-0-1"] .ytitle').text_content() == HOSTILE[1]
    legend = page.locator('[data-figure="pareto"] .legendtext').all_text_contents()
    assert legend[2] == "{{7*7}}"
    assert legend[0] == "<script>alert(1)</scrip…"
    # Hovering makes plotly write the names of sessions and strategies once more.
    point = page.locator('[data-figure="pareto"] .scatterlayer .point').first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator('[data-figure="pareto"] .hoverlayer .hovertext').first.wait_for()
    page.select_option('[data-pair-select="phase"]', "1-2")
    page.wait_for_timeout(300)
    assert page.locator("img, iframe, svg a, body a:not([href^='#'])").count() == 0
    assert page.locator("script").count() == 3
    assert seen.silent, seen
    page.close()


def test_the_mean_of_all_sessions_had_they_gone_on_is_drawn_and_told(browser, tmp_path):
    seen = visit(browser, write_report(fitted(stopping()), tmp_path / "report.html"))
    page = seen.page
    place = page.locator('[data-figure="trajectory-0-0"]')
    dashed = place.locator(".scatterlayer .trace path.js-line[style*='dasharray: 5px, 4px']")
    assert dashed.count() == 1
    place.scroll_into_view_if_needed()
    box = dashed.bounding_box()
    assert box is not None
    # Its end is far above that of the sessions that are left.
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 1)
    hover = place.locator(".hoverlayer .hovertext")
    hover.first.wait_for()
    assert "had all sessions gone on" in (hover.first.text_content() or "")
    key = page.locator(".curve-key")
    assert key.is_visible()
    assert key.locator(".dashed").evaluate("line => getComputedStyle(line).borderTopStyle") == "dashed"
    assert seen.silent, seen
    page.close()


def test_chances_of_a_markov_chain_are_drawn_on_a_phone(browser, tmp_path):
    seen = visit(browser, write_report(fitted(graded()), tmp_path / "report.html"), width=400, scheme="dark")
    page = seen.page
    place = page.locator('[data-figure="transitions-0"]')
    # Four levels to four, and where sessions end.
    assert [text for text in place.locator(".heatmaplayer text").all_text_contents() if text][:1]
    assert place.locator(".heatmaplayer text").count() >= 20
    assert place.locator(".shapelayer path").count() == 1
    assert place.locator(".ytick text").last.text_content() == "sessions end at"
    cell, page_color = place.locator(".heatmaplayer text").first, "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(page_color) == "rgb(20, 23, 27)"
    # Numbers stand on the cells' own colour, light in both schemes where chances are small.
    assert dark
    assert "rgb(68, 68, 68)" in cell.evaluate("text => getComputedStyle(text).fill")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert seen.silent, seen
    page.close()


def test_hostile_groups_are_drawn_as_they_are_named(browser, tmp_path):
    fit = pooled(grouped(names=HOSTILE, column=HOSTILE[0]))
    seen = visit(browser, write_report(fit, tmp_path / "report.html"), width=420)
    page = seen.page
    places, figures = drawn(page)
    assert places == figures > 5
    place = page.locator('[data-figure="groups-0-0"]')
    assert place.locator(".scatterlayer .point").count() == 20
    assert place.locator(".errorbar").count() == 20
    assert fit.pooling is not None
    listed = [group.name for group in fit.pooling["retry"].groups[:20]]
    shown = place.locator(".ytick text").all_text_contents()
    plainly = [k for k, name in enumerate(listed) if name.startswith("{{7*7}}")]
    assert plainly
    assert [shown[k] for k in plainly] == [listed[k] for k in plainly]
    place.scroll_into_view_if_needed()
    box = place.locator(".scatterlayer .point").nth(plainly[0]).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    hover = place.locator(".hoverlayer .hovertext")
    hover.first.wait_for()
    assert "4 sessions, 32 steps" in (hover.first.text_content() or "")
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert page.locator("img, iframe, svg a, body a:not([href^='#'])").count() == 0
    assert seen.silent, seen
    page.close()


def test_the_audit_is_closed_until_it_is_opened(open_report):
    page = open_report.page
    table = page.locator("#audit table").first
    assert not table.is_visible()
    page.locator("#audit summary").first.click()
    assert table.is_visible()
    assert table.locator("tbody tr").count() > 10
    assert page.locator("#estimators tr.trusted").count() == 4
    assert page.locator("article.card .verdict-label:visible").count() == 4
    assert open_report.silent, open_report


def test_a_script_that_slipped_in_would_not_run(open_report):
    # The last test on this page: what it tries is recorded as a console message.
    page = open_report.page
    ran = page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.slipped = true";
            document.body.append(script);
            const image = document.createElement("div");
            image.innerHTML = '<img src="https://attacker.invalid/x" onerror="window.slipped = true">';
            document.body.append(image);
            return new Promise((resolve) => setTimeout(() => resolve(window.slipped === true), 300));
        }"""
    )
    assert ran is False


@pytest.mark.parametrize("name", ["one objective", "some strategies not identified"])
def test_odd_fits_are_drawn(browser, tmp_path, name):
    seen = visit(browser, write_report(fitted(ODD[name]()), tmp_path / "report.html"))
    places, figures = drawn(seen.page)
    assert places == figures > 0
    assert seen.silent, seen
    seen.page.close()


def test_many_strategies_start_with_a_few_and_show_all_on_demand(browser, tmp_path):
    many = simulated(n=2, strategies=tuple(f"s{k}" for k in range(9)), sessions=12)
    seen = visit(browser, write_report(fitted(many), tmp_path / "report.html"))
    page = seen.page
    assert page.locator("article.card:visible").count() == 8
    page.click('[data-toggle-all="show"]')
    page.wait_for_function(
        """() => [...document.querySelectorAll(".plot")].every((plot) => plot.querySelector("svg.main-svg .xtick"))"""
    )
    assert page.locator("article.card:visible").count() == 9
    page.click('[data-toggle-all="hide"]')
    assert page.locator("article.card:visible").count() == 0
    assert seen.silent, seen
    page.close()
