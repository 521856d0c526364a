"""Preference: from how much each strategy is preferred to a choice that no floor forbids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.control.outlook import floor_chance, standing
from trimtab.control.situation import STOP, Choice, Situation
from trimtab.core.streams import stream_seed
from trimtab.errors import InputError

__all__ = ["preferred", "strategy_index", "untried"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SECOND = "{strategy} comes next after {wanted}, which would pass a floor with more than the chance allowed"
_UNTRIED = "{strategy} has yet to be tried: every strategy is, for {needed} steps, before the dynamics decide"
_FLOOR = "every strategy would pass the floor {floor} with more than the chance allowed"
_SPENT = "the session has had all its iterations"


def preferred(
    now: Situation,
    score: Floats,
    reason: Ints,
    reasons: tuple[str, ...],
    facts: Mapping[str, NDArray[Any]] | None = None,
    *,
    learns: bool = True,
    base: Ints | None = None,
    gain: Floats | None = None,
    little: int | None = None,
) -> Choice:
    """Return the choice of the most preferred strategy that floors on each iterate allow; stop where none is.

    Parameters
    ----------
    score
        (S, K), the greatest one is preferred, and of equal ones the first; minus infinity where a strategy is never to
        be used.
    reason, reasons
        (S,) why it is preferred, as an index into sentences.
    facts
        See `Choice`.
    learns
        First use strategies in turn while something is hardly known of one, see `untried`.
    base, gain
        See `Choice`.
    little
        Sentence for stopping where the strategy's gain is below the goal's least; None for never stopping because of
        that. A strategy that has yet to be tried is exempt: no gain can be asked of it.
    """
    S, names = len(now), np.array(now.knowledge.strategies, dtype=object)
    allowed: Bools = np.asarray(floor_chance(now.goal, now.knowledge, *standing(now.beliefs, base)) <= 1)
    wanted = score.argmax(axis=1)
    at = len(reasons)
    if learns:
        turn = np.where(allowed, untried(now), -np.inf)
        cold: Bools = np.asarray(np.isfinite(turn).any(axis=1))
        score = np.where(cold[:, None], turn, score)
        reason = np.where(cold, at, reason)
        wanted = np.where(cold, turn.argmax(axis=1), wanted)
    score = np.where(allowed, score, -np.inf)
    action = score.argmax(axis=1)
    reason = np.where(action == wanted, reason, at + 1)
    if little is not None and gain is not None:
        too_little = (reason != at) & (gain[np.arange(S), action, 0] < now.goal.least_gain)
        action, reason = np.where(too_little, STOP, action), np.where(too_little, little, reason)
    never = ~np.isfinite(score).any(axis=1)
    action, reason = np.where(never, STOP, action), np.where(never, at + 2, reason)
    if now.left <= 0:
        action, reason = np.full(S, STOP), np.full(S, at + 3)
    needed = np.full(S, now.goal.space.n + 2)
    return Choice(
        action, reason, (*reasons, _UNTRIED, _SECOND, _FLOOR, _SPENT), base, gain,
        {"wanted": names[wanted], "needed": needed, **(facts or {})},
    )  # fmt: skip


def untried(now: Situation) -> Floats:
    """Return whose turn it is where strategies are hardly known, (S, K); minus infinity for the known ones.

    A strategy is known once what is known of it tells as much as n + 2 steps: one more than its drift has coefficients
    for each objective. The one that has been tried least comes first; where several have, sessions begin at different
    ones, so that no strategy is always tried at the same iteration.
    """
    known = now.knowledge
    K = len(known.strategies)
    cold = known.steps < now.goal.space.n + 2
    if not cold.any():
        return np.full((len(now), K), -np.inf)
    own = (now.strategy[:, :, None] == np.arange(K)).sum(axis=1)
    begin = np.array([stream_seed(now.seed, "turn", key) % K for key in now.keys])
    place = (np.arange(K) - begin[:, None]) % K
    return np.asarray(np.where(cold, -(known.steps + own) - place / K**2, -np.inf))


def strategy_index(name: str, known: Sequence[str], policy: str) -> int:
    """Return the index of a strategy; ``InputError`` if there is none of that name."""
    if name not in known:
        raise InputError(f"the policy {policy!r} needs the strategy {name!r}, but there are {', '.join(known)}")
    return list(known).index(name)
