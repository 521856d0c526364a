"""The table of all figures, and the matrices behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.spectrum import REGIMES
from trimtab.estimation.results import ArrayEstimate, Estimate, RegimeEstimate, StrategyFit
from trimtab.estimation.rungs import RUNGS
from trimtab.report.text import UNKNOWN, fixed, interval, number, p_value, percent, scale_decimals, shorten

__all__ = ["Matrix", "Row", "figure_rows", "half_life_text", "matrices", "regime_shares"]

Cell = Callable[[StrategyFit], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every strategy; `hint` says how to read it, `group` is set on the first row of a group."""

    label: str
    cells: tuple[str, ...]
    hint: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A labelled table of numbers: A, b, Q or others of one strategy."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def half_life_text(value: Estimate) -> str:
    """Return a half-life with its interval, or that deviations never halve."""
    if np.isposinf(float(value)):
        return "never: deviations do not shrink"
    return interval(value)


def regime_shares(regime: RegimeEstimate) -> list[tuple[str, float]]:
    """Return the regimes that any draw shows, the likeliest first."""
    shares = regime.probabilities
    return sorted(((r, shares[r]) for r in REGIMES if shares.get(r, 0.0) > 0), key=lambda item: -item[1])


def _yes_no(value: bool | None) -> str:
    return UNKNOWN if value is None else "yes" if value else "no"


def _moduli(one: StrategyFit) -> str:
    return "\n".join(interval(one.multipliers[i]) for i in range(len(one.multipliers.estimate))) or UNKNOWN


def _period(one: StrategyFit) -> str:
    if np.isposinf(one.period):
        return "none: no oscillation"
    return number(one.period)


def _at(name: str, j: int) -> Cell:
    def cell(one: StrategyFit) -> str:
        values: ArrayEstimate = getattr(one, name)
        return interval(values[j], scale_decimals(one.space.objectives[j]))

    return cell


def figure_rows(fits: Sequence[StrategyFit], dt: float) -> list[Row]:
    """Return all figures of all strategies, row by row, in groups."""
    objectives = [shorten(name, 60) for name in fits[0].space.names]
    unit = "per iteration" if dt == 1 else "per unit of time"
    wanted: list[tuple[str, list[tuple[str, str, Cell]]]] = [
        (
            "Data",
            [
                ("Sessions", "with at least one complete step", lambda f: f"{f.sessions:,}"),
                ("Steps", "from one completely scored iteration to the next", lambda f: f"{f.steps:,}"),
                ("What they show", "dynamics, or what looks like them", lambda f: f.diagnosis.label),
                ("Estimator", "the one that all figures below rest on", lambda f: RUNGS[f.trusted]),
            ],
        ),
        (
            "Speed",
            [
                ("Rate", f"{unit}; higher is faster, below 0 diverges", lambda f: interval(f.rate)),
                (
                    "Average rate",
                    "over all directions; smooth where eigenvalues meet",
                    lambda f: interval(f.smooth_rate),
                ),
                (
                    "Multiplier",
                    "what one iteration leaves of a deviation, in the direction that sets the rate",
                    lambda f: interval(f.multiplier),
                ),
                ("All multipliers", "one per direction, largest first", _moduli),
                (
                    "Spectral radius",
                    "the largest multiplier; below 1 the loop converges",
                    lambda f: interval(f.spectral_radius),
                ),
                (
                    "Half-life",
                    "iterations until the slowest deviation has halved",
                    lambda f: half_life_text(f.half_life),
                ),
                ("Period", "iterations per turn of the slowest direction", _period),
            ],
        ),
        (
            "Stability",
            [
                (
                    "Loop stable",
                    "discrete: every |1 + λ dt| < 1. This is the one that holds for a loop",
                    lambda f: _yes_no(f.stable_discrete),
                ),
                ("Equation stable", "continuous: every Re λ < 0", lambda f: _yes_no(f.stable_continuous)),
                ("Regime", "named if 95% of the draws agree and there is memory", lambda f: f.regime.label),
                *(
                    (f"… {name}", "share of bootstrap draws" if name == REGIMES[0] else "", _regime_cell(name))
                    for name in REGIMES
                ),
                (
                    "Memory test p",
                    "above 0.05: the next score may not depend on the present one at all",
                    lambda f: p_value(f.memory_p_value),
                ),
            ],
        ),
        (
            "Where it goes",
            [
                *(
                    (f"Start, {name}", "mean first score" if j == 0 else "", _at("started", j))
                    for j, name in enumerate(objectives)
                ),
                *(
                    (f"Reached, {name}", "mean final score" if j == 0 else "", _at("reached", j))
                    for j, name in enumerate(objectives)
                ),
                *(
                    (f"Equilibrium, {name}", "where the drift vanishes" if j == 0 else "", _at("equilibrium", j))
                    for j, name in enumerate(objectives)
                ),
            ],
        ),
        (
            "Prediction (R²)",
            [
                (
                    "Steps",
                    "of the change, in sample. Pure scoring noise with rate 1 shows 0.5 here",
                    lambda f: interval(f.r2.steps, 2),
                ),
                ("Steps, held out", "for sessions the fit has not seen", lambda f: fixed(f.r2.steps_held_out, 2)),
                ("Levels", "of the next score, in sample", lambda f: interval(f.r2.levels, 2)),
                (
                    "Levels, held out",
                    "has to beat both baselines below to mean anything",
                    lambda f: fixed(f.r2.levels_held_out, 2),
                ),
                ("Levels, “stays where it is”", "baseline", lambda f: fixed(f.r2.levels_persistence, 2)),
                ("Levels, “jumps to the mean”", "baseline, held out", lambda f: fixed(f.r2.levels_mean, 2)),
                *(
                    (f"Steps, {name}", "in sample, this objective alone" if j == 0 else "", _per_objective(j))
                    for j, name in enumerate(objectives)
                    if len(objectives) > 1
                ),
            ],
        ),
        (
            "Outcome",
            [
                (
                    "Pareto efficiency",
                    "share of a session's iterations that no other of its iterations dominates",
                    lambda f: interval(f.pareto_efficiency, 2),
                ),
                (
                    "Hypervolume",
                    "share of the objective box that the final scores dominate together",
                    lambda f: fixed(f.hypervolume, 3),
                ),
            ],
        ),
    ]
    rows = []
    for group, figures in wanted:
        for i, (label, hint, cell) in enumerate(figures):
            rows.append(Row(label, tuple(cell(one) for one in fits), hint, group if i == 0 else ""))
    return rows


def _regime_cell(name: str) -> Cell:
    return lambda one: percent(one.regime.probabilities.get(name, float("nan")))


def _per_objective(j: int) -> Cell:
    return lambda one: fixed(float(one.r2.per_objective[j]), 2)


def _matrix(title: str, values: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str]) -> Matrix:
    listed = tuple((label, tuple(number(float(v)) for v in line)) for label, line in zip(rows, values, strict=True))
    return Matrix(title, tuple(columns), listed)


def matrices(one: StrategyFit) -> list[Matrix]:
    """Return A with b, Q, and the eigenvalues of one strategy."""
    names = [shorten(name, 40) for name in one.space.names]
    found = [
        _matrix(
            "Drift A and b: expected step of the row's objective = A x + b",
            np.column_stack([one.A, one.b]),
            names,
            [*names, "b"],
        ),
        _matrix("Innovation covariance Q of a step", one.Q, names, names),
    ]
    if len(one.eigenvalues):
        lam = one.eigenvalues
        values = np.column_stack([lam.real, lam.imag, np.abs(1 + lam * one.dt)])
        labels = [f"λ{i + 1}" for i in range(len(lam))]
        found.append(_matrix("Eigenvalues of A", values, labels, ["real", "imaginary", "|1 + λ dt|"]))
    if one.rung.clusters:
        rows = [
            [c.size, c.real, c.real.low, c.real.high, c.mean.imag, float(c.conditions.max()), c.mean_condition]
            for c in one.rung.clusters
        ]
        heads = ["eigenvalues", "mean, real", "low", "high", "imaginary", "condition", "of the mean"]
        title = "Eigenvalues by cluster: those that cannot be told apart on one line"
        found.append(_matrix(title, np.array(rows, dtype=np.float64), [str(k + 1) for k in range(len(rows))], heads))
    return found
