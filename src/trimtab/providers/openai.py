"""Provider ``openai``: any OpenAI-compatible chat endpoint, hosted or local, through the ``openai`` package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from trimtab.errors import ProviderError
from trimtab.providers.base import Completion, ProviderSettings, Request
from trimtab.providers.remote import RemoteProvider, tokens

if TYPE_CHECKING:
    import httpx2

__all__ = ["OpenAIProvider"]

_NO_KEY = "none"

_FORMS: tuple[Callable[[Mapping[str, Any]], Mapping[str, Any] | None], ...] = (
    lambda schema: {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": dict(schema)}},
    lambda schema: {"type": "json_object", "schema": dict(schema)},
    lambda schema: None,
)
"""What ``response_format`` may say of a schema: OpenAI's form, an older one of some local servers, and nothing."""


class OpenAIProvider(RemoteProvider):
    """Asks a chat endpoint for completions; see `RemoteProvider`."""

    name = "openai"
    maker = "OpenAI"
    own_address = "https://api.openai.com/v1"
    path = "/chat/completions"
    key_variable = "OPENAI_API_KEY"
    address_variable = "OPENAI_BASE_URL"
    headers_variable = "OPENAI_CUSTOM_HEADERS"

    def __init__(self, settings: ProviderSettings) -> None:
        super().__init__(settings)
        self._form: dict[str, int] = {}

    async def complete(self, request: Request) -> Completion:
        """Answer one request; ``ProviderError`` where the endpoint does not.

        Not every endpoint takes a schema. Until a form of asking for one has been taken for a model, a request that is
        refused for no reason of its own is sent again in the next of `_FORMS`, the last of which is without; the one
        that is answered is kept to.
        """
        if request.schema is None:
            return await super().complete(request)
        model = request.model or self.model
        known = self._form.get(model)
        form = known or 0
        while True:
            # What is handed on as the schema is what response_format is to say of it.
            formed = replace(request, schema=_FORMS[form](request.schema))
            try:
                completion = await super().complete(formed)
            except ProviderError as error:
                if known is not None or form + 1 == len(_FORMS) or not error.suspect or error.again != "no":
                    raise
            else:
                self._form[model] = form
                return completion
            form += 1

    def _connected(self, sdk: Any, client: httpx2.AsyncClient) -> Any:
        return sdk.AsyncOpenAI(
            api_key=self._key or _NO_KEY,
            base_url=self._address,
            timeout=client.timeout,
            max_retries=0,
            http_client=client,
        )

    async def _send(self, request: Request, model: str) -> httpx2.Response:
        import httpx2

        options: dict[str, Any] = {
            "model": model,
            "seed": request.seed,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        }
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if request.max_tokens is not None:
            options["max_tokens"] = request.max_tokens
        if request.stop:
            options["stop"] = list(request.stop)
        if request.schema is not None:
            options["response_format"] = dict(request.schema)
        # The package's way to send what it has no method for. Its method would look through every field of what stands
        # here, and take a quarter of a request's processor time for it.
        response = await self._client.post("/chat/completions", cast_to=httpx2.Response, body=options)
        return cast(httpx2.Response, response)

    def _read(self, body: object, model: str) -> Completion:
        answer = body if isinstance(body, dict) else {}
        choices = answer.get("choices")
        if not isinstance(choices, list):
            error = answer.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            if isinstance(code, int) and 400 <= code < 600:
                raise self._refusals.of_status(code, answer, {}, model)
            raise self._refusals.no_chat("JSON that is no chat completion")
        usage = _usage(answer.get("usage"))
        if not choices:
            raise ProviderError(f"{self.where} sent a completion without any choice", again="passing", usage=usage)
        choice = choices[0] if isinstance(choices[0], dict) else {}
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        reason = self._refusals.safe(str(choice.get("finish_reason") or "stop"))
        if reason == "content_filter":
            raise ProviderError("the endpoint's content filter withheld the answer", usage=usage)
        text = message.get("content")
        if not isinstance(text, str):
            refusal = message.get("refusal")
            said = f": {self._refusals.safe(refusal)}" if isinstance(refusal, str) and refusal else ""
            raise ProviderError(f"the model {model} gave no text (finish reason {reason}){said}", usage=usage)
        return self._completion(text, answer.get("model"), model, reason, usage)


def _usage(usage: object) -> dict[str, int]:
    told = usage if isinstance(usage, dict) else {}
    details = told.get("prompt_tokens_details")
    return tokens(
        prompt_tokens=told.get("prompt_tokens"),
        completion_tokens=told.get("completion_tokens"),
        cached_tokens=details.get("cached_tokens") if isinstance(details, dict) else None,
    )
