from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats

import trimtab as tt
from support.agents import COUPLED, sharing, writer_and_critic
from trimtab.dynamics.spectrum import eigenvalues, rate
from trimtab.errors import FitError, InputError
from trimtab.estimation.coupling.summary import _interval as as_interval
from trimtab.estimation.estimates import Estimate
from trimtab.estimation.least_squares import cluster_covariance
from trimtab.estimation.moments import session_moments


@pytest.fixture(scope="module")
def fit() -> tt.Fit:
    return tt.fit(writer_and_critic(0, 120), estimator="least-squares", draws=500)


def test_blocks_are_those_of_the_drift(fit: tt.Fit) -> None:
    one = fit.coupling()["all"]
    assert one.agents == {"writer": ("writer.style", "writer.clarity"), "critic": ("critic.rigour", "critic.care")}
    A = fit["all"].A
    assert one["writer", "critic"].A.estimate == pytest.approx(A[:2, 2:])
    assert one["critic", "writer"].A.estimate == pytest.approx(A[2:, :2])
    assert one["writer", "writer"].A.estimate == pytest.approx(A[:2, :2])
    scale = session_moments(fit.trajectories.steps()).scale
    assert one["writer", "critic"].norm == pytest.approx(np.linalg.norm((A * scale / scale[:, None])[:2, 2:]))
    assert len(one.between) == 2
    assert (one["writer", "critic"].A.low < COUPLED[:2, 2:]).all()
    assert (one["writer", "critic"].A.high > COUPLED[:2, 2:]).all()


def test_the_one_way_coupling_is_found_and_the_other_way_is_not(fit: tt.Fit) -> None:
    one = fit.coupling()["all"]
    found, reverse = one["writer", "critic"], one["critic", "writer"]
    assert found.adjusted_p_value < 1e-6
    assert reverse.p_value > 0.05
    assert reverse.adjusted_p_value == reverse.p_value  # Holm's factor of the larger of two is 1
    assert found.adjusted_p_value == pytest.approx(2 * found.p_value)
    assert np.isnan(one["writer", "writer"].p_value)


def test_the_p_value_is_close_to_that_of_the_wald_test_by_sandwich(fit: tt.Fit) -> None:
    moments = session_moments(fit.trajectories.steps())
    V = cluster_covariance(moments)
    at = np.array([(1 + j) * 4 + i for i in (2, 3) for j in (0, 1)])
    block = fit["all"].A[2:, :2] * moments.scale[:2] / moments.scale[2:, None]
    W = block.ravel() @ np.linalg.solve(V[np.ix_(at, at)], block.ravel())
    assert fit.coupling()["all"]["critic", "writer"].p_value == pytest.approx(scipy.stats.f.sf(W / 4, 4, 116), rel=0.25)


def test_rates_are_those_with_and_without_what_is_between(fit: tt.Fit) -> None:
    one = fit.coupling()["all"]
    A = fit["all"].A
    apart = A.copy()
    apart[:2, 2:] = apart[2:, :2] = 0
    assert one.rate == pytest.approx(float(rate(eigenvalues(A))))
    assert one.rate_apart == pytest.approx(float(rate(eigenvalues(apart))))
    assert one.rate_change == pytest.approx(one.rate - one.rate_apart)
    # A triangle of blocks has the eigenvalues of its diagonal: the true change is 0.
    assert one.rate_change.low < 0 < one.rate_change.high


def test_interference_is_within_and_between(fit: tt.Fit) -> None:
    parts = fit.coupling()["all"].interference
    assert [part.agents for part in parts] == [("writer",), ("critic",), ("writer", "critic")]
    matrix = fit["all"].interference.estimate
    assert parts[0].size == pytest.approx(abs(matrix[0, 1]))
    assert parts[2].size == pytest.approx(np.sqrt((matrix[:2, 2:] ** 2).mean()))
    assert abs(parts[2].correlation) == pytest.approx(np.abs(matrix[:2, 2:]).max())


def test_the_document_and_the_summary(fit: tt.Fit) -> None:
    found = fit.coupling()
    document = json.loads(found.to_json())
    assert document["schema"] == "trimtab.agents/1"
    assert [(b["to"], b["of"]) for b in document["strategies"]["all"]["blocks"]] == [
        ("writer", "writer"),
        ("writer", "critic"),
        ("critic", "writer"),
        ("critic", "critic"),
    ]
    text = found.summary()
    assert "critic moves writer (p < 0.001)." in text
    assert "Nothing shows that writer moves critic" in text
    assert max(map(len, text.splitlines())) <= 118


def test_what_has_no_blocks_is_said(fit: tt.Fit) -> None:
    plain = tt.Trajectories.from_arrays(np.random.default_rng(0).normal(5, 1, (20, 5, 2)), ["a", "b"])
    with pytest.raises(InputError, match=r"AGENT\.NAME"):
        tt.fit(plain, estimator="least-squares", draws=20).coupling()
    silent = tt.Trajectories.from_arrays(
        np.random.default_rng(0).normal(5, 1, (20, 5, 2)) * [1, 0], ["writer.a", "critic.b"]
    )
    with pytest.raises(FitError, match="the scores of critic explain no step"):
        tt.fit(silent, estimator="least-squares", draws=20).coupling()
    with pytest.raises(InputError, match="there are writer, critic"):
        fit.coupling()["all"]["writer", "editor"]


def test_another_estimator_is_tested_by_its_own_replicates() -> None:
    fit = tt.fit(sharing(0), draws=300)
    one = fit.coupling()["all"]
    rung = fit["all"].rung
    assert one.estimator == rung.name == "state_space"
    v, variance = rung.A[0, 1], rung.draws.A[:, 0, 1].var(ddof=1)
    assert one["writer", "critic"].p_value == pytest.approx(scipy.stats.f.sf(v**2 / variance, 1, 59))
    plain = tt.fit(sharing(0), draws=300, estimator="least-squares").coupling()["all"]
    assert one["writer", "critic"].least_squares_p_value == plain["writer", "critic"].adjusted_p_value < 0.05
    assert "Least squares would have said so" in fit.coupling().summary()


def test_few_sessions_are_said_to_be_too_few() -> None:
    found = tt.fit(writer_and_critic(0, 4, 12), estimator="least-squares", draws=50).coupling()
    assert np.isnan(found["all"]["writer", "critic"].p_value)
    assert "cannot be said: too few sessions" in found.summary()


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        ((0.31, 0.00799, 0.62), "+0.31 (+0.01..+0.62)"),
        ((0.012, -0.003, 0.027), "+0.012 (-0.003..+0.027)"),
        ((2e-5, 1e-5, 3e-5), "+2e-05 (+1e-05..+3e-05)"),
        ((-0.5, -np.inf, np.nan), "-0.50 (-∞..–)"),
    ],
)
def test_an_interval_is_told_to_one_number_of_decimals(interval: tuple[float, float, float], shown: str) -> None:
    assert as_interval(Estimate(*interval)) == shown
