"""What the lookahead is made of: transitions held for several steps, when to look, normal numbers, and drifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream

__all__ = ["Transition", "by_session", "deviations", "jumps_of", "normals", "repeated", "root_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Transition:
    """D drifts of K strategies, (D, K, d, d) and (D, K, d), innovations (K, d, d), and the mean drift (K, ...)."""

    F: Floats
    c: Floats
    Q: Floats
    mean_F: Floats
    mean_c: Floats

    def held(self, steps: int) -> Transition:
        """Return the transition over so many steps by one strategy."""
        F, c, mean_F, mean_c, Q = self.F, self.c, self.mean_F, self.mean_c, self.Q
        for _ in range(steps - 1):
            c = (self.F @ c[..., None])[..., 0] + self.c
            mean_c = (self.mean_F @ mean_c[..., None])[..., 0] + self.mean_c
            Q = self.mean_F @ Q @ self.mean_F.swapaxes(-1, -2) + self.Q
            F, mean_F = self.F @ F, self.mean_F @ mean_F
        return Transition(F, c, Q, mean_F, mean_c)


def jumps_of(steps: int) -> list[int]:
    """Return by how many steps to look on each time, so that looks are at 1, 2, 4, 8, ... and at the last step."""
    looks = [2**i for i in range(steps.bit_length())]
    if steps > 0 and looks[-1] < steps:
        looks.append(steps)
    return [int(jump) for jump in np.diff([0, *looks])]


def deviations(values: Floats) -> Floats:
    """Return by how much the mean over the outcomes of each drift differs from that over all, (S, D), for (D, S, B).

    A mean of B outcomes differs from drift to drift even where drifts do not matter. So differences are shrunk by the
    root of the share of the variance between drifts that is more than that (analysis of variance).
    """
    D, S, B = values.shape
    if D == 1:
        return np.zeros((S, 1))
    each = values.mean(axis=-1)
    off = each - each.mean(axis=0)
    if B > 1:
        between, within = each.var(axis=0, ddof=1), values.var(axis=-1, ddof=1).mean(axis=0) / B
        off = off * np.sqrt(np.maximum(between - within, 0.0) / np.where(between > 0, between, 1.0))
    return np.asarray(off.T)


def normals(count: int, steps: int, n: int, seed: int) -> Floats:
    """Return standard normal numbers (count, steps, n), each with its negative, and of unit size in every component."""
    half = stream(seed, "lookahead", count, steps, n).standard_normal(((count + 1) // 2, steps, n))
    half = half / np.sqrt((half**2).mean(axis=0))
    return np.concatenate([half, -half])[:count]


def by_session(values: Floats) -> Floats:
    """Return values (D, S, B, ...) as (S, D B, ...)."""
    D, S, B = values.shape[:3]
    return np.asarray(values.swapaxes(0, 1).reshape(S, D * B, *values.shape[3:]))


def repeated(values: Floats, paths: int) -> Floats:
    """Return values (S, O, ...) as (S, O paths, ...), each as many times in a row."""
    return np.repeat(values, paths, axis=1)


def root_of(covariance: Floats) -> Floats:
    """Return L' with L L' = covariance (..., n, n), which may be singular."""
    values, vectors = np.linalg.eigh((covariance + covariance.swapaxes(-1, -2)) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]).swapaxes(-1, -2))
