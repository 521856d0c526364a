"""The provider ``openai`` against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.openai_server import Reply, Served, chat, completion_body, serving
from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, Message, ProviderSettings, Request
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


def ask(url: str, request: Request = REQUEST, timeout: float = 10.0, retries: int = 0) -> Completion:
    async def once() -> Completion:
        provider = OpenAIProvider("some-model", base_url=url, timeout=timeout, retries=retries)
        try:
            return await provider.complete(request)
        finally:
            await provider.aclose()

    return asyncio.run(once())


def reply(body: Any, status: int = 200) -> Callable[[dict[str, Any]], Reply]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: (status, JSON, data)


def test_a_request_and_its_answer_cross_whole() -> None:
    given = Completion("Grüße \x00 ```python```", "other-name", "stop", 12, 34)
    with serving(chat(lambda request: given)) as server:
        got = ask(server.url, Request(REQUEST.messages, "named", 0.25, 77, 2**62 + 1))
    assert got == given
    (body,) = server.bodies
    assert body == {
        "model": "named",
        "seed": 2**62 + 1,
        "temperature": 0.25,
        "max_tokens": 77,
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
    with pytest.raises(InputError, match="no provider is called 'oracle'; there are openai, rewriter"):
        get_provider("oracle")


@pytest.mark.parametrize(
    ("status", "fatal", "said"),
    [
        (400, False, "refused the request with status 400: the server says so"),
        (401, True, r"refused the key in OPENAI_API_KEY \(401\)$"),
        (403, True, r"denied access to the model some-model \(403\)"),
        (404, True, r"knows no model 'some-model', or is not the right address \(404\)"),
        (422, False, "status 422"),
        (429, False, r"asked to slow down, again after every retry \(429\)"),
        (500, False, "failed with status 500: the server says so"),
        (503, False, "failed with status 503"),
    ],
)
def test_refusals_become_sentences_without_the_key(
    status: int, fatal: bool, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    body = {"error": {"message": f"the server says so\n\x1b[31m about {KEY}", "code": None}}
    with serving(reply(body, status)) as server, pytest.raises(ProviderError, match=said) as caught:
        ask(server.url)
    assert caught.value.fatal is fatal
    assert KEY not in repr(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert KEY not in caplog.text
    assert len(server.bodies) == 1


def test_a_used_up_quota_is_fatal() -> None:
    body = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with serving(reply(body, 429)) as server, pytest.raises(ProviderError, match="the quota is used up") as caught:
        ask(server.url)
    assert caught.value.fatal


def test_a_refusal_that_passes_is_tried_again() -> None:
    answers = iter([reply({"error": {"message": "busy"}}, 503), chat(lambda request: Completion("at last"))])
    with serving(lambda body: next(answers)(body)) as server:
        assert ask(server.url, retries=2).text == "at last"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**completion_body(Completion("x")), "choices": []}, "without any choice"),
        ({**completion_body(Completion("x")), "choices": None}, "no chat completion"),
        ({}, "no chat completion"),
        ([], "the endpoint http://127.0.0.1"),
        ("text", "no chat completion"),
        (b"{broken", "the endpoint http://127.0.0.1"),
        (b"\xff\xfe", "the endpoint http://127.0.0.1"),
        (completion_body(Completion("x"), message={"role": "assistant", "content": None}), "gave no text"),
        (completion_body(Completion("x"), message=None), "gave no text"),
        (completion_body(Completion("x"), message={"role": "assistant", "content": [1]}), "gave no text"),
        (completion_body(Completion("x"), message={"content": None, "refusal": "I will not"}), "I will not"),
        (completion_body(Completion("x"), finish_reason="content_filter"), "content filter withheld"),
    ],
)
def test_answers_that_are_none_become_sentences(body: Any, said: str) -> None:
    with serving(reply(body)) as server, pytest.raises(ProviderError, match=said) as caught:
        ask(server.url)
    assert not caught.value.fatal


def test_a_page_instead_of_an_answer_is_refused() -> None:
    page = lambda _: (200, {"Content-Type": "text/html"}, b"<html>Welcome</html>")  # noqa: E731
    with serving(page) as server, pytest.raises(ProviderError, match="no chat completion"):
        ask(server.url)


def test_a_wrong_path_is_named() -> None:
    with serving(reply({})) as server, pytest.raises(ProviderError, match="not the right address") as caught:
        ask(server.url.removesuffix("/v1"))
    assert caught.value.fatal


def test_a_cut_answer_is_given_with_its_reason() -> None:
    with serving(reply(completion_body(Completion("half"), finish_reason="length"))) as server:
        assert ask(server.url).finish_reason == "length"


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many", "completion_tokens": -1}])
def test_odd_token_counts_are_dropped(usage: Any) -> None:
    with serving(reply({**completion_body(Completion("x")), "usage": usage, "model": None})) as server:
        got = ask(server.url)
    assert (got.prompt_tokens, got.completion_tokens, got.model) == (None, None, "some-model")


def test_nobody_listening_is_fatal() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ProviderError, match=rf"nobody is listening at http://127.0.0.1:{port}/v1") as caught:
        ask(f"http://127.0.0.1:{port}/v1")
    assert caught.value.fatal


def test_a_host_that_does_not_exist_is_fatal() -> None:
    with pytest.raises(ProviderError, match="nobody is listening at") as caught:
        ask("http://no-such-host.invalid/v1")
    assert caught.value.fatal


def test_a_connection_that_breaks_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(10)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(ProviderError, match=r"the connection to .* failed") as caught:
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        thread.join()
    assert not caught.value.fatal


def test_silence_ends_at_the_timeout() -> None:
    def slow(body: dict[str, Any]) -> Reply:
        time.sleep(0.6)
        return 200, JSON, b"{}"

    with serving(slow) as server, pytest.raises(ProviderError, match=r"no answer within 0\.1 s") as caught:
        ask(server.url, timeout=0.1)
    assert not caught.value.fatal


def test_the_provider_never_shows_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    provider = OpenAIProvider("m", base_url="http://127.0.0.1:1/v1")
    assert KEY not in repr(provider)
    assert KEY not in str(provider)


def test_many_requests_share_the_provider() -> None:
    def echo(request: Request) -> Completion:
        return Completion(str(request.seed))

    async def many(served: Served) -> list[str]:
        provider = OpenAIProvider("m", base_url=served.url)
        requests = [Request(REQUEST.messages, seed=i) for i in range(40)]
        answers = await asyncio.gather(*map(provider.complete, requests))
        await provider.aclose()
        return [answer.text for answer in answers]

    with serving(chat(echo)) as server:
        assert asyncio.run(many(server)) == [str(i) for i in range(40)]
