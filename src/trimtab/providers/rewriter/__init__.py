"""The embedded provider: a stochastic program-rewriting model that stands in for an LLM, so that all runs offline."""

from __future__ import annotations

from trimtab.providers.rewriter.provider import RewriterProvider as RewriterProvider

__all__ = ["RewriterProvider"]
