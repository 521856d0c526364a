"""Whether the innovations are Gaussian: symmetric, and with large surprises as rare as that.

Mardia's two moments (1970). For the skewness every third moment E[e_i e_j e_k] is tested over sessions, because the
usual reference to Gaussian residuals takes symmetric heavy tails for asymmetry. The kurtosis is compared with that of
Gaussian residuals (Anscombe and Glynn 1983 for one objective; Mardia 1974 for several). Residuals of one session may
hang together, which makes a fourth moment vary more: for Gaussian ones its variance grows by sum rho_ij^4 / M over
pairs within a session (Lomnicki 1961), and the number of steps is divided by that.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.estimation.audit.clustered import affordable, hotelling
from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Regression, Sample
from trimtab.estimation.audit.wording import listed, number, p_text
from trimtab.estimation.multiplicity import holm

__all__ = ["kurtosis_p_value", "mardia_kurtosis", "mardia_kurtosis_p_value", "symmetric", "tails"]

Floats = NDArray[np.float64]

_FEWEST = 20  # steps, counted as independent ones, below which the approximations fail
_LAGS = 20  # lags at which residuals of a session are compared
_MOST = 60  # third moments tested at once


def symmetric(sample: Sample) -> Answer:
    """Answer whether surprises are as often up as down.

    Hotelling's test of third moments; the figure is the largest skewness.
    """
    r, alpha = sample.regression, sample.options.alpha
    r.with_noise()
    r.several()
    m = len(r.noisy)
    triples = np.array([*combinations_with_replacement(range(m), 3)]) if m**3 <= 6 * _MOST else np.arange(m)[:, None]
    triples = np.broadcast_to(triples, (len(triples), 3))
    alone = (triples == triples[:, :1]).all(axis=1)
    pairs = affordable((np.ones((len(triples), 1), dtype=bool), alone[:, None]), np.ones(len(triples), dtype=bool), r.S)
    U = np.stack([_third_moment(r, *triple) for triple in triples[pairs[:, 0]]], axis=1)
    p = hotelling(U)
    skewness = (r.e**3).mean(axis=0)
    j = int(np.abs(skewness).argmax())
    largest = float(skewness[j])
    if p >= alpha:
        text = (
            f"Surprises are as often up as down ({p_text(p)}; largest skewness {number(largest)}, {r.noisy_names[j]})."
        )
        return Answer(largest, text, p, holds=True)
    own = alone[pairs[:, 0]]
    single = np.array([hotelling(column[:, None]) for column in U[:, own].T])
    found = [
        f"{'up' if skewness[i] > 0 else 'down'} in {r.noisy_names[i]} (skewness {number(skewness[i])})"
        for i in _significant(single, alpha)
    ]
    where = listed(found) if found else "to one side when the objectives are taken together"
    return Answer(largest, f"Large surprises lean {where}; {p_text(p)}.", p, holds=False)


def _third_moment(r: Regression, i: int, j: int, k: int) -> Floats:
    """Return each session's sum of e_i e_j e_k, (S,), corrected for the estimated coefficients as in `score_test`."""
    U = r.summed(r.e[:, i] * r.e[:, j] * r.e[:, k])
    for one, two, three in ((i, j, k), (j, i, k), (k, i, j)):
        moved = (r.e[:, two] * r.e[:, three]) @ r.Z
        U = U - r.summed((r.Z @ (r.inverse @ moved)) * r.e[:, one])
    return U


def tails(sample: Sample) -> Answer:
    """Answer whether large surprises are as rare as Gaussian ones.

    Mardia's test of kurtosis; the figure is the largest excess.
    """
    r, alpha = sample.regression, sample.options.alpha
    r.with_noise()
    e = r.e - r.e.mean(axis=0)
    e = e / np.sqrt((e**2).mean(axis=0))
    values, vectors = np.linalg.eigh(e.T @ e / r.M)
    kept = values > 1e-8 * values[-1]
    z, n = (e @ vectors[:, kept]) / np.sqrt(values[kept]), int(kept.sum())
    M = r.M / _inflation(r, e)
    needed = _FEWEST + 10 * (n - 1)
    if needed > M:
        raise CannotSayError(f"about {needed} independent steps are needed, and there are {int(M)}")
    excess = (e**4).mean(axis=0) - 3
    single = np.array([kurtosis_p_value(float(value), M) for value in excess])
    p = float(single[0]) if n == 1 else mardia_kurtosis_p_value(mardia_kurtosis(z), M, n)
    j = int(np.abs(excess).argmax())
    largest = float(excess[j])
    if p >= alpha:
        text = (
            f"Large surprises are about as rare as Gaussian ones ({p_text(p)}; largest excess kurtosis "
            f"{number(largest)}, {r.noisy_names[j]})."
        )
        return Answer(largest, text, p, holds=True)
    found = [
        f"{'more' if excess[i] > 0 else 'fewer'} in {r.noisy_names[i]} (excess kurtosis {number(excess[i])})"
        for i in _significant(single, alpha)
    ]
    where = listed(found) if found else "when the objectives are taken together"
    return Answer(largest, f"Large surprises are not as rare as Gaussian ones: {where}; {p_text(p)}.", p, holds=False)


def kurtosis_p_value(excess: float, M: float) -> float:
    """Return the two-sided p-value of the excess kurtosis b2 - 3 of M Gaussian numbers (Anscombe and Glynn 1983)."""
    mean = 3 * (M - 1) / (M + 1)
    variance = 24 * M * (M - 2) * (M - 3) / ((M + 1) ** 2 * (M + 3) * (M + 5))
    x = (excess + 3 - mean) / np.sqrt(variance)
    skew = 6 * (M**2 - 5 * M + 2) / ((M + 7) * (M + 9)) * np.sqrt(6 * (M + 3) * (M + 5) / (M * (M - 2) * (M - 3)))
    A = 6 + 8 / skew * (2 / skew + np.sqrt(1 + 4 / skew**2))
    ratio = (1 - 2 / A) / max(1 + x * np.sqrt(2 / (A - 4)), 1e-12)
    z = (1 - 2 / (9 * A) - np.cbrt(ratio)) / np.sqrt(2 / (9 * A))
    return float(2 * scipy.special.ndtr(-abs(z)))


def mardia_kurtosis(z: Floats) -> float:
    """Return Mardia's b_{2,n} = mean |z|^4 of whitened z (M, n)."""
    return float(((z**2).sum(axis=1) ** 2).mean())


def mardia_kurtosis_p_value(b2: float, M: float, n: int) -> float:
    """Return the two-sided p-value of b_{2,n} with its mean and variance in Gaussian samples of M (Mardia 1974)."""
    mean = n * (n + 2) * (M - 1) / (M + 1)
    variance = 8 * n * (n + 2) * (M - 3) * (M - n - 1) * (M - n + 1) / ((M + 1) ** 2 * (M + 3) * (M + 5))
    return float(2 * scipy.special.ndtr(-abs((b2 - mean) / np.sqrt(variance))))


def _inflation(r: Regression, e: Floats) -> float:
    """Return sum rho_ij^4 / M over pairs of one session, largest over the objectives, at least 1.

    The correlations rho are those of residuals k steps apart, less what chance alone makes of their fourth powers.
    """
    total = np.ones(e.shape[1])
    for k in range(1, min(_LAGS, int(r.per_session.max()) - 1) + 1):
        same = r.owner[k:] == r.owner[:-k]
        pairs = int(same.sum())
        if pairs < _FEWEST:
            break
        rho = np.clip((e[k:][same] * e[:-k][same]).mean(axis=0), -1.0, 1.0)
        total += 2 * pairs / r.M * np.maximum(rho**4 - 3 / pairs**2, 0.0)
    return float(total.max())


def _significant(p_values: Floats, alpha: float) -> list[int]:
    """Return the indices that Holm's correction lets reject, smallest p-value first."""
    adjusted = holm(p_values)
    return [int(i) for i in np.argsort(p_values) if adjusted[i] <= alpha]
