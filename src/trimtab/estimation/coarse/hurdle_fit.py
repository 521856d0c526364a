"""The fit of a hurdle model: how often steps change nothing, and the affine loop of those that change something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import Steps
from trimtab.dynamics import spectrum
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import normal_interval, robust_interval
from trimtab.estimation.cautions import Design
from trimtab.estimation.coarse.hurdle import MATTERS, UNSEEN, Hurdle, Loop
from trimtab.estimation.coarse.resampling import resampled
from trimtab.estimation.coarse.stays import logistic, session_sums, sessions_p_value, state_p_value
from trimtab.estimation.estimates import ArrayEstimate, Estimate
from trimtab.estimation.memory import memory_p_value
from trimtab.estimation.moments import Moments
from trimtab.estimation.options import Options
from trimtab.estimation.prediction import r_squared
from trimtab.estimation.spectral import NO_MEMORY, SpectralFigures

__all__ = ["Stays", "changed_moments", "hurdle_fit", "stays_fit"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SINGULAR = 1e-12  # determinant, relative to its bound, below which a matrix counts as singular

REGULAR = 0.9
"""Share of bootstrap replicates in which every active objective must vary for intervals to be given."""


@dataclass(frozen=True, slots=True, eq=False)
class Stays:
    """The fitted probability p(x) of standing still.

    Parameters
    ----------
    p_value
        Of the hypothesis that it does not depend on the state.
    u
        (M, k) the states it depends on, in units of their spread; None where it is one number.
    chosen
        (k,) their objectives.
    beta, curvature
        (1 + k,) coefficients of [1, u] and (1 + k, 1 + k) the curvature of the log posterior.
    scores
        (S, 1 + k) sums of (unchanged - p) [1, u] over the steps of each session.
    sessions_p_value
        Of the hypothesis that it is the same in all sessions at the same scores.
    """

    p_value: float
    u: Floats | None
    chosen: Ints
    beta: Floats
    curvature: Floats
    scores: Floats
    sessions_p_value: float


def changed_moments(changed: Moments, moments: Moments) -> Floats:
    """Return the moments of the steps that change something for all sessions of `moments`, (S, 1 + 2n, 1 + 2n)."""
    outer = np.zeros_like(moments.outer)
    outer[np.searchsorted(moments.session, changed.session)] = changed.outer
    return outer


def stays_fit(steps: Steps, unchanged: Bools, moments: Moments, active: Bools) -> Stays:
    """Fit p(x) to `steps`, some but not all of which are `unchanged`.

    Parameters
    ----------
    moments
        Of all steps.
    active
        (n,) the objectives on which p may depend.
    """
    owner, S = np.searchsorted(moments.session, steps.session), moments.n_sessions
    still = unchanged.astype(np.float64)
    chosen = np.flatnonzero(active)
    u = (steps.x[:, chosen] - moments.center[chosen]) / moments.scale[chosen]
    p_value = state_p_value(u, still, owner, S)
    matters = p_value < MATTERS
    X = np.hstack([np.ones((len(steps), 1)), u]) if matters else np.ones((len(steps), 1))
    beta, curvature = logistic(X, still)
    if not matters:
        share = still.mean()
        beta = np.log([share / (1 - share)])
    fitted = scipy.special.expit(X @ beta)
    surprise, weighted = still - fitted, X * (fitted * (1 - fitted))[:, None]
    t = steps.iteration.astype(np.float64)
    lateness = t - X @ np.linalg.lstsq(weighted.T @ X, weighted.T @ t, rcond=None)[0]
    return Stays(
        p_value=p_value,
        u=u if matters else None,
        chosen=chosen if matters else chosen[:0],
        beta=beta,
        curvature=curvature,
        scores=session_sums(surprise[:, None] * X, owner, S),
        sessions_p_value=sessions_p_value(surprise, lateness, owner, S),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Bootstrap replicates: the estimate, which of them are regular, logistic coefficients, and share unchanged."""

    estimate: ls.AffineEstimate
    regular: Bools
    beta: Floats
    share: Floats


def hurdle_fit(
    steps: Steps,
    unchanged: Bools,
    moments: Moments,
    outer_changed: Floats,
    stays: Stays,
    options: Options,
    key: str,
) -> Hurdle:
    """Fit a hurdle model to `steps`, some but not all of which are `unchanged`.

    Intervals come from the bootstrap over sessions, which draws share and drift together; the logistic coefficients
    follow each replicate by one Newton step from the estimate.

    Parameters
    ----------
    moments, outer_changed
        Of all steps, and of those that change something: see `changed_moments`.
    stays
        Fitted to the same steps.
    """
    dt, level = options.dt, options.level
    S, n, center, scale = moments.n_sessions, moments.n, moments.center, moments.scale
    moving = outer_changed[:, 0, 0] > 0
    changed = Moments(outer_changed[moving], moments.session[moving], center, scale)
    design = Design.of(changed)
    chosen, clusters = np.flatnonzero(design.active), changed.n_sessions
    estimate = ls.estimate(changed.total, center, scale, dt, design.active)
    A, b, Q = (v if design.identified else np.full(v.shape, np.nan) for v in (estimate.A, estimate.b, estimate.Q))
    drawn = _replicates(moments, outer_changed, stays, design, options, key) if S > 1 else None
    share = float(unchanged.mean())
    intercept = float(stays.beta[0] - stays.beta[1:] @ (center[stays.chosen] / scale[stays.chosen]))
    slope = np.zeros(n)
    slope[stays.chosen] = stays.beta[1:] / scale[stays.chosen]

    seen = np.stack([np.minimum(steps.x, steps.x + steps.dx).min(0), np.maximum(steps.x, steps.x + steps.dx).max(0)])
    equilibrium = _equilibria(A, b, scale, chosen)
    still = np.asarray(_stays_at(equilibrium, stays.beta, stays.chosen, center, scale, seen))
    lam = spectrum.eigenvalues(A[np.ix_(chosen, chosen)]) if design.identified else np.empty(0, dtype=np.complex128)
    drawn_lam = np.empty((0, len(lam)), dtype=np.complex128)
    drawn_still, drawn_share = np.empty(0), np.empty(0)
    target = ArrayEstimate(equilibrium, np.full(n, np.nan), np.full(n, np.nan))
    if drawn is not None:
        drawn_share = drawn.share
    if drawn is not None and design.identified and drawn.regular.mean() >= REGULAR:
        drawn_A, drawn_b = drawn.estimate.A[drawn.regular], drawn.estimate.b[drawn.regular]
        drawn_lam = spectrum.eigenvalues(drawn_A[:, chosen[:, None], chosen])
        centres = _equilibria(drawn_A, drawn_b, scale, chosen)
        drawn_still = drawn.share[drawn.regular]
        if stays.u is not None:
            drawn_still = _stays_at(centres, drawn.beta[drawn.regular], stays.chosen, center, scale, seen)
        low, high = target.low, target.high
        low[chosen], high[chosen] = robust_interval(equilibrium[chosen], centres[:, chosen], level, clusters)
    memory = memory_p_value(changed.part(chosen)) if design.identified else float("nan")
    owner = np.searchsorted(moments.session, steps.session)
    meet = coincidence(steps.x[~unchanged], (steps.x + steps.dx)[~unchanged], owner[~unchanged])
    at_change = SpectralFigures(lam, drawn_lam, dt, level, clusters)
    moves = 1 - float(still)
    at_iteration = SpectralFigures(moves * lam, (1 - drawn_still)[:, None] * drawn_lam, dt, level, clusters)
    return Hurdle(
        sessions=S,
        steps=len(steps),
        changed_steps=changed.n_steps,
        dt=dt,
        active=design.active,
        identified=design.identified,
        unchanged=_share(share, drawn_share, level, S),
        state_p_value=stays.p_value,
        intercept=intercept,
        slope=slope,
        unchanged_at_equilibrium=_share(float(still), drawn_still, level, S),
        sessions_p_value=stays.sessions_p_value,
        per_change=_loop(at_change, A, b, Q, dynamics=memory < NO_MEMORY and meet <= UNSEEN),
        # Standing still is memory enough.
        per_iteration=_loop(at_iteration, moves * A, moves * b, moves * Q, dynamics=memory >= 0),
        equilibrium=target,
        memory_p_value=memory,
        coincidence=meet,
        r2=r_squared(changed, estimate, None if drawn is None else drawn.estimate, design.active, level, options.seed),
    )


def _replicates(
    moments: Moments, outer_changed: Floats, stays: Stays, design: Design, options: Options, key: str
) -> _Drawn:
    """Resample sessions with all they hold: moments, numbers of steps, and scores of the logistic model."""
    p = outer_changed.shape[-1]
    rows, columns = np.triu_indices(p)
    held = np.hstack([outer_changed[:, rows, columns], moments.outer[:, :1, 0], stays.scores])
    sums = resampled(held, options.draws, stream(options.seed, "coarse", "hurdle", key))
    total = np.empty((len(sums), p, p))
    total[:, rows, columns] = total[:, columns, rows] = sums[:, : len(rows)]
    estimate = ls.estimate(total, moments.center, moments.scale, options.dt, design.active)
    surplus = sums[:, len(rows) + 1 :] - stays.scores.sum(axis=0)
    return _Drawn(
        estimate=estimate,
        regular=np.asarray(estimate.rank == design.active.sum()),
        beta=stays.beta + np.linalg.solve(stays.curvature, surplus.T).T,
        share=np.clip(1 - total[:, 0, 0] / np.maximum(sums[:, len(rows)], 1.0), 0.0, 1.0),
    )


def _equilibria(A: Floats, b: Floats, scale: Floats, chosen: Ints) -> Floats:
    """Return -A^-1 b over the chosen objectives for one or many, (..., n); nan for the others and where A is singular.

    In units of each objective's own spread, so that whether A counts as singular does not depend on units.
    """
    found = np.full(b.shape, np.nan)
    square = A[..., chosen[:, None], chosen] * scale[chosen] / scale[chosen, None]
    if len(chosen) and np.isfinite(square).all():
        # Hadamard's ratio: 1 for orthogonal rows and 0 for dependent ones.
        regular = np.abs(np.linalg.det(square)) > _SINGULAR * np.sqrt((square**2).sum(axis=-1)).prod(axis=-1)
        usable = np.where(regular[..., None, None], square, np.eye(len(chosen)))
        solved = -np.linalg.solve(usable, b[..., chosen, None] / scale[chosen, None])[..., 0] * scale[chosen]
        found[..., chosen] = np.where(regular[..., None], solved, np.nan)
    return found


def _stays_at(x: Floats, beta: Floats, chosen: Ints, center: Floats, scale: Floats, seen: Floats) -> Floats:
    """Return p at states (..., n), each brought to the nearest score seen, for coefficients (..., 1 + k), (...)."""
    u = (np.clip(x[..., chosen], seen[0, chosen], seen[1, chosen]) - center[chosen]) / scale[chosen]
    # An objective that explains no change has no equilibrium; its mean then stands for it.
    u = np.where(np.isnan(u), 0.0, u)
    return np.asarray(scipy.special.expit(beta[..., 0] + (u * beta[..., 1:]).sum(axis=-1)))


def coincidence(origin: Floats, arrival: Floats, owner: Ints) -> float:
    """Return the probability that a row of `origin` equals one of `arrival` (M, n), drawn from another session.

    Parameters
    ----------
    owner
        (M,) session of each row, 0, 1, ... Within a session steps start where others arrive, whatever the scores.
    """
    label = np.zeros(2 * len(origin), dtype=np.int64)
    for column in np.concatenate([origin, arrival]).T:
        # Numbered anew each time, so that no number grows beyond what integers hold.
        values, code = np.unique(column, return_inverse=True)
        _, label = np.unique(label * len(values) + code, return_inverse=True)
    _, within = np.unique(np.tile(owner, 2) * (label.max(initial=0) + 1) + label, return_inverse=True)
    met, pairs = 0.0, float(len(origin)) ** 2 - float((np.bincount(owner).astype(np.float64) ** 2).sum())
    for sign, name in ((1, label), (-1, within)):
        starts, ends = (np.bincount(part, minlength=name.max(initial=0) + 1) for part in np.split(name, 2))
        met += sign * float(starts.astype(np.float64) @ ends)
    return met / pairs if pairs else 0.0


def _loop(figures: SpectralFigures, A: Floats, b: Floats, Q: Floats, *, dynamics: bool) -> Loop:
    known = len(figures.lam) > 0
    return Loop(
        A=A,
        b=b,
        Q=Q,
        eigenvalues=figures.lam,
        rate=figures.interval(spectrum.rate),
        smooth_rate=figures.smooth_rate(),
        spectral_radius=figures.radius(),
        half_life=figures.half_life(),
        period=float(spectrum.period(spectrum.slowest(figures.lam, figures.dt))) if known else float("nan"),
        regime=figures.regime(dynamics=dynamics),
    )


def _share(share: float, drawn: Floats, level: float, sessions: int) -> Estimate:
    if not len(drawn):
        return Estimate(share)
    low, high = normal_interval(np.asarray(share), drawn, level, sessions)
    return Estimate(share, max(float(low), 0.0), min(float(high), 1.0))
