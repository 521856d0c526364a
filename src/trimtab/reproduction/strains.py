"""Where the paper's figures strain against each other or against what noise shows, each with numbers of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from trimtab.reproduction.experiments import Experiments
from trimtab.reproduction.paper import ABSTRACT, INTERFERENCE, OBJECTIVES, REPORTED, SESSIONS, STEPS
from trimtab.reproduction.spread import Spread, spread

__all__ = ["Strain", "strains"]

_Z = 1.959964  # two-sided 5%


@dataclass(frozen=True, slots=True)
class Strain:
    """One question that the figures raise.

    Parameters
    ----------
    key
        Stable name.
    question
        In a few words.
    says
        What the numbers answer.
    numbers
        The numbers by name, as in the sentences.
    """

    key: str
    question: str
    says: str
    numbers: Mapping[str, float]


def strains(found: Experiments) -> tuple[Strain, ...]:
    """Return what a referee would ask, answered from the paper's figures and the simulated experiments."""
    return tuple(make(found) for make in _QUESTIONS)


def _between(one: Spread) -> str:
    return f"{_signed(one.median)} (95% of experiments {_signed(one.low)} to {_signed(one.high)})"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _abstract(found: Experiments) -> Strain:
    low, high = ABSTRACT
    outside = {name: paper.rate for name, paper in REPORTED.items() if not low <= paper.rate <= high}
    measured = {name: spread(found.figures[name].rate) for name in outside}
    words = "; ".join(
        f"{name} has {rate:g} in the table, and {_between(measured[name])} on the model that comes closest to its "
        f"other figures, so that sampling error {'could' if measured[name].holds(low) else 'does not'} explain it"
        for name, rate in outside.items()
    )
    return Strain(
        "abstract",
        "Do the rates in the abstract cover all strategies?",
        f"The abstract has rates from {low:g} to {high:g}, but {words}. Either the abstract leaves a strategy out, or "
        "it and the table come from different analyses.",
        {**outside, **{f"{name} simulated": one.median for name, one in measured.items()}},
    )


def _near_zero(found: Experiments) -> Strain:
    rate = REPORTED["FF"].rate
    nearest = spread(np.abs(found.figures["FF"].eigenvalues).min(axis=1))
    stuck = float(found.at_bound["FF"][0])
    return Strain(
        "near_zero",
        "Can FF have a rate of 1.29 and eigenvalues near zero?",
        f"Not by the definition of the rate. It is minus the largest real part, so at {rate:g} every eigenvalue lies "
        f"{rate:g} or more from zero. On the FF model the nearest one lies at {_between(nearest)}. What is near zero "
        f"is {OBJECTIVES[0]} itself: {stuck:.0%} of its scores are at a bound of the scale. Resting at a bound is the "
        "bound's doing and leaves no eigenvalue near zero in the drift.",
        {"rate": rate, "nearest": nearest.median, "at_bound": stuck},
    )


def _overshoot(found: Experiments) -> Strain:
    fast = {name: paper.rate for name, paper in REPORTED.items() if paper.rate > 1}
    signed = {name: spread(1 + found.figures[name].eigenvalues[:, 0].real) for name in fast}
    words = "; ".join(
        f"{name}: 1 − {rate:g} = {_signed(1 - rate)}, of which the paper gives the modulus "
        f"{REPORTED[name].multiplier:g}; simulated {_between(signed[name])}"
        for name, rate in fast.items()
    )
    return Strain(
        "overshoot",
        "What does a rate above 1 mean?",
        f"That an iteration jumps across the equilibrium: the multiplier is negative ({words}). A mode that changes "
        "sides at every iteration has no counterpart in a first-order differential equation. A loop is fastest at a "
        "rate of 1; beyond it a larger rate is not faster convergence but more overshoot.",
        {f"{name} multiplier": one.median for name, one in signed.items()},
    )


def _pair(found: Experiments) -> Strain:
    paper, own = REPORTED["SF"], found.figures["SF"]
    turns, pair = np.abs(own.eigenvalues[:, 0].imag), own.oscillates
    share = float(pair.mean())
    imaginary = float(np.median(turns[pair])) if pair.any() else float("nan")
    modulus = float(np.median(own.multiplier[pair])) if pair.any() else float("nan")
    here = (
        f"the leading pair is complex in {share:.0%} of experiments, with an imaginary part of {imaginary:.2f} and a "
        f"modulus of {modulus:.2f}"
        if pair.any()
        else "no experiment shows a complex pair in the lead"
    )
    return Strain(
        "pair",
        "Can SF oscillate with a multiplier of modulus 0.08?",
        f"Not if the pair is to be seen. For λ = −{paper.rate:g} ± iω the modulus is √((1 − {paper.rate:g})² + ω²), "
        f"which is {paper.multiplier:g} only at ω = 0, and that is no oscillation. {paper.multiplier:g} is abs(1 − "
        f"rate), which leaves ω out. On the SF model {here}. A pair of this modulus loses most of a deviation in one "
        "iteration, so there is little left to swing.",
        {"share": share, "imaginary": imaginary, "modulus": modulus},
    )


def _noise(found: Experiments) -> Strain:
    paper, noise = REPORTED["FF"], found.noise
    rate, r2, pareto = spread(noise.rate), spread(noise.r2_steps), spread(noise.pareto)
    some = float((noise.eigenvalues.imag != 0).any(axis=1).mean())
    away = (paper.rate - rate.median) / rate.sd
    shown = [
        name
        for name, value, one in (
            (f"R² of {paper.r2:g}", paper.r2, r2), (f"Pareto efficiency of {paper.pareto:.0%}", paper.pareto, pareto)
        )
        if one.holds(value or 0.0)
    ]  # fmt: skip
    of_ff = f"FF's {' and '.join(shown)} {'is' if len(shown) == 1 else 'are'} what this shows. " if shown else ""
    return Strain(
        "noise",
        "What does the estimator report where there are no dynamics?",
        f"Of independent scores around a constant it reports an R² of steps of {_between(r2)}, a rate of "
        f"{_between(rate)}, a Pareto efficiency of {_between(pareto)}, and a complex pair somewhere in {some:.0%} of "
        f"experiments. {of_ff}FF's rate of {paper.rate:g} is not: it lies {away:.0f} standard deviations above.",
        {"r2": r2.median, "rate": rate.median, "pareto": pareto.median, "complex": some, "rate_in_sd": away},
    )


def _at_zero(found: Experiments) -> Strain:
    paper, pinned = REPORTED["FF"], found.pinned
    rate, level = spread(pinned.rate), spread(pinned.reached[:, 0])
    return Strain(
        "at_zero",
        "Can FF have a rate of 1.29 while security is at 0.0?",
        "Not if it falls to 0 and stays. A score that goes to 0 in one step, from wherever it was, moves by exactly "
        "−x: least squares then finds −1 for its own effect and 0 for all others, −1 is an eigenvalue of A, and the "
        f"rate is 1 at most. On FF's model with {OBJECTIVES[0]} drawn down until it rests at {_signed(level.median)}, "
        f"the rate is {_between(rate)}. A bound also cuts off the overshoot that a rate of {paper.rate:g} stands for. "
        f"The closest model of FF leaves {OBJECTIVES[0]} at {_between(spread(found.figures['FF'].reached[:, 0]))}.",
        {"rate": rate.median, "level": level.median},
    )


def _r2_of_ff(found: Experiments) -> Strain:
    paper = REPORTED["FF"]
    both, free = found.figures["FF"], found.without_levels
    r2, rate = spread(free.r2_steps), spread(free.rate)
    near_rate, near_r2 = float(np.median(both.rate)), float(np.median(both.r2_steps))
    return Strain(
        "r2_of_ff",
        "Can FF's R² of 0.50 go with its rate of 1.29?",
        "In a stationary loop an objective's R² of steps is at least (1 − r)/2, where r is the correlation of its "
        f"scores at neighbouring iterations. An R² of {paper.r2:g} therefore needs r of {1 - 2 * paper.r2:.2g} or more "
        f"on average, while a rate of {paper.rate:g} turns every mode to the other side at each iteration. For "
        f"objectives without correlation r is {_signed(1 - paper.rate)} or less on average, and R² "
        f"{paper.rate / 2:.3f} or more. Objectives that are near copies of each other could have both, but their steps "
        "would be as correlated, which the paper's interference is not. The search for a model of all of FF's figures "
        f"ended at a rate of {near_rate:.2f} with R² {near_r2:.2f}; asked for rate, R² and interference alone, at a "
        f"rate of {_between(rate)} with R² {_between(r2)}.",
        {
            "rate": near_rate,
            "r2": near_r2,
            "rate without levels": rate.median,
            "r2 without levels": r2.median,
            "least r2": paper.rate / 2,
        },
    )


def _stationary(found: Experiments) -> Strain:
    n, words, numbers = len(OBJECTIVES), [], {}
    for name, paper in REPORTED.items():
        rest = (2 * n * paper.r2 - paper.rate) / (n - 1)
        kind = (
            "slower than the slowest" if rest < paper.rate
            else "diverging" if rest > 2
            else "overshooting" if rest > 1
            else "unremarkable"
        )  # fmt: skip
        words.append(f"{name} {rest:.2f}, {kind}")
        numbers[f"{name} rest"] = rest
        numbers[f"{name} later"] = float(np.median(found.later[name].r2_steps))
    later = ", ".join(f"{name} {numbers[f'{name} later']:.2f}" for name in REPORTED)
    return Strain(
        "stationary",
        "Which R² of steps goes with which rate?",
        "A stationary score of rate ρ on its own has an R² of steps of ρ/2, and objectives that do not act on each "
        "other have the mean of theirs. With one objective at the reported rate, the others would have to decay at: "
        + "; ".join(words)
        + ". None of the four is a set of objectives that go their own ways without overshoot: objectives that act on "
        "each other, overshooting modes, transients or bounds must be at work. From iteration 20 to "
        f"30, when the starts are forgotten, the R² of the models found is {later}.",
        numbers,
    )


def _levels(found: Experiments) -> Strain:
    paper, own = REPORTED["AI"], found.figures["AI"]
    levels, square = spread(own.r2_levels), paper.multiplier**2
    return Strain(
        "levels",
        "Is AI's R² of 0.74 one of steps or of levels?",
        f"The paper does not say. A stationary score with multiplier {paper.multiplier:g} has an R² of levels of "
        f"{paper.multiplier:g}² = {square:.2f} and an R² of steps of {paper.rate / 2:.3f}; {paper.r2:g} is near the "
        f"first. The model that shows {np.median(own.r2_steps):.2f} for steps has {_between(levels)} for levels.",
        {"square": square, "steps": paper.rate / 2, "levels": levels.median},
    )


def _needed(found: Experiments) -> Strain:
    words: list[str] = []
    numbers: dict[str, float] = {}
    sessions = SESSIONS * len(REPORTED)
    for (one, other), r in INTERFERENCE.items():
        measured = found.interference[:, found.space.index(one), found.space.index(other)]
        error = spread(measured).sd
        steps = (_Z / np.arctanh(abs(r))) ** 2 + 3
        needed = sessions * (_Z * error / abs(r)) ** 2
        numbers |= {f"{one}-{other} steps": steps, f"{one}-{other} sessions": needed, f"{one}-{other} error": error}
        words.append(
            f"{_signed(r)} ({one} and {other}): {np.ceil(steps):.0f} independent steps; as its standard error with "
            f"whole sessions as the unit is {error:.3f} at {sessions}, {np.ceil(needed):.0f} sessions of {STEPS} "
            f"steps, of which the paper has {'enough' if needed <= sessions else 'too few'}"
        )
    return Strain(
        "needed",
        "How much data does the interference need to differ from zero at 5%?",
        "; ".join(words) + ". That a correlation of steps differs from zero does not make it interference, though: "
        "opposite transients, shared noise and strategies with different means give one too.",
        numbers,
    )


def _errors(found: Experiments) -> Strain:
    words: list[str] = []
    numbers: dict[str, float] = {}
    for name, paper in REPORTED.items():
        if paper.rate_error is None:
            continue
        sd = spread(found.figures[name].rate).sd
        ratio = paper.rate_error / sd
        numbers |= {f"{name} sd": sd, f"{name} ratio": ratio}
        words.append(f"{name} ± {paper.rate_error:g}, which is {ratio:.1f} times {sd:.3f}")
    return Strain(
        "errors",
        "Are the ± of the rates standard errors?",
        f"The paper does not say. Against the standard deviation of the rate over simulated experiments of {SESSIONS} "
        f"sessions they are: {'; '.join(words)}. A standard error shrinks with the root of the number of sessions, so "
        "one k times as large is that of k² times fewer.",
        numbers,
    )


_QUESTIONS: tuple[Callable[[Experiments], Strain], ...] = (
    _abstract, _near_zero, _overshoot, _pair, _at_zero, _r2_of_ff, _noise, _stationary, _levels, _needed, _errors,
)  # fmt: skip
