"""What is known of a strategy's dynamics while it runs: a conjugate posterior, updated by each step in microseconds."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.streams import KeyPart, stream
from trimtab.core.trajectories import Steps
from trimtab.dynamics import spectrum
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.estimation.conjugate.law import Overdispersion, Parts, StudentT, drawn, excess_surprise, overdispersion
from trimtab.estimation.conjugate.prior import WEIGHT, Evidence, Prior, degrees_of, law_of, number, space_of

__all__ = ["Posterior", "PosteriorDraws", "Prior"]

Floats = NDArray[np.float64]

ACTING = 1.3
"""Widening of the draws from which on the guard says that it acts."""

MEMORY = 0.95
"""Share of the surprise that is carried from one step to the next: a memory of twenty steps."""


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorDraws:
    """Draws of the drift and of what follows from it.

    Parameters
    ----------
    A, b, Q
        (draws, n, n), (draws, n), (draws, n, n).
    eigenvalues
        (draws, n) of A, by decreasing real part.
    dt
        Time between iterations.
    """

    A: Floats
    b: Floats
    Q: Floats
    eigenvalues: NDArray[np.complex128]
    dt: float

    @property
    def rate(self) -> Floats:
        """-max Re(lambda), (draws,)."""
        return spectrum.rate(self.eigenvalues)

    @property
    def smooth_rate(self) -> Floats:
        """-tr(A)/n, (draws,)."""
        return np.asarray(-self.eigenvalues.real.mean(axis=-1))

    @property
    def regimes(self) -> dict[str, float]:
        """Share of the draws in each regime."""
        counts = np.bincount(spectrum.regimes(self.eigenvalues, self.dt), minlength=len(spectrum.REGIMES))
        return dict(zip(spectrum.REGIMES, (counts / counts.sum()).tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Posterior:
    """The posterior of (A, b, Q) in dx_t = (A x_t + b) dt + e_t, e_t ~ N(0, Q), under one strategy.

    It never changes: every method returns a new one, so that threads may share it.

    >>> posterior = Posterior(["quality:0:10"])
    >>> for x, dx in [(4.0, 0.9), (4.9, 0.6), (5.5, 0.2)]:
    ...     posterior = posterior.update([x], [dx], session="s1")
    >>> posterior = posterior.end_session("s1")
    >>> round(posterior.steps), posterior.predictive([5.7]).mean.shape
    (3, (1,))

    Independent steps are what the conjugate law assumes. Where sessions differ in the size of their innovations, or in
    level, it is far too sure of itself. So the scores of whole sessions are compared with what independent steps would
    give, and `draws` are widened accordingly; see `guard` and `warning`. That takes knowing which steps belong to one
    session: name it in `update`, and say when it is over with `end_session`.

    Parameters
    ----------
    objectives
        Their number, for scales from 0 to 10, or the objectives themselves, ``NAME[:LOW:HIGH][:min|max]``.
    prior
        The weak one if None.
    dt
        Time between iterations.
    """

    prior: Prior
    dt: float
    evidence: Evidence
    running: Mapping[str, Floats]
    surprises: tuple[float, float]
    _total: Floats

    def __init__(
        self, objectives: int | ObjectiveSpace | Iterable[str], prior: Prior | None = None, *, dt: float = 1.0
    ) -> None:
        prior = Prior.weak(objectives) if prior is None else prior
        names = space_of(objectives).names
        if len(names) != prior.n or (not isinstance(objectives, int) and names != prior.names):
            raise InputError(
                f"the prior must be of the same objectives, {', '.join(names)}, but is of {', '.join(prior.names)}"
            )
        self._fill(prior, number(dt, "dt", least=0), Evidence.none(prior.n), {}, (0.0, 0.0))

    def __repr__(self) -> str:
        return f"Posterior of {', '.join(self.prior.names)} after {self.steps:g} steps of {self.sessions:g} sessions"

    @property
    def n(self) -> int:
        """Number of objectives."""
        return self.prior.n

    @property
    def steps(self) -> float:
        """Number of steps seen; those half forgotten count half."""
        return float(self.evidence.total[0, 0])

    @property
    def sessions(self) -> float:
        """Number of sessions seen, as `steps`."""
        return self.evidence.sessions

    def update(self, x: ArrayLike, dx: ArrayLike, session: str = "") -> Posterior:
        """Return the posterior after one step.

        Parameters
        ----------
        x, dx
            (n,) state and step change.
        session
            The session it belongs to. A new name starts a new session; many may run at the same time. Each that is not
            ended is kept apart, which costs memory and a little time.

        Raises
        ------
        InputError
            If x or dx is not n finite numbers, or the session no text. Leave out steps that lack a score.
        """
        n = self.n
        try:
            state, change = np.asarray(x, dtype=np.float64), np.asarray(dx, dtype=np.float64)
        except (TypeError, ValueError):
            state = change = np.empty(0)
        w = np.empty(1 + 2 * n)
        if state.shape == change.shape == (n,):
            w[0] = 1.0
            w[1 : 1 + n] = (state - self.prior.center) / self.prior.scale
            w[1 + n :] = change / self.prior.scale
        else:
            w[0] = np.nan
        if not isfinite(w @ w):
            raise InputError(
                f"a step needs {n} finite scores and as many changes, but got x={x!r:.80} and dx={dx!r:.80}"
            )
        if not isinstance(session, str):
            raise InputError(f"a session is named by a text, but got {session!r:.80}")
        product = w[:, None] * w
        own = self.running.get(session)
        excess, variance = excess_surprise(self._total, degrees_of(self._total), w)
        running = {**self.running, session: product[: 1 + n] if own is None else own + product[: 1 + n]}
        surprises = (MEMORY * self.surprises[0] + excess, MEMORY**2 * self.surprises[1] + variance)
        return self.with_sums(self.evidence.with_step(product, own is None), running, surprises)

    def update_many(self, steps: Steps) -> Posterior:
        """Return the posterior after all `steps`, ordered by session, whose sessions are over with them.

        The surprise stays as it is: it speaks of steps that come one by one.
        """
        if steps.x.shape[1] != self.n:
            raise InputError(f"steps of {self.n} objectives are needed, but got {steps.x.shape[1]}")
        if not len(steps):
            return self
        return self.with_sums(self.evidence.with_steps(steps, self.prior))

    def end_session(self, session: str = "") -> Posterior:
        """Return the posterior with `session` over; ``InputError`` if it is not running."""
        if session not in self.running:
            raise InputError(f"no session {session!r} is running; there are {len(self.running)} others")
        others = {name: own for name, own in self.running.items() if name != session}
        return self.with_sums(self.evidence.with_finished(self.running[session][None], self._law), others)

    def forget(self, factor: float) -> Posterior:
        """Return the posterior with the weight of all steps so far multiplied by `factor`, from 0 to 1.

        Applied after every step (or session), 1 / (1 - factor) steps (or sessions) are remembered. The prior is not
        forgotten, so that without news the posterior returns to it (Kulhavy and Zarrop 1993, stabilised forgetting).
        """
        kept = number(factor, "the factor of forgetting")
        if not 0 <= kept <= 1:
            raise InputError(f"forgetting needs a factor from 0 to 1, but got {factor:g}")
        # A session's scores fade as the root, so that their squares, compared with the model's variance, fade alike.
        running = {name: own * kept**0.5 for name, own in self.running.items()}
        return self.with_sums(self.evidence * kept, running)

    def merge(self, other: Posterior) -> Posterior:
        """Return the posterior after the steps of both, which must have started from the same prior.

        A session that runs in both counts as one.
        """
        if self.dt != other.dt or self.prior != other.prior:
            raise InputError("posteriors can be merged only if they share prior, objectives and dt")
        both = self.evidence + other.evidence
        running = dict(self.running)
        for name, own in other.running.items():
            running[name] = running[name] + own if name in running else own
        shared = len(self.running) + len(other.running) - len(running)
        surprises = (self.surprises[0] + other.surprises[0], self.surprises[1] + other.surprises[1])
        return self.with_sums(dataclasses.replace(both, sessions=both.sessions - shared), running, surprises)

    @property
    def mean(self) -> AffineSDE:
        """The model at the posterior mean of A, b and Q."""
        law = self._law
        A, b = self._drift(law.M)
        return AffineSDE(A, b, law.root_Q @ law.root_Q.T * self.prior.scale[:, None] * self.prior.scale, self.dt)

    def predictive(self, x: ArrayLike) -> StudentT:
        """Return the law of the step change after state x (n,): a multivariate t with nu - n + 1 degrees of freedom.

        Its mean is M'z, its scale (1 + z' K^-1 z) Psi / df, with z = [1, u].
        """
        state = np.asarray(x, dtype=np.float64)
        if state.shape != (self.n,) or not np.isfinite(state).all():
            raise InputError(f"a prediction needs {self.n} finite scores, but got {x!r:.80}")
        law, scale = self._law, self.prior.scale
        z = np.concatenate([[1.0], (state - self.prior.center) / scale])
        df = law.dof - self.n + 1
        spread = 1 + float(((z @ law.root_K) ** 2).sum())
        square = law.root_Psi @ law.root_Psi.T * (spread / df)
        return StudentT(np.asarray(z @ law.M * scale), square * scale[:, None] * scale, df)

    def draws(self, count: int = 1000, seed: int = 0, *key: KeyPart) -> PosteriorDraws:
        """Return `count` draws of A, b and Q with their eigenvalues, widened by the guard.

        Parameters
        ----------
        seed, key
            Of the random stream; the same posterior, seed and key give the same draws.
        """
        if not 1 <= operator.index(count) <= 10_000_000:
            raise InputError(f"from 1 to 10,000,000 draws are possible, but got {count}")
        B, Q = drawn(self._law, self.guard, count, stream(seed, "posterior", *key))
        A, b = self._drift(B)
        unit = self.prior.scale[:, None] * self.prior.scale
        return PosteriorDraws(A, b, Q * unit, spectrum.eigenvalues(A), self.dt)

    @property
    def guard(self) -> Overdispersion | None:
        """How much sessions differ beyond the model, and what that does to the draws; None below two sessions."""
        known, law = self.prior.evidence + self.evidence, self._law
        if self.running:
            known = known.with_finished(np.stack([*self.running.values()]), law)
        weak = WEIGHT * np.eye(1 + self.n)
        return overdispersion(law, weak, known.second, known.sessions, known.sizes, known.squares)

    @property
    def warning(self) -> str | None:
        """What a user of the draws should know: that the guard acts, and by how much, or that it cannot."""
        guard = self.guard
        if guard is None:
            return (
                "fewer than two sessions: whether sessions differ more than steps do cannot be seen, and the draws are "
                "as sure as if all steps were independent"
            )
        if guard.widening < ACTING:
            return None
        worst = int(guard.per_objective.argmax())
        return (
            f"sessions differ more than independent steps would: draws are {guard.widening:.1f} times as wide as the "
            f"model alone would have them (scores of {self.prior.names[worst]} vary {guard.per_objective[worst]:.1f} "
            f"times as much as expected, and {guard.effective:.0f} of {guard.sessions:.0f} sessions carry the weight). "
            "Where they differ in level for good, the rate is also too slow, which wider draws do not mend"
        )

    @property
    def surprise(self) -> float:
        """How much less likely recent steps were than the posterior before each of them expected, in deviations.

        With s_t the negative log score of step t less its expectation under the predictive law at that time, and v_t
        its variance (both known exactly), sum m^i s_{t-i} / sqrt(sum m^2i v_{t-i}) with m = .95: about standard normal
        as long as nothing changes and the model holds, somewhat skewed to the right. 0 before the first step. Large
        values say that the dynamics have drifted, or that innovations have heavy tails.
        """
        total, variance = self.surprises
        return total / variance**0.5 if variance > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values, from which `from_dict` restores the same numbers exactly."""
        from trimtab.estimation.conjugate.document import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Posterior:
        """Restore a posterior from `to_dict`; ``InputError`` if the document is not one."""
        from trimtab.estimation.conjugate.document import from_dict

        return from_dict(document)

    def with_sums(
        self,
        evidence: Evidence,
        running: Mapping[str, Floats] | None = None,
        surprises: tuple[float, float] | None = None,
    ) -> Posterior:
        """Return a posterior with other sums; what is not given stays."""
        made = object.__new__(Posterior)
        made._fill(
            self.prior,
            self.dt,
            evidence,
            self.running if running is None else running,
            self.surprises if surprises is None else surprises,
        )
        return made

    @property
    def _law(self) -> Parts:
        return law_of(self._total)

    def _drift(self, B: Floats) -> tuple[Floats, Floats]:
        """Return A (..., n, n) and b (..., n) in the objectives' own units from B (..., k, n)."""
        scale = self.prior.scale
        A = np.swapaxes(B[..., 1:, :], -1, -2) * scale[:, None] / scale / self.dt
        return A, B[..., 0, :] * scale / self.dt - (A @ self.prior.center[:, None])[..., 0]

    def _fill(
        self,
        prior: Prior,
        dt: float,
        evidence: Evidence,
        running: Mapping[str, Floats],
        surprises: tuple[float, float],
    ) -> None:
        put = object.__setattr__
        put(self, "prior", prior)
        put(self, "dt", dt)
        put(self, "evidence", evidence)
        put(self, "running", running)
        put(self, "surprises", surprises)
        put(self, "_total", prior.total + evidence.total)
