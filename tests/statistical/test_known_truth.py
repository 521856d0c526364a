"""Estimates and intervals against simulated truth. Bounds come from the known standard errors; each is shown to fail
on a planted fault."""

from __future__ import annotations

import numpy as np
import pytest

from simulated import COMPLEX, NAMES, REAL, noise, only_fit, panel
from support.binomial import least, most
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.bootstrap import normal_interval, resample
from trimtab.estimation.fit import fit
from trimtab.estimation.least_squares import cluster_covariance, coefficients, estimate
from trimtab.estimation.memory import memory_p_value, second_lag_p_value
from trimtab.estimation.moments import session_moments


def largest_z(model: AffineSDE, truth: AffineSDE) -> float:
    """Fit 400 sessions of 10 steps of `model` and return max abs(estimate - truth) / standard error over A and b."""
    m = session_moments(panel(model, sessions=400, seed=11).steps(), np.zeros(3), np.ones(3))
    expected = np.vstack([truth.b, truth.A.T])
    error = np.sqrt(np.diagonal(cluster_covariance(m))).reshape(4, 3)
    return float(np.abs((coefficients(m.total)[0] - expected) / error).max())


@pytest.mark.parametrize("model", [REAL, COMPLEX])
def test_the_drift_is_recovered_within_six_standard_errors(model: AffineSDE) -> None:
    assert largest_z(model, model) < 6


def test_a_drift_off_by_a_tenth_is_not() -> None:
    assert largest_z(REAL, AffineSDE(REAL.A + 0.1 * np.eye(3), REAL.b, REAL.Q)) > 6


def test_the_innovation_covariance_is_recovered() -> None:
    got = fit(panel(REAL, sessions=400, seed=11))["EF"].Q
    d = np.diagonal(REAL.Q)
    error = np.sqrt((REAL.Q**2 + d[:, None] * d) / 4000)
    assert np.abs((got - REAL.Q) / error).max() < 6


def coverage(model: AffineSDE, experiments: int, sessions: int, *, wrong_cluster: bool = False) -> np.ndarray:
    """Return how often 95% intervals hold the truth: of the rate, of the first interference, of the equilibrium."""
    hits = np.zeros(3)
    # The mean interference has no closed form along a transient: one large simulation stands for it.
    big = session_moments(panel(model, sessions=20_000, seed=999).steps())
    truth = estimate(big.total, big.center, big.scale).step_covariance
    interference = truth[0, 1] / np.sqrt(truth[0, 0] * truth[1, 1])
    for seed in range(experiments):
        data = panel(model, sessions=sessions, seed=seed)
        if wrong_cluster:
            one = fit_rows(data)
            hits[0] += one[0] < model.rate < one[1]
            continue
        one = only_fit(data)
        hits += [
            one.rate.low < model.rate < one.rate.high,
            one.interference.low[0, 1] < interference < one.interference.high[0, 1],
            one.equilibrium.low[0] < model.equilibrium[0] < one.equilibrium.high[0],
        ]
    return hits


def fit_rows(data) -> tuple[float, float]:
    """Return the interval of the rate when every session counts ten times: clusters that are not independent."""
    m = session_moments(data.steps())
    copies = type(m)(np.repeat(m.outer, 10, axis=0), np.arange(10 * m.n_sessions), m.center, m.scale)
    drawn = estimate(resample(copies, 400, 0, "rows"), m.center, m.scale).A
    rates = -np.linalg.eigvals(drawn).real.max(axis=-1)
    point = -np.linalg.eigvals(estimate(m.total, m.center, m.scale).A).real.max()
    low, high = normal_interval(np.asarray(point), rates, 0.95, copies.n_sessions)
    return float(low), float(high)


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say() -> None:
    hits = coverage(REAL, 150, 100)
    assert (hits >= least(150)).all(), hits
    assert (hits < 150).any(), hits


@pytest.mark.slow
def test_pretending_to_more_sessions_destroys_the_coverage() -> None:
    assert coverage(REAL, 60, 100, wrong_cluster=True)[0] < least(60)


def test_a_strategy_fitted_alone_is_the_same_as_within_a_fit() -> None:
    data = panel(REAL, sessions=30)
    alone, within = only_fit(data), fit(data, draws=200, estimator="least-squares")["EF"]
    assert (alone.rate, alone.rate.low, alone.verdict.label) == (within.rate, within.rate.low, within.verdict.label)
    # Trade-offs are named within a fit only, where they are tested together.
    assert within.verdict.startswith(alone.verdict)


def rejections(p_values: list[float]) -> int:
    return int((np.array(p_values) < 0.05).sum())


@pytest.mark.parametrize(("sessions", "steps"), [(100, 10), (30, 10), (12, 3), (30, 1)])
def test_the_memory_test_has_its_size(sessions: int, steps: int) -> None:
    found = rejections([memory_p_value(session_moments(noise(sessions, steps, s).steps())) for s in range(300)])
    # Binomial(300, 0.05): mean 15, standard deviation 3.8. Leaving sessions out in turn is known to be a rough guide
    # at a dozen sessions, so that the bound is six deviations of a true size of .06.
    assert 0 < found < 18 + 6 * 4.1


def test_the_memory_test_has_power() -> None:
    weak = AffineSDE(-0.8 * np.eye(3), np.full(3, 4.0), np.eye(3))
    assert rejections([memory_p_value(session_moments(panel(weak, seed=s).steps())) for s in range(50)]) > 45


def test_the_second_lag_matters_where_levels_differ_and_nowhere_else() -> None:
    def levels(seed: int) -> Trajectories:
        rng = np.random.default_rng(seed)
        return Trajectories.from_arrays(rng.normal(5, 1, (60, 1, 3)) + rng.normal(0, 1, (60, 11, 3)), NAMES)

    assert rejections([second_lag_p_value(levels(s).steps()) for s in range(40)]) == 40
    for truth in (REAL, COMPLEX):
        found = rejections([second_lag_p_value(panel(truth, 60, seed=s).steps()) for s in range(150)])
        assert 0 < found <= most(150, 0.06)
