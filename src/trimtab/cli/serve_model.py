"""``trimtab serve-model``: the embedded models over HTTP, faults and all."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.core.counting import count_of

if TYPE_CHECKING:
    from trimtab.web.model_server import ModelServer

__all__ = ["serve_model"]


def serve_model(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; by default this machine alone can reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 takes a free one.")] = 8081,
    latency: Annotated[
        float, typer.Option(min=0, metavar="MS", help="Milliseconds that every answer takes at least.")
    ] = 0.0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Worker processes of the rewriter; 0 answers in the server itself. One a processor if not given.",
            show_default=False,
        ),
    ] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Environment variable with the key that clients have to show. Nothing is asked for if not given.",
            show_default=False,
        ),
    ] = None,
    faults: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of requests that meet with a fault, of every kind alike.")
    ] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=SHARE",
            help="Share of requests that meet with this fault; repeat for more. 429, 429-retry-after, 500, 503, reset, "
            "hang, drip, truncated-json, empty-choices, content-type, length, content-filter, huge, invalid-utf8.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of the faults, and of answers to requests that bring none.")
    ] = 0,
    hang: Annotated[
        float, typer.Option(metavar="SECONDS", help="Fault hang: how long nothing is said before the end.")
    ] = 600.0,
    drip: Annotated[float, typer.Option(metavar="SECONDS", help="Fault drip: how long an answer takes.")] = 60.0,
    retry_after: Annotated[
        float, typer.Option(metavar="SECONDS", help="Fault 429-retry-after: what the client is told to wait.")
    ] = 1.0,
) -> None:
    """Serve the embedded models over the OpenAI chat-completions protocol, to try clients against.

    They are stand-ins and no LLMs: 'rewriter-1' edits the Python program or the text in a message, as the provider
    rewriter does, and 'echo' gives it back unchanged. End it with Ctrl-C.
    """
    from trimtab.cli.output import say
    from trimtab.errors import InputError

    try:
        from trimtab.web.serving import address_of, is_loopback, listen, serve_until_signal
    except ModuleNotFoundError as error:
        raise InputError(
            f'serve-model needs {error.name}, which is not installed: pip install "trimtab[serve]"'
        ) from None
    from trimtab.web.faults import FaultPlan, read_shares
    from trimtab.web.model_server import ModelServer
    from trimtab.web.stand_ins import stand_ins

    plan = FaultPlan(read_shares(faults, fault or []), seed, hang=hang, drip=drip, retry_after=retry_after)
    server = ModelServer(stand_ins(workers), faults=plan, latency=latency / 1e3, key=_key(key_variable))
    listener = listen(host, port)
    address = address_of(listener)

    def ready() -> None:
        say(f"Serving {', '.join(server.models)} (stand-ins, no LLMs) at {address}/v1")
        first = next(iter(server.models))
        say(f"Try: trimtab run --provider openai --model {first} --base-url {address}/v1")
        if not (is_loopback(listener) or key_variable):
            say("Anyone who reaches this address may use it: --key-variable NAME asks for a key.", err=True)
        sys.stdout.flush()

    asyncio.run(_serve(server, lambda: serve_until_signal(server.app(), listener, ready)))
    met = sum(server.met.values())
    say(f"Served {count_of(server.requests, 'request')}, {met:,} of them with a fault")
    for kind, count in server.met.most_common():
        say(f"  {count:,} x {kind}")


async def _serve(server: ModelServer, serving: Callable[[], Awaitable[None]]) -> None:
    try:
        await serving()
    finally:
        await server.aclose()


def _key(variable: str | None) -> str:
    """Return the key that a variable holds, "" where none is named."""
    from trimtab.errors import InputError

    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(f"--key-variable names {variable!r}, but no environment variable of that name holds a key")
    if not (key.isascii() and key.isprintable()):
        raise InputError(f"the key in the environment variable {variable} must be printable ASCII")
    return key
