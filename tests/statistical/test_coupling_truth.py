"""Who moves whom, where that is known: shares of simulated experiments, with exact bounds."""

from __future__ import annotations

import numpy as np
import scipy.stats

import trimtab as tt
from support.agents import sharing, writer_and_critic
from trimtab.core.trajectories import Steps
from trimtab.estimation.coupling.blocks import block_tests
from trimtab.estimation.moments import session_moments
from trimtab.estimation.multiplicity import holm

OWN = {"writer": np.array([0, 1]), "critic": np.array([2, 3])}
EXPERIMENTS = 100


def adjusted(seed: int, **options) -> np.ndarray:
    """Return the adjusted p-values of writer <- critic and critic <- writer."""
    found = block_tests(session_moments(writer_and_critic(seed, **options).steps()), OWN)
    return holm(np.array([found["writer", "critic"], found["critic", "writer"]]))


def least(share: float, experiments: int = EXPERIMENTS) -> int:
    return int(scipy.stats.binom.ppf(1e-6, experiments, share))


def test_a_one_way_coupling_is_found_one_way() -> None:
    p = np.array([adjusted(seed) for seed in range(EXPERIMENTS)])
    assert (p[:, 0] < 0.05).sum() >= least(0.99)
    assert (p[:, 1] >= 0.05).sum() >= least(0.95)
    assert (p[:, 1] < 0.05).any()  # a test that never rejects is none


def test_with_few_sessions_the_other_way_is_called_zero_as_often() -> None:
    p = np.array([adjusted(seed, sessions=25, steps=6) for seed in range(EXPERIMENTS)])
    assert (p[:, 1] >= 0.05).sum() >= least(0.95)


def test_agents_paired_at_random_are_not_coupled() -> None:
    p = np.array([adjusted(seed, shuffled=True) for seed in range(EXPERIMENTS)])
    assert (p >= 0.05).all(axis=1).sum() >= least(0.95)


def test_what_sessions_share_for_good_is_coupling_to_least_squares_alone() -> None:
    found = [tt.fit(sharing(seed), draws=200).coupling()["all"].between for seed in range(16)]
    trusted = sum(min(block.adjusted_p_value for block in blocks) < 0.05 for blocks in found)
    plain = sum(min(block.least_squares_p_value for block in blocks) < 0.05 for blocks in found)
    assert trusted <= 16 - least(0.95, 16)
    assert plain >= 14


def test_rows_taken_for_sessions_would_find_couplings_that_are_not_there() -> None:
    """The planted fault: one agent leans its own way for a whole session, of which the other's level knows nothing."""
    rejected = np.zeros(2)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        writer = 5 + rng.normal(0, 0.5, (40, 1)) * np.arange(17) + 0.1 * rng.standard_normal((40, 17))
        writer -= writer.mean(axis=1, keepdims=True)  # its own level tells nothing of its lean
        critic = rng.normal(0, 1, (40, 1)) + 0.1 * rng.standard_normal((40, 17))
        x = np.stack([writer, critic], axis=2)
        ends = x[:, :-1].reshape(-1, 2), np.diff(x, axis=1).reshape(-1, 2)
        zero = np.zeros(640, dtype=np.int64)
        for k, owner in enumerate((np.repeat(np.arange(40), 16), np.arange(640))):
            moments = session_moments(Steps(*ends, owner, zero, zero))
            found = block_tests(moments, {"writer": np.array([0]), "critic": np.array([1])})
            rejected[k] += found["writer", "critic"] < 0.05
    assert rejected[0] <= 60 - least(0.95, 60) < rejected[1], rejected
