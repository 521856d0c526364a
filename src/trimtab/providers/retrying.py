"""Asking again after a fault that may pass: when, how often, and how long to wait in between.

Tenacity does the trying; here stand the decisions. Waits grow exponentially with full jitter, so that sessions that
were refused together do not come back together. What an endpoint asks for in ``Retry-After`` is waited as well; one
that asks for longer than `LONGEST_WAIT` is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from trimtab.core.streams import stream
from trimtab.errors import ProviderError

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["LONGEST_WAIT", "backoff", "retry_after", "tried"]

LONGEST_WAIT = 120.0
"""Seconds that are waited at most because an endpoint asked for it."""

_FIRST = 0.5
_LONGEST_BACKOFF = 60.0

Answer = TypeVar("Answer")


def backoff(seed: int, attempt: int) -> float:
    """Return the seconds to wait after the failed attempt number `attempt` (1, 2, ...).

    Uniform between 0 and 0.5, 1, 2, ... seconds, at most 60. It depends on `seed` and `attempt` alone.
    """
    return float(stream(seed, "backoff", attempt).random()) * min(
        _LONGEST_BACKOFF, _FIRST * 2.0 ** min(attempt - 1, 20)
    )


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds for which an endpoint asks to be left alone, None where it does not or is not understood.

    Parameters
    ----------
    headers
        Of the response, by lower-case name: ``retry-after-ms`` in milliseconds, or ``retry-after`` in seconds or as an
        HTTP date.
    now
        The time, in seconds since 1970.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if not value:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                when = parsedate_to_datetime(value)
            except (ValueError, OverflowError):
                continue
            seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


async def tried(
    attempt: Callable[[], Awaitable[Answer]],
    *,
    seed: int,
    retries: int,
    worth: Callable[[ProviderError], bool] = lambda error: error.again != "no",
) -> Answer:
    """Return what `attempt` returns, after up to `retries` failures.

    Parameters
    ----------
    attempt
        Makes one attempt; raises ``ProviderError`` where it fails.
    seed
        Of the waits.
    worth
        Tells whether a failure is worth another attempt. None is where more than `LONGEST_WAIT` was asked for.

    Raises
    ------
    ProviderError
        The last one.
    """
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ProviderError) else None
        return (asked or 0.0) + backoff(seed, state.attempt_number)

    def again(error: BaseException) -> bool:
        return isinstance(error, ProviderError) and worth(error) and (error.retry_after or 0.0) <= LONGEST_WAIT

    retrying = AsyncRetrying(
        retry=retry_if_exception(again),
        stop=stop_after_attempt(retries + 1),
        wait=wait,
        reraise=True,
    )
    return await retrying(attempt)
