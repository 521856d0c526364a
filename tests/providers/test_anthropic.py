"""The provider ``anthropic`` against a Messages API on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from support.openai_server import Reply, Served, serving
from trimtab.errors import InputError, ProviderError
from trimtab.providers import anthropic, remote
from trimtab.providers.base import Completion, Message, ProviderSettings, Request

pytest.importorskip("anthropic", reason="needs the extra anthropic")

KEY = "sk-ant-planted-0123456789"
MESSAGES = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Go"))
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def message(text: str = "Done.", **changes: Any) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4}
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]
    return {"type": "message", "model": "m-1", "content": content, "stop_reason": "end_turn", "usage": usage, **changes}


def reply(body: Any, status: int = 200) -> Callable[[dict[str, Any]], Reply]:
    return lambda _: (status, JSON, json.dumps(body).encode())


def ask(answer: Callable[[dict[str, Any]], Reply], request: Request) -> tuple[Completion, Served]:
    async def once(url: str) -> Completion:
        provider = anthropic.AnthropicProvider(ProviderSettings("some-model", url))
        try:
            return await provider.complete(request)
        finally:
            await provider.aclose()

    with serving(answer, "/v1/messages") as server:
        return asyncio.run(once(server.url.removesuffix("/v1"))), server


def test_a_request_and_its_answer_cross_whole() -> None:
    got, server = ask(reply(message()), Request(MESSAGES, "named", 0.25, 77, 5, ("END",)))
    assert got == Completion("Done.", "m-1", "stop", 17, 5, 3)
    assert server.bodies == [
        {
            "model": "named",
            "max_tokens": 77,
            "system": "Be brief.",
            "messages": [{"role": m.role, "content": m.content} for m in MESSAGES[1:]],
            "stop_sequences": ["END"],
            "temperature": 0.25,
        }
    ]
    assert KEY in " ".join(server.headers[0].values())
    assert server.headers[0]["accept-encoding"] == "identity"


def test_what_is_not_given_is_not_sent_but_for_the_longest_answer() -> None:
    _, server = ask(reply(message()), Request(MESSAGES[1:2]))
    messages = [{"role": "user", "content": "Hi"}]
    assert server.bodies == [{"model": "some-model", "max_tokens": anthropic.MAX_TOKENS, "messages": messages}]


def test_a_key_sent_back_is_masked() -> None:
    got, _ = ask(reply(message(f"key {KEY}", model=f"m {KEY}")), Request(MESSAGES))
    assert (got.text, got.model, got.masked) == ("key ***", "m ***", 1)


def test_an_answer_cut_short_says_so() -> None:
    assert ask(reply(message(stop_reason="max_tokens")), Request(MESSAGES))[0].finish_reason == "length"


@pytest.mark.parametrize(
    ("status", "body", "said", "again"),
    [
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "too much to do", "busy"),
        (500, {}, "failed with status 500", "passing"),
        (401, {"error": {"message": KEY}}, r"refused the key in ANTHROPIC_API_KEY \(401\)$", "no"),
        (404, {"error": {"message": "model: some-model"}}, "knows no model 'some-model'", "no"),
        (200, message(stop_reason="refusal"), "refused to answer", "no"),
        (200, message(content=[]), "gave no text", "no"),
        (200, message(content=None), "no message", "passing"),
        (200, [], "no message", "passing"),
    ],
)
def test_what_is_no_answer_becomes_a_sentence(status: int, body: Any, said: str, again: str) -> None:
    with pytest.raises(ProviderError, match=said) as caught:
        ask(reply(body, status), Request(MESSAGES))
    assert caught.value.again == again
    assert KEY not in repr(caught.value)
    assert caught.value.__context__ is None
    if isinstance(body, dict) and "usage" in body and again == "no":
        assert caught.value.usage["completion_tokens"] == 5


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="provider anthropic needs the name of a model"):
        anthropic.AnthropicProvider(ProviderSettings())
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(InputError, match=r"Anthropic's own endpoint needs a key in .* ANTHROPIC_API_KEY"):
        anthropic.AnthropicProvider(ProviderSettings("m"))
    monkeypatch.setattr(remote, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'trimtab\[anthropic\]'"):
        anthropic.AnthropicProvider(ProviderSettings("m"))


def test_an_address_of_the_other_protocol_is_set_right() -> None:
    with serving(reply(message()), "/v1/messages") as server:

        async def once() -> None:
            provider = anthropic.AnthropicProvider(ProviderSettings("some-model", server.url))
            try:
                await provider.complete(Request(MESSAGES))
            finally:
                await provider.aclose()

        with pytest.raises(ProviderError, match=r"\(404\): give the address as http://127\.0\.0\.1:\d+$"):
            asyncio.run(once())
