"""The providers that come with the package, as its entry points: made from settings, imported when one is asked for."""

from __future__ import annotations

from trimtab.errors import InputError
from trimtab.providers.base import Provider, ProviderSettings

__all__ = ["anthropic", "openai", "rewriter"]


def rewriter(settings: ProviderSettings) -> Provider:
    """Embedded stand-in for an LLM, not an LLM."""
    for name in ("model", "base_url"):
        if getattr(settings, name):
            raise InputError(
                f"{name} is given, but the provider rewriter has none: add --provider openai, or another that has one"
            )
    _no_options("rewriter", settings)
    from trimtab.providers.rewriter import RewriterProvider

    return RewriterProvider()


def openai(settings: ProviderSettings) -> Provider:
    """Any OpenAI-compatible chat endpoint."""
    _no_options("openai", settings)
    from trimtab.providers.endpoint import Endpoint
    from trimtab.providers.openai import OpenAIProvider

    return Endpoint(OpenAIProvider(settings), settings)


def anthropic(settings: ProviderSettings) -> Provider:
    """Anthropic's Messages API, with the extra anthropic."""
    _no_options("anthropic", settings)
    from trimtab.providers.anthropic import AnthropicProvider
    from trimtab.providers.endpoint import Endpoint

    return Endpoint(AnthropicProvider(settings), settings)


def _no_options(name: str, settings: ProviderSettings) -> None:
    if settings.options:
        raise InputError(f"the provider {name} has no options, but got {next(iter(settings.options))!r:.80}")
