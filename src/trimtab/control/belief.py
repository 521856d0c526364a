"""Belief: where sessions truly stand, given noisy scores and switching strategies (Kalman 1960)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from trimtab.control.censoring import least_distance
from trimtab.control.knowledge import Knowledge
from trimtab.control.leverage import leverage

__all__ = ["Beliefs"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Beliefs:
    """Normal laws of what S sessions have been through, updated by each iteration's scores.

    The state of a session is z = [x, xi]: its true quality x (n,), and, where sessions differ for good, a deviate xi
    (n,) of its own, standard normal at first. Under strategy k::

        x' = F_k x + c_k + diag(s_k) xi + w,  w ~ N(0, Q_k),      y = x + v,  v ~ N(0, diag r)

    with s_k the `session_sd`. The deviate is shared by all strategies: a session that is above the average under one
    is taken to be so under all. Every iterate is smoothed at a fixed point (Anderson and Moore 1979): its estimate goes
    on improving while later scores come in.

    Parameters
    ----------
    mean, covariance
        (S, d) and (S, d, d) of z now, d = n or 2n.
    past, past_covariance
        (S, t + 1, n) and (S, t + 1, n, n) of x at iterations 0..t.
    cross
        (S, t + 1, n, d) Cov(x at each iteration, z now).
    strategy, base
        (S, t) by which strategy, and from which iterate, iterations 1..t were made.
    lag
        (S, t, n, n) Cov(x that the iteration went on from, x at the iteration).
    surprise
        (S, t + 1) squared distance of each iteration's scores from their prediction, chi-squared with as many degrees
        of freedom as scores were given. A score at the end of its scale stands for all that lies beyond, and the least
        distance counts (`trimtab.control.censoring`).
    told, doubt
        (S, t) what was known of the strategy when iterations 1..t were predicted, in steps, and what doubt about its
        drift adds to the innovations' covariance (`trimtab.control.leverage`), which the prediction leaves out.
    """

    knowledge: Knowledge
    mean: Floats
    covariance: Floats
    past: Floats
    past_covariance: Floats
    cross: Floats
    strategy: Ints
    base: Ints
    lag: Floats
    surprise: Floats
    told: Floats
    doubt: Floats

    @classmethod
    def start(cls, knowledge: Knowledge, y: Floats) -> Beliefs:
        """Return the beliefs after the scores (S, n) of iteration 0, not-a-number where one is missing."""
        S, n = y.shape
        d = 2 * n if knowledge.has_levels else n
        mean, covariance = np.zeros((S, d)), np.zeros((S, d, d))
        mean[:, :n] = knowledge.start_mean
        covariance[:, :n, :n] = knowledge.start_covariance
        covariance[:, range(n, d), range(n, d)] = 1.0
        none = np.empty((S, 0), dtype=np.int64)
        made = cls(
            knowledge=knowledge,
            mean=mean,
            covariance=covariance,
            past=np.empty((S, 0, n)),
            past_covariance=np.empty((S, 0, n, n)),
            cross=np.empty((S, 0, n, d)),
            strategy=none,
            base=none,
            lag=np.empty((S, 0, n, n)),
            surprise=np.empty((S, 0)),
            told=np.empty((S, 0)),
            doubt=np.empty((S, 0)),
        )
        made._see(y)
        return made

    def step(self, strategy: Ints, y: Floats, base: Ints | None = None, knowledge: Knowledge | None = None) -> None:
        """Take in one more iteration.

        Parameters
        ----------
        strategy
            (S,) by which each session went on.
        y
            (S, n) scores, not-a-number where one is missing.
        base
            (S,) iteration that each session went on from; the latest one if None.
        knowledge
            By which to predict the step; the one so far if None.
        """
        if knowledge is not None:
            self.knowledge = knowledge
        known = self.knowledge
        n, mean, rows = known.n, known.mean, np.arange(len(y))
        if base is None:
            base = np.full(len(y), self.past.shape[1] - 1)
        self._return_to(base)
        doubt = leverage(known, self.mean[:, :n], self.covariance[:, :n, :n])[rows, strategy]
        self.doubt = np.concatenate([self.doubt, doubt[:, None]], axis=1)
        self.told = np.concatenate([self.told, known.steps[strategy][:, None]], axis=1)
        F, c, Q = mean.F[0, strategy], mean.c[0, strategy], mean.Q[strategy]
        if self.mean.shape[1] > n:
            F, c, Q = augmented(F, c, Q, known.session_sd[strategy])
        self.mean = (F @ self.mean[..., None])[..., 0] + c
        self.covariance = F @ self.covariance @ F.swapaxes(-1, -2) + Q
        self.cross = self.cross @ F.swapaxes(-1, -2)[:, None]
        self.strategy = np.concatenate([self.strategy, strategy[:, None]], axis=1)
        self.base = np.concatenate([self.base, base[:, None]], axis=1)
        self.lag = np.concatenate([self.lag, self.cross[rows, base, None, :, :n]], axis=1)
        self._see(y)

    def take(self, chosen: Bools | Ints) -> Beliefs:
        """Return the beliefs of some sessions."""
        arrays = (field.name for field in fields(self) if field.name != "knowledge")
        return Beliefs(self.knowledge, **{name: getattr(self, name)[chosen] for name in arrays})

    @property
    def exact(self) -> bool:
        """True where scores have no noise and none is missing, so that states are known."""
        return not self.past_covariance.any()

    def _see(self, y: Floats) -> None:
        n, d = self.knowledge.n, self.mean.shape[1]
        seen = np.isfinite(y)
        innovation = np.where(seen, y - self.mean[:, :n], 0.0)
        S = self.covariance[:, :n, :n] + np.diag(self.knowledge.score_noise)
        if not seen.all():
            S = np.where(seen[:, :, None] & seen[:, None, :], S, np.eye(n))
        shared = np.where(seen[:, None, :], self.covariance[:, :, :n], 0.0)
        S = S + np.eye(n) * 1e-12
        solved = np.linalg.solve(S, np.concatenate([shared.swapaxes(-1, -2), innovation[..., None]], axis=-1))
        gain, weighted = solved[..., :d].swapaxes(-1, -2), solved[..., d]
        distance = np.einsum("sj,sj->s", innovation, weighted)
        at_low, at_high = seen & (y <= self.knowledge.space.low), seen & (y >= self.knowledge.space.high)
        ended = (at_low | at_high).any(axis=1)
        if ended.any():
            distance[ended] = least_distance(innovation[ended], S[ended], at_low[ended], at_high[ended])
        # Past iterates learn from what this one says of the state now.
        links = np.where(seen[:, None, None, :], self.cross[..., :n], 0.0)
        past_gain = np.swapaxes(np.linalg.solve(S[:, None], links.swapaxes(-1, -2)), -1, -2)
        past = self.past + (past_gain @ innovation[:, None, :, None])[..., 0]
        past_covariance = self.past_covariance - past_gain @ links.swapaxes(-1, -2)
        cross = self.cross - past_gain @ shared.swapaxes(-1, -2)[:, None]
        if self.base.shape[1]:
            # What the iterates of a step share: those reached are the past ones but the first, and this one.
            reached = np.concatenate([links[:, 1:], shared[:, None, :n]], axis=1)
            gains = np.take_along_axis(past_gain, self.base[:, :, None, None], axis=1)
            self.lag = self.lag - gains @ reached.swapaxes(-1, -2)
        self.mean = self.mean + (gain @ innovation[..., None])[..., 0]
        self.covariance = _symmetric(self.covariance - gain @ shared.swapaxes(-1, -2))
        if not self.knowledge.score_noise.any() and seen.all():
            # Scores without noise are the state: say so exactly, and not up to rounding.
            self.mean[:, :n] = y
            self.covariance[:, :n] = self.covariance[:, :, :n] = 0.0
        self.past = np.concatenate([past, self.mean[:, None, :n]], axis=1)
        now = self.covariance[:, None, :n, :n]
        self.past_covariance = np.concatenate([past_covariance, now], axis=1)
        self.cross = np.concatenate([cross, self.covariance[:, None, :n]], axis=1)
        self.surprise = np.concatenate([self.surprise, distance[:, None]], axis=1)

    def _return_to(self, base: Ints) -> None:
        """Make an earlier iterate the state now."""
        n = self.knowledge.n
        moved = np.flatnonzero(base != self.past.shape[1] - 1)
        if not len(moved):
            return
        at = base[moved]
        shared = self._shared_with(moved, at)
        self.mean, self.covariance, self.cross = self.mean.copy(), self.covariance.copy(), self.cross.copy()
        self.mean[moved, :n] = self.past[moved, at]
        self.covariance[moved, :n, :n] = self.past_covariance[moved, at]
        link = self.cross[moved, at, :, n:]
        self.covariance[moved, :n, n:], self.covariance[moved, n:, :n] = link, link.swapaxes(-1, -2)
        self.cross[moved, :, :, :n] = shared

    def _shared_with(self, sessions: Ints, at: Ints) -> Floats:
        """Return Cov(x at each iteration, x at iteration `at`) of some sessions, (M, t + 1, n, n).

        Iterates are a tree, each grown from the one that it went on from. Given xi and a neighbour on the way to `at`,
        an iterate has nothing more to do with it. So covariances pass from neighbour to neighbour::

            Cov(x, x_at) = Cov(x, [x_p, xi]) Cov([x_p, xi])^-1 Cov([x_p, xi], x_at).
        """
        n, M, count = self.knowledge.n, len(sessions), self.past.shape[1]
        base, own, lag = self.base[sessions], self.past_covariance[sessions], self.lag[sessions]
        level, xi = self.cross[sessions, :, :, n:], self.covariance[sessions, n:, n:]
        rows = np.arange(M)
        found = np.zeros((M, count, n, n))
        if self.exact:
            return found
        found[rows, at] = own[rows, at]
        known = np.zeros((M, count), dtype=bool)
        known[rows, at] = True
        while True:
            # Of each step that one end is known of: that end, the other, and Cov(x at the other, x at the known one).
            after = known[:, 1:]
            before = known[rows[:, None], base]
            s, t = np.nonzero(before != after)
            if not len(s):
                return found
            down = before[s, t]
            near, far = np.where(down, base[s, t], t + 1), np.where(down, t + 1, base[s, t])
            step = np.where(down[:, None, None], lag[s, t].swapaxes(-1, -2), lag[s, t])
            to = np.concatenate([step, level[s, far]], axis=-1)
            whole = np.block([[own[s, near], level[s, near]], [level[s, near].swapaxes(-1, -2), xi[s]]])
            through = np.concatenate([found[s, near], level[s, at[s]].swapaxes(-1, -2)], axis=-2)
            found[s, far] = to @ np.linalg.pinv(whole, hermitian=True) @ through
            known[s, far] = True


def augmented(F: Floats, c: Floats, Q: Floats, sd: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the transition (..., 2n, 2n), shift and covariance of z = [x, xi] from those of x and s (..., n)."""
    n = F.shape[-1]
    shape = F.shape[:-2]
    F2, c2, Q2 = np.zeros((*shape, 2 * n, 2 * n)), np.zeros((*shape, 2 * n)), np.zeros((*Q.shape[:-2], 2 * n, 2 * n))
    F2[..., :n, :n], c2[..., :n], Q2[..., :n, :n] = F, c, Q
    F2[..., range(n), range(n, 2 * n)] = sd
    F2[..., range(n, 2 * n), range(n, 2 * n)] = 1.0
    return F2, c2, Q2


def _symmetric(matrix: Floats) -> Floats:
    return np.asarray((matrix + matrix.swapaxes(-1, -2)) / 2)
