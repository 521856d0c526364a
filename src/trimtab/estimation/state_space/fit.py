"""Fit the full model: posterior modes of nested models, their weights, and draws from all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.estimation.state_space.implied import implied_interference, steps_by_iteration
from trimtab.estimation.state_space.likelihood import Model
from trimtab.estimation.state_space.moments import KnownNoise, PanelMoments
from trimtab.estimation.state_space.parameters import Layout
from trimtab.estimation.state_space.search import Mode, modes
from trimtab.estimation.threads import single_threaded

__all__ = ["Part", "StateSpaceFit", "fit_state_space"]

Floats = NDArray[np.float64]

_LONGEST = 300  # scores of one run beyond which a factorisation per evaluation takes too long
_DOUBT = 10.0  # the least weight of the fullest model, times sessions; half at 20 of them
_FEW = 20  # sessions at which the normal approximation understates the variance by half


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One of the nested models at its posterior mode.

    Parameters
    ----------
    sessions, tied, noise
        What it allows for: lasting differences between sessions, their correlation with the first state, score noise.
    weight
        Its share of the evidence.
    log_likelihood, parameters
        At the mode; number of parameters.
    A, b, Q, R, U
        As in `StateSpaceFit`; U is the covariance of the session effect.
    """

    sessions: bool
    tied: bool
    noise: bool
    weight: float
    log_likelihood: float
    parameters: int
    converged: bool
    A: Floats
    b: Floats
    Q: Floats
    R: Floats
    U: Floats


@dataclass(frozen=True, slots=True, eq=False)
class StateSpaceFit:
    """The average of the nested models, each weighed by its evidence, and draws from all of them.

    Parameters
    ----------
    A, b
        (n, n) and (n,) drift per unit of time.
    Q, R
        (n, n) innovation covariance of a step and (n,) score-noise variances.
    session_sd
        (n,) standard deviation of a session's own drift u, per unit of time.
    drawn_A, drawn_b, drawn_interference
        (draws, n, n), (draws, n) and (draws, n, n) from the normal approximations at the modes.
    parts
        The models themselves.
    law
        The one of the largest weight, in the units of the moments.
    """

    A: Floats
    b: Floats
    Q: Floats
    R: Floats
    session_sd: Floats
    drawn_A: Floats
    drawn_b: Floats
    drawn_interference: Floats
    parts: tuple[Part, ...]
    law: Model
    converged: bool
    seconds: float

    def weight(self, *, sessions: bool | None = None, noise: bool | None = None) -> float:
        """Return the weight of the models that have, or lack, the given features."""
        return sum(
            part.weight
            for part in self.parts
            if (sessions is None or part.sessions == sessions) and (noise is None or part.noise == noise)
        )

    @property
    def plain_p_value(self) -> float:
        """Smallest p-value of the likelihood-ratio tests of "neither score noise nor lasting differences".

        Against each richer model by chi-squared with as many degrees of freedom as it has more parameters; variances
        at their bound of 0 make that conservative. 0 where repeated judgements show noise of themselves.
        """
        plain = next((part for part in self.parts if not part.noise and not part.sessions), None)
        if plain is None:
            return 0.0
        return min(
            float(scipy.special.chdtrc(part.parameters - plain.parameters, 2 * gain)) if gain > 0 else 1.0
            for part in self.parts
            if part is not plain
            for gain in [part.log_likelihood - plain.log_likelihood]
        )


@single_threaded
def fit_state_space(
    moments: PanelMoments,
    start_A: Floats,
    start_b: Floats,
    start_Q: Floats,
    *,
    dt: float = 1.0,
    draws: int = 2000,
    seed: int = 0,
    key: tuple[str, ...] = (),
    known: KnownNoise | None = None,
) -> StateSpaceFit | None:
    """Fit x_{t+1} = x_t + (A x_t + b + u) dt + w, y = x + v to whole runs; None where they are too short or too long.

    Parameters
    ----------
    moments
        Of the runs; a run needs at least three scored iterations for the model to be more than least squares.
    start_A, start_b, start_Q
        Least-squares estimates in the objectives' own units, where the search starts.
    known
        Repeated judgements; with them the noise is identified by itself and every model allows for it.
    """
    began = time.perf_counter()
    if moments.span < 3 or moments.span * moments.n > _LONGEST or not moments.patterns:
        return None
    layouts = [
        Layout(moments.n, sessions, tied, noise)
        for noise in ((True,) if known is not None else (False, True))
        for sessions, tied in ((False, False), (True, False), (True, True))
    ]
    found = modes(layouts, _start(moments, start_A, start_b, start_Q, dt), moments, known)
    evidence = np.array([mode.evidence for mode in found])
    if not np.isfinite(evidence).any():
        return None
    weights = _weights(evidence, moments.clusters)
    parts = tuple(_part(mode, float(weight), moments, dt) for mode, weight in zip(found, weights, strict=True))
    drawn = _draws(found, weights, moments, dt, draws, seed, key)
    U = sum((part.weight * part.U for part in parts), np.zeros((moments.n, moments.n)))
    return StateSpaceFit(
        A=sum((part.weight * part.A for part in parts), np.zeros_like(start_A)),
        b=sum((part.weight * part.b for part in parts), np.zeros_like(start_b)),
        Q=sum((part.weight * part.Q for part in parts), np.zeros_like(start_Q)),
        R=sum((part.weight * part.R for part in parts), np.zeros_like(start_b)),
        session_sd=np.sqrt(np.diagonal(U)),
        drawn_A=drawn[0],
        drawn_b=drawn[1],
        drawn_interference=drawn[2],
        parts=parts,
        law=found[int(np.argmax(weights))].model,
        converged=all(part.converged for part in parts if part.weight > 0.01),
        seconds=time.perf_counter() - began,
    )


def _weights(evidence: Floats, sessions: int) -> Floats:
    """Return each model's share of the evidence, the last and fullest model's being at least `_DOUBT` / sessions.

    With few sessions the evidence prefers slow dynamics under noise to lasting differences, because these take more
    parameters, even where a test could not reject the latter: what it says is then mostly the prior's.
    """
    weights = np.exp(evidence - evidence[np.isfinite(evidence)].max())
    weights = np.where(np.isfinite(weights), weights, 0.0)
    weights /= weights.sum()
    least = min(0.5, _DOUBT / sessions)
    if np.isfinite(evidence[-1]) and weights[-1] < least:
        weights[:-1] *= (1 - least) / weights[:-1].sum()
        weights[-1] = least
    return weights


def _start(moments: PanelMoments, A: Floats, b: Floats, Q: Floats, dt: float) -> Model:
    """Return least squares in scaled units, with small session effects and a little noise."""
    n, scale, center = moments.n, moments.scale, moments.center
    phi = np.eye(n) + A * dt * scale / scale[:, None]
    c = ((A @ center + b) * dt) / scale
    count = sum(pattern.count for pattern in moments.patterns)
    first = sum((pattern.total[:n] for pattern in moments.patterns), np.zeros(n)) / count
    spread = sum((pattern.outer[:n, :n] for pattern in moments.patterns), np.zeros((n, n))) / count
    ridge = 1e-3 * np.eye(n)
    return Model(
        phi=phi,
        c=c,
        Q=Q / scale[:, None] / scale + ridge,
        P=spread - np.outer(first, first) + ridge,
        U=0.05 * np.eye(n),
        C=np.zeros((n, n)),
        m=first,
        r=np.full(n, 0.05),
    )


def _part(mode: Mode, weight: float, moments: PanelMoments, dt: float) -> Part:
    model, scale = mode.model, moments.scale
    A, b = _drift(model.phi, model.c, moments, dt)
    unit = scale[:, None] * scale
    return Part(
        sessions=mode.layout.sessions,
        tied=mode.layout.tied,
        noise=mode.layout.noise,
        weight=weight,
        log_likelihood=mode.log_likelihood,
        parameters=mode.layout.size,
        converged=mode.converged,
        A=A,
        b=b,
        Q=model.Q * unit,
        R=model.r * scale**2,
        U=model.U * unit / dt**2,
    )


def _drift(phi: Floats, c: Floats, moments: PanelMoments, dt: float) -> tuple[Floats, Floats]:
    """Return A (..., n, n) and b (..., n) in the objectives' own units from Phi and c in scaled ones."""
    scale = moments.scale
    A = (phi - np.eye(moments.n)) * scale[:, None] / scale / dt
    return A, c * scale / dt - (A @ moments.center[:, None])[..., 0]


def _draws(
    found: list[Mode], weights: Floats, moments: PanelMoments, dt: float, draws: int, seed: int, key: tuple[str, ...]
) -> tuple[Floats, Floats, Floats]:
    counts = np.floor(weights * draws).astype(int)
    counts[np.argsort(-(weights * draws - counts), kind="stable")[: draws - counts.sum()]] += 1
    phi, c, together = [], [], []
    steps = steps_by_iteration(moments)
    # Normal approximations ignore how uncertain variances and the weights of the models are, which matters where
    # sessions are few. By simulation (docs/calibration.md), 20 sessions need about twice the variance.
    widening = 1 + (_FEW / moments.clusters) ** 2
    for mode, count in zip(found, counts, strict=True):
        layout = mode.layout
        name = f"sessions={layout.sessions}, tied={layout.tied}, noise={layout.noise}"
        normal = stream(seed, "state space", *key, name).standard_normal((count, layout.size))
        values, vectors = np.linalg.eigh(mode.covariance)
        drawn = mode.vector + normal @ (vectors * np.sqrt(np.maximum(values, 0) * widening)).T
        model = layout.model(np.clip(drawn, *layout.bounds()))
        phi.append(model.phi)
        c.append(model.c)
        together.append(implied_interference(model, steps))
    A, b = _drift(np.concatenate(phi), np.concatenate(c), moments, dt)
    return A, b, np.concatenate(together)
