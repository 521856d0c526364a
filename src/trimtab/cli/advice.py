"""What may help against the reasons for which answers of a run failed, where a setting does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from trimtab.sessions.preset import OFFLINE

if TYPE_CHECKING:
    from trimtab.sessions.config import RunConfig

__all__ = ["advice"]


def advice(failures: Iterable[str], unscored: Iterable[str], settings: RunConfig) -> list[str]:
    """Return a sentence for each kind of failure that other settings may spare the next run.

    Parameters
    ----------
    failures
        Why iterations failed. Those of a recording are as they are; an embedded model has no server.
    unscored
        Why scores are missing, those of a judge among them, which is asked at an endpoint.
    """
    by_run = [] if settings.provider == "replay" else [*failures]
    by_endpoint = [*(() if settings.provider in OFFLINE else by_run), *unscored]
    found = [_cut(settings)] if any(_CUT in reason for reason in by_run) else []
    for part, say in _OF_ENDPOINTS:
        if any(part in reason for reason in by_endpoint):
            found.append(say(settings))
    return found


def _cut(settings: RunConfig) -> str:
    if settings.max_tokens:
        return (
            f"Answers were cut off: more than --max-tokens {settings.max_tokens} gives them room, with another --out."
        )
    return (
        "Answers were cut off at the endpoint's own limit, or where the model's context ended: ask for another limit "
        "by --max-tokens, with another --out; a server of your own can be started with a larger context."
    )


def _too_long(_: RunConfig) -> str:
    return (
        "Requests outgrew the model's context: take shorter tasks, or a model with a larger one; a server of your own "
        "can be started with a larger one."
    )


def _too_slow(settings: RunConfig) -> str:
    fewer = f", and a --concurrency below {settings.concurrency} makes fewer share the machine"
    return (
        f"Answers took too long: a --timeout of more than {settings.timeout:g} gives them time"
        f"{fewer if settings.concurrency > 1 else ''}. --max-tokens keeps answers short."
    )


_CUT = "cut off at the longest answer"
_OF_ENDPOINTS: tuple[tuple[str, Callable[[RunConfig], str]], ...] = (
    ("does not fit into the context", _too_long),
    ("gave no answer within", _too_slow),
)
