"""rate_control: the strategy whose spectrum gives the wanted behaviour (paper, B.1)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trimtab.control.outlook import held
from trimtab.control.policies.preference import preferred
from trimtab.control.situation import Choice, Situation
from trimtab.dynamics import spectrum
from trimtab.errors import InputError

__all__ = ["BEHAVIOURS", "RateControl"]

Floats = NDArray[np.float64]

BEHAVIOURS = {
    "fast": "deviations die out sooner than under any other strategy: the least max |1 + lambda|",
    "slow": "they die out, but later than under any other: the greatest max |1 + lambda| below 1",
    "settled": "they die out steadily: the slowest multiplier is real, positive and below 1",
    "exploring": "the loop turns while they die out: the slowest multiplier is complex, of modulus below 1",
}

_DRAWS = 400
_ALIKE = 0.05  # chances closer than this are not told apart
_REASONS = (
    "{strategy} has the wanted spectrum ({wanted_spectrum}) with probability {chance:.0%}, the most of all",
    "no strategy is likely to have the wanted spectrum ({wanted_spectrum}): {strategy} has it with probability "
    "{chance:.0%}, no less than any other",
)


@dataclass(frozen=True)
class RateControl:
    """Use the strategy that most probably has the wanted spectrum, given what the data leave possible.

    The probability is the share of drifts drawn from the posterior. Strategies within 0.05 of the greatest are taken to
    be alike, and the one with the greatest utility at the end of the session, held until then, is used. Does not
    stop because of a cost. Strategies hardly known are first tried in turn. Of fast, slow or a rate, each draw has one
    strategy that shows it best; a loop may settle or explore under several strategies, or under none.

    Parameters
    ----------
    behaviour
        A name from `BEHAVIOURS`, or a number: the rate -max Re(lambda) per iteration, and the strategy nearest to it
        is wanted.
    """

    behaviour: str | float = "settled"
    name: str = field(default="rate_control", init=False)

    def __post_init__(self) -> None:
        if isinstance(self.behaviour, str):
            if self.behaviour in BEHAVIOURS:
                return
            with suppress(ValueError):
                object.__setattr__(self, "behaviour", float(self.behaviour))
        if isinstance(self.behaviour, str) or not np.isfinite(self.behaviour):
            raise InputError(
                f"a behaviour is one of {', '.join(BEHAVIOURS)} or a rate, such as 0.3, but got {self.behaviour!r:.80}"
            )

    def choose(self, now: Situation) -> Choice:
        """See `Policy`."""
        S = len(now)
        drifts = now.knowledge.draws(_DRAWS, now.seed, "rate_control")
        chance = wanted_chance(self.behaviour, spectrum.eigenvalues(drifts.F - np.eye(now.goal.space.n)))
        value = now.goal.expected(held(now.knowledge, now.beliefs.mean, now.left), None)
        place = value.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        alike = chance >= chance.max() - _ALIKE
        score = np.where(alike, 1.0 + place, chance)
        words = f"a rate near {self.behaviour:g}" if isinstance(self.behaviour, float | int) else self.behaviour
        used = np.where(alike, place, -1).argmax(axis=1)
        facts = {"chance": chance[used], "wanted_spectrum": np.full(S, words, dtype=object)}
        return preferred(now, score, np.where(chance[used] < 0.5, 1, 0), _REASONS, facts)


def wanted_chance(behaviour: str | float, lam: NDArray[np.complex128]) -> Floats:
    """Return the share of draws in which each strategy shows a behaviour, (K,), for eigenvalues (D, K, n) of A.

    Fast, slow and a target rate compare strategies: in each draw, one of them shows it.
    """
    D, K = lam.shape[:2]
    radius = spectrum.spectral_radius(lam)
    if behaviour in ("settled", "exploring"):
        wanted = {"settled": ("exponential", "boundary"), "exploring": ("oscillatory",)}[str(behaviour)]
        found = spectrum.regimes(lam)
        return np.asarray(np.isin(found, [spectrum.REGIMES.index(name) for name in wanted]).mean(axis=0))
    if behaviour == "fast":
        distance = radius
    elif behaviour == "slow":
        distance = np.where(radius < 1, 1 - radius, radius)
    else:
        distance = np.abs(spectrum.rate(lam) - float(behaviour))
    return np.asarray(np.bincount(distance.argmin(axis=1), minlength=K) / D)
