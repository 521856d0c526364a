"""The models that trimtab can serve: none of them is an LLM, and their names say what they are."""

from __future__ import annotations

from trimtab.providers.base import Provider
from trimtab.providers.rewriter import RewriterProvider
from trimtab.providers.rewriter.answer import MODEL
from trimtab.web.echo import ECHO, EchoProvider

__all__ = ["stand_ins"]


def stand_ins(workers: int | None = None) -> dict[str, Provider]:
    """Return the models by name, the embedded rewriter first.

    Parameters
    ----------
    workers
        Worker processes of the rewriter, as `RewriterProvider` has it. They start with its first request.
    """
    return {MODEL: RewriterProvider(workers), ECHO: EchoProvider()}
