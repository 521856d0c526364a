"""Steps by group: sums of products, mean starts, and whether groups differ at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import Steps, Trajectories
from trimtab.errors import InputError
from trimtab.estimation.least_squares import coefficients, estimate
from trimtab.estimation.moments import Moments
from trimtab.estimation.pooling.mixed_model import GroupSums

__all__ = ["Heterogeneity", "group_sums", "heterogeneity", "labels_of", "mean_starts", "merged", "within_p_value"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SESSION = "session_id"

PERMUTATIONS = 999

_MOST_SHUFFLED = 20_000_000  # sessions x permutations
_FEWEST_PERMUTATIONS = 199
_BLOCK = 2_000_000  # session labels held at once


def labels_of(trajectories: Trajectories, group: str) -> tuple[str, ...]:
    """Return each session's label, empty where it has none; ``InputError`` if there is no such column."""
    if group == SESSION:
        return trajectories.session_ids
    try:
        return trajectories.covariates[group]
    except KeyError:
        known = ", ".join(repr(name) for name in (*trajectories.covariates, SESSION))
        raise InputError(
            f"there is no label {group!r} to group sessions by; there are {known}. Of a table, other columns become "
            "labels only where the table itself is given, not the trajectories loaded from it"
        ) from None


def merged(moments: Moments, group: Ints, count: int) -> Moments:
    """Return the moments of `count` groups from those of sessions; `group` (S,) says where each belongs."""
    outer = np.zeros((count, *moments.outer.shape[1:]))
    np.add.at(outer, group, moments.outer)
    return Moments(outer, np.arange(count), moments.center, moments.scale)


def mean_starts(steps: Steps, group: Ints, count: int, moments: Moments) -> Floats:
    """Return the mean state from which a group's sessions set out, about the mean of groups, (count, n).

    In units of the moments. Columns that are constant over groups, or combinations of others, are left out, so that
    fewer than n may remain.
    """
    _, first = np.unique(steps.session, return_index=True)
    start = (steps.x[first] - moments.center) / moments.scale
    sums = np.zeros((count, start.shape[1]))
    np.add.at(sums, group, start)
    mean = sums / np.bincount(group, minlength=count)[:, None]
    mean -= mean.mean(axis=0)
    kept: list[int] = []
    for j in range(mean.shape[1]):
        both = mean[:, [*kept, j]]
        if np.linalg.svd(both, compute_uv=False)[-1] > 1e-6 * np.sqrt(count):
            kept.append(j)
    return mean[:, kept]


def group_sums(moments: Moments, starts: Floats) -> GroupSums:
    """Return the sums of products of W = [1, u, c], c being the group's row of `starts` (G, h), and of du."""
    k = 1 + moments.n
    outer = moments.outer
    G, h = starts.shape
    WW = np.zeros((G, k + h, k + h))
    WW[:, :k, :k] = outer[:, :k, :k]
    WW[:, :k, k:] = outer[:, :k, :1] * starts[:, None, :]
    WW[:, k:, :k] = np.swapaxes(WW[:, :k, k:], 1, 2)
    WW[:, k:, k:] = outer[:, :1, :1] * starts[:, :, None] * starts[:, None, :]
    own = outer[:, :k, k:]
    return GroupSums(WW, np.concatenate([own, starts[:, :, None] * own[:, :1]], axis=1), outer[:, k:, k:])


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """The test of "groups do not differ in level": Cochran's Q of their mean residual steps.

    Parameters
    ----------
    statistic
        Q = sum over groups of U_g' Q^-1 U_g / m_g, U_g being the sum of the group's m_g residuals under the pooled fit.
    p_value
        From shuffling sessions between groups, so that differences between sessions do not count as differences
        between groups; where no two groups have two sessions, from a chi-squared law with n (G - 1) degrees of freedom.
    permutations
        Shuffles, 0 for the chi-squared law.
    """

    statistic: float
    p_value: float
    permutations: int


def heterogeneity(moments: Moments, group: Ints, count: int, seed: int) -> Heterogeneity:
    """Test whether `count` groups of sessions differ; `group` (S,) says where each session of `moments` belongs."""
    k = 1 + moments.n
    beta, _ = coefficients(moments.total)
    fitted = estimate(moments.total, np.zeros(moments.n), np.ones(moments.n))
    rows = moments.outer[:, 0, 0]
    sums = moments.outer[:, 0, k:] - moments.outer[:, 0, :k] @ beta
    # In units in which the residuals of a step are independent and of variance 1.
    values, vectors = np.linalg.eigh(fitted.Q)
    kept = values > 1e-12 * values[-1]
    white = sums @ (vectors[:, kept] / np.sqrt(values[kept]))

    def cochran(order: Ints) -> Floats:
        """Return Q for orders (draws, S) of sessions: session order[d, s] takes the place of s, with all its steps."""
        found = np.empty(len(order))
        for d, own in enumerate(order):
            size = np.bincount(group, rows[own], minlength=count)
            total = np.stack([np.bincount(group, column[own], minlength=count) for column in white.T], axis=1)
            mean = total.sum(axis=0) / size.sum()
            found[d] = ((total - size[:, None] * mean) ** 2 / size[:, None]).sum()
        return found

    S = len(rows)
    observed = float(cochran(np.arange(S)[None])[0])
    if (np.bincount(group, minlength=count) > 1).sum() < 2:
        return Heterogeneity(observed, float(scipy.special.chdtrc(white.shape[1] * (count - 1), observed)), 0)
    permutations = int(np.clip(_MOST_SHUFFLED // S, _FEWEST_PERMUTATIONS, PERMUTATIONS))
    rng = stream(seed, "heterogeneity")
    beyond = 0
    block = max(1, _BLOCK // S)
    for at in range(0, permutations, block):
        order = rng.permuted(np.tile(np.arange(S), (min(block, permutations - at), 1)), axis=1)
        beyond += int((cochran(order) >= observed * (1 - 1e-12)).sum())
    return Heterogeneity(observed, (1 + beyond) / (1 + permutations), permutations)


def within_p_value(moments: Moments, group: Ints, coefficient: Floats, Q: Floats) -> float:
    """Test whether sessions of one group differ in level for good; return the p-value of "they do not".

    sum over sessions of (e_s - m_s e_g / m_g)' Q^-1 (...) / m_s with e_s the sum of the m_s residuals of session s and
    e_g, m_g their sums over its group, against a chi-squared law with n (S - G) degrees of freedom.

    Parameters
    ----------
    moments, group
        Sessions, and the group of each, (S,).
    coefficient, Q
        (G, 1 + n, n) coefficients of each group; (n, n) covariance of a step; in units of the moments.
    """
    k = 1 + moments.n
    count = len(coefficient)
    sums = moments.outer[:, 0, k:] - np.einsum("sk,skj->sj", moments.outer[:, 0, :k], coefficient[group])
    rows = moments.outer[:, 0, 0]
    whole = np.zeros((count, moments.n))
    np.add.at(whole, group, sums)
    share = rows / np.bincount(group, rows, minlength=count)[group]
    deviation = sums - share[:, None] * whole[group]
    dof = moments.n * (len(rows) - count)
    if not dof:
        return float("nan")
    statistic = float(np.einsum("si,ij,sj,s->", deviation, np.linalg.pinv(Q), deviation, 1 / rows))
    return float(scipy.special.chdtrc(dof, statistic))
