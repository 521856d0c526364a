"""What the fit costs, beside loops over other libraries on the same sessions. Run with ``make bench``."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.fit import fit
from trimtab.estimation.least_squares import estimate
from trimtab.estimation.moments import session_moments

MODEL = AffineSDE([[-0.33, 0.0, 0.0], [0.1, -0.7, 0.0], [0.0, -0.1, -1.0]], [1.7, 2.7, 5.5], 0.25 * np.eye(3) + 0.05)


def panel(sessions: int) -> Trajectories:
    rng = np.random.default_rng(0)
    paths = MODEL.simulate(rng.normal(5, 1, (sessions, 3)), 10, rng)
    strategies = [("EF", "SF", "FF", "AI")[s % 4] for s in range(sessions)]
    return Trajectories.from_arrays(paths, ["security", "efficiency", "functionality"], strategies)


@pytest.mark.parametrize("sessions", [400, 4_000, 40_000])
def test_whole_fit(benchmark, sessions: int) -> None:
    data = panel(sessions)
    benchmark(fit, data)


@pytest.mark.benchmark(group="2,000 bootstrap replicates of A and b, 400 sessions")
class TestReplicates:
    draws = 2_000

    def test_trimtab_moments(self, benchmark) -> None:
        m = session_moments(panel(400).steps())
        benchmark(lambda: estimate(resample(m, self.draws, 0, "EF"), m.center, m.scale).A)

    def test_numpy_lstsq_loop(self, benchmark) -> None:
        steps = panel(400).steps()
        rows = np.arange(len(steps)).reshape(400, 10)
        Z = np.hstack([np.ones((len(steps), 1)), steps.x])
        rng = np.random.default_rng(0)

        def loop() -> None:
            for _ in range(self.draws):
                chosen = rows[rng.integers(0, 400, 400)].ravel()
                np.linalg.lstsq(Z[chosen], steps.dx[chosen], rcond=None)

        benchmark.pedantic(loop, rounds=2)

    def test_statsmodels_ols_loop(self, benchmark) -> None:
        steps = panel(400).steps()
        rows = np.arange(len(steps)).reshape(400, 10)
        Z = sm.add_constant(steps.x)
        rng = np.random.default_rng(0)

        def loop() -> None:
            for _ in range(self.draws // 10):
                chosen = rows[rng.integers(0, 400, 400)].ravel()
                for j in range(3):
                    sm.OLS(steps.dx[chosen, j], Z[chosen]).fit()

        benchmark.extra_info["draws"] = self.draws // 10
        benchmark.pedantic(loop, rounds=1)
