from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.programs import WEB, request
from trimtab.errors import InputError, ProviderError
from trimtab.providers.base import Completion, Provider
from trimtab.providers.rewriter import RewriterProvider
from trimtab.providers.rewriter.answer import rewrite
from trimtab.providers.rewriter.failures import DEFAULT_FAILURE_RATE
from trimtab.providers.rewriter.provider import MOST_WORKERS, default_workers

REQUESTS = [request(WEB, seed=seed) for seed in range(12)]


async def answers(provider: Provider) -> list[Completion]:
    try:
        return list(await asyncio.gather(*(provider.complete(asked) for asked in REQUESTS)))
    finally:
        await provider.aclose()


def test_workers_give_the_answers_of_the_pure_function_in_any_order():
    expected = [rewrite(asked) for asked in REQUESTS]
    assert asyncio.run(answers(RewriterProvider(workers=2))) == expected
    assert asyncio.run(answers(RewriterProvider(workers=0))) == expected


def test_the_failure_rate_reaches_the_workers():
    failing = asyncio.run(answers(RewriterProvider(workers=1, failure_rate=1.0)))
    assert failing == [rewrite(asked, failure_rate=1.0) for asked in REQUESTS]
    assert RewriterProvider().failure_rate == DEFAULT_FAILURE_RATE


def test_the_event_loop_goes_on_while_workers_work():
    async def ticks_during_answers() -> int:
        provider = RewriterProvider(workers=1)
        await provider.complete(REQUESTS[0])  # the worker has started
        ticks = 0
        pending = asyncio.gather(*(provider.complete(asked) for asked in REQUESTS * 5))
        while not pending.done():
            await asyncio.sleep(0.002)
            ticks += 1
        await pending
        await provider.aclose()
        return ticks

    assert asyncio.run(ticks_during_answers()) > 10


def test_workers_default_to_the_processors_at_hand():
    assert RewriterProvider().workers == default_workers()
    assert 1 <= default_workers() <= MOST_WORKERS
    assert RewriterProvider().name == "rewriter"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": -1}, "workers must be 0 or more"),
        ({"failure_rate": 1.5}, "0..1"),
        ({"failure_rate": float("nan")}, "0..1"),
    ],
)
def test_options_are_checked(options: dict[str, float], message: str):
    with pytest.raises(InputError, match=message):
        RewriterProvider(**options)  # type: ignore[arg-type]


def test_a_closed_provider_refuses():
    async def close_and_ask() -> None:
        provider = RewriterProvider(workers=0)
        await provider.aclose()
        await provider.aclose()
        await provider.complete(REQUESTS[0])

    with pytest.raises(ProviderError, match="closed") as caught:
        asyncio.run(close_and_ask())
    assert caught.value.fatal


def test_a_killed_worker_is_replaced_and_its_requests_start_over():
    async def kill_and_ask() -> Completion:
        provider = RewriterProvider(workers=1)
        await provider.complete(REQUESTS[0])
        assert provider._pool is not None
        (worker,) = provider._pool._processes.values()
        worker.kill()
        worker.join()
        try:
            return await provider.complete(REQUESTS[1])
        finally:
            await provider.aclose()

    assert asyncio.run(kill_and_ask()) == rewrite(REQUESTS[1])


SCRIPT = """
import asyncio, sys, time
from support.programs import WEB, request
from trimtab.providers.rewriter import RewriterProvider

async def main():
    provider = RewriterProvider(workers=2)
    await asyncio.gather(*(provider.complete(request(WEB, seed=s)) for s in range(4)))
    print(*[p.pid for p in provider._pool._processes.values()], flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and waits to be collected does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path):
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, str(script)], env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        assert all(alive(pid) for pid in workers)
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in workers)


def test_the_parent_of_workers_does_not_load_libcst():
    code = (
        "import sys; from trimtab.providers.rewriter import RewriterProvider; RewriterProvider(); "
        "print('libcst' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
