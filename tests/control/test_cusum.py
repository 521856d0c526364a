from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from trimtab.control.cusum import alarm_chance, allowance, cusum, threshold
from trimtab.errors import InputError

K = 2 * np.log(2)


def test_the_sum_is_pages_recursion_and_waits_where_a_step_is_missing() -> None:
    e = np.array([[3.0, 0.2, np.nan, 2.0]])
    expected = [3 - K, 3.2 - 2 * K, 3.2 - 2 * K, 5.2 - 3 * K]
    assert cusum(e)[0] == pytest.approx(expected)
    assert cusum(np.array([[0.1, 0.1]]))[0].tolist() == [0.0, 0.0]
    assert allowance(2.0) == pytest.approx(K)


def test_chances_over_one_and_two_steps_are_the_exact_ones() -> None:
    for h in (0.3, 1.7, 6.0):
        one = np.exp(-(h + K))
        assert alarm_chance(h, 1) == pytest.approx(one, rel=1e-12)
        # The first step leaves the sum at 0, or somewhere below h.
        second, _ = integrate.quad(lambda e, h=h: np.exp(-e) * np.exp(-(h + K - max(e - K, 0.0))), 0, h + K, points=[K])
        assert alarm_chance(h, 2) == pytest.approx(one + second, rel=1e-6)


@pytest.mark.parametrize(("length", "theta"), [(5, 2.0), (20, 2.0), (20, 4.0), (300, 2.0)])
def test_the_false_alarm_rate_is_the_stated_one(length: int, theta: float) -> None:
    paths = {5: 100_000, 20: 60_000, 300: 6_000}[length]
    highest = cusum(np.random.default_rng(length).exponential(size=(paths, length)), theta).max(axis=1)
    for alpha in (0.2, 0.05, 0.01):
        alarms = int((highest >= threshold(alpha, length, theta)).sum())
        # Exact binomial, at a chance of 1e-6 for each of 12 checks.
        assert stats.binomtest(alarms, paths, alpha).pvalue > 1e-6


def test_a_wrong_allowance_or_length_would_be_noticed() -> None:
    highest = cusum(np.random.default_rng(0).exponential(size=(60_000, 20))).max(axis=1)
    for h in (threshold(0.05, 20, 2.2), threshold(0.05, 22)):
        assert stats.binomtest(int((highest >= h).sum()), 60_000, 0.05).pvalue < 1e-6


def test_a_long_stream_is_continued_with_the_chance_that_steps_settle_at() -> None:
    h = 9.0
    step = alarm_chance(h, 401) - alarm_chance(h, 400)
    per_step = step / (1 - alarm_chance(h, 400))
    assert 1 - alarm_chance(h, 5000) == pytest.approx((1 - alarm_chance(h, 400)) * (1 - per_step) ** 4600, rel=1e-6)


def test_thresholds_grow_with_length_and_confidence_and_are_met() -> None:
    assert threshold(0.01, 100) > threshold(0.01, 10) > threshold(0.1, 10)
    assert alarm_chance(threshold(0.01, 10), 10) == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize(("alpha", "length", "theta"), [(0.0, 5, 2.0), (1.0, 5, 2.0), (0.1, 0, 2.0), (0.1, 5, 1.0)])
def test_a_rate_that_is_none_is_refused(alpha: float, length: int, theta: float) -> None:
    with pytest.raises(InputError, match=r"false-alarm rate needs|mean surprise to be noticed"):
        threshold(alpha, length, theta)
