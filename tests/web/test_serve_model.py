"""``trimtab serve-model`` as a user gives it, and ``trimtab run`` against it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from support.cli import trimtab
from support.model_server import model_serving
from trimtab.providers.rewriter.answer import MODEL
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.store.contents import contents
from trimtab.store.open import open_store


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith("TRIMTAB_") or name.upper().endswith("_PROXY") or name.startswith("OPENAI_"):
            monkeypatch.delenv(name)


def iterations(out: str, **settings: object) -> list[tuple[object, ...]]:
    """Run three sessions of two strategies to the end and return their iterations as they are stored."""
    small = {"sessions": 3, "iterations": 3, "strategies": "EF,SF", "seed": 4, "out": out}
    assert run_experiment(load_config({**small, **settings})).ended == "complete"
    store = open_store(f"sqlite:///{out}/trimtab.db")
    found = [row for row in contents(store) if row[0] == "iteration"]
    store.close()
    return found


def test_a_run_over_http_stores_what_the_embedded_model_gives() -> None:
    with model_serving() as running:
        served = iterations("served", provider="openai", model=MODEL, base_url=running.url)
        assert running.server.requests == 18
    assert len(served) == 24
    assert served == iterations("embedded")


@pytest.mark.parametrize(("number", "host"), [(signal.SIGINT, "127.0.0.1"), (signal.SIGTERM, "::1")])
def test_it_says_where_it_is_and_ends_when_told(number: signal.Signals, host: str) -> None:
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6")
    process = subprocess.Popen(
        [sys.executable, "-m", "trimtab", "serve-model", "--host", host, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line, hint = process.stdout.readline(), process.stdout.readline()
    found = re.fullmatch(r"Serving rewriter-1, echo \(stand-ins, no LLMs\) at (http://\S+:\d+)/v1\n", line)
    assert found, line + (process.stderr.read() if process.stderr and process.poll() is not None else "")
    with urllib.request.urlopen(f"{found[1]}/health", timeout=20) as response:
        assert b'"status":"ok"' in response.read()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert f"--model rewriter-1 --base-url {found[1]}/v1" in hint
    assert "Served 0 requests, 0 of them with a fault" in out


def test_a_port_in_use_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = trimtab(capsys, "serve-model", "--port", port)
    assert (ran.code, ran.out) == (1, "")
    assert f"nothing can be served at 127.0.0.1, port {port}: address already in use; choose another --port" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "no-such-host.invalid"), "--host must be an address of this machine, but 'no-such-host.invalid'"),
        (("--host", "192.0.2.1"), "nothing can be served at 192.0.2.1"),
        (("--fault", "500=2"), "the share of the fault 500 must lie in 0..1, but is 2"),
        (("--faults", "-1"), "--faults must lie in 0..1, but is -1"),
        (("--fault", "teapot=0.1"), "there is no fault 'teapot'; there are 429, "),
        (("--hang", "-1"), "--hang must be a number of seconds, 0 or more, but is -1"),
        (("--key-variable", "NO_SUCH_KEY"), "no environment variable of that name holds a key"),
    ],
)
def test_mistakes_are_sentences(capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str) -> None:
    ran = trimtab(capsys, "serve-model", "--port", "0", *options)
    assert (ran.code, ran.out) == (1, "")
    assert said in ran.err
    assert ran.err.startswith("Error: ")
    assert ran.err.count("\n") == 1


def test_without_its_extra_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("trimtab.web.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ran = trimtab(capsys, "serve-model")
    assert ran.code == 1
    assert 'serve-model needs uvicorn, which is not installed: pip install "trimtab[serve]"' in ran.err


def test_the_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    from trimtab.web.faults import KINDS

    shown = "".join(trimtab(capsys, "serve-model", "--help").out.split())
    for kind in KINDS:
        assert kind in shown
