"""Oracle: the best that can be done in a world whose dynamics and states are known, as a measure for policies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.control.evaluation.world import Sessions, World, steer
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.lookahead import Effort
from trimtab.control.policies.predictive import Predictive
from trimtab.control.situation import STOP, Choice, Policy, Situation
from trimtab.control.value_grid import Grid, ValueGrid, can_be_programmed
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.forecasting.loops import Loop, Loops
from trimtab.forecasting.starts import Starts, covariance_of

__all__ = ["DynamicProgramming", "Grid", "is_programmed", "known_for_certain", "oracle", "oracle_sessions"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_EQUAL = 1e-9  # gain below which going on is worth nothing


@dataclass(eq=False)
class DynamicProgramming:
    """The policy that is optimal up to the grid, where scores are states and sessions do not differ for good.

    It takes the mean over one step from the very state that a session is in, and a `ValueGrid` for what follows.

    Parameters
    ----------
    world
        Its score noise is taken to be none.
    """

    world: World
    goal: Goal
    budget: int
    grid: Grid
    name: str = field(default="oracle", init=False)

    def __post_init__(self) -> None:
        world = self.world
        if world.session_sd.any():
            raise InputError("dynamic programming needs sessions that do not differ for good")
        costs = self.goal.cost_of(world.strategies)
        self._grid = ValueGrid(self.goal, world.F, world.c, world.Q, costs, self.budget - 1, self.grid)

    def value(self, x: Floats, best: Floats, left: int) -> Floats:
        """Return E[utility in the end, less costs] if the next step is by strategy k, (S, K).

        Parameters
        ----------
        x, best
            (S, n) states and (S,) utilities of the best iterates so far.
        left
            Steps that may still be taken, 1 or more.
        """
        return self._grid.value(x, best, left)

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        value = self.value(now.state, now.carry, now.left)
        gain = value.max(axis=1) - now.carry
        action = np.where(gain > _EQUAL, value.argmax(axis=1), STOP)
        return Choice(action, np.zeros(len(action), dtype=np.int64), ("{strategy} is worth most",))


def known_for_certain(world: World) -> Knowledge:
    """Return the knowledge of one who knows the world's dynamics for certain."""
    starts = Starts(world.starts.mean(axis=0), covariance_of(world.starts), "as in the world")
    eye, noise = np.eye(world.space.n), world.score_noise
    loops = {
        name: Loop(name, AffineSDE(F - eye, c, Q), starts, score_noise=noise, session_sd=sd)
        for name, F, c, Q, sd in zip(world.strategies, world.F, world.c, world.Q, world.session_sd, strict=True)
    }
    return Knowledge.of_loops(Loops(world.space, loops, "model file", {}))


def is_programmed(world: World, goal: Goal) -> bool:
    """Say whether the oracle is computed by dynamic programming."""
    return can_be_programmed(goal) and not world.session_sd.any()


def oracle(world: World, goal: Goal, budget: int) -> Policy:
    """Return the policy to hold others against, for the world without its score noise.

    Dynamic programming where it can be done; otherwise a lookahead of great effort.
    """
    if is_programmed(world, goal):
        return DynamicProgramming(world, goal, budget, Grid.fine(world.space.n))
    return Predictive(effort=Effort(draws=1, outcomes=32, paths=32, horizon=min(budget, 8)))


def oracle_sessions(world: World, goal: Goal, budget: int, sessions: int, seed: int) -> tuple[str, Sessions]:
    """Return how the oracle was computed, and its sessions, on the same random numbers as those of policies.

    The oracle knows the dynamics for certain and sees states instead of scores. What a session has of its own for good
    it has to learn from its steps, as every policy has. It goes on for as long as that promises anything at all.
    """
    clear = replace(world, score_noise=np.zeros(world.space.n))
    known, wanted = known_for_certain(clear), replace(goal, least_gain=0.0)
    policy = oracle(clear, wanted, budget)
    how = "dynamic programming" if isinstance(policy, DynamicProgramming) else "lookahead of great effort"
    return how, steer(clear, policy, wanted, known, budget, sessions, seed)
