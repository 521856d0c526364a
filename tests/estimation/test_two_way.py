from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.estimation import two_way as module
from trimtab.estimation.two_way import two_way

Panel = tuple[np.ndarray, np.ndarray, np.ndarray]


def ragged(seed: int, sessions: int = 9, longest: int = 7, n: int = 2) -> Panel:
    """Return states, sessions and iterations of sessions of unequal lengths, some starting late, some with gaps."""
    rng = np.random.default_rng(seed)
    session, iteration = [], []
    for s in range(sessions):
        at = np.flatnonzero(rng.random(longest) < 0.7) + rng.integers(0, 3)
        at = at if len(at) else np.array([0])
        session += [s] * len(at)
        iteration += [*at]
    x = rng.normal(size=(len(session), n)) + rng.normal(size=(sessions, n))[session]
    return x, np.array(session), np.array(iteration)


def parts(x, session, iteration) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    split = two_way(x, session, iteration)
    mean, level = split.iteration[split.group], split.session[split.owner]
    return mean, level, x - x.mean(axis=0) - mean - level


def dense(x: np.ndarray, session: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return what a regression on indicators of sessions and groups of iterations leaves over."""
    design = np.hstack([np.eye(session.max() + 1)[session], np.eye(group.max() + 1)[group]])
    return x - design @ np.linalg.lstsq(design, x, rcond=None)[0]


@pytest.mark.parametrize("seed", range(8))
def test_the_rest_is_what_a_regression_on_indicators_leaves_over(seed: int) -> None:
    x, session, iteration = ragged(seed)
    group = two_way(x, session, iteration).group
    np.testing.assert_allclose(parts(x, session, iteration)[2], dense(x, session, group), atol=1e-12)


def test_equal_sessions_have_the_ordinary_means() -> None:
    x = np.random.default_rng(0).normal(size=(6, 5, 3))
    session, iteration = np.repeat(np.arange(6), 5), np.tile(np.arange(5), 6)
    mean, level, rest = parts(x.reshape(30, 3), session, iteration)
    center = x.mean(axis=(0, 1))
    np.testing.assert_allclose(mean, np.tile(x.mean(axis=0) - center, (6, 1)), atol=1e-14)
    np.testing.assert_allclose(level, np.repeat(x.mean(axis=1) - center, 5, axis=0), atol=1e-14)
    for one, other in ((mean, level), (mean, rest), (level, rest)):
        np.testing.assert_allclose(one.T @ other, 0, atol=1e-12)


def test_sessions_that_stop_early_because_they_are_good_are_no_trend() -> None:
    rng = np.random.default_rng(1)
    level = rng.normal(size=(400, 1))
    length = np.clip(np.round(6 - 3 * level[:, 0]), 2, 12).astype(int)
    session = np.repeat(np.arange(400), length)
    iteration = np.concatenate([np.arange(k) for k in length])
    x = level[session] + 0.1 * rng.normal(size=(len(session), 1))
    split = two_way(x, session, iteration)
    # The means of those still running fall by more than one; the sessions themselves do not move at all.
    assert x[iteration == 11].mean() < x[iteration == 0].mean() - 1
    few = np.bincount(split.group).min()
    assert np.abs(split.iteration).max() < 6 * 0.1 / np.sqrt(few) < 0.3


def test_iterations_that_few_reach_share_one_mean() -> None:
    session = np.repeat(np.arange(8), [3, 3, 3, 3, 3, 3, 9, 9])
    iteration = np.concatenate([np.arange(3)] * 6 + [np.arange(9)] * 2)
    split = two_way(np.random.default_rng(0).normal(size=(36, 1)), session, iteration)
    assert len(split.iteration) == 4
    assert len(set(split.group[iteration >= 3])) == 1
    alone = two_way(np.arange(5.0)[:, None], np.zeros(5, dtype=int), np.arange(5))
    np.testing.assert_array_equal(alone.iteration, 0)


def test_very_many_iterations_share_means_with_their_neighbours() -> None:
    T = 5 * module.MOST
    session, iteration = np.repeat(np.arange(6), T), np.tile(np.arange(T), 6)
    x = np.sin(iteration / T)[:, None]
    split = two_way(x, session, iteration)
    assert len(split.iteration) == module.MOST
    np.testing.assert_array_equal(np.bincount(split.group), 30)
    assert (np.diff(split.group[:T]) >= 0).all()
    assert np.abs(parts(x, session, iteration)[2]).max() < 0.01


def test_differences_between_unlinked_sessions_are_their_levels() -> None:
    session, iteration = np.repeat(np.arange(12), 2), np.array([0, 1] * 6 + [5, 6] * 6)
    x = np.where(iteration < 3, 0.0, 4.0)[:, None] + 1.0 * (iteration % 5 == 1)[:, None]
    mean, level, rest = parts(x, session, iteration)
    np.testing.assert_allclose(rest, 0, atol=1e-12)
    np.testing.assert_allclose(np.ptp(level), 4)
    np.testing.assert_allclose(np.ptp(mean), 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 12), st.integers(1, 3))
def test_parts_sum_up_and_have_no_mean(seed: int, sessions: int, longest: int, n: int) -> None:
    x, session, iteration = ragged(seed, sessions, longest, n)
    split = two_way(x, session, iteration)
    mean, level, rest = parts(x, session, iteration)
    for part in (mean, level, rest):
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-10)
    for index in (split.group, split.owner):
        for column in rest.T:
            np.testing.assert_allclose(np.bincount(index, column), 0, atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_what_one_more_session_changes_is_pulled_back_to_its_steps(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "FEWEST", 1)
    x, session, iteration = ragged(seed)
    split = two_way(x, session, iteration)
    rest = parts(x, session, iteration)[2]
    values = np.random.default_rng(seed).normal(size=x.shape)
    values -= values.mean(axis=0)
    pulled = (split.pull_back(values)[split.group] * rest).sum(axis=1)
    copies, extra = 300, 3

    def repeated(times: np.ndarray) -> np.ndarray:
        """Return the mean at each iteration when sessions count `times` each."""
        rows = np.concatenate([np.tile(np.flatnonzero(session == s), k) for s, k in enumerate(times)])
        owner = np.repeat(np.arange(times.sum()), np.repeat(np.bincount(session), times))
        found = two_way(x[rows], owner, iteration[rows])
        return found.iteration

    for s in range(session.max() + 1):
        more, less = np.full(session.max() + 1, copies), np.full(session.max() + 1, copies)
        more[s] += extra
        less[s] -= extra
        slope = (repeated(more) - repeated(less)) * copies / (2 * extra)
        changed = (values * slope[split.group]).sum()
        assert changed == pytest.approx(pulled[session == s].sum(), abs=2e-3)
