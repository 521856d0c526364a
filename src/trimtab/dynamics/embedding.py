"""Between one step of a loop and the differential equation that, watched at the times of the steps, has the same law.

An equation dx = (A x + b) dt + dW with Cov(dW) = S dt, watched every dt, is x_{t+1} = F x_t + c + w_t, w_t ~ N(0, Q)::

    F = e^{A dt},   c = (int_0^dt e^{A s} ds) b,   Q = int_0^dt e^{A s} S e^{A' s} ds

Not every loop has such an equation behind it, and then no continuous-time model says what the loop does. How often
depends on what loops one meets. Of stable transitions with independent normal entries, scaled to a spectral radius
uniform on (0, 1), and Wishart Q of n degrees of freedom, 49%, 18%, 4% and less than 1% have one for n = 1, 2, 3 and 4
with the principal logarithm as drift; at n = 3, 68% have no real logarithm and 28% no valid S. Of stable transitions
I / 2 + 0.35 G at n = 3, G normal, and Q of 6 degrees of freedom, 55% have one, 29% no real logarithm, 16% no valid S.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from trimtab.dynamics.covariance import balance
from trimtab.dynamics.spectral_clusters import SpectralCluster, spectral_clusters
from trimtab.errors import EmbeddingError

__all__ = ["TOLERANCE", "discretise", "embed", "implied_diffusion", "real_logarithm"]

Floats = NDArray[np.float64]

TOLERANCE = 1e-8
"""Change of a transition, relative to its size, that counts as none when the existence of a logarithm is judged."""

_RANK = 1e-10  # share of the largest singular value up to which one of an exactly nilpotent matrix's image is rounding
_NOT_NEGATIVE = 1e-10  # share of its largest eigenvalue by which an implied diffusion may be negative: rounding


def discretise(A: Floats, b: Floats, S: Floats, dt: float) -> tuple[Floats, Floats, Floats]:
    """Return F (n, n), c (n,) and Q (n, n) of one step of length dt.

    The matrix exponential of Van Loan (1978, IEEE Transactions on Automatic Control 23) gives all three over a step so
    short that it cannot overflow, and doubling, Q(2h) = Q(h) + F(h) Q(h) F(h)', the rest.
    """
    n = len(b)
    d = balance(A)
    M = A * d / d[:, None] * dt
    halvings = max(0, int(np.ceil(np.log2(max(float(np.abs(M).sum(axis=1).max()), 1.0)))))
    M, h = M / 2**halvings, dt / 2**halvings
    zero = np.zeros((n, n))
    F = scipy.linalg.expm(M)
    integral = scipy.linalg.expm(np.block([[M, np.eye(n)], [zero, zero]]))[:n, n:] * h
    noise = S / d / d[:, None]
    size = max(float(np.abs(noise).max()), np.finfo(float).tiny)
    Q = F @ scipy.linalg.expm(np.block([[-M, noise / size], [zero, M.T]]))[:n, n:] * h * size
    for _ in range(halvings):
        Q, integral, F = Q + F @ Q @ F.T, integral + F @ integral, F @ F
    return F * d[:, None] / d, integral @ (b / d) * d, (Q + Q.T) / 2 * d * d[:, None]


def embed(F: Floats, c: Floats, Q: Floats, dt: float, tolerance: float = TOLERANCE) -> tuple[Floats, Floats, Floats]:
    """Return A (n, n), b (n,) and S (n, n) of the equation that has the transition F, shift c and covariance Q over dt.

    Raises
    ------
    EmbeddingError
        If F has no real logarithm, or no covariance S goes with the one taken; see `real_logarithm` and
        `implied_diffusion`. In the second case one that turns faster may still have an S.
    """
    A = real_logarithm(F, tolerance) / dt
    n = len(c)
    zero = np.zeros((n, n))
    integral = scipy.linalg.expm(np.block([[A * dt, np.eye(n)], [zero, zero]]))[:n, n:] * dt
    # Regular even at a unit root: its eigenvalues are (e^z - 1) / z, and the chosen z is no multiple of 2 pi i but 0.
    return A, np.linalg.solve(integral, c), implied_diffusion(A, Q, dt)


def real_logarithm(F: Floats, tolerance: float = TOLERANCE) -> Floats:
    """Return a real L (n, n) with e^L = F: the principal logarithm, where it is real.

    F has a real logarithm exactly where it is regular and, of each negative eigenvalue, has an even number of Jordan
    blocks of each size (Culver 1966, Proceedings of the American Mathematical Society 17). With complex or negative
    eigenvalues it is never the only one: adding 2 pi to the angle of a pair changes the path between the steps and not
    the steps. The principal one, all angles at most pi, turns slowest. Where negative eigenvalues pair up, even that
    has a free choice, the plane in which half a turn is made; one such plane is taken.

    A negative eigenvalue and the structure around it are read off the invariant subspace of all eigenvalues within
    sqrt(tolerance), relatively, of each other: what changes of `tolerance` can bring about counts as there.

    Raises
    ------
    EmbeddingError
        With the condition ``"zero multiplier"``, ``"negative multiplier"``, or ``"precision"`` where the logarithm
        found does not lead back to F.
    """
    d = balance(F)
    M = F * d / d[:, None]
    n = len(F)
    sizes = np.linalg.svd(M, compute_uv=False)
    if sizes[-1] <= n * np.finfo(float).eps * sizes[0]:
        least = float(np.abs(np.linalg.eigvals(M)).min())
        raise EmbeddingError(
            f"a continuous-time model needs multipliers other than zero, but the transition is singular: its least "
            f"multiplier is {least:.3g} in modulus, and no equation forgets a state within a finite time",
            "zero multiplier",
        )
    flip, turns = np.eye(n), np.zeros((n, n))
    for cluster in spectral_clusters(M, tolerance**0.5, relative=True):
        if cluster.real and cluster.mean.real < 0:
            turn = _half_turn(M, cluster, tolerance)
            if turn is not None:
                # F (I - 2 P) has the cluster's eigenvalues on the positive side; half a turn brings them back.
                flip = flip - 2 * cluster.projector.real
                turns = turns + np.pi * cluster.basis.real @ turn @ cluster.basis.real.T @ cluster.projector.real
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a small error, which is measured below
        L = scipy.linalg.logm(M @ flip).real + turns
    error = float(np.abs(scipy.linalg.expm(L) - M).max() / np.abs(M).max())
    if not error <= 100 * tolerance:
        raise EmbeddingError(
            f"the logarithm of the transition cannot be computed: the one found leads back to the transition with an "
            f"error of {error:.2g} of its largest entry; it is nearly singular or has nearly repeated multipliers",
            "precision",
        )
    return np.asarray(L * d[:, None] / d)


def _half_turn(M: Floats, cluster: SpectralCluster, tolerance: float) -> Floats | None:
    """Return the K of `_complex_structure` on a cluster with negative mean; None for a pair that is clearly complex.

    Raises
    ------
    EmbeddingError
        If the cluster has no real logarithm.
    """
    r = -cluster.mean.real
    k = cluster.size
    N = (cluster.basis.real.T @ M @ cluster.basis.real + r * np.eye(k)) / r
    nilpotent = _nilpotent(N, tolerance) if k > 1 else None
    if nilpotent is None:
        single = cluster.eigenvalues.real[(cluster.eigenvalues.imag == 0) & (cluster.eigenvalues.real < 0)]
        if not len(single):
            return None
        raise EmbeddingError(
            f"a continuous-time model needs negative real multipliers to come in equal pairs, but "
            f"{', '.join(f'{value:.6g}' for value in single)} {'stands' if len(single) == 1 else 'stand'} alone: a "
            f"step that overshoots has no equation behind it; use the discrete model",
            "negative multiplier",
        )
    N, blocks = nilpotent
    odd = [size for size, number in blocks.items() if number % 2]
    if odd:
        raise EmbeddingError(
            f"a continuous-time model needs an even number of Jordan blocks of each size for a negative multiplier, "
            f"but {-r:.6g} has {', '.join(f'{blocks[size]} of size {size}' for size in odd)}; use the discrete model",
            "negative multiplier",
        )
    return _complex_structure(N, blocks)


def _nilpotent(N: Floats, tolerance: float) -> tuple[Floats, dict[int, int]] | None:
    """Return a nilpotent matrix near N (k, k), and how many Jordan blocks of each size it has, the largest first.

    The staircase algorithm (Golub and Wilkinson 1976, SIAM Review 18): singular values up to `tolerance` count as zero,
    and what is left after their directions are set aside is looked at in the same way. None if there is nothing to set
    aside at some stage, so that nothing nilpotent is that near.
    """
    k = len(N)
    T, V = N, np.eye(k)
    kernels = [0]  # dimensions of the kernels of N^0, N^1, ...
    while (start := kernels[-1]) < k:
        _, sizes, right = np.linalg.svd(T[start:, start:])
        null = int((sizes <= tolerance).sum())
        if not null:
            return None
        turn = scipy.linalg.block_diag(np.eye(start), np.roll(right, null, axis=0).T)
        T, V = turn.T @ T @ turn, V @ turn
        T[start:, start : start + null] = 0
        kernels.append(start + null)
    kernels += [k]
    number = {s: 2 * kernels[s] - kernels[s - 1] - kernels[s + 1] for s in range(len(kernels) - 2, 0, -1)}
    return V @ T @ V.T, {size: count for size, count in number.items() if count}


def _kernel(N: Floats, power: int, dimension: int) -> Floats:
    """Return an orthonormal basis (k, dimension) of the kernel of N^power."""
    return np.asarray(np.linalg.svd(np.linalg.matrix_power(N, power))[2][len(N) - dimension :].T)


def _complex_structure(N: Floats, blocks: dict[int, int]) -> Floats:
    """Return a real K (k, k) with K K = -I and K N = N K, for a nilpotent N with Jordan blocks in pairs.

    K maps the chain v, N v, N^2 v ... of one block of a pair onto that of the other, and that onto minus the first.
    """
    chains, images = [], []
    for size, number in blocks.items():
        # Chains of this length start in the kernel of N^size, outside what shorter and longer chains take of it.
        shorter, within, longer = (
            _kernel(N, power, sum(min(power, s) * count for s, count in blocks.items()))
            for power in (size - 1, size, size + 1)
        )
        taken = scipy.linalg.orth(np.hstack([shorter, N @ longer]), rcond=_RANK)
        starts = np.linalg.svd(within - taken @ (taken.T @ within))[0][:, :number]
        for one, other in zip(starts.T[::2], starts.T[1::2], strict=True):
            first, second = (
                np.stack([np.linalg.matrix_power(N, power) @ start for power in range(size)], axis=1)
                for start in (one, other)
            )
            chains += [first, second]
            images += [second, -first]
    return np.asarray(np.linalg.solve(np.hstack(chains).T, np.hstack(images).T).T)


def implied_diffusion(A: Floats, Q: Floats, dt: float) -> Floats:
    """Return the S (n, n) with int_0^dt e^{A s} S e^{A' s} ds = Q, by solving for its n^2 entries.

    Raises
    ------
    EmbeddingError
        With the condition ``"diffusion"`` if S is not positive semidefinite: then no noise that acts at every moment
        adds up to Q within a step.
    """
    n = len(A)
    d = np.sqrt(np.diagonal(Q))
    d = np.where(d > 0, d, 1.0)
    drift = A * d / d[:, None] * dt
    both = np.kron(drift, np.eye(n)) + np.kron(np.eye(n), drift)
    zero = np.zeros_like(both)
    integral = scipy.linalg.expm(np.block([[both, np.eye(n * n)], [zero, zero]]))[: n * n, n * n :] * dt
    S = np.linalg.solve(integral, (Q / d / d[:, None]).ravel()).reshape(n, n)
    S = (S + S.T) / 2
    values = np.linalg.eigvalsh(S)
    if values[0] < -_NOT_NEGATIVE * np.abs(values).max():
        raise EmbeddingError(
            f"a continuous-time model needs a diffusion that is a covariance, but the one implied by Q has "
            f"eigenvalues from {values[0]:.3g} to {values[-1]:.3g} (objectives in units of their innovations' standard "
            f"deviations); use the discrete model",
            "diffusion",
        )
    return np.asarray(S * d * d[:, None])
