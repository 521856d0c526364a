"""Which request is to meet with which fault: a function of the request's content and of how often it was sent.

Neither the order in which requests arrive nor the time decides, so a run against the same server meets with the same
faults again; and a request that is sent once more is drawn for anew, so that trying again can help.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.core.streams import stream_seed
from trimtab.errors import InputError

__all__ = ["KINDS", "Attempts", "FaultPlan", "read_shares"]

KINDS = {
    "429": "too many requests, without a word on when to come back",
    "429-retry-after": "too many requests, with a Retry-After",
    "500": "an internal error",
    "503": "overloaded",
    "reset": "the connection is reset (RST) before an answer",
    "hang": "no answer, and the connection is closed in the end",
    "drip": "the right answer, a few bytes at a time",
    "truncated-json": "an answer whose JSON breaks off",
    "empty-choices": "an answer without any choice",
    "content-type": "an HTML page with status 200",
    "length": "half of the answer, with the finish reason length",
    "content-filter": "no text, with the finish reason content_filter",
    "huge": "an answer of 50 MB",
    "invalid-utf8": "an answer with bytes that are no UTF-8",
}
"""Name of each fault, and what happens."""

MOST_REMEMBERED = 65_536
"""Requests whose attempts are counted; those not seen for longest are forgotten, and their count begins anew."""


class Attempts:
    """How often each request was sent, for the `MOST_REMEMBERED` last ones."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, digest: str) -> int:
        """Return how often the request named by `digest` has come, this time included."""
        number = self._counts.pop(digest, 0) + 1
        self._counts[digest] = number
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return number

    def forget(self) -> None:
        """Count all requests anew."""
        self._counts.clear()


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How often which fault happens, and how long those that take time take.

    Parameters
    ----------
    shares
        Probability of each kind, by name; the rest of the requests is answered properly.
    seed
        Seed of the draw.
    hang, drip
        Seconds until a connection that hangs is closed, and that an answer takes to drip.
    retry_after
        Seconds that a client is asked to wait.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    hang: float = 600.0
    drip: float = 60.0
    retry_after: float = 1.0

    def __post_init__(self) -> None:
        for kind, share in self.shares.items():
            if kind not in KINDS:
                raise InputError(f"there is no fault {kind!r}; there are {', '.join(KINDS)}")
            if not 0 <= share <= 1:
                raise InputError(f"the share of the fault {kind} must lie in 0..1, but is {share!r}")
        if (total := math.fsum(self.shares.values())) > 1 + 1e-9:
            raise InputError(f"the shares of all faults together must be at most 1, but are {total:.4g}")
        for name in ("hang", "drip", "retry_after"):
            seconds = getattr(self, name)
            if not (math.isfinite(seconds) and seconds >= 0):
                option = "--" + name.replace("_", "-")
                raise InputError(f"{option} must be a number of seconds, 0 or more, but is {seconds!r}")

    def draw(self, digest: str, attempt: int) -> str | None:
        """Return the kind of fault that this attempt at a request meets with, None for an answer."""
        if not self.shares:
            return None
        left = stream_seed(self.seed, "fault", digest, attempt) / 2**63
        for kind in KINDS:
            left -= self.shares.get(kind, 0.0)
            if left < 0:
                return kind
        return None


def read_shares(faults: float, named: Sequence[str]) -> dict[str, float]:
    """Return the share of each kind of fault.

    Parameters
    ----------
    faults
        Share of all requests, spread evenly over all kinds.
    named
        Texts KIND=SHARE, each in place of what the kind has of `faults`.

    Raises
    ------
    InputError
        If a text is no KIND=SHARE, a kind is unknown or named twice, or a share is impossible.

    Examples
    --------
    >>> read_shares(0.0, ["500=0.25", "reset=0.5"])
    {'500': 0.25, 'reset': 0.5}
    """
    if not 0 <= faults <= 1:
        raise InputError(f"--faults must lie in 0..1, but is {faults!r}")
    own: dict[str, float] = {}
    for text in named:
        kind, equals, share = text.partition("=")
        try:
            value = float(share)
        except ValueError:
            equals = ""
        if not equals or kind in own:
            raise InputError(f"--fault needs each kind once, as KIND=SHARE with a number in 0..1, but got {text!r}")
        own[kind] = value
    even = {kind: faults / len(KINDS) for kind in KINDS} if faults else {}
    shares = {**even, **own}
    FaultPlan(shares)
    return shares
