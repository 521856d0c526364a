"""Compiled loops over structure-of-arrays blocks of paths; needs the extra ``trimtab[fast]`` (Numba).

Every loop over paths is innermost, free of branches and of calls, so that LLVM turns it into vector instructions.
Only operations that IEEE 754 rounds exactly occur (+, *, /, square root, fused multiply-add): a number depends
neither on its place in a vector nor on the mathematical library of a machine. Without fast-math nothing is reordered.

All compiled functions live in this one file, because Numba's cache of a function looks at the file of the function
alone: a function of another file that it calls could change unnoticed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from trimtab.simulation.philox import GOLDEN, MULTIPLIERS

__all__ = ["advance", "fill", "step"]

F = TypeVar("F", bound=Callable[..., Any])

TILE = 512
"""Most paths that go through all steps together, fewer of many objectives: all stays in the second cache."""

_HELD = 4  # records of a tile that are written together

# Numba turns operations between signed and unsigned integers into floating point: all constants are unsigned.
_U = np.uint64
_LOW = _U(0xFFFFFFFF)
_32 = _U(32)
_M0, _M1 = (_U(value) for value in MULTIPLIERS)
_G0, _G1 = (_U(value) for value in GOLDEN)


def _compiled(**options: Any) -> Callable[[F], F]:
    """Compile with the cache where a directory for it can be written, else without."""

    def decorate(function: F) -> F:
        common = {"error_model": "numpy", **options}
        try:
            return numba.njit(cache=True, **common)(function)  # type: ignore[no-any-return]
        except RuntimeError:  # no place for a cache: neither beside this file nor in the user's directory
            return numba.njit(**common)(function)  # type: ignore[no-any-return]

    return decorate


@intrinsic
def _fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c, rounded once, in the type of `a`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        same = [context.cast(builder, value, kind, a) for value, kind in zip(arguments, (a, b, c), strict=True)]
        return builder.fma(*same)

    return a(a, b, c), generate


def _reinterpretation(pairs: dict[Any, Any]) -> Any:
    @intrinsic
    def reinterpret(context: Any, value: Any) -> Any:
        result = pairs[value]

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(result))

        return result(value), generate

    return reinterpret


_bits = _reinterpretation({types.float64: types.uint64, types.float32: types.uint32})
_real = _reinterpretation({types.uint64: types.float64, types.uint32: types.float32})


@intrinsic
def _narrow(context: Any, value: Any) -> Any:
    """Return the low 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.trunc(arguments[0], ir.IntType(32))

    return types.uint32(types.uint64), generate


@intrinsic
def _wide(context: Any, value: Any) -> Any:
    """Return 32 bits as an integer of 64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(arguments[0], ir.IntType(64))

    return types.uint64(types.uint32), generate


@intrinsic
def _single(context: Any, value: Any) -> Any:
    """Return the low 32 bits of an integer, read as signed, as a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sitofp(builder.trunc(arguments[0], ir.IntType(32)), ir.FloatType())

    return types.float32(types.uint64), generate


@numba.njit(inline="always", error_model="numpy")
def _philox(c0: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Return the words of Philox4x32-10 of the counter (c0, 0, c2, c3), two to an uint64, the first in its high half.

    Within, a word is the low half of an uint64 whose high half is of no meaning, as vector multiplication takes it.
    """
    c1 = _U(0)
    for _ in range(9):
        p0 = _M0 * (c0 & _LOW)
        p1 = _M1 * (c2 & _LOW)
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1, (p0 >> _32) ^ c3 ^ k1, p0
        k0 = (k0 + _G0) & _LOW
        k1 = (k1 + _G1) & _LOW
    p0 = _M0 * (c0 & _LOW)
    p1 = _M1 * (c2 & _LOW)
    return p1 ^ ((c1 ^ k0) << _32), p0 ^ ((c3 ^ k1) << _32)


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


@numba.njit(inline="always", error_model="numpy")
def _pair_64(word: Any) -> Any:
    u = _real(((word >> _12) & _RADIUS) | _ONE_BITS) - (1.0 - 2.0**-41)
    # log u = e log 2 + log m with m in sqrt(1/2) .. sqrt(2), and log m = 2 artanh(f / (2 + f)) with f = m - 1.
    shifted = _bits(u) + _TO_ROOT_64
    e = _real((shifted >> _52) | _TWO52_BITS) - (_TWO52 + 1023.0)
    f = _real((shifted & _MANTISSA_64) + _ROOT_HALF_64) - 1.0
    s = f / (2.0 + f)
    q = s * s
    q2 = q * q
    high = _fma(q2, _LOG_64[6], _fma(q, _LOG_64[5], _LOG_64[4]))
    middle = _fma(q, _LOG_64[3], _LOG_64[2])
    p = _fma(q2, _fma(q2, high, middle), _fma(q, _LOG_64[1], _LOG_64[0]))
    t = -2.0 * s
    r = math.sqrt(_fma(e, -2.0 * _LN2, _fma(t * q, p, t + t)))
    x = (_real(((word & _ANGLE) << _30) | _ONE_BITS) - (1.5 - 2.0**-23)) * (math.pi / 2)
    y = x * x
    sine = _fma(y, _SIN_64[5], _SIN_64[4])
    sine = _fma(y, sine, _SIN_64[3])
    sine = _fma(y, sine, _SIN_64[2])
    sine = _fma(y, sine, _SIN_64[1])
    sine = _fma(y, sine, _SIN_64[0])
    sine = _fma(x * y, sine, x)
    cosine = _fma(y, _COS_64[5], _COS_64[4])
    cosine = _fma(y, cosine, _COS_64[3])
    cosine = _fma(y, cosine, _COS_64[2])
    cosine = _fma(y, cosine, _COS_64[1])
    cosine = _fma(y, cosine, _COS_64[0])
    cosine = _fma(y * y, cosine, _fma(y, -0.5, 1.0))
    cosine = _real(_bits(cosine) ^ ((word << _40) & _SIGN))
    swap = (word << _41) >= _SIGN
    one = sine if swap else cosine
    other = cosine if swap else sine
    return r * one, r * other


_ONE, _HALF, _TWO, _MINUS_TWO, _MINUS_HALF = _S(1), _S(0.5), _S(2), _S(-2), _S(-0.5)
_HIGH_UNIT, _LOW_UNIT = _S(2.0**-24), _S(2.0**-40)
_TO_ROOT_32, _ROOT_HALF_32 = _U(0x3F800000 - 0x3F3504F3), _U(0x3F3504F3)
_MANTISSA_32 = _U(2**23 - 1)
_8, _24, _LOW_RADIUS = _U(8), _U(24), _U(0xFFFF)
_127, _QUARTER, _SIGN_32 = _U(127), _U(2097152), _U(1 << 31)
_ANGLE_STEP_32, _LN2_32 = _S(math.pi / 2**23), _S(_LN2)


@numba.njit(inline="always", error_model="numpy")
def _pair_32(word: Any) -> Any:
    u = _fma(_single(word >> _40), _HIGH_UNIT, (_single((word >> _24) & _LOW_RADIUS) + _HALF) * _LOW_UNIT)
    shifted = _wide(_bits(u)) + _TO_ROOT_32
    e = _single((shifted >> _23) - _127)
    f = _real(_narrow((shifted & _MANTISSA_32) + _ROOT_HALF_32)) - _ONE
    s = f / (_TWO + f)
    q = s * s
    p = _fma(q, _LOG_32[2], _LOG_32[1])
    p = _fma(q, p, _LOG_32[0])
    # Rounded to at most zero: the largest u is one in single precision, and the sum of two roundings may pass it.
    r = math.sqrt(max(_MINUS_TWO * _fma(e, _LN2_32, _fma(s * q, p, s + s)), _S(0)))
    x = (_single((word & _ANGLE) - _QUARTER) + _HALF) * _ANGLE_STEP_32
    y = x * x
    sine = _fma(y, _SIN_32[2], _SIN_32[1])
    sine = _fma(y, sine, _SIN_32[0])
    sine = _fma(x * y, sine, x)
    cosine = _fma(y, _COS_32[2], _COS_32[1])
    cosine = _fma(y, cosine, _COS_32[0])
    cosine = _fma(y * y, cosine, _fma(y, _MINUS_HALF, _ONE))
    cosine = _real(_narrow(_wide(_bits(cosine)) ^ ((word << _8) & _SIGN_32)))
    swap = (word << _41) >= _SIGN
    one = sine if swap else cosine
    other = cosine if swap else sine
    return r * one, r * other


@_compiled(nogil=True)
def _words(one: Any, other: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    """Write the words of paths first, first + 1, ..., those of both halves in one loop: more to do at a time."""
    half = one.shape[0] // 2
    one_near, one_far, other_near, other_far = one[:half], one[half:], other[:half], other[half:]
    middle = first + _U(half)
    for p in range(half):
        a, b = _philox(first + _U(p), group, tag, k0, k1)
        c, d = _philox(middle + _U(p), group, tag, k0, k1)
        one_near[p] = a
        other_near[p] = b
        one_far[p] = c
        other_far[p] = d
    if one.shape[0] > 2 * half:
        one[2 * half], other[2 * half] = _philox(first + _U(2 * half), group, tag, k0, k1)


@_compiled(nogil=True)
def _normals(one: Any, other: Any, words: Any) -> None:
    for p in range(words.shape[0]):
        a, b = _pair_64(words[p])
        one[p] = a
        other[p] = b


def _fill_row_64(z0: Any, z1: Any, z2: Any, z3: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    # Integers first and then their transformation: short loops leave a processor more to overlap than a long one.
    words = np.empty((2, z0.shape[0]), np.uint64)
    _words(words[0], words[1], first, group, tag, k0, k1)
    _normals(z0, z1, words[0])
    _normals(z2, z3, words[1])


def _fill_row_32(z0: Any, z1: Any, z2: Any, z3: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    for p in range(z0.shape[0]):
        one, other = _philox(first + _U(p), group, tag, k0, k1)
        n0, n1 = _pair_32(one)
        n2, n3 = _pair_32(other)
        z0[p] = n0
        z1[p] = n1
        z2[p] = n2
        z3[p] = n3


def _fill_row(z0: Any, z1: Any, z2: Any, z3: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    raise NotImplementedError("only compiled code calls this")


@overload(_fill_row, jit_options={"error_model": "numpy"})
def _choose_fill_row(z0: Any, z1: Any, z2: Any, z3: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> Any:
    return _fill_row_64 if z0.dtype == types.float64 else _fill_row_32


@_compiled(nogil=True)
def fill(w: Any, skip: Any, first: Any, group: Any, tag: Any, k0: Any, k1: Any) -> None:
    """Write the noise of one group of four steps and all components into the rows from `skip` on of w (4, rows, m).

    Row skip + c of step s holds the numbers of paths first .. first + m - 1 (see `philox.normals`).
    """
    for i in range(skip, w.shape[1]):
        _fill_row(w[0, i], w[1, i], w[2, i], w[3, i], _U(first), _U(group), _U(tag + i - skip), _U(k0), _U(k1))


@numba.njit(inline="always")
def _clamped(v: Any, low: Any, high: Any) -> Any:
    raised = low if v < low else v
    return high if raised > high else raised


@_compiled(nogil=True)
def _start(y: Any, w: Any, i: Any, where: Any, factor: Any, terms: Any, c: Any, low: Any, high: Any) -> None:
    """Set row i of y to c + the first `terms` terms, 0..6, clipped."""
    if terms == 0:
        for p in range(y.shape[1]):
            y[i, p] = _clamped(c, low, high)
        return
    j0, f0 = where[i, 0], factor[i, 0]
    if terms == 1:
        for p in range(y.shape[1]):
            y[i, p] = _clamped(_fma(f0, w[j0, p], c), low, high)
        return
    j1, f1 = where[i, 1], factor[i, 1]
    if terms == 2:
        for p in range(y.shape[1]):
            y[i, p] = _clamped(_fma(f1, w[j1, p], _fma(f0, w[j0, p], c)), low, high)
        return
    j2, f2 = where[i, 2], factor[i, 2]
    if terms == 3:
        for p in range(y.shape[1]):
            y[i, p] = _clamped(_fma(f2, w[j2, p], _fma(f1, w[j1, p], _fma(f0, w[j0, p], c))), low, high)
        return
    j3, f3 = where[i, 3], factor[i, 3]
    if terms == 4:
        for p in range(y.shape[1]):
            v = _fma(f2, w[j2, p], _fma(f1, w[j1, p], _fma(f0, w[j0, p], c)))
            y[i, p] = _clamped(_fma(f3, w[j3, p], v), low, high)
        return
    j4, f4 = where[i, 4], factor[i, 4]
    if terms == 5:
        for p in range(y.shape[1]):
            v = _fma(f2, w[j2, p], _fma(f1, w[j1, p], _fma(f0, w[j0, p], c)))
            y[i, p] = _clamped(_fma(f4, w[j4, p], _fma(f3, w[j3, p], v)), low, high)
        return
    j5, f5 = where[i, 5], factor[i, 5]
    for p in range(y.shape[1]):
        v = _fma(f2, w[j2, p], _fma(f1, w[j1, p], _fma(f0, w[j0, p], c)))
        y[i, p] = _clamped(_fma(f5, w[j5, p], _fma(f4, w[j4, p], _fma(f3, w[j3, p], v))), low, high)


@_compiled(nogil=True)
def _four_more(y: Any, w: Any, i: Any, where: Any, factor: Any, k: Any, low: Any, high: Any) -> None:
    """Add the terms k .. k + 3 to row i of y, and clip."""
    j0, j1, j2, j3 = where[i, k], where[i, k + 1], where[i, k + 2], where[i, k + 3]
    f0, f1, f2, f3 = factor[i, k], factor[i, k + 1], factor[i, k + 2], factor[i, k + 3]
    for p in range(y.shape[1]):
        v = _fma(f1, w[j1, p], _fma(f0, w[j0, p], y[i, p]))
        y[i, p] = _clamped(_fma(f3, w[j3, p], _fma(f2, w[j2, p], v)), low, high)


@_compiled(nogil=True)
def _reflect(y: Any, low: Any, high: Any) -> None:
    """Reflect one component y (m,) at its bounds, in place; a jump longer than the interval is wide, repeatedly."""
    for p in range(y.shape[0]):
        v = y[p]
        below, above = low + (low - v), high - (v - high)
        v = below if v < low else v
        y[p] = above if v > high else v
    width = high - low
    for p in range(y.shape[0]):
        v = y[p]
        if v < low or v > high:
            turn = (v - low) - (width + width) * math.floor((v - low) / (width + width))
            y[p] = min(max(low + (width - abs(turn - width)), low), high)


@_compiled(nogil=True)
def step(y: Any, w: Any, where: Any, factor: Any, count: Any, c: Any, low: Any, high: Any, mode: Any) -> None:
    """Set the first n rows of y to F x + c + L z, bounded, of all paths; the rows of w (2 n, m) are x and then z.

    Arrays are those of one of `transitions.Transitions`.
    """
    far = w.dtype.type(np.inf)
    for i in range(len(count)):
        terms = count[i]
        # Clipping is part of the last pass over the row; earlier ones clip at infinity.
        least, most = (low[i], high[i]) if mode == 1 else (-far, far)
        k = terms if terms <= 6 else (terms - 3) % 4 + 3
        last = k == terms
        _start(y, w, i, where, factor, k, c[i], least if last else -far, most if last else far)
        while k < terms:
            last = k + 4 == terms
            _four_more(y, w, i, where, factor, k, least if last else -far, most if last else far)
            k += 4
        if mode == 2:
            _reflect(y[i], low[i], high[i])


@_compiled(nogil=True)
def _write(
    buffer: Any, at: Any, by_record: Any, by_row: Any, by_path: Any, held: Any, records: Any, paths: Any
) -> None:
    """Write records of a tile to their places in `buffer`, along its shorter strides."""
    # A few paths at a time, whose places in memory stay in the first cache until all their records are written.
    few = paths if by_path == 1 else 32
    for p0 in range(0, paths, few):
        size = min(few, paths - p0)
        for t in range(records):
            for i in range(held.shape[1]):
                place, source = buffer[at + t * by_record + i * by_row + p0 * by_path :], held[t, i, p0 : p0 + size]
                if by_path == 1:
                    for p in range(size):
                        place[p] = source[p]
                else:
                    for p in range(size):
                        place[p * by_path] = source[p]


@_compiled(nogil=True)
def advance(
    x: Any, buffer: Any, by_record: Any, by_row: Any, by_path: Any, paths: Any, every: Any, first: Any, start: Any,
    codes: Any, where: Any, factor: Any, count: Any, c: Any, low: Any, high: Any, mode: Any, k0: Any, k1: Any,
) -> None:  # fmt: skip
    """See `compiled.advance`; records go to buffer[path * by_path + record * by_record + component * by_row]."""
    n, m = x.shape
    # The last tile's surplus paths are stepped too and left behind.
    tile = min(TILE, max(192, 6 * TILE // n // 64 * 64), (m + 7) // 8 * 8)
    w = np.zeros((4, 2 * n, tile), x.dtype)  # states and then noise of the four steps of a group
    held = np.empty((_HELD, n, tile), x.dtype)  # records, to be written together: a path's follow one another
    for p0 in range(0, m, tile):
        size = min(tile, m - p0)
        seen = min(size, paths - p0)
        written = pending = 0
        for i in range(n):
            for p in range(size):
                w[start % 4, i, p] = x[i, p0 + p]
        for t in range(len(codes)):
            lane = (start + t) % 4
            if lane == 0 or t == 0:
                fill(w, n, first + p0, (start + t) // 4, 0, k0, k1)
            k = codes[t]
            now = w[(lane + 1) % 4]
            step(now, w[lane], where[k], factor[k], count[k], c[k], low, high, mode)
            if seen > 0 and (t + 1) % every == 0:
                for i in range(n):
                    for p in range(tile):
                        held[pending, i, p] = now[i, p]
                pending += 1
                if pending == _HELD or t + 1 == len(codes):
                    at = written * by_record + p0 * by_path
                    _write(buffer, at, by_record, by_row, by_path, held, pending, seen)
                    written += pending
                    pending = 0
        for i in range(n):
            for p in range(size):
                x[i, p0 + p] = w[(start + len(codes)) % 4, i, p]
