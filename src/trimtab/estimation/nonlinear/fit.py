"""fit_nonlinear(data) -> NonlinearFit: whether the drift bends, and where the loop then leads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.drift_basis import Basis, BasisDrift, Monomials, monomials
from trimtab.errors import FitError, InputError
from trimtab.estimation.audit.clustered import Gain
from trimtab.estimation.audit.finding import AuditOptions, CannotSayError
from trimtab.estimation.audit.sample import Regression, Sample
from trimtab.estimation.cautions import BOUND_SHARE, at_bound, rows_of
from trimtab.estimation.moments import MOST_PATHS, path_sample, stepping_sessions, steps_of
from trimtab.estimation.nonlinear.choice import chosen_drift, compared_drifts
from trimtab.estimation.nonlinear.long_run import followed_points, long_run
from trimtab.estimation.nonlinear.regression import Wide, replicates
from trimtab.estimation.nonlinear.results import Choice, FixedPoint, NonlinearFit, NonlinearStrategy
from trimtab.estimation.options import Options, trajectories_of
from trimtab.estimation.threads import single_threaded

__all__ = ["BASES", "fit_nonlinear"]

Floats = NDArray[np.float64]

BASES: Mapping[str, int] = {"quadratic": 2, "cubic": 3}
"""Names of bases, and the degree of their products."""

_ORBITS = 8  # sessions from whose last states orbits are run
_STILL = 0.5  # share of steps that change nothing from which on it is said


@single_threaded
def fit_nonlinear(
    data: Any,
    *,
    strategy: str | None = None,
    basis: str | Callable[[Floats], Floats] = "quadratic",
    objectives: Any = None,
    box: Mapping[str, tuple[float, float]] | None = None,
    drift: str = "auto",
    level: float = 0.95,
    draws: int = 300,
    seed: int = 0,
) -> NonlinearFit:
    """Fit a drift that may bend, dx_t = Theta' [1, u_t, phi(u_t)] + e_t, and say where it leads.

    u are the states, centred and scaled. Bent and straight drift are compared on sessions that neither has seen, and
    the straight one is kept unless the other is clearly better: unless the interval of its gain lies above 0 and the
    gain is at least 0.01 of the variance of steps. What follows is said of the chosen one: its fixed points, each
    followed through the bootstrap replicates, and its largest Lyapunov exponent. See ``docs/nonlinear.md``.

    Parameters
    ----------
    data
        `Trajectories`, or anything that `trimtab.load` takes: a path, a store URL, a dataframe.
    strategy
        The one strategy to look at; all of them if None.
    basis
        phi: ``"quadratic"`` for all products of two states, ``"cubic"`` for those of three as well, or a function of
        scaled states (..., n) that returns terms (..., p).
    objectives
        Which objectives to look at, by name; for sources other than trajectories also their bounds and directions.
    box
        Where fixed points are looked for: (low, high) by objective. Its bounds where not given, and where these are
        open, the scores seen and half their range beyond.
    drift
        ``"auto"`` lets held-out sessions choose; ``"linear"`` and ``"nonlinear"`` choose at once.
    level
        Coverage of the intervals.
    draws
        Bootstrap replicates, in which whole sessions are drawn.
    seed
        Of the replicates, the folds and the innovations.

    Returns
    -------
    NonlinearFit
        One `NonlinearStrategy` for each strategy whose steps allow a fit.

    Raises
    ------
    FitError
        If no strategy's steps allow a fit.
    InputError
        If an option, the basis or the data cannot be used.

    Examples
    --------
    >>> import numpy as np, trimtab as tt
    >>> rng, x = np.random.default_rng(0), [np.linspace(-1.5, 1.5, 60)]
    >>> for _ in range(10):
    ...     x.append(x[-1] + 0.5 * (x[-1] - x[-1] ** 3) + 0.1 * rng.standard_normal(60))
    >>> paths = tt.Trajectories.from_arrays(np.array(x).T[..., None], ["lean:-2:2"])
    >>> found = tt.fit_nonlinear(paths, basis="cubic")["all"]
    >>> found.chosen, [point.kind for point in found.fixed_points]
    ('nonlinear', ['stable node', 'unstable node', 'stable node'])
    """
    options = Options.checked(1.0, level, draws, seed)
    if not (callable(basis) or basis in BASES):
        raise InputError(f"basis must be {' or '.join(map(repr, BASES))} or a function of states, but got {basis!r}")
    if drift not in ("auto", *get_args(Choice)):
        raise InputError(f"drift must be 'auto', 'linear' or 'nonlinear', but got {drift!r}")
    trajectories = trajectories_of(data, objectives)
    limits = _limits(trajectories, box)
    codes = {name: code for code, name in enumerate(trajectories.strategies) if (trajectories.strategy == code).any()}
    if strategy is not None and strategy not in codes:
        raise InputError(f"no strategy is called {strategy!r}; there are {', '.join(codes)}")
    strategies, refused = {}, []
    for name, code in codes.items():
        if strategy in (None, name):
            try:
                strategies[name] = _fitted(trajectories, code, basis, limits, drift, options)
            except CannotSayError as reason:
                refused.append(f"{name}: no drift can be fitted: {reason}")
    if not strategies:
        raise FitError("; ".join(refused) + ". Give longer or more sessions, or choose fewer objectives")
    many = [name for name in strategies if len(stepping_sessions(trajectories, codes[name])) > MOST_PATHS]
    sampled = [f"{MOST_PATHS:,} sessions each stand for all of {', '.join(many)}."] if many else []
    return NonlinearFit(
        space=trajectories.space,
        basis=basis if isinstance(basis, str) else "own",
        level=options.level,
        draws=options.draws,
        seed=options.seed,
        strategies=strategies,
        exclusions=(*trajectories.exclusions, *trajectories.lost_steps()),
        notes=(*trajectories.notes, *sampled),
        warnings=(*refused, *(f"{name}: {text}" for name, one in strategies.items() for text in one.warnings)),
    )


def _limits(trajectories: Trajectories, box: Mapping[str, tuple[float, float]] | None) -> tuple[Floats, Floats]:
    """Return the stated box (n,), (n,), or the objectives' bounds; infinite where open."""
    space = trajectories.space
    low, high = space.low.copy(), space.high.copy()
    for name, ends in (box or {}).items():
        j = space.index(name)
        try:
            low[j], high[j] = map(float, ends)
        except (TypeError, ValueError):
            raise InputError(f"a box gives (low, high) by objective, but {name!r} has {ends!r}") from None
        if not low[j] < high[j]:
            raise InputError(f"a box needs low < high, but {name!r} has {low[j]:g} and {high[j]:g}")
    return low, high


def _fitted(
    trajectories: Trajectories,
    code: int,
    basis: str | Basis,
    limits: tuple[Floats, Floats],
    drift: str,
    options: Options,
) -> NonlinearStrategy:
    """Fit one strategy; `CannotSayError` where its steps allow no fit."""
    seen = path_sample(trajectories, code)
    sample = Sample(seen, code, steps_of(seen, code), AuditOptions(options.level, options.seed))
    r = sample.regression
    r.several()
    phi = monomials(r.n, BASES[basis]) if isinstance(basis, str) else basis
    wide = Wide.of(r, phi)
    names = tuple(trajectories.space.names[j] for j in sample.chosen)
    if isinstance(phi, Monomials):
        terms, what = phi.names(names), f"{basis} terms"
    else:
        terms, what = tuple(f"term {i + 1}" for i in range(wide.back.shape[0] - 1 - r.n)), "the terms of the basis"
    compared, why_not = compared_drifts(wide, options)
    chosen, says = chosen_drift(drift, compared, why_not, what)
    name = trajectories.strategies[code]
    penalty = compared.penalty if compared is not None else wide.penalties[-1]
    linear, full = replicates(wide, penalty, options.draws, options.seed, name)
    # Without a term that varies there is only one drift.
    theta = linear if chosen == "linear" else full
    believed = BasisDrift(theta, None if chosen == "linear" else phi)
    residual = r.du - BasisDrift(theta[:1], believed.basis)(r.u[None])[0]
    Q = residual.T @ residual / max(r.M - theta.shape[1], 1)
    center, scale = r.moments.center, r.moments.scale
    low, high = _box(r, limits[0][sample.chosen], limits[1][sample.chosen])
    u_low, u_high = (low - center) / scale, (high - center) / scale
    seen_range = r.u.min(axis=0), r.u.max(axis=0)
    points, counts = followed_points(believed, u_low, u_high, seen_range, options.level, r.S)
    values, vectors = np.linalg.eigh(Q)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    orbits = _ends(r)
    runs = [long_run(believed, orbits, u_low, u_high, options.level, r.S, L, options.seed) for L in (None, root)]
    return NonlinearStrategy(
        name=name,
        sessions=r.S,
        steps=r.M,
        objectives=names,
        terms=terms,
        center=center,
        scale=scale,
        theta=full[0],
        theta_linear=linear[0],
        basis=phi,
        penalty=penalty,
        Q=Q * scale * scale[:, None],
        gain=Gain(float("nan"), float("nan"), float("nan")) if compared is None else compared.gain,
        r2_linear=float("nan") if compared is None else compared.linear,
        r2_nonlinear=float("nan") if compared is None else compared.nonlinear,
        chosen=chosen,
        says=says,
        low=low,
        high=high,
        fixed_points=tuple(_in_scores(point, center, scale) for point in points),
        counts=counts,
        long_run=runs[0],
        noisy_long_run=runs[1],
        warnings=_cautions(trajectories, code, r, penalty, chosen),
    )


def _box(r: Regression, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the box with open sides closed half the range of the scores seen beyond them."""
    x = np.vstack([r.steps.x, r.steps.x + r.steps.dx])
    least, most = x.min(axis=0), x.max(axis=0)
    beyond = (most - least) / 2
    return np.where(np.isfinite(low), low, least - beyond), np.where(np.isfinite(high), high, most + beyond)


def _ends(r: Regression) -> Floats:
    """Return the last states of evenly spread sessions, (K, n), scaled."""
    last = np.append(r.starts[1:], r.M) - 1
    last = last[np.unique(np.linspace(0, r.S - 1, min(_ORBITS, r.S)).astype(np.int64))]
    return np.asarray(r.u[last] + r.du[last])


def _in_scores(point: FixedPoint, center: Floats, scale: Floats) -> FixedPoint:
    return replace(
        point,
        point=center + scale * point.point,
        low=center + scale * point.low,
        high=center + scale * point.high,
    )


def _cautions(trajectories: Trajectories, code: int, r: Regression, penalty: float, chosen: Choice) -> tuple[str, ...]:
    """Say what else than a bent drift could look like one, and what the figures rest on."""
    found = []
    edge = np.nan_to_num(at_bound(trajectories, rows_of(trajectories, code)))
    if chosen == "nonlinear" and edge.max() > BOUND_SHARE:
        worst = trajectories.space.names[int(edge.argmax())]
        found.append(
            f"{edge.max():.0%} of the scores of {worst!r} lie at a bound: scores cut off there bend a straight drift"
        )
    still = float((r.steps.dx == 0).all(axis=1).mean())
    if still > _STILL:
        found.append(f"{still:.0%} of the steps change nothing: the drift averages standing still and jumping")
    if chosen == "nonlinear" and penalty > 0:
        found.append(f"{r.S} sessions are few for so many terms, which a ridge of {penalty:g} holds back")
    return tuple(found)
