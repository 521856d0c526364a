"""Worlds: where true dynamics come from, how they may differ from what a policy believes, and what a log holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trimtab.control.evaluation.world import World
from trimtab.control.knowledge import Knowledge
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.streams import stream, stream_seed
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.errors import InputError
from trimtab.forecasting.loops import Loops

__all__ = ["moved", "noisier", "random_world", "recorded", "world_of"]

Floats = NDArray[np.float64]

STARTS = 20_000
"""Starting states that a world of loops draws from."""


def world_of(loops: Loops, seed: int = 0) -> World:
    """Return the world in which the loops' estimates are the truth.

    Sessions start as those of the source do, an equal share as under each strategy.
    """
    known = Knowledge.of_loops(loops)
    mean, each = known.mean, -(-STARTS // len(known.strategies))
    starts = [
        loops[name].starts.draw(each, stream_seed(seed, "world", name), known.space, known.score_noise)
        for name in known.strategies
    ]
    return World(
        known.space, known.strategies, mean.F[0], mean.c[0], mean.Q, known.score_noise, known.session_sd,
        np.concatenate(starts),
    )  # fmt: skip


def moved(world: World, knowledge: Knowledge, errors: float, seed: int) -> World:
    """Return the world with its drift moved away by so many standard errors of what is known, in a random direction.

    The move is `errors` times what one draw from the posterior differs from its mean by, so that each coefficient
    moves by `errors` standard errors in the root mean square. Innovations stay as they are.
    """
    drawn, mean = knowledge.draws(1, seed, "moved"), knowledge.mean
    return replace(
        world,
        F=world.F + errors * (drawn.F[0] - mean.F[0]),
        c=world.c + errors * (drawn.c[0] - mean.c[0]),
    )


def noisier(world: World, factor: float, least: Floats) -> World:
    """Return the world with score noise of `factor` times its standard deviation, but at least `least` (n,)."""
    sd = np.maximum(factor * np.sqrt(world.score_noise), least)
    return replace(world, score_noise=sd**2)


def random_world(n: int, seed: int, strategies: int = 4, score_noise: float = 0.0) -> World:
    """Return a random system of `n` objectives on 0..10.

    Each strategy has a spectrum of its own. Multipliers come one by one from five kinds, each as likely: at once (0 to
    0.3), slow (0.6 to 0.98), overshooting (-0.7 to -0.1), mildly unstable (1 to 1.06), and, where two are still to be
    chosen, a pair of modulus 0.5 to 0.98 that turns by 15 to 120 degrees. Eigenvectors are a random orthogonal basis,
    sheared by normal numbers of standard deviation 0.25. Equilibria trade objectives off: the middle of the scale, plus
    a shift of all objectives alike (standard deviation 0.7), plus one that adds up to zero (2 in each), within 0.5 to
    9.5. Innovations have standard deviations of 0.2 to 1.5, spread evenly on a logarithmic scale, and the correlations
    of n + 2 normal vectors. Sessions start normally about one point, uniform in 2 to 6, with standard deviation 1.

    Parameters
    ----------
    score_noise
        Standard deviation of the score noise of every objective.
    """
    if n < 1 or strategies < 1 or not score_noise >= 0:
        raise InputError(
            f"a random world needs 1 or more objectives and strategies and a score noise of 0 or more, but got {n}, "
            f"{strategies} and {score_noise}"
        )
    space = ObjectiveSpace(f"q{j + 1}" for j in range(n))
    F, c, Q = np.empty((strategies, n, n)), np.empty((strategies, n)), np.empty((strategies, n, n))
    for k in range(strategies):
        rng = stream(seed, "random world", n, k)
        basis = np.linalg.qr(rng.standard_normal((n, n)))[0] @ (np.eye(n) + 0.25 * rng.standard_normal((n, n)))
        F[k] = basis @ _blocks(n, rng) @ np.linalg.inv(basis)
        apart = rng.normal(0, 2, n)
        level = np.clip(5 + rng.normal(0, 0.7) + apart - apart.mean(), 0.5, 9.5)
        c[k] = level - F[k] @ level
        sd = np.exp(rng.uniform(np.log(0.2), np.log(1.5), n))
        vectors = rng.standard_normal((n + 2, n))
        R = vectors.T @ vectors
        size = sd / np.sqrt(np.diagonal(R))
        Q[k] = R * size * size[:, None]
    rng = stream(seed, "random world", n, "start")
    starts = np.clip(rng.uniform(2, 6, n) + rng.standard_normal((STARTS, n)), 0, 10)
    names = tuple(f"S{k + 1}" for k in range(strategies))
    return World(space, names, F, c, Q, np.full(n, score_noise**2), np.zeros((strategies, n)), starts)


def recorded(world: World, sessions: int, steps: int, seed: int) -> Trajectories:
    """Return scores of so many sessions under each strategy, as a log would hold them."""
    n, space = world.space.n, world.space
    scores = np.empty((len(world.strategies), sessions, steps + 1, n))
    for k in range(len(world.strategies)):
        x, xi, w, v = world.noises(sessions, steps, stream_seed(seed, "recorded", k))
        shocks = w @ semidefinite_cholesky(world.Q[k]).T
        x = np.clip(x, space.low, space.high)
        for t in range(steps + 1):
            scores[k, :, t] = np.clip(x + v[t], space.low, space.high)
            if t < steps:
                x = x @ world.F[k].T + world.c[k] + world.session_sd[k] * xi + shocks[t]
                x = np.clip(x, space.low, space.high)
    names = [name for name in world.strategies for _ in range(sessions)]
    return Trajectories.from_arrays(scores.reshape(-1, steps + 1, n), space, names)


def _blocks(n: int, rng: np.random.Generator) -> Floats:
    """Return a block diagonal matrix with random multipliers."""
    F, j = np.zeros((n, n)), 0
    while j < n:
        kind = rng.choice(5 if n - j > 1 else 4)
        if kind == 4:
            modulus, angle = rng.uniform(0.5, 0.98), np.deg2rad(rng.uniform(15, 120))
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            F[j : j + 2, j : j + 2] = modulus * turn
            j += 2
        else:
            F[j, j] = rng.uniform(*((0.0, 0.3), (0.6, 0.98), (-0.7, -0.1), (1.0, 1.06))[kind])
            j += 1
    return F
