"""Faults: which request meets with which, and what then comes over a real socket."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections import Counter
from typing import Any

import openai
import pytest

from support.binomial import least, most
from support.model_server import Running, model_serving, until
from trimtab.errors import InputError
from trimtab.web.fault_responses import HUGE
from trimtab.web.faults import KINDS, Attempts, FaultPlan, read_shares

PROGRAM = "def double(x):\n    return 2 * x\n"
MESSAGES: Any = [{"role": "user", "content": f"Improve this.\n\n```python\n{PROGRAM}```"}]
ANSWER = f"```python\n{PROGRAM.rstrip()}\n```\n"


def request_bytes(stream: bool = False) -> bytes:
    body = json.dumps({"model": "echo", "messages": MESSAGES, "stream": stream}).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    return head % len(body) + body


def fetched(running: Running, stream: bool = False) -> tuple[int, Any, bytes]:
    """Return status, headers and body of one request, the body as it came."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    body = json.dumps({"model": "echo", "messages": MESSAGES, "stream": stream})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    got = connection.getresponse()
    read = got.read()
    connection.close()
    return got.status, got.headers, read


def completed(running: Running, timeout: float = 20.0, stream: bool = False) -> Any:
    """Return what the openai package makes of an answer: a completion, or the list of its chunks."""
    with openai.OpenAI(base_url=running.url, api_key="none", max_retries=0, timeout=timeout) as client:
        got = client.chat.completions.create(model="echo", messages=MESSAGES, stream=stream)
        return list(got) if stream else got


def events(body: bytes) -> list[bytes]:
    return [event.removeprefix(b"data: ") for event in body.split(b"\n\n")]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "raised", "code"),
    [
        ("429", openai.RateLimitError, "rate_limit_exceeded"),
        ("429-retry-after", openai.RateLimitError, "rate_limit_exceeded"),
        ("500", openai.InternalServerError, None),
        ("503", openai.InternalServerError, "overloaded"),
    ],
)
def test_a_refusal_has_its_status_and_an_error_of_the_protocol(
    kind: str, raised: type[openai.APIStatusError], code: str | None, stream: bool
) -> None:
    with model_serving(shares={kind: 1.0}, retry_after=2.5) as running, pytest.raises(raised) as caught:
        completed(running, stream=stream)
    assert caught.value.status_code == int(kind[:3])
    assert caught.value.code == code
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}
    assert caught.value.response.headers.get("retry-after") == ("2.5" if kind == "429-retry-after" else None)


def test_a_reset_is_a_reset() -> None:
    with model_serving(shares={"reset": 1.0}) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as raw:
            raw.sendall(request_bytes())
            with pytest.raises(ConnectionResetError):
                raw.recv(1)
        with pytest.raises(openai.APIConnectionError):
            completed(running)


def test_a_hang_says_nothing_and_then_closes() -> None:
    with (
        model_serving(shares={"hang": 1.0}, hang=0.3) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=20) as raw,
    ):
        began = time.monotonic()
        raw.sendall(request_bytes())
        assert raw.recv(1) == b""
        assert time.monotonic() - began >= 0.29


def test_a_client_with_less_patience_than_a_hang_times_out_and_the_server_ends_all_the_same() -> None:
    with model_serving(shares={"hang": 1.0}) as running:
        with pytest.raises(openai.APITimeoutError):
            completed(running, timeout=0.2)
        raw = socket.create_connection(("127.0.0.1", running.port))
        raw.sendall(request_bytes())
        assert until(lambda: running.server.met["hang"] == 2)
        began = time.monotonic()
    raw.close()
    assert time.monotonic() - began < 10, "a connection that hangs must not hold up the end"


@pytest.mark.parametrize("stream", [False, True])
def test_a_drip_is_the_right_answer_slowly(stream: bool) -> None:
    with (
        model_serving(shares={"drip": 1.0}, drip=0.5) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=20) as raw,
    ):
        got = completed(running, stream=stream)
        text = "".join(c.choices[0].delta.content or "" for c in got) if stream else got.choices[0].message.content
        assert text == ANSWER
        began, pieces = time.monotonic(), []
        raw.sendall(request_bytes(stream))
        while not pieces or not b"".join(pieces).endswith(b"0\r\n\r\n"):
            pieces.append(raw.recv(65536))
        assert time.monotonic() - began >= 0.4
        assert len(pieces) >= 4


def test_truncated_json_has_the_length_it_announces_and_breaks_off() -> None:
    with model_serving(shares={"truncated-json": 1.0}) as running:
        status, headers, body = fetched(running)
        assert (status, headers["Content-Type"], int(headers["Content-Length"])) == (200, "application/json", len(body))
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
        with pytest.raises(json.JSONDecodeError):
            completed(running)
        _, _, body = fetched(running, stream=True)
        assert b"[DONE]" not in body
        with pytest.raises(json.JSONDecodeError):
            json.loads(events(body)[-1])


def test_empty_choices() -> None:
    with model_serving(shares={"empty-choices": 1.0}) as running:
        got = completed(running)
        assert (got.choices, got.object, got.model) == ([], "chat.completion", "echo")
        chunks = completed(running, stream=True)
        assert chunks
        assert not any(chunk.choices for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_content_type_is_a_page(stream: bool) -> None:
    with model_serving(shares={"content-type": 1.0}) as running:
        status, headers, body = fetched(running, stream)
    assert (status, headers.get_content_type()) == (200, "text/html")
    assert body.startswith(b"<!doctype html>")


@pytest.mark.parametrize(("kind", "reason"), [("length", "length"), ("content-filter", "content_filter")])
def test_a_finish_reason_other_than_stop(kind: str, reason: str) -> None:
    with model_serving(shares={kind: 1.0}) as running:
        choice = completed(running).choices[0]
        streamed = [chunk.choices[0] for chunk in completed(running, stream=True)]
    text = choice.message.content
    assert choice.finish_reason == streamed[-1].finish_reason == reason
    assert (text or "") == "".join(piece.delta.content or "" for piece in streamed)
    assert (text or "") == (ANSWER[: len(ANSWER) // 2] if kind == "length" else "")
    assert (text is None) == (kind == "content-filter")


@pytest.mark.parametrize("stream", [False, True])
def test_a_huge_answer_is_valid_and_fifty_megabytes_long(stream: bool) -> None:
    with model_serving(shares={"huge": 1.0}) as running:
        _, headers, body = fetched(running, stream)
    assert headers["Content-Length"] is None, "a client must not be warned"
    assert body.count(b"x") >= HUGE
    if not stream:
        assert len(json.loads(body)["choices"][0]["message"]["content"]) == HUGE


def test_a_client_that_has_enough_of_a_huge_answer_may_leave(caplog: pytest.LogCaptureFixture) -> None:
    with model_serving(shares={"huge": 1.0}) as running:
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", running.port)) as raw:
                raw.sendall(request_bytes())
                assert raw.recv(100)
        assert fetched(running)[0] == 200
    assert caplog.messages == [], "nothing is written to a client that has gone"


@pytest.mark.parametrize("stream", [False, True])
def test_invalid_utf8_is_valid_json_but_for_its_bytes(stream: bool) -> None:
    with model_serving(shares={"invalid-utf8": 1.0}) as running:
        _, headers, body = fetched(running, stream)
    assert headers.get_content_type() == ("text/event-stream" if stream else "application/json")
    with pytest.raises(UnicodeDecodeError):
        body.decode()
    for document in events(body)[:-2] if stream else [body]:
        json.loads(document.decode(errors="replace"))


def test_trying_again_helps_and_another_server_does_the_same() -> None:
    shares = {"500": 0.5}

    def statuses(seed: int) -> list[int]:
        with model_serving(shares=shares, seed=seed) as running:
            return [fetched(running)[0] for _ in range(12)]

    first = statuses(1)
    assert set(first) == {200, 500}
    assert statuses(1) == first
    assert statuses(2) != first


def test_what_is_asked_decides_and_not_when() -> None:
    plan = FaultPlan(read_shares(0.5, []), seed=3)
    requests = [f"{number:032x}" for number in range(300)]
    attempts = Attempts(), Attempts()
    forth = {(r, i): plan.draw(r, attempts[0].count(r)) for i in range(3) for r in requests}
    back = {(r, i): plan.draw(r, attempts[1].count(r)) for r in reversed(requests) for i in range(3)}
    assert forth == back
    assert len({tuple(forth[r, i] for i in range(3)) for r in requests}) > 100


def test_shares_are_what_happens() -> None:
    shares = {**read_shares(0.28, []), "reset": 0.3}
    drawn = Counter(FaultPlan(shares).draw(f"{number:x}", 1) for number in range(20_000))
    assert set(drawn) == {*KINDS, None}
    for kind, share in [*shares.items(), (None, 1 - sum(shares.values()))]:
        assert least(20_000, share) <= drawn[kind] <= most(20_000, share), kind


def test_attempts_are_bounded_and_the_oldest_is_forgotten() -> None:
    attempts = Attempts(most=3)
    assert [attempts.count(name) for name in "aabcad"] == [1, 2, 1, 1, 3, 1]
    assert len(attempts) == 3
    assert attempts.count("b") == 1, "b was not seen for longest"
    assert attempts.count("a") == 4
    attempts.forget()
    assert attempts.count("a") == 1


def test_shares_by_name_take_the_place_of_the_even_ones() -> None:
    shares = read_shares(0.14, ["500=0.5", "hang=0"])
    assert shares["500"] == 0.5
    assert shares["hang"] == 0
    assert shares["reset"] == pytest.approx(0.01)
    assert set(shares) == set(KINDS)


@pytest.mark.parametrize(
    ("faults", "named", "said"),
    [
        (1.5, [], "--faults must lie in 0..1, but is 1.5"),
        (float("nan"), [], "--faults must lie in 0..1"),
        (0, ["500"], "KIND=SHARE with a number in 0..1, but got '500'"),
        (0, ["500=much"], "but got '500=much'"),
        (0, ["500=0.1", "500=0.2"], "each kind once"),
        (0, ["418=0.1"], "there is no fault '418'; there are 429, 429-retry-after"),
        (0, ["500=1.1"], r"the fault 500 must lie in 0\.\.1, but is 1\.1"),
        (0, ["500=nan"], r"the fault 500 must lie in 0\.\.1"),
        (0, ["500=0.7", "503=0.7"], r"together must be at most 1, but are 1\.4"),
    ],
)
def test_shares_that_cannot_be_are_refused(faults: float, named: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_shares(faults, named)


@pytest.mark.parametrize("name", ["hang", "drip", "retry_after"])
@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_durations_that_cannot_be_are_refused(name: str, seconds: float) -> None:
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} must be a number of seconds"):
        FaultPlan(**{name: seconds})  # type: ignore[arg-type]
