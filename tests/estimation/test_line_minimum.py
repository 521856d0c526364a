from __future__ import annotations

from math import cos, inf, nan, sin

import numpy as np
import pytest
import scipy.optimize

from trimtab.estimation.line_minimum import line_minimum


def test_points_and_number_of_evaluations_are_those_of_another_implementation() -> None:
    rng = np.random.default_rng(0)
    for a, b, c, d in rng.normal(size=(300, 4)):
        speed, asked = abs(d) * 20, []

        def function(
            x: float, a: float = a, b: float = b, c: float = c, s: float = speed, asked: list[float] = asked
        ) -> float:
            asked.append(x)
            return a * sin(s * x + b) + c * x * x + abs(x - a)

        found = line_minimum(function, -0.999, 0.999)
        own = len(asked)
        theirs = scipy.optimize.minimize_scalar(function, bounds=(-0.999, 0.999), method="bounded")
        assert found == pytest.approx(theirs.x, abs=1e-12)
        assert own == theirs.nfev


@pytest.mark.parametrize(
    ("function", "at"),
    [(lambda x: (x - 0.3) ** 2, 0.3), (lambda x: x, -1.0), (lambda x: -x, 2.0), (lambda x: cos(x), 2.0)],
)
def test_minima_inside_and_at_the_ends_are_found(function: object, at: float) -> None:
    assert line_minimum(function, -1.0, 2.0) == pytest.approx(at, abs=2e-5)


def test_the_tolerance_is_kept() -> None:
    assert line_minimum(lambda x: abs(x - 0.2), 0, 1, tolerance=1e-8) == pytest.approx(0.2, abs=2e-8)


@pytest.mark.parametrize("value", [0.0, inf, nan])
def test_the_search_ends_where_there_is_no_minimum(value: float) -> None:
    assert -1 <= line_minimum(lambda _: value, -1, 1) <= 1
