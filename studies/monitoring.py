"""How often the alarms of docs/steering.md are false, what they find, and whether rate shifts hold their level.

Run ``python studies/monitoring.py``: some minutes on one core. It prints the tables of docs/steering.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.monitor import session_alarm
from trimtab.control.rate_shift import rate_shifts
from trimtab.control.situation import Situation
from trimtab.control.track import Track
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.streams import stream
from trimtab.dynamics import spectrum
from trimtab.forecasting.sources import loops_of_reference

Floats = NDArray[np.float64]

SESSIONS, STEPS, SEED = 3000, 10, 20260701
EXPERIMENTS, LONG_RUN = 200, 100
REAL = np.array([[0.67, 0.2, 0.0], [0.1, 0.3, 0.0], [0.0, 0.1, 0.0]])
TURNING = np.array([[0.65, -0.35, 0.0], [0.35, 0.65, 0.0], [0.0, 0.0, 0.1]])
CREEPING = np.diag([0.97, 0.5, 0.1])
Q = 0.3 * np.eye(3) + 0.1
SLOWER = np.eye(3) - 0.3 * (np.eye(3) - REAL)


def walked(F: Floats, c: Floats, Q: Floats, x0: Floats, rng: np.random.Generator, *, shift=0.0, scale=1.0, since=0):
    """Return states (S, STEPS + 1, n) within 0 and 10; from step `since` on, innovations are shifted and scaled."""
    S, n = x0.shape
    root = np.linalg.cholesky(Q)
    direction = rng.standard_normal((S, n))
    direction *= shift / np.linalg.norm(direction, axis=1, keepdims=True)
    x = np.empty((S, STEPS + 1, n))
    x[:, 0] = np.clip(x0, 0, 10)
    for t in range(STEPS):
        z = rng.standard_normal((S, n))
        if t >= since:
            z = scale * z + direction
        x[:, t + 1] = np.clip(x[:, t] @ F.T + c + z @ root.T, 0, 10)
    return x


def situation(knowledge: Knowledge, scores: Floats, k: int) -> Situation:
    """Return where sessions stand that were by strategy k throughout."""
    S = len(scores)
    track = Track(Goal(knowledge.space), knowledge, STEPS, 0, [str(i) for i in range(S)], scores[:, 0])
    for t in range(STEPS):
        track.step(np.full(S, k), scores[:, t + 1])
    return track.situation()


def alarms() -> None:
    """Print the share of sessions with an alarm."""
    knowledge = Knowledge.of_loops(loops_of_reference())
    mean = knowledge.mean

    def share(k: int, alpha: float, *key: int | str, **change: float) -> str:
        rng = stream(SEED, "alarms", k, *key)
        x0 = rng.multivariate_normal(knowledge.start_mean, knowledge.start_covariance, size=SESSIONS)
        x = walked(mean.F[0, k], mean.c[0, k], mean.Q[k], x0, rng, **change)
        return f"{session_alarm(situation(knowledge, x, k), alpha).fired.mean():.3f}"

    print("false alarms, by", *knowledge.strategies)
    for alpha in (0.05, 0.01):
        print(alpha, *(share(k, alpha) for k in range(len(knowledge.strategies))))
    print("found of EF at 0.01, from the start and from iteration 6")
    for name, values in (("shift", (1.0, 1.5, 2.0, 3.0)), ("scale", (1.5, 2.0))):
        for value in values:
            print(
                f"{name} {value:.3g}", *(share(0, 0.01, name, since, **{name: value}, since=since) for since in (0, 5))
            )


def shifts() -> None:
    """Print how often rate shifts are found at 0.05, and how often their 95% intervals hold."""
    space = ObjectiveSpace(["a", "b", "c"])
    print("before, lately, sessions, forgetting: found and held for the rate, found and held for the smooth rate")
    cells = [
        (f"{name}, {more}", F, F, size, sessions, forgetting)
        for name, F in (("real", REAL), ("turning", TURNING), ("creeping", CREEPING))
        for more, size, sessions, forgetting in (
            ("same", 1.0, 1, 1.0), ("same", 1.0, 10, 1.0), ("same", 1.0, 30, 0.9), ("innovations x 4", 4.0, 10, 1.0)
        )
    ]  # fmt: skip
    cells += [
        ("real, 0.3 of the drift", REAL, SLOWER, 1.0, 10, 1.0),
        ("creeping, 0.6 of the multipliers", CREEPING, 0.6 * CREEPING, 1.0, 10, 1.0),
    ]
    for name, before, lately, size, sessions, forgetting in cells:
        true = [_rates(lately)[i] - _rates(before)[i] for i in (0, 1)]
        rows = []
        for i in range(EXPERIMENTS):
            rng = stream(SEED, "shifts", name, sessions, i)
            knowledge = _learned(space, before, rng)
            scores = walked(lately, (np.eye(3) - lately) @ np.full(3, 5.0), size * Q, _starts(sessions, rng), rng)
            strategy = np.zeros((sessions, STEPS), dtype=np.int64)
            one = rate_shifts(knowledge, scores, strategy, forgetting=forgetting, seed=i)["A"]
            if one is not None:
                rows.append(
                    [v for got, t in zip((one.rate, one.smooth_rate), true, strict=True)
                     for v in (got.p <= 0.05, got.low <= t <= got.high)]
                )  # fmt: skip
        print(f"{name}, {sessions}, {forgetting}:", *np.mean(rows, axis=0).round(3), flush=True)


def _starts(sessions: int, rng: np.random.Generator) -> Floats:
    return rng.normal(5, 1.5, (sessions, 3))


def _rates(F: Floats) -> tuple[float, float]:
    lam = spectrum.eigenvalues(F - np.eye(3))
    return float(spectrum.rate(lam)), float(-lam.real.mean())


def _learned(space: ObjectiveSpace, F: Floats, rng: np.random.Generator) -> Knowledge:
    x = walked(F, (np.eye(3) - F) @ np.full(3, 5.0), Q, _starts(LONG_RUN, rng), rng)
    none = Knowledge.none(space, ["A"])
    u = (x - none.center) / none.scale
    w = np.concatenate([np.ones((LONG_RUN, STEPS, 1)), u[:, :-1], np.diff(u, axis=1)], axis=-1)
    return none.added(np.einsum("sti,stj->ij", w, w)[None])


if __name__ == "__main__":
    alarms()
    shifts()
