"""The figures of two sides and the uncertainty of their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.dynamics import spectrum
from trimtab.dynamics.equilibrium import equilibria
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.comparison.inference import Inference, Spread, central, deviation, means, of_draws, of_influence
from trimtab.estimation.comparison.results import Row
from trimtab.estimation.moments import FOLDS, Moments

__all__ = [
    "Drift",
    "Errors",
    "Figure",
    "Outcomes",
    "Sample",
    "compared",
    "drift_rows",
    "outcome_rows",
    "pairs",
    "resampled",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Complexes = NDArray[np.complex128]

REGULAR = 0.9
"""Share of the replicates in which every objective must vary on both sides for intervals to be given."""

UNSETTLED = 0.025
"""Share of the replicates without a half-life from which on its ratio has no interval."""

MOST_PAIRS = 6
"""Pairs of objectives up to which each one's interference is a row."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What the sessions of one side came to.

    Parameters
    ----------
    unit
        (S,) unit of each session.
    ends
        (S, n) last completely scored row of each.
    efficiency
        (S,) Pareto efficiency of each.
    """

    unit: Ints
    ends: Floats
    efficiency: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """Eigenvalues (..., k) and equilibria (..., n) of one drift, or of replicates of it."""

    lam: Complexes
    equilibrium: Floats

    @classmethod
    def of(cls, A: Floats, b: Floats, scale: Floats) -> Drift:
        """Return those of dx = (A x + b) dt; singular A are recognised in units of each objective's own `scale`."""
        return cls(spectrum.eigenvalues(A), equilibria(A, b, scale))


Figure = Callable[[Drift], Floats]
Errors = Callable[[Figure, Callable[[Floats], float]], Spread]
"""From a figure, and the size of its replicates' spread, to the errors of the figure on both sides."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One side: moments by unit, its fit, and replicates of the fit from resampled units."""

    moments: Moments
    estimate: ls.AffineEstimate
    drawn: ls.AffineEstimate
    drift: Drift
    drawn_drift: Drift


def resampled(
    a: Moments, b: Moments, *, paired: bool, dt: float, draws: int, seed: int, key: tuple[str, ...]
) -> tuple[Sample, Sample]:
    """Fit both sides, and refit them to units drawn with replacement: the same units on both sides where `paired`.

    Replicates in which an objective does not vary on one side are dropped on both; where they are many, all are.
    """
    if paired:
        totals = _together(a, b, draws, seed, key)
    else:
        totals = resample(a, draws, seed, "a", *key), resample(b, draws, seed, "b", *key)
    made = [ls.estimate(total, a.center, a.scale, dt) for total in totals]
    regular = np.logical_and(*(drawn.rank == a.n for drawn in made))
    regular = regular if regular.mean() >= REGULAR else np.zeros_like(regular)
    samples = []
    for moments, total in zip((a, b), totals, strict=True):
        point = ls.estimate(moments.total, a.center, a.scale, dt)
        drawn = ls.estimate(total[regular], a.center, a.scale, dt)
        drifts = [Drift.of(one.A, one.b, moments.scale) for one in (point, drawn)]
        samples.append(Sample(moments, point, drawn, *drifts))
    return samples[0], samples[1]


def _together(a: Moments, b: Moments, draws: int, seed: int, key: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Draw the sums of both sides with the same weights: they are diagonal blocks of one moment matrix."""
    n, p = a.n, 1 + 2 * a.n
    joint = np.zeros((a.n_sessions, 2 * p, 2 * p))
    # The states of both sides follow the first entry, where `resample` looks for variation.
    at_a = np.concatenate([[0], 1 + np.arange(n), 2 + 2 * n + np.arange(n)])
    at_b = np.concatenate([[1 + 2 * n], 1 + n + np.arange(n), 2 + 3 * n + np.arange(n)])
    joint[:, at_a[:, None], at_a] = a.outer
    joint[:, at_b[:, None], at_b] = b.outer
    twice = Moments(joint, a.session, np.tile(a.center, 2), np.tile(a.scale, 2))
    total = resample(twice, draws, seed, "pairs", *key)
    return total[:, at_a[:, None], at_a], total[:, at_b[:, None], at_b]


def compared(
    a: Sample,
    b: Sample,
    names: tuple[str, ...],
    *,
    paired: bool,
    dt: float,
    level: float,
    seed: int,
) -> tuple[Row, ...]:
    """Return the rows of two least-squares fits, in the order in which they are shown.

    Parameters
    ----------
    names
        Names of the objectives that the samples are about.
    """
    judge = Inference(level, paired, (a.moments.n_sessions, b.moments.n_sessions))

    def errors(figure: Figure, size: Callable[[Floats], float]) -> Spread:
        return of_draws(figure(a.drawn_drift), figure(b.drawn_drift), size)

    drawn = a.drawn_drift, b.drawn_drift
    rows = [*drift_rows(judge, (a.drift, b.drift), drawn, errors, names, dt), *_predictions(judge, a, b, seed)]
    for i, j in pairs(len(names)):
        matrices = [interference_from_covariance(x.step_covariance) for x in (a.estimate, b.estimate, a.drawn, b.drawn)]
        one, other, *replicates = (matrix[..., i, j] for matrix in matrices)
        spread = of_draws(replicates[0], replicates[1])
        rows.append(judge.row("interference", (names[i], names[j]), float(one), float(other), spread))
    return tuple(rows)


def outcome_rows(judge: Inference, a: Outcomes, b: Outcomes, names: tuple[str, ...]) -> tuple[Row, ...]:
    """Return the rows of what sessions came to: mean end of each objective, and mean Pareto efficiency."""
    sides = [
        (o.unit, np.column_stack([o.ends, o.efficiency]), count) for o, count in zip((a, b), judge.units, strict=True)
    ]
    found = [*means(*sides)]
    reached = [judge.row("reached", (name,), *one) for name, one in zip(names, found[:-1], strict=True)]
    return (*reached, judge.row("pareto_efficiency", (), *found[-1]))


def pairs(n: int) -> list[tuple[int, int]]:
    """Return the pairs of n objectives whose interference is compared: none where they are more than `MOST_PAIRS`."""
    found = [*combinations(range(n), 2)]
    return found if len(found) <= MOST_PAIRS else []


def drift_rows(
    judge: Inference,
    points: tuple[Drift, Drift],
    drawn: tuple[Drift, Drift],
    errors: Errors,
    names: tuple[str, ...],
    dt: float,
) -> Iterator[Row]:
    """Yield the rows of what follows from either side's drift: speeds, half-life and equilibria.

    Parameters
    ----------
    points, drawn
        Of both sides, and replicates of them.
    """
    figures: dict[str, Figure] = {
        "rate": lambda drift: spectrum.rate(drift.lam),
        "smooth_rate": lambda drift: np.asarray(-drift.lam.real.mean(axis=-1)),
        "spectral_radius": lambda drift: spectrum.spectral_radius(drift.lam, dt),
    }
    for name, figure in figures.items():
        yield judge.row(name, (), float(figure(points[0])), float(figure(points[1])), errors(figure, deviation))

    def life(drift: Drift) -> Floats:
        return spectrum.half_life(spectrum.spectral_radius(drift.lam, dt))

    def log_life(drift: Drift) -> Floats:
        found = life(drift)
        known = np.isfinite(found) & (found > 0)
        return np.where(known, np.log(np.where(known, found, 1.0)), np.nan)

    spread = Spread(np.nan, np.nan, np.nan)
    if len(drawn[0].lam) and min(float(np.isfinite(log_life(one)).mean()) for one in drawn) >= 1 - UNSETTLED:
        spread = errors(log_life, deviation)
    yield judge.row("half_life", (), float(life(points[0])), float(life(points[1])), spread, ratio=True)
    for j, name in enumerate(names):
        ends = points[0].equilibrium[j], points[1].equilibrium[j]
        yield judge.row("equilibrium", (name,), float(ends[0]), float(ends[1]), errors(_Equilibrium(j), central))


@dataclass(frozen=True, slots=True)
class _Equilibrium:
    objective: int

    def __call__(self, drift: Drift) -> Floats:
        return np.asarray(drift.equilibrium[..., self.objective])


def _predictions(judge: Inference, a: Sample, b: Sample, seed: int) -> Iterator[Row]:
    points = [_explained(side.estimate) for side in (a, b)]
    spread = of_draws(_explained(a.drawn), _explained(b.drawn))
    yield judge.row("r2_steps", (), float(points[0]), float(points[1]), spread)
    one, other = (_held_out(side, seed) for side in (a, b))
    yield judge.row("r2_held_out", (), one[0], other[0], of_influence(one[1], other[1]))


def _explained(fit: ls.AffineEstimate) -> Floats:
    """Return the mean over objectives of 1 - RSS / TSS of steps, (...); nan for objectives whose steps are alike."""
    varies = fit.total_steps > 0
    ratio = np.where(varies, fit.residual / np.where(varies, fit.total_steps, 1.0), 0.0)
    count = varies.sum(axis=-1)
    return np.asarray(np.where(count > 0, 1 - ratio.sum(axis=-1) / np.maximum(count, 1), np.nan))


def _held_out(side: Sample, seed: int) -> tuple[float, Floats]:
    """Return the R2 of steps for units that the fit has not seen, and the units' influences on it, (S,).

    Whole units are held out, in the folds of `prediction`. With r_s the residual and t_s the total sum of squares of
    unit s, R2 is a mean of ratios 1 - sum r / sum t, whose influences are -(r_s - t_s sum r / sum t) / sum t, the
    coefficients of the folds taken as given.
    """
    moments = side.moments
    S, k = moments.n_sessions, 1 + moments.n
    folds = min(FOLDS, S)
    fold = stream(seed, "folds").permutation(S) % folds
    parts = np.stack([moments.outer[fold == f].sum(axis=0) for f in range(folds)])
    beta, _ = ls.coefficients(moments.total - parts)
    own, outer = beta[fold], moments.outer
    G, H, D = outer[:, :k, :k], outer[:, :k, k:], np.einsum("sjj->sj", outer[:, k:, k:])
    residual = D - 2 * np.einsum("sij,sij->sj", own, H) + np.einsum("sij,sij->sj", own, G @ own)
    mean = moments.total[0, k:] / moments.total[0, 0]
    total = D - 2 * mean * outer[:, 0, k:] + mean**2 * outer[:, :1, 0]
    varies = side.estimate.total_steps > 0
    if not varies.any():
        return float("nan"), np.full(S, np.nan)
    residual, total = residual[:, varies], total[:, varies]
    ratio, whole = residual.sum(axis=0) / total.sum(axis=0), total.sum(axis=0)
    return float(1 - ratio.mean()), np.asarray(-((residual - total * ratio) / whole).mean(axis=1))
