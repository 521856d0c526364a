from __future__ import annotations

import numpy as np
import pytest

from report_fits import ODD, fitted, simulated
from trimtab.core.trajectories import FAILED, OK, UNSCORED, Trajectories
from trimtab.report.quality import BARS, lengths_differ, quality, switching


def test_lengths_and_switches_are_found():
    assert not lengths_differ(simulated(n=1, sessions=3))
    assert lengths_differ(ODD["missing scores, unequal lengths"]())
    assert switching(ODD["switching midway"]()) == 10
    assert switching(simulated(n=1, sessions=3)) == 0


def test_scores_are_counted_by_status():
    data = simulated(n=2, strategies=("A",), sessions=10)
    scores, status = data.scores.copy(), data.status.copy()
    scores[:7, 1], status[:7, 1] = np.nan, FAILED
    scores[20:23, 1], status[20:23, 1] = np.nan, UNSCORED
    data = Trajectories(
        data.space, scores, status, data.iteration, data.strategy, data.offsets, data.session_ids, data.strategies
    )
    fit = fitted(data)
    whole, part = quality(fit, [fit["A"]]).missing
    assert (whole.known, whole.unscored, whole.failed, whole.share) == (110, 0, 0, "0%")
    assert (part.known, part.unscored, part.failed, part.share) == (100, 3, 7, "9%")
    assert (status == OK).sum() == whole.known + part.known


@pytest.mark.parametrize("kinds", [1, 5, 40])
def test_sessions_by_length_add_up(kinds):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(5, 1, (2 + i % kinds, 1)) for i in range(80)]
    fit = fitted(Trajectories.from_arrays(arrays, ["x"]))
    bars = quality(fit, [fit["all"]]).lengths
    assert sum(bar.count for bar in bars) == 80
    assert len(bars) == min(kinds, BARS)
    assert max(bar.width for bar in bars) == 100
    assert bars[0].label.startswith("2")
    assert bars[-1].label.endswith(str(1 + kinds))


@pytest.mark.parametrize(
    ("names", "front"), [("AB", "A, B: "), ("A", "A: "), ("ABCDEFG", "A, B, C, D, E and 2 more: ")]
)
def test_a_warning_comes_once_with_the_strategies_it_concerns(names, front):
    fit = fitted(simulated(n=1, strategies=tuple(names), sessions=4))
    shared = [text for text in fit[names[0]].warnings if all(text in one.warnings for one in fit.strategies.values())]
    assert shared
    said = quality(fit, list(fit.strategies.values())).warnings
    for text in shared:
        assert [one for one in said if text in one] == [front + text]
    for name, one in fit.strategies.items():
        for text in one.warnings:
            assert sum(line.endswith(f": {text}") for line in said) == 1, name
