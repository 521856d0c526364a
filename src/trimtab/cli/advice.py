"""What may help against the reasons for which answers of a run failed, where a setting does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.sessions.config import RunConfig

__all__ = ["advice"]


def advice(reasons: Iterable[str], settings: RunConfig) -> list[str]:
    """Return a sentence for each kind of failure among `reasons` that other settings may spare the next run."""
    reasons = tuple(reasons)
    return [say(settings) for part, say in _KINDS if any(part in reason for reason in reasons)]


def _cut(settings: RunConfig) -> str:
    if settings.max_tokens:
        return (
            f"Answers were cut off: more than --max-tokens {settings.max_tokens} gives them room, with another --out."
        )
    return (
        "Answers were cut off at the endpoint's own limit, or where the model's context ended: start the server with a "
        "larger one, or ask for another limit by --max-tokens, with another --out."
    )


def _too_long(_: RunConfig) -> str:
    return "Requests outgrew the model's context: start the server with a larger one, or take shorter tasks."


def _too_slow(settings: RunConfig) -> str:
    return (
        f"Answers took too long: a --timeout of more than {settings.timeout:g} gives them time, and a --concurrency "
        f"below {settings.concurrency} makes fewer share the machine. --max-tokens keeps answers short."
    )


_KINDS: tuple[tuple[str, Callable[[RunConfig], str]], ...] = (
    ("cut off at the longest answer", _cut),
    ("does not fit into the context", _too_long),
    ("gave no answer within", _too_slow),
)
