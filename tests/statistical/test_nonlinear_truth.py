"""Straight drifts must be called linear, and bent ones found: shares of simulated experiments, with exact bounds."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import trimtab as tt
from simulated import COMPLEX, REAL, noise, panel
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.drift_basis import BasisDrift, monomials
from trimtab.estimation.audit.clustered import half_width
from trimtab.estimation.audit.finding import AuditOptions
from trimtab.estimation.audit.form import NEGLIGIBLE
from trimtab.estimation.audit.sample import Sample
from trimtab.estimation.nonlinear.choice import chosen_drift, compared_drifts
from trimtab.estimation.nonlinear.long_run import followed_points
from trimtab.estimation.nonlinear.regression import Wide, replicates
from trimtab.estimation.options import Options

ONE = AffineSDE([[-0.4]], [2.0], [[0.5]])


def wide(data: tt.Trajectories, degree: int, seed: int = 0) -> Wide:
    r = Sample(data, 0, data.steps(), AuditOptions(seed=seed)).regression
    return Wide.of(r, monomials(r.n, degree))


def chosen(data: tt.Trajectories, degree: int, seed: int) -> str:
    compared, why_not = compared_drifts(wide(data, degree, seed), Options(seed=seed))
    return chosen_drift("auto", compared, why_not, "terms")[0]


def bent(seed: int, sessions: int = 60, steps: int = 6, bend: float = 0.4) -> tt.Trajectories:
    """Simulate two objectives pulled to 5, the first pushed by the square of the second as well."""
    rng = np.random.default_rng(seed)
    x = [rng.normal(5, 1, (sessions, 2))]
    for _ in range(steps):
        z = x[-1] - 5
        push = bend * np.stack([z[:, 1] ** 2 - 1, 0 * z[:, 1]], axis=1)
        x.append(x[-1] - 0.4 * z + push + 0.7 * rng.standard_normal(z.shape))
    return tt.Trajectories.from_arrays(np.stack(x, axis=1), ["a", "b"], "EF")


def least(share: float, experiments: int) -> int:
    """Return the count below which fewer than one in a million of experiments with this true share would fall."""
    return int(scipy.stats.binom.ppf(1e-6, experiments, share))


@pytest.mark.parametrize(
    ("simulate", "degree"),
    [
        pytest.param(lambda seed: panel(REAL, 60, 8, seed), 2, id="real"),
        pytest.param(lambda seed: panel(COMPLEX, 40, 6, seed), 2, id="complex"),
        pytest.param(lambda seed: noise(40, 6, seed), 2, id="noise"),
        pytest.param(lambda seed: panel(ONE, 30, 6, seed), 3, id="one objective, cubic"),
        pytest.param(lambda seed: panel(ONE, 8, 6, seed), 2, id="few sessions"),
    ],
)
def test_straight_drifts_are_called_linear(simulate, degree: int) -> None:
    called = sum(chosen(simulate(seed), degree, seed) == "linear" for seed in range(100))
    assert called >= least(0.95, 100)


def test_clearly_bent_drifts_are_found() -> None:
    """The bend explains 13% of the variance of steps."""
    called = sum(chosen(bent(seed), 2, seed) == "nonlinear" for seed in range(60))
    assert called >= least(0.9, 60)


def test_a_gain_on_the_sessions_that_were_fitted_would_call_too_many_straight_drifts_bent() -> None:
    """The planted fault: nothing is held out."""
    called = 0
    for seed in range(60):
        w = wide(panel(REAL, 12, 6, seed), 2)
        r = w.regression
        losses = [
            (r.du - X @ np.linalg.lstsq(X, r.du)[0]) ** 2 / ((r.du - r.du.mean(axis=0)) ** 2).sum(axis=0)
            for X in (r.Z, w.X)
        ]
        by_session = r.summed(losses[0] - losses[1]).mean(axis=1)
        gain = by_session.sum()
        called += gain < NEGLIGIBLE or gain < half_width(np.sqrt(r.S) * by_session.std(ddof=1), 0.95, r.S)
    assert called < least(0.95, 60)


def test_intervals_of_fixed_points_cover_the_true_ones() -> None:
    """A pitchfork, x + .5 (x - x^3) with noise: points at -1, 0 and 1."""
    covered = np.zeros(3)
    kinds = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        x = [np.linspace(-1.6, 1.6, 50)]
        for _ in range(6):
            x.append(x[-1] + 0.5 * (x[-1] - x[-1] ** 3) + 0.15 * rng.standard_normal(50))
        w = wide(tt.Trajectories.from_arrays(np.stack(x, axis=1)[..., None], ["lean:-2:2"], "EF"), 3)
        r = w.regression
        theta = replicates(w, 0.0, 100, seed)[1]
        low, high = (np.array([end]) - r.moments.center for end in (-2.0, 2.0))
        scale = r.moments.scale
        box = low / scale, high / scale
        points, _ = followed_points(BasisDrift(theta, monomials(1, 3)), *box, (box[0], box[1]), 0.95, r.S)
        kinds.append([point.kind for point in points])
        if len(points) == 3:
            ends = np.array([[p.low[0], p.high[0]] for p in points]) * scale + r.moments.center
            covered += (ends[:, 0] < [-1, 0, 1]) & (ends[:, 1] > [-1, 0, 1])
    assert kinds == [["stable node", "unstable node", "stable node"]] * 24
    # Intervals from 50 sessions cover a little less often than they say.
    assert (covered >= least(0.92, 24)).all(), covered


def test_the_share_of_draws_that_have_a_point_is_neither_0_nor_1_where_it_is_unsure() -> None:
    """Near a saddle-node bifurcation, dx = .04 - z^2 / 4 + noise, some experiments and some draws have no point."""
    shares = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        z = [rng.uniform(-1, 1, 40)]
        for _ in range(3):
            z.append(np.clip(z[-1] + 0.01 - z[-1] ** 2 / 4 + 0.2 * rng.standard_normal(40), -3, 3))
        w = wide(tt.Trajectories.from_arrays(np.stack(z, axis=1)[..., None], ["z:-3:3"], "EF"), 2)
        theta = replicates(w, 0.0, 100, seed)[1]
        box = np.full(1, -3.0), np.full(1, 3.0)
        points, counts = followed_points(BasisDrift(theta, monomials(1, 2)), *box, box, 0.95, 40)
        assert sum(counts.values()) == pytest.approx(1)
        shares += [point.probability for point in points]
    assert ((np.array(shares) > 0.05) & (np.array(shares) < 0.95)).mean() > 0.5
