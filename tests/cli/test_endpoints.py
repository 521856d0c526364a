"""``trimtab run`` against endpoints that are none, or refuse: one sentence, exit code 1, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.cli import Ran, trimtab
from support.openai_server import Reply, chat, serving
from trimtab.providers import retrying
from trimtab.providers.base import Completion
from trimtab.providers.rewriter.answer import rewrite
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.sessions.tasks import builtin_tasks
from trimtab.store.open import open_store

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.upper().startswith("TRIMTAB_") or name.upper().endswith("_PROXY") or name.startswith("OPENAI_"):
            monkeypatch.delenv(name)


def run(capsys: Any, url: str, *more: str) -> Ran:
    size = ("--sessions", "250", "--iterations", "10", "--out", "deep/er")
    return trimtab(capsys, "run", "--provider", "openai", "--model", "m", "--base-url", url, *size, *more)


def check(ran: Ran, said: str) -> None:
    """Expect one sentence about the endpoint, and nothing else: no traceback, no store, no folder."""
    assert ran.code == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in ran.err
    assert ran.err.splitlines()[-1] == "No answer came, and nothing is stored."
    assert list(Path().iterdir()) == []


def reply(status: int, body: Any, headers: dict[str, str] = JSON) -> Callable[[dict[str, Any]], Reply]:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return lambda _: (status, headers, data)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply(401, {"error": {"message": "no"}}), "refused a request without a key: set OPENAI_API_KEY (401)"),
        (reply(403, {"error": {"message": "not for you"}}), "denied access to the model m (403): not for you"),
        (
            reply(404, {"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}),
            "knows no model 'm' (404): The model `m` does not exist",
        ),
        (reply(404, {"detail": "Not Found"}), "there is nothing to chat with at"),
        (reply(405, {"detail": "Method Not Allowed"}), "there is nothing to chat with at"),
        (
            reply(200, "<html><h1>Welcome", {"Content-Type": "text/html"}),
            "sent text/html in place of a chat completion",
        ),
        (reply(200, {"object": "list", "data": []}), "sent JSON that is no chat completion"),
        (
            reply(400, {"error": {"message": "This model does not support chat"}}),
            "refused the request with status 400: This model does not support chat",
        ),
        (reply(429, {"error": {"message": "pay first", "code": "insufficient_quota"}}), "the quota is used up (429)"),
        (reply(308, "", {"Location": "https://example.com/v1"}), "sends on to https://example.com/v1 (308)"),
        (reply(200, "x", {"Content-Encoding": "br"}), "sent a compressed answer, although it was asked for none"),
    ],
)
def test_a_mistake_costs_one_request(answer: Callable[[dict[str, Any]], Reply], said: str, capsys) -> None:
    with serving(answer) as server:
        check(run(capsys, server.url), said)
        assert len(server.bodies) == 1


def test_an_endpoint_that_is_out_of_order_is_asked_again_first(capsys) -> None:
    with serving(reply(500, {"error": {"message": "oh"}})) as server:
        ran = run(capsys, server.url, "--retries", "1")
        check(ran, "failed with status 500: oh (the last of 2 attempts); it has not answered a single request")
        assert len(server.bodies) == 2


def test_a_run_without_an_answer_leaves_no_rows_in_postgresql(postgres_url: str, capsys) -> None:
    with serving(reply(401, {"error": {"message": "no"}})) as server:
        ran = run(capsys, server.url, "--store", postgres_url)
    assert ran.code == 1
    store = open_store(postgres_url)
    assert (store.experiment(), store.sessions(), list(store.iterations())) == (None, [], [])
    store.close()


def test_nobody_listening(capsys) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    check(run(capsys, url), f"nobody is listening at {url}: start the server, or check the address")


def test_no_network(capsys) -> None:
    check(run(capsys, "https://no-such-host.invalid/v1"), "the host of https://no-such-host.invalid/v1 is not known")


def test_a_wrong_path(capsys) -> None:
    with serving(chat(rewrite)) as server:
        check(run(capsys, server.url.removesuffix("/v1")), "/chat/completions (404): check the address")
        assert server.bodies == []


def test_http_where_there_is_no_tls(capsys) -> None:
    with serving(chat(rewrite)) as server:
        check(run(capsys, server.url.replace("http:", "https:")), "the address may have to begin with http://")


def test_a_certificate_that_nobody_signed(capsys, tmp_path_factory: pytest.TempPathFactory) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make a certificate")
    pair = tmp_path_factory.mktemp("tls") / "pair.pem"
    make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1"]
    subprocess.run(["openssl", *make, "-keyout", pair, "-out", pair], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair)
    with serving(chat(rewrite), tls=tls) as server:
        check(run(capsys, server.url), "is not trusted: self-signed certificate")
        assert server.bodies == []


def test_what_was_there_before_stays(capsys) -> None:
    Path("deep").mkdir()
    Path("deep/mine.txt").write_text("mine")
    with serving(reply(403, {})) as server:
        assert run(capsys, server.url).code == 1
    assert [str(path) for path in Path().rglob("*")] == ["deep", "deep/mine.txt"]


def test_an_address_with_a_key_is_refused_without_being_shown(capsys) -> None:
    for address in ("http://me:sk-secret@host/v1", "ftp://me:sk-secret@host", "http://host/v1?key=sk-secret"):
        ran = run(capsys, address)
        assert ran.code == 1
        assert "base_url should hold no user, password, query or fragment" in ran.err
        assert "sk-secret" not in ran.err + ran.out


def test_the_command_to_go_on_with_can_be_copied(capsys) -> None:
    left = iter(range(10**6))
    size = ("--sessions", "1", "--iterations", "2", "--strategies", "EF", "--out", "my folder")
    with serving(lambda body: (chat(rewrite) if next(left) < 1 else reply(401, {}))(body)) as server:
        ran = run(capsys, server.url, *size)
    assert ran.code == 1
    assert "Everything so far is stored: trimtab resume 'my folder' goes on, and so does the same command." in ran.err


def test_an_endpoint_that_fails_later_keeps_what_there_is(capsys) -> None:
    left = iter(range(10**6))
    answer, refusal = chat(rewrite), reply(401, {})
    size = ("--sessions", "2", "--iterations", "3", "--strategies", "EF", "--concurrency", "1")
    with serving(lambda body: answer(body) if next(left) < 2 else refusal(body)) as server:
        ran = run(capsys, server.url, *size)
    assert ran.code == 1
    assert "refused a request without a key: set OPENAI_API_KEY (401)" in ran.err
    assert "2 of 6 are stored" in ran.err
    assert "trimtab resume deep/er goes on" in ran.err
    store = open_store("sqlite:///deep/er/trimtab.db")
    assert sum(record.index > 0 for record in store.iterations()) == 2
    store.close()


SMALL = ("--sessions", "2", "--iterations", "12", "--strategies", "EF", "--concurrency", "1")
FORBIDDEN = reply(403, {"error": {"message": "forbidden by policy"}})


def test_a_prompt_that_a_gateway_forbids_fails_its_own_iterations(capsys) -> None:
    word = builtin_tasks()[1].prompt.strip().splitlines()[0]

    def answer(body: dict[str, Any]) -> Reply:
        return (FORBIDDEN if word in body["messages"][-1]["content"] else chat(rewrite))(body)

    with serving(answer) as server:
        ran = run(capsys, server.url, *SMALL)
    assert ran.code == 0, ran.err
    assert "denied access to the model m (403): forbidden by policy" in ran.out + ran.err
    store = open_store("sqlite:///deep/er/trimtab.db")
    failed = [record for record in store.iterations() if record.status == "failed"]
    store.close()
    assert [record.index for record in failed] == [*range(1, 13)]
    assert {record.session_id for record in failed} == {f"EF/{builtin_tasks()[1].id}/0"}
    assert {record.reason.partition("denied")[2] for record in failed} == {
        " access to the model m (403): forbidden by policy"
    }


def test_a_key_that_is_revoked_on_the_way_ends_the_run_soon(capsys) -> None:
    left = iter(range(10**6))
    with serving(lambda body: (chat(rewrite) if next(left) < 5 else FORBIDDEN)(body)) as server:
        ran = run(capsys, server.url, *SMALL)
        assert ran.code == 1
        assert "the 9 requests before it were refused as well, and so is a harmless one" in ran.err
        assert "14 of 24 are stored" in ran.err
        assert len(server.bodies) == 5 + 10 + 1
    with serving(chat(rewrite)) as server:
        assert trimtab(capsys, "resume", "deep/er", "--base-url", server.url).code == 0
        assert len(server.bodies) == 10


def test_faults_that_pass_leave_the_same_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third request fails in one way or another; the artefacts are those of a run without a fault."""
    monkeypatch.setattr(retrying, "_FIRST", 0.01)
    faults = [
        reply(500, {"error": {"message": "oh"}}),
        reply(429, {}, {**JSON, "Retry-After": "0"}),
        reply(200, '{"choices": [{"mess'),
        reply(200, {"choices": []}),
        reply(200, "<html>", {"Content-Type": "text/html"}),
        reply(503, ""),
    ]
    number = iter(range(10**6))
    answer = chat(rewrite)

    def faulty(body: dict[str, Any]) -> Reply:
        n = next(number)
        return faults[n // 3 % len(faults)](body) if n % 3 == 1 else answer(body)

    size = {"sessions": 3, "iterations": 4, "strategies": "EF,SF"}
    for out, handler in (("faulty", faulty), ("calm", answer)):
        with serving(handler) as server:
            given = {"provider": "openai", "model": "m", "base_url": server.url, "out": out, **size}
            assert run_experiment(load_config(given)).ended == "complete"
    stores = [open_store(f"sqlite:///{out}/trimtab.db") for out in ("faulty", "calm")]
    faulty_records, calm_records = ([*store.iterations()] for store in stores)
    assert {(r.session_id, r.index, r.artefact) for r in faulty_records} == {
        (r.session_id, r.index, r.artefact) for r in calm_records
    }
    assert all(record.status != "failed" or record.answer for record in faulty_records)
    assert sum(record.meta.get("attempts", 1) - 1 for record in faulty_records) >= 8
    for store in stores:
        store.close()


def test_texts_at_which_answers_end_belong_to_the_run(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    size = ("--sessions", "1", "--iterations", "2", "--strategies", "EF", "--out", "o")
    with serving(chat(rewrite)) as server:
        assert run(capsys, server.url, *size, "--stop", "a, b", "--stop", "\t<end>\n").code == 0
        assert {tuple(body["stop"]) for body in server.bodies} == {("a, b", "\t<end>\n")}
        other = run(capsys, server.url, *size)
        assert other.code == 1
        assert "stop (['a, b', '\\t<end>\\n'] there, [] now)" in other.err
        assert run(capsys, server.url, *size, *("--stop=x",) * 5).code == 1
        Path("trimtab.toml").write_text('stop = ["a, b", "\\t<end>\\n"]\n')
        assert run(capsys, server.url, *size, "--retries", "0", "--no-adaptive").code == 0
        monkeypatch.setenv("TRIMTAB_STOP", "from, the variable")
        assert run(capsys, server.url, *size, "--out", "p").code == 0
        assert server.bodies[-1]["stop"] == ["from, the variable"]


def test_the_embedded_rewriter_stops_there_as_well(capsys) -> None:
    size = ("--sessions", "1", "--iterations", "2", "--strategies", "EF")
    assert trimtab(capsys, "run", *size, "--stop", "```python").code == 1, "no program is left to fit"
    store = open_store("sqlite:///trimtab-out/trimtab.db")
    answers = [record.answer for record in store.iterations() if record.index > 0]
    store.close()
    assert len(answers) == 2
    assert not any("```" in answer for answer in answers)


def test_requests_that_outgrow_the_context_are_counted_together_with_what_helps(capsys: Any) -> None:
    asked = 0

    def handle(body: dict[str, Any]) -> Reply:
        nonlocal asked
        asked += 1
        if asked == 1:
            return chat(rewrite)(body)
        said = f"request ({3000 + asked} tokens) exceeds the available context size (2048 tokens), try increasing it"
        return reply(400, {"error": {"code": 400, "message": said, "type": "exceed_context_size_error"}})(body)

    with serving(handle) as server:
        size = ("--sessions", "1", "--iterations", "3", "--strategies", "EF", "--out", "o", "--history", "full")
        ran = trimtab(capsys, "run", "--provider", "openai", "--model", "m", "--base-url", server.url, *size)
    told = " ".join(ran.err.split())
    assert "2 x the request does not fit into the context of the model m (400): request (N tokens) exceeds" in told
    assert "take shorter tasks, or a model with a larger one; a server of your own can be started" in told
    assert asked == 5  # with the former exchange, and without it


def test_a_run_without_a_usable_answer_shows_no_dynamics(capsys: Any) -> None:
    with serving(chat(lambda _: Completion("```python\ndef f(:\n    return 1\n```", "m", "stop"))) as server:
        size = ("--sessions", "2", "--iterations", "3", "--out", "o")
        ran = trimtab(capsys, "run", "--provider", "openai", "--model", "m", "--base-url", server.url, *size)
    for done in (ran, *(trimtab(capsys, *command) for command in (("fit", "o"), ("report", "o", "--out", "r.html")))):
        assert done.code == 1
        (error,) = [line for line in done.err.splitlines() if line.startswith("Error:")]
        assert error.startswith("Error: there is nothing to fit, because all iterations after the start (")
        assert done.out == ""
    assert not Path("r.html").exists()
    assert "x syntax error" in ran.err
