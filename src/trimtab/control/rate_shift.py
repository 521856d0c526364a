"""Rate shift: whether eigenvalues have moved from what is known of long ago to what came lately."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from trimtab.control.belief import Beliefs
from trimtab.control.knowledge import Drifts, Knowledge
from trimtab.core.streams import stream
from trimtab.dynamics import spectrum
from trimtab.errors import InputError

__all__ = ["RateShift", "Shift", "rate_shifts"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DRAWS = 999
_CHANCE = 0.95
_HELD = 2_000_000  # numbers held in one array of simulated steps


@dataclass(frozen=True, slots=True)
class Shift:
    """Lately less before: the estimate, its 95% interval, and the p-value of "none"."""

    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class RateShift:
    """How the dynamics of one strategy have shifted.

    Parameters
    ----------
    rate, smooth_rate
        Of -max Re(lambda) and of -tr(A)/n, per iteration.
    steps
        Recent steps it rests on; those half forgotten count half.
    innovations
        How large recent innovations are, as a multiple of their long-run variance.
    """

    rate: Shift
    smooth_rate: Shift
    steps: float
    innovations: float


def rate_shifts(
    knowledge: Knowledge,
    scores: Floats,
    strategy: Ints,
    base: Ints | None = None,
    forgetting: float = 1.0,
    seed: int = 0,
) -> Mapping[str, RateShift | None]:
    """Return how much faster or slower each strategy's loop has become than the long-run knowledge says.

    Least squares, session i of S weighing forgetting^(S - i), gives the recent drift and its rates. Few steps, noise
    of scores, lasting differences between sessions and bounds bias such an estimate. So it is held against what it
    makes of sessions simulated as the long-run knowledge has them: the same strategies from the same starts, with a
    drift from its posterior for each of 999 sets, and innovations as large as lately, so that those alone make no
    shift. With D the recent rate less that of the long-run mean drift, and D* the same of the simulated::

        p = 2 min(P(D* <= D), P(D* >= D)),    difference = D - median D*.

    Turned round, D* also gives an interval, [D - b, D - a] with its 2.5% and 97.5% quantiles a and b, which is right
    where little has shifted. Where much has, the estimate scatters otherwise. So sessions are simulated with the recent
    drift too: E* is their rate less the recent one, less what the long-run rate may be off, and gives another such
    interval, [D - b', D - a'] (the basic bootstrap). The interval returned holds both, and errs on the wide side.

    The p-value is for one look. Who looks after every session will sooner or later see a small one by chance; the alarm
    of `trimtab.control.monitor` has its rate for a whole stream.

    Parameters
    ----------
    knowledge
        From before: it must not rest on these sessions too.
    scores
        (S, T + 1, n) of recent sessions, the latest last; a single one for a session under way. Not-a-number where
        one is missing and after the end; steps from or to such are left out.
    strategy, base
        (S, T) by which strategy, and from which iterate, iterations 1..T came; -1 where there was none. From the
        iterate before if `base` is None.
    forgetting
        From 0 (exclusive) to 1: what of a session's weight is left when the next has come.

    Returns
    -------
    Mapping
        By strategy; None for one with fewer than n + 4 recent steps, or whose scores did not vary.

    Raises
    ------
    InputError
        If shapes do not agree, or `forgetting` is no such number.
    """
    n, K = knowledge.n, len(knowledge.strategies)
    S, T = strategy.shape
    if scores.shape != (S, T + 1, n) or strategy.max(initial=-1) >= K or (base is not None and base.shape != (S, T)):
        raise InputError(
            f"scores (sessions, steps + 1, {n}) and strategies (sessions, steps), numbered below {K}, are needed, but "
            f"got shapes {scores.shape} and {strategy.shape}"
        )
    if not 0 < forgetting <= 1:
        raise InputError(f"forgetting must be more than 0 and at most 1, but got {forgetting!r:.80}")
    before = np.tile(np.arange(T), (S, 1)) if base is None else np.maximum(base, 0)
    steps = _Steps(knowledge, scores, strategy, before, forgetting ** np.arange(S - 1, -1, -1.0))
    observed = {k: steps.drift(scores[None], k) for k in steps.enough}
    observed = {k: one for k, one in observed.items() if np.isfinite(one.rates).all()}
    result: dict[str, RateShift | None] = dict.fromkeys(knowledge.strategies)
    if not observed:
        return result
    long_run = knowledge.draws(_DRAWS, seed, "rate shift")
    first = steps.simulated(long_run, np.ones(K), seed, 99)
    innovations = np.ones(K)
    recent = Drifts(
        np.repeat(knowledge.mean.F, _DRAWS, axis=0), np.repeat(knowledge.mean.c, _DRAWS, axis=0), long_run.Q
    )
    for k, one in observed.items():
        # The long-run size counts like n + 2 steps.
        own, prior = steps.free[k], n + 2
        innovations[k] = (own * float(one.size[0] / first[k].size.mean()) + prior) / (own + prior)
        recent.F[:, k], recent.c[:, k] = one.F, one.c
    unchanged = steps.simulated(long_run, innovations, seed, _DRAWS)
    changed = steps.simulated(recent, innovations, seed + 1, _DRAWS)
    known = _rates(knowledge.mean.F[0] - np.eye(n))
    off = _rates(long_run.F - np.eye(n)) - known
    for k, one in observed.items():
        found = one.rates[0] - known[k]
        null, errors = unchanged[k].rates - known[k], changed[k].rates - one.rates[0] - off[:, k]
        rate, smooth = (_shift(float(found[i]), null[:, i], errors[:, i]) for i in (0, 1))
        result[knowledge.strategies[k]] = RateShift(rate, smooth, float(steps.weight[k].sum()), float(innovations[k]))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Estimates:
    """Of D sets of sessions: rate and smooth rate (D, 2), mean squared residual in long-run units (D,), F and c."""

    rates: Floats
    size: Floats
    F: Floats
    c: Floats


class _Steps:
    """The steps of recent sessions: which they are, and what they weigh."""

    def __init__(self, knowledge: Knowledge, scores: Floats, strategy: Ints, before: Ints, weight: Floats) -> None:
        self.knowledge, self.scores, self.strategy, self.before = knowledge, scores, strategy, before
        self.rows = np.arange(len(scores))[:, None]
        whole: NDArray[np.bool_] = np.asarray(np.isfinite(scores).all(axis=-1))
        there = whole[:, 1:] & whole[self.rows, before]
        K = len(knowledge.strategies)
        self.weight = np.stack([np.where(there & (strategy == k), weight[:, None], 0.0) for k in range(K)])
        total, squares = self.weight.sum(axis=(1, 2)), (self.weight**2).sum(axis=(1, 2))
        effective = total**2 / np.where(squares > 0, squares, 1.0)
        self.free = effective - 1 - knowledge.n
        self.enough = [k for k in range(K) if self.free[k] >= 3]

    def drift(self, scores: Floats, k: int) -> _Estimates:
        """Return what least squares says of strategy k in sets of sessions (D, S, T + 1, n).

        Not-a-number for a set whose scores did not vary in every direction.
        """
        known, n = self.knowledge, self.knowledge.n
        at = self.weight[k] > 0
        weight = self.weight[k][at]
        u = (scores - known.center) / known.scale
        x = u[:, self.rows, self.before][:, at]
        du = u[:, :, 1:][:, at] - x
        mean = weight @ x / weight.sum()
        mean_step = weight @ du / weight.sum()
        x, du = x - mean[:, None], du - mean_step[:, None]
        weighted = x.swapaxes(-1, -2) * weight
        G = weighted @ x
        flat = (np.linalg.eigvalsh(G)[:, 0] <= 1e-9 * weight.sum())[:, None, None]
        B = np.where(flat, 0.0, np.linalg.solve(np.where(flat, np.eye(n), G), weighted @ du))
        residual = du - x @ B
        white = residual @ np.linalg.inv(np.linalg.cholesky(known.mean.Q[k] / known.scale[:, None] / known.scale)).T
        size = (white**2).sum(axis=-1) @ weight / weight.sum() / n
        A = B.swapaxes(-1, -2)
        F = np.eye(n) + A * known.scale[:, None] / known.scale
        center = known.center + known.scale * mean
        c = center + known.scale * mean_step - (F @ center[..., None])[..., 0]
        return _Estimates(np.where(flat[:, 0], np.nan, _rates(A)), size, F, c)

    def simulated(self, drifts: Drifts, innovations: Floats, seed: int, draws: int) -> dict[int, _Estimates]:
        """Return what least squares says of sessions simulated with each of the first drifts, by strategy."""
        S, T = self.strategy.shape
        block = max(1, _HELD // ((T + 1) * S * self.knowledge.n))
        parts: list[dict[int, _Estimates]] = []
        for at in range(0, draws, block):
            scores = self._paths(drifts, innovations, seed, at, min(at + block, draws))
            parts.append({k: self.drift(scores, k) for k in self.enough})
        names = [one.name for one in fields(_Estimates)]
        return {
            k: _Estimates(*(np.concatenate([getattr(part[k], name) for part in parts]) for name in names))
            for k in self.enough
        }

    def _paths(self, drifts: Drifts, innovations: Floats, seed: int, start: int, stop: int) -> Floats:
        """Return simulated scores (stop - start, S, T + 1, n)."""
        known, n, D = self.knowledge, self.knowledge.n, stop - start
        S, T = self.strategy.shape
        F, c = drifts.F[start:stop], drifts.c[start:stop]
        root = np.linalg.cholesky(drifts.Q * innovations[:, None, None])
        rng = stream(seed, "rate shift", "paths", start)
        begin = Beliefs.start(known, self.scores[:, 0])
        values, vectors = np.linalg.eigh(begin.covariance)
        spread = vectors * np.sqrt(np.maximum(values, 0.0))[:, None]
        z = begin.mean + (spread @ rng.standard_normal((D, S, spread.shape[-1], 1)))[..., 0]
        low, high, noise = known.space.low, known.space.high, np.sqrt(known.score_noise)
        own = z[..., n:] if z.shape[-1] > n else np.zeros((D, S, n))
        x, y = np.empty((D, S, T + 1, n)), np.empty((D, S, T + 1, n))
        x[:, :, 0] = np.clip(z[..., :n], low, high)
        y[:, :, 0] = self.scores[:, 0]
        rows = np.arange(S)
        for t in range(T):
            k = np.maximum(self.strategy[:, t], 0)
            moved = (F[:, k] @ x[:, rows, self.before[:, t], :, None])[..., 0] + c[:, k] + known.session_sd[k] * own
            moved = moved + (root[k] @ rng.standard_normal((D, S, n, 1)))[..., 0]
            x[:, :, t + 1] = np.clip(moved, low, high)
            scored = x[:, :, t + 1] + noise * rng.standard_normal((D, S, n))
            y[:, :, t + 1] = np.clip(scored, low, high)
        return y


def _shift(found: float, null: Floats, errors: Floats) -> Shift:
    null, errors = null[np.isfinite(null)], errors[np.isfinite(errors)]
    as_far = min(int((null <= found).sum()), int((null >= found).sum()))
    p = min(1.0, 2 * (as_far + 1) / (len(null) + 1))
    if not len(null) or not len(errors):
        return Shift(found, -np.inf, np.inf, p)
    low, middle, high = np.quantile(null, [(1 - _CHANCE) / 2, 0.5, (1 + _CHANCE) / 2])
    lower, upper = np.quantile(errors, [(1 - _CHANCE) / 2, (1 + _CHANCE) / 2])
    return Shift(found - float(middle), found - float(max(high, upper)), found - float(min(low, lower)), p)


def _rates(A: Floats) -> Floats:
    """Return rate and smooth rate of drifts A (..., n, n), (..., 2)."""
    lam = spectrum.eigenvalues(A)
    return np.stack([spectrum.rate(lam), -lam.real.mean(axis=-1)], axis=-1)
