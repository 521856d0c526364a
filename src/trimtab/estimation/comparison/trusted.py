"""Both sides as a fit sees them: each one's verdict, and how the estimates differ that it trusts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.estimation.comparison.figures import Drift, Figure, Sample, drift_rows, pairs
from trimtab.estimation.comparison.inference import Inference, Spread, deviation
from trimtab.estimation.comparison.results import FOLLOWING, Row, Trusted
from trimtab.estimation.comparison.sides import Side
from trimtab.estimation.options import Options
from trimtab.estimation.results import StrategyFit
from trimtab.estimation.rungs import Rung
from trimtab.estimation.strategy import fit_strategy

__all__ = ["side_fit", "trusted"]

Floats = NDArray[np.float64]
Size = Callable[[Floats], float]


def side_fit(side: Side, efficiencies: Floats, objectives: tuple[str, ...], options: Options) -> StrategyFit:
    """Return the fit of one side's steps, as `trimtab.fit` makes it of its sessions and the given objectives.

    Parameters
    ----------
    efficiencies
        (S,) Pareto efficiency of every session of the side's trajectories.
    """
    own = side.sessions
    chosen = side.trajectories.select(own, None if objectives == side.trajectories.space.names else objectives)
    ended = np.flatnonzero(chosen.session_strategy == side.code)
    return fit_strategy(chosen, side.code, ended, efficiencies[own], options)


@dataclass(frozen=True, slots=True, eq=False)
class _Replicated:
    """One side's trusted drift with replicates.

    Parameters
    ----------
    by_units, by_sessions
        Replicates of the least-squares drift from units and from sessions, where these differ.
    """

    point: Drift
    drawn: Drift
    by_units: Drift | None = None
    by_sessions: Drift | None = None

    def error(self, figure: Figure, size: Size) -> float:
        """Return the standard error of `figure`, widened for sessions of one unit that go together."""
        return size(figure(self.drawn)) * self.widening(figure, size)

    def widening(self, figure: Figure, size: Size) -> float:
        """Return the factor by which sessions that share units widen the error of the least-squares figure, or 1."""
        if self.by_units is None or self.by_sessions is None:
            return 1.0
        ratio = size(figure(self.by_units)) / size(figure(self.by_sessions))
        return max(1.0, ratio) if np.isfinite(ratio) else 1.0


def trusted(
    fits: tuple[StrategyFit, StrategyFit],
    samples: tuple[Sample, Sample],
    rows: tuple[Row, ...],
    *,
    single: tuple[bool, bool],
    level: float,
    dt: float,
) -> Trusted | None:
    """Compare the rungs that the fits of both sides trust; None where one of them identifies no drift.

    Where both trust least squares, its rows are those of the comparison. Otherwise the replicates of a side are those
    of its trusted rung, and the errors of a difference are sqrt(s_a^2 + s_b^2) with Welch's degrees of freedom over
    units, also where units are paired: the search behind a rung is too slow to be repeated on resampled pairs. That
    ignores what pairs share. Where what they share moves both sides' figures alike, as hard and easy tasks do, the
    intervals are too wide and the tests reject too seldom: of 200 simulated experiments with 60 tasks that shift the
    drift of both sides alike, and score noise, equal equilibria were called different at 5% in none, equal rates, on
    which such shifts hardly bear, in 7.5%.

    A rung takes sessions for independent. Where a unit holds several of them, its errors are multiplied by what doing
    so costs least squares: the standard deviation of the figure's replicates from resampled units over that from
    resampled sessions, if above 1 (the square root of Kish's design effect). Of 200 experiments with 16 tasks of six
    sessions on either side, equal equilibria were then called different in 2.5%, and in 39% without.

    Parameters
    ----------
    samples
        Least squares of the same steps, with replicates from units.
    rows
        Their rows.
    single
        For either side whether each unit holds one session.
    """
    if not all(fit.identified and fit.active.all() for fit in fits):
        return None
    if all(fit.trusted == "least_squares" for fit in fits):
        return Trusted(tuple(row for row in rows if row.figure in FOLLOWING), own=False)
    names = fits[0].space.names
    sides = [_replicated(*one) for one in zip(fits, samples, single, strict=True)]
    judge = Inference(level, False, (samples[0].moments.n_sessions, samples[1].moments.n_sessions))

    def errors(figure: Figure, size: Size) -> Spread:
        return Spread(sides[0].error(figure, size), sides[1].error(figure, size), np.nan)

    found = [
        *drift_rows(judge, (sides[0].point, sides[1].point), (sides[0].drawn, sides[1].drawn), errors, names, dt),
        *_interference(judge, fits, sides, names),
    ]
    return Trusted(tuple(found), own=True)


def _replicated(fit: StrategyFit, sample: Sample, single: bool) -> _Replicated:
    scale, plain, rung = sample.moments.scale, fit.rungs["least_squares"], fit.rung
    if fit.trusted == "least_squares":
        return _Replicated(sample.drift, sample.drawn_drift)
    point = Drift.of(rung.A, rung.b, scale)
    drawn = Drift.of(rung.draws.A, rung.draws.b, scale)
    if single:
        return _Replicated(point, drawn)
    return _Replicated(point, drawn, sample.drawn_drift, Drift.of(plain.draws.A, plain.draws.b, scale))


def _interference(
    judge: Inference,
    fits: tuple[StrategyFit, StrategyFit],
    sides: list[_Replicated],
    names: tuple[str, ...],
) -> list[Row]:
    rows = []
    for i, j in pairs(len(names)):
        found = []
        for fit, side in zip(fits, sides, strict=True):
            # What clusters do to a correlation is taken from what they do to the average speed.
            wider = side.widening(lambda drift: np.asarray(-drift.lam.real.mean(axis=-1)), deviation)
            error = _error(fit.rung, i, j, fit.sessions, judge.level) * wider
            found.append((float(fit.interference.estimate[i, j]), error))
        (a, sa), (b, sb) = found
        rows.append(judge.row("interference", (names[i], names[j]), a, b, Spread(sa, sb, np.nan)))
    return rows


def _error(rung: Rung, i: int, j: int, sessions: int, level: float) -> float:
    """Return the standard error behind the interval of an interference; one end of it may be cut off at -1 or 1."""
    value = rung.interference[i, j]
    half = max(float(value) - value.low, value.high - float(value))
    return half / float(scipy.special.stdtrit(max(sessions - 1, 1), 0.5 + level / 2))
