"""The webhook over real HTTP: what is sent, what is sent again, and that nothing gives its address away."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from trimtab.sessions import webhook
from trimtab.sessions.webhook import ATTEMPTS, Webhook

PAYLOAD = {"schema": "trimtab.alarm/1", "id": "ab" * 16, "session": "s"}


@contextmanager
def server(*statuses: int | str) -> Iterator[tuple[str, list[tuple[Any, str]]]]:
    """Serve these answers in turn; gives the address, and what has come."""
    left, came = list(statuses), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((json.loads(body), self.headers["Idempotency-Key"]))
            status = left.pop(0)
            if status == "hang":
                threading.Event().wait(0.5)
                return
            if status == "drop":
                self.connection.close()
                return
            self.send_response(int(status))
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.send_header("Content-Length", str(10**12))  # never read
            self.end_headers()
            self.wfile.write(b"x" * 1000)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_port}/hook?secret=TOPSECRET", came
    finally:
        made.shutdown()
        made.server_close()


def deliver(url: str) -> dict[str, Any]:
    async def sending() -> dict[str, Any]:
        hook = Webhook(url, pause=0.001)
        assert "TOPSECRET" not in repr(hook)
        try:
            return await hook.deliver(PAYLOAD)
        finally:
            await hook.aclose()

    return asyncio.run(sending())


def test_a_payload_is_delivered_once_where_the_server_takes_it() -> None:
    with server(204) as (url, came):
        done = deliver(url)
    assert done["delivered"]
    assert done["delivered_at"].endswith("+00:00")
    assert came == [(PAYLOAD, PAYLOAD["id"])]


@pytest.mark.parametrize("first", [500, 503, 429, 408, "drop"])
def test_what_may_pass_is_tried_again(first: int | str) -> None:
    with server(first, first, 200) as (url, came):
        assert deliver(url)["delivered"]
    assert came == [(PAYLOAD, PAYLOAD["id"])] * 3


@pytest.mark.parametrize(
    ("statuses", "reason", "tries"),
    [
        ((500,) * ATTEMPTS, "the server answered with status 500", ATTEMPTS),
        ((404,), "the server answered with status 404", 1),
        ((302,), "the server answered with status 302", 1),
    ],
)
def test_what_does_not_pass_is_a_reason(statuses: tuple[int, ...], reason: str, tries: int) -> None:
    with server(*statuses) as (url, came):
        assert deliver(url) == {"delivered": False, "reason": reason}
    assert len(came) == tries


def test_nobody_listens_or_answers_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with server() as (url, _):
        pass
    assert deliver(url) == {"delivered": False, "reason": "the connection failed (ConnectError)"}
    monkeypatch.setattr(webhook, "PATIENCE", 0.05)
    with server("hang", "hang", "hang") as (url, came):
        assert deliver(url) == {"delivered": False, "reason": "no answer within 0.05 s"}
        assert len(came) == ATTEMPTS


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999/x", "http://127.0.0.1:x/", "http://[::1/", "http://127.0.0.1:1/\ud800"]
)
def test_an_address_that_cannot_be_used_is_a_reason_and_no_error(url: str) -> None:
    done = deliver(url)
    assert not done["delivered"]
    assert done["reason"].startswith("the connection failed (")
