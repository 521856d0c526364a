"""What the models of steps that stand still say, and why one was chosen, in plain words."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.estimation.coarse.chain import Chain
from trimtab.estimation.coarse.held_out import ARRIVALS, FEWEST, NEGLIGIBLE, HeldOut, Model
from trimtab.estimation.coarse.hurdle import FEWEST_OF_EACH, STANDS_STILL, UNSEEN, Hurdle
from trimtab.estimation.coarse.levels import Levels
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.spectral import NO_MEMORY

__all__ = ["cautions", "chain_behaviour", "hurdle_behaviour", "nothing", "undecided", "why"]

DIFFER = 0.01
"""p-value below which sessions are said to differ; small, because every strategy is tested."""

ELSEWHERE = 0.15
"""Difference in the share of unchanged steps from which on it is said that sessions are not where the loop heads."""

_NAMES: dict[str, str] = {
    "affine": "an affine step",
    "hurdle": "a chance of standing still before an affine step",
    "chain": "a Markov chain",
}


def _stillness(levels: Levels) -> str:
    # Never rounded to all or none.
    digits = 0 if 0.005 <= levels.unchanged < 0.995 or levels.unchanged in (0, 1) else 1
    return f"{levels.unchanged:.{digits}%} of the steps leave every score as it is"


def nothing(levels: Levels, moved: int) -> str:
    """Say why no other model was tried."""
    if not levels.steps:
        return "There is no step to look at."
    if not moved:
        return "No step changes any score."
    if levels.unchanged < STANDS_STILL:
        return f"{_stillness(levels)}, and the scores take many levels: steps are taken to be affine."
    kind, count = ("move", moved) if moved < FEWEST_OF_EACH else ("stand still", levels.steps - moved)
    return f"{_stillness(levels)}, but only {count} {kind}: too few to say more, and steps are taken to be affine."


def undecided(levels: Levels, sessions: int, hurdle: Hurdle | None, chain: Chain | None) -> str:
    """Say why nothing was compared."""
    if sessions < FEWEST:
        many = "one session is" if sessions == 1 else f"{sessions} sessions are"
        return f"{_stillness(levels)}, but {many} too few to compare models on unseen ones."
    if chain is not None:
        few = ", ".join(chain.objectives)
        return f"Only {few} has few levels: a chain describes it, and the steps as a whole are taken to be affine."
    moves = 0 if hurdle is None else hurdle.changed_steps
    return f"{_stillness(levels)}, and the {moves} that change something identify no model of their own."


def why(
    levels: Levels,
    hurdle: Hurdle | None,
    chain: Chain | None,
    scores: Mapping[str, HeldOut],
    gains: Mapping[str, HeldOut],
    chosen: Model,
) -> str:
    """Say what the comparison showed."""
    seen = _stillness(levels)
    if chain is not None and "chain" in scores:
        seen += f", and the scores take {len(chain.seen)} joint levels"
    if chosen == "affine":
        rivals = [name for name in ("hurdle", "chain") if name in scores]
        best = max((gains[name] for name in rivals), key=lambda gain: gain.mean)
        named = " and ".join(_NAMES[name] for name in rivals)
        verb = "predict" if len(rivals) > 1 else "predicts"
        text = f"{seen}, but {named} {verb} unseen sessions no better than an affine step does ({_nats(best)})."
    elif gains[chosen].mean > max(2 * gains[chosen].se, NEGLIGIBLE):
        gain = _nats(gains[chosen])
        text = f"{seen}: {_NAMES[chosen]} predicts unseen sessions better than an affine step does ({gain})."
    else:
        text = (
            f"{seen}: {_NAMES[chosen]} predicts unseen sessions as well as an affine step does "
            f"({_nats(gains[chosen])}), and is simpler."
        )
    several = chain is not None and ((chain.counts.sum(axis=1) > 0) & ~chain.absorbing).sum() > 1
    if chosen == "chain" and several and scores["chain"].mean <= scores[ARRIVALS].mean:
        text += (
            " It predicts no better than the same chances everywhere: the present score says nothing about the next."
        )
    return text


def _nats(gain: HeldOut) -> str:
    return f"{gain:+} nats per step"


def _elsewhere(hurdle: Hurdle) -> bool:
    """Say whether loops stand still much more or less often where they head than where they are."""
    return bool(abs(hurdle.unchanged_at_equilibrium - hurdle.unchanged) > ELSEWHERE)


def hurdle_behaviour(hurdle: Hurdle) -> str:
    """Say how often the loop stands still, and how fast it is when it moves and on the whole."""
    change, iteration = hurdle.per_change, hurdle.per_iteration
    said = [f"{hurdle.unchanged:.0%} of the iterations ({_range(hurdle.unchanged, '.0%')}) change nothing."]
    if not iteration.spectral_radius.high < 1:
        said.append("Those that change something lead to no level that could be seen.")
        return " ".join(said)
    if hurdle.coincidence <= UNSEEN:
        said.append(f"When something changes, the rate is {change.rate:.2f} per change ({_range(change.rate, '.2f')}).")
    there = hurdle.unchanged_at_equilibrium
    where = f", near the level that changes lead to, where {there:.0%} change nothing," if _elsewhere(hurdle) else ""
    said.append(
        f"Standing still included{where or ','} the rate is {iteration.rate:.2f} per iteration "
        f"({_range(iteration.rate, '.2f')}), and a deviation halves every {iteration.half_life:.1f} iterations."
    )
    return " ".join(said)


def chain_behaviour(chain: Chain) -> str:
    """Say where the chain leads, and how fast."""
    if not chain.identified:
        return "Where it leads cannot be said: many steps arrive where none starts."
    if chain.absorbing.any():
        where = " or ".join(_state(chain, k) for k in range(len(chain.P)) if chain.absorbing[k])
        return (
            f"Of the sessions that start elsewhere, {chain.reached:.0%} reached {where}; the chain expects "
            f"{chain.absorbed:.0%} ({_range(chain.absorbed, '.0%')}) to do so within {chain.horizon} iterations. One "
            f"that has been going for long does so with a chance of {1 - abs(chain.eigenvalues[0]):.1%} per iteration."
        )
    means = ", ".join(
        f"{name} {chain.equilibrium.estimate[j]:.3g} "
        f"({chain.equilibrium.low[j]:.3g} to {chain.equilibrium.high[j]:.3g})"
        for j, name in enumerate(chain.objectives)
    )
    return f"In the long run it averages {means}; a deviation halves every {chain.half_life:.1f} iterations."


def cautions(chosen: Model, hurdle: Hurdle | None, chain: Chain | None) -> tuple[str, ...]:
    """Return what to beware of, one sentence each."""
    found = []
    if chain is not None and chain.by_design.any():
        where = " or ".join(_state(chain, k) for k in range(len(chain.P)) if chain.by_design[k])
        found.append(
            f"sessions end on reaching {where}: nothing is known of what would follow, and late iterations show only "
            "those that have not reached it"
        )
    tested = chain.sessions_p_value if chosen == "chain" and chain is not None else float("nan")
    if chosen == "hurdle" and hurdle is not None:
        tested = hurdle.sessions_p_value
        if hurdle.coincidence > UNSEEN:
            found.append(
                "scores on few levels change only if they land on another level, which alone makes changes look like "
                "overshooting: read the rate per iteration and not the one per change"
            )
        if _elsewhere(hurdle):
            found.append(
                f"at the level that changes lead to {hurdle.unchanged_at_equilibrium:.0%} of the iterations change "
                f"nothing, against {hurdle.unchanged:.0%} where sessions are: the rate per iteration is of loops near "
                "that level, which few may reach"
            )
        if hurdle.coincidence <= UNSEEN and hurdle.memory_p_value >= NO_MEMORY:
            found.append(
                "nothing shows that scores after a change depend on those before it "
                f"(p {_p(hurdle.memory_p_value)}): the loop stands still, and otherwise draws afresh"
            )
    if tested < DIFFER:
        found.append(
            f"sessions differ in how readily they move (p {_p(tested)}): chances and speeds are averages over ready "
            "and stuck ones, and forecasts far ahead fit neither"
        )
    return tuple(found)


def _state(chain: Chain, k: int) -> str:
    return " with ".join(f"{name} {value:.3g}" for name, value in zip(chain.objectives, chain.values[k], strict=True))


def _range(value: Estimate, form: str) -> str:
    return f"{value.low:{form}} to {value.high:{form}}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
