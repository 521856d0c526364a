"""The provider ``openai`` against a real HTTP server on loopback: what is asked, what is read, and keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from support.asking import KEY, REQUEST, ask, provider_at, reply
from support.openai_server import Reply, Served, chat, completion_body, serving
from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, ProviderSettings, Request
from trimtab.providers.registry import get_provider


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


def test_a_completion_is_read_whatever_it_is_called() -> None:
    data = json.dumps(completion_body(Completion("x"))).encode()
    with serving(lambda _: (200, {"Content-Type": "text/plain"}, data)) as server:
        assert ask(server.url).text == "x"


def test_a_cut_answer_is_given_with_its_reason() -> None:
    with serving(reply(completion_body(Completion("half"), finish_reason="length"))) as server:
        assert ask(server.url).finish_reason == "length"


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many", "completion_tokens": -1}])
def test_odd_token_counts_are_dropped(usage: Any) -> None:
    with serving(reply({**completion_body(Completion("x")), "usage": usage, "model": None})) as server:
        got = ask(server.url)
    assert (got.prompt_tokens, got.completion_tokens, got.model) == (None, None, "some-model")


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
    for address in (f"https://me:{KEY}@host/v1", f"https://host/v1?key={KEY}", f"https://host/v1#{KEY}"):
        monkeypatch.setenv("OPENAI_BASE_URL", address)
        with pytest.raises(InputError, match="OPENAI_BASE_URL should hold no user") as caught:
            provider_at("")
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        *("ftp://host/v1", "http://", "http://host:99999/v1", "http://[::1/v1", " http://host/v1", "http://host\n/v1"),
        *("http://ho st/v1", "http://host/\x00", "http://ü..example/v1", f"http://{'a' * 64}.example/v1"),
    ],
)
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


@pytest.mark.parametrize("status", [400, 422, 500])
def test_an_endpoint_that_takes_no_schema_is_asked_without_and_that_is_remembered(status: int) -> None:
    def handle(body: dict[str, Any]) -> Reply:
        if "response_format" in body:
            return reply({"error": {"message": "unknown field response_format"}}, status)(body)
        return chat(lambda _: Completion("{}"))(body)

    served, found = asking_twice(handle, [SCHEMA, SCHEMA])
    assert found == ["{}", "{}"]
    assert ["response_format" in body for body in served.bodies] == [True, True, False, False]


def test_an_endpoint_that_knows_an_older_form_of_schemas_is_asked_in_that() -> None:
    def handle(body: dict[str, Any]) -> Reply:
        if body["response_format"]["type"] == "json_schema":
            return reply({"error": {"message": "response_format.type should be 'text' or 'json_object'"}}, 500)(body)
        return chat(lambda _: Completion("{}"))(body)

    served, found = asking_twice(handle, [SCHEMA, SCHEMA])
    assert found == ["{}", "{}"]
    assert served.bodies[1]["response_format"] == {"type": "json_object", "schema": SCHEMA}
    assert [body["response_format"]["type"] for body in served.bodies] == ["json_schema", "json_object", "json_object"]


def test_where_a_schema_was_taken_a_refusal_is_the_requests_own() -> None:
    answers = iter(
        [chat(lambda _: Completion("{}")), reply({"error": {"message": "no"}}, 400), chat(lambda _: Completion("{}"))]
    )
    served, found = asking_twice(lambda body: next(answers)(body), [SCHEMA, SCHEMA, SCHEMA])
    assert found[0] == found[2] == "{}"
    assert "refused the request with status 400" in found[1]
    assert all("response_format" in body for body in served.bodies)


def test_an_answer_withheld_for_its_own_reasons_is_not_asked_for_again_without_a_schema() -> None:
    withheld = reply(completion_body(Completion(""), finish_reason="content_filter"))
    served, found = asking_twice(withheld, [SCHEMA])
    assert "content filter" in found[0]
    assert len(served.bodies) == 1


def test_a_request_refused_with_and_without_its_schema_says_nothing_of_schemas() -> None:
    answers = iter([*[reply({}, 400)] * 3, chat(lambda _: Completion("{}"))])
    served, found = asking_twice(lambda body: next(answers)(body), [SCHEMA, SCHEMA])
    assert "refused the request with status 400" in found[0]
    assert found[1] == "{}"
    assert ["response_format" in body for body in served.bodies] == [True, True, False, True]
