"""What every question of an audit looks at: one strategy's steps and their regression on where they start."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Steps, Trajectories
from trimtab.estimation import least_squares as ls
from trimtab.estimation.audit.finding import AuditOptions, CannotSayError
from trimtab.estimation.audit.shuffles import Figures, shuffled_figures
from trimtab.estimation.audit.wording import named
from trimtab.estimation.cautions import Design, too_few_steps
from trimtab.estimation.moments import Moments, session_moments

__all__ = ["Regression", "Sample"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_EXACT = 1e-10  # variance of a residual, in units of the state's own, below which it is rounding error


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """The least-squares fit (paper, eq. 5) of the active objectives, with its residuals, step by step.

    Parameters
    ----------
    names
        Of the n objectives in it, as sentences write them.
    steps, moments
        Those of the n objectives.
    u, du
        (M, n) states before the steps and changes, in each objective's own spread.
    Z
        (M, 1 + n): [1, u].
    inverse
        (1 + n, 1 + n): (Z'Z)^-1.
    beta
        (1 + n, n): du = Z beta + residual.
    residual
        (M, n).
    noisy
        Indices of the objectives whose residual is more than rounding error.
    e
        (M, len(noisy)): their residuals, each divided by its root mean square.
    leverage
        (M,) diagonal of Z (Z'Z)^-1 Z'.
    starts
        (S,) first step of each session.
    """

    names: tuple[str, ...]
    steps: Steps
    moments: Moments
    u: Floats
    du: Floats
    Z: Floats
    inverse: Floats
    beta: Floats
    residual: Floats
    noisy: Ints
    e: Floats
    leverage: Floats
    starts: Ints

    @property
    def n(self) -> int:
        """Number of objectives n."""
        return len(self.names)

    @property
    def M(self) -> int:
        """Number of steps M."""
        return len(self.u)

    @property
    def S(self) -> int:
        """Number of sessions S."""
        return len(self.starts)

    @property
    def per_session(self) -> Ints:
        """Number of steps of each session, (S,)."""
        return np.diff(np.append(self.starts, self.M))

    @property
    def owner(self) -> Ints:
        """Position of each step's session among those with a step, (M,)."""
        return np.repeat(np.arange(self.S), self.per_session)

    @property
    def noisy_names(self) -> tuple[str, ...]:
        """Names of the objectives that have a residual."""
        return tuple(self.names[j] for j in self.noisy)

    def summed(self, values: Floats) -> Floats:
        """Return the sums of values (M, ...) over each session's steps, (S, ...)."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))

    def beyond_state(self, W: Floats) -> Floats:
        """Return what is left of the columns of W (M, p) once their regression on [1, u] is taken off.

        Exactly zero where nothing but rounding error is left.
        """
        rest = W - self.Z @ (self.inverse @ (self.Z.T @ W))
        return np.where((rest**2).sum(axis=0) > _EXACT * (W**2).sum(axis=0), rest, 0.0)

    def with_noise(self) -> None:
        """Raise `CannotSayError` unless some objective has a residual."""
        if not len(self.noisy):
            raise CannotSayError("the fit predicts every step exactly, so that there is nothing left to test")

    def several(self) -> None:
        """Raise `CannotSayError` unless there are at least two sessions."""
        if self.S < 2:
            raise CannotSayError("there is only one session, and sessions are what is compared")


@dataclass(frozen=True, eq=False)  # no slots: what is costly is computed once, when first asked for
class Sample:
    """One strategy's steps, where they come from, and how to look at them.

    Parameters
    ----------
    trajectories, code
        Where the steps come from, and the strategy's code there; None for all steps pooled.
    steps
        The strategy's complete steps on all objectives.
    """

    trajectories: Trajectories
    code: int | None
    steps: Steps
    options: AuditOptions

    @cached_property
    def design(self) -> Design:
        """What the steps can identify."""
        return Design.of(session_moments(self.steps))

    @cached_property
    def chosen(self) -> Ints:
        """Indices of the objectives that explain steps; `CannotSayError` where there is none."""
        n, steps = self.steps.x.shape[1], len(self.steps)
        if not steps:
            raise CannotSayError("there is no complete step")
        if not self.design.enough:
            raise CannotSayError(too_few_steps(n, steps))
        if not self.design.identified:
            raise CannotSayError("every step starts from the same scores")
        return np.flatnonzero(self.design.active)

    @cached_property
    def regression(self) -> Regression:
        """The fit of the active objectives; `CannotSayError` where the steps identify none."""
        chosen, all_ = self.chosen, self.steps
        steps = Steps(all_.x[:, chosen], all_.dx[:, chosen], all_.session, all_.strategy, all_.iteration)
        moments = session_moments(steps)
        u, du = (steps.x - moments.center) / moments.scale, steps.dx / moments.scale
        Z = np.hstack([np.ones((len(u), 1)), u])
        beta, _ = ls.coefficients(moments.total)
        inverse = np.linalg.pinv(Z.T @ Z, hermitian=True, rcond=1e-14)
        residual = du - Z @ beta
        size = (residual**2).mean(axis=0)
        noisy = np.flatnonzero(size > _EXACT)
        return Regression(
            names=tuple(named(self.trajectories.space.names[j]) for j in chosen),
            steps=steps,
            moments=moments,
            u=u,
            du=du,
            Z=Z,
            inverse=inverse,
            beta=beta,
            residual=residual,
            noisy=noisy,
            e=residual[:, noisy] / np.sqrt(size[noisy]),
            leverage=np.clip(((Z @ inverse) * Z).sum(axis=1), 0.0, 0.99),
            starts=np.flatnonzero(np.diff(steps.session, prepend=-1) != 0),
        )

    @cached_property
    def shuffled(self) -> Figures:
        """Figures of the fit and of its refits in random order."""
        r = self.regression
        r.with_noise()
        return shuffled_figures(r.steps, r.moments.center, r.moments.scale, self.options.shuffles, self.options.seed)

    @cached_property
    def sessions(self) -> Ints:
        """Indices of the sessions whose last iteration is the strategy's."""
        everyone = np.arange(self.trajectories.n_sessions)
        return everyone if self.code is None else everyone[self.trajectories.session_strategy == self.code]
