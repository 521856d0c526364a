"""What an ensemble costs, beside other ways to have it. Run with ``make bench``; the table is in docs/benchmarks.md.

All rates are of processor time in the same run, the best of several rounds in which all take turns, so that other
work on the machine does not decide them. torchsde is measured where it is installed (``pip install torchsde``); it is
no requirement, because PyTorch brings gigabytes for graphics processors along.
"""

from __future__ import annotations

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest

import trimtab as tt
from support.memory import MEGABYTES

A = np.array([[-0.33, 0.05, 0.02], [0.1, -0.7, 0.05], [0.03, -0.1, -0.9]])
B = np.array([1.2, 2.4, 5.0])
Q = 0.25 * np.eye(3) + 0.05
MODEL = tt.AffineSDE(A, B, Q)
X0 = [5.0, 5.0, 5.0]
PATHS, STEPS = 100_000, 20
ROUNDS = 7

Work = Callable[[], object]


def own(everything: bool, dtype: type, **options) -> Work:
    keep = "all" if everything else "final"
    return lambda: tt.simulate(MODEL, X0, STEPS, PATHS, keep=keep, dtype=dtype, threads=1, bounds=(0, 10), **options)


def normals(everything: bool, dtype: type) -> Work:
    """Only the random numbers, into memory that stays in the second cache: no simulation with them can be faster."""
    rng, z = np.random.Generator(np.random.SFC64(0)), np.empty((4000, 3), dtype)

    def work() -> None:
        for _ in range(PATHS // len(z) * STEPS):
            rng.standard_normal(out=z, dtype=dtype)

    return work


def blocked_numpy(everything: bool, dtype: type) -> Work:
    """Blocks of paths that stay in the second cache, one row for each objective, and nothing allocated on the way."""
    rng, m = np.random.Generator(np.random.SFC64(0)), 4000
    F, L, c = (np.asarray(part, dtype) for part in (np.eye(3) + A, np.linalg.cholesky(Q), B[:, None]))
    low, high = dtype(0), dtype(10)

    def work() -> np.ndarray:
        out = np.empty((PATHS, STEPS + 1, 3) if everything else (PATHS, 3), dtype)
        z, pushed, following = (np.empty((3, m), dtype) for _ in range(3))
        for first in range(0, PATHS, m):
            x = np.full((3, m), 5, dtype)
            for t in range(STEPS + 1):
                if t:
                    rng.standard_normal(out=z, dtype=dtype)
                    np.matmul(F, x, out=following)
                    following += np.matmul(L, z, out=pushed)
                    following += c
                    np.clip(following, low, high, out=x)
                if everything:
                    out[first : first + m, t] = x.T
            if not everything:
                out[first : first + m] = x.T
        return out

    return work


def with_diffrax(everything: bool, dtype: type) -> Work:
    import diffrax
    import jax
    import jax.numpy as jnp

    def simulate(keys):
        a, b, L = (jnp.asarray(part, dtype) for part in (A, B, np.linalg.cholesky(Q)))

        def one(key):
            noise = diffrax.UnsafeBrownianPath(jax.ShapeDtypeStruct((3,), dtype), key=key)
            terms = diffrax.MultiTerm(
                diffrax.ODETerm(lambda t, x, _: a @ x + b), diffrax.ControlTerm(lambda t, x, _: L, noise)
            )
            return diffrax.diffeqsolve(
                terms, diffrax.Euler(), 0.0, float(STEPS), 1.0, jnp.full(3, 5, dtype), max_steps=STEPS,
                saveat=diffrax.SaveAt(t0=True, steps=True) if everything else diffrax.SaveAt(t1=True),
                adjoint=diffrax.ForwardMode(),
            ).ys  # fmt: skip

        return jax.vmap(one)(keys)

    with jax.enable_x64(True):
        compiled, keys = jax.jit(simulate), jax.random.split(jax.random.key(0), PATHS)

    def work() -> object:
        with jax.enable_x64(True):
            return compiled(keys).block_until_ready()

    return work


def with_torchsde(everything: bool, dtype: type) -> Work:
    import torch
    import torchsde

    torch.set_num_threads(1)
    kind = torch.float64 if dtype == np.float64 else torch.float32
    a, b, L = (torch.tensor(part, dtype=kind) for part in (A, B, np.linalg.cholesky(Q)))

    class Model(torch.nn.Module):
        noise_type, sde_type = "general", "ito"

        def f(self, t, x):
            return x @ a.T + b

        def g(self, t, x):
            return L.expand(len(x), 3, 3)

    start = torch.full((PATHS, 3), 5, dtype=kind)
    times = torch.arange(0, STEPS + 1, 1 if everything else STEPS, dtype=kind)

    def work() -> object:
        with torch.no_grad():
            return torchsde.sdeint(Model(), start, times, dt=1.0, method="euler")

    return work


PEERS = {
    "NumPy's SFC64 normals alone": normals,
    "blocked NumPy": blocked_numpy,
    "diffrax": with_diffrax,
    "torchsde": with_torchsde,
}
# Least ratios, well below what a quiet machine shows: a benchmark that fails by chance helps nobody.
LEAST = {"NumPy's SFC64 normals alone": 2.0, "blocked NumPy": 3.0, "diffrax": 12.0, "torchsde": 12.0}


@pytest.mark.benchmark(group=f"{PATHS:,} paths of {STEPS} steps, 3 objectives, one thread")
@pytest.mark.parametrize("everything", [False, True], ids=["final", "all"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_beside_peers(benchmark, everything: bool, dtype: type, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numba", reason="needs the extra trimtab[fast]")
    there = {name: make for name, make in PEERS.items() if not name.isalpha() or find_spec(name)}
    work = {"trimtab": own(everything, dtype), **{name: make(everything, dtype) for name, make in there.items()}}
    least = dict.fromkeys(work, np.inf)
    for one in work.values():
        one()  # compiles
    for _ in range(3 if benchmark.disabled else ROUNDS):
        for name, one in work.items():
            started = time.process_time()
            one()
            least[name] = min(least[name], time.process_time() - started)
    benchmark.pedantic(work["trimtab"], rounds=3)
    lines = [f"| {'all' if everything else 'final'} states, {dtype.__name__} | million path-steps/s | trimtab is |"]
    lines.append("| --- | ---: | ---: |")
    for name, taken in least.items():
        ratio = taken / least["trimtab"]
        benchmark.extra_info[f"times as fast as {name}"] = ratio
        lines.append(f"| {name} | {PATHS * STEPS / taken / 1e6:.1f} | {ratio:.1f} times as fast |")
    lines += [f"| {name} | not installed | |" for name in PEERS if name not in there]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    for name, taken in least.items():
        share = 0.5 if everything or dtype == np.float32 else 1.0
        assert name == "trimtab" or taken / least["trimtab"] > LEAST[name] * share, name


@pytest.mark.parametrize("keep", ["moments", "all with a policy", "all, NumPy"])
def test_other_ways(benchmark, keep: str) -> None:
    options: dict = {"bounds": (0, 10), "threads": 1, "keep": keep.split()[0].strip(",")}
    model: object = MODEL
    if "policy" in keep:
        model = {"one": MODEL, "two": tt.AffineSDE(A / 2, B / 2, Q)}
        options["policy"] = lambda t, x: (x[0] > 3).astype(np.int64)
    if "NumPy" in keep:
        options["backend"] = "numpy"
    benchmark.pedantic(lambda: tt.simulate(model, X0, STEPS, PATHS, **options), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("keep", ["final", "all", "moments"])
def test_memory_is_the_output_and_little_more(keep: str) -> None:
    code = (
        f"{MEGABYTES}import numpy as np, trimtab as tt\n"
        "model = tt.AffineSDE(-0.5 * np.eye(3), np.ones(3), np.eye(3))\n"
        f"run = lambda paths: tt.simulate(model, np.zeros(3), 20, paths, keep={keep!r}, threads=2)\n"
        "run(10)\n"
        "before = megabytes('VmHWM')\n"
        "found = run(400_000)\n"
        "output = 0 if found.states is None else found.states.nbytes\n"
        "print(megabytes('VmHWM') - before - output / 2**20)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 50, f"{float(done.stdout):.0f} MB beyond the output"
