"""Made-up loops to steer: what is known of them, and sessions on the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.situation import Situation
from trimtab.control.track import Track
from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics.affine import AffineSDE
from trimtab.forecasting.loops import Loop, Loops
from trimtab.forecasting.starts import Starts


def known(
    space: ObjectiveSpace,
    F: dict[str, object],
    c: dict[str, object],
    Q: object,
    score_noise: Sequence[float] | None = None,
    session_sd: Sequence[float] | None = None,
    start_sd: float = 1.0,
) -> Knowledge:
    """Return knowledge for certain of x' = F x + c + w under each strategy, with starts about the middle."""
    n = space.n
    start = Starts((space.low + space.high) / 2, np.eye(n) * start_sd**2, "made up", scored=False)
    loops = {
        name: Loop(
            name,
            AffineSDE(np.asarray(F[name]) - np.eye(n), np.asarray(c[name], dtype=float), np.asarray(Q)),
            start,
            score_noise=None if score_noise is None else np.asarray(score_noise, dtype=float),
            session_sd=None if session_sd is None else np.asarray(session_sd, dtype=float),
        )
        for name in F
    }
    return Knowledge.of_loops(Loops(space, loops, "model file", {}))


def situation(
    goal: Goal, knowledge: Knowledge, scores: object, strategy: object = None, budget: int = 10, seed: int = 0
) -> Situation:
    """Return where sessions with these scores (S, t + 1, n) stand, after steps by `strategy` (S, t)."""
    y = np.asarray(scores, dtype=float)
    S, t = len(y), y.shape[1] - 1
    steps = np.zeros((S, t), dtype=np.int64) if strategy is None else np.asarray(strategy)
    track = Track(goal, knowledge, budget, seed, [f"s{i}" for i in range(S)], y[:, 0])
    for i in range(t):
        track.step(steps[:, i], y[:, i + 1])
    return track.situation()
