"""Decision: what a live session is to do next, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from trimtab.control.situation import ASK, Choice, Situation
from trimtab.core import plain

__all__ = ["Action", "Decision", "Gain", "decide"]

Action = Literal["continue", "stop", "ask"]


@dataclass(frozen=True, slots=True)
class Gain:
    """What going on with a strategy promises over stopping now, in utility points after its cost.

    Parameters
    ----------
    expected
        Over everything that is not known.
    low, high
        Between which values it lies with a chance of 95%, as far as the drift is not known; not-a-number where the
        policy does not reckon them.
    """

    expected: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.expected:.2f} ({self.low:.2f} to {self.high:.2f})"

    def to_list(self) -> list[float | None]:
        """Return the three values, None for those that the policy does not reckon."""
        return [plain.number(value) for value in (self.expected, self.low, self.high)]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a session is to do after an iteration.

    Parameters
    ----------
    action
        ``"continue"`` with `strategy`, ``"stop"``, or ``"ask"`` a human.
    strategy
        By which the next iterate is to be made; None unless the action is to continue.
    base
        Index of the iterate to be improved: the latest one, unless the policy starts anew.
    keep
        Index of the iterate to keep if the session ended now: the one whose estimated true quality is best.
    utility
        Its expected utility.
    iteration
        Iterations done, the start being 0.
    gains
        By strategy, where the policy reckons them.
    reason
        One sentence.
    trigger
        The condition that fired, in words; None if none did.
    """

    action: Action
    strategy: str | None
    base: int
    keep: int
    utility: float
    iteration: int
    reason: str
    gains: Mapping[str, Gain] = field(default_factory=lambda: MappingProxyType({}))
    trigger: str | None = None

    def __str__(self) -> str:
        said = f"{self.action} with {self.strategy}" if self.strategy else self.action
        return f"{said}; keep iteration {self.keep} (utility {self.utility:.2f}): {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "action": self.action,
            "strategy": self.strategy,
            "base": self.base,
            "keep": self.keep,
            "utility": self.utility,
            "iteration": self.iteration,
            "gains": {name: gain.to_list() for name, gain in self.gains.items()},
            "reason": self.reason,
            "trigger": self.trigger,
        }


def decide(now: Situation, choice: Choice, session: int = 0) -> Decision:
    """Return what a policy chose for one of the sessions, in words."""
    names, code = now.knowledge.strategies, int(choice.action[session])
    strategy = names[code] if code >= 0 else None
    gains = _gains(choice, session, names)
    best = max(gains, key=lambda name: gains[name].expected, default="none")
    facts: dict[str, Any] = {
        "strategy": strategy or "",
        "best": best,
        "gain": _short(gains[strategy or best].expected) if gains else "",
        "least": _short(now.goal.least_gain),
        "floor": ", ".join(str(floor) for floor in now.goal.floors if floor.on == "each"),
        **{name: _said(values[session]) for name, values in choice.facts.items()},
    }
    return Decision(
        action="continue" if strategy else "ask" if code == ASK else "stop",
        strategy=strategy,
        base=now.t if choice.base is None else int(choice.base[session]),
        keep=int(now.keep[session]),
        utility=float(now.goal.worth(now.carry[session])),
        iteration=now.t,
        reason=choice.reasons[int(choice.reason[session])].format_map(facts),
        gains=MappingProxyType(gains),
    )


def _gains(choice: Choice, session: int, names: tuple[str, ...]) -> dict[str, Gain]:
    if choice.gain is None:
        return {}
    rows = choice.gain[session]
    return {
        name: Gain(*(float(value) for value in row))
        for name, row in zip(names, rows, strict=True)
        if np.isfinite(row[0])
    }


class _Number(float):
    """A number that is short unless a sentence says how it is written."""

    def __format__(self, how: str) -> str:
        return float.__format__(self, how) if how else _short(float(self))


def _said(value: Any) -> str | float:
    return _Number(value) if isinstance(value, float | np.floating) else str(value)


def _short(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.2f}"
