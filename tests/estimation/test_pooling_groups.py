from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import scipy.stats

from grouped_panels import SLOW, TWO, tasks
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.pooling import groups as gr
from trimtab.estimation.pooling.groups import (
    group_sums,
    heterogeneity,
    labels_of,
    mean_starts,
    merged,
    within_p_value,
)


def grouped(data: Trajectories) -> tuple[Moments, np.ndarray, int]:
    """Return the moments of sessions, and the group of each."""
    names, group = np.unique(data.covariates["task_id"], return_inverse=True)
    return session_moments(data.steps()), group, len(names)


def residuals(data: Trajectories) -> np.ndarray:
    """Return the residuals of least squares of all steps, in units in which they are independent and of variance 1."""
    steps = data.steps()
    X = np.column_stack([np.ones(len(steps)), steps.x])
    e = steps.dx - X @ np.linalg.lstsq(X, steps.dx)[0]
    root = np.linalg.cholesky(e.T @ e / (len(X) - X.shape[1]))
    return np.linalg.solve(root, e.T).T


def cochran(e: np.ndarray, group: np.ndarray) -> float:
    """Return Cochran's Q of groups of rows, row by row."""
    return sum(
        float(e[group == g].sum(axis=0) @ e[group == g].sum(axis=0)) / (group == g).sum() for g in np.unique(group)
    )


def test_sums_of_groups_are_those_of_their_rows() -> None:
    data = tasks(5, 3, model=TWO, ragged=True, seed=1)
    moments, group, G = grouped(data)
    steps = data.steps()
    starts = mean_starts(steps, group, G, moments)
    sums = group_sums(merged(moments, group, G), starts)
    u, du = (steps.x - moments.center) / moments.scale, steps.dx / moments.scale
    own = group[np.searchsorted(moments.session, steps.session)]
    for g in range(G):
        W = np.column_stack([np.ones(len(u)), u, np.tile(starts[g], (len(u), 1))])[own == g]
        np.testing.assert_allclose(sums.WW[g], W.T @ W, atol=1e-12)
        np.testing.assert_allclose(sums.WY[g], W.T @ du[own == g], atol=1e-12)
        np.testing.assert_allclose(sums.YY[g], du[own == g].T @ du[own == g], atol=1e-12)
    assert sums.rows == len(u)


def test_mean_starts_are_those_of_sessions_about_the_mean_of_groups() -> None:
    data = tasks(5, 3, model=TWO, ragged=True, seed=1)
    moments, group, G = grouped(data)
    first = data.scores[data.offsets[:-1]]
    mean = np.array([first[group == g].mean(axis=0) for g in range(G)])
    expected = (mean - mean.mean(axis=0)) / moments.scale
    np.testing.assert_allclose(mean_starts(data.steps(), group, G, moments), expected, atol=1e-12)


def test_mean_starts_that_say_nothing_more_are_left_out() -> None:
    data = tasks(6, 2, model=TWO, seed=1)
    scores = data.scores.copy()
    scores[:, 1] = 3 - 2 * scores[:, 0]
    moments, group, G = grouped(data)
    twice = replace(data, scores=scores)
    assert mean_starts(twice.steps(), group, G, moments).shape == (6, 1)
    scores[data.offsets[:-1], 1] = 5.0
    once = replace(data, scores=scores)
    assert mean_starts(once.steps(), group, G, moments).shape == (6, 1)
    scores[data.offsets[:-1], 0] = 5.0
    assert mean_starts(replace(data, scores=scores).steps(), group, G, moments).shape == (6, 0)


@pytest.mark.parametrize("model", [SLOW, TWO])
def test_the_statistic_is_cochrans_of_mean_residuals(model: object) -> None:
    data = tasks(6, 3, model=model, levels=0.5, ragged=True, seed=2)
    moments, group, G = grouped(data)
    got = heterogeneity(moments, group, G, 0)
    of_step = group[np.searchsorted(moments.session, data.steps().session)]
    assert got.statistic == pytest.approx(cochran(residuals(data), of_step))


def test_the_p_value_is_the_share_of_all_ways_to_deal_out_sessions() -> None:
    data = tasks(2, 5, levels=0.5, ragged=True, seed=4)
    moments, group, G = grouped(data)
    e, session = residuals(data), np.searchsorted(moments.session, data.steps().session)
    found = [cochran(e, np.isin(session, chosen)) for chosen in combinations(range(10), 5)]
    got = heterogeneity(moments, group, G, 0)
    exact = np.mean(np.array(found) >= got.statistic * (1 - 1e-12))
    assert got.permutations == 999
    assert 0.05 < exact < 0.95
    # Six standard errors of 999 shuffles.
    assert abs(got.p_value - exact) < 6 * np.sqrt(exact * (1 - exact) / 999) + 0.001


def test_one_session_a_group_is_held_against_the_chi_squared_law() -> None:
    moments, group, G = grouped(tasks(12, 1, model=TWO, seed=1))
    got = heterogeneity(moments, group, G, 0)
    assert got.permutations == 0
    assert got.p_value == pytest.approx(scipy.stats.chi2.sf(got.statistic, 2 * 11))


def test_very_many_sessions_are_shuffled_less_often_and_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    moments, group, G = grouped(tasks(6, 5, levels=0.2, seed=1))
    monkeypatch.setattr(gr, "PERMUTATIONS", 299)
    whole = heterogeneity(moments, group, G, 0)
    monkeypatch.setattr(gr, "_BLOCK", 7 * 30)
    blocks = heterogeneity(moments, group, G, 0)
    assert whole.permutations == blocks.permutations == 299
    assert blocks.p_value == whole.p_value
    monkeypatch.setattr(gr, "_MOST_SHUFFLED", 30)
    assert heterogeneity(moments, group, G, 0).permutations == 199


def test_sessions_of_one_group_are_compared_step_by_step() -> None:
    data = tasks(4, 3, model=TWO, sessions=0.5, ragged=True, seed=3)
    moments, group, G = grouped(data)
    rng = np.random.default_rng(0)
    coefficient, Q = rng.normal(0, 0.3, (G, 3, 2)), np.array([[0.5, 0.2], [0.2, 0.8]])
    steps = data.steps()
    session = np.searchsorted(moments.session, steps.session)
    u, du = (steps.x - moments.center) / moments.scale, steps.dx / moments.scale
    W = np.column_stack([np.ones(len(u)), u])
    e = du - np.einsum("tk,tkj->tj", W, coefficient[group[session]])
    statistic = 0.0
    for s in range(12):
        peers = np.isin(session, np.flatnonzero(group == group[s]))
        off = e[session == s].mean(axis=0) - e[peers].mean(axis=0)
        statistic += (session == s).sum() * off @ np.linalg.solve(Q, off)
    got = within_p_value(moments, group, coefficient, Q)
    assert got == pytest.approx(scipy.stats.chi2.sf(statistic, 2 * (12 - 4)))
    alone = within_p_value(moments, np.arange(12), coefficient[group], Q)
    assert np.isnan(alone)


def test_labels_come_from_any_column_or_the_sessions_themselves() -> None:
    data = tasks(3, 2)
    assert labels_of(data, "task_id") == ("t0", "t1", "t2") * 2
    assert labels_of(data, "session_id") == data.session_ids
    with pytest.raises(InputError, match="no label 'model' to group sessions by; there are 'task_id', 'session_id'"):
        labels_of(data, "model")
