"""The expected information of the full model's parameter vector, from moments.

For runs with mean mu and covariance V, of which `count` share a pattern of scored iterations,

    F_ij = count (mu_i' V^-1 mu_j + tr(V^-1 V_i V^-1 V_j) / 2)

with mu_i and V_i the derivatives by entry i. Every V_i is a sum over iterations of p q' + q p', so that traces of
products of these large matrices are sums of products of the small numbers p' V^-1 q.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.state_space.likelihood import Stack, precisions
from trimtab.estimation.state_space.moments import PanelMoments
from trimtab.estimation.state_space.parameters import Layout, Roots

__all__ = ["expected_information"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def expected_information(layout: Layout, vector: Floats, moments: PanelMoments) -> Floats:
    """Return the expected information (batch, size, size) at the vectors (batch, size) of a full layout."""
    model, roots = layout.rooted(vector)
    n, span, batch = layout.n, moments.span, len(vector)
    stack = Stack.of(model, span)
    inverse = stack.inverse.reshape(batch, span * n, span, n)
    states = stack.states.reshape(batch, span * n, span, n)
    root = _joint_root(roots, vector[:, layout.slices()["G"]].reshape(batch, n, n))
    starts = np.concatenate([inverse[:, :, 0], inverse[:, :, 1:].sum(axis=2)], axis=2)
    unit = np.broadcast_to(np.eye(span * n), (batch, span * n, span * n)).reshape(inverse.shape)
    # p and q of each group of entries, (batch, span n, iterations, entries of a side).
    groups = [
        (inverse[:, :, 1:], states[:, :, :-1]),  # Phi
        (inverse[:, :, 1:], inverse[:, :, 1:] @ roots.Q[:, None]),  # the root of Q
        (starts[:, :, None], (starts @ root)[:, :, None]),  # the root of Cov(x_0, u)
        (unit, unit * model.r[:, None, None]),  # the noise
    ]
    # Derivatives of the mean by Phi, by c and by m.
    moved = np.einsum("bita,btc->biac", inverse[:, :, 1:], stack.mean.reshape(batch, span, n)[:, :-1])
    means = np.concatenate([moved.reshape(batch, span * n, n * n), starts[:, :, n:], starts[:, :, :n]], axis=2)
    places, factors = _entries(layout, vector)
    of_covariance = sum(p.shape[3] ** 2 for p, _ in groups)
    of_mean = np.concatenate([np.arange(n * n), of_covariance + np.arange(2 * n)])
    everyone = np.arange(batch)
    out = np.zeros((batch, layout.size, layout.size))
    for pattern in moments.patterns:
        rows = pattern.index
        precision, _, _ = precisions(stack.scores[np.ix_(everyone, rows, rows)])
        own = np.zeros((batch, of_covariance + 2 * n, of_covariance + 2 * n))
        own[:, :of_covariance, :of_covariance] = _traces([(p[:, rows], q[:, rows]) for p, q in groups], precision)
        own[np.ix_(everyone, of_mean, of_mean)] += means[:, rows].transpose(0, 2, 1) @ precision @ means[:, rows]
        out += pattern.count * own[np.ix_(everyone, places, places)]
    return np.asarray(out * factors[:, :, None] * factors[:, None])


def _joint_root(roots: Roots, G: Floats) -> Floats:
    """Return the factor [[L_P, 0], [G, L_U]] of Cov(x_0, u), (batch, 2n, 2n)."""
    n = G.shape[-1]
    root = np.zeros((len(G), 2 * n, 2 * n))
    root[:, :n, :n], root[:, n:, :n], root[:, n:, n:] = roots.P, G, roots.U
    return root


def _entries(layout: Layout, vector: Floats) -> tuple[Ints, Floats]:
    """Return where the information of each entry stands among the groups, (size,), and what to multiply it by.

    The groups give derivatives by all entries of the roots; the vector holds lower triangles, with logarithms on the
    diagonal.
    """
    n, at = layout.n, layout.slices()
    place, factor = np.zeros(layout.size, dtype=np.int64), np.ones(vector.shape)
    lower, diagonal = np.tril_indices(n), np.flatnonzero(np.equal(*np.tril_indices(n)))
    of_Q, of_start, of_noise = n * n, 2 * n * n, 6 * n * n
    after = of_noise + n * n
    place[at["phi"]] = np.arange(n * n)
    place[at["c"]], place[at["m"]] = after + np.arange(n), after + n + np.arange(n)
    place[at["Q"]] = of_Q + lower[0] * n + lower[1]
    place[at["P"]] = of_start + lower[0] * 2 * n + lower[1]
    place[at["U"]] = of_start + (lower[0] + n) * 2 * n + lower[1] + n
    place[at["G"]] = of_start + ((np.arange(n) + n)[:, None] * 2 * n + np.arange(n)).ravel()
    place[at["r"]] = of_noise + np.arange(n) * (n + 1)
    for name in ("Q", "P", "U"):
        own = at[name].start + diagonal
        factor[:, own] = np.exp(vector[:, own])
    return place, factor


def _traces(groups: list[tuple[Floats, Floats]], precision: Floats) -> Floats:
    """Return tr(V^-1 D_i V^-1 D_j) / 2 for all entries i, j of all groups, D_(ab) = sum_t p_ta q_tb' + q_tb p_ta'."""
    batch = len(precision)
    flat = [(p.reshape(batch, p.shape[1], -1), q.reshape(batch, q.shape[1], -1)) for p, q in groups]
    columns = np.concatenate([one for pair in flat for one in pair], axis=2)
    gram = columns.transpose(0, 2, 1) @ (precision @ columns)
    edges = np.cumsum([0, *(one.shape[2] for pair in flat for one in pair)])
    cut = [slice(edges[k], edges[k + 1]) for k in range(len(edges) - 1)]
    sizes = [p.shape[2:] for p, _ in groups]
    rows = []
    for g, (T, a) in enumerate(sizes):
        row = []
        for h, (S, c) in enumerate(sizes):
            pp, pq, qp, qq = (
                gram[:, cut[2 * g + i], cut[2 * h + j]].reshape(batch, T, a, S, c) for i in (0, 1) for j in (0, 1)
            )
            one = _summed(pp, qq)  # a c, b d
            other = _summed(pq, qp)  # a d, b c
            both = one.transpose(0, 1, 3, 2, 4) + other.transpose(0, 1, 3, 4, 2)
            row.append(both.reshape(batch, a * a, c * c))
        rows.append(np.concatenate(row, axis=2))
    return np.concatenate(rows, axis=1)


def _summed(one: Floats, other: Floats) -> Floats:
    """Return sum_ts one[t, a, s, c] other[t, b, s, d] as (batch, a, c, b, d)."""
    batch, T, a, S, c = one.shape
    left = one.transpose(0, 2, 4, 1, 3).reshape(batch, a * c, T * S)
    right = other.transpose(0, 1, 3, 2, 4).reshape(batch, T * S, a * c)
    return np.asarray((left @ right).reshape(batch, a, c, a, c))
