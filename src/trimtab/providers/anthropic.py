"""Provider ``anthropic``: Anthropic's Messages API through the ``anthropic`` package, an optional extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, Request
from trimtab.providers.remote import RemoteProvider, tokens

if TYPE_CHECKING:
    import httpx2

__all__ = ["AnthropicProvider"]

MAX_TOKENS = 8192
"""Longest answer where none is set: the API wants a number."""

_ENDS = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length"}


class AnthropicProvider(RemoteProvider):
    """Asks the Messages API, see `RemoteProvider`. It knows no seeds, so that no run can be repeated."""

    name = "anthropic"
    maker = "Anthropic"
    own_address = "https://api.anthropic.com"
    path = "/v1/messages"
    key_variable = "ANTHROPIC_API_KEY"
    address_variable = "ANTHROPIC_BASE_URL"
    headers_variable = "ANTHROPIC_CUSTOM_HEADERS"

    def _connected(self, sdk: Any, client: httpx2.AsyncClient) -> Any:
        return sdk.AsyncAnthropic(
            api_key=self._key or "none",
            base_url=self._address,
            timeout=client.timeout,
            max_retries=0,
            http_client=client,
        )

    async def _send(self, request: Request, model: str) -> httpx2.Response:
        system = "\n\n".join(message.content for message in request.messages if message.role == "system")
        options: dict[str, Any] = {
            "model": model,
            "max_tokens": MAX_TOKENS if request.max_tokens is None else request.max_tokens,
            "messages": [
                {"role": message.role, "content": message.content}
                for message in request.messages
                if message.role != "system"
            ],
        }
        if system:
            options["system"] = system
        if request.stop:
            options["stop_sequences"] = list(request.stop)
        if request.temperature is not None:
            options["extra_body"] = {"temperature": request.temperature}
        raw = await self._client.messages.with_raw_response.create(**options)
        return cast("httpx2.Response", raw.http_response)

    def _read(self, body: object, model: str) -> Completion:
        answer = body if isinstance(body, dict) else {}
        content = answer.get("content")
        if not isinstance(content, list):
            raise self._refusals.no_chat("JSON that is no message")
        usage = _usage(answer.get("usage"))
        given = str(answer.get("stop_reason") or "end_turn")
        reason = _ENDS.get(given) or self._refusals.safe(given)
        if reason == "refusal":
            raise ProviderError(f"the model {model} refused to answer", usage=usage)
        parts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        if not parts:
            raise ProviderError(f"the model {model} gave no text (stop reason {reason})", usage=usage)
        return self._completion("".join(parts), answer.get("model"), model, reason, usage)


def _usage(usage: object) -> dict[str, int]:
    """Return the tokens of an answer; those read from or written to the API's cache are told apart there."""
    told = usage if isinstance(usage, dict) else {}
    counted = tokens(**{name: value for name, value in told.items() if isinstance(name, str)})
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    prompt = sum(counted.get(name, 0) for name in names) if "input_tokens" in counted else None
    return tokens(
        prompt_tokens=prompt,
        completion_tokens=counted.get("output_tokens"),
        cached_tokens=counted.get("cache_read_input_tokens"),
    )
