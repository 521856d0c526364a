"""What an endpoint's refusals mean: a sentence, whether to ask again, and whether the run should end.

The packages ``openai`` and ``anthropic`` name their errors alike, so one reading serves both.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from trimtab.errors import ProviderError
from trimtab.providers.http import CONNECT_TIMEOUT, BodyError
from trimtab.providers.masking import Mask
from trimtab.providers.retrying import LONGEST_WAIT, retry_after

__all__ = ["Refusals"]

_LONGEST_SAID = 200
_BUSY = (429, 503, 504, 529)
_PASSING = (408, 409, 425)
_OF_THIS_REQUEST = (413, 451)
_FILTERED = ("content_filter", "content_policy_violation")
_TOO_LONG = re.compile(r"context (length|size|window)|prompt is too long", re.IGNORECASE)
_TOO_LONG_CODES = ("context_length_exceeded", "exceed_context_size_error")
_FORM = re.compile(r"response_format|json_schema", re.IGNORECASE)
_LOADING = re.compile(r"\bloading\b", re.IGNORECASE)
_LOADING_WAIT = 15.0
"""Seconds to leave a server alone that is loading its model and does not say how long that takes."""

_RESTART_WAIT = 10.0
"""Seconds to wait for a server where nobody is listening any more: models take their time to start."""

_QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")


@dataclass(frozen=True)
class Refusals:
    """Turns what goes wrong with an endpoint into a ``ProviderError``.

    Parameters
    ----------
    where
        The endpoint in a few words, as the subject of a sentence.
    address
        What the user gave as its address, or would have to give.
    path
        Where below the address requests go.
    key_variable
        Environment variable of the key.
    has_key
        Whether it is set.
    mask
        Hides the key.
    timeout
        Seconds that an attempt may take.
    """

    where: str
    address: str
    path: str
    key_variable: str
    has_key: bool
    mask: Mask
    timeout: float

    def of(self, error: Exception, sdk: ModuleType, model: str) -> ProviderError:
        """Return what `error`, raised by the package `sdk` for a request to `model`, means."""
        # Versions of the packages differ in whether they wrap what our own client raises.
        body = next((cause for cause in _causes(error) if isinstance(cause, BodyError)), None)
        if body is not None:
            return self._of_body(body, model)
        if isinstance(error, sdk.APIStatusError):
            return self.of_status(error.status_code, error.body, error.response.headers, model)
        if isinstance(error, sdk.APIConnectionError):
            return self._of_connection(error)
        return ProviderError(
            f"{self.where} sent an answer that cannot be read ({type(error).__name__})", again="passing"
        )

    def of_status(self, status: int, body: object, headers: Mapping[str, str], model: str) -> ProviderError:
        """Return what an HTTP status means, with the server's words where they are safe to repeat."""
        where, details = self.where, _details(body)
        message, code = details.get("message"), details.get("code") or details.get("type")
        said = f": {self.safe(message)}" if isinstance(message, str) and message.strip() else ""
        wait = retry_after(headers, time.time())
        if status == 401:
            # Servers quote keys in this message, so nothing of it is repeated.
            key = (
                f"the key in {self.key_variable}"
                if self.has_key
                else f"a request without a key: set {self.key_variable}"
            )
            return ProviderError(f"{where} refused {key} (401)", fatal=True)
        if status == 402 or code in _QUOTA:
            return ProviderError(f"{where} says that the quota is used up ({status}){said}", fatal=True)
        if status == 403:
            # Before the first answer the key may not use the model; later a gateway may refuse single prompts.
            return ProviderError(f"{where} denied access to the model {model} (403){said}", suspect=True)
        if status in (404, 405):
            return self._of_place(status, message, code, said, model)
        if 300 <= status < 400:
            there = self.safe(headers.get("location", "")) or "another address"
            return ProviderError(
                f"{where} sends on to {there} ({status}): give the address that answers itself", suspect=True
            )
        if wait is not None and wait > LONGEST_WAIT:
            longer = f", and asks to wait for {wait:,.0f} s, longer than the {LONGEST_WAIT:,.0f} s that a run waits"
            said = longer + said
        if status == 503 and _LOADING.search(said):
            return ProviderError(
                f"{where} is still loading its model (503){said}", again="busy", retry_after=wait or _LOADING_WAIT
            )
        if status in _BUSY:
            asked = "asked to slow down" if status == 429 else "has too much to do"
            return ProviderError(f"{where} {asked} ({status}){said}", again="busy", retry_after=wait)
        # Some servers check a request late, and call what they do not know of it their own fault.
        lasting = status in (501, 505) or _FORM.search(said) is not None
        if status in _PASSING or (status >= 500 and not lasting):
            return ProviderError(f"{where} failed with status {status}{said}", again="passing", retry_after=wait)
        if code in _TOO_LONG_CODES or _TOO_LONG.search(said):
            text = f"the request does not fit into the context of the model {model} ({status}){said}"
            return ProviderError(text, too_long=True)
        # Of a request that no endpoint of this kind would take, the next ones are refused as well.
        own = status in _OF_THIS_REQUEST or code in _FILTERED
        return ProviderError(f"{where} refused the request with status {status}{said}", suspect=not own)

    def no_chat(self, what: str) -> ProviderError:
        """Return what it means that a response with status 200 is none that a chat endpoint gives."""
        return ProviderError(
            f"{self.where} sent {what}; is {self.address} the address of its API, as in {self._example}?",
            again="passing",
            suspect=True,
        )

    def safe(self, text: str) -> str:
        """Return a server's words on one line, short, and without the key."""
        text = self.mask.hide(text)[: 20 * _LONGEST_SAID]
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= _LONGEST_SAID else line[:_LONGEST_SAID] + "..."

    def _of_place(self, status: int, message: object, code: object, said: str, model: str) -> ProviderError:
        named = code == "model_not_found" or (isinstance(message, str) and model in message)
        if status == 404 and named:
            return ProviderError(f"{self.where} knows no model {model!r} (404){said}", fatal=True)
        text = f"there is nothing to chat with at {self.address}{self.path}"
        if base := self._without_path():
            text = f"{text} ({status}): give the address as {base}"
        elif status == 405 or not said:
            text = f"{text} ({status}): check the address, as in {self._example}"
        else:
            text = f"{self.where} knows no model {model!r}, or {text} (404){said}"
        # Of an endpoint that has answered before it is what a gateway says while the server behind it restarts.
        return self._away(text)

    @property
    def _example(self) -> str:
        return "http://host:port" if self.path.startswith("/v1") else "http://host:port/v1"

    def _without_path(self) -> str:
        """Return the address without the part of `path` that was given along with it, "" where none was."""
        given, parts = self.address.rstrip("/"), self.path.split("/")[1:]
        for count in range(len(parts), 0, -1):
            end = "/" + "/".join(parts[:count])
            if given.endswith(end):
                return given.removesuffix(end)
        return ""

    def _of_body(self, error: BodyError, model: str) -> ProviderError:
        if error.status >= 300:
            return self.of_status(error.status, None, {}, model)
        meta = {} if error.size is None else {"body_bytes": error.size}
        return ProviderError(f"{self.where} sent {error.what}", suspect=error.always, meta=meta)

    def _of_connection(self, error: Exception) -> ProviderError:
        import httpx2

        where, host = self.where, f"the host of {self.address}"
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return self._away(f"the certificate of {host} is not trusted: {self.safe(cause.verify_message)}")
            if isinstance(cause, ssl.SSLError):
                plain = cause.reason == "WRONG_VERSION_NUMBER"
                hint = ": it does not speak TLS, so the address may have to begin with http://" if plain else ""
                return self._away(f"no secure connection to {host} can be made{hint}")
            if isinstance(cause, socket.gaierror):
                return self._away(f"{host} is not known: check the address, and the network")
            if isinstance(cause, ConnectionRefusedError):
                text = f"nobody is listening at {self.address}: start the server, or check the address"
                return ProviderError(text, again="passing", suspect=True, retry_after=_RESTART_WAIT)
            if isinstance(cause, httpx2.ConnectTimeout):
                seconds = min(self.timeout, CONNECT_TIMEOUT)
                text = f"no connection to {host} within {seconds:g} s: check the address, and the network"
                return ProviderError(text, again="busy", suspect=True)
            if isinstance(cause, httpx2.ProxyError):
                return self._away(f"the proxy on the way to {host} refused the connection")
            if isinstance(cause, OSError) and cause.errno is not None and _has(error, httpx2.ConnectError):
                return self._away(f"{host} cannot be reached: check the address, and the network")
        return ProviderError(f"the connection to {where} was lost", again="passing")

    def _away(self, text: str) -> ProviderError:
        return ProviderError(text, again="passing", suspect=True)


def _details(body: object) -> dict[str, Any]:
    """Return what an error's body says, wherever a server puts it."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict):
        # Frameworks and gateways have names of their own for what OpenAI calls the message.
        words = (value for value in inner.values() if isinstance(value, str) and " " in value.strip())
        return inner if isinstance(inner.get("message"), str) else {**inner, "message": next(words, None)}
    page = isinstance(inner, str) and inner.lstrip().startswith("<")
    return {} if page else {"message": inner}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what led to it, the first cause first."""
    before = error.__cause__ or error.__context__
    if before is not None:
        yield from _causes(before)
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _causes(one)
    yield error


def _has(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in _causes(error))
