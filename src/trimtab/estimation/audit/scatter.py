"""Whether the innovation variance is the same everywhere: at all scores, at all iterations, in all sessions."""

from __future__ import annotations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.estimation.audit.clustered import own, score_test
from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Regression, Sample
from trimtab.estimation.audit.wording import number, p_text, percent

__all__ = ["homoscedastic", "session_variance"]

Floats = NDArray[np.float64]

_TINY = 1e-10
_FAR = 2.0  # standard deviations from the mean beyond which a state counts as being there


def homoscedastic(sample: Sample) -> Answer:
    """Answer whether surprises are equally large at all scores and iterations.

    Absolute residuals against u, u^2 and t.

    Absolute residuals (Glejser 1969), because tests of squared ones over sessions reject too often when innovations
    have heavy tails; and with the correction that skewed innovations then need (Machado and Santos Silva 2000). States
    count up to two standard deviations from their mean. The figure is the ratio of the residual variance between the
    outer thirds of the variable for which that is surest.
    """
    r = sample.regression
    r.with_noise()
    r.several()
    t = (r.steps.iteration - r.steps.iteration.min()).astype(np.float64)
    u = np.clip(r.u, -_FAR, _FAR)
    W = np.hstack([u, u**2, (t / max(float(t.max()), 1.0))[:, None]])
    W = W - W.mean(axis=0)
    W = np.where((W**2).mean(axis=0) > _TINY, W, 0.0)
    # A residual's variance is that of the innovation times 1 - leverage.
    e = r.e / np.sqrt(1 - r.leverage)[:, None]
    n, m = r.n, len(r.noisy)
    always = np.ones((1, m), dtype=bool)
    mine = own(n, 2)[:, r.noisy]
    masks = (
        np.ones((2 * n + 1, m), dtype=bool),
        np.vstack([mine, always]),
        np.vstack([mine & (np.arange(2 * n) >= n)[:, None], ~always]),
    )
    p = score_test(r, W, np.abs(e) - np.abs(e).mean(axis=0), masks, slope=np.sign(e))
    ratio, says = _strongest(r, W, e**2)
    if p < sample.options.alpha:
        return Answer(ratio, f"Surprises are not equally large everywhere ({p_text(p)}): {says}.", p, holds=False)
    text = f"The size of surprises does not show to depend on scores or iteration ({p_text(p)}; the clearest: {says})."
    return Answer(ratio, text, p, holds=True)


def _strongest(r: Regression, W: Floats, squared: Floats) -> tuple[float, str]:
    """Return how the variance of a residual differs between the outer thirds of the variable for which that is surest.

    The columns of W (M, 2n + 1) are u, u^2 and t, about their means.
    """
    n = r.n
    low, high = np.quantile(W, [1 / 3, 2 / 3], axis=0)
    upper, lower = high <= W, (low >= W) & (low < high)
    contrast = upper / np.maximum(upper.sum(axis=0), 1) - lower / np.maximum(lower.sum(axis=0), 1)
    best, k, j = -1.0, 0, 0
    for i in np.flatnonzero(lower.any(axis=0)):
        U = r.summed(contrast[:, i : i + 1] * squared)
        size = np.sqrt((U**2).sum(axis=0))
        z = np.abs(U.sum(axis=0)) / np.where(size > 0, size, np.inf)
        if z.max() > best:
            best, k, j = float(z.max()), int(i), int(z.argmax())
    if best < 0:
        return float("nan"), "no variable has thirds to compare"
    above, below = squared[upper[:, k], j].mean(), squared[lower[:, k], j].mean()
    ratio = float(above / below) if below > 0 else float("inf")
    if k == 2 * n:
        where = "late in a session as early"
    elif k < n:
        where = f"where {r.names[k]} is high as where it is low"
    else:
        where = f"where {r.names[k - n]} is far from its mean as near it"
    return ratio, f"the variance of {r.noisy_names[j]} is {number(ratio)} times as large {where}"


def session_variance(sample: Sample) -> Answer:
    """Answer whether the innovation variance is the same in all sessions.

    The figure is its coefficient of variation beyond chance.

    Analysis of variance between sessions of |z|^(2/3), z being the whitened residual: the cube root of a chi-square is
    nearly Gaussian (Wilson and Hilferty 1931), and F is robust to what is left. Sessions that differ here break
    posteriors that hold the variance fixed.
    """
    r = sample.regression
    r.with_noise()
    per_session = r.per_session
    if r.S < 2 or r.M - r.S < 2 or not (per_session > 1).any():
        raise CannotSayError("it takes two sessions or more with several steps")
    values, vectors = np.linalg.eigh(r.e.T @ r.e / r.M)
    kept = values > 1e-8 * values[-1]
    z = (r.e @ vectors[:, kept]) / np.sqrt(values[kept])
    d = (z**2).sum(axis=1) / kept.sum() / (1 - r.leverage)
    root = np.cbrt(d)
    p, variance = _between(r, root)
    # A relative change of the cube root is a third of that of the variance.
    spread = float(3 * np.sqrt(max(variance, 0.0)) / root.mean())
    if p < sample.options.alpha:
        text = (
            f"Sessions differ in the variance of their surprises by about {percent(spread)} either way beyond chance "
            f"({p_text(p)}): intervals must resample sessions, and a posterior with one variance is too sure."
        )
        return Answer(spread, text, p, holds=False)
    figures = f"{p_text(p)}; {percent(spread)} beyond chance"
    text = f"Sessions do not show to differ in the variance of their surprises ({figures})."
    return Answer(spread, text, p, holds=True)


def _between(r: Regression, d: Floats) -> tuple[float, float]:
    """Return the p-value of one-way analysis of variance of d (M,) over sessions, and the variance between them."""
    counts = r.per_session
    means = r.summed(d) / counts
    within = float(((d - means[r.owner]) ** 2).sum()) / (r.M - r.S)
    between = float((counts * (means - d.mean()) ** 2).sum()) / (r.S - 1)
    if within <= _TINY * max(float((d**2).mean()), _TINY):
        raise CannotSayError("surprises do not vary within sessions")
    usual = (r.M - (counts**2).sum() / r.M) / (r.S - 1)
    return float(scipy.special.fdtrc(r.S - 1, r.M - r.S, between / within)), (between - within) / float(usual)
