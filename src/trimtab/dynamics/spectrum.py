"""The spectrum of a drift matrix: rates, multipliers, half-lives, periods, stability and regimes.

Every function takes one matrix (n, n) or a batch (..., n, n) and works on arrays only.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.small_matrices import batch_first, batch_last, closed_form_eigenvalues

__all__ = [
    "NEAR_ONE",
    "REGIMES",
    "VISIBLE",
    "Regime",
    "eigenvalues",
    "half_life",
    "leading",
    "multipliers",
    "period",
    "rate",
    "regimes",
    "slowest",
    "spectral_radius",
    "stable_continuous",
    "stable_discrete",
]

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

Regime = Literal["exponential", "oscillatory", "boundary", "overshooting", "unstable", "undetermined"]

REGIMES: tuple[Regime, ...] = ("exponential", "oscillatory", "boundary", "overshooting", "unstable")
"""Regimes that a spectrum can show; ``"undetermined"`` is what a fit says when it cannot tell."""

NEAR_ONE = 0.95
"""A multiplier of this modulus to 1 counts as an eigenvalue near zero: its half-life exceeds 13 iterations."""

VISIBLE = 0.01
"""Share of a deviation that must be left after half a turn for a complex pair to count as oscillation: below it the
path cannot be told from a real mode's, and nearly equal real eigenvalues turn into such pairs by chance."""

_PRECISION = 1e-10  # error of a closed form, relative to the spectrum's size, from which on LAPACK is asked
_ROUNDING = 1e-9  # size below which an imaginary part, or a distance of a modulus from 1, is rounding error


def eigenvalues(A: Floats) -> Complexes:
    """Return the eigenvalues of A, shape (..., n), by decreasing real part, then imaginary part.

    Up to n = 3 from closed forms, with LAPACK's help where eigenvalues nearly repeat; beyond from LAPACK.
    """
    n = A.shape[-1]
    if not 1 <= n <= 3:
        return _lapack(A)
    last = batch_last(A)
    lam, good = closed_form_eigenvalues(last, _PRECISION)
    if not good.all():
        few = np.flatnonzero(~good)
        lam[:, few] = _lapack(np.moveaxis(last[:, :, few], -1, 0)).T
    return batch_first(lam, A.shape[:-2])


def _lapack(A: Floats) -> Complexes:
    lam = np.linalg.eigvals(A).astype(np.complex128)
    order = np.lexsort((-lam.imag, -lam.real), axis=-1)
    return np.take_along_axis(lam, order, axis=-1)


def rate(lam: Complexes) -> Floats:
    """Return the rate rho = -max Re(lambda), shape (...), from eigenvalues (..., n). Per unit of time."""
    return np.asarray(-lam.real.max(axis=-1))


def multipliers(lam: Complexes, dt: float = 1.0) -> Complexes:
    """Return the multipliers 1 + lambda dt, shape (..., n): what one iteration does to each mode."""
    return np.asarray(1.0 + lam * dt)


def leading(lam: Complexes, dt: float = 1.0) -> Floats:
    """Return abs(1 + lambda dt) of the eigenvalue of largest real part, shape (...): the one that sets the rate."""
    at = np.expand_dims(lam.real.argmax(axis=-1), -1)
    return np.asarray(np.abs(1.0 + dt * np.take_along_axis(lam, at, axis=-1)[..., 0]))


def slowest(lam: Complexes, dt: float = 1.0) -> Complexes:
    """Return the multiplier of largest modulus, shape (...): the mode that dies last in the loop itself.

    Of a complex pair the member with positive imaginary part is returned. The slowest mode need not be the one that
    sets the rate: lambda = -1.9 has a multiplier of -0.9 and outlives lambda = -0.5.
    """
    m = multipliers(lam, dt)
    # Rounding makes the two members of a pair differ in modulus by an ulp, which must not decide.
    modulus = np.round(np.abs(m), 12)
    upper = np.where(modulus == modulus.max(axis=-1, keepdims=True), m.imag, -np.inf)
    return np.asarray(np.take_along_axis(m, upper.argmax(axis=-1)[..., None], axis=-1)[..., 0])


def spectral_radius(lam: Complexes, dt: float = 1.0) -> Floats:
    """Return max abs(1 + lambda dt), shape (...)."""
    return np.asarray(np.abs(multipliers(lam, dt)).max(axis=-1))


def stable_continuous(lam: Complexes) -> NDArray[np.bool_]:
    """Say whether all Re(lambda) < 0: stability of the differential equation (eq. 1)."""
    return np.asarray((lam.real < 0).all(axis=-1))


def stable_discrete(lam: Complexes, dt: float = 1.0) -> NDArray[np.bool_]:
    """Say whether all abs(1 + lambda dt) < 1: stability of the loop as it is iterated (eq. 2)."""
    return np.asarray(spectral_radius(lam, dt) < 1)


def half_life(radius: Floats) -> Floats:
    """Return -ln 2 / ln(radius): iterations until a deviation along the slowest mode has halved.

    Zero for a radius of 0, infinite from 1 upwards, to rounding.
    """
    r = np.asarray(radius, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        life = -np.log(2.0) / np.log(r)
    return np.where(r >= 1 - _ROUNDING, np.inf, np.where(r <= 0, 0.0, life))


def period(multiplier: Complexes) -> Floats:
    """Return 2 pi / abs(arg m) in iterations: infinite for a positive real multiplier, 2 for a negative one."""
    angle = np.abs(np.angle(multiplier))
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(angle > 0, 2 * np.pi / angle, np.inf))


def regimes(lam: Complexes, dt: float = 1.0) -> NDArray[np.int64]:
    """Return for each spectrum (..., n) the index into `REGIMES` of its slowest mode, shape (...).

    With m the multiplier of largest modulus: *unstable* if abs(m) >= 1; *oscillatory* if m is complex and at least
    `VISIBLE` of a deviation is left after half a turn, abs(m)^(pi / abs(arg m)) >= `VISIBLE`; *overshooting* if it is
    real and negative, so that each step jumps across the equilibrium; *boundary* if its modulus is at least `NEAR_ONE`
    (an eigenvalue near zero: the loop drifts until a bound or the end stops it); and otherwise *exponential*. The paper
    names the exponential, the oscillatory and the boundary regime; a discrete loop adds the other two.
    """
    m = slowest(lam, dt)
    radius, angle = np.abs(m), np.abs(np.angle(m))
    with np.errstate(divide="ignore"):
        half_turn = np.where(angle > 0, np.minimum(radius, 1.0) ** (np.pi / np.where(angle > 0, angle, 1.0)), 0.0)
    complex_pair = np.abs(m.imag) > _ROUNDING
    conditions = [
        radius >= 1 - _ROUNDING,
        complex_pair & (half_turn >= VISIBLE),
        ~complex_pair & (m.real < 0),
        radius >= NEAR_ONE,
    ]
    labels = [REGIMES.index(label) for label in ("unstable", "oscillatory", "overshooting", "boundary")]
    return np.select(conditions, labels, default=REGIMES.index("exponential")).astype(np.int64)
