from __future__ import annotations

from typing import Any

import pytest

from trimtab.core.objectives import Objective
from trimtab.errors import InputError
from trimtab.judging.rubric import Rubric, rubric_from_table

TABLE = {"text": " Is it clear? ", "anchors": {"10": "Very.", "0": "Not at all."}, "low": 0, "high": 10}


def test_a_table_becomes_a_rubric_and_back() -> None:
    rubric = rubric_from_table("clarity", TABLE, "judge.rubrics")
    assert rubric == Rubric(Objective("clarity"), "Is it clear?", ((0.0, "Not at all."), (10.0, "Very.")))
    assert rubric_from_table("clarity", rubric.to_table(), "x") == rubric
    least = rubric_from_table("cost", {"text": "What it costs.", "high": 5, "direction": "min"}, "x")
    assert least.objective == Objective("cost", 0, 5, "min")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("clear", "judge.rubrics.clarity should be a table with a text, but is str"),
        ({}, "judge.rubrics.clarity needs a text: what a judge is to look at for clarity"),
        ({"text": 3}, "needs a text"),
        ({"text": " "}, "needs a text of 1 to 4,000 characters, but it has 0"),
        ({"text": "x" * 4001}, "but it has 4,001"),
        ({"text": "x", "weight": 1}, "has the unknown key 'weight'; known are text, anchors, low, high, direction"),
        ({"text": "x", "anchors": ["a"]}, "anchors should be a table from numbers to texts"),
        ({"text": "x", "anchors": {"low": "a"}}, "anchors should be a finite number, but is 'low'"),
        ({"text": "x", "anchors": {"11": "a"}}, "has an anchor at 11, outside of its scale from 0 to 10"),
        ({"text": "x", "anchors": {"1": " "}}, "the anchor at 1 of the rubric of 'clarity' needs a text"),
        ({"text": "x", "anchors": {str(i / 2): "a" for i in range(12)}}, "11 anchors at most, but has 12"),
        ({"text": "x", "low": 3, "high": 1}, "needs low < high"),
        ({"text": "x", "high": "inf"}, "high should be a finite number, but is 'inf'"),
        ({"text": "x", "high": True}, "high should be a finite number, but is True"),
        ({"text": "x", "direction": "up"}, "needs the direction 'max' or 'min'"),
    ],
)
def test_a_table_that_is_no_rubric_is_one_sentence(table: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        rubric_from_table("clarity", table, "judge.rubrics")
    assert said in str(caught.value)
    assert "judge.rubrics.clarity" in str(caught.value)
