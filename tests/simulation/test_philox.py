from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from trimtab.simulation import philox, portable

numba = pytest.importorskip("numba", reason="needs the extra trimtab[fast]")
kernels = pytest.importorskip("trimtab.simulation.kernels")
noise_kernels = pytest.importorskip("trimtab.simulation.noise_kernels")

# D. E. Shaw Research, Random123, tests/kat_vectors, lines "philox4x32 7" and "philox4x32 10":
# rounds, four words of counter, two of key, four of output.
KNOWN_ANSWERS = """
7  00000000 00000000 00000000 00000000 00000000 00000000 5f6fb709 0d893f64 4f121f81 4f730a48
7  ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 5207ddc2 45165e59 4d8ee751 8c52f662
7  243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 4dfccaba 190a87f0 c47362ba b6b5242a
10 00000000 00000000 00000000 00000000 00000000 00000000 6627e8d5 e169c58d bc57ac4c 9b00dbd8
10 ffffffff ffffffff ffffffff ffffffff ffffffff ffffffff 408f276d 41c83b0e a20bc7c6 6d5451fd
10 243f6a88 85a308d3 13198a2e 03707344 a4093822 299f31d0 d16cfe09 94fdcceb 5001e420 24126ea1
"""


@pytest.mark.parametrize("line", KNOWN_ANSWERS.strip().splitlines())
def test_philox_gives_the_published_answers(line: str) -> None:
    rounds, *words = (int(word, base) for word, base in zip(line.split(), (10, *[16] * 10), strict=True))
    found = philox.philox4x32(tuple(words[:4]), (words[4], words[5]), rounds)
    assert [int(word) for word in found] == words[6:]


def test_compiled_philox_gives_the_words_of_the_plain_one() -> None:
    rng = np.random.default_rng(0)
    for counter in ((0, 0, 0, 0, 0), *rng.integers(0, 2**32, (200, 5)).tolist(), (2**32 - 1,) * 5):
        path, group, tag, k0, k1 = map(np.uint64, counter)
        words = path, np.uint64(0), group, tag
        for first, last in ((0, 4), (4, 7), (7, 10)):  # in one go, they would be compiled once more
            words = noise_kernels._rounds.py_func(*words, k0, k1, np.uint64(first), np.uint64(last))
        w = philox.philox4x32((path, 0, group, tag), (int(k0), int(k1)))
        assert [int(word) & 0xFFFFFFFF for word in words] == [int(word) for word in w]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 4e-16), (np.float32, 2e-7)])
def test_both_backends_draw_the_same_normal_numbers(dtype, tolerance: float) -> None:
    one, other = np.empty((4, 5, 40_000), dtype), np.empty((4, 5, 40_000))
    for first, group, tag in ((0, 0, 0), (2**32 - 50_000, 2**32 - 1, philox.SCORE_NOISE)):
        kernels.fill(one, 0, first, group, tag, *philox.key(3))
        portable.fill(other, 0, first, group, tag, *philox.key(3))
        # In single precision a radius near zero, -2 log u of u near one, is known to 2^-24 / radius only.
        small = 2.0**-22 / np.maximum(np.hypot(other[::2], other[1::2]), 1e-6) if dtype == np.float32 else 0.0
        assert (np.abs(one - other)[::2] <= tolerance * np.maximum(np.abs(other[::2]), 1.0) * 4 + small).all()


def test_noise_is_a_function_of_its_counter_alone() -> None:
    whole = np.empty((4, 3, 1000))
    kernels.fill(whole, 0, 0, 7, 0, *philox.key(1))
    for first, size in ((0, 1), (1, 3), (17, 500), (999, 1)):
        part = np.empty((4, 3, size))
        kernels.fill(part, 0, first, 7, 0, *philox.key(1))
        assert (part == whole[:, :, first : first + size]).all()


def test_extreme_words_give_finite_numbers() -> None:
    words = np.array([0, 1, 2**31, 2**32 - 1], dtype=np.uint64)
    w0, w1 = (grid.ravel() for grid in np.meshgrid(words, words))
    for numbers in philox.normal_pair(w0, w1):
        assert np.isfinite(numbers).all()
        assert np.abs(numbers).max() < 7.54
    assert np.abs(philox.normal_pair(np.uint64(0), np.uint64(1 << 21))).max() > 7.5
    for dtype, tolerance in ((np.float64, 1e-15), (np.float32, 5e-4)):
        found = np.array([compiled_pair(dtype)(int(a), int(b)) for a, b in zip(w0, w1, strict=True)])
        assert np.allclose(found.T, philox.normal_pair(w0, w1), atol=tolerance)


@cache
def compiled_pair(dtype):
    if dtype == np.float64:
        pair = noise_kernels._pair_64
        word = numba.njit(lambda word: pair(word), error_model="numpy")
        return lambda a, b: word(np.uint64(a << 32 | b))
    halves = noise_kernels._pair_32
    two = numba.njit(lambda a, b: halves(a, b), error_model="numpy")
    return lambda a, b: two(np.uint32(a), np.uint32(b))


@pytest.mark.parametrize("beyond", [0.0, 2.0, 4.0, 5.0])
def test_tails_hold_as_many_numbers_as_they_should(beyond: float) -> None:
    z = np.empty((4, 2, 8192))
    found = drawn = 0
    for block in range(200):
        kernels.fill(z, 0, 8192 * block, block % 3, 0, *philox.key(5))
        found += int((z > beyond).sum() + (z < -beyond).sum())
        drawn += z.size
    low, high = stats.binom.ppf([1e-9, 1 - 1e-9], drawn, 2 * stats.norm.sf(beyond))
    assert low <= found <= high


def test_seeds_have_keys_of_their_own() -> None:
    keys = {philox.key(seed) for seed in range(-500, 500)}
    assert len(keys) == 1000
    assert philox.key(2**70) != philox.key(0)
