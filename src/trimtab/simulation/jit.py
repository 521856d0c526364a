"""How the simulator's loops are compiled, and the few operations of processors that NumPy has no name for.

Needs the extra ``trimtab[fast]`` (Numba).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any, TypeVar
from zlib import crc32

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["bits", "compiled", "fma", "inlined", "narrow", "real", "single", "wide"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"error_model": "numpy"}

_COMPILED = ("jit.py", "philox.py", "noise_kernels.py", "kernels.py")
_VERSION = crc32(b"".join(files("trimtab.simulation").joinpath(name).read_bytes() for name in _COMPILED))


def compiled(function: F) -> F:
    """Compile with the cache where a directory for it can be written, else without.

    Numba takes a cached function for current as long as the file of that function has not changed, whatever happened to
    functions of other files that were compiled into it. The name it is cached under therefore holds a checksum of all
    files that are compiled together: a change in one of them makes all be compiled anew.
    """
    function.__qualname__ = f"{function.__qualname__}_{_VERSION:08x}"
    try:
        return numba.njit(cache=True, nogil=True, **_OPTIONS)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # no place for a cache: neither beside this file nor in the user's directory
        return numba.njit(nogil=True, **_OPTIONS)(function)  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Compile into whatever calls it: a call would count a reference to each of the arrays that it is given."""
    return numba.njit(inline="always", **_OPTIONS)(function)  # type: ignore[no-any-return]


@intrinsic
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
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


bits = _reinterpretation({types.float64: types.uint64, types.float32: types.uint32})
real = _reinterpretation({types.uint64: types.float64, types.uint32: types.float32})


@intrinsic
def narrow(context: Any, value: Any) -> Any:
    """Return the low 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.trunc(arguments[0], ir.IntType(32))

    return types.uint32(types.uint64), generate


@intrinsic
def wide(context: Any, value: Any) -> Any:
    """Return 32 bits as an integer of 64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(arguments[0], ir.IntType(64))

    return types.uint64(types.uint32), generate


@intrinsic
def single(context: Any, value: Any) -> Any:
    """Return the low 32 bits of an integer, read as signed, as a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sitofp(builder.trunc(arguments[0], ir.IntType(32)), ir.FloatType())

    return types.float32(types.uint64), generate
