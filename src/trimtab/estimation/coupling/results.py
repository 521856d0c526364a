"""What is said of several agents in one system: blocks of the drift, speeds, interference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core import plain
from trimtab.core.by_name import ByStrategy
from trimtab.core.exclusions import Exclusion
from trimtab.errors import InputError
from trimtab.estimation.estimates import ArrayEstimate, Estimate
from trimtab.estimation.rungs import RungName

__all__ = ["SCHEMA", "Block", "CorrelationBlock", "Coupling", "StrategyCoupling"]

Floats = NDArray[np.float64]

SCHEMA = "trimtab.agents/1"


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The part of the drift matrix by which one agent's scores move another's, or its own.

    Parameters
    ----------
    to, of
        The agent that is moved, and the one whose scores move it.
    A
        (n_to, n_of), with intervals, per unit of time.
    norm
        Frobenius norm with every objective in its own spread, sqrt(sum over i, j of (A_ij s_j / s_i)^2).
    p_value
        Of "the block is zero"; nan for an agent's own block and where sessions are too few.
    adjusted_p_value
        The same after Holm's correction over the pairs of agents under this strategy.
    least_squares_p_value
        What the adjusted one would be by least squares, where the fit trusts another estimator.
    """

    to: str
    of: str
    A: ArrayEstimate
    norm: float
    p_value: float
    adjusted_p_value: float
    least_squares_p_value: float


@dataclass(frozen=True, slots=True)
class CorrelationBlock:
    """Interference of one agent's objectives with each other, or with those of another agent.

    Parameters
    ----------
    agents
        One, or two.
    size
        Root mean square of the correlations of steps.
    strongest
        The two objectives whose steps go together most, or against each other.
    correlation
        Theirs.
    adjusted_p_value
        Of "their steps are uncorrelated", adjusted as in the fit.
    """

    agents: tuple[str, ...]
    size: float
    strongest: tuple[str, str]
    correlation: Estimate
    adjusted_p_value: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StrategyCoupling:
    """One strategy's agents. ``one["writer", "critic"]`` is the block by which the critic moves the writer.

    Parameters
    ----------
    estimator
        Name of the rung of the fit that all figures are of: the one that it trusts.
    agents
        Names of each agent's objectives in the drift, by agent.
    blocks
        By (to, of), an agent's own among them.
    interference
        Within agents of two objectives or more, and between all pairs.
    rate, rate_apart, rate_change
        Rate of the whole; with all blocks between agents set to zero; the first less the second.
    """

    name: str
    estimator: RungName
    sessions: int
    steps: int
    agents: Mapping[str, tuple[str, ...]]
    blocks: Mapping[tuple[str, str], Block]
    interference: tuple[CorrelationBlock, ...]
    rate: Estimate
    rate_apart: Estimate
    rate_change: Estimate

    def __repr__(self) -> str:
        return f"StrategyCoupling({self.name!r}, agents={', '.join(self.agents)})"

    def __getitem__(self, pair: tuple[str, str]) -> Block:
        try:
            return self.blocks[pair]
        except KeyError:
            raise InputError(
                f"no block is named {pair!r}; a block is (agent moved, agent that moves it); "
                f"there are {', '.join(self.agents)}"
            ) from None

    @property
    def between(self) -> tuple[Block, ...]:
        """The blocks between different agents."""
        return tuple(block for (to, of), block in self.blocks.items() if to != of)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Coupling(ByStrategy[StrategyCoupling]):
    """Several agents in one system, under every strategy. ``found["all"]`` is one; iterating gives the strategies."""

    level: float
    strategies: Mapping[str, StrategyCoupling]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Coupling under {', '.join(self.strategies)}; print(coupling.summary()) for all"

    def summary(self) -> str:
        """Return tables and sentences as text, at most 118 columns wide."""
        from trimtab.estimation.coupling.summary import CouplingSummary
        from trimtab.estimation.layout import as_text

        return as_text(CouplingSummary(self))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values; numbers that are unknown or infinite are None."""
        return {
            "schema": SCHEMA,
            "level": self.level,
            "correction": "Holm",
            "strategies": {name: _strategy(one) for name, one in self.strategies.items()},
            "exclusions": plain.exclusions(self.exclusions),
            "notes": [*self.notes],
            "warnings": [*self.warnings],
        }


def _strategy(one: StrategyCoupling) -> dict[str, Any]:
    return {
        "estimator": one.estimator,
        "sessions": one.sessions,
        "steps": one.steps,
        "agents": {name: [*own] for name, own in one.agents.items()},
        "blocks": [
            {
                "to": block.to,
                "of": block.of,
                "A": plain.interval(block.A),
                "norm": plain.number(block.norm),
                "p_value": plain.number(block.p_value),
                "adjusted_p_value": plain.number(block.adjusted_p_value),
                "least_squares_p_value": plain.number(block.least_squares_p_value),
            }
            for block in one.blocks.values()
        ],
        "interference": [
            {
                "agents": [*block.agents],
                "size": plain.number(block.size),
                "strongest": [*block.strongest],
                "correlation": plain.interval(block.correlation),
                "adjusted_p_value": plain.number(block.adjusted_p_value),
            }
            for block in one.interference
        ],
        "rate": plain.interval(one.rate),
        "rate_apart": plain.interval(one.rate_apart),
        "rate_change": plain.interval(one.rate_change),
    }
