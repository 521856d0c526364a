"""What the tests of steering share: known dynamics, and the dense normal law that a filter must agree with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trimtab.control.knowledge import Knowledge
from trimtab.core.objectives import ObjectiveSpace

Floats = NDArray[np.float64]


def knowledge(n: int = 2, K: int = 3, *, noise: float = 0.0, levels: float = 0.0, seed: int = 0) -> Knowledge:
    """Return knowledge of K stable strategies on n objectives, learnt from 60 steps of each."""
    rng = np.random.default_rng(seed)
    space = ObjectiveSpace([f"o{j}" for j in range(n)])
    made = Knowledge.none(space, [f"S{k}" for k in range(K)], {f"o{j}": noise for j in range(n)})
    sums = np.zeros_like(made.total)
    for k in range(K):
        A = -0.5 * np.eye(n) + rng.normal(0, 0.2, (n, n))
        target = rng.uniform(3, 8, n)
        u = rng.normal(0, 2, (60, n))
        x = made.center + u * made.scale
        dx = (x - target) @ A.T + rng.normal(0, 0.6, (60, n))
        w = np.column_stack([np.ones(60), u, dx / made.scale])
        sums[k] = w.T @ w
    sd = levels * (1 + np.arange(K))[:, None] * np.ones(n)
    return replace(made.added(sums), session_sd=sd, start_covariance=np.eye(n))


def certain(known: Knowledge) -> Knowledge:
    """Return the same knowledge from so many more steps that its means are known for certain."""
    return known.with_total(known.total * 1e8)


def dense(
    known: Knowledge, strategy: NDArray[np.int64], y: Floats, base: NDArray[np.int64] | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return mean and covariance of (x_0, ..., x_T, xi) given one session's scores (T + 1, n), and which are x."""
    n, T = known.n, len(strategy)
    size, drawn = n * (T + 2), n * (T + 2)
    M, shift, V = np.zeros((size, drawn)), np.zeros(size), np.eye(drawn)
    V[:n, :n] = known.start_covariance
    M[:n, :n], M[-n:, n : 2 * n] = np.eye(n), np.eye(n)
    shift[:n] = known.start_mean
    mean = known.mean
    for t, k in enumerate(strategy):
        b = t if base is None else int(base[t])
        before, after, w = slice(b * n, (b + 1) * n), slice((t + 1) * n, (t + 2) * n), slice((t + 2) * n, (t + 3) * n)
        M[after] = mean.F[0, k] @ M[before]
        M[after, n : 2 * n] += np.diag(known.session_sd[k])
        M[after, w] += np.eye(n)
        V[w, w] = mean.Q[k]
        shift[after] = mean.F[0, k] @ shift[before] + mean.c[0, k]
    P = M @ V @ M.T
    seen = np.flatnonzero(np.isfinite(y.ravel()))
    R = np.diag(np.tile(known.score_noise, T + 1)[seen])
    gain = P[:, seen] @ np.linalg.inv(P[np.ix_(seen, seen)] + R)
    return shift + gain @ (y.ravel()[seen] - shift[seen]), P - gain @ P[seen], np.arange(n * (T + 1))
