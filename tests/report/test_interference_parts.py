from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from report_fits import ODD, fitted, simulated
from trimtab.core.objectives import ObjectiveSpace
from trimtab.estimation.decomposition import PARTS, InterferenceParts, interference_parts
from trimtab.estimation.multiplicity import Adjusted
from trimtab.estimation.results import ArrayEstimate
from trimtab.report.figures.interference_parts import (
    COLORS,
    MEANINGS,
    PAIRS,
    bar_range,
    explanations,
    interference_parts_figure,
    strongest_pairs,
)
from trimtab.report.palette import look
from trimtab.report.panels import choose_pairs, make_panels

SPACE = ObjectiveSpace(["quality", "cost"])


def matrix(value: float, width: float = 0.02) -> ArrayEstimate:
    def both(number: float) -> np.ndarray:
        return np.array([[0.0, number], [number, 0.0]])

    return ArrayEstimate(both(value), both(value - width), both(value + width))


def made(width: float = 0.02, **shares: float) -> tuple[InterferenceParts, ArrayEstimate]:
    """Return parts of the given sizes for one pair (with _ for a blank in their names), and their sum."""
    total = matrix(sum(shares.values()), width)
    parts = {name.replace("_", " "): matrix(value, width) for name, value in shares.items()}
    p = np.array([[np.nan, 0.001], [0.001, np.nan]])
    return InterferenceParts(total, p, parts, {}, {}, 50), total


def said(p: float = 0.001, width: float = 0.02, compared: int = 12, **shares: float) -> str:
    parts, total = made(width, **shares)
    ((pair, text),) = explanations(parts, total, Adjusted(np.full((2, 2), p), compared), SPACE)
    assert pair == "quality and cost"
    return text


def test_every_part_has_a_colour_and_a_meaning() -> None:
    assert {*COLORS} == {*MEANINGS} == {*PARTS}
    assert len(set(COLORS.values())) == len(PARTS)


def test_bars_are_the_shares_and_the_mark_is_their_sum() -> None:
    parts, total = made(own_pull=0.05, transients=-0.4, innovations=0.1)
    y = bar_range([(parts, total)])
    drawn = interference_parts_figure(parts, total, Adjusted(parts.p_value, 3), SPACE, y)
    *bars, mark = drawn.data
    assert [bar.name for bar in bars] == ["own pull", "transients", "innovations"]
    np.testing.assert_allclose([bar.y[0] for bar in bars], [0.05, -0.4, 0.1], rtol=1e-6)
    assert drawn.layout.barmode == "relative"
    assert mark.y[0] == pytest.approx(-0.25)
    assert mark.error_y.array[0] == pytest.approx(0.02)
    assert mark.customdata[0] == (
        "quality × cost<br>correlation of steps: −0.25 [−0.27, −0.23]<br>p = 0.001, adjusted for 3 pairs tested"
    )
    assert bars[1].customdata[0] == (
        "quality × cost<br>transients: −0.40 [−0.42, −0.38]<br>the averages over sessions move as sessions go on"
    )
    assert y[0] < -0.4
    assert y[1] > 0.15


def test_wide_intervals_do_not_flatten_the_bars() -> None:
    parts, total = made(innovations=0.3)
    wide = replace(total, low=-np.ones((2, 2)), high=np.ones((2, 2)))
    low, high = bar_range([(parts, wide)])
    assert high - low < 3.5 * 0.4
    assert bar_range([]) == pytest.approx((-0.112, 0.112))


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        (
            {"transients": -0.39, "own_pull": 0.01},
            "−0.38 [−0.40, −0.36]. Nearly all of this negative correlation comes from transients (−0.39): on average "
            "one rises while the other falls as sessions go on.",
        ),
        (
            {"coupling": 0.3, "innovations": 0.12, "own_pull": 0.08},
            "Most of this positive correlation comes from coupling (0.30): the score of one moves the other the same",
        ),
        (
            {"innovations": -0.2, "coupling": -0.18},
            "comes from innovations (−0.20) and coupling (−0.18): what is new in an iteration raises one and lowers "
            "the other, and the score of one moves the other the opposite way to itself.",
        ),
        ({"innovations": -0.5, "transients": 0.2}, "(−0.50): what is new in an iteration raises one and lowers the"),
        ({"innovations": -0.5, "transients": 0.2}, " Transients (0.20) works against it."),
        ({"innovations": 0.5, "transients": -0.2, "own_pull": -0.1}, " Transients (−0.20) and own pull (−0.10) work "),
    ],
)
def test_the_largest_part_is_named_with_its_reason(shares: dict[str, float], words: str) -> None:
    assert words in said(**shares)


def test_what_may_be_chance_is_not_explained() -> None:
    assert said(p=0.2, innovations=0.1) == "0.10 [0.08, 0.12], which may be chance among 12 pairs tested."
    assert said(p=0.7, width=0.2, innovations=0.1) == "no clear correlation, 0.10 [−0.10, 0.30]."
    # Adjusted by its p-value where there is one, by its interval elsewhere.
    assert "Nearly all" in said(p=float("nan"), innovations=0.1)
    assert "no clear" in said(p=float("nan"), width=0.2, innovations=0.1)
    # An estimator that knows of noise is less sure of the size than the test is of there being anything.
    parts, total = made(innovations=0.1)
    unsure = replace(total, low=total.low - 0.2)
    ((_, text),) = explanations(parts, unsure, Adjusted(parts.p_value, 1), SPACE)
    assert text.startswith("0.10 [−0.12, 0.12], there but of uncertain size. Nearly all")


def test_parts_that_cancel_are_found_behind_no_correlation() -> None:
    text = said(p=0.6, transients=-0.3, innovations=0.25, coupling=0.06)
    assert text == (
        "no clear correlation, 0.01 [−0.01, 0.03], but parts that cancel: innovations (0.25) and coupling (0.06) "
        "against transients (−0.30)."
    )


def test_a_part_that_may_be_nothing_is_not_named() -> None:
    parts, total = made(innovations=0.3)
    unsure = replace(parts, shares={"innovations": matrix(0.3, 0.5)})
    ((_, text),) = explanations(unsure, total, Adjusted(parts.p_value, 1), SPACE)
    assert text.endswith("Which part of this positive correlation it comes from is not clear.")


def test_of_many_pairs_the_strongest_are_shown_and_few_explained() -> None:
    data = simulated(n=6, strategies=("only",), sessions=60)
    parts = interference_parts(data.steps())
    pairs = strongest_pairs(parts)
    sizes = np.abs(parts.interference.estimate[np.triu_indices(6, 1)])
    assert len(pairs) == PAIRS
    np.testing.assert_allclose([abs(parts.interference.estimate[pair]) for pair in pairs], np.sort(sizes)[::-1][:PAIRS])
    told = explanations(parts, parts.interference, Adjusted(parts.p_value, 15), data.space)
    assert len(told) == 3
    drawn = interference_parts_figure(
        parts, parts.interference, Adjusted(parts.p_value, 15), data.space, bar_range([(parts, parts.interference)])
    )
    assert len(drawn.layout.xaxis.ticktext) == PAIRS


@pytest.mark.parametrize(
    "name",
    ["one objective", "missing scores, unequal lengths", "switching midway", "some strategies not identified"],
)
def test_bars_add_up_to_the_correlations_of_the_matrix_above(name: str) -> None:
    fit = fitted(ODD[name]())
    for strategy, parts in fit.interference_parts.items():
        if not parts.shares:
            continue
        one = fit.pooled if strategy is None else fit[strategy]
        summed = sum(share.estimate for share in parts.shares.values())
        # Where nearly all variance is noise the matrix is held within -1 and 1.
        np.testing.assert_allclose(np.clip(summed, -1, 1), one.interference.estimate, atol=1e-8)


def test_all_pairs_of_all_strategies_share_one_adjustment() -> None:
    fit = fitted(simulated(sessions=12))
    shown = [*fit.strategies.values()]
    panels = make_panels(fit, shown, [look(k) for k in range(len(shown))], choose_pairs(fit, None))
    book = panels.book.pages
    assert "adjusted for 12 pairs tested" in book["interference-parts-0"]
    assert "adjusted for 3 pairs tested" in book["interference-parts-all"]
    assert [key for key, _, _ in panels.interference_parts.panels] == ["all", "0", "1", "2", "3"]
    assert [part for _, part, _ in panels.interference_parts.key] == [
        "own pull",
        "coupling",
        "transients",
        "session levels",
        "innovations",
        "between strategies",
    ]
