"""The provider ``openai`` against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from support.openai_server import Reply, Served, chat, completion_body, serving
from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, Message, ProviderSettings, Request
from trimtab.providers.http import MAX_BODY_BYTES
from trimtab.providers.openai import OpenAIProvider
from trimtab.providers.registry import get_provider

KEY = "sk-planted-0123456789"
REQUEST = Request((Message("system", "Be brief."), Message("user", "Hello")), seed=2**62 + 1)
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def provider_at(url: str) -> OpenAIProvider:
    return OpenAIProvider(ProviderSettings("some-model", url))


def ask(url: str, request: Request = REQUEST) -> Completion:
    async def once() -> Completion:
        provider = provider_at(url)
        try:
            return await provider.complete(request)
        finally:
            await provider.aclose()

    return asyncio.run(once())


def reply(body: Any, status: int = 200) -> Callable[[dict[str, Any]], Reply]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: (status, JSON, data)


def meaning(error: ProviderError) -> str:
    """Return what an error says of the next attempts, in a word or two."""
    if error.fatal:
        return "fatal"
    again = "" if error.again == "no" else error.again
    return " ".join(filter(None, ["suspect" if error.suspect else "", again])) or "refused"


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


def test_a_request_and_its_answer_cross_whole() -> None:
    given = Completion("Grüße \x00 ```python```", "other-name", "stop", 12, 34)
    with serving(chat(lambda request: given)) as server:
        got = ask(server.url, Request(REQUEST.messages, "named", 0.25, 77, 2**62 + 1, ("END", "\n\n")))
    assert got == given
    (body,) = server.bodies
    assert body == {
        "model": "named",
        "seed": 2**62 + 1,
        "temperature": 0.25,
        "max_tokens": 77,
        "stop": ["END", "\n\n"],
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
    }


def test_what_is_not_given_is_not_sent() -> None:
    with serving(chat(lambda request: Completion("x"))) as server:
        ask(server.url)
    assert sorted(server.bodies[0]) == ["messages", "model", "seed"]
    assert server.bodies[0]["model"] == "some-model"


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(chat(lambda request: Completion("x"))) as server:
        ask(server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        ask(server.url)
    assert server.keys == ["Bearer none", f"Bearer {KEY}"]


def test_the_real_endpoint_needs_a_key_and_any_needs_a_model() -> None:
    with pytest.raises(InputError, match="needs a key in the environment variable OPENAI_API_KEY"):
        get_provider("openai", ProviderSettings(model="gpt"))
    with pytest.raises(InputError, match="needs the name of a model"):
        get_provider("openai", ProviderSettings(base_url="http://127.0.0.1:1/v1"))
    with pytest.raises(InputError, match=r"no provider is called 'oracle'; there are .*openai, .*rewriter"):
        get_provider("oracle")


@pytest.mark.parametrize(
    ("status", "means", "said"),
    [
        (301, "suspect", "sends on to another address"),
        (400, "suspect", "refused the request with status 400: the server says so"),
        (401, "fatal", r"refused the key in OPENAI_API_KEY \(401\)$"),
        (402, "fatal", "says that the quota is used up"),
        (403, "fatal", r"denied access to the model some-model \(403\)"),
        (404, "fatal", "knows no model 'some-model', or there is nothing to chat with at http.*/v1/chat/completions"),
        (405, "fatal", "there is nothing to chat with at"),
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


def test_a_request_that_is_too_long_says_nothing_of_the_next() -> None:
    body = {"error": {"message": "too many tokens", "code": "context_length_exceeded"}}
    with serving(reply(body, 400)) as server, pytest.raises(ProviderError, match="too many tokens") as caught:
        ask(server.url)
    assert meaning(caught.value) == "refused"


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


def test_a_completion_is_read_whatever_it_is_called() -> None:
    data = json.dumps(completion_body(Completion("x"))).encode()
    with serving(lambda _: (200, {"Content-Type": "text/plain"}, data)) as server:
        assert ask(server.url).text == "x"


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


def test_a_cut_answer_is_given_with_its_reason() -> None:
    with serving(reply(completion_body(Completion("half"), finish_reason="length"))) as server:
        assert ask(server.url).finish_reason == "length"


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many", "completion_tokens": -1}])
def test_odd_token_counts_are_dropped(usage: Any) -> None:
    with serving(reply({**completion_body(Completion("x")), "usage": usage, "model": None})) as server:
        got = ask(server.url)
    assert (got.prompt_tokens, got.completion_tokens, got.model) == (None, None, "some-model")


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


def test_how_long_to_wait_is_passed_on() -> None:
    busy = lambda _: (429, {"Retry-After": "7"}, b"{}")  # noqa: E731
    with serving(busy) as server, pytest.raises(ProviderError) as caught:
        ask(server.url)
    assert caught.value.retry_after == 7


def test_a_key_sent_back_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Gateway: Bearer {KEY[::-1]}")
    other = "sk-somebody-elses-0123"
    text = f"print('{KEY}', '{KEY[::-1]}', '{other}', '{KEY}')"
    with serving(chat(lambda request: Completion(text, f"model-{KEY}"))) as server:
        got = ask(server.url)
    assert got.text == f"print('***', '***', '{other}', '***')"
    assert (got.model, got.masked) == ("model-***", 3)
    assert server.keys == [f"Bearer {KEY}"]


def test_a_placeholder_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    with serving(chat(lambda request: Completion("EMPTY = ()"))) as server:
        assert ask(server.url).text == "EMPTY = ()"


@pytest.mark.parametrize("key", [f"{KEY}\nX-Injected: 1", f"two {KEY}", f"{KEY}…"])
def test_a_key_that_is_none_is_refused_without_being_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError, match="OPENAI_API_KEY should hold a key of printable ASCII") as caught:
        provider_at("http://127.0.0.1:1/v1")
    assert "sk-" not in str(caught.value)


def test_the_address_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(chat(lambda request: Completion("x"))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert ask("").text == "x"
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://me:{KEY}@host/v1")
    with pytest.raises(InputError, match="OPENAI_BASE_URL should hold no user") as caught:
        provider_at("")
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("address", ["ftp://host/v1", "http://", "http://host:99999/v1", "http://[::1/v1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="base_url should look like http://host:port/v1"):
        provider_at(address)


def test_the_provider_never_shows_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    provider = provider_at("http://127.0.0.1:1/v1")
    assert KEY not in repr(provider)
    assert KEY not in str(provider)


def test_many_requests_share_the_provider() -> None:
    def echo(request: Request) -> Completion:
        return Completion(str(request.seed))

    async def many(served: Served) -> list[str]:
        provider = provider_at(served.url)
        requests = [Request(REQUEST.messages, seed=i) for i in range(40)]
        answers = await asyncio.gather(*map(provider.complete, requests))
        await provider.aclose()
        return [answer.text for answer in answers]

    with serving(chat(echo)) as server:
        assert asyncio.run(many(server)) == [str(i) for i in range(40)]


SCHEMA = {"type": "object", "properties": {"score": {"type": "number"}}, "required": ["score"]}


def asking_twice(handle: Callable[[dict[str, Any]], Reply], schemas: list[Any]) -> tuple[Served, list[Any]]:
    """Ask one provider with each schema in turn, and return the server and what came back."""

    async def all_of(url: str) -> list[Any]:
        provider, found = provider_at(url), []
        for schema in schemas:
            try:
                found.append((await provider.complete(replace(REQUEST, schema=schema))).text)
            except ProviderError as error:
                found.append(str(error))
        await provider.aclose()
        return found

    with serving(handle) as served:
        return served, asyncio.run(all_of(served.url))


def test_a_schema_is_sent_strictly() -> None:
    served, found = asking_twice(chat(lambda _: Completion("{}")), [SCHEMA, None])
    assert found == ["{}", "{}"]
    shape = {"name": "answer", "strict": True, "schema": SCHEMA}
    assert served.bodies[0]["response_format"] == {"type": "json_schema", "json_schema": shape}
    assert "response_format" not in served.bodies[1]


def test_an_endpoint_that_takes_no_schema_is_asked_without_and_that_is_remembered() -> None:
    def handle(body: dict[str, Any]) -> Reply:
        if "response_format" in body:
            return reply({"error": {"message": "unknown field response_format"}}, 400)(body)
        return chat(lambda _: Completion("{}"))(body)

    served, found = asking_twice(handle, [SCHEMA, SCHEMA])
    assert found == ["{}", "{}"]
    assert ["response_format" in body for body in served.bodies] == [True, False, False]


def test_where_a_schema_was_taken_a_refusal_is_the_requests_own() -> None:
    answers = iter(
        [chat(lambda _: Completion("{}")), reply({"error": {"message": "no"}}, 400), chat(lambda _: Completion("{}"))]
    )
    served, found = asking_twice(lambda body: next(answers)(body), [SCHEMA, SCHEMA, SCHEMA])
    assert found[0] == found[2] == "{}"
    assert "refused the request with status 400" in found[1]
    assert all("response_format" in body for body in served.bodies)


def test_a_request_refused_with_and_without_its_schema_says_nothing_of_schemas() -> None:
    answers = iter([reply({}, 400), reply({}, 400), chat(lambda _: Completion("{}"))])
    served, found = asking_twice(lambda body: next(answers)(body), [SCHEMA, SCHEMA])
    assert "refused the request with status 400" in found[0]
    assert found[1] == "{}"
    assert ["response_format" in body for body in served.bodies] == [True, False, True]
