"""What a comparison holds: rows of figures with their differences, tests, and all strategies together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError
from trimtab.estimation.results import Estimate

__all__ = ["FIGURES", "Comparison", "DriftTest", "Row", "StrategyComparison"]

FIGURES: Mapping[str, str] = {
    "rate": "rate",
    "smooth_rate": "average rate -tr(A)/n",
    "spectral_radius": "max |1+λ|",
    "half_life": "half-life",
    "r2_steps": "R2 of steps",
    "r2_held_out": "R2 of steps, held out",
    "equilibrium": "equilibrium",
    "reached": "mean end",
    "interference": "interference",
    "pareto_efficiency": "Pareto efficiency",
}
"""The figures that are compared, and what they are called in a table."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure on both sides.

    Parameters
    ----------
    figure
        A key of `FIGURES`.
    objectives
        Names of the objectives it concerns: none, one, or the two of a pair.
    a, b
        The figure on either side.
    difference
        b - a with its interval; for the half-life, whose sampling distribution is symmetric in its logarithm only, the
        ratio b / a.
    kind
        Which of the two it is.
    p_value
        Of "no difference".
    p_adjusted
        The same after Holm's adjustment over all rows of the comparison: rejecting where it is below 0.05 errs in any
        row at all with probability 0.05 at most.
    """

    figure: str
    objectives: tuple[str, ...]
    a: float
    b: float
    difference: Estimate
    kind: Literal["difference", "ratio"]
    p_value: float
    p_adjusted: float = float("nan")


@dataclass(frozen=True, slots=True)
class DriftTest:
    """A test of equal drift on both sides.

    Parameters
    ----------
    entries
        What is tested, in words.
    statistic, dof, error_dof
        Hotelling's T2 of the q differences, q, and the degrees of freedom nu of their covariance.
    p_value
        Of T2 (nu - q + 1) / (nu q) under F(q, nu - q + 1).
    p_adjusted
        The same after Holm's adjustment over the strategies compared.
    """

    entries: str
    statistic: float
    dof: int
    error_dof: float
    p_value: float
    p_adjusted: float = float("nan")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StrategyComparison:
    """One strategy on two sides, or two strategies.

    Parameters
    ----------
    names
        What the sides are called.
    paired, by
        Whether units are on both sides and drawn together, and the column that names them.
    noun
        What the units are called, in the plural.
    units, sessions, steps
        How many of each, on either side.
    drift, matrix
        Tests of equal A and b, and of equal A.
    rows
        Figures with their differences.
    regimes
        For either side the share of bootstrap replicates that show each regime.
    memory
        For either side the p-value of "the next score does not depend on the present one".
    second_lag
        And of "nor on the one before it".
    """

    name: str
    names: tuple[str, str]
    level: float
    dt: float
    paired: bool
    by: str
    noun: str
    units: tuple[int, int]
    sessions: tuple[int, int]
    steps: tuple[int, int]
    drift: DriftTest
    matrix: DriftTest
    rows: tuple[Row, ...]
    regimes: tuple[Mapping[str, float], Mapping[str, float]]
    memory: tuple[float, float]
    second_lag: tuple[float, float]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"StrategyComparison({self.name!r}, p={self.drift.p_value:.3g}, rate={self['rate'].difference!s})"

    def __getitem__(self, key: str | tuple[str, ...]) -> Row:
        """Return a row by figure, or by figure and objectives: ``c["rate"]``, ``c["reached", "security"]``."""
        figure, *objectives = (key,) if isinstance(key, str) else key
        for row in self.rows:
            if row.figure == figure and sorted(row.objectives) == sorted(objectives):
                return row
        known = ", ".join(
            repr(row.figure) if not row.objectives else repr((row.figure, *row.objectives)) for row in self.rows
        )
        raise InputError(f"no row of this comparison is called {key!r}; there are {known}")

    @property
    def verdict(self) -> str:
        """What the differences mean, in plain words."""
        from trimtab.estimation.comparison.verdict import verdict

        return verdict(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison:
    """Two sides, compared strategy by strategy: ``comparison["EF"]``; iterating gives the names.

    Two strategies compared with each other stand under one name, ``"EF vs SF"``.
    """

    space: ObjectiveSpace
    names: tuple[str, str]
    dt: float
    level: float
    seed: int
    strategies: Mapping[str, StrategyComparison]
    warnings: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Comparison of {' and '.join(self.names)}: {', '.join(self.strategies)}; print(comparison.summary())"

    def __getitem__(self, name: str) -> StrategyComparison:
        try:
            return self.strategies[name]
        except KeyError:
            raise InputError(f"nothing is compared under {name!r}; there are {', '.join(self.strategies)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.strategies)

    def __len__(self) -> int:
        return len(self.strategies)

    @property
    def verdict(self) -> str:
        """What the differences mean, strategy by strategy."""
        many = len(self.strategies) > 1
        return "\n".join(f"{name}: {one.verdict}" if many else one.verdict for name, one in self.strategies.items())

    def summary(self) -> str:
        """Return tables and verdicts as text for a terminal."""
        from trimtab.estimation.comparison.summary import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.comparison/1``, as plain Python values."""
        from trimtab.estimation.comparison.document import document

        return document(self)

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return that document as text; unknown numbers are null."""
        import json

        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)
