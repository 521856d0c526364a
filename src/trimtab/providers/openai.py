"""Provider ``openai``: any OpenAI-compatible chat endpoint, hosted or local, through the ``openai`` package.

The key is read from ``OPENAI_API_KEY`` by this module alone. It is held in the client and nowhere else: not in the
settings, the store, a log or an error.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, Request

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["KEY_VARIABLE", "OpenAIProvider"]

KEY_VARIABLE = "OPENAI_API_KEY"

_NO_KEY = "none"
_LONGEST_SAID = 200
_RETRIES = 2


class OpenAIProvider:
    """Asks a chat endpoint for completions.

    Parameters
    ----------
    model
        Name of the model as the endpoint knows it; a request may name another.
    base_url
        Address of the endpoint, as in ``http://127.0.0.1:8000/v1``; empty for OpenAI's own.
    timeout
        Seconds to wait for one answer.
    retries
        How often the client tries again after a refusal that may pass (429, 5xx, a lost connection).

    Raises
    ------
    InputError
        If no model is named, or OpenAI's own endpoint is meant and there is no key.
    """

    name = "openai"

    def __init__(self, model: str, *, base_url: str = "", timeout: float = 120.0, retries: int = _RETRIES) -> None:
        if not model:
            raise InputError("provider openai needs the name of a model: give --model NAME")
        key = os.environ.get(KEY_VARIABLE, "")
        if not key and not base_url:
            raise InputError(
                f"OpenAI's own endpoint needs a key in the environment variable {KEY_VARIABLE}; "
                "for another endpoint give --base-url URL"
            )
        self.model = model
        self.base_url = base_url
        self._key = key
        self._timeout = timeout
        self._retries = retries
        self._client: AsyncOpenAI | None = None

    def __repr__(self) -> str:
        return f"OpenAIProvider(model={self.model!r}, base_url={self.base_url!r})"

    def _connected(self) -> AsyncOpenAI:
        if self._client is None:
            from openai import AsyncOpenAI

            self._client = AsyncOpenAI(
                api_key=self._key or _NO_KEY,
                base_url=self.base_url or None,
                timeout=self._timeout,
                max_retries=self._retries,
            )
        return self._client

    async def complete(self, request: Request) -> Completion:
        """Answer one request; ``ProviderError`` where the endpoint does not."""
        from openai import OpenAIError

        model = request.model or self.model
        options: dict[str, Any] = {"model": model, "seed": request.seed}
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if request.max_tokens is not None:
            options["max_tokens"] = request.max_tokens
        messages: Any = [{"role": message.role, "content": message.content} for message in request.messages]
        try:
            response = await self._connected().chat.completions.create(messages=messages, **options)
        except OpenAIError as error:
            raise self._explained(error, model) from None
        except Exception as error:  # what the package lets through when a response is not what it claims to be
            raise ProviderError(f"{self._where} sent an answer that cannot be read ({type(error).__name__})") from None
        return self._completion(response, model)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    @property
    def _where(self) -> str:
        return f"the endpoint {self.base_url}" if self.base_url else "OpenAI's endpoint"

    def _completion(self, response: Any, model: str) -> Completion:
        """Read a response whose shape the package does not check."""
        choices = getattr(response, "choices", None)
        if not isinstance(choices, list):
            raise ProviderError(
                f"{self._where} sent no chat completion; is {self.base_url or 'this'} the address that ends in /v1?"
            )
        if not choices:
            raise ProviderError(f"{self._where} sent a completion without any choice")
        reason = str(getattr(choices[0], "finish_reason", None) or "stop")[:_LONGEST_SAID]
        message = getattr(choices[0], "message", None)
        text = getattr(message, "content", None)
        if reason == "content_filter":
            raise ProviderError("the endpoint's content filter withheld the answer")
        if not isinstance(text, str):
            refusal = getattr(message, "refusal", None)
            said = f": {self._safe(refusal)}" if isinstance(refusal, str) and refusal else ""
            raise ProviderError(f"the model {model} gave no text (finish reason {self._safe(reason)}){said}")
        usage = getattr(response, "usage", None)
        answered_by = getattr(response, "model", None)
        return Completion(
            text=text,
            model=answered_by[:_LONGEST_SAID] if isinstance(answered_by, str) else model,
            finish_reason=reason,
            prompt_tokens=_count(getattr(usage, "prompt_tokens", None)),
            completion_tokens=_count(getattr(usage, "completion_tokens", None)),
        )

    def _explained(self, error: Exception, model: str) -> ProviderError:
        import openai

        where = self._where
        if isinstance(error, openai.APITimeoutError):
            return ProviderError(f"{where} gave no answer within {self._timeout:g} s")
        if isinstance(error, openai.APIResponseValidationError):
            return ProviderError(f"{where} sent an answer that cannot be read")
        if isinstance(error, openai.APIConnectionError):
            refused = _is_refused(error)
            if refused:
                address = where.removeprefix("the endpoint ")
                text = f"nobody is listening at {address}: start the server, or check the address"
            else:
                text = f"the connection to {where} failed"
            return ProviderError(text, fatal=refused)
        if not isinstance(error, openai.APIStatusError):
            return ProviderError(f"{where} failed: {self._safe(str(error))}")
        status = error.status_code
        said = self._safe(_server_message(error))
        if status == 401:
            # Servers quote keys in this message, so nothing of it is repeated.
            key = "the key in OPENAI_API_KEY" if self._key else "a request without a key: set OPENAI_API_KEY"
            return ProviderError(f"{where} refused {key} (401)", fatal=True)
        if status == 403:
            return ProviderError(f"{where} denied access to the model {model} (403){said}", fatal=True)
        if status == 404:
            return ProviderError(
                f"{where} knows no model {model!r}, or is not the right address (404){said}", fatal=True
            )
        if status == 429:
            exhausted = getattr(error, "code", None) == "insufficient_quota"
            what = "says that the quota is used up" if exhausted else "asked to slow down, again after every retry"
            return ProviderError(f"{where} {what} (429){said}", fatal=exhausted)
        if status >= 500:
            return ProviderError(f"{where} failed with status {status}{said}")
        return ProviderError(f"{where} refused the request with status {status}{said}")

    def _safe(self, text: str) -> str:
        """Return a server's words on one line, short, and without the key."""
        if self._key:
            text = text.replace(self._key, "***")
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= _LONGEST_SAID else line[:_LONGEST_SAID] + "..."


def _server_message(error: Any) -> str:
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else body
    message = inner.get("message") if isinstance(inner, dict) else inner
    return f": {message}" if isinstance(message, str) and message.strip() else ""


def _is_refused(error: BaseException) -> bool:
    """Tell whether nobody was listening, or the host has no address, rather than a connection that broke."""
    import socket

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ConnectionRefusedError | socket.gaierror):
            return True
        text = str(seen).lower()
        if "connection attempts failed" in text or "name or service not known" in text or "refused" in text:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
