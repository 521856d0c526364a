"""What goes wrong between us and an endpoint on loopback: a sentence each, and what it says of the next attempt."""

from __future__ import annotations

import gzip
import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import openai
import pytest

from support.asking import JSON, KEY, ask, meaning, reply
from support.openai_server import chat, completion_body, serving
from trimtab.errors import ProviderError
from trimtab.providers.base import Completion
from trimtab.providers.http import MAX_BODY_BYTES, BodyError
from trimtab.providers.masking import Mask
from trimtab.providers.refusals import Refusals

LLAMA_TOO_LONG = {
    "code": 400,
    "message": "request (3031 tokens) exceeds the available context size (2048 tokens), try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 3031,
    "n_ctx": 2048,
}
"""What the llama.cpp server says of a prompt that is longer than its context."""


@contextmanager
def raw(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection by `speak`, which the client may leave at any time."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(BrokenPipeError, ConnectionResetError):
            speak(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread.join()


@pytest.mark.parametrize(
    ("status", "means", "said"),
    [
        (301, "suspect", "sends on to another address"),
        (400, "suspect", "refused the request with status 400: the server says so"),
        (401, "fatal", r"refused the key in OPENAI_API_KEY \(401\)$"),
        (402, "fatal", "says that the quota is used up"),
        (403, "suspect", r"denied access to the model some-model \(403\)"),
        (404, "suspect passing", "knows no model 'some-model', or there is nothing .* at http.*/v1/chat/completions"),
        (405, "suspect passing", "there is nothing to chat with at"),
        (408, "passing", "failed with status 408"),
        (409, "passing", "failed with status 409"),
        (413, "refused", "status 413"),
        (422, "suspect", "status 422"),
        (429, "busy", r"asked to slow down \(429\)"),
        (500, "passing", "failed with status 500: the server says so"),
        (501, "suspect", "refused the request with status 501"),
        (503, "busy", r"has too much to do \(503\)"),
        (504, "busy", r"has too much to do \(504\)"),
    ],
)
def test_refusals_become_sentences_without_the_key(
    status: int, means: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    body = {"error": {"message": f"the server says so\n\x1b[31m about {KEY}", "code": None}}
    with serving(reply(body, status)) as server, pytest.raises(ProviderError, match=said) as caught:
        ask(server.url)
    assert meaning(caught.value) == means
    assert KEY not in repr(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert KEY not in caplog.text
    assert len(server.bodies) == 1


def test_a_used_up_quota_is_fatal() -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with serving(reply(body, 429)) as server, pytest.raises(ProviderError, match="the quota is used up") as caught:
        ask(server.url)
    assert caught.value.fatal


def test_an_unknown_model_is_told_from_a_wrong_address() -> None:
    body = {"error": {"message": "The model `some-model` does not exist.", "code": 404}}
    with serving(reply(body, 404)) as server:
        with pytest.raises(ProviderError, match=r"knows no model 'some-model' \(404\): The model"):
            ask(server.url)
        with pytest.raises(ProviderError, match=r"^there is nothing to chat with at \S+\d/chat/completions \(404\)"):
            ask(server.url.removesuffix("/v1"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "too many tokens", "code": "context_length_exceeded"}),
        (400, {"message": "This model's maximum context length is 8192 tokens", "code": 400}),
        (400, {"message": "prompt is too long: 210000 tokens > 200000 maximum"}),
        (400, LLAMA_TOO_LONG),
        (400, {"message": "the filter was triggered", "code": "content_filter"}),
    ],
)
def test_a_request_that_is_too_long_or_filtered_says_nothing_of_the_next(status: int, error: dict[str, Any]) -> None:
    said = re.escape(error["message"])
    with serving(reply({"error": error}, status)) as server, pytest.raises(ProviderError, match=said) as caught:
        ask(server.url)
    assert meaning(caught.value) == "refused"


def test_a_request_that_is_too_long_is_called_so() -> None:
    with serving(reply({"error": LLAMA_TOO_LONG}, 400)) as server, pytest.raises(ProviderError) as caught:
        ask(server.url)
    assert str(caught.value) == (
        "the request does not fit into the context of the model some-model (400): request (3031 tokens) exceeds the "
        "available context size (2048 tokens), try increasing it"
    )


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "No such thing"},
        {"html-message": "No such thing"},
        {"error": {"code": 500, "why": "No such thing"}},
        {"error": {"message": None, "why": "No such thing"}},
    ],
)
def test_words_are_found_under_whatever_name(body: dict[str, Any]) -> None:
    with serving(reply(body, 500)) as server, pytest.raises(ProviderError, match=r"status 500: No such thing$"):
        ask(server.url)
    with serving(reply({"ok": 0, "kind": "x"}, 500)) as server, pytest.raises(ProviderError, match=r"status 500$"):
        ask(server.url)


def test_a_form_of_answers_that_a_server_stumbles_over_is_refused_for_good() -> None:
    said = "1 validation error: 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be 'text'\""
    body = {"error": {"message": said, "type": "internal_server_error", "param": None, "code": None}}
    with serving(reply(body, 500)) as server, pytest.raises(ProviderError, match="refused the request") as caught:
        ask(server.url)
    assert meaning(caught.value) == "suspect"


@pytest.mark.parametrize(("headers", "wait"), [({}, 15.0), ({"Retry-After": "3"}, 3.0)])
def test_a_server_that_is_loading_its_model_is_given_time(headers: dict[str, str], wait: float) -> None:
    body = {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}
    answer = (503, {**JSON, **headers}, json.dumps(body).encode())
    with (
        serving(lambda _: answer) as server,
        pytest.raises(ProviderError, match="is still loading its model") as caught,
    ):
        ask(server.url)
    assert (meaning(caught.value), caught.value.retry_after) == ("busy", wait)


@pytest.mark.parametrize("surplus", ["/chat/completions", "/chat", "/chat/completions/"])
def test_an_address_with_the_place_to_ask_at_is_set_right(surplus: str) -> None:
    nothing = {"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}}
    with serving(reply(nothing, 404)) as server:
        with pytest.raises(ProviderError, match=r"\(404\): give the address as ") as caught:
            ask(server.url + surplus)
        assert str(caught.value).endswith(server.url)


def test_an_error_under_status_200_means_what_its_code_means() -> None:
    body = {"error": {"message": "later", "code": 429}}
    with serving(reply(body)) as server, pytest.raises(ProviderError, match="slow down") as caught:
        ask(server.url)
    assert meaning(caught.value) == "busy"


@pytest.mark.parametrize(
    ("body", "means", "said"),
    [
        ({**completion_body(Completion("x")), "choices": []}, "passing", "without any choice"),
        ({**completion_body(Completion("x")), "choices": None}, "suspect passing", "no chat completion"),
        ({}, "suspect passing", "no chat completion"),
        ([], "suspect passing", "no chat completion"),
        ("text", "suspect passing", "no chat completion"),
        (b"null", "suspect passing", "no chat completion"),
        (b"", "passing", "an empty answer"),
        (b"data: {}\n\n", "suspect passing", "in place of a chat completion"),
        (b'{"choices": [{"ind', "passing", "no complete JSON"),
        (b'{"choices": "\xff\xfe"}', "passing", "not valid UTF-8"),
        (b"[" * 100_000, "passing", "no complete JSON"),
        (b'{"created": ' + b"1" * 10_000 + b"}", "passing", "no complete JSON"),
        (completion_body(Completion("x"), message={"role": "assistant", "content": None}), "refused", "gave no text"),
        (completion_body(Completion("x"), message=None), "refused", "gave no text"),
        (completion_body(Completion("x"), message={"role": "assistant", "content": [1]}), "refused", "gave no text"),
        (completion_body(Completion("x"), message={"content": None, "refusal": "I will not"}), "refused", "I will not"),
        (completion_body(Completion("x"), finish_reason="content_filter"), "refused", "content filter withheld"),
        ({**completion_body(Completion("x")), "choices": [7]}, "refused", "gave no text"),
    ],
)
def test_answers_that_are_none_become_sentences(body: Any, means: str, said: str) -> None:
    with serving(reply(body)) as server, pytest.raises(ProviderError, match=said) as caught:
        ask(server.url)
    assert meaning(caught.value) == means


def test_a_page_instead_of_an_answer_is_named() -> None:
    page = lambda _: (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Welcome</html>")  # noqa: E731
    with serving(page) as server, pytest.raises(ProviderError, match="text/html in place of a chat completion"):
        ask(server.url)


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(chat(lambda request: Completion("x"))) as other:
        there = {"Location": f"{other.url}/chat/completions?key={KEY}"}
        with (
            serving(lambda _: (307, there, b"")) as server,
            pytest.raises(ProviderError, match="sends on to") as caught,
        ):
            ask(server.url)
        assert other.bodies == []
    assert "?key=***" in str(caught.value)


def test_nobody_listening_is_said() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ProviderError, match=rf"nobody is listening at http://127.0.0.1:{port}/v1") as caught:
        ask(f"http://127.0.0.1:{port}/v1")
    assert meaning(caught.value) == "suspect passing"


def test_a_host_that_does_not_exist_is_said() -> None:
    with pytest.raises(ProviderError, match=r"the host of http://no-such-host\.invalid/v1 is not known") as caught:
        ask("http://no-such-host.invalid/v1")
    assert meaning(caught.value) == "suspect passing"


def test_an_endpoint_without_tls_is_said() -> None:
    with serving(reply({})) as server, pytest.raises(ProviderError, match="have to begin with http://") as caught:
        ask(server.url.replace("http:", "https:"))
    assert meaning(caught.value) == "suspect passing"


def test_a_connection_that_breaks_may_be_tried_again() -> None:
    hang_up = lambda connection: connection.recv(10)  # noqa: E731
    with raw(hang_up) as url, pytest.raises(ProviderError, match=r"the connection to .* was lost") as caught:
        ask(url)
    assert meaning(caught.value) == "passing"


GIANT = json.dumps(completion_body(Completion("x" * (3 * MAX_BODY_BYTES)))).encode()


@pytest.mark.parametrize("status", [200, 500])
def test_a_giant_answer_is_not_read_where_its_length_is_told(status: int) -> None:
    with serving(lambda _: (status, JSON, GIANT)) as server, pytest.raises(ProviderError) as caught:
        ask(server.url)
    if status == 200:
        assert f"sent an answer of {len(GIANT):,} bytes, more than the 2,097,152 that are read" in str(caught.value)
        assert caught.value.meta == {"body_bytes": len(GIANT)}
        assert meaning(caught.value) == "refused"
    else:
        assert "failed with status 500" in str(caught.value)
        assert meaning(caught.value) == "passing"


def test_a_giant_answer_is_cut_where_its_length_is_not_told() -> None:
    sent = []

    def pour(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(800):
            connection.sendall(b"10000\r\n%s\r\n" % (b"x" * 65536))
            sent.append(65536)

    with raw(pour) as url, pytest.raises(ProviderError, match="an answer of more than 2,097,152 bytes"):
        ask(url)
    assert sum(sent) < 30_000_000, "of the 52,428,800 that were to come"


def test_an_answer_that_unpacks_to_more_is_not_unpacked() -> None:
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with serving(lambda _: (200, packed, gzip.compress(GIANT))) as server:
        with pytest.raises(ProviderError, match="a compressed answer, although it was asked for none"):
            ask(server.url)
        assert server.headers[0]["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_how_long_to_wait_is_passed_on_and_said_where_nobody_will(status: int) -> None:
    waits = iter(["7", "3600"])
    with serving(lambda _: (status, {"Retry-After": next(waits)}, b"{}")) as server:
        for seconds, said in ((7, False), (3600, True)):
            with pytest.raises(ProviderError) as caught:
                ask(server.url)
            assert caught.value.retry_after == seconds
            sentence = f"({status}), and asks to wait for 3,600 s, longer than the 120 s that a run waits"
            assert str(caught.value).endswith(sentence.replace("(500)", "status 500")) == said


def test_what_our_client_raises_is_understood_in_the_wrapping_of_a_package() -> None:
    """Versions of the packages differ in that: openai 3.0 wraps it, later ones let it through."""
    refusals = Refusals("it", "http://host/v1", "/x", "OPENAI_API_KEY", True, Mask([KEY]), 1.0)
    wrapped = openai.APIConnectionError(request=None)  # type: ignore[arg-type]  # nothing looks at it
    wrapped.__cause__ = BodyError("an answer of 9 bytes", 200, 9)
    for error in (wrapped, wrapped.__cause__):
        means = refusals.of(error, openai, "m")
        assert (str(means), meaning(means), means.meta) == (
            "it sent an answer of 9 bytes",
            "refused",
            {"body_bytes": 9},
        )
