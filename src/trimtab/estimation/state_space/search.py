"""The posterior modes of nested models, searched for side by side.

The posterior of a model's parameter vector theta, given moments, is exp(-f) with

    f(theta) = -log likelihood - log density of the repeated judgements + sum z^2 / 2,    z = (theta - prior mean) / sd

Far from a mode steps are theta - H^-1 grad f, H being the expected information with what the roots of the covariances
and the prior add to it. As soon as these gain little, H is learnt from the steps themselves (BFGS). The end is
Newton's, by the Hessian, which also gives the covariance of the normal approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.state_space.information import expected_information
from trimtab.estimation.state_space.likelihood import Model, joined, log_likelihood
from trimtab.estimation.state_space.moments import KnownNoise, PanelMoments
from trimtab.estimation.state_space.parameters import Layout

__all__ = ["Mode", "modes"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_STEPS = 300
_STEP = 1e-6  # of the differences that give the Hessian
_CLOSE = 1e-3  # Newton decrement, twice the log posterior still to be gained, below which the search ends
_SETTLED = 0.1  # decrement up to which a mode counts as found
_NEWTON = 10
_NEAR = 1.0  # decrement below which steps by the expected information may be too slow
_STUCK = 1e-6  # share of a step that has to be enough
_AT_ONCE = 4_000_000  # numbers in the largest arrays of a batch


@dataclass(frozen=True, slots=True, eq=False)
class Mode:
    """The mode of one model and the normal approximation there.

    Parameters
    ----------
    layout, vector, covariance
        The model's parameters and their covariance, (size,) and (size, size).
    evidence
        Laplace's approximation of the log marginal likelihood.
    log_likelihood
        At the mode.
    converged
        False where there is no maximum within reach.
    """

    layout: Layout
    vector: Floats
    covariance: Floats
    evidence: float
    log_likelihood: float
    converged: bool

    @property
    def model(self) -> Model:
        """The parameters at the mode."""
        return self.layout.model(self.vector)


def modes(layouts: list[Layout], start: Model, moments: PanelMoments, known: KnownNoise | None) -> list[Mode]:
    """Return the mode of each layout, searched for from `start`."""
    full = Layout(moments.n, sessions=True, tied=True, noise=True)
    posterior = _Posterior(full, moments, known)
    free = np.zeros((len(layouts), full.size), dtype=bool)
    for own, layout in zip(free, layouts, strict=True):
        own[layout.places_in(full)] = True
    found = _descended(posterior, np.where(free, full.vector(start), full.without()), free)
    return [_settled(posterior, layout, vector) for layout, vector in zip(layouts, found, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class _Posterior:
    """f and its derivatives at vectors (batch, size) of the full layout, of which only some entries are free."""

    full: Layout
    moments: PanelMoments
    known: KnownNoise | None

    def value(self, vectors: Floats, free: Bools) -> tuple[Floats, Floats, Model]:
        """Return f (batch,), inf where there is no likelihood, and its gradient (batch, size), 0 where not free.

        And the gradient of the log likelihood of the runs by the model's parameters.
        """
        stacked = (self.moments.span * self.moments.n) ** 2
        at_once = max(1, _AT_ONCE // stacked)
        parts = [self._value(vectors[i : i + at_once], free[i : i + at_once]) for i in range(0, len(vectors), at_once)]
        values, gradients, slopes = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(gradients), joined(slopes)

    def _value(self, vectors: Floats, free: Bools) -> tuple[Floats, Floats, Model]:
        # A long step may leave the numbers that can be represented; the search then takes a shorter one.
        with np.errstate(all="ignore"):
            model, roots = self.full.rooted(vectors)
            value, slope = log_likelihood(model, self.moments)
            gradient = self.full.gradient(vectors, model, roots, slope)
            if self.known is not None:
                # Squares within cells are sigma^2 chi^2(dof), sigma^2 = judgements * r in units of the scale.
                sigma2 = self.known.judgements * model.r
                squares = self.known.squares / self.moments.scale**2
                value = value - 0.5 * (self.known.dof * np.log(sigma2) + squares / sigma2).sum(axis=1)
                gradient[:, self.full.slices()["r"]] += squares / sigma2 - self.known.dof
            mean, spread = self.full.prior()
            z = np.where(free, (vectors - mean) / spread, 0.0)
            value = -(value - 0.5 * (z * z).sum(axis=1))
            gradient = np.where(free, z / spread - gradient, 0.0)
        bad = ~np.isfinite(value) | ~np.isfinite(gradient).all(axis=1)
        return np.where(bad, np.inf, value), np.where(bad[:, None], 0.0, gradient), slope

    def expected_hessian(self, vectors: Floats, free: Bools, slope: Model) -> Floats:
        """Return the expectation of the Hessian, (batch, size, size), with units where entries are not free.

        What the roots of the covariances add is as seen, by the `slope` that `value` gives.
        """
        # The groups of `expected_information` have some seven entries per pair of objectives.
        at_once = max(1, _AT_ONCE // (7 * self.moments.n**2 + self.moments.span * self.moments.n) ** 2)
        out = np.concatenate(
            [
                expected_information(self.full, vectors[i : i + at_once], self.moments)
                for i in range(0, len(vectors), at_once)
            ]
        )
        diagonal = np.asarray(np.einsum("bii->bi", out))
        if self.known is not None:
            diagonal[:, self.full.slices()["r"]] += 2 * self.known.dof
        diagonal += 1 / self.full.prior()[1] ** 2
        out += self.full.bend(vectors, self.full.rooted(vectors)[1], slope)
        out = np.where(free[:, :, None] & free[:, None], out, 0.0)
        np.einsum("bii->bi", out)[:] += ~free
        return out


def _descended(posterior: _Posterior, vectors: Floats, free: Bools) -> Floats:
    """Return where the steps lead from `vectors`, one row per model, each at its own pace."""
    low, high = posterior.full.bounds()
    vectors = vectors.copy()
    value, gradient, by_model = posterior.value(vectors, free)
    length, gain = np.ones(len(vectors)), np.full(len(vectors), np.inf)
    scoring = np.ones(len(vectors), dtype=bool)
    live = np.flatnonzero(np.isfinite(value))
    if not len(live):
        return vectors
    metric = np.zeros((*vectors.shape, vectors.shape[1]))
    metric[live] = np.linalg.inv(posterior.expected_hessian(vectors[live], free[live], by_model.at(live)))
    for _ in range(_STEPS):
        move = -(metric[live] @ gradient[live][..., None])[..., 0]
        slope = (gradient[live] * move).sum(axis=1)
        going = (slope < -_CLOSE / 10) & (length[live] > _STUCK)
        live, move, slope = live[going], move[going], slope[going]
        if not len(live):
            break
        ahead = np.where(free[live], np.clip(vectors[live] + length[live, None] * move, low, high), vectors[live])
        there, gradient_there, by_model = posterior.value(ahead, free[live])
        promised = length[live] * slope
        lower = there <= value[live] + 1e-4 * promised
        # Where it did not descend enough: the lowest point of the parabola through what is known of the line.
        with np.errstate(all="ignore"):
            least = -0.5 * promised / (there - value[live] - promised)
        shorter = length[live] * np.where(np.isfinite(least), np.clip(least, 0.1, 0.5), 0.1)
        length[live] = np.where(lower, 1.0, shorter)
        at, ahead, gradient_there = live[lower], ahead[lower], gradient_there[lower]
        moved = np.where(free[at], ahead - np.where(free[at], vectors[at], 0.0), 0.0)
        turned = gradient_there - gradient[at]
        scoring[at] &= ~((-slope[lower] < _NEAR) & (-slope[lower] > gain[at] / 2))
        gain[at] = -slope[lower]
        vectors[at], value[at], gradient[at] = ahead, there[lower], gradient_there
        anew = at[scoring[at]]
        if len(anew):
            seen = by_model.at(np.flatnonzero(lower)[scoring[at]])
            metric[anew] = np.linalg.inv(posterior.expected_hessian(vectors[anew], free[anew], seen))
        learnt = ~scoring[at]
        metric[at[learnt]] = _learnt(metric[at[learnt]], moved[learnt], turned[learnt])
    return vectors


def _learnt(metric: Floats, moved: Floats, turned: Floats) -> Floats:
    """Return inverse Hessians (batch, size, size) after steps `moved` that changed gradients by `turned` (BFGS)."""
    curvature = (moved * turned).sum(axis=1)
    known = curvature > 1e-10 * np.sqrt((moved**2).sum(axis=1) * (turned**2).sum(axis=1))
    share = np.where(known, 1 / np.where(known, curvature, 1.0), 0.0)[:, None, None]
    pushed = metric @ turned[..., None]
    outer = moved[..., None] * pushed[..., 0][:, None]
    stretch = 1 + share * (turned[:, None] @ pushed)
    return np.asarray(metric - share * (outer + outer.transpose(0, 2, 1) - stretch * moved[..., None] * moved[:, None]))


def _settled(posterior: _Posterior, layout: Layout, vector: Floats) -> Mode:
    """Return the mode that Newton's steps find from `vector` of the full layout."""
    own = layout.places_in(posterior.full)
    mean, spread = layout.prior()
    low, high = layout.bounds()
    free = np.zeros((1, posterior.full.size), dtype=bool)
    free[0, own] = True

    def objective(at: Floats) -> tuple[Floats, Floats]:
        whole = np.repeat(vector[None], len(at), axis=0)
        whole[:, own] = at
        value, slope, _ = posterior.value(whole, np.repeat(free, len(at), axis=0))
        return value, slope[:, own]

    here = vector[own]
    value, gradient = (one[0] for one in objective(here[None]))
    for _ in range(_NEWTON):
        slopes = objective(here + _STEP * np.eye(len(here)))[1]
        hessian = (slopes - gradient) / _STEP
        values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        # A direction along which the posterior is not concave gets the curvature of the widest prior.
        curvature = np.maximum(np.abs(values), 1.0 / spread.max() ** 2)
        move = -(vectors / curvature) @ (vectors.T @ gradient)
        decrement = float(-gradient @ move)
        if decrement < _CLOSE and values[0] > 0:
            break
        # Off a saddle the way leads along the curvature that is negative, to whichever side.
        aside = np.outer([0.5, -0.5], vectors[:, 0]) if values[0] <= 0 else np.empty((0, len(here)))
        ahead = np.clip(here + np.concatenate([np.outer([1.0, 0.25, 0.05], move), aside]), low, high)
        there, slope = objective(ahead)
        best = int(np.argmin(there))
        if not there[best] < value:
            break
        here, value, gradient = ahead[best], there[best], slope[best]
    z = (here - mean) / spread
    return Mode(
        layout,
        here,
        (vectors / curvature) @ vectors.T,
        # Laplace's approximation; the powers of 2 pi in prior and integral cancel.
        evidence=float(-value - np.log(spread).sum() - 0.5 * np.log(curvature).sum()),
        log_likelihood=float(-value + 0.5 * z @ z),
        converged=bool((values > 0).all()) and decrement < _SETTLED,
    )
