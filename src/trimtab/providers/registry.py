"""Providers by name."""

from __future__ import annotations

from trimtab.errors import InputError
from trimtab.providers.base import Provider

__all__ = ["PROVIDERS", "get_provider"]

PROVIDERS = {
    "rewriter": "embedded stand-in for an LLM, not an LLM",
    "openai": "any OpenAI-compatible chat endpoint",
}
"""Name of each provider, and what it is in a few words, to be shown wherever the name is."""


def get_provider(name: str, *, model: str = "", base_url: str = "", timeout: float = 120.0) -> Provider:
    """Return the provider called `name`, ready to answer.

    Parameters
    ----------
    model, base_url, timeout
        For provider ``openai``: name of the model, address of the endpoint, and seconds to wait for one answer.

    Raises
    ------
    InputError
        If there is no such provider, or it needs something that was not given.
    """
    if name == "rewriter":
        from trimtab.providers.rewriter import RewriterProvider

        return RewriterProvider()
    if name == "openai":
        from trimtab.providers.openai import OpenAIProvider

        return OpenAIProvider(model, base_url=base_url, timeout=timeout)
    raise InputError(f"no provider is called {name!r}; there are {', '.join(PROVIDERS)}")
