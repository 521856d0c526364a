from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from report_fits import HOSTILE, grouped, ordinary, pooled
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.results import Fit
from trimtab.report.book import Book
from trimtab.report.figures.groups import GROUPS, group_figure
from trimtab.report.groups import Grouped, groups
from trimtab.report.html import render_report
from trimtab.report.palette import look


@pytest.fixture(scope="module")
def fit() -> Fit:
    return pooled(grouped())


def replaced(value: Estimate, k: int) -> Estimate:
    """Return `value` with an interval that is longer upwards."""
    return Estimate(value, value.low, value.high + 0.1 * (k + 1))


def part_of(fit: Fit, book: Book | None = None) -> Grouped:
    made = groups(book or Book(), fit, [*fit.strategies.values()], [look(0)])
    assert made is not None
    (part,) = made.strategies
    return part


def test_without_pooling_there_is_no_section() -> None:
    fit = ordinary()
    assert groups(Book(), fit, [*fit.strategies.values()], [look(k) for k in range(4)]) is None
    assert 'id="groups"' not in render_report(fit)


def test_the_farthest_groups_are_drawn_with_their_intervals(fit: Fit) -> None:
    assert fit.pooling is not None
    pooling, book = fit.pooling["retry"], Book()
    part = part_of(fit, book)
    assert part.differ
    assert [row.name for row in part.rows] == [group.name for group in pooling.groups[:GROUPS]]
    assert part.shown == "the 20 of 25 groups that are farthest from the population"
    assert list(book.pages) == [panel.figure for panel in part.panels] == ["groups-0-0", "groups-0-1"]
    drawn = json.loads(book.pages["groups-0-1"])
    (points,) = drawn["data"]
    assert drawn["layout"]["yaxis"]["ticktext"] == [group.name for group in pooling.groups[:GROUPS]]
    assert drawn["layout"]["xaxis"]["title"]["text"] == "equilibrium of cost (lower is better)"
    assert len(points["y"]) == GROUPS


def test_dots_intervals_and_population_are_those_of_the_fit(fit: Fit) -> None:
    assert fit.pooling is not None
    pooling = fit.pooling["retry"]
    few = pooling.groups[:5]
    values = [replaced(group.equilibrium[0], k) for k, group in enumerate(few)]
    drawn = group_figure(few, values, pooling.equilibrium[0], look(2), title="x")
    (points,) = drawn.data
    np.testing.assert_allclose(points.x, [float(value) for value in values], rtol=1e-5)
    np.testing.assert_allclose(points.x + points.error_x.array, [value.high for value in values], rtol=1e-4)
    np.testing.assert_allclose(points.x - points.error_x.arrayminus, [value.low for value in values], rtol=1e-4)
    band, line = drawn.layout.shapes
    assert (band.x0, band.x1) == (pooling.equilibrium[0].low, pooling.equilibrium[0].high)
    assert line.x0 == line.x1 == float(pooling.equilibrium[0])
    low, high = drawn.layout.xaxis.range
    assert low < points.x.min() < points.x.max() < high
    # The first is at the top.
    assert drawn.layout.yaxis.range[0] > drawn.layout.yaxis.range[1]
    assert f"{few[0].sessions} sessions, {few[0].steps} steps" in points.customdata[0]


def test_one_wide_interval_does_not_flatten_the_others(fit: Fit) -> None:
    assert fit.pooling is not None
    few = fit.pooling["retry"].groups[:4]
    values = [Estimate(1, 0.9, 1.1), Estimate(2, 1.9, 2.1), Estimate(1.5, -500, 500), Estimate(float("nan"))]
    low, high = group_figure(few, values, Estimate(1.5, 1.2, 1.8), look(0), title="x").layout.xaxis.range
    assert -2 < low < 0.9
    assert 2.1 < high < 5


def test_groups_that_may_be_alike_are_not_shown_one_by_one() -> None:
    fit = pooled(grouped(spread=0.0))
    book = Book()
    part = part_of(fit, book)
    assert not part.differ
    assert part.panels == part.rows == ()
    assert not book.pages
    page = render_report(fit)
    assert "Nothing shows that groups differ, so that none is shown by itself." in page
    assert part.verdict in page


def test_population_and_p_value_are_told(fit: Fit) -> None:
    assert fit.pooling is not None
    part = part_of(fit)
    assert part.counted == "25 groups, 100 sessions, 800 steps"
    names = [name for name, *_ in part.population]
    assert names == ["Rate", "Average rate", "Equilibrium, quality", "Equilibrium, cost"]
    rate = fit.pooling["retry"].rate
    assert float(part.population[0][1]) == pytest.approx(float(rate), abs=5e-3)
    assert 0 <= float(part.p_value.removeprefix("< ")) < 0.05
    assert ("the same in all" in part.population[0]) == (fit.pooling["retry"].varies == "levels")


def test_a_rate_of_each_group_is_shown_where_rates_vary(fit: Fit) -> None:
    assert fit.pooling is not None
    one = replace(fit.pooling["retry"], varies="levels and A")
    varied = replace(fit, pooling=replace(fit.pooling, strategies={"retry": one}))
    part = part_of(varied)
    assert part.rates_vary
    assert part.panels[-1].figure == "groups-0-rate"
    assert all(row.rate for row in part.rows)
    assert "the same in all" not in part.population[0]


def test_hostile_names_of_groups_stay_text() -> None:
    fit = pooled(grouped(names=HOSTILE, column=HOSTILE[0]))
    assert fit.pooling is not None
    page = render_report(fit)
    for text in ("<script>alert(1)", "<img src=x", "<b>bold", "<svg onload"):
        assert text not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    book = Book()
    part_of(fit, book)
    for figure in book.pages.values():
        drawn = json.loads(figure)
        texts = [*drawn["layout"]["yaxis"]["ticktext"], *drawn["data"][0]["customdata"]]
        assert not any("<" in text.replace("<br>", "") for text in texts)
    assert "\\u0026lt;script\\u0026gt;alert(1)" in page
    assert page.count("<script") == page.count("</script>") == 3
