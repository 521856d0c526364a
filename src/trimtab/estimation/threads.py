"""One BLAS thread for many small matrices: faster, and the same numbers on any number of cores."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

import scipy.linalg  # noqa: F401  # its BLAS must be loaded to be found
from threadpoolctl import ThreadpoolController

__all__ = ["single_threaded"]

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def single_threaded(function: Callable[P, T]) -> Callable[P, T]:
    """Run `function` with BLAS limited to one thread.

    The matrices of a fit are of order 10 to 100. BLAS libraries wake their threads for the larger of them, which on a
    busy machine made a fit ten times slower, and sums them in an order that depends on the number of threads.
    """

    @wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        with _controller().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited
