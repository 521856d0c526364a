"""Triggers: conditions under which a human is told or asked, or the session is set aside or stopped (paper, C.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.control.monitor import session_alarm
from trimtab.control.situation import Situation
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.plain import exact
from trimtab.dynamics import spectrum
from trimtab.errors import InputError

__all__ = ["QUIET", "Action", "Below", "Drift", "Falling", "Fired", "RateAbove", "Trigger", "fired", "read_trigger"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Action = Literal["warn", "webhook", "ask", "pause", "stop"]

QUIET = ("warn", "webhook")
"""Actions that leave the session to go on."""

_ACTIONS = (*QUIET, "ask", "pause", "stop")
_DRAWS = 400


class Trigger(Protocol):
    """A condition, as a probability under what is believed of each session, and what it calls for."""

    @property
    def action(self) -> Action:
        """``"warn"``, call a ``"webhook"``, ``"ask"`` a human, ``"pause"`` the session, or ``"stop"`` it.

        Whoever runs the loop does so; a decision knows no webhook, and to it a pause is a question nobody answers yet.
        """
        ...

    def check(self, now: Situation) -> tuple[Bools, Floats]:
        """Return whether it fires and the probability it goes by, (S,) each."""
        ...

    def sentence(self, probability: float) -> str:
        """Return what is the matter, for a person."""
        ...

    def told(self, space: ObjectiveSpace) -> str:
        """Return the text that `read_trigger` makes it of."""
        ...


@dataclass(frozen=True, slots=True)
class _Condition:
    """What triggers have in common: at what probability they fire, and what they call for."""

    at: float
    action: Action

    def __post_init__(self) -> None:
        if not 0 < self.at < 1 or self.action not in _ACTIONS:
            raise InputError(
                f"a trigger needs a probability between 0 and 1 and one of {', '.join(_ACTIONS)}, but got "
                f"at={self.at!r:.80} and action={self.action!r:.80}"
            )

    def _end(self, usual: float = 0.5) -> str:
        return ("" if self.at == usual else f"@{exact(self.at)}") + ("" if self.action == "ask" else f":{self.action}")


@dataclass(frozen=True, slots=True, init=False)
class Below(_Condition):
    """An objective has probably passed a level on its bad side: P(x_t < level) >= at.

    x_t is the true quality, normal with the filter's mean and variance, so that a single unlucky score does not fire.
    For an objective that is minimised, P(x_t > level).

    Parameters
    ----------
    objective, level
        Its name, and the level in its own units.
    at
        Probability from which on the trigger fires.
    action
        What it calls for.
    """

    objective: str
    level: float

    def __init__(self, objective: str, level: float, at: float = 0.5, action: Action = "ask") -> None:
        _put(self, objective=objective, level=_finite(level, "level"), at=at, action=action)

    def check(self, now: Situation) -> tuple[Bools, Floats]:
        """See `Trigger`."""
        j, sign = _objective(now, self.objective)
        p = _normal(sign * (self.level - now.beliefs.mean[:, j]), now.beliefs.covariance[:, j, j])
        return p >= self.at, p

    def sentence(self, probability: float) -> str:
        """See `Trigger`."""
        return f"{self.objective} is past {self.level:g} with probability {probability:.0%}"

    def told(self, space: ObjectiveSpace) -> str:
        """See `Trigger`."""
        side = "<" if space[self.objective].direction == "max" else ">"
        return f"{self.objective}{side}{exact(self.level)}{self._end()}"


@dataclass(frozen=True, slots=True, init=False)
class Falling(_Condition):
    """An iteration has probably made an objective worse by more than a fraction.

    P(x_b - x_t > by |m_b|) >= at, with b the iterate gone on from, usually t - 1, and m_b its estimate; x_b and x_t
    are smoothed by all scores so far and jointly normal. For an objective that is minimised, P(x_t - x_b > by |m_b|).

    Parameters
    ----------
    objective, by
        Its name, and the fraction of the iterate gone on from, more than 0.
    at, action
        See `Below`.
    """

    objective: str
    by: float

    def __init__(self, objective: str, by: float, at: float = 0.5, action: Action = "ask") -> None:
        if not 0 < by < np.inf:
            raise InputError(f"a fall is by a fraction of more than 0, such as 0.3, but got {by!r:.80}")
        _put(self, objective=objective, by=float(by), at=at, action=action)

    def check(self, now: Situation) -> tuple[Bools, Floats]:
        """See `Trigger`."""
        j, sign = _objective(now, self.objective)
        S, beliefs = len(now), now.beliefs
        if not now.t:
            return np.zeros(S, dtype=bool), np.zeros(S)
        rows, base = np.arange(S), beliefs.base[:, -1]
        before = beliefs.past[rows, base, j]
        step = beliefs.mean[:, j] - before
        own, shared = beliefs.past_covariance[rows, base, j, j], beliefs.cross[rows, base, j, j]
        variance = own + beliefs.covariance[:, j, j] - 2 * shared
        p = _normal(-sign * step - self.by * np.abs(before), variance)
        return p >= self.at, p

    def sentence(self, probability: float) -> str:
        """See `Trigger`."""
        return (
            f"{self.objective} became worse by more than {self.by:.0%} in one iteration with probability "
            f"{probability:.0%}"
        )

    def told(self, space: ObjectiveSpace) -> str:
        """See `Trigger`."""
        verb = "falls" if space[self.objective].direction == "max" else "rises"
        return f"{self.objective} {verb} {exact(100 * self.by)}%{self._end()}"


@dataclass(frozen=True, slots=True, init=False)
class RateAbove(_Condition):
    """The strategy in force probably changes things too fast: P(-max Re(lambda) > rate) >= at, per iteration.

    The probability is the share of drifts drawn from the posterior. A rate above 1 makes each step jump across the
    equilibrium; from 2 on the loop diverges. Before the first step no strategy is in force.

    Parameters
    ----------
    rate
        Per iteration.
    at, action
        See `Below`.
    """

    rate: float

    def __init__(self, rate: float, at: float = 0.5, action: Action = "ask") -> None:
        _put(self, rate=_finite(rate, "rate"), at=at, action=action)

    def check(self, now: Situation) -> tuple[Bools, Floats]:
        """See `Trigger`."""
        S = len(now)
        if not now.t:
            return np.zeros(S, dtype=bool), np.zeros(S)
        F = now.knowledge.draws(_DRAWS, now.seed, "rate trigger").F
        rates = spectrum.rate(spectrum.eigenvalues(F - np.eye(now.goal.space.n)))
        p = (rates > self.rate).mean(axis=0)[now.strategy[:, -1]]
        return p >= self.at, p

    def sentence(self, probability: float) -> str:
        """See `Trigger`."""
        return f"the strategy in force has a rate above {self.rate:g} with probability {probability:.0%}"

    def told(self, space: ObjectiveSpace) -> str:
        """See `Trigger`."""
        return f"rate>{exact(self.rate)}{self._end()}"


@dataclass(frozen=True, slots=True, init=False)
class Drift(_Condition):
    """The session no longer moves as the dynamics known say, see `trimtab.control.monitor.session_alarm`.

    Parameters
    ----------
    at
        Chance that a session in which nothing changes gives this alarm at any of its iterations. The probability it
        goes by is the chance that such a session gets as far by its end.
    action
        See `Below`.
    """

    def __init__(self, at: float = 0.01, action: Action = "ask") -> None:
        _put(self, at=at, action=action)

    def check(self, now: Situation) -> tuple[Bools, Floats]:
        """See `Trigger`."""
        alarm = session_alarm(now, self.at)
        return alarm.fired, alarm.p

    def sentence(self, probability: float) -> str:
        """See `Trigger`."""
        chance = f"{probability:.1%}" if probability >= 0.0005 else "fewer than 0.1%"
        return f"scores move as they would in {chance} of sessions if the dynamics known still held"

    def told(self, space: ObjectiveSpace) -> str:
        """See `Trigger`."""
        return f"drift{self._end(0.01)}"


@dataclass(frozen=True, slots=True, eq=False)
class Fired:
    """Which triggers fired in S sessions, of N.

    Parameters
    ----------
    fired, probability
        (S, N).
    first
        (S,) index of the one that counts, -1 for none: the first in order that asks, pauses or stops, and where there
        is none the first of the others, so that a warning never hides a call for a human.
    sentences
        (S,) what is the matter; empty for none.
    """

    fired: Bools
    probability: Floats
    first: Ints
    sentences: tuple[str, ...]


def fired(triggers: Sequence[Trigger], now: Situation) -> Fired:
    """Return which triggers fire in each session, and with which probability.

    Raises
    ------
    InputError
        If a trigger is of an objective that there is not.
    """
    S, N = len(now), len(triggers)
    hit, probability = np.zeros((S, N), dtype=bool), np.zeros((S, N))
    for i, trigger in enumerate(triggers):
        hit[:, i], probability[:, i] = trigger.check(now)
    quiet = np.array([trigger.action in QUIET for trigger in triggers], dtype=bool)
    rank = np.where(hit, np.arange(N) + N * quiet, 2 * N)
    first = rank.argmin(axis=1) if N else np.zeros(S, dtype=np.int64)
    first = np.where(hit.any(axis=1), first, -1)
    sentences = tuple(triggers[i].sentence(float(probability[s, i])) if i >= 0 else "" for s, i in enumerate(first))
    return Fired(hit, probability, first, sentences)


# Names end in what is no blank, so that a long run of blanks is never split in every way.
_FORM = re.compile(r"(?P<what>.*?\S)(\s*@\s*(?P<at>[^@:\s]+))?(\s*:\s*(?P<action>\w+))?", re.DOTALL)
_LEVEL = re.compile(r"(?P<name>.*?\S)\s*(?P<side>[<>])\s*(?P<level>[^<>=\s]+)", re.DOTALL)
_FALL = re.compile(r"(?P<name>.*?\S)\s+(?P<verb>falls|rises)\s+(by\s+)?(?P<by>[^\s%]+)\s*%", re.DOTALL)


def read_trigger(text: str, space: ObjectiveSpace) -> Trigger:
    """Read a trigger: ``security<2``, ``efficiency falls 30%``, ``rate>1.5`` or ``drift``.

    ``@0.8`` after it sets the probability at which it fires (for drift, the chance of a false alarm), and ``:warn``,
    ``:webhook``, ``:ask``, ``:pause`` or ``:stop`` what it calls for. Of an objective that is minimised it is
    ``cost>20`` and ``cost rises 30%``.

    Raises
    ------
    InputError
        If it cannot be read, or watches an objective's good side.

    Examples
    --------
    >>> read_trigger("security<2@0.8:stop", ObjectiveSpace(["security"]))
    Below(at=0.8, action='stop', objective='security', level=2.0)
    """
    needed = (
        'a trigger is written "NAME<LEVEL", "NAME falls 30%", "rate>1.5" or "drift", then @PROBABILITY and :warn, '
        f":webhook, :ask, :pause or :stop if wanted, but got {text!r:.200}"
    )
    found = _FORM.fullmatch(text.strip())
    if found is None or (found["action"] or "ask") not in _ACTIONS:
        raise InputError(needed)
    try:
        more = {} if found["at"] is None else {"at": float(found["at"])}
        action = cast("Action", found["action"] or "ask")
        what = found["what"]
        if what == "drift":
            return Drift(action=action, **more)
        if level := _LEVEL.fullmatch(what):
            name, value = level["name"], float(level["level"])
            if name == "rate" and name not in space and level["side"] == ">":
                return RateAbove(value, action=action, **more)
            _bad_side(space, name, level["side"] == "<", f"{name}{{}}{level['level']}", "<>")
            return Below(name, value, action=action, **more)
        if fall := _FALL.fullmatch(what):
            name, value = fall["name"], float(fall["by"]) / 100
            _bad_side(space, name, fall["verb"] == "falls", f"{name} {{}} {fall['by']}%", ("falls", "rises"))
            return Falling(name, value, action=action, **more)
    except InputError:
        raise
    except ValueError:
        pass
    raise InputError(needed)


def _bad_side(space: ObjectiveSpace, name: str, down: bool, form: str, words: Sequence[str]) -> None:
    maximised = space[name].direction == "max"
    if maximised != down:
        raise InputError(
            f"{name} is {'maximised' if maximised else 'minimised'}, and a trigger watches its bad side: write "
            f"{form.format(words[0] if maximised else words[1])}"
        )


def _objective(now: Situation, name: str) -> tuple[int, float]:
    j = now.goal.space.index(name)
    return j, float(now.goal.space.sign[j])


def _normal(mean: Floats, variance: Floats) -> Floats:
    """Return P(N(mean, variance) > 0)."""
    sd = np.sqrt(np.maximum(variance, 0.0))
    known = sd <= 1e-9
    return np.asarray(np.where(known, mean > 0, scipy.special.ndtr(mean / np.where(known, 1.0, sd))))


def _finite(value: float, what: str) -> float:
    if not np.isfinite(value):
        raise InputError(f"a trigger's {what} must be a finite number, but got {value!r:.80}")
    return float(value)


def _put(self: _Condition, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(self, name, value)
    _Condition.__post_init__(self)
