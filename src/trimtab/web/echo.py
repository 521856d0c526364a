"""The model ``echo``: what a server costs when its model costs nothing."""

from __future__ import annotations

from trimtab.providers.base import Completion, Request
from trimtab.providers.rewriter.answer import estimate_tokens
from trimtab.providers.rewriter.fences import blocks, fence_for

__all__ = ["ECHO", "EchoProvider"]

ECHO = "echo"


class EchoProvider:
    """Gives the last fenced block of the last user message back unchanged, in a fence; without one, the message.

    It is no model of anything: it exists for load tests, and for seeing what a client sends.
    """

    name = ECHO

    async def complete(self, request: Request) -> Completion:
        """Answer one request."""
        said = next((message.content for message in reversed(request.messages) if message.role == "user"), "")
        block = next((block for block in reversed(blocks(said)) if block.text.strip()), None)
        text = said
        if block is not None:
            fence = fence_for(block.text)
            text = f"{fence}{block.language}\n{block.text}\n{fence}\n"
        finish = "stop"
        if request.max_tokens is not None and estimate_tokens(text) > request.max_tokens:
            text, finish = text[: 4 * request.max_tokens], "length"
        return Completion(
            text=text,
            model=ECHO,
            finish_reason=finish,
            prompt_tokens=sum(estimate_tokens(message.content) for message in request.messages),
            completion_tokens=estimate_tokens(text),
        )

    async def aclose(self) -> None:
        """Nothing is held."""
