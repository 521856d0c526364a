"""Sufficient statistics of whole runs: per pattern of scored iterations, the sum of z z' with z = [1, y]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.panel import Panel
from trimtab.estimation.score_noise import ScoreNoise

__all__ = ["KnownNoise", "PanelMoments", "Pattern", "known_noise", "panel_moments"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Runs scored at the same iterations.

    Parameters
    ----------
    index
        (d,) places of the scored values in the stacked vector (y_0, ..., y_T), d = n times the scored iterations.
    count
        Number of runs.
    total, outer
        Sums over runs of the stacked values, (d,), and of their outer products, (d, d).
    """

    index: Ints
    count: int
    total: Floats
    outer: Floats


@dataclass(frozen=True, slots=True, eq=False)
class PanelMoments:
    """All that the likelihood needs of a panel; its size does not depend on the number of runs.

    Parameters
    ----------
    patterns
        One per pattern of scored iterations.
    span
        T + 1, iterations of the longest run.
    n
        Number of objectives.
    center, scale
        (n,): values are (score - center) / scale.
    clusters
        Number of sessions.
    """

    patterns: tuple[Pattern, ...]
    span: int
    n: int
    center: Floats
    scale: Floats
    clusters: int


def panel_moments(panel: Panel) -> PanelMoments:
    """Form the moments of `panel`, scores centred and scaled by their mean and standard deviation over all rows."""
    n = panel.n
    count = sum(block.y.shape[0] * block.y.shape[1] for block in panel.blocks)
    center = sum((block.y.sum(axis=(0, 1)) for block in panel.blocks), np.zeros(n)) / max(count, 1)
    squares = sum((((block.y - center) ** 2).sum(axis=(0, 1)) for block in panel.blocks), np.zeros(n))
    spread = np.sqrt(squares / max(count, 1))
    scale = np.where(spread > 1e-12 * np.abs(center), spread, 1.0)
    patterns = []
    for block in panel.blocks:
        z = ((block.y - center) / scale).reshape(len(block.y), -1)
        index = (block.at[:, None] * n + np.arange(n)).ravel()
        patterns.append(Pattern(index, len(z), z.sum(axis=0), z.T @ z))
    return PanelMoments(tuple(patterns), panel.span, n, center, scale, panel.n_sessions)


@dataclass(frozen=True, slots=True, eq=False)
class KnownNoise:
    """What repeated judgements say of the score noise: pooled squares within cells.

    Parameters
    ----------
    squares, dof
        (n,) sum of squares of judgements about their cell's mean, and its degrees of freedom.
    judgements
        (n,) harmonic mean of the number of judgements behind a score; the score's noise variance is that of one
        judgement divided by it.
    """

    squares: Floats
    dof: Floats
    judgements: Floats


def known_noise(noise: ScoreNoise | None, chosen: NDArray[np.int64]) -> KnownNoise | None:
    """Return what `noise` says of the `chosen` objectives; None where the noise of one of them does not show.

    Judges are taken to err independently of each other. What all of them get wrong alike is no part of it.
    """
    if noise is None:
        return None
    variance, dof = noise.variance[chosen], noise.dof[chosen]
    if not ((dof > 0) & (variance > 0)).all():
        return None
    left = np.diagonal(noise.share, axis1=1, axis2=2)[:, chosen].mean(axis=0)
    return KnownNoise(variance * dof, dof, 1 / left)
