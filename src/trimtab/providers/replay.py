"""Provider ``replay``: answers again what was answered before, and asks nobody.

An iteration whose answer could not be used is answered with the same answer, which fails again by what it is; one
that got no answer fails again with its reason. What was not recorded fails and says so.
"""

from __future__ import annotations

from typing import Any, Protocol

from trimtab.core.records import Iteration
from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, Place, Request

__all__ = ["Recorded", "ReplayProvider", "completion_of"]

_ATTEMPTS = ("attempts", "masked")
_LONGEST = 64 * 2**20
"""Bytes of the longest answer that is made up again: what a file says of its length may be anything."""


class Recorded(Protocol):
    """Iterations that were recorded."""

    def iteration(self, place: Place, asked: str) -> Iteration:
        """Return the iteration at `place`, or raise ``ProviderError`` where it was not recorded.

        Parameters
        ----------
        asked
            The last message of the request.
        """
        ...

    def text(self, record: Iteration) -> str | None:
        """Return what a model may have written for a record without an answer; None where there is nothing."""
        ...

    def close(self) -> None:
        """Release the recording."""
        ...


class ReplayProvider:
    """Answers each request by the iteration that was recorded for its place.

    Parameters
    ----------
    recorded
        It is closed with the provider.
    """

    name = "replay"
    free = True

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    async def complete(self, request: Request) -> Completion:
        """Answer one request; ``ProviderError`` where the recorded iteration got no answer, or there is none."""
        if request.place is None:
            raise ProviderError(
                "the provider replay answers iterations of a run only: a judge needs another", fatal=True
            )
        record = self._recorded.iteration(request.place, request.messages[-1].content)
        return completion_of(record, self._recorded.text(record))

    async def aclose(self) -> None:
        """Close the recording."""
        self._recorded.close()


def completion_of(record: Iteration, text: str | None = None) -> Completion:
    """Return what a provider said when `record` was made.

    Parameters
    ----------
    text
        Stands in for an answer that was not recorded.

    Raises
    ------
    ProviderError
        As the provider did then, or if neither an answer nor a text was recorded.
    """
    meta = record.meta
    attempts = {name: meta[name] for name in _ATTEMPTS if _count(meta.get(name)) is not None}
    wasted = meta.get("wasted")
    usage = {str(name): n for name, n in wasted.items() if _count(n) is not None} if isinstance(wasted, dict) else {}
    if record.answer is None and (record.status == "failed" or text is None):
        reason = record.reason if record.status == "failed" else ""
        raise ProviderError(reason or "neither an answer nor an artefact was recorded", usage=usage, meta=attempts)
    answer = record.answer if record.answer is not None else text or ""
    return Completion(
        text=_whole(answer, meta.get("answer_bytes")),
        model=_words(meta.get("model")),
        finish_reason=_words(meta.get("finish_reason")) or "stop",
        prompt_tokens=_count(meta.get("prompt_tokens")),
        completion_tokens=_count(meta.get("completion_tokens")),
        cached_tokens=_count(meta.get("cached_tokens")),
        wasted=usage,
        **attempts,
    )


def _whole(answer: str, size: Any) -> str:
    """Return an answer that was cut off when it was recorded with its former length in bytes, filled up.

    The first character that was cut off may have begun before the cut, so that of the filling is as wide as it can be.
    """
    missing = min(_count(size) or 0, _LONGEST) - len(answer.encode(errors="surrogatepass"))
    if missing <= 0:
        return answer
    wide = "x\u00e9\u20ac\U0001f600"[min(missing, 4) - 1]
    return answer + wide + "x" * (missing - len(wide.encode()))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _words(value: object) -> str:
    return value if isinstance(value, str) else ""
