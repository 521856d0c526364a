"""Two agents whose coupling is known."""

from __future__ import annotations

import numpy as np

import trimtab as tt

COUPLED = np.array(
    [
        [-0.4, 0.0, 0.25, 0.0],
        [0.1, -0.5, 0.0, 0.25],
        [0.0, 0.0, -0.3, 0.1],
        [0.0, 0.0, 0.0, -0.6],
    ]
)


def writer_and_critic(seed: int, sessions: int = 60, steps: int = 8, shuffled: bool = False) -> tt.Trajectories:
    """Simulate both, `shuffled` with the critic of another session; innovations are correlated across agents."""
    rng = np.random.default_rng(seed)
    model = tt.AffineSDE(COUPLED, -COUPLED @ np.full(4, 5.0), 0.25 * np.eye(4) + 0.05)
    x = model.simulate(rng.normal(5, 1, (sessions, 4)), steps, rng)
    critic = x[rng.permutation(sessions), :, 2:] if shuffled else x[..., 2:]
    return tt.couple(
        {
            "writer": tt.Trajectories.from_arrays(x[..., :2], ["style", "clarity"]),
            "critic": tt.Trajectories.from_arrays(critic, ["rigour", "care"]),
        }
    )


def sharing(seed: int, sessions: int = 60, steps: int = 8) -> tt.Trajectories:
    """Simulate two agents pulled to a level that their session sets for both; neither moves the other."""
    rng = np.random.default_rng(seed)
    level, x = 5 + rng.normal(0, 1, (sessions, 1)), [rng.normal(5, 1, (sessions, 2))]
    for _ in range(steps):
        x.append(x[-1] - 0.4 * (x[-1] - level) + 0.5 * rng.standard_normal((sessions, 2)))
    return tt.Trajectories.from_arrays(np.stack(x, axis=1), ["writer.style", "critic.rigour"])
