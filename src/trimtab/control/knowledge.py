"""Knowledge: what is known of the strategies' dynamics, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.streams import KeyPart, stream
from trimtab.errors import InputError
from trimtab.forecasting.loops import Loop, Loops

__all__ = ["CERTAIN", "Drifts", "Knowledge", "named"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TENTHS = 10.0  # units in an objective's range
SPREAD = 0.25  # prior mean of Q, in squared units
ENOUGH = 20  # steps for every coefficient of a row of the drift
PRIOR_STEPS = 1.0  # what "the drift is zero" weighs where nothing is known, in steps
_SURE = 1e8  # steps that a drift given without doubt counts as
_MOST_NOISE = 1e100

MOST_STRATEGIES = 100
CERTAIN = 1e6
"""Steps from which on a drift counts as known for certain."""


@dataclass(frozen=True, slots=True, eq=False)
class Drifts:
    """D transitions of each of K strategies that the data leave possible: x' = F x + c + w, w ~ N(0, Q).

    Parameters
    ----------
    F, c
        (D, K, n, n) and (D, K, n), per iteration.
    Q
        (K, n, n), the posterior mean.
    """

    F: Floats
    c: Floats
    Q: Floats

    def __len__(self) -> int:
        return len(self.F)


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The matrix-normal inverse-Wishart posterior of each strategy's transition, and what scores are made of.

    In units u = (x - center) / scale, a step has w = [1, u, du], and each strategy the natural parameter T, to which
    a step adds w w' (`trimtab.estimation.conjugate.law`). Steps whose states are only estimated add E[w w'].

    Parameters
    ----------
    strategies
        K names.
    center, scale
        (n,).
    total
        (K, 1 + 2n, 1 + 2n) T of each strategy.
    score_noise
        (n,) variances of the scorer's own error.
    session_sd
        (K, n) standard deviation of a session's own lasting drift, per iteration, under each strategy.
    start_mean, start_covariance
        (n,) and (n, n) of the states at iteration 0.
    before
        (K,) steps that told as much as was known before any session; those of `total` if None.
    """

    space: ObjectiveSpace
    strategies: tuple[str, ...]
    center: Floats
    scale: Floats
    total: Floats
    score_noise: Floats
    session_sd: Floats
    start_mean: Floats
    start_covariance: Floats
    before: Floats | None = None

    @classmethod
    def none(
        cls, space: ObjectiveSpace, strategies: Sequence[str], score_noise: Mapping[str, float] | None = None
    ) -> Knowledge:
        """Return what is known before the first step: that drifts are about zero, give or take half the scale.

        Parameters
        ----------
        score_noise
            Standard deviation of the score noise by objective, where it is known.

        Raises
        ------
        InputError
            If an objective's scale is open, so that nothing says how large a step may be.
        """
        open_ended = [one.name for one in space if not one.bounded]
        if open_ended:
            raise InputError(
                f"without a fit, every objective needs bounds, but {', '.join(open_ended)} has an open scale: write "
                "NAME:LOW:HIGH, or give a fit"
            )
        n, K = space.n, len(strategies)
        weak = np.concatenate([[PRIOR_STEPS], np.full(n, PRIOR_STEPS), np.full(n, SPREAD)])
        middle, range_ = (space.low + space.high) / 2, space.high - space.low
        return cls(
            space,
            tuple(strategies),
            middle,
            range_ / TENTHS,
            np.broadcast_to(np.diag(weak), (K, 1 + 2 * n, 1 + 2 * n)).copy(),
            _noise(space, score_noise, np.zeros(n)),
            np.zeros((K, n)),
            middle,
            np.diag((range_ / 2) ** 2),
        )

    @classmethod
    def of_loops(
        cls,
        loops: Loops,
        strategies: Sequence[str] | None = None,
        *,
        space: ObjectiveSpace | None = None,
        score_noise: Mapping[str, float] | None = None,
    ) -> Knowledge:
        """Return what a fit, a file of models or the paper's strategies say.

        A fit's drift covariance V is brought to the nearest K^-1 (x) Q; the first entry of K is then the number of
        steps that would tell as much.

        Where the fit's verdict is noise or a static level, the scores show nothing that moves: what looks like a drift
        is the return of noisy scores to their mean. Such a strategy is taken to leave quality as it is, and what varies
        within a session to be score noise, of variance Q / (1 + F) for each objective: so least squares finds levels
        with noise. Where scores are known to have no noise, say so by `score_noise`: then an iteration is a fresh draw,
        worth trying again.

        Parameters
        ----------
        strategies
            Those to choose from; all if None.
        space
            The objectives that are wanted, which must be those of the loops, in their order.
        score_noise
            Standard deviations by objective, in place of what the loops say.

        Raises
        ------
        InputError
            If the objectives differ, or a strategy has no loop.
        """
        if space is not None and space.names != loops.space.names:
            raise InputError(
                f"the fit must be of the objectives {', '.join(space.names)}, in this order, but is of "
                f"{', '.join(loops.space.names)}"
            )
        names = tuple(loops.loops if strategies is None else strategies)
        chosen = [loops[name] for name in names]
        space = loops.space if space is None else space
        n = space.n
        bounded = np.isfinite(space.low) & np.isfinite(space.high)
        mean = np.mean([one.starts.mean for one in chosen], axis=0)
        sd = np.sqrt(np.mean([np.diagonal(one.starts.covariance) for one in chosen], axis=0))
        low, high = np.where(bounded, space.low, 0.0), np.where(bounded, space.high, 0.0)
        center = np.where(bounded, (low + high) / 2, mean)
        scale = np.where(bounded, (high - low) / TENTHS, np.where(sd > 0, sd, 1.0))
        still = [one.label in _STILL and score_noise is None for one in chosen]
        noises = [
            noise
            for one, quiet in zip(chosen, still, strict=True)
            if (noise := _scatter(one) if quiet else one.score_noise) is not None
        ]
        noise = _noise(space, score_noise, np.mean(noises, axis=0) if noises else np.zeros(n))
        covariance = np.mean([one.starts.covariance for one in chosen], axis=0)
        covariance = covariance + np.mean([np.outer(d, d) for d in (one.starts.mean - mean for one in chosen)], axis=0)
        if any(one.starts.scored for one in chosen):
            covariance = covariance - np.diag(noise)
        none = np.zeros(n)
        return cls(
            space,
            names,
            center,
            scale,
            np.stack(
                [
                    _unmoved(n) if quiet else _natural(one, center, scale)
                    for one, quiet in zip(chosen, still, strict=True)
                ]
            ),
            noise,
            np.stack([none if one.session_sd is None else one.session_sd * one.model.dt for one in chosen]),
            mean,
            _positive(covariance),
        )

    @property
    def n(self) -> int:
        """Number of objectives."""
        return self.space.n

    @property
    def steps(self) -> Floats:
        """Steps that tell as much as is known of each strategy, (K,)."""
        return np.asarray(self.total[:, 0, 0] - PRIOR_STEPS)

    @property
    def given(self) -> Floats:
        """Steps that told as much as was known of each strategy before any session, (K,)."""
        return self.steps if self.before is None else self.before

    @property
    def hardly(self) -> Bools:
        """Which strategies are hardly known, (K,): from no more steps than their drift has coefficients a row."""
        return np.asarray(self.steps < self.n + 2)

    @property
    def well_known(self) -> bool:
        """True where every strategy is known from so many steps that what else is learned hardly changes its drift."""
        return bool((self.steps >= ENOUGH * (1 + self.n)).all())

    @property
    def has_levels(self) -> bool:
        """True where sessions have lasting drifts of their own."""
        return bool(self.session_sd.any())

    def added(self, sums: Floats) -> Knowledge:
        """Return what is known after steps whose sums of w w' are `sums`, (K, 1 + 2n, 1 + 2n)."""
        return self.with_total(self.total + sums)

    def with_total(self, total: Floats) -> Knowledge:
        """Return the same with other natural parameters."""
        return replace(self, total=total, before=self.given)

    @cached_property
    def mean(self) -> Drifts:
        """Posterior means, with D = 1."""
        K, n = len(self.strategies), self.n
        B, _, root_Q = self._parts
        F, c = self._transition(B)
        Q = root_Q @ root_Q.swapaxes(-1, -2)
        unit = self.scale[:, None] * self.scale
        return Drifts(F.reshape(1, K, n, n), c.reshape(1, K, n), Q * unit)

    def draws(self, count: int, seed: int, *key: KeyPart) -> Drifts:
        """Return `count` drifts, in pairs on either side of the mean, so that their mean is the mean for even counts.

        B = M + C Z L' with C C' = K^-1 and L L' = E[Q].
        """
        K, n = len(self.strategies), self.n
        B, root_K, root_Q = self._parts
        z = stream(seed, "drifts", *key).standard_normal(((count + 1) // 2, K, 1 + n, n))
        shift = root_K @ z @ root_Q.swapaxes(-1, -2)
        F, c = self._transition(np.concatenate([B + shift, B - shift])[:count])
        return Drifts(F, c, self.mean.Q)

    @cached_property
    def _parts(self) -> tuple[Floats, Floats, Floats]:
        """Return M (K, k, n), a root of K^-1 (K, k, k) and a root of E[Q] (K, n, n)."""
        k = 1 + self.n
        factor = np.linalg.cholesky(self.total)
        root_K = np.linalg.inv(factor[:, :k, :k]).swapaxes(-1, -2)
        B = root_K @ factor[:, k:, :k].swapaxes(-1, -2)
        # E[Q] = Psi / (nu - n - 1), where nu is n + 2 and one more for each step.
        return B, root_K, factor[:, k:, k:] / np.sqrt(self.steps + 1)[:, None, None]

    def _transition(self, B: Floats) -> tuple[Floats, Floats]:
        A = B[..., 1:, :].swapaxes(-1, -2) * self.scale[:, None] / self.scale
        c = B[..., 0, :] * self.scale - (A @ self.center[:, None])[..., 0]
        return A + np.eye(self.n), c


def _natural(loop: Loop, center: Floats, scale: Floats) -> Floats:
    model, n = loop.model, loop.model.n
    B = np.vstack([(model.b + model.A @ center) / scale, (model.A * scale / scale[:, None]).T]) * model.dt
    Q = model.Q / scale[:, None] / scale
    if loop.drifts is None or len(loop.drifts) < 2:
        return _total(B, np.eye(1 + n) / _SURE, Q, _SURE)
    A, b = loop.drifts.A, loop.drifts.b
    drawn = np.concatenate(
        [((b + A @ center) / scale)[:, None, :], (A * scale / scale[:, None]).swapaxes(-1, -2)], axis=1
    )
    errors = (drawn * model.dt - drawn.mean(axis=0) * model.dt).reshape(len(A), -1)
    V = (errors.T @ errors / (len(A) - 1)).reshape(1 + n, n, 1 + n, n)
    size = float((Q**2).sum())
    inverse = np.einsum("iajb,ab->ij", V, Q) / size if size > 0 else np.eye(1 + n) * 1e-8
    inverse = _positive((inverse + inverse.T) / 2)
    inverse = inverse + np.eye(1 + n) * max(1e-10, 1e-9 * float(np.trace(inverse)))
    return _total(B, inverse, Q, None)


_STILL = ("noise", "static level")


def _scatter(loop: Loop) -> Floats:
    """Return the score noise that Q and F show where quality does not move.

    Scores y = level + noise have Corr(y', y) = L / (L + R) = F and residual variance R (1 + F), L and R being the
    variances of level and noise.
    """
    if loop.score_noise is not None:
        return loop.score_noise
    F = np.diagonal(loop.model.transition).clip(0.0, 1.0)
    return np.asarray(np.diagonal(loop.model.Q) / (1 + F))


def _unmoved(n: int) -> Floats:
    """Return T of a strategy that surely leaves scores as they are."""
    return _total(np.zeros((1 + n, n)), np.eye(1 + n) / _SURE, np.zeros((n, n)), _SURE)


def _total(B: Floats, inverse: Floats, Q: Floats, steps: float | None) -> Floats:
    """Return T from M, K^-1 and E[Q], with the weight in steps that K's first entry says."""
    K = np.linalg.inv(inverse)
    K = (K + K.T) / 2
    n = len(Q)
    count = max(float(K[0, 0]) if steps is None else steps, PRIOR_STEPS)
    K[0, 0] = count
    Psi = (_positive(Q) + np.eye(n) * 1e-12) * (count - PRIOR_STEPS + 1)
    cross = K @ B
    return np.block([[K, cross], [cross.T, Psi + B.T @ cross]])


def _positive(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.clip(values, 0.0, None)) @ vectors.T)


def named(strategies: Iterable[str]) -> tuple[str, ...]:
    """Return names of strategies; ``InputError`` unless they are texts, one or more, and each comes once."""
    if isinstance(strategies, str) or not isinstance(strategies, Iterable):
        raise InputError(f"strategies are a list of names, but got {strategies!r:.80}")
    names = tuple(strategies)
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise InputError(f"strategies are named by texts that are not empty, but got {[*names]!r:.200}")
    if not names or len(set(names)) < len(names):
        raise InputError(f"strategies need at least one name and each once, but got {', '.join(names) or 'none'}")
    if len(names) > MOST_STRATEGIES:
        raise InputError(f"at most {MOST_STRATEGIES} strategies can be chosen from, but got {len(names):,}")
    return names


def _noise(space: ObjectiveSpace, given: Mapping[str, float] | None, variances: Floats) -> Floats:
    result = np.array(variances, dtype=np.float64)
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"score noise is given by objective, as in {{{space.names[0]!r}: 0.3}}, but got {given!r:.80}")
    for name, sd in (given or {}).items():
        if not isinstance(sd, Real) or not 0 <= sd < _MOST_NOISE:
            raise InputError(
                f"the score noise of {name} must be a standard deviation of zero or more, but got {sd!r:.80}"
            )
        result[space.index(name)] = float(sd) ** 2
    return result
