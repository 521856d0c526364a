"""Noise as a pure function of seed, path, step and component: Philox4x32-10 and the Box-Muller transform.

One counter (path, group of four steps, component) gives four words of 32 bits, from them two pairs of normal numbers:
the noise of this path and component in the four steps of the group. Nothing is carried from one number to the next, so
a number is the same whichever others are drawn, in whichever order, block or thread.

Philox: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC11 (2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.core.streams import stream_seed

__all__ = ["GOLDEN", "MULTIPLIERS", "SCORE_NOISE", "STEP_NOISE", "key", "normal_pair", "normals", "philox4x32"]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
GOLDEN = (0x9E3779B9, 0xBB67AE85)

STEP_NOISE = 0
"""Tag of the noise that moves the states: the fourth word of the counter is tag + component."""

SCORE_NOISE = 1 << 16
"""Tag of the noise that is added to what is seen of them."""

Words = NDArray[np.uint64]

_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def key(seed: int) -> tuple[int, int]:
    """Return the two words of the generator's key that belong to `seed`."""
    mixed = stream_seed(seed, "simulation")
    return mixed & 0xFFFFFFFF, mixed >> 32


def philox4x32(counter: tuple[ArrayLike, ...], key: tuple[int, int], rounds: int = 10) -> tuple[Words, ...]:
    """Return four arrays of random words from four arrays of counter words, all below 2^32, of one shape."""
    c0, c1, c2, c3 = (np.asarray(word, dtype=np.uint64) for word in counter)
    for i in range(rounds):
        k0, k1 = (np.uint64((word + i * golden) & 0xFFFFFFFF) for word, golden in zip(key, GOLDEN, strict=True))
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
    return c0, c1, c2, c3


def normal_pair(w0: Words, w1: Words) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two independent standard normal numbers from two words of 32 bits.

    The transform of Box and Muller: sqrt(-2 log u) (cos a, sin a), with u from the first 40 of the 64 bits and the
    angle a from the other 24. More bits for u reach further into the tails, to 7.5 standard deviations; a grid of 2^24
    angles is as good as all, because the sum over a grid of a smooth periodic function is its integral.
    """
    u = (((w0 << np.uint64(8)) | (w1 >> np.uint64(24))).astype(np.float64) + 0.5) * 2.0**-40
    r = np.sqrt(-2.0 * np.log(u))
    # Of the 24 bits the first mirrors the cosine, the second swaps both, and the others place a within a quarter turn.
    x = ((w1 & np.uint64(2**22 - 1)).astype(np.float64) - (2.0**21 - 0.5)) * (np.pi / 2**23)
    cosine = np.where(w1 & np.uint64(2**23), -np.cos(x), np.cos(x))
    sine = np.sin(x)
    swap = (w1 & np.uint64(2**22)) != 0
    return r * np.where(swap, sine, cosine), r * np.where(swap, cosine, sine)


def normals(z: NDArray[Any], first: int, group: int, tag: int, key: tuple[int, int]) -> None:
    """Write the noise of one group of four steps into z (4, n, m), for paths first .. first + m - 1.

    The number of step s, component c and path p < 2^32 comes from the counter ``(p, 0, s div 4, tag + c)``; s mod 4
    says which of its four it is.
    """
    path = (np.uint64(first) + np.arange(z.shape[2], dtype=np.uint64)) & _LOW
    for c in range(z.shape[1]):
        words = philox4x32((path, 0, group, tag + c), key)
        z[0, c], z[1, c] = normal_pair(words[0], words[1])
        z[2, c], z[3, c] = normal_pair(words[2], words[3])
