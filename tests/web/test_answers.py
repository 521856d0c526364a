"""Questions over HTTP: who may read and answer them, and that nothing in them is obeyed by a browser."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from trimtab.errors import InputError
from trimtab.sessions.desk import Answer, Desk, Question
from trimtab.web.answers import LARGEST_BODY, AnswerServer

AS_JSON = {"Content-Type": "application/json"}
HOSTILE = '<script>alert("x")</script>'
QUESTION = Question(
    id="SF/a/0@3",
    session="SF/a/0",
    task=HOSTILE,
    iteration=3,
    strategy="SF",
    says=[f"security is past 2 {HOSTILE}"],
    scores={"security": 1.5, "cost": None},
    strategies=["SF", "EF"],
)


class Served:
    """A running server, a client that shows its token, and the answer to the one question."""

    def __init__(self, desk: Desk, client: httpx2.AsyncClient, token: str, asking: asyncio.Task[Answer | None]) -> None:
        self.desk, self.client, self.token, self.asking = desk, client, token, asking
        self.bearer = {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    server = AnswerServer(0)
    desk = Desk([server.serve])
    clerk = asyncio.create_task(server.serve(desk))
    asking = asyncio.create_task(desk.ask(QUESTION))
    address = urlsplit(server.address)
    assert address.hostname == "127.0.0.1"
    async with httpx2.AsyncClient(base_url=f"http://{address.netloc}") as client:
        yield Served(desk, client, address.query.removeprefix("token="), asking)
    clerk.cancel()
    asking.cancel()
    await asyncio.gather(clerk, asking, return_exceptions=True)


def with_server(test: Callable[[Served], Awaitable[None]]) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(20), served() as one:
            await test(one)

    asyncio.run(scenario())


def test_questions_are_listed_and_answered_as_json() -> None:
    async def scenario(one: Served) -> None:
        listed = await one.client.get("/questions", headers=one.bearer)
        assert listed.json() == {"questions": [QUESTION.to_dict()]}
        body = {"id": QUESTION.id, "action": "continue", "strategy": "EF"}
        done = await one.client.post("/answers", json=body, headers=one.bearer)
        assert (done.status_code, done.json()) == (200, {"answered": QUESTION.id})
        answer = await one.asking
        assert (answer.action, answer.by, answer.strategy) == ("continue", "http", "EF")
        again = await one.client.post("/answers", json=body, headers=one.bearer)
        assert again.status_code == 409
        assert "may have been answered already" in again.json()["error"]
        assert (await one.client.get("/questions", headers=one.bearer)).json() == {"questions": []}

    with_server(scenario)


def test_the_page_shows_and_takes_answers_and_escapes_all_it_shows() -> None:
    async def scenario(one: Served) -> None:
        page = await one.client.get("/", params={"token": one.token})
        assert page.status_code == 200
        assert HOSTILE not in page.text
        assert "&lt;script&gt;" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer"
        form = {"token": one.token, "id": QUESTION.id, "strategy": "SF", "action": "stop"}
        done = await one.client.post("/answers", data=form)
        assert (done.status_code, done.headers["location"]) == (303, f"/?token={one.token}")
        assert (await one.asking).action == "stop"
        assert "None at the moment" in (await one.client.get("/", params={"token": one.token})).text

    with_server(scenario)


def test_nobody_reads_or_answers_without_the_token_or_under_another_name() -> None:
    async def scenario(one: Served) -> None:
        body = {"id": QUESTION.id, "action": "stop"}
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": one.token}):
            for path in ("/", "/questions"):
                assert (await one.client.get(path, headers=headers)).status_code == 401
            assert (await one.client.post("/answers", json=body, headers=headers)).status_code == 401
        for token in ("wrong", "\ud800", "\x00", ""):
            assert (
                await one.client.post("/answers", content=json.dumps({"token": token}), headers=AS_JSON)
            ).status_code == 401
        assert (await one.client.get("/questions", headers={**one.bearer, "Host": "evil.example"})).status_code == 400
        assert one.desk.questions == [QUESTION]

    with_server(scenario)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'{"id": 3}', "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(99)), "application/x-www-form-urlencoded", 400),
        (b'{"id": "SF/a/0@3", "action": "fly"}', "application/json", 400),
        (b'{"id": "SF/a/0@3", "action": "continue", "strategy": "XX"}', "application/json", 400),
        (b'{"action": "stop"}', "application/json", 409),
        (b'{"id": "\\ud800", "action": "stop"}', "application/json", 409),
        (b"x" * (LARGEST_BODY + 1), "application/json", 413),
    ],
)
def test_what_is_no_answer_is_refused(content: bytes, kind: str, status: int) -> None:
    async def scenario(one: Served) -> None:
        headers = {**one.bearer, "Content-Type": kind}
        refused = await one.client.post("/answers", content=content, headers=headers)
        assert refused.status_code == status
        assert refused.json()["error"]
        assert one.desk.questions == [QUESTION]

    with_server(scenario)


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(InputError, match="choose another --answers, or --answers 0 for a free one"),
    ):
        AnswerServer(taken.getsockname()[1])
