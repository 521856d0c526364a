"""Simulated experiments whose truth is known: models, and what spoils the scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE

Floats = NDArray[np.float64]

NAMES = ("security", "efficiency", "functionality")
STEPS = 10
CENTER = 5.0
PROCESS_SD = 0.5

BLOCKS = {
    "real": np.diag([-0.33, -0.7, -1.0]),
    "complex": np.array([[-0.35, 0.35, 0.0], [-0.35, -0.35, 0.0], [0.0, 0.0, -0.9]]),
    "near0": np.diag([-0.03, -0.5, -0.9]),
    "repeated": np.diag([-0.4, -0.4, -0.8]),
}


def model_of(block: Floats) -> AffineSDE:
    """Turn a block-diagonal drift into one whose objectives are coupled, with its equilibrium in mid-scale."""
    rng = np.random.default_rng(3)
    n = len(block)
    basis = np.linalg.qr(rng.normal(size=(n, n)))[0] + 0.2 * rng.normal(size=(n, n))
    A = basis @ block @ np.linalg.inv(basis)
    return AffineSDE(A, -A @ np.full(n, CENTER), PROCESS_SD**2 * np.eye(n))


MODELS = {name: model_of(block) for name, block in BLOCKS.items()}


@dataclass(frozen=True, slots=True)
class Condition:
    """What spoils the scores.

    Parameters
    ----------
    noise
        Standard deviation of the score noise.
    levels
        Standard deviation, between sessions, of the level that a session heads for.
    tied
        Whether the level shows in the first score already.
    at_bound
        Share of scores that the scale cuts off, about.
    """

    noise: float = 0.0
    levels: float = 0.0
    tied: bool = False
    at_bound: float = 0.0


CONDITIONS = {
    "clean": Condition(),
    "score noise": Condition(noise=0.5),
    "heterogeneity": Condition(levels=1.0),
    "both": Condition(noise=0.5, levels=1.0),
    "both, x0 tied": Condition(noise=0.5, levels=1.0, tied=True),
    "10% at a bound": Condition(at_bound=0.1),
}


def paths(model: AffineSDE, condition: Condition, sessions: int, rng: np.random.Generator, half: float) -> Floats:
    """Return true states (S, T + 1, n), cut off at CENTER -+ half after every step."""
    n = model.n
    level = rng.normal(0, condition.levels, (sessions, n)) if condition.levels else np.zeros((sessions, n))
    x = CENTER + rng.normal(0, 1, (sessions, n)) + (0.7 * level if condition.tied else 0)
    x = np.clip(x, CENTER - half, CENTER + half)
    own = -level @ model.A.T
    root = np.linalg.cholesky(model.Q)
    states = [x]
    for _ in range(STEPS):
        x = x + x @ model.A.T + model.b + own + rng.normal(size=(sessions, n)) @ root.T
        x = np.clip(x, CENTER - half, CENTER + half)
        states.append(x)
    return np.stack(states, axis=1)


@cache
def half_width(name: str, share: float) -> float:
    """Return half the width of the scale on which `share` of the scores are cut off, by bisection."""
    if not share:
        return np.inf
    low, high = 0.2, 20.0
    for _ in range(30):
        middle = (low + high) / 2
        states = paths(MODELS[name], Condition(), 2000, np.random.default_rng(0), middle)
        at = np.mean(np.abs(states - CENTER) >= middle)
        low, high = (middle, high) if at > share else (low, middle)
    return (low + high) / 2


def experiment(name: str, condition: Condition, sessions: int, seed: int) -> Trajectories:
    """Return the scores of one simulated experiment."""
    rng = np.random.default_rng([seed, sessions, *name.encode()])
    half = half_width(name, condition.at_bound)
    x = paths(MODELS[name], condition, sessions, rng, half)
    y = x + condition.noise * rng.normal(size=x.shape)
    ends = f"{CENTER - half:.6f}:{CENTER + half:.6f}" if np.isfinite(half) else "-inf:inf"
    if np.isfinite(half):
        low, high = (float(end) for end in ends.split(":"))
        y = np.clip(y, low, high)
        y[y <= low + 1e-5], y[y >= high - 1e-5] = low, high
    return Trajectories.from_arrays(y, [f"{objective}:{ends}" for objective in NAMES])


@cache
def true_interference(name: str, condition: Condition) -> float:
    """Return the correlation of the first two objectives' true step changes, from one large simulation."""
    rng = np.random.default_rng(99)
    x = paths(MODELS[name], condition, 40_000, rng, half_width(name, condition.at_bound))
    dx = np.diff(x, axis=1).reshape(-1, x.shape[2])
    return float(np.corrcoef(dx[:, 0], dx[:, 1])[0, 1])
