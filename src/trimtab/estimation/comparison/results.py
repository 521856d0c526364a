"""What a comparison holds: rows of figures with their differences, tests, and all strategies together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trimtab.core.by_name import ByStrategy
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError
from trimtab.estimation.results import Estimate, StrategyFit

__all__ = [
    "FIGURES",
    "FOLLOWING",
    "Comparison",
    "DriftTest",
    "Row",
    "Stillness",
    "StrategyComparison",
    "TransitionTest",
    "Trusted",
]

FIGURES: Mapping[str, str] = {
    "rate": "rate, slowest direction",
    "smooth_rate": "rate, average direction",
    "spectral_radius": "kept per iteration, at most",
    "half_life": "iterations to halve",
    "r2_steps": "steps explained (R2)",
    "r2_held_out": "unseen steps explained (R2)",
    "equilibrium": "heads for",
    "reached": "mean end",
    "interference": "steps go together:",
    "pareto_efficiency": "Pareto efficiency",
    "chance": "chance per try to reach",
    "absorbed": "chance to reach it in time",
    "unchanged": "tries that change nothing",
    "chain_rate": "rate, between levels",
    "long_run": "long-run mean",
    "rate_per_iteration": "rate per iteration",
    "rate_per_change": "rate per change",
    "change_equilibrium": "changes head for",
}
"""The figures that are compared, and what they are called in a table."""

FOLLOWING = ("rate", "smooth_rate", "spectral_radius", "half_life", "equilibrium", "interference")
"""Those that follow from an estimate of the drift, whichever it is."""


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
        The same after Holm's adjustment over all rows of its kind in the comparison (of least squares and outcomes, of
        the trusted estimates, of standing still): rejecting where it is below 0.05 errs in any row of that kind with
        probability 0.05 at most.
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


@dataclass(frozen=True, slots=True, eq=False)
class Trusted:
    """How the estimates differ that a fit of either side trusts, see `trimtab.estimation.comparison.trusted`.

    Parameters
    ----------
    rows
        Figures that follow from the drift, with their differences.
    own
        False where both sides trust least squares, so that the rows are those of the comparison itself.
    """

    rows: tuple[Row, ...]
    own: bool

    def __getitem__(self, key: str | tuple[str, ...]) -> Row:
        """Return a row by figure, or by figure and objectives."""
        return _found(self.rows, key)


@dataclass(frozen=True, slots=True)
class TransitionTest:
    """A permutation test of "both sides step from level to level with the same chances".

    Parameters
    ----------
    statistic
        Sum over transitions of the squared difference of their chances in units of its error over units.
    permutations
        How often units were dealt to the sides anew, or, where paired, their two sides exchanged.
    p_value
        Share of these, the data themselves counted, with a statistic as large.
    p_adjusted
        The same after Holm's adjustment over the strategies compared.
    """

    statistic: float
    permutations: int
    p_value: float
    p_adjusted: float = float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Stillness:
    """Both sides as loops that stand still or jump between a few levels, see `comparison.stillness`.

    Parameters
    ----------
    model
        ``"chain"`` on levels that both sides share, ``"hurdle"``, or ``"share"`` where only the share of steps that
        change nothing is compared.
    rows
        Figures with their differences.
    test
        Of equal chances, for a chain.
    objectives, states
        Of a chain: names of m objectives, and their scores (K, m) in each state.
    absorbing
        (K,) states at which a chain ends: sessions do on reaching them on one side at least, or never leave them.
    horizon
        Steps of the longest session, on the side where that is shorter. Where states end the chain, later steps do not
        count, because those of the other side would be of tasks that are hard.
    """

    model: Literal["chain", "hurdle", "share"]
    rows: tuple[Row, ...]
    test: TransitionTest | None = None
    objectives: tuple[str, ...] = ()
    states: tuple[tuple[float, ...], ...] = ()
    absorbing: tuple[bool, ...] = ()
    horizon: int = 0

    def __getitem__(self, key: str | tuple[str, ...]) -> Row:
        """Return a row by figure, or by figure and objectives."""
        return _found(self.rows, key)

    @property
    def target(self) -> str:
        """The states at which the chain ends, in words."""
        ends = [values for values, end in zip(self.states, self.absorbing, strict=True) if end]
        return " or ".join(
            " with ".join(f"{name} {value:.3g}" for name, value in zip(self.objectives, values, strict=True))
            for values in ends
        )


def _found(rows: tuple[Row, ...], key: str | tuple[str, ...]) -> Row:
    figure, *objectives = (key,) if isinstance(key, str) else key
    for row in rows:
        if row.figure == figure and sorted(row.objectives) == sorted(objectives):
            return row
    known = ", ".join(repr(row.figure) if not row.objectives else repr((row.figure, *row.objectives)) for row in rows)
    raise InputError(f"no row of this comparison is called {key!r}; there are {known or 'none'}")


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
    fits
        Either side's own fit: its verdict, its rungs and the one to trust, and models of standing still.
    drift, matrix
        Tests of equal A and b, and of equal A, by least squares.
    rows
        Figures of least squares, if it identifies a drift on both sides, and of outcomes, with their differences.
    trusted
        The same for the estimates that the fits trust; None where a drift is not identified on both sides.
    stillness
        What is compared where a side stands still or jumps between few levels; otherwise None.
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
    fits: tuple[StrategyFit, StrategyFit]
    drift: DriftTest
    matrix: DriftTest
    rows: tuple[Row, ...]
    trusted: Trusted | None
    stillness: Stillness | None
    regimes: tuple[Mapping[str, float], Mapping[str, float]]
    memory: tuple[float, float]
    second_lag: tuple[float, float]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        parts = [f"{row.figure}={row.difference!s}" for row in self.rows[:1]]
        return f"StrategyComparison({self.name!r}, p={self.drift.p_value:.3g}, {', '.join(parts)})"

    def __getitem__(self, key: str | tuple[str, ...]) -> Row:
        """Return a row by figure, or by figure and objectives: ``c["rate"]``, ``c["reached", "security"]``."""
        return _found(self.rows, key)

    @property
    def verdict(self) -> str:
        """What the differences mean, in plain words."""
        from trimtab.estimation.comparison.verdict import verdict

        return verdict(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Comparison(ByStrategy[StrategyComparison]):
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

    _unknown = "nothing is compared under"

    def __repr__(self) -> str:
        return f"Comparison of {' and '.join(self.names)}: {', '.join(self.strategies)}; print(comparison.summary())"

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
