"""What a live session costs: taking scores in, deciding, ten thousand open at once. Run with ``make bench``.

Times are of the processor, so that other work on the machine does not decide them.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

import trimtab as tt
from support.memory import MEGABYTES
from trimtab.control.live import PilotSession

NAMES = ("security", "efficiency", "functionality")
ROUNDS = 60


def _pilot(policy: str = "predictive:horizon=5", noise: float = 0.0) -> tt.Pilot:
    return tt.Pilot(
        NAMES, fit="reference", utility="worst", policy=policy, score_noise=dict.fromkeys(NAMES, noise), iterations=10
    )


def _scores(rng: np.random.Generator) -> dict[str, float]:
    return dict(zip(NAMES, rng.uniform(3, 8, 3).tolist(), strict=True))


def _times(pilot: tt.Pilot) -> tuple[list[float], list[float]]:
    """Return seconds that taking scores in and deciding took, in sessions of up to ten iterations."""
    rng, taken, decided = np.random.default_rng(0), [], []
    for i in range(ROUNDS // 5):
        session: PilotSession = pilot.session(f"s{i}")
        session.observe(_scores(rng))
        for t in range(9):
            began = time.process_time()
            session.take(_scores(rng), strategy=("EF", "SF", "FF", "AI")[t % 4])
            between = time.process_time()
            session.settle()
            taken.append(between - began)
            decided.append(time.process_time() - between)
        session.end()
    return taken, decided


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_an_update_and_a_decision(
    noise: float, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    taken, decided = _times(_pilot(noise=noise))
    update, decision = (float(np.median(times)) * 1e3 for times in (taken, decided))
    with capsys.disabled():
        sys.stdout.write(
            f"\n3 objectives, 4 strategies, horizon 5, score noise {noise:g}: update {update:.2f} ms (target 1), "
            f"decision {decision:.2f} ms (target 10), medians of {len(taken)}\n"
        )
    if not request.config.getoption("benchmark_disable"):
        assert update < 1
        assert decision < 10


_MANY = """
import numpy as np, trimtab as tt
names = ("security", "efficiency", "functionality")
pilot = tt.Pilot(names, fit="reference", policy="schedule", score_noise=dict.fromkeys(names, 0.5), iterations=10)
before = megabytes("VmRSS")
rng = np.random.default_rng(0)
for i in range(SESSIONS):
    session = pilot.session(f"s{i}")
    for t in range(6):
        session.observe(dict(zip(names, rng.uniform(3, 8, 3).tolist())))
print(before, megabytes("VmRSS"))
"""


def test_ten_thousand_sessions_at_once(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    # Where nothing is measured, a tenth of them says as much about what each takes.
    share = 10 if request.config.getoption("benchmark_disable") else 1
    code = MEGABYTES + _MANY.replace("SESSIONS", str(10_000 // share))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    before, after = map(float, done.stdout.split())
    needed = before + (after - before) * share
    with capsys.disabled():
        sys.stdout.write(
            f"\n10,000 sessions of 5 iterations each at once: {needed:,.0f} MB, {before:,.0f} before them\n"
        )
    assert needed < 1000
