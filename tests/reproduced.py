"""A small reproduction that several tests look at."""

from __future__ import annotations

from functools import cache

from trimtab.reproduction.reproduce import Reproduction, reproduce


@cache
def small() -> Reproduction:
    """Return 60 experiments, none of them fitted."""
    return reproduce(60, seed=1, fitted=0)
