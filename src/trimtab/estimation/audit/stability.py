"""Whether the dynamics are the same throughout: over the iterations of a session, over the sessions of a source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.core.counting import are
from trimtab.core.streams import stream
from trimtab.estimation.audit.clustered import affordable, half_width, own, score_test, standard_error
from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Regression, Sample
from trimtab.estimation.audit.wording import number, p_text, span

__all__ = ["over_iterations", "over_sessions"]

Floats = NDArray[np.float64]

_EXCHANGES = 999
_PERMUTED = 2_000  # sessions up to which halves are exchanged; beyond, the score test has its level


def over_iterations(sample: Sample) -> Answer:
    """Answer whether A and b are the same early and late in a session.

    The figure is the average rate late less early.
    """
    r = sample.regression
    r.with_noise()
    t = r.steps.iteration - r.steps.iteration.min()
    moved = (t - t.mean()) / max(float(t.std()), 1e-300)
    if not moved.any():
        raise CannotSayError("all steps are taken at the same iteration")
    p = score_test(r, r.beyond_state(moved[:, None] * r.Z), r.e, _masks(r))
    return _said(sample, moved, p, ("early", "late"), "within sessions")


def over_sessions(sample: Sample) -> Answer:
    """Answer whether A and b are the same in the first and the second half of the sessions, in the source's order.

    A permutation test: sessions change halves. It holds its level exactly also when sessions are few and unlike.
    """
    r = sample.regression
    r.with_noise()
    if r.S < 4:
        raise CannotSayError(f"two halves of at least two sessions are needed, and there {are(r.S)} in all")
    half = np.where(np.arange(r.S) >= r.S / 2, 0.5, -0.5)
    pairs = affordable(_masks(r), np.ones(1 + r.n, dtype=bool), r.S)
    U = r.summed(r.Z[:, pairs[:, 0]] * r.e[:, pairs[:, 1]])
    moved = half[r.owner]
    if r.S > _PERMUTED:
        p = score_test(r, r.beyond_state(moved[:, None] * r.Z), r.e, _masks(r))
    else:
        p = _permutation(U, half, stream(sample.options.seed, "halves"))
    return _said(sample, moved, p, ("in the first half", "in the second"), "from session to session")


def _permutation(U: Floats, half: Floats, rng: np.random.Generator) -> float:
    """Return the p-value of T = u' (sum U_s U_s')^-1 u, u = sum half_s U_s, among random exchanges of the halves."""
    values, vectors = np.linalg.eigh(U.T @ U)
    kept = values > 1e-10 * max(float(values[-1]), 1e-300)
    if not kept.any():
        raise CannotSayError("what would show it does not vary")
    whitened = (U @ vectors[:, kept]) / np.sqrt(values[kept])
    halves = rng.permuted(np.broadcast_to(half, (_EXCHANGES, len(half))), axis=1)
    observed, drawn = ((half @ whitened) ** 2).sum(), ((halves @ whitened) ** 2).sum(axis=1)
    return float((1 + (drawn >= observed * (1 - 1e-12)).sum()) / (1 + _EXCHANGES))


def _masks(r: Regression) -> tuple[NDArray[np.bool_], ...]:
    """Return which coefficients (1 + n, noisy objectives) are tested, from all of them to each one's own pull."""
    own_pull = np.vstack([np.zeros((1, r.n), dtype=bool), own(r.n, 1)])[:, r.noisy]
    own_both = own_pull | (np.arange(1 + r.n) == 0)[:, None]
    return np.ones_like(own_pull), own_both, own_pull


def _said(sample: Sample, moved: Floats, p: float, when: tuple[str, str], where: str) -> Answer:
    """Return the answer to the test of dx = A x + b + m (A' x + b') + e, m being `moved` (M,), for A' = 0, b' = 0."""
    r = sample.regression
    first, change, half = _rates(r, moved[:, None] * r.Z, moved, sample.options.level)
    low, high = change - half, change + half
    rates = (
        f"average rate {number(first)} {when[0]} and {number(first + change)} {when[1]}, "
        f"a difference of {number(change)}{span(low, high)}; {p_text(p)}"
    )
    if p < sample.options.alpha:
        text = f"The dynamics change {where} ({rates}): one A and b stand for several."
        return Answer(change, text, p, low, high, False)
    return Answer(change, f"No change of the dynamics {where} shows ({rates}).", p, low, high, True)


def _rates(r: Regression, varying: Floats, moved: Floats, level: float) -> tuple[float, float, float]:
    """Return the average rate -tr(A)/n in the earlier half, its change to the later, and half that change's interval.

    The halves are those of `moved` (M,), and `varying` (M, 1 + n) is its product with [1, u].
    """
    n = r.n
    later = moved > np.median(moved)
    if not later.any():
        later = moved >= np.median(moved)
    before, after = float(moved[~later].mean()), float(moved[later].mean())
    X = np.hstack([r.Z, varying])
    beta = np.linalg.lstsq(X, r.du, rcond=None)[0]
    fixed, slope = beta[1 : 1 + n], beta[2 + n :]
    first = -float(np.trace(fixed) + before * np.trace(slope)) / n
    contrast = np.vstack([np.zeros((2 + n, n)), -(after - before) / n * np.eye(n)])
    half = float(half_width(standard_error(r, X, contrast), level, r.S))
    return first, float((beta * contrast).sum()), half
