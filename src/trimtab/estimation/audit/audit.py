"""audit(data) -> Audit: is it dynamics, and does what the fit assumes hold? Every strategy's findings, and in words."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimtab.core import plain
from trimtab.core.by_name import ByStrategy
from trimtab.core.trajectories import Exclusion, Trajectories
from trimtab.errors import InputError
from trimtab.estimation.audit.finding import AuditOptions, Finding
from trimtab.estimation.audit.strategy import ASSUMPTIONS, audit_strategy

__all__ = ["SCHEMA", "Audit", "StrategyAudit", "audit"]

SCHEMA = "trimtab.audit/1"

MOST_SHUFFLES = 100_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StrategyAudit:
    """The findings about one strategy.

    ``one["linear"]`` is the finding of that name; iterating gives all of them.

    Parameters
    ----------
    name, sessions, steps
        Strategy, number of sessions with a complete step, number of complete steps.
    findings
        In the order in which the questions are asked.
    """

    name: str
    sessions: int
    steps: int
    findings: tuple[Finding, ...]

    @property
    def tests(self) -> int:
        """Number of tests that were made."""
        return sum(math.isfinite(finding.p_value) for finding in self.findings)

    @property
    def assumption_tests(self) -> int:
        """Number of those whose rejection speaks against the fit, over which Holm's correction is made."""
        return sum(math.isfinite(finding.p_value) for finding in self.findings if finding.name in ASSUMPTIONS)

    def __repr__(self) -> str:
        failed = ", ".join(finding.name for finding in self.findings if finding.holds is False)
        return f"StrategyAudit({self.name!r}, sessions={self.sessions}, does not hold: {failed or 'nothing'})"

    def __getitem__(self, name: str) -> Finding:
        for finding in self.findings:
            if finding.name == name:
                return finding
        known = ", ".join(finding.name for finding in self.findings)
        raise InputError(f"no finding is called {name!r}; there are {known}")

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Audit(ByStrategy[StrategyAudit]):
    """The findings about every strategy. ``audit["EF"]["memory"]`` is one of them; iterating gives the strategies.

    Parameters
    ----------
    level, seed, shuffles
        As in `audit`.
    strategies
        By name, in the order of the trajectories.
    exclusions, notes
        What was left out and assumed on the way from the source.
    """

    level: float
    seed: int
    shuffles: int
    strategies: Mapping[str, StrategyAudit]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    @property
    def tests(self) -> int:
        """Number of tests that were made of all strategies."""
        return sum(one.tests for one in self.strategies.values())

    def __repr__(self) -> str:
        return f"Audit of {len(self)} strategies with {self.tests} tests; print(audit.summary()) for all"

    def summary(self) -> str:
        """Return the questions, answers and sentences as text, at most 118 columns wide."""
        from trimtab.estimation.audit.summary import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values; numbers that are unknown or infinite are None."""
        return {
            "schema": SCHEMA,
            "level": self.level,
            "seed": self.seed,
            "shuffles": self.shuffles,
            "tests": self.tests,
            "correction": "Holm",
            "exclusions": plain.exclusions(self.exclusions),
            "notes": [*self.notes],
            "strategies": {name: _strategy(one) for name, one in self.strategies.items()},
        }


def _strategy(one: StrategyAudit) -> dict[str, Any]:
    return {
        "sessions": one.sessions,
        "steps": one.steps,
        "tests": one.tests,
        "assumption_tests": one.assumption_tests,
        "findings": [_finding(finding) for finding in one.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    numbers = {name: getattr(finding, name) for name in ("statistic", "p_value", "low", "high")}
    return {
        "name": finding.name,
        "question": finding.question,
        **{name: plain.number(value) for name, value in numbers.items()},
        "holds": finding.holds,
        "says": finding.says,
    }


def audit(
    data: Any,
    *,
    objectives: Any = None,
    strategy: str | None = None,
    level: float = 0.95,
    seed: int = 0,
    shuffles: int = 200,
) -> Audit:
    """Ask of every strategy what a sceptical referee asks of a fit, with a test or an interval and a sentence for each.

    Sessions are the independent unit of every test. Where a rejection speaks against the fit (`strategy.ASSUMPTIONS`),
    it counts only if it stands after Holm's correction over such tests of the same strategy.

    Parameters
    ----------
    data
        `Trajectories`, or anything that `trimtab.load` takes: a path, a store URL, a dataframe.
    objectives
        Which objectives to look at, by name; for sources other than trajectories also their bounds and directions.
    strategy
        The one strategy to look at; all of them if None.
    level
        Coverage of the intervals; tests reject below ``1 - level``.
    seed
        Of shuffles, folds and bootstrap replicates.
    shuffles
        How often the scores of each session are refitted in random order.

    Returns
    -------
    Audit
        One `StrategyAudit` per strategy, in the order of the trajectories.

    Raises
    ------
    InputError
        If an option or the data cannot be used.

    Examples
    --------
    >>> import numpy as np, trimtab as tt
    >>> noise = np.random.default_rng(0).normal(5, 1, (50, 11, 1))
    >>> found = tt.audit(tt.Trajectories.from_arrays(noise, ["quality"]))["all"]
    >>> found["memory"].answer, found["linear"].answer
    ('no', 'yes')
    """
    options = _options(level, seed, shuffles)
    from trimtab.store.load import load

    trajectories: Trajectories = load(data, objectives=objectives)
    codes = {name: code for code, name in enumerate(trajectories.strategies) if (trajectories.strategy == code).any()}
    if strategy is not None and strategy not in codes:
        raise InputError(f"no strategy is called {strategy!r}; there are {', '.join(codes)}")
    steps = trajectories.steps()
    strategies = {}
    for name, code in codes.items():
        if strategy in (None, name):
            own = steps.where(steps.strategy == code)
            found = audit_strategy(trajectories, own, code, options)
            strategies[name] = StrategyAudit(name, len(np.unique(own.session)), len(own), found)
    return Audit(
        level=options.level,
        seed=options.seed,
        shuffles=options.shuffles,
        strategies=strategies,
        exclusions=(*trajectories.exclusions, *trajectories.lost_steps()),
        notes=trajectories.notes,
    )


def _options(level: float, seed: int, shuffles: int) -> AuditOptions:
    """Check the options of an audit; ``InputError`` where one makes no sense."""
    try:
        level, seed, shuffles = float(level), operator.index(seed), operator.index(shuffles)
    except (TypeError, ValueError):
        raise InputError(
            "level must be a number, seed and shuffles whole numbers, but got "
            f"level={level!r}, seed={seed!r} and shuffles={shuffles!r}"
        ) from None
    if not 0 < level < 1:
        raise InputError(f"level must lie strictly between 0 and 1, for example 0.95, but got {level:g}")
    if not 20 <= shuffles <= MOST_SHUFFLES:
        raise InputError(f"from 20 to {MOST_SHUFFLES:,} shuffles are possible, but got {shuffles:,}")
    return AuditOptions(level=level, seed=seed, shuffles=shuffles)
