"""The noise of the scores themselves, from several judgements of the same iterate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.errors import InputError

__all__ = ["ScoreNoise", "score_noise"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ScoreNoise:
    """Noise of N rows of scores on n objectives, a score being the mean of its judgements.

    Parameters
    ----------
    variance
        (n,) variance of one judgement; not-a-number for an objective that is nowhere judged twice.
    dof
        (n,) degrees of freedom of it: the sum over cells of r - 1.
    covariance
        (n, n) covariance of one judgement; 0 where nothing tells. Off the diagonal it is the error that a judgement's
        scores share, a judge's mood or halo, from judgements that stand at the same place for both objectives.
    share
        (N, n, n) what part of that covariance is left in a row's scores: for objectives i and j with r_i and r_j
        judgements, r_ij of them at the same places, r_ij / (r_i r_j).
    products, degrees
        (N, n, n) within-cell sums of products, and their degrees of freedom: what `covariance` is the ratio of.
    """

    variance: Floats
    dof: Floats
    covariance: Floats
    share: Floats
    products: Floats
    degrees: Floats

    @property
    def R(self) -> Floats:
        """Variance of the noise in each score, (N, n)."""
        return np.asarray(np.diagonal(self.share, axis1=1, axis2=2) * np.diagonal(self.covariance))

    @classmethod
    def known(cls, covariance: ArrayLike, rows: int, n: int) -> ScoreNoise:
        """Return noise of a known variance, () or (n,), or covariance, (n, n), the same in all of `rows` scores.

        Raises
        ------
        InputError
            If it has another shape, or is not symmetric and positive semidefinite.
        """
        given = np.asarray(covariance, dtype=np.float64)
        if given.shape not in ((), (n,), (n, n)):
            raise InputError(
                f"the score noise needs one variance, ({n},) of them, or a covariance ({n}, {n}), but has the shape "
                f"{given.shape}"
            )
        full = given if given.ndim == 2 else np.diag(np.broadcast_to(given, n))
        # Finiteness first: eigenvalues of inf are an error of their own.
        if (
            not np.isfinite(full).all()
            or not np.allclose(full, full.T, rtol=1e-9)
            or np.linalg.eigvalsh(full)[0] < -1e-9 * np.abs(full).max()
        ):
            raise InputError("the score noise must be a covariance: finite, symmetric and positive semidefinite")
        nothing = np.broadcast_to(0.0, (rows, n, n))
        return cls(np.diag(full), np.full(n, np.inf), full, np.broadcast_to(1.0, (rows, n, n)), nothing, nothing)


def score_noise(judgements: Floats) -> ScoreNoise:
    """Estimate score noise from repeated judgements, which are taken to differ by independent errors of equal variance.

    The variance of one judgement of objective j is pooled within cells, a cell being one objective at one iteration
    with r judgements y_k about their mean,

        s_j = sum over cells of sum_k (y_k - mean)^2 / sum over cells of (r - 1),

    and the noise in a cell's mean is R = s_j / r (two judgements each: mean (y_1 - y_2)^2 / 4). Covariances use the
    places k at which both objectives have a judgement. A score without any recorded judgement counts as one of them.

    Parameters
    ----------
    judgements
        (N, n, r), not-a-number where absent.

    Raises
    ------
    InputError
        If the array has another shape, or no cell has two judgements.
    """
    y = np.asarray(judgements, dtype=np.float64)
    if y.ndim != 3:
        raise InputError(f"judgements need the shape (rows, objectives, repeats), but have {y.shape}")
    known = np.isfinite(y)
    both = known.astype(np.float64)
    common = both @ np.swapaxes(both, 1, 2)
    r = np.diagonal(common, axis1=1, axis2=2)
    if not (r > 1).any():
        raise InputError(
            "score noise needs at least one score with two judgements, but none has; judge some iterates again"
        )
    # About a mean of the row's own, so that the products lose no digits to the scores' level.
    level = np.where(known, y, 0.0).sum(axis=2, keepdims=True) / np.maximum(r, 1.0)[..., None]
    off = np.where(known, y - level, 0.0)
    # sums[i, j] is objective i's over the places that it shares with objective j.
    sums = off @ np.swapaxes(both, 1, 2)
    paired = np.maximum(common, 1.0)
    products = off @ np.swapaxes(off, 1, 2) - sums * np.swapaxes(sums, 1, 2) / paired
    degrees = np.maximum(common - 1.0, 0.0)
    products = np.where(degrees > 0, products, 0.0)
    dof = degrees.sum(axis=0)
    covariance = np.where(dof > 0, products.sum(axis=0) / np.maximum(dof, 1.0), 0.0)
    own = np.diagonal(dof)
    times = np.maximum(r, 1.0)
    share = common / (times[:, :, None] * times[:, None, :])
    diagonal = np.arange(y.shape[1])
    share[:, diagonal, diagonal] = 1.0 / times
    return ScoreNoise(
        variance=np.where(own > 0, np.diagonal(covariance), np.nan),
        dof=own.copy(),
        covariance=covariance,
        share=share,
        products=products,
        degrees=degrees,
    )
