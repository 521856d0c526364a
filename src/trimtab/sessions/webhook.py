"""Webhook: what a run tells somebody else's server when a trigger fires that calls it.

The address may hold a secret, so it stands in no setting that is stored, no record and no message.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trimtab.core.records import Iteration
from trimtab.sessions.plan import PlannedSession

if TYPE_CHECKING:
    import httpx2

__all__ = ["ATTEMPTS", "PATIENCE", "SCHEMA", "Webhook", "payload_of"]

SCHEMA = "trimtab.alarm/1"

PATIENCE = 5.0
"""Seconds that an attempt to deliver may take."""

ATTEMPTS = 3

_FIRST_PAUSE = 0.2


def payload_of(
    session: PlannedSession, record: Iteration, fired: Mapping[str, Any], *, artefact: bool = False
) -> dict[str, Any]:
    """Return what a webhook is told, the document described by the JSON Schema ``trimtab.alarm/1``.

    Parameters
    ----------
    fired
        Which trigger fired, one of those in the meta of `record`.
    artefact
        Tell the text in force as well.
    """
    name = "\n".join((session.id, str(record.index), fired["trigger"]))
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "id": hashlib.blake2b(name.encode(), digest_size=16).hexdigest(),
        "session": session.id,
        "task": session.task.id,
        "iteration": record.index,
        "strategy": record.strategy,
        "status": record.status,
        "trigger": fired["trigger"],
        "probability": fired["probability"],
        "says": fired["says"],
        "scores": record.values,
    }
    return {**told, "artefact": record.artefact} if artefact else told


class Webhook:
    """Delivers payloads by HTTP POST.

    A payload is delivered where the server answers with a 2xx status. Otherwise it is sent again, up to `ATTEMPTS`
    times, except where the server refuses it (4xx other than 408 and 429). Redirects are not followed.

    Parameters
    ----------
    url
        Where to.
    artefact
        Tell the text in force as well.
    """

    def __init__(self, url: str, *, artefact: bool = False, pause: float = _FIRST_PAUSE) -> None:
        self._url, self.artefact, self._pause = url, artefact, pause
        self._client: httpx2.AsyncClient | None = None

    def __repr__(self) -> str:
        return "Webhook(...)"

    async def deliver(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Send a payload, and return whether it was ``delivered``, and when; if not, the ``reason``."""
        from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_attempt, wait_exponential

        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=self._pause),
            retry=retry_if_result(lambda why: why is not None and why[1]),
        )
        try:
            why: tuple[str, bool] | None = await retrying(self._send, payload)
        except RetryError as error:
            why = error.last_attempt.result()
        if why is not None:
            return {"delivered": False, "reason": why[0]}
        return {"delivered": True, "delivered_at": datetime.now(UTC).isoformat(timespec="seconds")}

    async def _send(self, payload: Mapping[str, Any]) -> tuple[str, bool] | None:
        """Return why a payload was not delivered, and whether another attempt may help; None where it was."""
        import httpx2

        client = self._client = self._client or httpx2.AsyncClient(timeout=PATIENCE, follow_redirects=False)
        try:
            headers = {"Idempotency-Key": str(payload["id"])}
            async with (
                asyncio.timeout(PATIENCE),
                # What the server says is not read, however long it is.
                client.stream("POST", self._url, json=dict(payload), headers=headers) as response,
            ):
                status = response.status_code
        except (TimeoutError, httpx2.TimeoutException):
            return f"no answer within {PATIENCE:g} s", True
        except Exception as error:  # an address may be wrong in ways that only its use shows
            return f"the connection failed ({type(error).__name__})", True
        if 200 <= status < 300:
            return None
        return f"the server answered with status {status}", status in (408, 429) or status >= 500

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
