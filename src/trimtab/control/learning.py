"""Learning: what sessions add to what is known of the dynamics, and the book in which it is kept."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from trimtab.control.belief import Beliefs

__all__ = ["Ledger", "expected_sums"]

Floats = NDArray[np.float64]

_BLOCK = 64


def expected_sums(beliefs: Beliefs, scores: Floats) -> Floats:
    """Return what each session's steps add to the natural parameters, (S, K, 1 + 2n, 1 + 2n): sums of E[w w'].

    w = [1, u, du] in the units of `Knowledge`, where du leaves out the session's own lasting drift. The expectation is
    over states and deviate given all scores of the session (the E step of Dempster, Laird and Rubin 1977), so that
    score noise does not pass for fast dynamics. A step that begins or ends with an iterate of which a score is missing
    adds nothing.

    Parameters
    ----------
    scores
        (S, t + 1, n), not-a-number where one is missing.
    """
    known = beliefs.knowledge
    n, K = known.n, len(known.strategies)
    S, T = beliefs.strategy.shape
    result = np.zeros((S, K, 1 + 2 * n, 1 + 2 * n))
    if not T:
        return result
    rows, steps = np.arange(S)[:, None], np.arange(1, T + 1)[None]
    before, after, base = beliefs.past[rows, beliefs.base], beliefs.past[:, 1:], beliefs.base
    change = after - before
    own, reached, lag = beliefs.past_covariance[rows, base], beliefs.past_covariance[:, 1:], beliefs.lag
    # Covariances of (x, dx), and then of dx less the lasting drift.
    shared = lag - own
    spread = reached + own - lag - lag.swapaxes(-1, -2)
    if known.has_levels:
        sd = known.session_sd[beliefs.strategy]
        change = change - sd * beliefs.mean[:, None, n:]
        with_xi = beliefs.cross[:, :, :, n:]
        before_xi, after_xi = with_xi[rows, base] * sd[..., None, :], with_xi[:, 1:] * sd[..., None, :]
        shared = shared - before_xi
        moved = after_xi - before_xi
        level = beliefs.covariance[:, None, n:, n:] * sd[..., :, None] * sd[..., None, :]
        spread = spread - moved - moved.swapaxes(-1, -2) + level
    w = np.concatenate([np.ones((S, T, 1)), (before - known.center) / known.scale, change / known.scale], axis=-1)
    product = w[..., :, None] * w[..., None, :]
    unit = known.scale[:, None] * known.scale
    product[..., 1 : 1 + n, 1 : 1 + n] += own / unit
    product[..., 1 : 1 + n, 1 + n :] += shared / unit
    product[..., 1 + n :, 1 : 1 + n] += shared.swapaxes(-1, -2) / unit
    product[..., 1 + n :, 1 + n :] += spread / unit
    whole = np.asarray(np.isfinite(scores).all(axis=-1))
    product *= (whole[rows, base] & whole[rows, steps])[..., None, None]
    for k in range(K):
        result[:, k] = np.where((beliefs.strategy == k)[..., None, None], product, 0.0).sum(axis=1)
    return result


class Ledger:
    """The sums of ended sessions, by the order in which the sessions were opened.

    Their total is the same to the last bit in whatever order sessions end: it is formed block by block, in the order of
    opening. With a memory below 1, a session counts memory^age, its age being the number of sessions opened after it.
    """

    def __init__(self, shape: tuple[int, ...], memory: float = 1.0) -> None:
        self.shape, self.memory = shape, memory
        self._blocks: dict[int, dict[int, Floats]] = {}
        self._whole: dict[int, Floats] = {}

    @property
    def entries(self) -> dict[int, Floats]:
        """What each ended session has shown, in the order of opening."""
        return {index: self._blocks[b][index] for b in sorted(self._blocks) for index in sorted(self._blocks[b])}

    def add(self, index: int, sums: Floats) -> None:
        """Enter what the session that was opened as number `index` has shown."""
        self._blocks.setdefault(index // _BLOCK, {})[index] = sums
        self._whole.pop(index // _BLOCK, None)

    def total(self, opened: int) -> Floats:
        """Return the sum over all that ended, when `opened` sessions have been opened."""
        return _sum((self._block(b, opened) for b in sorted(self._blocks)), self.shape)

    def _block(self, b: int, opened: int) -> Floats:
        end = (b + 1) * _BLOCK
        if end > opened:
            return self._weighed(b, opened)
        if b not in self._whole:
            self._whole[b] = self._weighed(b, end)
        return self._whole[b] * self.memory ** (opened - end)

    def _weighed(self, b: int, opened: int) -> Floats:
        entries = self._blocks[b]
        return _sum((entries[i] * self.memory ** (opened - i) for i in sorted(entries)), self.shape)


def _sum(parts: Iterable[Floats], shape: tuple[int, ...]) -> Floats:
    total = np.zeros(shape)
    for part in parts:
        total += part
    return total
