"""Handling: objectives one after another or all at once, put to the test (paper, B.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.control.evaluation.outcome import Figure, Outcome, paired
from trimtab.dynamics.interference import interference_from_covariance

__all__ = ["Handling", "handling"]

Floats = NDArray[np.float64]

GROUPS = 50
"""Groups of sessions that the jackknife leaves out one at a time."""

_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Handling:
    """Sequential less simultaneous handling of objectives, on the same sessions.

    Parameters
    ----------
    net
        Difference in net utility.
    interference
        Difference in the mean interference of two objectives, the correlation of their true step changes over all
        steps (paper, eq. 4); less negative means that objectives hinder each other less.
    sequential, simultaneous
        That interference under each.
    """

    net: Figure
    interference: Figure
    sequential: float
    simultaneous: float

    @property
    def says(self) -> str:
        """One sentence on the hypothesis that sequential handling avoids interference."""
        hindrance = _word(self.interference, "less", "more", "neither more nor less")
        worth = _word(self.net, "more", "less", "neither more nor less")
        return (
            f"Handled one after another, objectives hinder each other {hindrance} than all at once (interference "
            f"{self.sequential:+.2f} against {self.simultaneous:+.2f}, difference {_said(self.interference)}), and the "
            f"outcome is worth {worth} (difference {_said(self.net)})."
        )


def handling(sequential: Outcome, simultaneous: Outcome) -> Handling:
    """Compare the two; interference by a jackknife over groups of sessions (Efron 1982), the same in both."""
    one, other = _left_out(sequential.steps), _left_out(simultaneous.steps)
    whole = float(one[0] - other[0])
    replicates = one[1:] - other[1:]
    count = len(replicates)
    half = _95 * float(np.sqrt((count - 1) / count * ((replicates - replicates.mean()) ** 2).sum()))
    return Handling(
        paired(sequential.net, simultaneous.net),
        Figure(whole, whole - half, whole + half),
        float(one[0]),
        float(other[0]),
    )


def _left_out(steps: Floats) -> Floats:
    """Return the mean interference of all steps (S, T, n), and that without each group of sessions, (1 + groups,)."""
    S, _, n = steps.shape
    group = np.arange(S) % min(GROUPS, S)
    seen = np.asarray(np.isfinite(steps).all(axis=-1))
    w = np.concatenate([np.ones((*seen.shape, 1)), np.where(seen[..., None], steps, 0.0)], axis=-1)
    w *= seen[..., None]
    sums = np.einsum("sti,stj->sij", w, w)
    each = np.stack([sums[group == g].sum(axis=0) for g in range(group.max() + 1)])
    total = each.sum(axis=0)
    kept = np.concatenate([total[None], total - each])
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = kept[:, 0, 1:] / kept[:, 0, 0][:, None]
        covariance = kept[:, 1:, 1:] / kept[:, 0, 0][:, None, None] - mean[:, :, None] * mean[:, None, :]
    matrices = interference_from_covariance(covariance)
    return np.asarray(matrices.sum(axis=(-1, -2)) / max(n * (n - 1), 1))


def _word(figure: Figure, above: str, below: str, between: str) -> str:
    return above if figure.low > 0 else below if figure.high < 0 else between


def _said(figure: Figure) -> str:
    return f"{figure.mean:+.3f}, 95% {figure.low:+.3f} to {figure.high:+.3f}"
