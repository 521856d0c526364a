from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
import scipy.optimize

import trimtab as tt
from simulated import REAL, panel
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.spectrum import eigenvalues
from trimtab.estimation import least_squares as ls
from trimtab.estimation.bootstrap import resample
from trimtab.estimation.clusters import cluster_estimates, eigenvalue_spread, least_assignment
from trimtab.estimation.document import json_schema
from trimtab.estimation.moments import session_moments

APART = AffineSDE(np.diag([-0.1, -0.4, -0.7, -1.0]), [0.5, 2.0, 3.5, 5.0], 0.25 * np.eye(4))
REPEATED = AffineSDE(np.diag([-0.5, -0.5, -0.5, -0.05]), [2.5, 2.5, 2.5, 0.25], 0.25 * np.eye(4))


@pytest.fixture(scope="module")
def repeated() -> tt.Fit:
    return tt.fit(panel(REPEATED, 150, 10), estimator="least-squares")


def test_eigenvalues_that_can_be_told_apart_are_clusters_of_one() -> None:
    rung = tt.fit(panel(APART, 200, 10), estimator="least-squares")["EF"].rung
    assert [one.size for one in rung.clusters] == [1, 1, 1, 1]
    assert [one.mean for one in rung.clusters] == pytest.approx(list(rung.eigenvalues))
    assert "Eigenvalues by cluster" in tt.fit(panel(APART, 40, 8), estimator="least-squares").summary()


def test_an_eigenvalue_of_three_directions_is_one_cluster_whose_mean_is_known(repeated: tt.Fit) -> None:
    slow, block = repeated["EF"].rung.clusters
    assert (slow.size, block.size) == (1, 3)
    assert block.real.low < -0.5 < block.real.high
    assert block.conditions.max() > block.mean_condition >= 1
    # The mean is steadier than any member: that is what a cluster is for.
    members = np.sort(repeated["EF"].draws.eigenvalues.real, axis=1)[:, :3]
    assert block.real.high - block.real.low < 2 * 2 * members.std(axis=0).min()


def test_the_interval_of_a_clusters_mean_covers() -> None:
    found = []
    for seed in range(50):
        moments = session_moments(panel(REPEATED, 60, 8, seed).steps())
        one = ls.estimate(moments.total, moments.center, moments.scale)
        drawn = ls.estimate(resample(moments, 300, seed), moments.center, moments.scale)
        lam, lams = eigenvalues(one.A), eigenvalues(drawn.A)
        clusters = cluster_estimates(one.A, moments.scale, drawn.A, lams, lam, 0.95, moments.n_sessions)
        found += [block.real.low < -0.5 < block.real.high for block in clusters if block.size == 3]
    # The block is found in most experiments; the estimator's own bias costs some coverage.
    assert len(found) > 25
    assert sum(found) > 0.92 * len(found) - 6 * np.sqrt(0.92 * 0.08 * len(found))


def test_units_change_means_by_nothing_and_conditions_not_at_all(repeated: tt.Fit) -> None:
    data = panel(REPEATED, 150, 10)
    other = tt.Trajectories.from_arrays(
        data.scores.reshape(150, 11, 4) * [1.0, 100.0, 0.01, 1.0], [f"o{j}:-1e4:1e4" for j in range(4)], "EF"
    )
    for a, b in zip(
        repeated["EF"].rung.clusters, tt.fit(other, estimator="least-squares")["EF"].rung.clusters, strict=True
    ):
        assert (b.size, b.mean) == (a.size, pytest.approx(a.mean, rel=1e-6))
        assert np.sort(b.conditions) == pytest.approx(np.sort(a.conditions), rel=1e-4)


def test_few_objectives_have_clusters_only_where_eigenvalues_nearly_repeat() -> None:
    for model in (REAL, AffineSDE(-0.5 * np.eye(2), [2.5, 2.5], 0.25 * np.eye(2))):
        rung = tt.fit(panel(model, 100, 8), estimator="least-squares")["EF"].rung
        assert bool(rung.clusters) == rung.nearly_repeated
    assert rung.nearly_repeated


def test_the_spread_of_an_eigenvalue_is_that_of_its_matches_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    lam = np.array([-0.5 + 0.4j, -0.5 - 0.4j, -0.5 + 0.2j, -0.5 - 0.2j])
    real, imag = rng.normal(0, 0.02, (200, 2)), rng.normal(0, 0.01, (200, 2))
    draws = np.repeat(real, 2, axis=1) + lam + 1j * np.stack([imag[:, 0], -imag[:, 0], imag[:, 1], -imag[:, 1]], axis=1)
    draws = np.take_along_axis(draws, np.lexsort((-draws.imag, -draws.real), axis=-1), axis=-1)
    # 6 standard errors of a standard deviation from 200 draws.
    assert eigenvalue_spread(lam, draws) == pytest.approx(np.hypot(0.02, 0.01), rel=6 / np.sqrt(400))
    assert draws.real.std(axis=0).max() < 0.1 < draws.imag.std(axis=0).max()  # in order, they would seem to jump


@pytest.mark.parametrize("k", [1, 2, 4, 5, 6])
def test_no_assignment_costs_less(k: int) -> None:
    costs = np.random.default_rng(0).random((50, k, k))
    least = [one[scipy.optimize.linear_sum_assignment(one)] for one in costs]
    assert least_assignment(costs) == pytest.approx(np.array(least))


def test_the_document_and_the_report_say_clusters(repeated: tt.Fit, tmp_path) -> None:
    document = json.loads(repeated.to_json(audit=False))
    jsonschema.Draft202012Validator(json_schema()).validate(document)
    found = document["strategies"]["EF"]["rungs"]["least_squares"]["clusters"]
    assert [one["size"] for one in found] == [1, 3]
    page = repeated.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mean of 3 that cannot be told apart" in page
    assert "Eigenvalues by cluster" in page


def test_intervals_are_as_wide_as_eigenvalues_of_a_matrix_that_is_not_normal_move() -> None:
    rng = np.random.default_rng(0)
    A = np.diag([-0.1, -0.4, -0.7, -1.0]) + np.triu(rng.normal(0, 1, (4, 4)), 1)
    drawn = A + 1e-6 * rng.standard_normal((500, 4, 4))
    lams = eigenvalues(drawn)
    found = cluster_estimates(A, np.ones(4), drawn, lams, eigenvalues(A), 0.95, 100_000)
    half = [(one.real.high - one.real.low) / 2 for one in found]
    assert half == pytest.approx(1.96 * lams.real.std(axis=0, ddof=1), rel=1e-3)
