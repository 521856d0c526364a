"""What a run costs beside its endpoint: a thousand sessions at once over HTTP, with faults. Run with ``make bench``.

``trimtab serve-model`` answers in a process of its own, with 20 ms of latency and a fault for one request in twenty.
The run is held against the shortest loop that one would write with the openai package: the same sessions and requests,
a task for each session, the package's default client. What the loop gets is neither scored nor stored, and a request
that fails after the package's own two retries is left out. Each side gets a server of its own, started alike, and so
meets with the same faults; they take turns, and the best round of each counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.memory import MEGABYTES

SESSIONS, ITERATIONS, ROUNDS = 1_000, 10, 3
LATENCY = 20
MEMORY = 500
LEAST_RATIO = 0.8
SERVER = ("--latency", str(LATENCY), "--hang", "3", "--drip", "1")

_SHARED = """
import asyncio, json, sys, time
from trimtab.sessions.config import load_config
url, model, sessions, iterations, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
settings = {"provider": "openai", "model": model, "base_url": url, "sessions": sessions, "iterations": iterations,
            "strategies": "EF", "concurrency": sessions, "out": out, "timeout": 60}
config = load_config(settings)
def told(seconds, **more):
    more |= {"seconds": seconds, "processor": time.process_time() - began, "memory": megabytes("VmHWM")}
    print(json.dumps(more))
"""

_OWN = """
from trimtab.sessions.experiment import run_experiment
began, clock = time.process_time(), time.perf_counter()
outcome = run_experiment(config)
told(time.perf_counter() - clock, ended=outcome.ended, reason=outcome.reason, failures=outcome.failures)
"""

_BARE = """
from openai import AsyncOpenAI
from trimtab.sessions.experiment import plan_of
from trimtab.sessions.iterate import request_for
plan = plan_of(config)
asked = [[request_for(plan, s, s.task.artefact, t) for t in range(1, iterations + 1)] for s in plan.sessions]
took, failures = [], {}

async def session(client, requests):
    for request in requests:
        clock = time.perf_counter()
        try:
            answer = await client.chat.completions.create(
                model=model,
                seed=request.seed,
                messages=[{"role": m.role, "content": m.content} for m in request.messages],
            )
            answer.choices[0].message.content.strip()
        except Exception as error:
            name = type(error).__name__
            failures[name] = failures.get(name, 0) + 1
        else:
            took.append(time.perf_counter() - clock)

async def loop():
    async with AsyncOpenAI(base_url=url, api_key="none") as client:
        await asyncio.gather(*(session(client, requests) for requests in asked))

began, clock = time.process_time(), time.perf_counter()
asyncio.run(loop())
told(time.perf_counter() - clock, took=took, failures=list(failures.items()))
"""


@contextmanager
def served(faults: float) -> Iterator[str]:
    command = [sys.executable, "-m", "trimtab", "serve-model", "--port", "0", *SERVER, "--faults", str(faults)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=60)


def measured(code: str, model: str, faults: float, sessions: int, iterations: int, out: Path) -> dict[str, Any]:
    """Run one side in a process of its own against a server of its own, and return what both say."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRIMTAB_", "OPENAI_"))}
    with served(faults) as url:
        arguments = [url, model, str(sessions), str(iterations), str(out)]
        done = subprocess.run(
            [sys.executable, "-c", MEGABYTES + _SHARED + code, *arguments],
            env={**environment, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        with urllib.request.urlopen(f"{url.removesuffix('/v1')}/health", timeout=60) as response:
            server = json.loads(response.read())
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "server": server, "rate": sessions * iterations / found["seconds"]}


def stored(out: Path) -> tuple[list[float], list[str]]:
    """Return the seconds of the iterations that were answered at the first attempt, and why the failed ones failed."""
    from trimtab.store.open import open_store

    store = open_store(f"sqlite:///{out / 'trimtab.db'}")
    made = [record for record in store.iterations() if record.index]
    store.close()
    reasons = [record.reason for record in made if record.status == "failed"]
    took = [record.meta["seconds"] for record in made if record.status == "ok" and record.meta.get("attempts", 1) == 1]
    return took, reasons


def quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    return f"median {1e3 * ordered[len(ordered) // 2]:,.0f} ms, p99 {1e3 * ordered[int(0.99 * len(ordered))]:,.0f} ms"


def check(found: dict[str, Any], out: Path, sessions: int, iterations: int) -> tuple[list[float], list[str]]:
    """Hold that a run is whole: every iteration is there, and every one that failed says why."""
    from trimtab.store.open import open_store

    assert (found["ended"], found["reason"]) == ("complete", "")
    store = open_store(f"sqlite:///{out / 'trimtab.db'}")
    assert store.trajectories().n_sessions == sessions
    assert sum(1 for _ in store.iterations()) == sessions * (iterations + 1)
    store.close()
    took, reasons = stored(out)
    assert all(reasons)
    assert found["memory"] < MEMORY
    return took, reasons


@pytest.mark.benchmark(group="sessions over HTTP with faults, beside a bare loop of the openai package")
@pytest.mark.parametrize(("model", "faults"), [("echo", 0.0), ("echo", 0.05), ("rewriter-1", 0.05)])
def test_a_thousand_sessions_at_once(
    benchmark: Any, model: str, faults: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Where nothing is measured, a few sessions say as much about whether it works.
    sessions, iterations, rounds = (30, 3, 1) if benchmark.disabled else (SESSIONS, ITERATIONS, ROUNDS)
    if model == "rewriter-1" and not benchmark.disabled:
        iterations, rounds = 2, 1  # it needs 20 ms of a processor for each answer, so that the server decides
    own, bare = [], []

    def turn() -> None:
        bare.append(measured(_BARE, model, faults, sessions, iterations, tmp_path / "bare"))
        own.append(measured(_OWN, model, faults, sessions, iterations, tmp_path / str(len(own))))

    benchmark.pedantic(turn, rounds=rounds)
    for number, found in enumerate(own):
        took, reasons = check(found, tmp_path / str(number), sessions, iterations)
    fast, peer = (max(side, key=lambda one: one["rate"]) for side in (own, bare))
    ratio = fast["rate"] / peer["rate"]
    benchmark.extra_info["throughput against a bare loop"] = ratio
    total = sessions * iterations
    times = own[-1]["server"]["milliseconds"]
    kinds = sum(own[-1]["server"]["faults"].values())
    lines = [
        f"{model}, {sessions:,} sessions x {iterations} iterations at once, {LATENCY} ms, {faults:.0%} faults, "
        f"best of {rounds}",
        f"  trimtab:   {fast['rate']:,.0f}/s, {1e3 * fast['processor'] / total:.2f} ms of processor each, "
        f"{fast['memory']:,.0f} MB",
        f"  bare loop: {peer['rate']:,.0f}/s, {1e3 * peer['processor'] / total:.2f} ms of processor each, "
        f"{peer['memory']:,.0f} MB, {sum(count for _, count in peer['failures']):,} given up",
        f"  ratio {ratio:.2f} (target {LEAST_RATIO})",
        f"  an iteration: {quantiles(took)}; bare: {quantiles(bare[-1]['took'])}; the server's own time: "
        f"median {times['median']:,.0f} ms, p99 {times['p99']:,.0f} ms",
        f"  {kinds:,} faults met; {len(reasons):,} iterations failed, of {len(set(reasons)):,} reasons:",
        *(f"    {count:,} x {reason[:100]}" for reason, count in own[-1]["failures"]),
    ]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    # Where the model takes longer than the rest, the ratio says little: what it is sent grows with its own answers.
    if model == "echo" and not benchmark.disabled:
        assert ratio >= LEAST_RATIO


@pytest.mark.benchmark(group="one iteration over HTTP, nothing else under way")
def test_overhead_of_an_iteration(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sessions, iterations = (2, 3) if benchmark.disabled else (4, 50)
    found = benchmark.pedantic(measured, args=(_OWN, "echo", 0.0, sessions, iterations, tmp_path), rounds=1)
    took, _ = check(found, tmp_path, sessions, iterations)
    server = found["server"]["milliseconds"]["median"] / 1e3
    with capsys.disabled():
        sys.stdout.write(
            f"\necho, {sessions} sessions at once: beyond the server's own {1e3 * server:.1f} ms an iteration takes "
            f"{quantiles([seconds - server for seconds in took])}\n"
        )
