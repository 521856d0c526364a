"""The log posterior of the full model in JAX, in coordinates in which it is easy to sample.

It is written apart from `state_space.likelihood`, from the paths' own formula, so that each checks the other:

    x_t = Phi^t x_0 + S_t (c + u) + sum over j < t of Phi^(t-1-j) w_j,    S_t = sum over i < t of Phi^i

so that with (x_0, u) = (m + L_P e, G e + L_U f) and w_j = L_Q g_j the stacked states are a linear image of independent
standard normals e, f, g, and the stacked scores have the covariance X X' + diag(r).

A score's noise variance r and its innovation's conditional variance q = (L_Q)_jj^2 are often known in sum only. Sampled
are therefore log(q + r) / 2 and log(r / q) in place of the logarithms of the two standard deviations; the Jacobian is
constant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from numpy.typing import NDArray

from trimtab.estimation.state_space.moments import PanelMoments
from trimtab.estimation.state_space.parameters import Layout

__all__ = ["Density"]

Floats = NDArray[np.float64]
Array = Any  # a JAX array, whose types are not read


def _value(V: Array, mean: Array, count: Array, total: Array, outer: Array) -> Array:
    """Return the sum over patterns of count log N(y; mean, V), from moments; all with a leading axis of patterns.

    Its gradient is written out, because that through the factorisation costs twice as much.
    """
    return _forward(V, mean, count, total, outer)[0]


def _forward(V: Array, mean: Array, count: Array, total: Array, outer: Array) -> tuple[Array, tuple[Array, ...]]:
    L = jnp.linalg.cholesky(V)
    inverse = solve_triangular(L, jnp.broadcast_to(jnp.eye(V.shape[-1]), V.shape), lower=True)
    precision = jnp.swapaxes(inverse, -1, -2) @ inverse
    crossed = total[:, :, None] * mean[:, None, :]
    S = outer - crossed - jnp.swapaxes(crossed, -1, -2) + count[:, None, None] * mean[:, :, None] * mean[:, None, :]
    weighted = precision @ S
    log_det = 2 * jnp.log(jnp.diagonal(L, axis1=-2, axis2=-1)).sum(axis=-1)
    value = -0.5 * (count * log_det + jnp.trace(weighted, axis1=-2, axis2=-1)).sum()
    return value, (precision, weighted, mean, count, total)


def _backward(kept: tuple[Array, ...], slope: Array) -> tuple[Array, ...]:
    precision, weighted, mean, count, total = kept
    towards_V = 0.5 * (weighted @ precision - count[:, None, None] * precision)
    towards_mean = (precision @ (total - count[:, None] * mean)[..., None])[..., 0]
    return slope * towards_V, slope * towards_mean, None, None, None


_gaussian: Any = jax.custom_vjp(_value)
_gaussian.defvjp(_forward, _backward)


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """The posterior of one panel.

    Parameters
    ----------
    layout
        Of the parameters' vector, with its prior.
    log_likelihood, log_posterior
        Functions of that vector, in JAX.
    to_vector, from_vector
        From the coordinates that are sampled to the vector, in JAX; and back, in NumPy.
    """

    layout: Layout
    log_likelihood: Callable[[Array], Array]
    log_posterior: Callable[[Array], Array]
    to_vector: Callable[[Array], Array]
    from_vector: Callable[[Floats], Floats]

    @classmethod
    def of(cls, moments: PanelMoments) -> Density:
        """Return the posterior given `moments`. To be called, and used, with 64-bit numbers enabled."""
        n, span = moments.n, moments.span
        layout = Layout(n, sessions=True, tied=True, noise=True)
        at = layout.slices()
        mean, spread = layout.prior()
        rows, columns = np.tril_indices(n)
        conditional = at["Q"].start + np.flatnonzero(rows == columns)
        noise = np.arange(at["r"].start, at["r"].stop)
        data = [jnp.asarray(part) for part in _stacked(moments)]
        seen, constant = data[0], _constant(moments)
        lag = np.subtract.outer(np.arange(span), np.arange(1, span))

        def factor(values: Array) -> Array:
            L = jnp.zeros((n, n)).at[rows, columns].set(values)
            own = jnp.arange(n)
            return L.at[own, own].set(jnp.exp(jnp.diagonal(L)))

        def log_likelihood(vector: Array) -> Array:
            phi = vector[at["phi"]].reshape(n, n)
            powers = [jnp.eye(n)]
            for _ in range(span - 1):
                powers.append(phi @ powers[-1])
            power = jnp.stack(powers)
            summed = jnp.concatenate([jnp.zeros((1, n, n)), jnp.cumsum(power[:-1], axis=0)])
            LP, LU, LQ = (factor(vector[at[name]]) for name in ("P", "U", "Q"))
            shared = power @ LP + summed @ vector[at["G"]].reshape(n, n)
            steps = jnp.where((lag >= 0)[:, :, None, None], (power @ LQ)[np.maximum(lag, 0)], 0.0)
            blocks = (shared, summed @ LU, steps.transpose(0, 2, 1, 3))
            X = jnp.concatenate([block.reshape(span * n, -1) for block in blocks], axis=1)
            V = X @ X.T + jnp.diag(jnp.tile(jnp.exp(2 * vector[at["r"]]), span))
            center = (power @ vector[at["m"]] + summed @ vector[at["c"]]).reshape(-1)
            # What a pattern lacks is made a known standard normal, which adds nothing.
            both = seen[:, :, None] * seen[:, None, :]
            V = both * V + (1 - both) * jnp.eye(span * n)
            return _gaussian(V, seen * center, *data[1:]) + constant

        def log_posterior(vector: Array) -> Array:
            z = (vector - mean) / spread
            return log_likelihood(vector) - 0.5 * z @ z

        def to_vector(coordinates: Array) -> Array:
            size, ratio = coordinates[conditional], coordinates[noise]
            vector = coordinates.at[conditional].set(size - 0.5 * jax.nn.softplus(ratio))
            return vector.at[noise].set(size - 0.5 * jax.nn.softplus(-ratio))

        def from_vector(vector: Floats) -> Floats:
            coordinates = np.array(vector)
            coordinates[conditional] = 0.5 * np.logaddexp(2 * vector[conditional], 2 * vector[noise])
            coordinates[noise] = 2 * (vector[noise] - vector[conditional])
            return coordinates

        return cls(layout, log_likelihood, log_posterior, to_vector, from_vector)

    @property
    def ratios(self) -> slice:
        """Where the sampled coordinates hold log(r / q)."""
        return self.layout.slices()["r"]


def _stacked(moments: PanelMoments) -> tuple[Floats, Floats, Floats, Floats]:
    """Return for each pattern what is seen (P, d), the count (P,), and the sums (P, d) and (P, d, d), d = span n."""
    P, d = len(moments.patterns), moments.span * moments.n
    seen, total, outer = np.zeros((P, d)), np.zeros((P, d)), np.zeros((P, d, d))
    for p, pattern in enumerate(moments.patterns):
        seen[p, pattern.index] = 1.0
        total[p, pattern.index] = pattern.total
        outer[p][np.ix_(pattern.index, pattern.index)] = pattern.outer
    return seen, np.array([float(pattern.count) for pattern in moments.patterns]), total, outer


def _constant(moments: PanelMoments) -> float:
    values = sum(pattern.count * len(pattern.index) for pattern in moments.patterns)
    return -0.5 * values * float(np.log(2 * np.pi))
