"""Bounds on counts over simulated experiments: exact, and passed by chance once in a million."""

from __future__ import annotations

import scipy.stats

__all__ = ["least", "most"]

CHANCE = 1e-6


def most(experiments: int, share: float = 0.05) -> int:
    """Return the count that a binomial of this share exceeds with a chance of `CHANCE` at most."""
    return int(scipy.stats.binom.isf(CHANCE, experiments, share))


def least(experiments: int, share: float = 0.95) -> int:
    """Return the count that a binomial of this share falls short of with a chance of `CHANCE` at most."""
    return int(scipy.stats.binom.ppf(CHANCE, experiments, share))
