"""A key is planted, and a server that sends back whatever it got tries to have it stored, shown or logged."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.openai_server import Reply, completion_body, serving
from trimtab.providers.base import Completion
from trimtab.store.open import open_store

KEY = "sk-planted/4f9a+Zq7_secret-0123456789"
GATEWAY = "gw-planted-9876543210"
SOMEBODY_ELSES = "sk-not-ours-0123456789abcdef"

# The whole command, with everything that its HTTP packages log at their most talkative, and short waits.
MAIN = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
logging.raiseExceptions = False
sys.argv[1:] = {arguments!r}
from trimtab.cli.main import main
from trimtab.providers import retrying
retrying._FIRST = 0.01
main()
"""


def forms(secret: str) -> list[bytes]:
    """Return the ways in which a secret may lie about."""
    plain = secret.encode()
    return [plain, base64.b64encode(plain).rstrip(b"="), json.dumps(secret).encode().strip(b'"'), plain[::-1]]


def leaks(data: bytes) -> list[bytes]:
    return [form for secret in (KEY, GATEWAY) for form in forms(secret) if form in data]


class Echo:
    """Sends back every header it gets: in headers, errors and answers; looks at the run's files in between."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.requests = 0
        self.found: list[tuple[str, bytes]] = []
        self.looked_at: set[str] = set()
        self.process: subprocess.Popen[bytes] | None = None

    def look(self) -> None:
        for path in self.out.rglob("*"):
            if path.is_file():
                self.looked_at.add(path.name)
                self.found += [(str(path), form) for form in leaks(path.read_bytes())]
        if self.process is not None:
            self.found += [("cmdline", form) for form in leaks(Path(f"/proc/{self.process.pid}/cmdline").read_bytes())]

    def answer(self, headers: dict[str, str]) -> Reply:
        self.requests += 1
        self.look()
        said = json.dumps(headers)
        kind = {"Content-Type": "application/json", "X-Echo": said, "Set-Cookie": f"k={headers['authorization']}"}
        error = json.dumps({"error": {"message": said, "code": headers["authorization"], "type": said}}).encode()
        turn = (self.requests + 5) % 9
        if turn == 1:
            return 500, kind, error
        if turn == 2:
            return 429, {**kind, "Retry-After": "0"}, error
        if turn == 3:
            return 422, kind, error
        if turn == 4:
            return 200, {**kind, "Content-Type": f"text/{KEY}"}, said[1:].encode()
        if turn == 5:
            refusal = {"message": {"content": None, "refusal": said}, "finish_reason": said}
            return 200, kind, json.dumps(completion_body(Completion("x", said), **refusal)).encode()
        program = f"# {said}\n# {SOMEBODY_ELSES}\ndef work(x):\n    return x + {self.requests}, {KEY!r}\n"
        completion = Completion(f"I got {said}.\n\n```python\n{program}```\n", f"model {KEY}", f"stop {said}")
        return 200, kind, json.dumps(completion_body(completion)).encode()


def test_no_secret_is_stored_shown_or_logged(tmp_path: Path) -> None:
    out = tmp_path / "out"
    echo = Echo(out)
    size = ["--sessions", "3", "--iterations", "4", "--strategies", "EF,SF", "--concurrency", "1", "--out", str(out)]
    environment = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY") and "OPENAI" not in k}
    environment |= {
        "OPENAI_API_KEY": KEY,
        "OPENAI_CUSTOM_HEADERS": f"X-Gateway-Key: {GATEWAY}",
        "OPENAI_LOG": "debug",
    }
    with serving(lambda body: echo.answer(server.headers[-1])) as server:
        run = ["run", "--provider", "openai", "--model", "m", "--base-url", server.url, *size]
        echo.process = subprocess.Popen(
            [sys.executable, "-c", MAIN.format(arguments=run)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=tmp_path,
        )
        printed, logged = echo.process.communicate(timeout=120)
        assert server.keys[0] == f"Bearer {KEY}"
        assert server.headers[0]["x-gateway-key"] == GATEWAY
    code, echo.process = echo.process.returncode, None
    assert code == 0, logged[-2000:]
    echo.look()
    assert echo.found == []
    assert leaks(printed) == leaks(logged) == []

    assert {"trimtab.db", "trimtab.db-wal", "report.html", "fit.json"} <= echo.looked_at, "also while the run went on"
    assert b"receive_response_headers" in logged
    assert logged.count(b"***") > 50, "the server's headers were logged, and masked"
    store = open_store(f"sqlite:///{out}/trimtab.db")
    records = [record for record in store.iterations() if record.index > 0]
    store.close()
    text = repr(records)
    assert "Bearer ***" in text
    assert SOMEBODY_ELSES in text, "what looks like a key and is not ours is part of the answer"
    assert {record.status for record in records} == {"ok", "failed"}
    assert any(record.meta.get("masked") for record in records)
    assert all(record.meta["model"] == "model ***" for record in records if record.status == "ok")


def test_a_run_that_ends_at_once_shows_no_secret_either(tmp_path: Path) -> None:
    def refuse(body: dict[str, Any]) -> Reply:
        said = server.headers[-1]["authorization"]
        return 404, {"Content-Type": "application/json"}, json.dumps({"error": {"message": said}}).encode()

    environment = {k: v for k, v in os.environ.items() if not k.upper().endswith("_PROXY") and "OPENAI" not in k}
    with serving(refuse) as server:
        run = ["run", "--provider", "openai", "--model", "m", "--base-url", server.url, "--sessions", "2"]
        done = subprocess.run(
            [sys.executable, "-c", MAIN.format(arguments=run)],
            capture_output=True,
            env=environment | {"OPENAI_API_KEY": KEY},
            cwd=tmp_path,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert b"(404): Bearer ***" in done.stderr
    assert leaks(done.stdout + done.stderr) == []
    assert list(tmp_path.iterdir()) == []
