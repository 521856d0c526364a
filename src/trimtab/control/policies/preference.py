"""Preference: from how much each strategy is preferred to a choice that no floor forbids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.control.knowledge import ENOUGH
from trimtab.control.outlook import floor_chance, standing
from trimtab.control.situation import STOP, Choice, Situation
from trimtab.core.streams import stream_seed
from trimtab.errors import InputError

__all__ = ["preferred", "strategy_index", "untried"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SECOND = "{strategy} comes next after {wanted}, which would pass a floor with more than the chance allowed"
_UNTRIED = "{strategy} is tried because too little is known of it: {seen:.0f} of {needed:.0f} steps wanted"
_FLOOR = "every strategy would pass the floor {floor} with more than the chance allowed"
_SPENT = "the session has had all its iterations"


def preferred(
    now: Situation,
    score: Floats,
    reason: Ints,
    reasons: tuple[str, ...],
    facts: Mapping[str, NDArray[Any]] | None = None,
    *,
    explore: float = 1.0,
    base: Ints | None = None,
    gain: Floats | None = None,
    promise: Floats | None = None,
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
    explore
        How much strategies of which too little is known are tried first, see `untried`; 0 for not at all.
    base, gain
        See `Choice`.
    promise
        (S, K) what each strategy promises over stopping; the expected gain if None.
    little
        Sentence for stopping where what the strategy promises is below the goal's least; None for never stopping
        because of that. A strategy that is hardly known is exempt: no gain can be asked of it.
    """
    S, names = len(now), np.array(now.knowledge.strategies, dtype=object)
    allowed: Bools = np.asarray(floor_chance(now.goal, now.knowledge, *standing(now.beliefs, base)) <= 1)
    wanted = score.argmax(axis=1)
    at = len(reasons)
    enough = np.ones(S, dtype=bool)
    if promise is None and gain is not None:
        promise = gain[..., 0]
    if little is not None and promise is not None:
        best = np.where(allowed, score, -np.inf).argmax(axis=1)
        enough = promise[np.arange(S), best] >= now.goal.least_gain
    seen, needed = _steps(now, explore)
    if explore:
        turn = np.where(allowed, untried(now, seen, needed, enough), -np.inf)
        cold: Bools = np.asarray(np.isfinite(turn).any(axis=1))
        score = np.where(cold[:, None], turn, score)
        reason = np.where(cold, at, reason)
        wanted = np.where(cold, turn.argmax(axis=1), wanted)
    score = np.where(allowed, score, -np.inf)
    action = score.argmax(axis=1)
    reason = np.where(action == wanted, reason, at + 1)
    if little is not None:
        too_little = ~enough & (reason != at)
        action, reason = np.where(too_little, STOP, action), np.where(too_little, little, reason)
    never = ~np.isfinite(score).any(axis=1)
    action, reason = np.where(never, STOP, action), np.where(never, at + 2, reason)
    if now.left <= 0:
        action, reason = np.full(S, STOP), np.full(S, at + 3)
    rows = np.arange(S)
    return Choice(
        action, reason, (*reasons, _UNTRIED, _SECOND, _FLOOR, _SPENT), base, gain,
        {"wanted": names[wanted], "seen": seen[rows, wanted], "needed": needed[rows, wanted], **(facts or {})},
    )  # fmt: skip


def _steps(now: Situation, explore: float) -> tuple[Floats, Floats]:
    """Return from how many steps each strategy is known, and from how many it should be, (S, K) each; see `untried`."""
    n, K = now.goal.space.n, len(now.knowledge.strategies)
    seen = now.basis.steps + (now.strategy[:, :, None] == np.arange(K)).sum(axis=1)
    wanted = explore * (1 + n) / 2 * np.sqrt(seen.sum(axis=1, keepdims=True))
    return seen, np.broadcast_to(np.clip(wanted, n + 2, ENOUGH * (1 + n)), seen.shape)


def untried(now: Situation, seen: Floats, needed: Floats, goes_on: Bools) -> Floats:
    """Return whose turn it is where too little is known of a strategy, (S, K); minus infinity for the known ones.

    Until what is known of a strategy tells as much as n + 2 steps, one more than its drift has coefficients for each
    objective, it is hardly known, and tried whatever it promises. From then on (1 + n) / 2 sqrt(N) steps are wanted, N
    being those of all strategies, up to `knowledge.ENOUGH` for each coefficient: one of which too little is known to
    see what it is good for is tried now and then, ever more rarely (the forced exploration that certainty equivalence
    needs: Simchowitz and Foster 2020). Only in sessions that go on anyway, from an iteration on that is drawn for each,
    so that it is seen from many states, and not where a fit was given of it: what a fit could not tell because scores
    sit at their bounds, more such steps would not tell either.

    The one that has been tried least comes first; where several have, sessions begin at different ones, so that no
    strategy is always tried at the same iteration.

    Parameters
    ----------
    seen, needed
        (S, K) from how many steps strategies are known, and from how many they should be.
    goes_on
        (S,) true where some strategy is worth its cost.
    """
    S, K = seen.shape
    few = now.goal.space.n + 2
    hardly, little = seen < few, (seen < needed) & goes_on[:, None] & (now.basis.given < few)
    if not (hardly | little).any():
        return np.full((S, K), -np.inf)
    begin = np.array([stream_seed(now.seed, "turn", key) % K for key in now.keys])
    since = np.array([stream_seed(now.seed, "explore", key) % now.budget for key in now.keys])
    cold = hardly | (little & (now.t >= since)[:, None])
    place = (np.arange(K) - begin[:, None]) % K
    return np.asarray(np.where(cold, -seen - place / K**2, -np.inf))


def strategy_index(name: str, known: Sequence[str], policy: str) -> int:
    """Return the index of a strategy; ``InputError`` if there is none of that name."""
    if name not in known:
        raise InputError(f"the policy {policy!r} needs the strategy {name!r}, but there are {', '.join(known)}")
    return list(known).index(name)
