"""The claims: what the paper says, what its estimator shows on the simulated experiments, and whether these agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from trimtab.dynamics.spectrum import NEAR_ONE
from trimtab.reproduction.experiments import Experiments
from trimtab.reproduction.figures import Figures
from trimtab.reproduction.paper import ABSTRACT, COMPANION, INTERFERENCE, OBJECTIVES, REPORTED, Reported
from trimtab.reproduction.spread import Spread, spread

__all__ = ["Agreement", "Claim", "Together", "Value", "by_strategy", "claims", "not_shown"]

Agreement = Literal["yes", "partly", "no", "needs a run"]
Together = Literal["yes", "without others", "no", "open"]

MOSTLY = 0.95
"""Share of experiments that must show a regime for it to agree, and to be denied in for it not to."""


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a claim: the paper's, and how it spreads over the experiments.

    Parameters
    ----------
    paper
        None where the paper gives a word and not a number.
    agrees
        Whether the paper's number lies within the central 95% of the experiments, or the word fits.
    """

    label: str
    paper: float | None
    found: Spread
    agrees: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of the paper.

    Parameters
    ----------
    key
        Stable name, such as ``"FF.rate"``.
    strategy
        The strategy that it is about; empty for the whole.
    says
        What the paper says.
    values
        Its numbers.
    agrees
        Whether the simulated experiments show it.
    together
        ``"yes"``: one model shows it with all other claims of its strategy. ``"without others"``: it is shown, but
        some others of its strategy are not. ``"no"``: it is not shown, or contradicts another. ``"open"``: simulation
        cannot say.
    why
        What the two answers rest on.
    """

    key: str
    strategy: str
    says: str
    values: tuple[Value, ...]
    agrees: Agreement
    together: Together
    why: str = ""


def claims(found: Experiments) -> tuple[Claim, ...]:
    """Return every claim that simulation can speak to, strategy by strategy, then those about the whole."""
    made: list[Claim] = []
    for name, paper in REPORTED.items():
        made += _together([*_of_strategy(name, paper, found.figures[name])])
    made += [_abstract(found), *_interference(found), _companion()]
    return tuple(made)


def _of_strategy(name: str, paper: Reported, own: Figures) -> Iterator[Claim]:
    error = "" if paper.rate_error is None else f" ± {paper.rate_error:g}"
    yield _numbers(f"{name}.rate", name, f"rate {paper.rate:g}{error}", [("rate", paper.rate, own.rate)])
    yield _numbers(
        f"{name}.multiplier",
        name,
        f"modulus of the multiplier {paper.multiplier:g}",
        [("modulus of the multiplier", paper.multiplier, own.multiplier)],
    )
    yield _regime(name, paper, own)
    yield _numbers(f"{name}.r2", name, f"R² {paper.r2:g}", [("R² of steps", paper.r2, own.r2_steps)])
    levels = ", ".join(f"{o} {value:g}" for o, value in zip(OBJECTIVES, paper.reached, strict=True))
    yield _numbers(
        f"{name}.reached",
        name,
        f"reaches {levels}",
        [(o, paper.reached[j], own.reached[:, j]) for j, o in enumerate(OBJECTIVES)],
    )
    if paper.pareto is None:
        value = spread(own.pareto)
        high = value.low > 0.5
        yield Claim(
            f"{name}.pareto", name, "high Pareto efficiency", (Value("Pareto efficiency", None, value, high),),
            "yes" if high else "no", "open", "The paper gives no number; read as above the 50% of FF.",
        )  # fmt: skip
    else:
        yield _numbers(
            f"{name}.pareto",
            name,
            f"Pareto efficiency {paper.pareto:.0%}",
            [("Pareto efficiency", paper.pareto, own.pareto)],
        )


def _numbers(key: str, strategy: str, says: str, rows: list[tuple[str, float, np.ndarray]]) -> Claim:
    values = []
    for label, paper, measured in rows:
        found = spread(measured)
        values.append(Value(label, paper, found, found.holds(paper)))
    right = [value.agrees for value in values]
    agrees: Agreement = "yes" if all(right) else "partly" if any(right) else "no"
    return Claim(key, strategy, says, tuple(values), agrees, "open")


def _regime(name: str, paper: Reported, own: Figures) -> Claim:
    """Return the claim about the regime: the share of experiments that show what the name means."""
    lam = own.eigenvalues
    nearest = np.abs(lam).min(axis=1)
    shown, means = {
        "exponential convergence": (~own.oscillates & (own.multiplier < 1), "the leading eigenvalue is real"),
        "oscillatory convergence": (own.oscillates & (own.multiplier < 1), "the leading eigenvalues are a pair"),
        "boundary attraction": (nearest < 1 - NEAR_ONE, f"an eigenvalue is within {1 - NEAR_ONE:.2g} of zero"),
        "stable, balanced": (np.abs(1 + lam).max(axis=1) < 1, "all multipliers are below 1 in modulus"),
    }[paper.regime]
    share = float(shown.mean())
    agrees: Agreement = "yes" if share >= MOSTLY else "no" if share <= 1 - MOSTLY else "partly"
    return Claim(
        f"{name}.regime", name, paper.regime, (Value(f"share where {means}", None, _share(shown), share >= MOSTLY),),
        agrees, "open",
    )  # fmt: skip


def _share(shown: np.ndarray) -> Spread:
    """Return a share with its binomial 95% range."""
    share, count = float(shown.mean()), len(shown)
    half = 1.96 * np.sqrt(share * (1 - share) / count)
    return Spread(share, max(share - half, 0.0), min(share + half, 1.0), half / 1.96)


_NOT_SHOWN = "Not shown by the model that comes closest to all claims of this strategy."

_CONFLICTS = {
    "SF.multiplier": "abs(1 − rate) is the modulus of a pair only without an imaginary part, which is no oscillation.",
    "FF.rate": "No model was found that has it with R² 0.5, even with all levels left free; see the questions.",
    "FF.multiplier": "It is abs(1 − rate), and falls with the rate.",
    "FF.reached": "Security that falls to 0 and stays makes −1 an eigenvalue, so that the rate is 1 at most.",
    "FF.regime": "Contradicts the rate: at 1.29 no eigenvalue is nearer to zero than 1.29.",
    "FF.r2": "No model was found that has it with rate 1.29, even with all levels left free; see the questions.",
}
"""Why claims that were not shown may not have been."""


def _together(own: list[Claim]) -> list[Claim]:
    """Return the claims of one strategy, each with whether it was shown along with the others."""
    shown: Together = "yes" if all(claim.agrees == "yes" for claim in own) else "without others"
    return [
        replace(claim, together=shown)
        if claim.agrees == "yes"
        else replace(claim, together="no", why=_CONFLICTS.get(claim.key, claim.why or _NOT_SHOWN))
        for claim in own
    ]


def _abstract(found: Experiments) -> Claim:
    rates = {name: spread(own.rate) for name, own in found.figures.items()}
    least = min(REPORTED, key=lambda name: REPORTED[name].rate)
    low, high = ABSTRACT
    values = tuple(
        Value(f"rate of {name}", REPORTED[name].rate, rates[name], low <= rates[name].median <= high)
        for name in REPORTED
    )
    return Claim(
        "abstract.rates", "", f"rates from {low:g} to {high:g}", values,
        "yes" if all(value.agrees for value in values) else "partly", "no",
        f"The paper's own table has {least} at {REPORTED[least].rate:g}, below this range: the abstract leaves out a "
        "strategy, or the table is of another analysis.",
    )  # fmt: skip


def _interference(found: Experiments) -> Iterator[Claim]:
    for (one, other), paper in INTERFERENCE.items():
        measured = found.interference[:, found.space.index(one), found.space.index(other)]
        made = _numbers(
            f"interference.{one}-{other}", "", f"interference of {one} and {other} {paper:g}".replace("-", "−"),
            [("correlation of steps, pooled", paper, measured)],
        )  # fmt: skip
        yield replace(made, together="yes" if made.agrees == "yes" else "no", why="All steps of all strategies pooled.")


def _companion() -> Claim:
    return Claim(
        "companion.findings", "",
        f"companion study (arXiv:2506.11022): critical findings up {COMPANION:.1%} after five iterations",
        (), "needs a run", "open",
        "Simulated scores have no findings. trimtab findings SOURCE computes the same figure, with a session-clustered "
        "interval, for any store that holds scored texts.",
    )  # fmt: skip


def not_shown(own: Iterable[Claim]) -> str:
    """Return what the claims that do not fully agree say, in one line."""
    return "; ".join(claim.says for claim in own if claim.agrees in ("no", "partly"))


def by_strategy(made: tuple[Claim, ...]) -> Mapping[str, list[Claim]]:
    """Return the claims by strategy, those about the whole under the empty name."""
    found: dict[str, list[Claim]] = {}
    for claim in made:
        found.setdefault(claim.strategy, []).append(claim)
    return found
