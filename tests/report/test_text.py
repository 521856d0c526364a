from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.objectives import Objective
from trimtab.estimation.results import Estimate
from trimtab.report.text import (
    bounds,
    decimals_for,
    fixed,
    interval,
    number,
    p_value,
    percent,
    plain,
    scale_decimals,
    script_json,
    shorten,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.3312, "0.331"),
        (-12.345, "−12.3"),
        (1234.5, "1,234"),
        (0.0, "0"),
        (5.0, "5.00"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (1.5e-9, "1.50e−9"),
        (2.5e9, "2.50e9"),
    ],
)
def test_number(value, text):
    assert number(value) == text


def test_a_rounded_zero_has_no_sign():
    assert fixed(-0.0004, 2) == "0.00"
    assert fixed(-0.4, 2) == "−0.40"


@pytest.mark.parametrize(
    ("width", "decimals"), [(0.06, 2), (0.019, 3), (0.02, 2), (2.3, 0), (1.2, 1), (math.inf, 2), (0, 2)]
)
def test_decimals_follow_the_interval(width, decimals):
    assert decimals_for(width) == decimals


def test_an_interval_has_one_number_of_decimals():
    assert interval(Estimate(0.3312, 0.2719, 0.3905)) == "0.33 [0.27, 0.39]"
    assert interval(Estimate(2.5, 1.5, math.inf)) == "2.5 [1.5, ∞]"
    assert interval(Estimate(2.5)) == "2.50"
    assert interval(Estimate(math.nan)) == "–"
    assert bounds(Estimate(1.23456, 1.2, 1.3), 1) == ("1.2", "[1.2, 1.3]")


def test_decimals_of_a_scale():
    assert scale_decimals(Objective("a", 0, 10)) == 2
    assert scale_decimals(Objective("a", 0, 1)) == 3
    assert scale_decimals(Objective("a", 0, 1000)) == 0
    assert scale_decimals(Objective("a", 0, math.inf)) is None


def test_small_shares_and_p_values_are_not_rounded_away():
    assert [percent(share) for share in (0, 0.001, 0.5, 0.999, 1, math.nan)] == [
        "0%",
        "<1%",
        "50%",
        ">99%",
        "100%",
        "–",
    ]
    # A half is rounded to the even neighbour, here 0 and 100.
    assert [percent(share) for share in (0.005, 0.0051, 0.9949, 0.995)] == ["<1%", "1%", "99%", ">99%"]
    assert [p_value(p) for p in (0.0001, 0.0423, math.nan)] == ["< 0.001", "0.042", "–"]


def test_shorten_drops_what_can_fool_the_eye_and_passwords():
    assert shorten("a\x00b\n c\u202e", 20) == "a b c"
    assert shorten("postgresql://user:secret@host/db", 80) == "postgresql://user:***@host/db"
    assert shorten("x" * 50, 10) == "x" * 9 + "…"


def test_plain_leaves_plotly_nothing_to_read():
    assert plain("<b>&amp;$x$") == "&lt;b&gt;&amp;amp;&#36;x&#36;"


@given(st.text(max_size=300), st.integers(1, 60))
def test_plain_is_short_and_free_of_markup(text, limit):
    shown = plain(text, limit)
    assert not set(shown) & set("<>$\n\x00")
    assert len(shown) <= 5 * limit


@given(st.dictionaries(st.text(), st.text()))
def test_script_json_cannot_leave_its_element_and_keeps_its_meaning(value):
    safe = script_json(json.dumps(value, ensure_ascii=False))
    assert not set(safe) & set("<>&\u2028\u2029")
    assert json.loads(safe) == value
