"""Provider ``openai``: any OpenAI-compatible chat endpoint, hosted or local, through the ``openai`` package.

The key is read from ``OPENAI_API_KEY`` by this module alone. It is held in the client and nowhere else: not in the
settings, the store, a log or an error; and where a server sends it back, it is masked.

Each request is sent once. `trimtab.providers.endpoint` sends it again where that may help, and bounds the time.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, ProviderSettings, Request
from trimtab.providers.http import check_address, http_client
from trimtab.providers.masking import Mask, clean_key
from trimtab.providers.refusals import Refusals

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["KEY_VARIABLE", "OpenAIProvider"]

KEY_VARIABLE = "OPENAI_API_KEY"

_ADDRESS_VARIABLE = "OPENAI_BASE_URL"
_HEADERS_VARIABLE = "OPENAI_CUSTOM_HEADERS"
_OWN_ADDRESS = "https://api.openai.com/v1"
_NO_KEY = "none"
_LONGEST_NAME = 200


class OpenAIProvider:
    """Asks a chat endpoint for completions.

    Parameters
    ----------
    settings
        Their model, as the endpoint knows it; a request may name another. Where their address is empty, it is the one
        in ``OPENAI_BASE_URL``, or OpenAI's own.

    Raises
    ------
    InputError
        If no model is named, the address or the key cannot be one, or OpenAI's own endpoint is meant without a key.
    """

    name = "openai"

    def __init__(self, settings: ProviderSettings) -> None:
        if not settings.model:
            raise InputError("provider openai needs the name of a model: give --model NAME")
        self.model = settings.model
        self.base_url = settings.base_url or os.environ.get(_ADDRESS_VARIABLE, "")
        if self.base_url:
            origin = "base_url" if settings.base_url else f"the environment variable {_ADDRESS_VARIABLE}"
            check_address(self.base_url, origin)
        key = clean_key(os.environ.get(KEY_VARIABLE, ""), KEY_VARIABLE)
        if not key and not self.base_url:
            raise InputError(
                f"OpenAI's own endpoint needs a key in the environment variable {KEY_VARIABLE}; "
                "for another endpoint give --base-url URL"
            )
        self._key = key
        self._mask = Mask([key, *_custom_values()])
        self._refusals = Refusals(
            where=self.where,
            address=self.base_url or _OWN_ADDRESS,
            path="/chat/completions",
            key_variable=KEY_VARIABLE,
            has_key=bool(key),
            mask=self._mask,
            timeout=settings.timeout,
        )
        self._settings = settings
        self._client: AsyncOpenAI | None = None
        self._takes_schema: dict[str, bool] = {}

    def __repr__(self) -> str:
        return f"OpenAIProvider(model={self.model!r}, base_url={self.base_url!r})"

    @property
    def where(self) -> str:
        """The endpoint in a few words, as the subject of a sentence."""
        return f"the endpoint {self.base_url}" if self.base_url else "OpenAI's endpoint"

    async def complete(self, request: Request) -> Completion:
        """Answer one request; ``ProviderError`` where the endpoint does not.

        Not every endpoint takes a schema. Until one has been taken for a model, a request that is refused for no reason
        of its own is sent again without; if that is answered, none is sent to this model any more.
        """
        model = request.model or self.model
        takes = None if request.schema is None else self._takes_schema.get(model)
        if request.schema is None or takes is False:
            return await self._sent(replace(request, schema=None), model)
        try:
            completion = await self._sent(request, model)
        except ProviderError as error:
            if takes or not error.suspect or error.again != "no":
                raise
        else:
            self._takes_schema[model] = True
            return completion
        completion = await self._sent(replace(request, schema=None), model)
        self._takes_schema[model] = False
        return completion

    async def _sent(self, request: Request, model: str) -> Completion:
        import openai

        try:
            response = await self._connected().chat.completions.with_raw_response.create(**_options(request, model))
            data = response.http_response.content
        except Exception as error:  # the package lets through whatever a response that is none sets off
            failure = self._refusals.of(error, openai, model)
        else:
            return self._read(data, response.http_response.headers.get("content-type", ""), model)
        # Outside of the handler, so that no traceback leads to the request and its headers.
        raise failure

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None
            self._mask.release()

    def _connected(self) -> AsyncOpenAI:
        if self._client is None:
            from openai import AsyncOpenAI

            client = http_client(self._settings.timeout, self._settings.concurrency)
            self._client = AsyncOpenAI(
                api_key=self._key or _NO_KEY,
                base_url=self.base_url or _OWN_ADDRESS,
                timeout=client.timeout,
                max_retries=0,
                http_client=client,
            )
            self._mask.guard("openai", "httpx2", "httpcore2")
        return self._client

    def _read(self, data: bytes, content_type: str, model: str) -> Completion:
        """Read a response, of whose shape nothing is taken for granted."""
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None
        if body is None:
            raise self._unreadable(data, content_type)
        choices = body.get("choices") if isinstance(body, dict) else None
        if not isinstance(choices, list):
            error = body.get("error") if isinstance(body, dict) else None
            if isinstance(error, dict) and isinstance(error.get("code"), int) and 400 <= error["code"] < 600:
                raise self._refusals.of_status(error["code"], body, {}, model)
            raise self._refusals.no_chat("JSON that is no chat completion")
        usage = _usage(body.get("usage"))
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
        name = body.get("model")
        return Completion(
            text=self._mask.hide(text),
            model=self._mask.hide(name)[:_LONGEST_NAME] if isinstance(name, str) else model,
            finish_reason=reason,
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            cached_tokens=usage.get("cached_tokens"),
            masked=self._mask.count(text),
        )

    def _unreadable(self, data: bytes, content_type: str) -> ProviderError:
        """Return the error for a body that is no JSON: broken, or something else altogether."""
        if not data.strip():
            return ProviderError(f"{self.where} sent an empty answer", again="passing")
        if not data.lstrip().startswith((b"{", b"[")):
            kind = self._refusals.safe(content_type.split(";")[0]) or "something"
            return self._refusals.no_chat(f"{kind} in place of a chat completion")
        try:
            data.decode()
        except UnicodeDecodeError:
            return ProviderError(f"{self.where} sent an answer that is not valid UTF-8", again="passing")
        return ProviderError(f"{self.where} sent an answer that is no complete JSON", again="passing")


def _options(request: Request, model: str) -> dict[str, Any]:
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
        shape = {"name": "answer", "strict": True, "schema": dict(request.schema)}
        options["response_format"] = {"type": "json_schema", "json_schema": shape}
    return options


def _custom_values() -> list[str]:
    """Return the values of the headers that the package takes from the environment: keys of gateways are among them."""
    values = [line.partition(":")[2].strip() for line in os.environ.get(_HEADERS_VARIABLE, "").split("\n")]
    return [part for value in values for part in (value, value.rpartition(" ")[2])]


def _usage(usage: object) -> dict[str, int]:
    """Return the counts of tokens that make sense, by name."""
    told = usage if isinstance(usage, dict) else {}
    details = told.get("prompt_tokens_details")
    counts = {
        "prompt_tokens": told.get("prompt_tokens"),
        "completion_tokens": told.get("completion_tokens"),
        "cached_tokens": details.get("cached_tokens") if isinstance(details, dict) else None,
    }
    return {name: n for name, n in counts.items() if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**63}
