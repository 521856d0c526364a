"""The server of ``trimtab run --answers PORT``: open questions as JSON and as a page, and where to answer them.

It listens on this machine alone. Who reads or answers shows a token that is drawn anew for each run and printed once.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from trimtab.errors import InputError
from trimtab.sessions.desk import Desk
from trimtab.web.serving import address_of, listen, serve

__all__ = ["AnswerServer"]

LARGEST_BODY = 16 * 1024
"""Bytes of an answer that are read."""

_HOST = "127.0.0.1"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_PAGE = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="15">
<title>{{ questions|length }} open - trimtab</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
form { border: 1px solid #ccc; border-radius: 6px; padding: 0 1rem 1rem; margin: 1rem 0; }
table { border-collapse: collapse; } td { padding: 0 1rem 0 0; font-variant-numeric: tabular-nums; }
</style>
</head>
<body>
<h1>Sessions that wait for an answer</h1>
{% for q in questions %}
<form method="post" action="/answers">
<h2>{{ q.session }}, iteration {{ q.iteration }}</h2>
<p>Task {{ q.task }}, strategy {{ q.strategy }}</p>
<ul>{% for sentence in q.says %}<li>{{ sentence }}</li>{% endfor %}</ul>
<table>{% for name, value in q.scores.items() %}
<tr><td>{{ name }}</td><td>{{ "missing" if value is none else "%g"|format(value) }}</td></tr>{% endfor %}</table>
<input type="hidden" name="token" value="{{ token }}">
<input type="hidden" name="id" value="{{ q.id }}">
<p><label>Go on with <select name="strategy">
{% for name in q.strategies %}<option>{{ name }}</option>{% endfor %}
</select></label> <button name="action" value="continue">Continue</button>
<button name="action" value="stop">Stop</button> <button name="action" value="pause">Pause</button></p>
</form>
{% else %}
<p>None at the moment. This page looks again every 15 seconds.</p>
{% endfor %}
</body>
</html>
""")


class AnswerServer:
    """Serves the questions of one run.

    Parameters
    ----------
    port
        0 takes a free one.

    Raises
    ------
    InputError
        If the port cannot be had.
    """

    def __init__(self, port: int) -> None:
        self._token = secrets.token_urlsafe(16)
        self._listener = listen(_HOST, port, option="--answers")
        self._desk = Desk()

    @property
    def address(self) -> str:
        """The page's URL, with the token."""
        return f"{address_of(self._listener)}/?token={self._token}"

    async def serve(self, desk: Desk) -> None:
        """Be a clerk of `desk`, until cancelled."""
        self._desk = desk
        await serve(self.app(), self._listener, asyncio.Event(), lambda: None)

    def app(self) -> Starlette:
        """Return the application to be served."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/questions", self._questions),
                Route("/answers", self._answer, methods=["POST"]),
            ],
            # A page elsewhere cannot reach the server under a name of its own.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[_HOST, "localhost"])],
            exception_handlers={HTTPException: _refused},
        )

    async def _page(self, request: Request) -> Response:
        self._admit(request, request.query_params.get("token"))
        html = _PAGE.render(questions=[one.to_dict() for one in self._desk.questions], token=self._token)
        return HTMLResponse(html, headers=_HEADERS)

    async def _questions(self, request: Request) -> Response:
        self._admit(request, request.query_params.get("token"))
        return JSONResponse({"questions": [one.to_dict() for one in self._desk.questions]}, headers=_HEADERS)

    async def _answer(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        given = _read(await _body(request), kind)
        self._admit(request, given.get("token"))
        try:
            action, strategy = given.get("action", ""), given.get("strategy", "")
            self._desk.answer(given.get("id", ""), action, "http", strategy if action == "continue" else "")
        except InputError as error:
            status = 409 if "is open" in str(error) else 400
            raise HTTPException(status, str(error)) from None
        if kind == "application/json":
            return JSONResponse({"answered": given["id"]}, headers=_HEADERS)
        return RedirectResponse(f"/?token={self._token}", 303, headers=_HEADERS)

    def _admit(self, request: Request, token: str | None) -> None:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        given = shown if scheme.lower() == "bearer" else token or ""
        if not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            raise HTTPException(
                401, "show the token that the run has printed, as ?token=... or as Authorization: Bearer ..."
            )


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"an answer has at most {LARGEST_BODY:,} bytes")
    return body


def _read(body: bytes, kind: str) -> Mapping[str, str]:
    """Return the fields of an answer, a JSON object or a form."""
    try:
        if kind == "application/json":
            given: Any = json.loads(body)
        else:
            given = {name: values[-1] for name, values in parse_qs(body.decode(), max_num_fields=10).items()}
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise HTTPException(400, 'an answer is {"id": ..., "action": "continue", "stop" or "pause"}, as JSON or a form')
    return given


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse({"error": getattr(error, "detail", "")}, status, headers=_HEADERS)
