"""A fit of several agents seen block by block: which agent's scores move whose, and what that does to the speed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core.coupling import agents_of
from trimtab.dynamics.spectrum import eigenvalues, rate
from trimtab.errors import FitError
from trimtab.estimation.bootstrap import normal_interval
from trimtab.estimation.comparison.wald import unit_estimates, zero_test
from trimtab.estimation.coupling.results import Block, CorrelationBlock, Coupling, StrategyCoupling
from trimtab.estimation.estimates import ArrayEstimate, Estimate
from trimtab.estimation.least_squares import coefficients
from trimtab.estimation.moments import Moments, path_sample, session_moments, steps_of
from trimtab.estimation.multiplicity import holm
from trimtab.estimation.results import Fit, StrategyFit

__all__ = ["block_tests", "coupling", "drawn_block_tests"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def coupling(fit: Fit) -> Coupling:
    """Return the blocks of a fit of several agents, whose objectives are named AGENT.NAME (see `trimtab.couple`).

    With A in blocks A_ij, the block by which agent j moves agent i is tested against zero, and p-values are adjusted by
    Holm's method over the ordered pairs of agents. All figures are those of the estimator that the fit trusts: least
    squares takes what two agents share for a whole session, such as a hard task, for coupling, and the state space,
    which the fit then trusts, does not.

    Raises
    ------
    InputError
        If the objectives are not those of two agents or more.
    FitError
        If no strategy's steps identify its dynamics.
    """
    agents = agents_of(fit.space)
    data = fit.trajectories
    strategies, refused = {}, []
    for name, one in fit.strategies.items():
        own = {agent: at[one.active[at]] for agent, at in agents.items()}
        silent = [agent for agent, at in own.items() if not len(at)]
        if not one.identified or silent:
            why = f"the scores of {', '.join(silent)} explain no step" if one.identified else "; ".join(one.warnings)
            refused.append(f"{name}: no blocks: {why}")
            continue
        seen = path_sample(data, data.strategies.index(name))
        moments = session_moments(steps_of(seen, data.strategies.index(name)))
        strategies[name] = _strategy(one, moments, own, fit)
    if not strategies:
        raise FitError("; ".join(refused))
    return Coupling(fit.level, strategies, fit.exclusions, fit.notes, tuple(refused))


def _strategy(one: StrategyFit, moments: Moments, own: Mapping[str, Ints], fit: Fit) -> StrategyCoupling:
    rung, plain = one.rung, block_tests(moments, own)
    tests = plain if rung.name == "least_squares" else drawn_block_tests(rung.A, rung.draws.A, own, one.sessions)
    pairs = [pair for pair in tests if pair[0] != pair[1]]
    adjusted, plain_adjusted = (
        dict(zip(pairs, holm(np.array([p_values[pair] for pair in pairs])), strict=True)) for p_values in (tests, plain)
    )
    blocks = {}
    for (to, of), p in tests.items():
        at = np.ix_(own[to], own[of])
        A, drawn = rung.A[at], rung.draws.A[:, own[to][:, None], own[of]]
        low, high = normal_interval(A, drawn, fit.level, one.sessions)
        scaled = A * moments.scale[own[of]] / moments.scale[own[to]][:, None]
        norm = float(np.linalg.norm(scaled))
        blocks[to, of] = Block(
            to=to,
            of=of,
            A=ArrayEstimate(A, low, high),
            norm=norm,
            p_value=p,
            adjusted_p_value=float(adjusted.get((to, of), np.nan)),
            least_squares_p_value=float(plain_adjusted.get((to, of), np.nan)),
        )
    whole, apart, change = _rates(rung.A, rung.draws.A, own, fit.level, one.sessions)
    return StrategyCoupling(
        name=one.name,
        estimator=rung.name,
        sessions=one.sessions,
        steps=one.steps,
        agents={agent: tuple(fit.space.names[j] for j in at) for agent, at in own.items()},
        blocks=blocks,
        interference=_interference(one, own),
        rate=whole,
        rate_apart=apart,
        rate_change=change,
    )


def block_tests(moments: Moments, own: Mapping[str, Ints]) -> dict[tuple[str, str], float]:
    """Return the p-value of every block of least squares being zero, by (to, of); nan for an agent's own.

    By Hotelling's T2 with the covariance of the jackknife over sessions, see `comparison.wald`.
    """
    chosen = np.sort(np.concatenate([*own.values()]))
    part = moments.part(chosen)
    units = unit_estimates(part) if part.n_sessions > 1 else np.empty((0, 0))
    beta = coefficients(part.total)[0].ravel()
    place = {int(j): k for k, j in enumerate(chosen)}
    found = {}
    for to in own:
        for of in own:
            p = float("nan")
            if to != of and len(units):
                # A_ij is the coefficient of state j in the equation of objective i: row 1 + j, column i of beta.
                at = np.array([(1 + place[int(j)]) * len(chosen) + place[int(i)] for i in own[to] for j in own[of]])
                p = zero_test(beta[at], units[:, at], f"A of {to} on {of}").p_value
            found[to, of] = p
    return found


def drawn_block_tests(A: Floats, drawn: Floats, own: Mapping[str, Ints], sessions: int) -> dict[tuple[str, str], float]:
    """Return the same for another estimator, by Hotelling's T2 with the covariance of its replicates (draws, n, n)."""
    found = {}
    for to, i in own.items():
        for of, j in own.items():
            p, q = float("nan"), len(i) * len(j)
            v, units = A[np.ix_(i, j)].ravel(), drawn[:, i[:, None], j].reshape(-1, q)
            if to != of and len(units) > q + 1 and sessions > q:
                V = np.atleast_2d(np.cov(units, rowvar=False))
                T2 = float(v @ np.linalg.pinv(V, hermitian=True) @ v)
                p = float(scipy.special.fdtrc(q, sessions - q, T2 / q * (sessions - q) / (sessions - 1)))
            found[to, of] = p
    return found


def _rates(
    A: Floats, drawn: Floats, own: Mapping[str, Ints], level: float, sessions: int
) -> tuple[Estimate, Estimate, Estimate]:
    """Return the rate of A, of A without what is between agents, and the difference."""
    chosen = np.concatenate([*own.values()])
    owner = np.concatenate([np.full(len(at), k) for k, at in enumerate(own.values())])
    square = np.ix_(chosen, chosen)
    together = owner[:, None] == owner
    every = np.concatenate([A[square][None], drawn[:, chosen[:, None], chosen]])
    rates = np.stack([rate(eigenvalues(every)), rate(eigenvalues(every * together))])
    figures = np.vstack([rates, rates[0] - rates[1]])
    result = []
    for values in figures:
        low, high = normal_interval(values[0], values[1:], level, sessions)
        result.append(Estimate(float(values[0]), float(low), float(high)))
    return result[0], result[1], result[2]


def _interference(one: StrategyFit, own: Mapping[str, Ints]) -> tuple[CorrelationBlock, ...]:
    """Return interference within agents and between them."""
    found = []
    groups = [(agent,) for agent, at in own.items() if len(at) > 1] + [*combinations(own, 2)]
    for agents in groups:
        i, j = (own[agent] for agent in (agents[0], agents[-1]))
        pairs = [(int(a), int(b)) for a in i for b in j if len(agents) == 2 or a < b]
        values = np.array([float(one.interference[pair]) for pair in pairs])
        if not np.isfinite(values).all():
            continue
        best = pairs[int(np.abs(values).argmax())]
        found.append(
            CorrelationBlock(
                agents=agents,
                size=float(np.sqrt((values**2).mean())),
                strongest=(one.space.names[best[0]], one.space.names[best[1]]),
                correlation=one.interference[best],
                adjusted_p_value=float(one.interference_p_value[best]),
            )
        )
    return tuple(found)
