"""A chat-completions server on loopback, answered by the rewriter or by a script."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from trimtab.providers.base import Completion, Message, Request

__all__ = ["Served", "chat", "completion_body", "serving"]

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Served:
    """A running server: its address, and what it was asked."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def completion_body(completion: Completion, **choice: Any) -> dict[str, Any]:
    """Return the JSON of a chat completion."""
    message = {"role": "assistant", "content": completion.text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": completion.model or "served",
        "choices": [{"index": 0, "message": message, "finish_reason": completion.finish_reason, **choice}],
        "usage": {
            "prompt_tokens": completion.prompt_tokens or 0,
            "completion_tokens": completion.completion_tokens or 0,
            "total_tokens": 0,
        },
    }


def chat(answer: Callable[[Request], Completion]) -> Callable[[dict[str, Any]], Reply]:
    """Return a handler that answers chat requests with `answer`, seed and all."""

    def handle(body: dict[str, Any]) -> Reply:
        request = Request(
            messages=tuple(Message(m["role"], m["content"]) for m in body["messages"]),
            model=body["model"],
            temperature=body.get("temperature"),
            max_tokens=body.get("max_tokens"),
            seed=body.get("seed", 0),
            stop=tuple(body.get("stop") or ()),
        )
        return 200, {"Content-Type": "application/json"}, json.dumps(completion_body(answer(request))).encode()

    return handle


@contextmanager
def serving(
    handle: Callable[[dict[str, Any]], Reply], path: str = "/v1/chat/completions", tls: ssl.SSLContext | None = None
) -> Iterator[Served]:
    """Serve ``POST`` requests to `path` with `handle` until the context ends."""
    served = Served("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.keys.append(self.headers.get("Authorization", ""))
            served.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.path != path:
                status, headers, data = 404, {"Content-Type": "text/html"}, b"<html>no such page</html>"
            else:
                served.bodies.append(body)
                status, headers, data = handle(body)
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client went away, as clients do

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    served.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
