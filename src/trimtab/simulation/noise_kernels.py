"""Noise in compiled loops over structure-of-arrays blocks of paths: what `philox.normals` gives, to rounding.

Every loop over paths is innermost, free of branches and of calls, so that LLVM turns it into vector instructions.
Only operations that IEEE 754 rounds exactly occur (+, *, /, square root, fused multiply-add): a number depends
neither on its place in a vector nor on the mathematical library of a machine. Without fast-math nothing is reordered.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from trimtab.simulation.jit import bits, compiled, fma, inlined, narrow, real, single, wide
from trimtab.simulation.philox import GOLDEN, MULTIPLIERS

__all__ = ["WORDS", "fill", "fill_rows"]

WORDS = 6
"""Rows of working memory that `fill_rows` needs."""

# Numba turns operations between signed and unsigned integers into floating point: all constants are unsigned.
_U = np.uint64
_LOW = _U(0xFFFFFFFF)
_32 = _U(32)
_M0, _M1 = (_U(value) for value in MULTIPLIERS)
_G0, _G1 = (_U(value) for value in GOLDEN)


@inlined
def _rounds(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any, first: Any, last: Any) -> Any:
    """Return the four words of Philox4x32 after the rounds first .. last - 1, from those before.

    A word is the low half of an uint64 whose high half is of no meaning, as vector multiplication takes it.
    """
    k0 = (k0 + first * _G0) & _LOW
    k1 = (k1 + first * _G1) & _LOW
    for _ in range(first, last):
        p0 = _M0 * (c0 & _LOW)
        p1 = _M1 * (c2 & _LOW)
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1, (p0 >> _32) ^ c3 ^ k1, p0
        k0 = (k0 + _G0) & _LOW
        k1 = (k1 + _G1) & _LOW
    return c0, c1, c2, c3


@inlined
def _most_rounds(words: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    """Write the words after seven rounds, of the counters (first + p, 0, group, tag), into the rows 0..3 of words."""
    # A round waits for the one before. A processor looks only so far ahead for other work, here other paths: of three
    # short loops, which pass the words on in the first cache, it sees more paths at a time than of a long one.
    for p in range(words.shape[1]):
        c = _rounds(first + _U(p), _U(0), group, tag, k0, k1, _U(0), _U(4))
        words[0, p], words[1, p], words[2, p], words[3, p] = c
    for p in range(words.shape[1]):
        c = _rounds(words[0, p], words[1, p], words[2, p], words[3, p], k0, k1, _U(4), _U(7))
        words[0, p], words[1, p], words[2, p], words[3, p] = c


_TWO52 = 2.0**52
_TWO52_BITS = _U(0x4330000000000000)  # of 2^52: integers below it, put into the mantissa, add to it exactly
_ROOT_HALF_64 = _U(0x3FE6A09E667F3BCD)  # of sqrt(1/2)
_TO_ROOT_64 = _U(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
_MANTISSA_64 = _U(2**52 - 1)
_ONE_BITS = _U(0x3FF0000000000000)
_SIGN = _U(1 << 63)
_12, _23, _30, _40, _41, _52 = (_U(shift) for shift in (12, 23, 30, 40, 41, 52))
_RADIUS, _ANGLE = _U((1 << 40) - 1 << 12), _U(0x3FFFFF)
_LN2 = math.log(2.0)

# Polynomials by interpolation at Chebyshev's nodes, in 60 digits: of log((1 + s) / (1 - s)) = 2 s + s q LOG(q) where
# q = s^2 for s up to (sqrt(2) - 1)^2, of sin x = x + x y SIN(y) and of cos x = 1 - y / 2 + y^2 COS(y) where y = x^2 for
# x up to pi / 4. Their relative errors are below 2e-17 in double and 2e-8 in single precision.
_LOG_64 = (
    0.666666666666667,
    0.39999999999899505,
    0.28571428625975487,
    0.2222221113479508,
    0.18182889125261723,
    0.15331721600556042,
    0.14616449685043406,
)
_SIN_64 = (
    -0.16666666666666666,
    0.008333333333330948,
    -0.00019841269836758574,
    2.755731610255244e-06,
    -2.5051131845003624e-08,
    1.5918129294866608e-10,
)
_COS_64 = (
    0.041666666666666664,
    -0.0013888888888887398,
    2.480158729876569e-05,
    -2.7557317271729793e-07,
    2.08761462684032e-09,
    -1.1382632425521717e-11,
)
_S = np.float32
_LOG_32 = (_S(0.6666668503957586), _S(0.3998878056602198), _S(0.2957994939197279))
_SIN_32 = (_S(-0.1666666466231438), _S(0.008332748270629749), _S(-0.00019587890880412386))
_COS_32 = (_S(0.04166666465950221), _S(-0.0013888303035894866), _S(2.4547942085071572e-05))


@inlined
def _pair_64(word: Any) -> Any:
    u = real(((word >> _12) & _RADIUS) | _ONE_BITS) - (1.0 - 2.0**-41)
    # log u = e log 2 + log m with m in sqrt(1/2) .. sqrt(2), and log m = 2 artanh(f / (2 + f)) with f = m - 1.
    shifted = bits(u) + _TO_ROOT_64
    e = real((shifted >> _52) | _TWO52_BITS) - (_TWO52 + 1023.0)
    f = real((shifted & _MANTISSA_64) + _ROOT_HALF_64) - 1.0
    s = f / (2.0 + f)
    q = s * s
    q2 = q * q
    high = fma(q2, _LOG_64[6], fma(q, _LOG_64[5], _LOG_64[4]))
    middle = fma(q, _LOG_64[3], _LOG_64[2])
    p = fma(q2, fma(q2, high, middle), fma(q, _LOG_64[1], _LOG_64[0]))
    t = -2.0 * s
    r = math.sqrt(fma(e, -2.0 * _LN2, fma(t * q, p, t + t)))
    x = (real(((word & _ANGLE) << _30) | _ONE_BITS) - (1.5 - 2.0**-23)) * (math.pi / 2)
    y = x * x
    sine = fma(y, _SIN_64[5], _SIN_64[4])
    sine = fma(y, sine, _SIN_64[3])
    sine = fma(y, sine, _SIN_64[2])
    sine = fma(y, sine, _SIN_64[1])
    sine = fma(y, sine, _SIN_64[0])
    sine = fma(x * y, sine, x)
    cosine = fma(y, _COS_64[5], _COS_64[4])
    cosine = fma(y, cosine, _COS_64[3])
    cosine = fma(y, cosine, _COS_64[2])
    cosine = fma(y, cosine, _COS_64[1])
    cosine = fma(y, cosine, _COS_64[0])
    cosine = fma(y * y, cosine, fma(y, -0.5, 1.0))
    cosine = real(bits(cosine) ^ ((word << _40) & _SIGN))
    swap = (word << _41) >= _SIGN
    one = sine if swap else cosine
    other = cosine if swap else sine
    return r * one, r * other


_ONE, _HALF, _TWO, _MINUS_TWO, _MINUS_HALF = _S(1), _S(0.5), _S(2), _S(-2), _S(-0.5)
_HIGH_UNIT, _LOW_UNIT = _S(2.0**-24), _S(2.0**-40)
_TO_ROOT_32, _ROOT_HALF_32 = _U(0x3F800000 - 0x3F3504F3), _U(0x3F3504F3)
_MANTISSA_32 = _U(2**23 - 1)
_8, _9, _24, _LAST_8 = _U(8), _U(9), _U(24), _U(0xFF)
_127, _QUARTER, _SIGN_32 = _U(127), _U(2097152), _U(1 << 31)
_ANGLE_STEP_32, _LN2_32 = _S(math.pi / 2**23), _S(_LN2)


@inlined
def _pair_32(w0: Any, w1: Any) -> Any:
    # Numba knows no arithmetic of 32 bits: widened, and narrowed again, it is what LLVM makes of it.
    w0, w1 = wide(w0), wide(w1)
    u = fma(single(w0 >> _8), _HIGH_UNIT, (single((w0 & _LAST_8) << _8 | w1 >> _24) + _HALF) * _LOW_UNIT)
    shifted = wide(narrow(wide(bits(u)) + _TO_ROOT_32))
    e = single((shifted >> _23) - _127)
    f = real(narrow((shifted & _MANTISSA_32) + _ROOT_HALF_32)) - _ONE
    s = f / (_TWO + f)
    q = s * s
    p = fma(q, _LOG_32[2], _LOG_32[1])
    p = fma(q, p, _LOG_32[0])
    # Rounded to at most zero: the largest u is one in single precision, and the sum of two roundings may pass it.
    r = math.sqrt(max(_MINUS_TWO * fma(e, _LN2_32, fma(s * q, p, s + s)), _S(0)))
    x = (single((w1 & _ANGLE) - _QUARTER) + _HALF) * _ANGLE_STEP_32
    y = x * x
    sine = fma(y, _SIN_32[2], _SIN_32[1])
    sine = fma(y, sine, _SIN_32[0])
    sine = fma(x * y, sine, x)
    cosine = fma(y, _COS_32[2], _COS_32[1])
    cosine = fma(y, cosine, _COS_32[0])
    cosine = fma(y * y, cosine, fma(y, _MINUS_HALF, _ONE))
    cosine = real(narrow(wide(bits(cosine)) ^ ((w1 << _8) & _SIGN_32)))
    swap = wide(narrow(w1 << _9)) >= _SIGN_32
    one = sine if swap else cosine
    other = cosine if swap else sine
    return r * one, r * other


def _fill_64(w: Any, skip: Any, words: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    k0, k1 = _U(k0), _U(k1)
    for i in range(skip, w.shape[1]):
        _most_rounds(words, _U(first), _U(group), _U(tag + i - skip), k0, k1)
        for p in range(w.shape[2]):
            c0, c1, c2, c3 = _rounds(words[0, p], words[1, p], words[2, p], words[3, p], k0, k1, _U(7), _U(10))
            words[0, p] = c0 << _32 | c1 & _LOW
            words[1, p] = c2 << _32 | c3 & _LOW
        for p in range(w.shape[2]):
            w[0, i, p], w[1, i, p] = _pair_64(words[0, p])
        for p in range(w.shape[2]):
            w[2, i, p], w[3, i, p] = _pair_64(words[1, p])


def _fill_32(w: Any, skip: Any, words: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    k0, k1 = _U(k0), _U(k1)
    paths = w.shape[2]
    # Words of 32 bits, so that twice as many go through a vector instruction.
    halves = words[4:].view(np.uint32)
    for i in range(skip, w.shape[1]):
        _most_rounds(words, _U(first), _U(group), _U(tag + i - skip), k0, k1)
        for p in range(paths):
            c0, c1, c2, c3 = _rounds(words[0, p], words[1, p], words[2, p], words[3, p], k0, k1, _U(7), _U(10))
            halves[0, p], halves[0, paths + p] = narrow(c0), narrow(c1)
            halves[1, p], halves[1, paths + p] = narrow(c2), narrow(c3)
        for p in range(paths):
            w[0, i, p], w[1, i, p] = _pair_32(halves[0, p], halves[0, paths + p])
        for p in range(paths):
            w[2, i, p], w[3, i, p] = _pair_32(halves[1, p], halves[1, paths + p])


def fill_rows(w: Any, skip: Any, words: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    """See `fill`; working memory words (WORDS, m) of uint64 is given. Only compiled code calls this."""
    raise NotImplementedError


@overload(fill_rows, jit_options={"error_model": "numpy"})
def _choose_fill(w: Any, skip: Any, words: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    # Numba wants the annotations of what is returned here.
    return _fill_64 if w.dtype == types.float64 else _fill_32  # type: ignore[return-value]


@compiled
def fill(w: Any, skip: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    """Write the noise of one group of four steps and all components into the rows from `skip` on of w (4, rows, m).

    Row skip + c of step s holds the numbers of paths first .. first + m - 1 (see `philox.normals`).
    """
    fill_rows(w, skip, np.empty((WORDS, w.shape[2]), np.uint64), first, group, tag, k0, k1)
