"""The figures of two sides and the uncertainty of their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.dynamics import spectrum
from trimtab.dynamics.interference import interference_from_covariance
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.comparison.results import Row
from trimtab.estimation.moments import FOLDS, Moments
from trimtab.estimation.results import Estimate

__all__ = ["Outcomes", "Sample", "compared", "resampled"]

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
class Sample:
    """One side: moments by unit, its fit, and replicates of the fit from resampled units."""

    moments: Moments
    estimate: ls.AffineEstimate
    drawn: ls.AffineEstimate
    lam: Complexes
    drawn_lam: Complexes


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
        samples.append(Sample(moments, point, drawn, spectrum.eigenvalues(point.A), spectrum.eigenvalues(drawn.A)))
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


@dataclass(frozen=True, slots=True)
class _Spread:
    """Standard errors of a figure on either side, (sa, sb), and of their difference where they are paired."""

    a: float
    b: float
    joint: float


@dataclass(frozen=True, slots=True)
class _Inference:
    level: float
    paired: bool
    units: tuple[int, int]

    def infer(self, difference: float, spread: _Spread) -> tuple[float, float, float]:
        """Return low, high and the p-value of t = difference / error, with Welch's degrees of freedom if unpaired."""
        if self.paired:
            error, dof = spread.joint, self.units[0] - 1.0
        else:
            parts = spread.a**2, spread.b**2
            error = float(np.sqrt(sum(parts)))
            lost = sum(part**2 / (count - 1) for part, count in zip(parts, self.units, strict=True))
            dof = sum(parts) ** 2 / lost if lost > 0 else float(min(self.units) - 1)
        if not np.isfinite(error) or not np.isfinite(difference):
            return float("nan"), float("nan"), float("nan")
        half = float(scipy.special.stdtrit(dof, 0.5 + self.level / 2)) * error
        if error == 0:
            return difference, difference, float(difference == 0)
        p = 2 * float(scipy.special.stdtr(dof, -abs(difference) / error))
        return difference - half, difference + half, p

    def row(
        self, figure: str, objectives: tuple[str, ...], a: float, b: float, spread: _Spread, *, ratio: bool = False
    ) -> Row:
        """Return the row of a figure; with `ratio` the spread is that of its logarithm."""
        if not ratio:
            low, high, p = self.infer(b - a, spread)
            return Row(figure, objectives, a, b, Estimate(b - a, low, high), "difference", p)
        usable = 0 < a < np.inf and 0 < b < np.inf
        change = float(np.log(b / a)) if usable else float("nan")
        low, high, p = self.infer(change, spread)
        return Row(figure, objectives, a, b, Estimate(*np.exp([change, low, high])), "ratio", p)


def compared(
    a: Sample,
    b: Sample,
    outcomes: tuple[Outcomes, Outcomes],
    names: tuple[str, ...],
    active: Ints,
    *,
    paired: bool,
    dt: float,
    level: float,
    seed: int,
) -> tuple[Row, ...]:
    """Return the rows, in the order in which they are shown.

    Parameters
    ----------
    names
        Names of all objectives, which the outcomes are about.
    active
        Indices of those that the samples are about.
    """
    judge = _Inference(level, paired, (a.moments.n_sessions, b.moments.n_sessions))
    chosen = [names[j] for j in active]
    rows = [*_spectral(judge, a, b, dt), *_levels(judge, a, b, outcomes, names, active)]
    rows += [*_predictions(judge, a, b, seed)]
    n = len(chosen)
    if n * (n - 1) // 2 <= MOST_PAIRS:
        matrices = [interference_from_covariance(x.step_covariance) for x in (a.estimate, b.estimate, a.drawn, b.drawn)]
        for i, j in combinations(range(n), 2):
            one, other, drawn, drawn_other = (matrix[..., i, j] for matrix in matrices)
            spread = _of_draws(drawn, drawn_other)
            rows.append(judge.row("interference", (chosen[i], chosen[j]), float(one), float(other), spread))
    sides = [(o.unit, o.efficiency[:, None], s.moments.n_sessions) for o, s in zip(outcomes, (a, b), strict=True)]
    rows += [judge.row("pareto_efficiency", (), *found) for found in _means(*sides)]
    return tuple(rows)


def _deviation(values: Floats) -> float:
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")


def _central(values: Floats) -> float:
    """Return half the central 68% range: for ratios, whose replicates may have no finite variance."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return float("nan")
    tail = float(scipy.special.ndtr(-1.0))
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(high - low) / 2


def _of_draws(a: Floats, b: Floats, size: Callable[[Floats], float] = _deviation) -> _Spread:
    return _Spread(size(a), size(b), size(b - a))


def _spectral(judge: _Inference, a: Sample, b: Sample, dt: float) -> Iterator[Row]:
    figures: dict[str, Callable[[Complexes], Floats]] = {
        "rate": spectrum.rate,
        "smooth_rate": lambda lam: np.asarray(-lam.real.mean(axis=-1)),
        "spectral_radius": lambda lam: spectrum.spectral_radius(lam, dt),
    }
    for name, figure in figures.items():
        spread = _of_draws(figure(a.drawn_lam), figure(b.drawn_lam))
        yield judge.row(name, (), float(figure(a.lam)), float(figure(b.lam)), spread)
    lives = [spectrum.half_life(spectrum.spectral_radius(lam, dt)) for lam in (a.lam, b.lam, a.drawn_lam, b.drawn_lam)]
    settled = [np.isfinite(drawn) & (drawn > 0) for drawn in lives[2:]]
    if not len(settled[0]) or min(float(one.mean()) for one in settled) < 1 - UNSETTLED:
        spread = _Spread(np.nan, np.nan, np.nan)
    else:
        logs = [np.log(np.where(known, drawn, np.nan)) for drawn, known in zip(lives[2:], settled, strict=True)]
        spread = _of_draws(logs[0], logs[1])
    yield judge.row("half_life", (), float(lives[0]), float(lives[1]), spread, ratio=True)


def _equilibria(fit: ls.AffineEstimate, scale: Floats) -> Floats:
    """Return -A^-1 b, (..., n); nan where A is singular in units of each objective's own spread."""
    A = fit.A * scale / scale[:, None]
    regular = np.linalg.cond(A) < 1e12
    safe = np.where(regular[..., None, None], A, np.eye(len(scale)))
    found = -np.linalg.solve(safe, (fit.b / scale)[..., None])[..., 0] * scale
    return np.where(regular[..., None], found, np.nan)


def _levels(
    judge: _Inference,
    a: Sample,
    b: Sample,
    outcomes: tuple[Outcomes, Outcomes],
    names: tuple[str, ...],
    active: Ints,
) -> Iterator[Row]:
    points = [_equilibria(side.estimate, side.moments.scale) for side in (a, b)]
    drawn = [_equilibria(side.drawn, side.moments.scale) for side in (a, b)]
    for i, j in enumerate(active):
        spread = _of_draws(drawn[0][:, i], drawn[1][:, i], _central)
        yield judge.row("equilibrium", (names[j],), float(points[0][i]), float(points[1][i]), spread)
    sides = [(o.unit, o.ends, s.moments.n_sessions) for o, s in zip(outcomes, (a, b), strict=True)]
    for name, found in zip(names, _means(*sides), strict=True):
        yield judge.row("reached", (name,), *found)


def _means(a: tuple[Ints, Floats, int], b: tuple[Ints, Floats, int]) -> Iterator[tuple[float, float, _Spread]]:
    """Yield for each column of values (S, k) both means over sessions and their spread over units."""
    means, influences = zip(*(_mean(*side) for side in (a, b)), strict=True)
    for j in range(a[1].shape[1]):
        yield float(means[0][j]), float(means[1][j]), _of_influence(influences[0][:, j], influences[1][:, j])


def _mean(unit: Ints, values: Floats, units: int) -> tuple[Floats, Floats]:
    """Return the mean over sessions (k,), missing ones left out, and the units' influences on it, (units, k)."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    influence = np.zeros((units, values.shape[1]))
    np.add.at(influence, unit, np.where(known, values - mean, 0.0) / np.maximum(count, 1))
    return mean, influence


def _of_influence(a: Floats, b: Floats) -> _Spread:
    """Return errors from units' influences, which sum to zero: root of S / (S - 1) times their sum of squares."""

    def error(influence: Floats) -> float:
        return float(np.sqrt(len(influence) / (len(influence) - 1) * (influence**2).sum()))

    return _Spread(error(a), error(b), error(b - a) if len(a) == len(b) else float("nan"))


def _predictions(judge: _Inference, a: Sample, b: Sample, seed: int) -> Iterator[Row]:
    points = [_explained(side.estimate) for side in (a, b)]
    spread = _of_draws(_explained(a.drawn), _explained(b.drawn))
    yield judge.row("r2_steps", (), float(points[0]), float(points[1]), spread)
    one, other = (_held_out(side, seed) for side in (a, b))
    yield judge.row("r2_held_out", (), one[0], other[0], _of_influence(one[1], other[1]))


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
