from __future__ import annotations

import numpy as np
import pytest

from report_fits import fitted, simulated
from trimtab.core.objectives import Objective
from trimtab.report.heading import facts, lengths_text, objective_rows, settings, stand_ins


def test_settings_come_in_a_known_order_with_the_others_behind():
    run = {"seed": 0, "my_option": 1.5, "model": "m", "provider": "p", "empty": "", "nothing": None}
    run |= {
        "objectives": ["a:0:10:max"],
    }
    assert settings(run) == [("Provider", "p"), ("Model", "m"), ("Seed", "0"), ("My option", "1.5")]
    assert settings(None) == []


def test_strategies_come_in_the_order_they_ran():
    run = {"strategies": {"AI": "Adaptive", "EF": "Efficiency", "ZZ": "Not fitted", "SF": "Security"}}
    expected = "EF: Efficiency, SF: Security, AI: Adaptive, ZZ: Not fitted"
    assert settings(run, ["EF", "SF", "FF", "AI"]) == [("Strategies", expected)]
    assert list(run["strategies"]) == ["AI", "EF", "ZZ", "SF"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (12_000, "12,000"),
        (2024, "2024"),
        (["EF", "SF"], "EF, SF"),
        ({"EF": "x"}, "EF: x"),
        (range(20), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more"),
        ("sqlite:///runs.db", "sqlite:///runs.db"),
    ],
)
def test_values_are_words(value, text):
    assert settings({"x": value}) == [("X", text)]


def test_long_values_are_cut():
    assert len(settings({"x": "y" * 10_000})[0][1]) <= 240


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"provider": "rewriter"}, ["model"]),
        ({"provider": " Rewriter", "scorers": ["python-static"]}, ["model"]),
        ({"provider": "rewriter", "scorers": ["lexical"]}, ["model", "judge"]),
        ({"provider": "openai", "scorers": "lexical"}, ["judge"]),
        ({"provider": "openai", "scorers": 7}, []),
        ({}, []),
        (None, []),
    ],
)
def test_stand_ins_are_called_so(run, expected):
    said = stand_ins(run)
    assert ["model" if "not an LLM" in one else "judge" for one in said] == expected
    assert all("a stand-in for a" in one for one in said)


def test_a_table_of_tables_is_listed_by_its_names():
    judge = {"model": "m", "temperature": None, "rubrics": {"calm": {"text": "Calm?"}, "clear": {"text": "Clear?"}}}
    assert settings({"judge": judge}) == [("Judge", "model: m, rubrics: calm, clear")]


def test_facts_count_the_data():
    data = simulated(n=2, strategies=("A", "B"), sessions=6)
    found = dict(facts(fitted(data)))
    assert found["Sessions"] == "12"
    assert found["Iterations scored"] == "132"
    assert found["Scores per session"] == "11, iteration 0 included"
    assert found["Complete steps"] == "120"
    assert lengths_text([2, 5, 9]) == "2 to 9 (median 5)"


def test_scales_are_told_in_words():
    rows = objective_rows(
        [
            Objective("a", -1.5, 1000),
            Objective("b", -np.inf, np.inf, "min"),
            Objective("c", 0, np.inf),
            Objective("d", -np.inf, 3),
        ]
    )
    assert [row[1] for row in rows] == ["−1.5 to 1000", "open", "from 0", "up to 3"]
    assert [row[2] for row in rows] == ["higher is better", "lower is better", "higher is better", "higher is better"]


def test_the_sessions_of_a_steered_run_are_those_of_no_strategy_and_what_is_not_set_is_not_listed() -> None:
    shown = dict(settings({"sessions": 4, "policy": "predictive", "floor": [], "weights": ["security=1"], "fit": ""}))
    assert shown == {"Sessions": "4", "Policy": "predictive", "Weights": "security=1"}
    assert dict(settings({"sessions": 4})) == {"Sessions per strategy": "4"}
