"""Providers by name: the entry points of the group ``trimtab.providers``, see `trimtab.plugins`."""

from __future__ import annotations

from trimtab.plugins import PROVIDERS, made, plugin
from trimtab.providers.base import Provider, ProviderSettings

__all__ = ["get_provider", "provider_label"]


def get_provider(name: str, settings: ProviderSettings | None = None) -> Provider:
    """Return the provider called `name`, ready to answer.

    Raises
    ------
    InputError
        If there is no such provider, it cannot be used, or it needs something that was not given.
    """
    found: Provider = made(plugin(PROVIDERS, name), ("name", "complete", "aclose"), settings or ProviderSettings())
    return found


def provider_label(name: str) -> str:
    """Return the name of a provider with what it is in a few words, to be shown wherever the name is."""
    says = plugin(PROVIDERS, name).says
    return f"{name} ({says})" if says else name
