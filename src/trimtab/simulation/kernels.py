"""Steps of affine models in compiled loops over structure-of-arrays blocks of paths (see `noise_kernels`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trimtab.simulation.jit import compiled, fma, inlined
from trimtab.simulation.noise_kernels import WORDS, fill, fill_rows

__all__ = ["advance", "fill", "step"]

TILE = 512
"""Most paths that go through all steps together, fewer of many objectives: all stays in the second cache."""

_HELD = 4  # records of a tile that are written together

# Loops get whole arrays and places in them: to take a part of an array is to count a reference to it, which takes as
# long as a hundred numbers.


@inlined
def _clamped(v: Any, low: Any, high: Any) -> Any:
    raised = low if v < low else v
    return high if raised > high else raised


@inlined
def _start(
    y: Any, to: Any, w: Any, lane: Any, i: Any, where: Any, factor: Any, k: Any, terms: Any, c: Any, low: Any, high: Any
) -> None:
    """Set row i of y[to] to c + the first `terms` terms, 0..6, clipped."""
    if terms == 0:
        for p in range(y.shape[2]):
            y[to, i, p] = _clamped(c, low, high)
        return
    j0, f0 = where[k, i, 0], factor[k, i, 0]
    if terms == 1:
        for p in range(y.shape[2]):
            y[to, i, p] = _clamped(fma(f0, w[lane, j0, p], c), low, high)
        return
    j1, f1 = where[k, i, 1], factor[k, i, 1]
    if terms == 2:
        for p in range(y.shape[2]):
            y[to, i, p] = _clamped(fma(f1, w[lane, j1, p], fma(f0, w[lane, j0, p], c)), low, high)
        return
    j2, f2 = where[k, i, 2], factor[k, i, 2]
    if terms == 3:
        for p in range(y.shape[2]):
            v = fma(f1, w[lane, j1, p], fma(f0, w[lane, j0, p], c))
            y[to, i, p] = _clamped(fma(f2, w[lane, j2, p], v), low, high)
        return
    j3, f3 = where[k, i, 3], factor[k, i, 3]
    if terms == 4:
        for p in range(y.shape[2]):
            v = fma(f2, w[lane, j2, p], fma(f1, w[lane, j1, p], fma(f0, w[lane, j0, p], c)))
            y[to, i, p] = _clamped(fma(f3, w[lane, j3, p], v), low, high)
        return
    j4, f4 = where[k, i, 4], factor[k, i, 4]
    if terms == 5:
        for p in range(y.shape[2]):
            v = fma(f2, w[lane, j2, p], fma(f1, w[lane, j1, p], fma(f0, w[lane, j0, p], c)))
            y[to, i, p] = _clamped(fma(f4, w[lane, j4, p], fma(f3, w[lane, j3, p], v)), low, high)
        return
    j5, f5 = where[k, i, 5], factor[k, i, 5]
    for p in range(y.shape[2]):
        v = fma(f2, w[lane, j2, p], fma(f1, w[lane, j1, p], fma(f0, w[lane, j0, p], c)))
        y[to, i, p] = _clamped(fma(f5, w[lane, j5, p], fma(f4, w[lane, j4, p], fma(f3, w[lane, j3, p], v))), low, high)


@inlined
def _four_more(
    y: Any, to: Any, w: Any, lane: Any, i: Any, where: Any, factor: Any, k: Any, done: Any, low: Any, high: Any
) -> None:
    """Add the terms done .. done + 3 to row i of y[to], and clip."""
    j0, j1, j2, j3 = where[k, i, done], where[k, i, done + 1], where[k, i, done + 2], where[k, i, done + 3]
    f0, f1, f2, f3 = factor[k, i, done], factor[k, i, done + 1], factor[k, i, done + 2], factor[k, i, done + 3]
    for p in range(y.shape[2]):
        v = fma(f1, w[lane, j1, p], fma(f0, w[lane, j0, p], y[to, i, p]))
        y[to, i, p] = _clamped(fma(f3, w[lane, j3, p], fma(f2, w[lane, j2, p], v)), low, high)


@inlined
def _reflect(y: Any, to: Any, i: Any, low: Any, high: Any) -> None:
    """Reflect row i of y[to] at its bounds, in place; a jump longer than the interval is wide, repeatedly."""
    for p in range(y.shape[2]):
        v = y[to, i, p]
        below, above = low + (low - v), high - (v - high)
        v = below if v < low else v
        y[to, i, p] = above if v > high else v
    width = high - low
    for p in range(y.shape[2]):
        v = y[to, i, p]
        if v < low or v > high:
            turn = (v - low) - (width + width) * math.floor((v - low) / (width + width))
            y[to, i, p] = min(max(low + (width - abs(turn - width)), low), high)


@inlined
def _step(
    y: Any, to: Any, w: Any, lane: Any, where: Any, factor: Any, count: Any, c: Any, k: Any, low: Any, high: Any,
    mode: Any,
) -> None:  # fmt: skip
    """Set the first n rows of y[to] to F x + c + L z, bounded, with the k-th transition; w[lane] is x and then z."""
    far = w.dtype.type(np.inf)
    for i in range(count.shape[1]):
        terms = count[k, i]
        # Clipping is part of the last pass over the row; earlier ones clip at infinity.
        least, most = (low[i], high[i]) if mode == 1 else (-far, far)
        done = terms if terms <= 6 else (terms - 3) % 4 + 3
        last = done == terms
        _start(y, to, w, lane, i, where, factor, k, done, c[k, i], least if last else -far, most if last else far)
        while done < terms:
            last = done + 4 == terms
            _four_more(y, to, w, lane, i, where, factor, k, done, least if last else -far, most if last else far)
            done += 4
        if mode == 2:
            _reflect(y, to, i, low[i], high[i])


@compiled
def step(y: Any, w: Any, where: Any, factor: Any, count: Any, c: Any, low: Any, high: Any, mode: Any) -> None:
    """Set the first n rows of y to F x + c + L z, bounded, of all paths; the rows of w (2 n, m) are x and then z.

    Arrays are those of one of `transitions.Transitions`.
    """
    y, w = y.reshape((1, *y.shape)), w.reshape((1, *w.shape))
    where, factor = where.reshape((1, *where.shape)), factor.reshape((1, *factor.shape))
    _step(y, 0, w, 0, where, factor, count.reshape((1, -1)), c.reshape((1, -1)), 0, low, high, mode)


@inlined
def _write(
    buffer: Any, at: Any, by_record: Any, by_row: Any, by_path: Any, held: Any, records: Any, paths: Any
) -> None:
    """Write records of a tile to their places in `buffer`, along its shorter strides."""
    if by_path == 1:
        for t in range(records):
            for i in range(held.shape[1]):
                place = at + t * by_record + i * by_row
                for p in range(paths):
                    buffer[place + p] = held[t, i, p]
        return
    # A few paths at a time, whose places in memory stay in the first cache until all their records are written.
    whole = paths // 8 * 8
    for p0 in range(0, whole, 8):
        for t in range(records):
            for i in range(held.shape[1]):
                place = at + t * by_record + i * by_row
                for p in range(p0, p0 + 8):
                    buffer[place + p * by_path] = held[t, i, p]
    for p in range(whole, paths):
        for t in range(records):
            for i in range(held.shape[1]):
                buffer[at + t * by_record + i * by_row + p * by_path] = held[t, i, p]


@compiled
def advance(
    x: Any, buffer: Any, by_record: Any, by_row: Any, by_path: Any, paths: Any, every: Any, first: Any, start: Any,
    codes: Any, where: Any, factor: Any, count: Any, c: Any, low: Any, high: Any, mode: Any, k0: Any, k1: Any,
) -> None:  # fmt: skip
    """See `compiled.advance`; records go to buffer[path * by_path + record * by_record + component * by_row]."""
    n, m = x.shape
    # The last tile's surplus paths are stepped too and left behind.
    tile = min(TILE, max(192, 6 * TILE // n // 64 * 64), (m + 7) // 8 * 8)
    w = np.zeros((4, 2 * n, tile), x.dtype)  # states and then noise of the four steps of a group
    words = np.empty((WORDS, tile), np.uint64)
    held = np.empty((_HELD, n, tile + 8), x.dtype)  # records, to be written together: a path's follow one another
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
                fill_rows(w, n, words, first + p0, (start + t) // 4, 0, k0, k1)
            k = codes[t]
            to = (lane + 1) % 4
            _step(w, to, w, lane, where, factor, count, c, k, low, high, mode)
            if seen > 0 and (t + 1) % every == 0:
                for i in range(n):
                    for p in range(tile):
                        held[pending, i, p] = w[to, i, p]
                pending += 1
                if pending == _HELD or t + 1 == len(codes):
                    at = written * by_record + p0 * by_path
                    _write(buffer, at, by_record, by_row, by_path, held, pending, seen)
                    written += pending
                    pending = 0
        for i in range(n):
            for p in range(size):
                x[i, p0 + p] = w[(start + len(codes)) % 4, i, p]
