"""Steps that stand still and scores on few levels: how many, and which model of a step they call for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.estimation.coarse.choice import Coarse
from trimtab.estimation.coarse.hurdle import STANDS_STILL
from trimtab.estimation.results import Estimate, RegimeEstimate, StrategyFit
from trimtab.report.book import Book, Panel
from trimtab.report.figures.transitions import STATES, ending, state_names, transition_figure
from trimtab.report.text import brief, fixed, interval, percent, shorten

__all__ = [
    "MODELS",
    "ModelFigures",
    "Still",
    "half_life",
    "headline_figures",
    "model_figures",
    "says_something",
    "standing_still",
]

MODELS = {"affine": "affine step", "hurdle": "hurdle before an affine step", "chain": "Markov chain"}
"""What each model of a step is called."""

AVERAGED = {
    "hurdle": "standing still and moving",
    "chain": "levels that the loop leaves readily and levels that it hardly leaves",
}
"""What the affine step takes the average of where another model was chosen."""

REPEATED = 0.5
"""Levels per score below which there are fewer levels than so few scores would have anyway."""

LISTED = 8
"""Objectives up to which the levels of each are listed."""


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Rate, half-life and regime of the model that was chosen, per iteration.

    Parameters
    ----------
    averaged
        What an affine step would average; empty where it is the model.
    """

    name: str
    rate: Estimate
    half_life: Estimate
    regime: RegimeEstimate
    averaged: str = ""


@dataclass(frozen=True, slots=True)
class Still:
    """What the section says about one strategy.

    Parameters
    ----------
    index
        Position among the strategies shown.
    unchanged
        Share of the steps that leave every score as it is.
    levels
        (objective, number of levels and what they are, share of steps that leave it as it is).
    model, rate, half_life, regime
        Of the chosen model, per iteration.
    says
        Why it was chosen, and what it says, in sentences.
    gains
        (model, gain in log score of unseen steps over the affine step, what it means).
    panel
        Transition probabilities of the Markov chain, if it has few enough states.
    states
        How many the chain has where they are too many to draw, else 0.
    """

    index: int
    unchanged: str
    levels: tuple[tuple[str, str, str], ...]
    model: str
    rate: str
    half_life: str
    regime: str
    says: tuple[str, ...]
    gains: tuple[tuple[str, str, str], ...]
    panel: Panel | None
    states: int


def says_something(found: Coarse) -> bool:
    """Say whether steps stand still, or scores come back to levels few enough to be listed."""
    levels = found.levels
    few = [values is not None and share < REPEATED for values, share in zip(levels.values, levels.share, strict=True)]
    return levels.unchanged >= STANDS_STILL or (levels.steps > 0 and any(few))


def model_figures(one: StrategyFit) -> ModelFigures:
    """Return the figures of the model that was chosen for one strategy."""
    found = one.coarse
    if found.chosen == "hurdle" and found.hurdle is not None:
        loop = found.hurdle.per_iteration
        return ModelFigures(MODELS["hurdle"], loop.rate, loop.half_life, loop.regime, AVERAGED["hurdle"])
    if found.chosen == "chain" and found.chain is not None:
        chain = found.chain
        return ModelFigures(MODELS["chain"], chain.rate, chain.half_life, chain.regime, AVERAGED["chain"])
    return ModelFigures(MODELS["affine"], one.rate, one.half_life, one.regime)


def headline_figures(one: StrategyFit) -> ModelFigures:
    """Return the figures to show first: of the chosen model where steps are hardly affine, else of the trusted rung."""
    if one.coarse.mostly_still:
        return model_figures(one)
    return ModelFigures(MODELS["affine"], one.rate, one.half_life, one.regime)


def half_life(value: Estimate) -> str:
    """Return a half-life with its interval, in a table's few words."""
    return "never" if np.isposinf(float(value)) else interval(value)


def standing_still(book: Book, shown: Sequence[StrategyFit]) -> tuple[Still, ...]:
    """Return what there is to say about the strategies that stand still or have few levels, and draw their chains."""
    return tuple(_still(book, k, one) for k, one in enumerate(shown) if says_something(one.coarse))


def _still(book: Book, index: int, one: StrategyFit) -> Still:
    found, figures = one.coarse, model_figures(one)
    states = 0 if found.chain is None else len(found.chain.P)
    return Still(
        index=index,
        unchanged=percent(found.levels.unchanged),
        levels=_levels(found),
        model=figures.name,
        rate=interval(figures.rate),
        half_life=half_life(figures.half_life),
        regime=str(figures.regime),
        says=tuple(shorten(text, 1000) for text in (found.says, found.behaviour) if text),
        gains=_gains(found),
        panel=_panel(book, index, one),
        states=states if states > STATES else 0,
    )


def _levels(found: Coarse) -> tuple[tuple[str, str, str], ...]:
    levels = found.levels
    rows = []
    for j, name in enumerate(levels.names[:LISTED]):
        values = levels.values[j]
        listed = "" if values is None else f": {', '.join(brief(value) for value in values)}"
        stays = percent(float(levels.unchanged_per_objective[j]))
        rows.append((shorten(name, 60), f"{int(levels.count[j]):,}{listed}", stays))
    return tuple(rows)


def _gains(found: Coarse) -> tuple[tuple[str, str, str], ...]:
    names = {**MODELS, "arrivals": "the same chances wherever it is"}
    return tuple(
        (
            names.get(model, model) + (", chosen" if model == found.chosen else ""),
            ("+" if gain.mean > 0 else "") + fixed(gain.mean, 3),
            fixed(gain.se, 3),
        )
        for model, gain in found.gains.items()
    )


def _panel(book: Book, index: int, one: StrategyFit) -> Panel | None:
    chain = one.coarse.chain
    if chain is None or len(chain.P) > STATES:
        return None
    name = f"transitions-{index}"
    height = book.add(name, transition_figure(chain))
    ends = ending(chain)
    parts = [
        "" if one.coarse.chosen == "chain" else "Not the model chosen.",
        f"Only {', '.join(shorten(o, 40) for o in chain.objectives)} {'have' if len(chain.objectives) > 1 else 'has'} "
        "few levels; a state says nothing of the other objectives."
        if len(chain.objectives) < one.space.n
        else "",
        f"Framed: {ends}." if ends else "",
        "" if chain.identified else "Many steps arrive where none starts, so that the long run is unknown.",
    ]
    label = f"Transition probabilities between the levels of {', '.join(shorten(o, 40) for o in chain.objectives)}"
    stays = "; ".join(f"{state} stays with {percent(chain.P[k, k])}" for k, state in enumerate(state_names(chain)))
    return Panel(name, f"{label}, {shorten(one.name, 60)}: {stays}", height, note=" ".join(filter(None, parts)))
