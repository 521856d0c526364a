from __future__ import annotations

import math

import numpy as np
import pytest

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("security", Objective("security", 0, 10, "max")),
        ("loss:0:1:min", Objective("loss", 0, 1, "min")),
        ("loss:min", Objective("loss", 0, 10, "min")),
        ("score:-5:5", Objective("score", -5, 5, "max")),
        ("open:-inf:inf", Objective("open", -math.inf, math.inf, "max")),
        (" spaced :0:1", Objective("spaced", 0, 1, "max")),
    ],
)
def test_parse_reads_every_form(text: str, expected: Objective) -> None:
    assert Objective.parse(text) == expected


@pytest.mark.parametrize("text", ["", ":0:1", "a:1", "a:0:1:up", "a:x:y", "a:5:5", "a:9:1", "a:nan:1", "a:0:1:min:2"])
def test_parse_refuses_what_it_cannot_read(text: str) -> None:
    with pytest.raises(InputError):
        Objective.parse(text)


def test_str_is_what_parse_reads() -> None:
    objective = Objective("latency", 0, 30, "min")
    assert Objective.parse(str(objective)) == objective


def test_a_space_gives_bounds_signs_and_positions() -> None:
    space = ObjectiveSpace(["security", "cost:0:100:min"])
    assert space.names == ("security", "cost")
    np.testing.assert_array_equal(space.low, [0, 0])
    np.testing.assert_array_equal(space.high, [10, 100])
    np.testing.assert_array_equal(space.sign, [1, -1])
    assert space.index("cost") == 1
    assert "cost" in space
    assert "speed" not in space
    assert space["cost"].direction == "min"


@pytest.mark.parametrize("objectives", [[], ["a", "a"], ["a", "a:0:1"]])
def test_a_space_needs_distinct_objectives(objectives: list[str]) -> None:
    with pytest.raises(InputError):
        ObjectiveSpace(objectives)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'speed'.*security"):
        ObjectiveSpace(["security"]).index("speed")
