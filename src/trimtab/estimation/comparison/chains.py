"""Two Markov chains on the same levels: how often a try succeeds, how soon, and where it leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.streams import stream
from trimtab.estimation.coarse.chain import UNKNOWN, Future
from trimtab.estimation.coarse.resampling import batches
from trimtab.estimation.coarse.states import States
from trimtab.estimation.comparison.inference import Inference, central, deviation, of_draws, of_influence
from trimtab.estimation.comparison.joint import Joint
from trimtab.estimation.comparison.permutation import transition_test
from trimtab.estimation.comparison.results import Row, Stillness
from trimtab.estimation.options import Options

__all__ = ["chain_comparison", "unchanged_row"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_MANY = 20  # states above which eigenvalues of replicates take long
_FEWER_DRAWS = 200


def chain_comparison(
    data: Joint,
    states: States,
    values: Floats,
    absorbing: Bools,
    unchanged: Bools,
    judge: Inference,
    options: Options,
    key: str,
) -> Stillness:
    """Compare the chains of two sides on the joint `states` of their steps.

    Both chains start where the sessions of both sides together take their first step, and are followed for as many
    steps as both sides allow, so that neither starts nor budgets count as differences. Where states end sessions, steps
    beyond those do not count at all: late tries are those of hard tasks, so that the side with the larger budget would
    seem to succeed less often per try (of equal sides with budgets of 4 and 12 and tasks of unequal difficulty, 29% in
    place of 5% were then called different).

    Transition matrices are P_ij = (C_ij + 1/K) / (C_i + 1), as in a fit. Replicates of the counts C come from
    exponential weights on units (Rubin 1981), the same on both sides where units are paired, and those of 1/K are gamma
    variables of that mean.

    Parameters
    ----------
    values
        (K, n) scores in each state of the chain.
    absorbing
        (K,) states that end the chain on both sides.
    unchanged
        (M,) steps that change nothing.
    """
    K, names = len(values), tuple(data.trajectories.space.names[j] for j in states.objectives)
    origin, arrival = states.group[states.origin], states.group[states.arrival]
    live = ~absorbing
    at = _position(data.steps.session)
    horizon = 1 + min(int(at[data.side == side].max()) for side in (0, 1))
    counted = live[origin] & ((at < horizon) | (not absorbing.any()))
    counts = [_counts(data, counted & (data.side == side), side, origin, arrival, K) for side in (0, 1)]
    start = np.bincount(origin[at == 0], minlength=K) * live
    start = start if start.any() else np.bincount(origin, minlength=K) * live
    chains = _Chains(absorbing, Future(absorbing, start / start.sum(), horizon), values)
    totals = [one.sum(axis=0) for one in counts]
    drawn = _replicates(counts, judge.paired, options, key)
    rows = [*chains.rows(judge, [_smoothed(one) for one in totals], drawn, totals, names, options.dt)]
    if live.sum() > 1 or not absorbing.any():
        # Elsewhere a try that changes nothing is one that does not succeed.
        rows.append(unchanged_row(judge, data, unchanged, counted))
    test = transition_test(counts[0], counts[1], paired=judge.paired, seed=options.seed, key=(key,))
    return Stillness(
        "chain",
        tuple(rows),
        test,
        names,
        tuple(map(tuple, values.tolist())),
        tuple(map(bool, absorbing)),
        horizon,
    )


def unchanged_row(judge: Inference, data: Joint, unchanged: Bools, tries: Bools) -> Row:
    """Return the row of the share of `tries` that change nothing, a ratio of sums over units."""
    shares, influences = [], []
    for side in (0, 1):
        at = (data.side == side) & tries
        made = np.bincount(data.unit[at], minlength=data.units[side])
        still = np.bincount(data.unit[at], unchanged[at], minlength=data.units[side])
        shares.append(float(still.sum() / made.sum()))
        influences.append((still - shares[-1] * made) / made.sum())
    return judge.row("unchanged", (), shares[0], shares[1], of_influence(influences[0], influences[1]))


def _position(session: Ints) -> Ints:
    """Return how many steps of its session come before each, (M,), where sessions stand one after the other."""
    first = np.flatnonzero(np.diff(session, prepend=-1))
    return np.asarray(np.arange(len(session)) - np.repeat(first, np.diff(first, append=len(session))))


def _counts(data: Joint, at: Bools, side: int, origin: Ints, arrival: Ints, K: int) -> Floats:
    """Return the chosen steps of each unit of a side, (U, K, K)."""
    counts = np.zeros((data.units[side], K, K))
    np.add.at(counts, (data.unit[at], origin[at], arrival[at]), 1.0)
    return counts


def _smoothed(counts: Floats) -> Floats:
    return np.asarray(counts + 1.0 / counts.shape[-1])


def _replicates(counts: list[Floats], paired: bool, options: Options, key: str) -> list[Floats]:
    """Return replicates of the smoothed counts of both sides, (draws, K, K) each."""
    K = counts[0].shape[-1]
    draws = options.draws if K <= _MANY else min(options.draws, _FEWER_DRAWS)
    found = []
    for side, one in enumerate(counts):
        batch, groups = batches(np.arange(len(one)))
        grouped = np.zeros((groups, K * K))
        np.add.at(grouped, batch, one.reshape(len(one), -1))
        # One stream for both sides gives both the same weights.
        weights = stream(options.seed, "chains", key, "both" if paired else str(side))
        drawn = (weights.standard_exponential((draws, groups)) @ grouped).reshape(draws, K, K)
        prior = stream(options.seed, "chains", key, "cells", str(side))
        found.append(drawn + prior.standard_gamma(1.0 / K, (draws, K, K)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Chains:
    absorbing: Bools
    future: Future
    values: Floats

    def rows(
        self,
        judge: Inference,
        points: list[Floats],
        drawn: list[Floats],
        totals: list[Floats],
        names: tuple[str, ...],
        dt: float,
    ) -> Iterator[Row]:
        """Yield the rows, from smoothed counts (K, K), their replicates (draws, K, K), and counts of both sides."""
        live, ends = ~self.absorbing, bool(self.absorbing.any())
        P, laws = [self._matrices(one) for one in points], [self._matrices(one) for one in drawn]

        def row(figure: str, objectives: tuple[str, ...], values: list[Floats], replicates: list[Floats]) -> Row:
            # Long-run means are ratios, as equilibria are.
            spread = of_draws(replicates[0], replicates[1], central if figure == "long_run" else deviation)
            return judge.row(figure, objectives, float(values[0]), float(values[1]), spread)

        if ends:
            yield row("chance", (), [self._chance(one) for one in points], [self._chance(one) for one in drawn])
        # As in a fit: where many steps arrive in states from which none starts, the long run is unknown.
        blind = [(one.sum(axis=1) == 0) & live for one in totals]
        if any(one[:, dark].sum() > UNKNOWN * one.sum() for one, dark in zip(totals, blind, strict=True)):
            return
        if ends:
            yield row(
                "absorbed", (), [self.future.absorbed(one) for one in P], [self.future.absorbed(one) for one in laws]
            )
        if live.sum() > 1 or not ends:
            speeds = [[(1 - np.abs(self.future.eigenvalues(one)[..., 0])) / dt for one in side] for side in (P, laws)]
            yield row("chain_rate", (), *speeds)
        if not ends:
            means = [[self.future.law(one) @ self.values for one in side] for side in (P, laws)]
            for j, name in enumerate(names):
                yield row("long_run", (name,), *([one[..., j] for one in side] for side in means))

    def _matrices(self, counts: Floats) -> Floats:
        P = counts / counts.sum(axis=-1, keepdims=True)
        P[..., self.absorbing, :] = np.eye(len(self.absorbing))[self.absorbing]
        return np.asarray(P)

    def _chance(self, counts: Floats) -> Floats:
        """Return the share of the steps from live states that end the chain."""
        tries = counts[..., ~self.absorbing, :]
        return np.asarray(tries[..., self.absorbing].sum(axis=(-2, -1)) / tries.sum(axis=(-2, -1)))
