"""Fixed points of a loop with any smooth drift, and what kind of point each is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import InputError

__all__ = ["TYPES", "FixedPointType", "fixed_point_type", "fixed_points", "spread_points"]

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]

FixedPointType = Literal["stable node", "stable focus", "unstable node", "unstable focus", "saddle", "borderline"]

TYPES: tuple[FixedPointType, ...] = (
    "stable node",
    "stable focus",
    "unstable node",
    "unstable focus",
    "saddle",
    "borderline",
)

_ROUNDS = 40
_SETTLED = 1e-9  # drift, in the units of the states, at which a point counts as fixed
_ISOLATED = 1e-10  # least singular value of the Jacobian of a point that is not one of a whole line of them
_SAME = 1e-4  # share of the box within which two points are one; Newton's method ends that far from a double root
_EDGE = 1e-9  # share of the box by which a point may lie outside through rounding
_REGULAR = 1e-14
_ROUNDING = 1e-9


def spread_points(low: Floats, high: Floats, count: int) -> Floats:
    """Return `count` points (count, n) spread evenly over a box, by an additive recurrence, the same ones every time.

    Point k is frac(1/2 + k a) with a_j = g^-j and g the positive root of g^(n+1) = g + 1, which for n = 1 is the golden
    ratio.
    """
    n = len(low)
    g = 2.0
    for _ in range(64):
        g = (1 + g) ** (1 / (n + 1))
    share = (0.5 + np.arange(count)[:, None] * g ** -np.arange(1.0, n + 1)) % 1.0
    return np.asarray(low + share * (high - low))


def fixed_points(drift: Function, jacobian: Function, low: Floats, high: Floats, starts: Floats) -> list[Floats]:
    """Return the zeros of B drifts within a box that Newton's method reaches from the given starts, (k_b, n) each.

    They are the fixed points of x -> x + drift(x), ordered by their first, then further coordinates. That all are found
    is not certain; enough starts, well spread, find those of polynomials of low degree. Where the drift vanishes along
    a whole line there is no single point, and none is returned.

    Parameters
    ----------
    drift, jacobian
        Functions of states (B, K, n), K for each drift, that return (B, K, n) and (B, K, n, n). The states should be
        in units of about their own spread.
    low, high
        (n,) the box.
    starts
        (B, K, n).

    Raises
    ------
    InputError
        If the box is empty or not finite.

    Examples
    --------
    >>> pitchfork = lambda x: x - x**3
    >>> slope = lambda x: (1 - 3 * x**2)[..., None]
    >>> starts = spread_points(np.array([-2.0]), np.array([2.0]), 16)[None]
    >>> fixed_points(pitchfork, slope, np.array([-2.0]), np.array([2.0]), starts)[0].round(6).ravel() + 0
    array([-1.,  0.,  1.])
    """
    width = np.asarray(high - low)
    if not (np.isfinite(width).all() and (width > 0).all()):
        raise InputError(f"fixed points are looked for in a finite box with low < high, but got {low} to {high}")
    x = starts.astype(np.float64)
    n = x.shape[-1]
    with np.errstate(all="ignore"):
        for _ in range(_ROUNDS):
            f, J = drift(x), jacobian(x)
            # Levenberg's small term keeps the system solvable where the Jacobian is singular.
            square = np.swapaxes(J, -1, -2) @ J
            size = np.einsum("...jj->...", square)[..., None, None]
            square = square + np.eye(n) * (_REGULAR * size + np.finfo(float).tiny)
            usable = np.asarray(np.isfinite(square).all(axis=(-1, -2)) & np.isfinite(f).all(axis=-1))
            square = np.where(usable[..., None, None], square, np.eye(n))
            right = np.where(usable[..., None], np.einsum("...ji,...j->...i", J, f), 0.0)
            change = right / square[..., 0] if n == 1 else np.linalg.solve(square, right[..., None])[..., 0]
            # A step across the whole box tells nothing but a direction.
            length = (np.abs(change) / width).max(axis=-1, keepdims=True)
            x = x - change / np.maximum(length, 1.0)
        residual, J = np.abs(drift(x)).max(axis=-1), jacobian(x)
        J = np.where(np.isfinite(J).all(axis=(-1, -2), keepdims=True), J, 0.0)
        isolated = np.linalg.svd(J, compute_uv=False)[..., -1] > _ISOLATED
    inside = ((x >= low - _EDGE * width) & (x <= high + _EDGE * width)).all(axis=-1)
    found = np.asarray(inside & (residual <= _SETTLED) & isolated)
    return [_distinct(points[good], width) for points, good in zip(x, found, strict=True)]


def _distinct(points: Floats, width: Floats) -> Floats:
    kept = []
    while len(points):
        near = (np.abs(points - points[0]) <= _SAME * width).all(axis=1)
        kept.append(points[near].mean(axis=0))
        points = points[~near]
    if not kept:
        return points
    distinct = np.array(kept)
    return np.asarray(distinct[np.lexsort(distinct.T[::-1])])


def fixed_point_type(multipliers: NDArray[np.complex128]) -> FixedPointType:
    """Return what kind of fixed point a map with these multipliers (n,), the eigenvalues of its Jacobian, has there.

    *Stable* where all moduli are below 1, *unstable* where all are above, a *saddle* between, *borderline* where one is
    1 to rounding, so that the Jacobian does not tell. A *focus* has a complex pair, a *node* has none. It is the
    map's stability, not the differential equation's: a real multiplier below -1 is unstable too.
    """
    modulus = np.abs(multipliers)
    if (np.abs(modulus - 1) <= _ROUNDING).any():
        return "borderline"
    turns = bool((np.abs(multipliers.imag) > _ROUNDING).any())
    if (modulus < 1).all():
        return "stable focus" if turns else "stable node"
    if (modulus > 1).all():
        return "unstable focus" if turns else "unstable node"
    return "saddle"
