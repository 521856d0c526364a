from __future__ import annotations

import json

import numpy as np
import pytest

from trimtab.core import plain
from trimtab.core.exclusions import Exclusion
from trimtab.core.objectives import ObjectiveSpace
from trimtab.estimation.estimates import ArrayEstimate, Estimate


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf])
def test_numbers_that_no_document_can_hold_are_none(unknown: float) -> None:
    assert plain.number(unknown) is None
    assert plain.array(unknown) is None
    assert plain.array([[1, unknown], [2.5, 0]]) == [[1.0, None], [2.5, 0.0]]
    assert plain.interval(Estimate(1.5, unknown, 2)) == {"estimate": 1.5, "low": None, "high": 2.0}


def test_arrays_of_any_shape_become_nested_lists_of_floats() -> None:
    for shape in [(), (0,), (3,), (2, 0), (2, 3, 4)]:
        values = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
        found = plain.array(values)
        assert found == values.tolist()
        assert json.dumps(found) == json.dumps(values.astype(float).tolist())
    ends = ArrayEstimate(np.ones(2), np.array([-np.inf, 0]), np.full(2, np.nan))
    assert plain.interval(ends) == {"estimate": [1.0, 1.0], "low": [None, 0.0], "high": [None, None]}


def test_objectives_exclusions_and_complex_numbers_are_written_by_their_parts() -> None:
    assert plain.objectives(ObjectiveSpace(["a", "b:0:inf:min"])) == [
        {"name": "a", "low": 0.0, "high": 10.0, "direction": "max"},
        {"name": "b", "low": 0.0, "high": None, "direction": "min"},
    ]
    assert plain.exclusions([Exclusion("no number", 2, "scores", ("x",))]) == [
        {"reason": "no number", "count": 2, "unit": "scores", "examples": ["x"]}
    ]
    assert plain.complexes(np.array([1 - 2j])) == [{"re": 1.0, "im": -2.0}]
