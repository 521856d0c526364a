"""A Markov chain on the levels of the scores: speed, equilibrium, absorption, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.core.streams import stream
from trimtab.core.trajectories import Steps
from trimtab.dynamics import spectrum
from trimtab.dynamics.spectrum import REGIMES
from trimtab.errors import InputError
from trimtab.estimation.coarse.resampling import batches
from trimtab.estimation.coarse.states import States
from trimtab.estimation.coarse.stays import sessions_p_value
from trimtab.estimation.estimates import ArrayEstimate, Estimate, RegimeEstimate
from trimtab.estimation.options import Options
from trimtab.estimation.spectral import AGREEMENT

__all__ = ["Chain", "Future", "chain_fit", "smoothed"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Complexes = NDArray[np.complex128]

UNKNOWN = 0.05
"""Share of the steps that may arrive where no step starts before the chain's long run counts as unknown."""

_DRAWS = 500
_FEWER_DRAWS = 100  # above this many states, whose eigenvalues take long
_SMALL = 20


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Chain:
    """A Markov chain on K joint states of m objectives.

    Parameters
    ----------
    objectives
        Names of the objectives.
    values
        (K, m) their scores in each state; where rare states are lumped, the last holds their mean.
    seen, group
        (L, m) all joint scores seen, and (L,) the state to which each belongs.
    counts, P
        (K, K) steps from state i (row) to j, and the transition matrix, see `smoothed`.
    absorbing
        (K,) states that are not left: `by_design`, because sessions end on reaching them, or never left as far as the
        data go. Their rows of P are those of the identity.
    by_design
        (K,) the former.
    identified
        False where many steps arrive in states from which none starts, so that the long run is unknown: the figures
        from `eigenvalues` to `expected_steps` are then nan.
    eigenvalues
        Multipliers of the chain without the 1 of its long run, by decreasing modulus; with absorbing states, those of
        the transitions among the others.
    rate
        (1 - abs(lambda_2)) / dt: with absorbing states, the chance per unit of time that a session which has been going
        for long is absorbed.
    half_life, period
        Iterations until the slowest deviation halves, and per turn of its complex eigenvalue.
    regime
        As of any loop with these multipliers.
    law
        (K,) stationary law; with absorbing states, where sessions end.
    equilibrium
        Mean scores under `law`, (m,).
    going
        (K,) quasi-stationary law: where sessions are that have been going for long. All 0 without absorbing states.
    horizon
        Steps of the longest session.
    absorbed, expected_steps
        Probability that a session is absorbed within the horizon, and expected steps until it is, from where sessions
        took their first step. nan without absorbing states.
    reached
        Share of the sessions with a first step elsewhere that were absorbed. It is less than `absorbed` where sessions
        were cut short, and differs from it where the chain does not fit.
    sessions_p_value
        Of the hypothesis that sessions in the same state do not differ in their chance of being absorbed (without
        absorbing states: of moving). Where it is small, rates and expected steps are averages that fit no session.
    """

    objectives: tuple[str, ...]
    values: Floats
    seen: Floats
    group: Ints
    counts: Floats
    P: Floats
    absorbing: Bools
    by_design: Bools
    identified: bool
    eigenvalues: Complexes
    rate: Estimate
    half_life: Estimate
    period: float
    regime: RegimeEstimate
    law: Floats
    equilibrium: ArrayEstimate
    going: Floats
    horizon: int
    absorbed: Estimate
    expected_steps: Estimate
    reached: float
    sessions_p_value: float

    def __repr__(self) -> str:
        return f"Chain({', '.join(self.objectives)}; {len(self.values)} states, rate={self.rate!s})"

    def state(self, scores: ArrayLike) -> int:
        """Return the state with these scores (m,); ``InputError`` where no step was there."""
        given = np.asarray(scores, dtype=np.float64)
        if given.shape != (len(self.objectives),) or not np.isfinite(given).all():
            raise InputError(f"a state needs one score for each of {', '.join(self.objectives)}, but got {scores!r}")
        off = (np.abs(self.seen - given) / np.ptp(self.seen, axis=0)).max(axis=1)
        if off.min() > 1e-6:
            raise InputError(f"no step visits the scores {given.tolist()}; visited are {self.seen.tolist()}")
        return int(self.group[off.argmin()])

    def forecast(self, scores: ArrayLike, steps: int) -> tuple[Floats, Floats]:
        """Return the law (steps + 1, K) and the mean scores (steps + 1, m) 0..steps iterations after `scores` (m,).

        pi_{k+1} = pi_k P from certainty about the present state.
        """
        if steps < 0:
            raise InputError(f"a forecast needs steps >= 0, but got {steps}")
        law = np.zeros((steps + 1, len(self.values)))
        law[0, self.state(scores)] = 1.0
        for k in range(steps):
            law[k + 1] = law[k] @ self.P
        return law, law @ self.values


def smoothed(counts: Floats) -> Floats:
    """Return transition matrices (..., K, K) from counts (..., K, K): P_ij = (C_ij + 1/K) / (C_i + 1).

    That is the posterior mean under a Dirichlet prior with the weight of one step in all (Perks 1947).
    """
    P = counts + 1.0 / counts.shape[-1]
    return np.asarray(P / P.sum(axis=-1, keepdims=True))


def chain_fit(states: States, steps: Steps, names: tuple[str, ...], options: Options, key: str) -> Chain:
    """Fit a Markov chain to `steps`.

    Intervals are the central ones of draws from the Bayesian bootstrap over sessions (Rubin 1981): each session counts
    with an exponential weight, and each cell with a gamma weight of mean 1/K. Where every session holds one
    step, these are draws from the Dirichlet posterior itself.

    Parameters
    ----------
    states
        Of these steps.
    names
        Of all n objectives.
    """
    K, level = states.groups, options.level
    origin, arrival = states.group[states.origin], states.group[states.arrival]
    counts = np.zeros((K, K))
    np.add.at(counts, (origin, arrival), 1.0)
    values = _values(states)
    absorbing = states.by_design | states.never_left
    live = np.flatnonzero(~absorbing)
    blind = (counts.sum(axis=1) == 0) & ~absorbing
    identified = counts[:, blind].sum() <= UNKNOWN * len(steps)
    P = smoothed(counts)
    P[absorbing] = np.eye(K)[absorbing]
    horizon = int(np.bincount(steps.session).max())
    future = Future(absorbing, _start(origin, steps.session, live, K), horizon)
    drawn = _drawn(origin, arrival, steps, absorbing, options, key)
    unless = 1.0 if identified else np.nan
    tails = (0.5 - level / 2, 0.5 + level / 2)
    lam = future.eigenvalues(P) if identified else np.empty(0, dtype=np.complex128)
    modulus = np.abs(lam[0]) if identified else np.nan
    moduli = np.abs(future.eigenvalues(drawn))[:, 0] * unless
    slow, slow_low, slow_high = modulus, *_tails(moduli, tails)
    law, laws = future.law(P) * unless, future.law(drawn) * unless
    return Chain(
        objectives=tuple(names[j] for j in states.objectives),
        values=values,
        seen=states.values,
        group=states.group,
        counts=counts,
        P=P,
        absorbing=absorbing,
        by_design=states.by_design,
        identified=bool(identified),
        eigenvalues=lam,
        rate=Estimate(*((1 - r) / options.dt for r in (slow, slow_high, slow_low))),
        half_life=Estimate(*(float(spectrum.half_life(np.asarray(r))) for r in (slow, slow_low, slow_high))),
        period=float(spectrum.period(spectrum.slowest(lam - 1))) if identified else float("nan"),
        regime=_regime(lam, future.eigenvalues(drawn)) if identified else RegimeEstimate("undetermined", {}),
        law=law,
        equilibrium=ArrayEstimate(law @ values, *_tails(laws @ values, tails)),
        going=future.going(P) * unless,
        horizon=horizon,
        absorbed=Estimate(float(future.absorbed(P)) * unless, *_tails(future.absorbed(drawn) * unless, tails)),
        expected_steps=Estimate(float(future.expected(P)) * unless, *_tails(future.expected(drawn) * unless, tails)),
        reached=_reached(origin, arrival, absorbing, steps.session),
        sessions_p_value=_sessions(origin, arrival, absorbing, counts, steps),
    )


def _reached(origin: Ints, arrival: Ints, absorbing: Bools, session: Ints) -> float:
    """Return the share of the sessions whose first step starts elsewhere that arrive in an absorbing state."""
    _, first, owner = np.unique(session, return_index=True, return_inverse=True)
    outside = ~absorbing[origin[first]]
    if not absorbing.any() or not outside.any():
        return float("nan")
    arrived = np.bincount(owner, weights=absorbing[arrival]) > 0
    return float(arrived[outside].mean())


@dataclass(frozen=True, slots=True)
class Future:
    """What transition matrices (..., K, K) lead to, for a given set of absorbing states (K,).

    With T the transitions among the others and R those into absorbing states, N = (I - T)^-1 is the fundamental matrix
    (Kemeny & Snell 1960): N 1 are the expected steps, N R the probabilities of where a session ends.
    """

    absorbing: Bools
    start: Floats
    horizon: int

    def _live(self, P: Floats) -> Floats:
        live = np.flatnonzero(~self.absorbing)
        return np.asarray(P[..., live[:, None], live])

    def eigenvalues(self, P: Floats) -> Complexes:
        """Return the multipliers other than the 1 of the long run, by decreasing modulus."""
        if self.absorbing.any():
            lam = np.linalg.eigvals(self._live(P)).astype(np.complex128)
        else:
            # P - 1 a' has the eigenvalues of P but 0 in place of 1, for any law a (Wielandt's deflation).
            lam = np.linalg.eigvals(P - 1.0 / P.shape[-1]).astype(np.complex128)
        order = np.argsort(-np.abs(lam), axis=-1)
        lam = np.take_along_axis(lam, order, axis=-1)
        return lam if self.absorbing.any() else lam[..., :-1]

    def _visits(self, P: Floats) -> Floats:
        """Return the expected visits start' N, (..., live)."""
        T = self._live(P)
        start = np.broadcast_to(self.start[~self.absorbing], T.shape[:-1])
        return np.asarray(np.linalg.solve(np.swapaxes(np.eye(T.shape[-1]) - T, -1, -2), start[..., None])[..., 0])

    def law(self, P: Floats) -> Floats:
        """Return the stationary law, or where sessions end, (..., K)."""
        if self.absorbing.any():
            into = P[..., ~self.absorbing, :] * self.absorbing
            return np.asarray((self._visits(P)[..., None, :] @ into)[..., 0, :])
        K = P.shape[-1]
        system = np.swapaxes(np.eye(K) - P + 1.0, -1, -2)
        return np.asarray(np.linalg.solve(system, np.ones((*P.shape[:-1], 1)))[..., 0])

    def going(self, P: Floats) -> Floats:
        """Return the quasi-stationary law of one matrix: the left eigenvector of T that belongs to its largest root."""
        law = np.zeros(len(self.absorbing))
        if self.absorbing.any():
            lam, vectors = np.linalg.eig(self._live(P).T)
            leading = np.abs(vectors[:, lam.real.argmax()].real)
            law[~self.absorbing] = leading / leading.sum()
        return law

    def absorbed(self, P: Floats) -> Floats:
        """Return the probability of being absorbed within the horizon, (...)."""
        if not self.absorbing.any():
            return np.full(P.shape[:-2], np.nan)
        T = self._live(P)
        left = self.start[~self.absorbing] @ np.linalg.matrix_power(T, self.horizon)
        return np.asarray(1.0 - left.sum(axis=-1))

    def expected(self, P: Floats) -> Floats:
        """Return the expected steps until absorption, (...)."""
        return self._visits(P).sum(axis=-1) if self.absorbing.any() else np.full(P.shape[:-2], np.nan)


def _values(states: States) -> Floats:
    """Return the scores of the chain's states, (G, m): the mean over the visits of those lumped."""
    visits = np.bincount(np.concatenate([states.origin, states.arrival]), minlength=len(states.values)).astype(float)
    total = np.bincount(states.group, visits)
    summed = np.stack([np.bincount(states.group, visits * column) for column in states.values.T], axis=1)
    return np.asarray(summed / total[:, None])


def _start(origin: Ints, session: Ints, live: Ints, states: int) -> Floats:
    """Return the law of the states in which sessions take their first step, absorbing ones left out, (K,)."""
    first = np.concatenate([[True], np.diff(session) != 0])
    law = np.zeros(states)
    for counted in (origin[first], origin):
        law[live] = np.bincount(counted, minlength=states)[live]
        if law.sum():
            break
    return np.asarray(law / law.sum())


def _drawn(origin: Ints, arrival: Ints, steps: Steps, absorbing: Bools, options: Options, key: str) -> Floats:
    """Return draws of the transition matrix, (draws, K, K)."""
    K = len(absorbing)
    draws = min(options.draws, _DRAWS if K <= _SMALL else _FEWER_DRAWS)
    rng = stream(options.seed, "coarse", "chain", key)
    used, transition = np.unique(origin * K + arrival, return_inverse=True)
    _, owner = np.unique(steps.session, return_inverse=True)
    batch, count = batches(owner)
    counts = np.bincount(batch * len(used) + transition, minlength=count * len(used)).reshape(count, -1)
    P = np.zeros((draws, K * K))
    P[:, used] = rng.standard_exponential((draws, count)) @ counts.astype(np.float64)
    P = P.reshape(draws, K, K) + rng.standard_gamma(1.0 / K, (draws, K, K))
    total = P.sum(axis=-1, keepdims=True)
    # A row of tiny pseudo-counts alone can underflow to 0 throughout.
    P = np.where(total > 0, P / np.where(total > 0, total, 1.0), 1.0 / K)
    P[:, absorbing] = np.eye(K)[absorbing]
    return np.asarray(P)


def _sessions(origin: Ints, arrival: Ints, absorbing: Bools, counts: Floats, steps: Steps) -> float:
    """Test whether sessions differ in their chance to be absorbed, or without absorbing states to move."""
    if absorbing.any():
        event, mass = absorbing[arrival], counts[:, absorbing].sum(axis=1)
    else:
        event, mass = arrival != origin, counts.sum(axis=1) - np.diagonal(counts)
    tried = np.maximum(counts.sum(axis=1), 1.0)
    late = steps.iteration - (np.bincount(origin, steps.iteration, len(counts)) / tried)[origin]
    _, owner = np.unique(steps.session, return_inverse=True)
    return sessions_p_value(event - (mass / tried)[origin], late, owner.astype(np.int64), int(owner.max()) + 1)


def _tails(values: Floats, tails: tuple[float, float]) -> Floats:
    """Return the lower and upper quantile of draws (draws, ...), (2, ...); nan where any draw is."""
    low = np.quantile(values, tails[0], axis=0, method="lower")
    return np.stack([low, np.quantile(values, tails[1], axis=0, method="higher")])


def _regime(lam: Complexes, drawn: Complexes) -> RegimeEstimate:
    """Return the share of draws in each regime, and the name of the fitted one where enough agree."""
    shares = np.bincount(spectrum.regimes(drawn - 1), minlength=len(REGIMES)) / len(drawn)
    best = int(spectrum.regimes(lam - 1))
    return RegimeEstimate(
        REGIMES[best] if shares[best] >= AGREEMENT else "undetermined", dict(zip(REGIMES, shares.tolist(), strict=True))
    )
