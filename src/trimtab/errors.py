"""Every error that trimtab raises on purpose.

::

    TrimtabError
    ├── InputError        a file, table, array or option that cannot be used as given
    │   ├── SourceError     a source (path or store URL) that cannot be opened or read
    │   └── EmbeddingError  a discrete model without a continuous-time one behind it; ``condition`` says why
    ├── FitError          the data cannot be fitted at all
    ├── StoreError        a store that refuses a write or holds something unexpected
    │   └── LeaseError      a write to a session that somebody else works on by now
    └── ProviderError     a model endpoint that did not answer; ``fatal`` where trying again cannot help

A message says what was required, what was received, and what to do about it. The command line prints the message
of a ``TrimtabError`` and nothing else: a user never sees a traceback for their own bad input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

__all__ = [
    "EmbeddingError",
    "FitError",
    "InputError",
    "LeaseError",
    "ProviderError",
    "SourceError",
    "StoreError",
    "TrimtabError",
]


class TrimtabError(Exception):
    """Base of all errors that trimtab raises on purpose."""


class InputError(TrimtabError, ValueError):
    """A value, table, file or option that cannot be used as given."""


class SourceError(InputError):
    """A source of trajectories (path or store URL) that cannot be opened or read."""


class EmbeddingError(InputError):
    """A discrete model that has no continuous-time model behind it.

    Parameters
    ----------
    message
        Which condition failed, and with which numbers.
    condition
        ``"zero multiplier"``, ``"negative multiplier"``, ``"diffusion"`` or ``"precision"``.
    """

    def __init__(self, message: str, condition: str = "") -> None:
        super().__init__(message)
        self.condition = condition


class FitError(TrimtabError):
    """The data cannot be fitted at all, for example because they hold no complete step."""


class StoreError(TrimtabError):
    """A store that refuses a write, or whose contents are not what this version expects."""


class LeaseError(StoreError):
    """A write to a session by somebody who no longer holds it: nothing was written."""


class ProviderError(TrimtabError):
    """A provider that gave no usable answer.

    Parameters
    ----------
    message
        What happened, in one sentence. It must never hold a key or a header.
    fatal
        True where another attempt cannot help (bad key, unknown model, nobody listening), so that a run should end.
    again
        Whether the same request may succeed later: ``"no"``, ``"passing"`` where the fault may be gone by then, or
        ``"busy"`` where the endpoint has more to do than it can and should also be asked less at a time.
    suspect
        True where an endpoint that has never answered is not what it was taken for: then, and where it lasts, it is
        fatal.
    too_long
        True where the request does not fit into the model's context, so that a shorter one may.
    retry_after
        Seconds for which the endpoint asked to be left alone.
    usage
        Tokens that were charged for all the same, as far as the endpoint reported any: ``prompt_tokens``,
        ``completion_tokens`` and ``cached_tokens``.
    meta
        What the record of the failed iteration should hold about it, as JSON values.
    """

    def __init__(
        self,
        message: str,
        *,
        fatal: bool = False,
        again: Literal["no", "passing", "busy"] = "no",
        suspect: bool = False,
        too_long: bool = False,
        retry_after: float | None = None,
        usage: Mapping[str, int] | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.fatal = fatal
        self.again = again
        self.suspect = suspect
        self.too_long = too_long
        self.retry_after = retry_after
        self.usage = dict(usage or {})
        self.meta = dict(meta or {})
