"""``serve-model`` over a real socket: the protocol, whole and streamed, and what it refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest

from support.model_server import Running, model_serving, until
from trimtab.core.streams import stream_seed
from trimtab.providers.base import Completion, Message, Provider, Request
from trimtab.providers.rewriter.answer import MODEL, rewrite
from trimtab.web.chat import ChatError, read_request
from trimtab.web.echo import EchoProvider
from trimtab.web.model_server import LARGEST_REQUEST

KEY = "sk-planted-0123456789"
PROGRAM = "def load(name):\n    return eval(open(name).read())\n"
USER = f"Make the program more secure.\n\n```python\n{PROGRAM}```"
MESSAGES: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": USER}]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with model_serving() as server:
        yield server


@pytest.fixture
def client(running: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=running.url, api_key="none", max_retries=0) as made:
        yield made


def ask(running: Running, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection.request(method, path, data, JSON if headers is None else headers)
    got = connection.getresponse()
    read = got.read()
    connection.close()
    return got.status, json.loads(read), got.headers


def chat(running: Running, **fields: Any) -> tuple[int, Any, Any]:
    return ask(running, "POST", "/v1/chat/completions", {"model": "echo", "messages": MESSAGES, **fields})


@pytest.mark.parametrize("seed", [0, 5, 2**63 - 1])
def test_the_rewriter_answers_as_it_does_embedded(client: openai.OpenAI, seed: int) -> None:
    request = Request((Message("system", "Be brief."), Message("user", USER)), MODEL, 1.3, 4000, seed)
    expected = rewrite(request)
    got = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, temperature=1.3, max_tokens=4000, seed=seed, n=1
    )
    (choice,) = got.choices
    assert (choice.message.content, choice.finish_reason, got.model) == (expected.text, expected.finish_reason, MODEL)
    assert choice.message.role == "assistant"
    assert got.usage is not None
    assert got.usage.prompt_tokens == expected.prompt_tokens
    assert got.usage.completion_tokens == expected.completion_tokens
    assert got.usage.total_tokens == got.usage.prompt_tokens + got.usage.completion_tokens


@pytest.mark.parametrize("usage", [True, False])
def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI, usage: bool) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=MESSAGES, seed=9)
    options: Any = {"stream_options": {"include_usage": True}} if usage else {}
    stream = client.chat.completions.create(model=MODEL, messages=MESSAGES, seed=9, stream=True, **options)
    chunks = list(stream)
    told = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert told == ([whole.usage] if usage else [])
    pieces = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(piece.delta.content or "" for piece in pieces) == whole.choices[0].message.content
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
    assert pieces[0].delta.role == "assistant"
    assert len(pieces) > 5
    assert len({chunk.id for chunk in chunks}) == 1


def test_an_answer_without_a_seed_is_another_each_time_and_the_same_from_a_new_server(running: Running) -> None:
    def answers(server: Running) -> list[str]:
        body = {"model": MODEL, "messages": MESSAGES, "temperature": 2}
        sent = [ask(server, "POST", "/v1/chat/completions", body)[1] for _ in range(3)]
        assert len({one["id"] for one in sent}) == 3
        return [one["choices"][0]["message"]["content"] for one in sent]

    first = answers(running)
    assert len(set(first)) == 3
    with model_serving() as other:
        assert answers(other) == first


def test_echo_gives_the_program_back(client: openai.OpenAI) -> None:
    got = client.chat.completions.create(model="echo", messages=MESSAGES)
    assert got.choices[0].message.content == f"```python\n{PROGRAM.rstrip()}\n```\n"
    assert got.usage is not None
    assert got.usage.prompt_tokens > 0


def test_echo_gives_a_message_without_a_program_back_whole(client: openai.OpenAI) -> None:
    parts: Any = [{"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]}]
    got = client.chat.completions.create(model="echo", messages=parts, max_completion_tokens=10)
    assert (got.choices[0].message.content, got.choices[0].finish_reason) == ("a b", "stop")


@pytest.mark.parametrize("stop", ["return", ["nowhere", "return", "open"], ["open", "return"]])
def test_an_answer_ends_before_its_first_stop(client: openai.OpenAI, stop: Any) -> None:
    got = client.chat.completions.create(model="echo", messages=MESSAGES, stop=stop)
    assert got.choices[0].message.content == "```python\ndef load(name):\n    "
    assert got.choices[0].finish_reason == "stop"
    assert got.usage is not None
    assert got.usage.completion_tokens == 8


def test_max_tokens_cut_and_a_stop_before_the_cut_wins(client: openai.OpenAI) -> None:
    cut = client.chat.completions.create(model="echo", messages=MESSAGES, max_tokens=5)
    assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == ("```python\ndef load(n", "length")
    stopped = client.chat.completions.create(model="echo", messages=MESSAGES, max_tokens=5, stop="load")
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("```python\ndef ", "stop")


def test_models_are_listed_and_described(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL, "echo"]
    assert client.models.retrieve("echo").owned_by == "trimtab"
    with pytest.raises(openai.NotFoundError, match="there are rewriter-1, echo"):
        client.models.retrieve("gpt")


def test_health_counts_requests(running: Running) -> None:
    before = ask(running, "GET", "/health")[1]
    chat(running)
    after = ask(running, "GET", "/health")[1]
    assert (before["status"], before["models"]) == ("ok", [MODEL, "echo"])
    assert after["requests"] == before["requests"] + 1


def test_an_answer_takes_its_latency_and_says_how_long_it_took() -> None:
    with model_serving(latency=0.06) as running:
        headers = chat(running)[2]
    assert headers["Server-Timing"].startswith("total;dur=")
    assert 60 <= float(headers["Server-Timing"].partition("dur=")[2]) < 5000


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"model": "gpt"}, "model", "there are rewriter-1, echo"),
        ({"model": ""}, "model", "should have at least 1 character"),
        ({"messages": None}, "messages", "should be a valid array, but is None"),
        ({"messages": []}, "messages", "should have at least 1 item, but is []"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "'user' or 'assistant', but is 'tool'"),
        ({"messages": [{"role": "user"}]}, "messages[0]", "a message of role user needs a content"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "is missing"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content", "only text"),
        ({"temperature": "hot"}, "temperature", "should be a valid number, but is 'hot'"),
        ({"temperature": 2.1}, "temperature", "should be less than or equal to 2, but is 2.1"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1, but is 0"),
        ({"seed": 1.5}, "seed", "should be a valid integer, but is 1.5"),
        ({"seed": 2**63}, "seed", "seed should be less than"),
        ({"stop": list("abcde")}, "stop", "at most 4 items, but is"),
        ({"stop": [""]}, "stop[0]", "at least 1 character"),
        ({"n": 2}, "n", "less than or equal to 1, but is 2"),
        ({"stream": "yes"}, "stream", "should be a valid boolean"),
        ({"stream_options": {"include_usage": True}}, None, "stream_options goes with stream: true"),
        ({"max_tokens": 1, "max_completion_tokens": 1}, None, "not both"),
        ({"response_format": {"type": "json_object"}}, "response_format.type", "'text', but is 'json_object'"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(running: Running, fields: Any, param: str | None, said: str) -> None:
    status, body, _ = chat(running, **fields)
    error = body["error"]
    assert status == (404 if fields.get("model") == "gpt" else 400)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["code"] == ("model_not_found" if status == 404 else None)
    assert said in error["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "must be JSON"),
        (b'{"model":', "must be JSON"),
        (b"\xff\xfe", "must be JSON"),
        (b"[]", "must be a JSON object"),
        (b"[" * 100_000, "must be JSON"),
        (b'{"model": "echo", "messages": [{"role": "user", "content": "\\ud800"}]}', "must be JSON"),
        (b'{"model": "echo", "temperature": NaN, "messages": [{"role": "user", "content": "x"}]}', "temperature"),
    ],
)
def test_a_body_that_is_no_request_is_refused(running: Running, body: bytes, said: str) -> None:
    status, got, _ = ask(running, "POST", "/v1/chat/completions", body)
    assert status == 400
    assert said in got["error"]["message"]


def test_wrong_methods_paths_and_media_types_get_errors_of_the_protocol(running: Running) -> None:
    for method, path, headers, expected in (
        ("GET", "/v1/chat/completions", None, 405),
        ("DELETE", "/v1/models", None, 405),
        ("POST", "/v1/completions", None, 404),
        ("POST", "/v1/chat/completions", {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/chat/completions", {}, 415),
    ):
        status, body, got = ask(running, method, path, b"{}", headers)
        assert (status, set(body["error"])) == (expected, {"message", "type", "param", "code"})
        assert got["Content-Type"] == "application/json"


def test_a_request_too_large_is_refused_announced_or_not(running: Running) -> None:
    assert ask(running, "POST", "/v1/chat/completions", b"x" * (LARGEST_REQUEST + 1))[0] == 413
    with socket.create_connection(("127.0.0.1", running.port)) as raw:
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
        for _ in range(LARGEST_REQUEST // 0x100000 + 1):
            raw.sendall(piece)
        assert raw.recv(20).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("field", ["messages", "stop"])
def test_a_request_wrong_in_many_places_takes_no_more_memory_than_one(field: str) -> None:
    body = json.dumps({"model": "echo", "messages": MESSAGES} | {field: [1] * 100_000}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(ChatError, match=rf"{field}\[0\] should be"):
            read_request(body)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(body)
    finally:
        tracemalloc.stop()


def test_of_a_model_that_does_not_exist_no_more_than_a_line_is_repeated(running: Running) -> None:
    status, body, _ = chat(running, model="x" * 5_000)
    assert (status, body["error"]["code"]) == (404, "model_not_found")
    assert len(body["error"]["message"]) < 300


def test_a_key_is_asked_for_and_never_repeated() -> None:
    with model_serving(key=KEY) as running:
        body = {"model": "echo", "messages": MESSAGES}

        def attempt(method: str, path: str, **headers: str) -> tuple[int, Any, Any]:
            return ask(running, method, path, body if method == "POST" else None, {**JSON, **headers})

        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/v1/models/echo")):
            assert attempt(method, path)[0] == 401
            status, got, _ = attempt(method, path, Authorization=f"Bearer {KEY}x")
            assert (status, got["error"]["code"]) == (401, "invalid_api_key")
            assert KEY not in json.dumps(got)
            assert attempt(method, path, Authorization=f"Bearer {KEY}")[0] == 200
        assert ask(running, "GET", "/health")[0] == 200


class Patient(EchoProvider):
    """Takes a minute for an answer, and notes if it is told to stop."""

    given_up = False

    async def complete(self, request: Request) -> Completion:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.given_up = True
            raise
        return Completion("")


def test_a_client_that_hangs_up_leaves_no_work_behind() -> None:
    patient = Patient()
    with model_serving() as running:
        cast("dict[str, Provider]", running.server.models)["patient"] = patient
        with socket.create_connection(("127.0.0.1", running.port)) as raw:
            body = json.dumps({"model": "patient", "messages": MESSAGES}).encode()
            raw.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            assert until(lambda: running.server.answering == 1)
        assert until(lambda: running.server.answering == 0)
        assert until(lambda: patient.given_up, 2)


def test_the_seed_of_an_answer_is_that_of_the_request(running: Running) -> None:
    seed = stream_seed(4, "EF", "calculator", 0, 1)
    request = Request((Message("user", USER),), MODEL, None, None, seed)
    body = {"model": MODEL, "messages": [{"role": "user", "content": USER}], "seed": seed}
    got = ask(running, "POST", "/v1/chat/completions", body)[1]
    assert got["choices"][0]["message"]["content"] == rewrite(request).text
