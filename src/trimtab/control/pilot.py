"""Pilot: the live object that steers somebody's loop, learning as it goes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trimtab.control.floor import Floor, read_floor
from trimtab.control.goal import Goal, Utility
from trimtab.control.knowledge import Knowledge, named
from trimtab.control.learning import Ledger
from trimtab.control.live import MOST_ITERATIONS, PilotSession
from trimtab.control.registry import read_policy
from trimtab.control.rehearsal import rehearse
from trimtab.control.situation import Policy
from trimtab.control.triggers import Trigger, read_trigger
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.errors import InputError

if TYPE_CHECKING:
    from trimtab.estimation.results import Fit

__all__ = ["Pilot"]

T = TypeVar("T")


class Pilot:
    """Steer live loops: after every iteration, say what to do next.

    >>> pilot = Pilot(["security", "efficiency"], ["SF", "EF"], iterations=5)
    >>> session = pilot.session("task 1")
    >>> decision = session.observe({"security": 4.1, "efficiency": 5.0})
    >>> decision.action, decision.strategy in ("SF", "EF"), decision.keep
    ('continue', True, 0)

    It needs no fit: without one it starts from the weak prior that scores stay where they are, and every step of every
    session adds to the posterior of the strategy that made it. A session knows what was known when it was opened, and
    its own steps; what other sessions show meanwhile is known to those opened after they ended. So its decisions depend
    on its own scores, its name, the seed, and which sessions had ended when it was opened, and on nothing else: not on
    threads, and not on the order in which sessions that run at the same time come to their ends. Sessions that are
    opened together, before any of them ends, decide the same in any order.

    Parameters
    ----------
    objectives
        ``NAME[:LOW:HIGH][:min|max]`` or `Objective`, or an `ObjectiveSpace`. Scales go from 0 to 10 unless said.
    strategies
        Names of those to choose from; those of the fit if None.
    policy
        ``NAME[:OPTION=VALUE,...]``, see `registry.read_policy`, or an object with ``choose(situation)``.
    fit
        What is known before: a `Fit`, a path to a saved one or to a file of models, or ``"reference"``.
    utility
        ``"weighted"``, ``"worst"``, ``"product"``, ``"hypervolume"``, weights by objective, or a function of scores
        (..., n); see `Goal`.
    weights
        By objective, for ``"weighted"`` and ``"product"``; equal ones if None.
    constraints
        Floors, ``NAME>=LEVEL[@ALPHA][:kept|each]`` or `Floor`.
    cost
        Utility points that an iteration costs, or such costs by strategy.
    least_gain
        Expected gain, in utility points, below which a session stops.
    iterations
        Most iterations of a session, the start aside.
    triggers
        Conditions that call a human, such as ``"security<2"``, ``"efficiency falls 30%"``, ``"rate>1.5"`` or
        ``"drift"``; see `triggers.read_trigger`.
    score_noise
        Standard deviation of the scorer's own error by objective, where it is known and the fit does not say it.
    memory
        Below 1, a session that ended counts memory^age in what is known, its age being the number of sessions opened
        since: for dynamics that change.
    seed
        Of all random streams.

    Attributes
    ----------
    doubts
        What speaks against going by the fit, in sentences: a verdict other than dynamics, steps that are not affine,
        loops that do not converge.

    Raises
    ------
    InputError
        If anything cannot be used as given.
    """

    goal: Goal
    prior: Knowledge
    policy: Policy
    policy_text: str | None
    triggers: tuple[Trigger, ...]
    ledger: Ledger
    iterations: int
    seed: int
    doubts: tuple[str, ...]
    sessions: dict[str, PilotSession]
    opened: int
    _lock: threading.RLock

    def __init__(
        self,
        objectives: ObjectiveSpace | Iterable[Objective | str],
        strategies: Iterable[str] | None = None,
        *,
        policy: str | Policy = "predictive",
        fit: Fit | str | Path | None = None,
        utility: Utility = "weighted",
        weights: Mapping[str, float] | None = None,
        constraints: Iterable[Floor | str] = (),
        cost: float | Mapping[str, float] = 0.0,
        least_gain: float = 0.01,
        iterations: int = 10,
        triggers: Iterable[Trigger | str] = (),
        score_noise: Mapping[str, float] | None = None,
        memory: float = 1.0,
        seed: int = 0,
    ) -> None:
        space = (
            objectives if isinstance(objectives, ObjectiveSpace) else ObjectiveSpace(_several(objectives, "objectives"))
        )
        prior, doubts = _prior(space, strategies, fit, score_noise)
        goal = Goal(
            space,
            utility,
            weights,
            floors=tuple(
                read_floor(one) if isinstance(one, str) else one for one in _several(constraints, "constraints")
            ),
            cost=0.0 if isinstance(cost, Mapping) else cost,
            costs=dict(cost) if isinstance(cost, Mapping) else {},
            least_gain=least_gain,
        )
        chosen = tuple(
            read_trigger(one, space) if isinstance(one, str) else one for one in _several(triggers, "triggers")
        )
        self._fill(goal, prior, policy, iterations, chosen, memory, seed, doubts)

    def _fill(
        self,
        goal: Goal,
        prior: Knowledge,
        policy: str | Policy,
        iterations: int,
        triggers: tuple[Trigger, ...],
        memory: float,
        seed: int,
        doubts: tuple[str, ...],
    ) -> None:
        if not _is_whole(iterations) or not 1 <= iterations <= MOST_ITERATIONS:
            raise InputError(
                f"iterations must be a whole number from 1 to {MOST_ITERATIONS:,}, but got {iterations!r:.80}"
            )
        if not isinstance(memory, Real) or not 0 < memory <= 1:
            raise InputError(f"memory must lie above 0 and at most at 1, but got {memory!r:.80}")
        if not _is_whole(seed):
            raise InputError(f"a seed is a whole number, but got {seed!r:.80}")
        if not isinstance(policy, str) and not callable(getattr(policy, "choose", None)):
            raise InputError(
                f"a policy is a text such as 'predictive', or has choose(situation), but got {policy!r:.80}"
            )
        for trigger in triggers:
            if not callable(getattr(trigger, "check", None)):
                raise InputError(
                    f"a trigger is a text such as 'security<2', or has check(situation), but got {trigger!r:.80}"
                )
        goal.cost_of(prior.strategies)
        self.goal, self.prior, self.iterations, self.seed = goal, prior, int(iterations), int(seed)
        self.triggers, self.policy_text = triggers, policy if isinstance(policy, str) else None
        self.policy = read_policy(policy) if isinstance(policy, str) else policy
        self.ledger = Ledger(prior.total.shape, memory)
        self.doubts = doubts
        self.sessions = {}
        self.opened = 0
        self._lock = threading.RLock()
        rehearse(goal, prior, [] if self.policy_text is None else [self.policy], triggers, self.seed)

    def __repr__(self) -> str:
        return (
            f"Pilot({', '.join(self.goal.space.names)}; policy {self.policy.name}; "
            f"{self.opened} sessions opened, {len(self.sessions)} running)"
        )

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies, in order."""
        return self.prior.strategies

    @property
    def knowledge(self) -> Knowledge:
        """What is known now: the fit, if any, and every session that ended."""
        with self._lock:
            return self.prior.added(self.ledger.total(self.opened))

    def session(self, key: str) -> PilotSession:
        """Open a session; one that is running under this key is returned as it is.

        Parameters
        ----------
        key
            Its name. It is part of the key of the session's random streams.
        """
        if not isinstance(key, str) or not key:
            raise InputError(f"a session is named by a text that is not empty, but got {key!r:.80}")
        with self._lock:
            if key not in self.sessions:
                self.sessions[key] = PilotSession(self, key, self.opened, self.knowledge)
                self.opened += 1
            return self.sessions[key]

    def anew(self, session: PilotSession) -> PilotSession:
        """Have a session begin once more with what was known when it was opened, whatever it has taken in since."""
        with self._lock:
            self.sessions[session.key] = PilotSession(self, session.key, session.index, session.known)
            return self.sessions[session.key]

    def close(self, session: PilotSession) -> None:
        """Enter what a session has shown, and forget the session; `PilotSession.end` does this."""
        with self._lock:
            if self.sessions.get(session.key) is session:
                self.ledger.add(session.index, session.sums())
                del self.sessions[session.key]

    def reopen(self, session: PilotSession) -> None:
        """Let a session that ended go on; `PilotSession.observe` does this where its user overrules a stop."""
        with self._lock:
            if session.key in self.sessions:
                raise InputError(f"another session runs under the key {session.key!r} by now")
            self.sessions[session.key] = session

    def to_dict(self) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.pilot/1``, as plain Python values.

        `from_dict` restores a pilot from it that decides the same.
        """
        from trimtab.control.document import pilot_to_dict

        with self._lock:
            return pilot_to_dict(self)

    def to_json(self) -> str:
        """Return `to_dict` as JSON, which holds every number exactly."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_dict(
        cls, document: Mapping[str, Any], *, policy: Policy | None = None, utility: Utility | None = None
    ) -> Pilot:
        """Restore a pilot.

        Parameters
        ----------
        policy, utility
            To be given where the pilot had an object or a function, which no document can hold.

        Raises
        ------
        InputError
            If the document is not that of a pilot.
        """
        from trimtab.control.document import pilot_from_dict

        return pilot_from_dict(document, policy, utility)

    @classmethod
    def from_json(cls, text: str, *, policy: Policy | None = None, utility: Utility | None = None) -> Pilot:
        """Restore a pilot from `to_json`; see `from_dict`."""
        try:
            document = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"a pilot is restored from the JSON that to_json wrote, but this is none: {error}"
            ) from error
        return cls.from_dict(document, policy=policy, utility=utility)


def _several(given: Iterable[T], what: str) -> Iterable[T]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError(f"{what} are given as a list, but got {given!r:.80}")
    return given


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _prior(
    space: ObjectiveSpace,
    strategies: Iterable[str] | None,
    fit: Fit | str | Path | None,
    score_noise: Mapping[str, float] | None,
) -> tuple[Knowledge, tuple[str, ...]]:
    if strategies is not None:
        strategies = named(strategies)
    if fit is None:
        if strategies is None:
            raise InputError("without a fit the pilot needs the names of the strategies to choose from")
        return Knowledge.none(space, strategies, score_noise), ()
    from trimtab.forecasting.sources import loops_of

    loops = loops_of(fit)
    return Knowledge.of_loops(loops, strategies, space=space, score_noise=score_noise), loops.doubts(strategies)
