"""pool(data, group) -> Pooling: one drift for a population of tasks or models, and each one's own, shrunken to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.counting import are, count_of
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Exclusion, Steps, Trajectories
from trimtab.errors import FitError, InputError
from trimtab.estimation.cautions import Design, too_few_steps
from trimtab.estimation.estimates import ArrayEstimate
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.options import Options, trajectories_of
from trimtab.estimation.pooling.choice import DIFFERENT, Choice, choose
from trimtab.estimation.pooling.groups import (
    Heterogeneity,
    heterogeneity,
    labels_of,
    mean_starts,
    merged,
)
from trimtab.estimation.pooling.population import Population
from trimtab.estimation.pooling.results import GroupFit, Pooling, StrategyPooling, Varying
from trimtab.estimation.threads import single_threaded

__all__ = ["Pooling", "pool"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@single_threaded
def pool(
    data: Any,
    group: str,
    *,
    strategy: str | None = None,
    varies: Varying | None = None,
    objectives: Any = None,
    dt: float = 1.0,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Pooling:
    """Fit the drift of a population of groups, and of each group shrunken towards it, by maximum likelihood.

    Within one strategy, group g has the drift dx_t = (A_g x_t + b_g) dt + e_t with coefficients drawn from
    N((A, b), Omega) and one covariance Q of e for all. b differs freely between groups (``"levels"``); A too, each
    entry independently, where that has the smaller BIC (``"levels and A"``). Where there are groups enough, a group's
    level also depends on its mean start, as where tasks that start well end well; without that term the dependence
    would bias A (Mundlak, 1978, Econometrica 46). See `mixed_model` for the likelihood.

    Unlike the fit of all steps, the mean drift does not take lasting differences between groups for slow dynamics, and
    groups of a few sessions borrow strength from the others.

    Parameters
    ----------
    data
        `Trajectories` or anything that `trimtab.load` takes.
    group
        A column with labels of sessions, such as ``"task_id"`` or ``"model"``, or ``"session_id"``.
    strategy
        Pool the steps under this strategy only.
    varies
        What differs between groups; chosen by BIC if None.
    objectives, dt, level, draws, seed
        As in `trimtab.fit`.

    Raises
    ------
    FitError
        If there are too few groups or steps.
    InputError
        If there is no such column or strategy, or an option makes no sense.
    """
    options = Options.checked(dt, level, draws, seed)
    if varies not in (None, "levels", "levels and A"):
        raise InputError(f"varies must be 'levels' or 'levels and A', but got {varies!r}")
    trajectories = trajectories_of(data, objectives, group)
    labels = labels_of(trajectories, group)
    steps = trajectories.steps()
    if strategy is not None and strategy not in trajectories.strategies:
        raise InputError(f"no strategy is called {strategy!r}; there are {', '.join(trajectories.strategies)}")
    wanted = [
        code
        for code, name in enumerate(trajectories.strategies)
        if (name == strategy if strategy is not None else (steps.strategy == code).any())
    ]
    found: dict[str, StrategyPooling] = {}
    failed: list[str] = []
    for code in wanted:
        name = trajectories.strategies[code]
        try:
            found[name] = _pooled(
                trajectories, steps.where(steps.strategy == code), name, group, labels, varies, options
            )
        except FitError as error:
            if len(wanted) == 1:
                raise
            failed.append(f"{name}: {error}")
    if not found:
        reasons = "; ".join(failed) or "; ".join(map(str, (*trajectories.lost_steps(), *trajectories.exclusions)))
        raise FitError(f"no strategy can be pooled over {group}. {reasons or 'There is no complete step'}")
    nameless = sum(not label for label in labels)
    lost = (Exclusion(f"without a {group}, and left out", nameless, "sessions"),) if nameless else ()
    return Pooling(
        space=trajectories.space,
        group=group,
        dt=options.dt,
        level=options.level,
        seed=options.seed,
        strategies=found,
        warnings=(
            *failed,
            *(f"{name}: {text}" if len(found) > 1 else text for name, one in found.items() for text in one.warnings),
        ),
        exclusions=(*trajectories.exclusions, *trajectories.lost_steps(), *lost),
        notes=trajectories.notes,
    )


def _pooled(
    trajectories: Trajectories,
    steps: Steps,
    name: str,
    column: str,
    labels: tuple[str, ...],
    varies: Varying | None,
    options: Options,
) -> StrategyPooling:
    has_label = np.array([bool(label) for label in labels], dtype=bool)
    labelled = steps.where(has_label[steps.session])
    if len(steps) and not len(labelled):
        raise FitError(f"no session with a step under {name!r} has a {column}")
    steps = labelled
    moments = session_moments(steps)
    names = [*dict.fromkeys(labels[s] for s in moments.session.tolist())]
    index = {label: g for g, label in enumerate(names)}
    group = np.array([index[labels[s]] for s in moments.session.tolist()], dtype=np.int64)
    design = Design.of(moments)
    active = np.flatnonzero(design.active)
    _check(moments, design, len(names), column, name)
    steps = Steps(steps.x[:, active], steps.dx[:, active], steps.session, steps.strategy, steps.iteration)
    own = moments.part(active)
    by_group = merged(own, group, len(names))
    between_groups = heterogeneity(own, group, len(names), options.seed)
    choice = choose(own, group, by_group, mean_starts(steps, group, len(names), own), varies)
    population = Population(by_group, choice.starts, choice.fit, options.dt, options.level, options.draws, options.seed)
    sessions = np.bincount(group, minlength=len(names)).tolist()
    members = [replace(one, equilibrium=_wide(one.equilibrium, design)) for one in population.members(names, sessions)]
    A, b, Q = population.drift()
    between = population.between()
    rate, smooth_rate = population.rates()
    return StrategyPooling(
        name=name,
        group=column,
        space=trajectories.space,
        level=options.level,
        dt=options.dt,
        sessions=own.n_sessions,
        steps=own.n_steps,
        varies=choice.varies,
        bic=choice.bic,
        A=A,
        b=b,
        Q=Q,
        active=design.active,
        rate=rate,
        smooth_rate=smooth_rate,
        equilibrium=_wide(population.equilibrium(), design),
        plain_rate=population.plain_rate(),
        groups=tuple(sorted(members, key=lambda one: -one.distance)),
        between=replace(
            between, drift=_spread_out(between.drift, design), equilibrium=_spread_out(between.equilibrium, design)
        ),
        heterogeneity=between_groups,
        within_p_value=choice.within_p_value,
        starts=bool(choice.starts.shape[1]),
        warnings=(
            *_cautions(trajectories, design, len(names), column, choice, between_groups),
            *(_beyond(trajectories.space, members) if rate.low > 0 else ()),
        ),
    )


def _spread_out(values: Floats, design: Design) -> Floats:
    """Return values of the active objectives (n,) in their places among all, nan elsewhere."""
    found = np.full(len(design.active), np.nan)
    found[design.active] = values
    return found


def _wide(values: ArrayEstimate, design: Design) -> ArrayEstimate:
    return ArrayEstimate(*(_spread_out(one, design) for one in (values.estimate, values.low, values.high)))


def _check(moments: Moments, design: Design, groups: int, column: str, name: str) -> None:
    if not design.identified:
        raise FitError(
            f"the steps under {name!r} cannot identify the dynamics: "
            + too_few_steps(moments.n, moments.n_steps, "complete steps from different scores")
        )
    n = int(design.active.sum())
    if groups < n + 3:
        raise FitError(
            f"pooling {count_of(n, 'objective')} needs at least {n + 3} groups, but {column} has {groups} with steps "
            f"under {name!r}; choose fewer objectives with --objective, or compare groups by "
            f"`trimtab compare SOURCE --between {column}=A,B`"
        )
    needed = groups + 2 * n + 2
    if moments.n_steps < needed:
        raise FitError(
            f"pooling {count_of(groups, 'group')} by {column} needs at least {needed} complete steps under {name!r}, "
            f"but there {are(moments.n_steps)}: with one step a group, its level cannot be told from chance"
        )


def _cautions(
    trajectories: Trajectories,
    design: Design,
    groups: int,
    column: str,
    choice: Choice,
    between_groups: Heterogeneity,
) -> list[str]:
    found = []
    left_out = [name for name, kept in zip(trajectories.space.names, design.active, strict=True) if not kept]
    if left_out:
        found.append(
            "the same at the start of every step, or exact combinations of others, and left out of the dynamics: "
            + ", ".join(left_out)
        )
    if choice.within_p_value < DIFFERENT:
        too = " as well" if between_groups.p_value < DIFFERENT else ""
        found.append(
            f"sessions of one {column} differ in level for good{too}: the rate is too slow; group by session_id to "
            "take that out too"
        )
    if groups < 20:
        found.append(f"only {groups} groups: how much they differ is known roughly")
    return found


def _beyond(space: ObjectiveSpace, members: list[GroupFit]) -> list[str]:
    """Warn of equilibria more than a tenth of the scale beyond its ends."""
    low, high = np.array([(o.low, o.high) for o in space]).T
    slack = np.where(np.isfinite(high - low), (high - low) / 10, 0.0)
    target = np.array([one.equilibrium.estimate for one in members])
    outside = (target < low - slack) | (target > high + slack)
    if not outside.any():
        return []
    names = ", ".join(name for name, one in zip(space.names, outside.any(axis=0), strict=True) if one)
    return [
        f"equilibria of {int(outside.any(axis=1).sum())} of {len(members)} groups lie beyond the scale of {names}: "
        "their sessions end or come to a stop at its end, which an affine drift does not know of"
    ]
