"""What the providers of hosted models share: a key, an address, requests that are sent once, and a guarded way back."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, ProviderSettings, Request
from trimtab.providers.http import check_address, http_client
from trimtab.providers.masking import Mask, clean_key
from trimtab.providers.refusals import Refusals

if TYPE_CHECKING:
    import httpx2

__all__ = ["RemoteProvider", "tokens"]

LONGEST_NAME = 200
"""Characters that are kept of what a server calls its model."""


class RemoteProvider(ABC):
    """Asks an endpoint through the package of its maker, which is installed or not.

    The key is read from the environment here alone. It is held in the client and nowhere else: not in the settings, the
    store, a log or an error; and where a server sends it back, it is masked. Each request is sent once:
    `trimtab.providers.endpoint` sends it again where that may help, and bounds the time.

    Parameters
    ----------
    settings
        Their model, as the endpoint knows it; a request may name another. Where their address is empty, it is the one
        in the environment variable `address_variable`, or the maker's own.

    Raises
    ------
    InputError
        If the package is missing, no model is named, the address or the key cannot be one, or the maker's own endpoint
        is meant without a key.
    """

    name: str
    maker: str
    own_address: str
    path: str
    key_variable: str
    address_variable: str
    headers_variable: str

    def __init__(self, settings: ProviderSettings) -> None:
        if find_spec(self.name) is None:
            raise InputError(
                f"provider {self.name} needs the package {self.name}: install it with "
                f"pip install 'trimtab[{self.name}]'"
            )
        if not settings.model:
            raise InputError(f"provider {self.name} needs the name of a model: give --model NAME")
        self.model = settings.model
        self.base_url = settings.base_url or os.environ.get(self.address_variable, "")
        if self.base_url:
            origin = "base_url" if settings.base_url else f"the environment variable {self.address_variable}"
            check_address(self.base_url, origin)
        self._key = clean_key(os.environ.get(self.key_variable, ""), self.key_variable)
        if not self._key and not self.base_url:
            raise InputError(
                f"{self.maker}'s own endpoint needs a key in the environment variable {self.key_variable}; "
                "for another endpoint give --base-url URL"
            )
        self._mask = Mask([self._key, *_custom_values(os.environ.get(self.headers_variable, ""))])
        self._refusals = Refusals(
            where=self.where,
            address=self._address,
            path=self.path,
            key_variable=self.key_variable,
            has_key=bool(self._key),
            mask=self._mask,
            timeout=settings.timeout,
        )
        self._settings = settings
        self._client: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(model={self.model!r}, base_url={self.base_url!r})"

    @property
    def where(self) -> str:
        """The endpoint in a few words, as the subject of a sentence."""
        return f"the endpoint {self.base_url}" if self.base_url else f"{self.maker}'s endpoint"

    async def complete(self, request: Request) -> Completion:
        """Answer one request; ``ProviderError`` where the endpoint does not."""
        sdk, model = import_module(self.name), request.model or self.model
        if self._client is None:
            self._client = self._connected(sdk, http_client(self._settings.timeout, self._settings.concurrency))
            self._mask.guard(self.name, "httpx2", "httpcore2")
        try:
            response = await self._send(request, model)
            data = response.content
        except Exception as error:  # a package lets through whatever a response that is none sets off
            failure = self._refusals.of(error, sdk, model)
        else:
            return self._read(self._json(data, response.headers.get("content-type", "")), model)
        # Outside of the handler, so that no traceback leads to the request and its headers.
        raise failure

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None
            self._mask.release()

    @abstractmethod
    def _connected(self, sdk: Any, client: httpx2.AsyncClient) -> Any:
        """Return the client of the package `sdk`, on top of `client`, without retries of its own."""

    @abstractmethod
    async def _send(self, request: Request, model: str) -> httpx2.Response:
        """Send a request once."""

    @abstractmethod
    def _read(self, body: object, model: str) -> Completion:
        """Read a response, of whose shape nothing is taken for granted."""

    @property
    def _address(self) -> str:
        return self.base_url or self.own_address

    def _json(self, data: bytes, content_type: str) -> object:
        """Return what a body holds; ``ProviderError`` where it is broken, or something else altogether."""
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            failure = self._unreadable(data, content_type)
        raise failure

    def _unreadable(self, data: bytes, content_type: str) -> ProviderError:
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

    def _completion(self, text: str, model: object, asked: str, reason: str, usage: dict[str, int]) -> Completion:
        """Return an answer without our keys in it."""
        return Completion(
            text=self._mask.hide(text),
            model=self._mask.hide(model)[:LONGEST_NAME] if isinstance(model, str) else asked,
            finish_reason=reason,
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
            cached_tokens=usage.get("cached_tokens"),
            masked=self._mask.count(text),
        )


def tokens(**told: object) -> dict[str, int]:
    """Return the counts of tokens that make sense, by name."""
    return {name: n for name, n in told.items() if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**63}


def _custom_values(headers: str) -> list[str]:
    """Return the values of headers that a package takes from the environment: keys of gateways are among them."""
    values = [line.partition(":")[2].strip() for line in headers.split("\n")]
    return [part for value in values for part in (value, value.rpartition(" ")[2])]
