"""Which model of a step predicts unseen sessions best: an affine step, a hurdle before it, or a Markov chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import Steps, Trajectories
from trimtab.estimation.cautions import Design, rows_of
from trimtab.estimation.coarse import wording
from trimtab.estimation.coarse.chain import Chain, chain_fit
from trimtab.estimation.coarse.held_out import (
    ARRIVALS,
    FEWEST,
    NEGLIGIBLE,
    HeldOut,
    Model,
    Sample,
    affine_scores,
    chain_scores,
    hurdle_scores,
)
from trimtab.estimation.coarse.hurdle import FEWEST_OF_EACH, STANDS_STILL, Hurdle
from trimtab.estimation.coarse.hurdle_fit import changed_moments, hurdle_fit, stays_fit
from trimtab.estimation.coarse.levels import Levels, levels_of
from trimtab.estimation.coarse.states import states_of
from trimtab.estimation.moments import session_moments
from trimtab.estimation.options import Options

__all__ = ["Coarse", "coarse_fit"]

Floats = NDArray[np.float64]

MOSTLY = 0.5
"""Share of unchanged steps from which on a loop mostly stands still."""

MOST_COMPARED = 50_000
"""Steps above which models are compared on every second session, every third, and so on."""


@dataclass(frozen=True, slots=True, eq=False)
class Coarse:
    """What standing still and few levels mean for one strategy.

    Parameters
    ----------
    levels
        How coarse the scores are.
    hurdle
        None where hardly any step stands still or hardly any moves.
    chain
        None where no objectives have few levels, or nothing changes on them. It competes only if it tells everything
        that varies.
    scores
        Mean log score per step of unseen sessions for each model that competed (``affine``, ``hurdle``, ``chain``, and
        the baseline ``arrivals`` beside a chain); empty where there was nothing to decide.
    gains
        The same relative to ``affine``, with the standard error of the difference.
    chosen
        Of the models that none beats by more than chance, the one with the fewest parameters. A chain on two states has
        fewer than the affine step.
    says
        Why, in one sentence.
    cautions
        What to beware of, one sentence each.
    """

    levels: Levels
    hurdle: Hurdle | None
    chain: Chain | None
    scores: Mapping[str, HeldOut]
    gains: Mapping[str, HeldOut]
    chosen: Model
    says: str
    cautions: tuple[str, ...]

    @property
    def mostly_still(self) -> bool:
        """True where steps are hardly affine: a chain describes them, or a hurdle that most of them do not take."""
        return self.chosen == "chain" or (self.chosen == "hurdle" and self.levels.unchanged > MOSTLY)

    @property
    def behaviour(self) -> str:
        """What the chosen model says about the loop, in plain words; empty for the affine step."""
        if self.chosen == "hurdle" and self.hurdle is not None:
            return wording.hurdle_behaviour(self.hurdle)
        return wording.chain_behaviour(self.chain) if self.chosen == "chain" and self.chain is not None else ""


def coarse_fit(trajectories: Trajectories, steps: Steps, code: int | None, options: Options) -> Coarse:
    """Fit what one strategy's steps call for, and choose the model that predicts unseen sessions best.

    Log scores are those of `held_out`, from folds of whole sessions. A model is beaten where another's mean gain over
    it exceeds both `NEGLIGIBLE` and the t quantile of `options.level` times its standard error over sessions.

    Parameters
    ----------
    trajectories
        All sessions.
    steps
        The strategy's complete steps, ordered by session.
    code
        The strategy's code in `trajectories`; None for all steps.
    options
        Those of the strategy's fit.
    """
    key = "pooled" if code is None else f"strategy {trajectories.strategies[code]}"
    rows = rows_of(trajectories, code)
    levels, cells, unchanged = levels_of(trajectories, steps, rows)
    moved = len(steps) - int(unchanged.sum())
    states = states_of(trajectories, steps, rows, cells) if moved and levels.few else None
    still = levels.unchanged >= STANDS_STILL and min(moved, len(steps) - moved) >= FEWEST_OF_EACH
    if not still and states is None:
        return Coarse(levels, None, None, {}, {}, "affine", wording.nothing(levels, moved), ())
    moments = session_moments(steps)
    changed = changed_moments(session_moments(steps.where(~unchanged), moments.center, moments.scale), moments)
    hurdle = chain = stays = None
    if still:
        stays = stays_fit(steps, unchanged, moments, Design.of(moments).active)
        hurdle = hurdle_fit(steps, unchanged, moments, changed, stays, options, key)
    if states is not None:
        chain = chain_fit(states, steps, levels.names, options, key)
    usable = hurdle is not None and hurdle.identified, states is not None and states.complete
    S = moments.n_sessions
    if S < FEWEST or not any(usable):
        says = wording.undecided(levels, S, hurdle, chain)
        return Coarse(levels, hurdle, chain, {}, {}, "affine", says, wording.cautions("affine", hurdle, chain))

    owner = np.searchsorted(moments.session, steps.session)
    compared = owner % -(-len(steps) // MOST_COMPARED) == 0
    sample = Sample.of(cells, steps, moments, changed, owner, compared, stream(options.seed, "coarse", "folds", key))
    found = {"affine": affine_scores(sample)}
    if stays is not None and usable[0]:
        found["hurdle"] = hurdle_scores(sample, unchanged[compared], None if stays.u is None else stays.u[compared])
    if states is not None and usable[1]:
        found["chain"], found[ARRIVALS] = chain_scores(sample, states, compared)
    scores = {name: sample.mean(values) for name, values in found.items()}
    gains = {name: sample.mean(values - found["affine"]) for name, values in found.items() if name != "affine"}
    chosen = _chosen(sample, found, _sizes(levels, hurdle, chain), options.level)
    says = wording.why(levels, hurdle, chain, scores, gains, chosen)
    return Coarse(levels, hurdle, chain, scores, gains, chosen, says, wording.cautions(chosen, hurdle, chain))


def _sizes(levels: Levels, hurdle: Hurdle | None, chain: Chain | None) -> dict[Model, int]:
    """Return the number of free parameters of each model."""
    n = int((levels.count > 1).sum())
    affine = n * (n + 1) + n * (n + 1) // 2
    sizes: dict[Model, int] = {"affine": affine}
    if hurdle is not None:
        sizes["hurdle"] = affine + 1 + int((hurdle.slope != 0).sum())
    if chain is not None:
        sizes["chain"] = int((~chain.absorbing).sum()) * (len(chain.P) - 1)
    return sizes


def _chosen(sample: Sample, found: Mapping[str, Floats], sizes: Mapping[Model, int], level: float) -> Model:
    """Return the smallest model that the best one does not beat by more than chance."""
    competing = sorted((model for model in sizes if model in found), key=lambda model: sizes[model])
    best = max(competing, key=lambda model: float(found[model].mean()))
    least = float(scipy.special.stdtrit(max(sample.n_sessions - 1, 1), 0.5 + level / 2))
    for model in competing:
        gain = sample.mean(found[best] - found[model])
        if gain.mean <= max(least * gain.se, NEGLIGIBLE):
            return model
    return best
