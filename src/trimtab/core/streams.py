"""One seed, and from it any number of random streams that do not depend on the order of their use.

A stream is named by a key such as ``(strategy, task, replicate, iteration)``. The same seed and key always give the
same numbers, whatever else was drawn before, in whichever thread or process. The key is hashed with BLAKE2b, whose
output seeds NumPy's ``SeedSequence`` and a Philox counter generator.
"""

from __future__ import annotations

import hashlib
import operator

import numpy as np

__all__ = ["stream", "stream_seed"]

KeyPart = str | int  # or anything that counts as an integer, such as NumPy's


def _digest(seed: int, key: tuple[KeyPart, ...]) -> bytes:
    hasher = hashlib.blake2b(digest_size=16)
    for part in (seed, *key):
        tag = b"s" if isinstance(part, str) else b"i"
        data = (part if isinstance(part, str) else str(operator.index(part))).encode()
        # Length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
        hasher.update(tag + len(data).to_bytes(8, "little") + data)
    return hasher.digest()


def stream_seed(seed: int, *key: KeyPart) -> int:
    """Return a 63-bit integer that depends on nothing but `seed` and `key`."""
    return int.from_bytes(_digest(seed, key)[:8], "little") >> 1


def stream(seed: int, *key: KeyPart) -> np.random.Generator:
    """Return the random generator named by `seed` and `key`.

    >>> stream(1, "EF", "task", 0).random() == stream(1, "EF", "task", 0).random()
    True
    """
    entropy = int.from_bytes(_digest(seed, key), "little")
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
