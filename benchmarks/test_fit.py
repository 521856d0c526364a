"""What a fit costs, beside loops over other libraries on the same sessions. Run with ``make bench``.

Ratios are of processor time in the same run, so that other work on the machine does not decide them.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.cautions import Design
from trimtab.estimation.fit import fit
from trimtab.estimation.ground import Ground, least_squares_rung
from trimtab.estimation.least_squares import estimate
from trimtab.estimation.moments import session_moments, trajectory_moments
from trimtab.estimation.outcomes import end_levels, final_hypervolume, mean_efficiency, session_efficiencies
from trimtab.estimation.pooling.pool import pool
from trimtab.estimation.prediction import r_squared
from trimtab.store.load import save

MODEL = AffineSDE([[-0.33, 0.0, 0.0], [0.1, -0.7, 0.0], [0.0, -0.1, -1.0]], [1.7, 2.7, 5.5], 0.25 * np.eye(3) + 0.05)
NAMES = ["security", "efficiency", "functionality"]
STRATEGIES = ("EF", "SF", "FF", "AI")
STEPS = 10


def panel(sessions: int) -> Trajectories:
    rng = np.random.default_rng(0)
    paths = MODEL.simulate(rng.normal(5, 1, (sessions, 3)), STEPS, rng)
    return Trajectories.from_arrays(paths, NAMES, [STRATEGIES[s % 4] for s in range(sessions)])


def huge_panel(sessions: int) -> Trajectories:
    """The same without a check and an array per session."""
    rng = np.random.default_rng(0)
    scores = MODEL.simulate(rng.normal(5, 1, (sessions, 3)), STEPS, rng).reshape(-1, 3)
    return Trajectories(
        space=ObjectiveSpace(NAMES),
        scores=scores,
        status=np.zeros(scores.shape, dtype=np.int8),
        iteration=np.tile(np.arange(STEPS + 1), sessions),
        strategy=np.repeat(np.arange(sessions) % 4, STEPS + 1),
        offsets=np.arange(sessions + 1) * (STEPS + 1),
        session_ids=tuple(map(str, range(sessions))),
        strategies=STRATEGIES,
    )


def processor_time(work: Callable[[], object], rounds: int = 1) -> float:
    """Return the least processor seconds that one of `rounds` runs took."""
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def report(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    with capsys.disabled():
        sys.stdout.write("\n" + "\n  ".join(lines) + "\n")


DRAWS = 10_000


def everything(data: Trajectories, code: int | None = None) -> object:
    """Fit by least squares and derive every figure with its interval from 10,000 replicates."""
    moments = trajectory_moments(data, code)
    design = Design.of(moments)
    whole = estimate(moments.total, moments.center, moments.scale, active=design.active)
    drawn = estimate(resample(moments, DRAWS, 0, "EF"), moments.center, moments.scale, active=design.active)
    rung, _ = least_squares_rung(Ground(moments, design, whole, drawn, 1.0, 0.95))
    return rung, r_squared(moments, whole, drawn, design.active, 0.95, 0)


@pytest.mark.benchmark(group="10,000 replicates of every figure, 400 sessions")
def test_replicates_beside_loops(benchmark, capsys: pytest.CaptureFixture[str]) -> None:
    data = panel(400)
    steps = data.steps()
    rows = np.arange(len(steps)).reshape(400, STEPS)
    Z = np.hstack([np.ones((len(steps), 1)), steps.x])
    rng = np.random.default_rng(0)

    def lstsq(draws: int) -> None:
        for _ in range(draws):
            chosen = rows[rng.integers(0, 400, 400)].ravel()
            np.linalg.lstsq(Z[chosen], steps.dx[chosen], rcond=None)

    def ols(draws: int) -> None:
        for _ in range(draws):
            chosen = rows[rng.integers(0, 400, 400)].ravel()
            for j in range(3):
                sm.OLS(steps.dx[chosen, j], Z[chosen]).fit()

    benchmark(everything, data)
    own = processor_time(lambda: everything(data), 5)
    peers = {"numpy.linalg.lstsq": (lstsq, 1_000, 10), "statsmodels OLS": (ols, 200, 50)}
    found = {}
    for name, (loop, draws, _) in peers.items():
        found[name] = processor_time(lambda loop=loop, draws=draws: loop(draws)) * DRAWS / draws / own
        benchmark.extra_info[f"times as fast as a loop over {name}"] = found[name]
    report(
        capsys,
        f"10,000 replicates of every figure: {own * 1e3:.0f} ms of processor time",
        *(
            f"{found[name]:.0f} times as fast as {name} for A and b alone (extrapolated from {draws} draws)"
            for name, (_, draws, _) in peers.items()
        ),
    )
    for name, (*_, least) in peers.items():
        assert found[name] > least, name


@pytest.mark.parametrize("sessions", [400, 4_000, 40_000])
def test_whole_fit(benchmark, sessions: int) -> None:
    data = panel(sessions)
    benchmark.pedantic(fit, args=(data,), rounds=3 if sessions < 40_000 else 1)


def test_pooling_over_100_tasks(benchmark) -> None:
    """400 sessions of 100 tasks; the aim is one second."""
    data = panel(400)
    labels = {"task_id": tuple(f"t{s % 100}" for s in range(400))}
    benchmark.pedantic(pool, args=(replace(data, covariates=labels), "task_id"), rounds=3)


def test_least_squares_fit(benchmark) -> None:
    benchmark(fit, panel(400), estimator="least-squares")


@pytest.mark.benchmark(group="the command, imports and reading included")
@pytest.mark.parametrize("estimator", ["least-squares", "auto"])
def test_command(benchmark, tmp_path, capsys: pytest.CaptureFixture[str], estimator: str) -> None:
    save(panel(400), tmp_path / "runs.csv")
    command = [sys.executable, "-m", "trimtab", "fit", str(tmp_path / "runs.csv"), "--estimator", estimator]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report(capsys, f"trimtab fit runs.csv --estimator {estimator}: {spent:.2f} s of processor time")


@pytest.mark.benchmark(group="least squares of four strategies and all, outcomes included")
@pytest.mark.parametrize("sessions", [100_000, 1_000_000])
def test_very_many_sessions(benchmark, sessions: int) -> None:
    if benchmark.disabled and sessions > 100_000:
        pytest.skip("the same on a tenth of the sessions is enough where nothing is measured")
    data = huge_panel(sessions)

    def work() -> None:
        efficiencies = session_efficiencies(data)
        for code in (0, 1, 2, 3, None):
            everything(data, code)
            own = np.arange(sessions) if code is None else np.flatnonzero(data.session_strategy == code)
            end_levels(data, own, 0.95, first=True)
            end_levels(data, own, 0.95)
            mean_efficiency(efficiencies[own], 0.95)
            final_hypervolume(data, own)

    benchmark.pedantic(work, rounds=1, warmup_rounds=0)


@pytest.mark.benchmark(group="moments, 1,000,000 steps")
class TestMoments:
    def test_of_steps(self, benchmark) -> None:
        benchmark.pedantic(session_moments, args=(huge_panel(100_000).steps(),), rounds=3)

    def test_of_trajectories(self, benchmark) -> None:
        benchmark.pedantic(trajectory_moments, args=(huge_panel(100_000),), rounds=3)
