"""Keys kept out of everything that is stored, shown or logged.

A key is read from the environment and sent in a header. A server may send it back: in an error, in a header, in the
answer itself, as it is or encoded as for an address or in Base64. Whatever comes from a server therefore passes through
`Mask.hide`, and so do the log records of the HTTP packages.
"""

from __future__ import annotations

import logging
import math
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from trimtab.errors import InputError

__all__ = ["SHORTEST_SECRET", "Mask", "clean_key"]

SHORTEST_SECRET = 12
"""Keys with fewer characters are not masked: they are the placeholders of local servers (EMPTY, ollama, none), which
programs may well contain, and no endpoint gives out keys as short."""

_HIDDEN = "***"
_URL_SAFE = str.maketrans("+/", "-_")


def clean_key(value: str, variable: str) -> str:
    """Return the key in `value`, without blanks around it.

    Raises
    ------
    InputError
        If it holds what no HTTP header may hold; the sentence names `variable`, never the key.
    """
    key = value.strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(
            f"the environment variable {variable} should hold a key of printable ASCII characters without blanks, "
            "but holds others; copy the key again"
        )
    return key


class Mask:
    """Replaces secrets by ``***``.

    Parameters
    ----------
    secrets
        The secrets; those shorter than `SHORTEST_SECRET` are left alone.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}
        # Longest first, so that a secret within another leaves nothing of the longer one behind.
        self._secrets = sorted(forms, key=lambda form: (-len(form), form))
        self._guarded: list[logging.Logger] = []

    def __repr__(self) -> str:
        return f"Mask({len(self._secrets)} forms of secrets)"

    def hide(self, text: str) -> str:
        """Return `text` without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def count(self, text: str) -> int:
        """Return how many secrets `hide` would replace in `text`."""
        found = 0
        for secret in self._secrets:
            found += text.count(secret)
            text = text.replace(secret, _HIDDEN)
        return found

    def guard(self, *names: str) -> None:
        """Hide the secrets in what the loggers called `names`, and those below them, record from now on."""
        every = [*logging.root.manager.loggerDict]
        for name in (other for name in names for other in every if other == name or other.startswith(f"{name}.")):
            logger = logging.getLogger(name)
            logger.addFilter(self._filter)
            self._guarded.append(logger)

    def release(self) -> None:
        """End what `guard` began."""
        for logger in self._guarded:
            logger.removeFilter(self._filter)
        self._guarded.clear()

    def _filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        hidden = self.hide(said)
        if hidden != said:
            record.msg, record.args = hidden, None
        if record.exc_info:
            record.exc_text = self.hide(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


def _forms(secret: str) -> Iterator[str]:
    """Yield `secret` as it is, percent-encoded, and as it shows in the Base64 of whatever holds it."""
    data = secret.encode(errors="surrogateescape")
    yield secret
    yield quote(data, safe="")
    for before in range(3):
        code = b64encode(bytes(before) + data).decode()
        # What stands before and after the secret has a part in the characters at its ends.
        inner = code[math.ceil(8 * before / 6) : 8 * (before + len(data)) // 6]
        yield inner
        yield inner.translate(_URL_SAFE)
