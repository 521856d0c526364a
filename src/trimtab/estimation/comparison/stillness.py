"""Loops that stand still, or jump between a few levels, on two sides: how often, how soon and where to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.estimation.cautions import Design
from trimtab.estimation.coarse.chain import Chain
from trimtab.estimation.coarse.hurdle import UNSEEN, Hurdle
from trimtab.estimation.coarse.hurdle_fit import changed_moments, hurdle_fit, stays_fit
from trimtab.estimation.coarse.levels import levels_of
from trimtab.estimation.coarse.states import States, states_of
from trimtab.estimation.comparison.chains import chain_comparison, unchanged_row
from trimtab.estimation.comparison.inference import Inference, Spread
from trimtab.estimation.comparison.joint import Joint
from trimtab.estimation.comparison.results import Row, Stillness
from trimtab.estimation.comparison.sides import Side, Units
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.moments import session_moments
from trimtab.estimation.options import Options
from trimtab.estimation.results import StrategyFit

__all__ = ["stillness"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def stillness(
    sides: tuple[Side, Side], drawn: Units, fits: tuple[StrategyFit, StrategyFit], options: Options, key: str
) -> Stillness | None:
    """Compare standing still and jumps between levels; None where affine steps describe both sides.

    A Markov chain is compared, see `chain_comparison`, where the fit of one side chooses a chain or identifies no
    drift, and the steps of both sides share few levels. A state ends it on both sides if sessions end on reaching it on
    one of them, or never leave it on either: what is compared then is how soon it is reached. Otherwise a hurdle is
    compared where the fit of one side chooses one and most iterations change nothing. Where neither can be, the share
    of steps that change nothing remains.

    Parameters
    ----------
    drawn
        The units of the sessions.
    fits
        Of both sides.
    key
        Of the random streams.
    """
    if not any(fit.coarse.mostly_still or not fit.identified for fit in fits):
        return None
    data = Joint.of(sides, drawn)
    judge = Inference(options.level, drawn.paired, drawn.count)
    levels, cells, unchanged = levels_of(data.trajectories, data.steps, data.rows)
    if any(fit.coarse.chosen == "chain" or not fit.identified for fit in fits):
        states = states_of(data.trajectories, data.steps, data.rows, cells) if levels.few else None
        if states is not None:
            values, absorbing = _chain_states(states, fits)
            tries = ~absorbing[states.group[states.origin]]
            if all(tries[data.side == side].any() for side in (0, 1)):
                return chain_comparison(data, states, values, absorbing, unchanged, judge, options, key)
    share = unchanged_row(judge, data, unchanged, np.ones(len(data.steps), dtype=bool))
    if any(fit.coarse.chosen == "hurdle" and fit.coarse.mostly_still for fit in fits):
        hurdles = [_hurdle(data, side, unchanged, options, key) for side in (0, 1)]
        rows = [*_hurdle_rows(judge, hurdles, levels.names)]
        if rows:
            return Stillness("hurdle", (share, *rows))
    return Stillness("share", (share,))


def _chain_states(states: States, fits: tuple[StrategyFit, StrategyFit]) -> tuple[Floats, Bools]:
    """Return the scores (K, m) of the chain's states, lumped ones by their mean, and which of them end it."""
    size = np.bincount(states.group)
    values = np.stack([np.bincount(states.group, column) / size for column in states.values.T], axis=1)
    names = tuple(fits[0].space.names[j] for j in states.objectives)
    ends = states.by_design | states.never_left
    for fit in fits:
        ends |= _ends(fit.coarse.chain, names, values) & (size == 1)
    return values, ends


def _ends(chain: Chain | None, names: tuple[str, ...], values: Floats) -> Bools:
    """Say which scores (K, m) are those at which the sessions of one side end."""
    if chain is None or chain.objectives != names or not chain.by_design.any():
        return np.zeros(len(values), dtype=bool)
    ends = chain.values[chain.by_design]
    off = np.abs(values[:, None] - ends) / np.maximum(np.ptp(values, axis=0), 1e-300)
    return np.asarray((off.max(axis=2) < 1e-6).any(axis=1))


def _hurdle(data: Joint, side: int, unchanged: Bools, options: Options, key: str) -> tuple[Hurdle, int] | None:
    """Return the hurdle of one side, with units in the place of sessions, and how many of these ever move."""
    steps, at = data.by_units(side)
    still = unchanged[at]
    if still.all() or not still.any():
        return None
    moments = session_moments(steps)
    own = session_moments(steps.where(~still), moments.center, moments.scale)
    stays = stays_fit(steps, still, moments, Design.of(moments).active)
    changed = changed_moments(own, moments)
    return hurdle_fit(steps, still, moments, changed, stays, options, f"{key} {side}"), own.n_sessions


def _hurdle_rows(judge: Inference, found: list[tuple[Hurdle, int] | None], names: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows of two hurdles, whose errors, from separate resamples, are taken for independent."""
    if found[0] is None or found[1] is None or not all(one is not None and one[0].identified for one in found):
        return
    (a, moving_a), (b, moving_b) = found[0], found[1]
    if not np.array_equal(a.active, b.active):
        return
    apart = Inference(judge.level, False, (moving_a, moving_b))

    def row(figure: str, objectives: tuple[str, ...], one: Estimate, other: Estimate) -> Row:
        spread = Spread(_error(one, moving_a, judge.level), _error(other, moving_b, judge.level), np.nan)
        return apart.row(figure, objectives, float(one), float(other), spread)

    yield row("rate_per_iteration", (), a.per_iteration.rate, b.per_iteration.rate)
    if max(a.coincidence, b.coincidence) <= UNSEEN:
        yield row("rate_per_change", (), a.per_change.rate, b.per_change.rate)
    for j in np.flatnonzero(a.active):
        yield row("change_equilibrium", (names[j],), a.equilibrium[int(j)], b.equilibrium[int(j)])


def _error(value: Estimate, clusters: int, level: float) -> float:
    """Return the standard error behind a symmetric interval."""
    return (value.high - value.low) / 2 / float(scipy.special.stdtrit(max(clusters - 1, 1), 0.5 + level / 2))
