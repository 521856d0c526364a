"""The numbers behind an audit against slow, obviously right answers and other libraries."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm

from simulated import COMPLEX, NAMES, REAL, panel
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.streams import stream
from trimtab.core.trajectories import Trajectories
from trimtab.estimation.audit import clustered, dropout, identifiability, memory, scatter, shuffles
from trimtab.estimation.audit.audit import _finding
from trimtab.estimation.audit.clustered import held_out_gain, hotelling, own, score_test, standard_error
from trimtab.estimation.audit.finding import AuditOptions, CannotSayError, Finding
from trimtab.estimation.audit.identifiability import _halving
from trimtab.estimation.audit.measurement import at_bounds, coarse, unchanged
from trimtab.estimation.audit.normality import kurtosis_p_value, mardia_kurtosis, mardia_kurtosis_p_value
from trimtab.estimation.audit.sample import Regression, Sample
from trimtab.estimation.audit.shuffles import _rows, shuffled_figures, shuffled_orders
from trimtab.estimation.fit import fit
from trimtab.estimation.moments import session_moments


def sample(data: Trajectories, **options) -> Sample:
    return Sample(data, 0, data.steps(), AuditOptions(**options))


def ragged(seed: int = 0, sessions: int = 40) -> Trajectories:
    """Simulate sessions of unequal length with holes."""
    rng = np.random.default_rng(seed)
    whole = panel(REAL, sessions, 9, seed).scores.reshape(sessions, 10, 3).copy()
    whole[rng.random(whole.shape) < 0.03] = np.nan
    return Trajectories.from_arrays([x[: rng.integers(2, 11)] for x in whole], NAMES, "EF")


@pytest.fixture
def regression() -> Regression:
    return sample(panel(COMPLEX, 40, 6)).regression


def test_the_regression_is_that_of_the_fit(regression: Regression) -> None:
    np.testing.assert_allclose(
        regression.beta[1:].T * regression.moments.scale[:, None] / regression.moments.scale,
        fit(panel(COMPLEX, 40, 6), estimator="least-squares")["EF"].A,
        atol=1e-9,
    )
    residual = regression.du - regression.Z @ np.linalg.lstsq(regression.Z, regression.du, rcond=None)[0]
    np.testing.assert_allclose(regression.residual, residual, atol=1e-9)
    hat = regression.Z @ np.linalg.inv(regression.Z.T @ regression.Z) @ regression.Z.T
    np.testing.assert_allclose(regression.leverage, np.diagonal(hat), atol=1e-12)
    by_hand = [residual[regression.owner == s].sum(axis=0) for s in range(regression.S)]
    np.testing.assert_allclose(regression.summed(residual), by_hand, atol=1e-12)


def test_hotelling_is_that_of_the_textbook() -> None:
    U = np.random.default_rng(0).normal(0.2, 1, (30, 4))
    T2 = 30 * U.mean(axis=0) @ np.linalg.solve(np.cov(U, rowvar=False), U.mean(axis=0))
    expected = scipy.stats.f.sf((30 - 4) / (4 * 29) * T2, 4, 26)
    assert hotelling(U) == pytest.approx(expected, rel=1e-9)
    assert hotelling(U[:, :1]) == pytest.approx(scipy.stats.ttest_1samp(U[:, 0], 0).pvalue, rel=1e-9)
    # What is silent or said twice changes nothing.
    twice = np.hstack([U, 1e9 * U[:, :1], np.zeros((30, 1))])
    assert hotelling(np.vstack([twice, np.zeros((7, 6))])) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(CannotSayError, match="at least 7 sessions"):
        hotelling(U[:6])
    with pytest.raises(CannotSayError, match="does not vary"):
        hotelling(np.zeros((9, 2)))


def test_the_score_test_agrees_with_a_wald_test_of_clustered_least_squares() -> None:
    r = sample(panel(REAL, 600, 6)).regression
    W = r.u**2 + 0.1 * r.u  # what the state explains of it is taken off
    p = score_test(r, r.beyond_state(W), r.e[:, :1], (np.ones((3, 1), dtype=bool),))
    wald = sm.OLS(r.e[:, 0], np.hstack([r.Z, W])).fit(cov_type="cluster", cov_kwds={"groups": r.owner})
    restriction = np.hstack([np.zeros((3, 4)), np.eye(3)])
    assert p == pytest.approx(float(wald.wald_test(restriction, scalar=True).pvalue), abs=0.03)
    planted = r.e[:, :1] + 0.1 * r.u[:, :1] ** 2
    assert score_test(r, r.beyond_state(W), planted, (np.ones((3, 1), dtype=bool),)) < 1e-6
    assert not r.beyond_state(np.hstack([3 * r.u - 1, np.ones((r.M, 1))])).any()


def test_fewer_terms_are_tested_with_fewer_sessions(regression: Regression) -> None:
    W = regression.beyond_state(regression.u**2)
    everything, mine = np.ones((3, 3), dtype=bool), own(3, 1)
    assert score_test(regression, W, regression.e, (everything, mine)) == score_test(
        regression, W, regression.e, (mine,)
    )
    one = sample(panel(REAL, 5, 10)).regression
    with pytest.raises(CannotSayError, match="at least 6 sessions are needed, and there are 5"):
        score_test(one, one.beyond_state(one.u**2), one.e, (everything, mine))


def test_the_held_out_gain_is_that_of_a_slow_cross_validation(regression: Regression) -> None:
    r, W = regression, regression.u**2
    fold_of = (stream(7, "folds").permutation(r.S) % 10)[r.owner]
    losses = np.zeros((2, r.M, 3))
    for k, X in enumerate((r.Z, np.hstack([r.Z, W]))):
        for fold in range(10):
            test = fold_of == fold
            beta = np.linalg.lstsq(X[~test], r.du[~test], rcond=None)[0]
            losses[k, test] = (r.du[test] - X[test] @ beta) ** 2
    gains = (losses[0] - losses[1]) / ((r.du - r.du.mean(axis=0)) ** 2).sum(axis=0)
    by_session = np.array([gains[r.owner == s].sum(axis=0).mean() for s in range(r.S)])
    got = held_out_gain(r, W, 0.95, 7)
    assert got.estimate == pytest.approx(by_session.sum(), rel=1e-9)
    half = scipy.stats.t.ppf(0.975, r.S - 1) * by_session.std(ddof=1) * np.sqrt(r.S)
    assert (got.low, got.high) == pytest.approx((by_session.sum() - half, by_session.sum() + half), rel=1e-9)


def test_standard_errors_are_those_of_leaving_sessions_out(
    regression: Regression, monkeypatch: pytest.MonkeyPatch
) -> None:
    r = regression
    contrast = np.vstack([np.zeros(3), -np.eye(3) / 3])
    left_out = []
    for s in range(r.S):
        keep = r.owner != s
        beta = np.linalg.lstsq(r.Z[keep], r.du[keep], rcond=None)[0]
        left_out.append((beta * contrast).sum())
    spread = np.sqrt((r.S - 1) / r.S * ((left_out - np.mean(left_out)) ** 2).sum())
    assert standard_error(r, r.Z, contrast) == pytest.approx(spread, rel=1e-9)
    many = sample(panel(REAL, 800, 3)).regression
    jackknife = standard_error(many, many.Z, contrast)
    monkeypatch.setattr(clustered, "_JACKKNIFED", 10)
    assert standard_error(many, many.Z, contrast) == pytest.approx(jackknife, rel=0.01)


def test_shuffles_keep_rows_in_their_session_and_make_all_orders_alike() -> None:
    session = np.repeat([3, 5, 8], [3, 1, 4])
    orders = shuffled_orders(session, 12_000, np.random.default_rng(0))
    assert (session[orders] == session).all()
    assert (np.sort(orders, axis=1) == np.arange(8)).all()
    first = dict.fromkeys(permutations(range(3)), 0)
    for row in orders[:, :3]:
        first[tuple(row.tolist())] += 1
    # Binomial(12000, 1/6): mean 2000, standard deviation 41.
    assert all(abs(count - 2000) < 6 * 41 for count in first.values())
    places = np.array([(orders[:, 4:] == 4 + k).sum(axis=0) for k in range(4)])
    assert (np.abs(places - 3000) < 6 * 47.5).all()
    # Independent between sessions: chance of both first rows staying first.
    both = ((orders[:, 0] == 0) & (orders[:, 4] == 4)).sum()
    assert abs(both - 1000) < 6 * 31


def test_shuffled_rows_are_those_that_steps_connect() -> None:
    data = ragged()
    steps = data.steps()
    values, session, at = _rows(steps)
    np.testing.assert_array_equal(values[at], steps.x)
    np.testing.assert_array_equal(values[at + 1], steps.x + steps.dx)
    complete, usable = data.complete, np.zeros(data.n_rows, dtype=bool)
    together = complete[1:] & complete[:-1] & (np.diff(data.session) == 0)
    usable[1:] |= together
    usable[:-1] |= together
    np.testing.assert_allclose(values, data.scores[usable])
    np.testing.assert_array_equal(session, data.session[usable])


def test_figures_of_shuffled_scores_are_those_of_fits_of_shuffled_trajectories() -> None:
    data = ragged(1)
    steps = data.steps()
    moments = session_moments(steps)
    got = shuffled_figures(steps, moments.center, moments.scale, 20, 4)
    plain = fit(data, estimator="least-squares")["EF"]
    assert got.rate[0] == pytest.approx(float(plain.rate))
    assert got.r2[0] == pytest.approx(float(plain.r2.steps))
    assert got.interference[0] == pytest.approx(np.abs(plain.interference.estimate).max())
    values, session, at = _rows(steps)
    orders = shuffled_orders(session, 20, stream(4, "shuffles"))
    for k in (0, 13):
        x, y = values[orders[k]][at], values[orders[k]][at + 1]
        Z = np.hstack([np.ones((len(x), 1)), x])
        beta = np.linalg.lstsq(Z, y - x, rcond=None)[0]
        lam = np.linalg.eigvals(beta[1:])
        assert got.rate[1][k] == pytest.approx(-lam.real.max())
        assert got.turning[1][k] == pytest.approx(np.abs(lam.imag).max(), abs=1e-9)
        rss, tss = ((y - x - Z @ beta) ** 2).sum(axis=0), ((y - x - (y - x).mean(axis=0)) ** 2).sum(axis=0)
        assert got.r2[1][k] == pytest.approx((1 - rss / tss).mean())
        assert got.interference[1][k] == pytest.approx(np.abs(np.corrcoef((y - x).T) - np.eye(3)).max())


def test_shuffling_some_sessions_at_a_time_changes_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = ragged(1).steps()
    moments = session_moments(steps)
    whole = shuffled_figures(steps, moments.center, moments.scale, 300, 0)
    monkeypatch.setattr(shuffles, "_ROWS", 15)
    monkeypatch.setattr(shuffles, "_NUMBERS", 700)
    parts = shuffled_figures(steps, moments.center, moments.scale, 300, 0)
    for name in ("rate", "r2", "turning", "interference"):
        (one, null), (other, drawn) = getattr(whole, name), getattr(parts, name)
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9)
        assert abs(null.mean() - drawn.mean()) < 6 * np.hypot(null.std(), drawn.std()) / np.sqrt(300)
        assert len(null) == len(drawn) == 300


def test_the_kurtosis_test_is_that_of_scipy_and_mardia_counts_dimensions() -> None:
    x = np.random.default_rng(0).standard_t(8, 400)
    excess = scipy.stats.kurtosis(x)
    assert kurtosis_p_value(float(excess), 400) == pytest.approx(scipy.stats.kurtosistest(x).pvalue, rel=1e-9)
    z = np.random.default_rng(1).standard_normal((4000, 3))
    assert mardia_kurtosis(z) == pytest.approx(15, abs=6 * np.sqrt(8 * 15 / 4000))
    assert mardia_kurtosis_p_value(15 * 3999 / 4001, 4000, 3) == pytest.approx(1)


def test_variance_between_sessions_is_that_of_analysis_of_variance() -> None:
    s = sample(ragged(2))
    r = s.regression
    values, vectors = np.linalg.eigh(r.e.T @ r.e / r.M)
    z = r.e @ vectors / np.sqrt(values)
    d = np.cbrt((z**2).sum(axis=1) / 3 / (1 - r.leverage))
    groups = [d[r.owner == k] for k in range(r.S)]
    assert scatter.session_variance(s).p_value == pytest.approx(scipy.stats.f_oneway(*groups).pvalue, rel=1e-9)


def test_dropout_is_compared_among_sessions_at_the_same_iteration() -> None:
    data = ragged(3, 60)
    scores, lengths = data.scores, data.lengths
    records = []
    for s, (a, length) in enumerate(zip(data.offsets[:-1], lengths, strict=True)):
        seen: list[np.ndarray] = []
        for t in range(min(int(length), int(lengths.max()) - 1)):
            if np.isfinite(scores[a + t]).all():
                seen.append(scores[a + t])
            if seen:
                change = seen[-1] - seen[-2] if len(seen) > 1 else np.zeros(3)
                records.append((s, t, *seen[-1], *change, float(t == length - 1)))
    table = np.array(records)
    U = np.zeros((60, 6))
    for t in np.unique(table[:, 1]):
        here = table[table[:, 1] == t]
        w, ended = here[:, 2:8] - here[:, 2:8].mean(axis=0), here[:, 8] - here[:, 8].mean()
        for row, session in enumerate(here[:, 0].astype(int)):
            U[session] += w[row] * ended[row]
    assert dropout.dropout(sample(data)).p_value == pytest.approx(hotelling(U), rel=1e-6)


def test_sessions_without_a_step_count_among_those_that_end() -> None:
    rng = np.random.default_rng(0)
    sessions = [rng.normal(9, 0.1, (1, 1)) if s % 2 else rng.normal(5, 1, (6, 1)) for s in range(80)]
    answer = dropout.dropout(sample(Trajectories.from_arrays(sessions, ["quality"])))
    assert answer.holds is False
    assert answer.statistic > 0.5


def test_halving_an_interval_takes_about_four_times_as_many_sessions() -> None:
    for S in (5, 30, 400):
        t = scipy.stats.t.ppf(0.975, S - 1) / np.sqrt(S) / 2
        expected = next(k for k in range(S, 5 * S) if scipy.stats.t.ppf(0.975, k - 1) / np.sqrt(k) <= t)
        assert _halving(S, 0.95) == expected
    few, many = (identifiability.power(sample(panel(REAL, S, 10))) for S in (50, 200))
    assert few.statistic == _halving(50, 0.95)
    widths = []
    for answer in (few, many):
        low, high = answer.says.split("(")[1].split(")")[0].split(" to ")
        widths.append(float(high) - float(low))
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.3)


def test_sessions_that_weigh_alike_all_count() -> None:
    assert identifiability.effective_sessions(sample(panel(REAL, 50, 10))).statistic > 44
    one = panel(REAL, 1, 400, 1).scores
    rest = panel(REAL, 20, 2, 2).scores.reshape(20, 3, 3)
    uneven = identifiability.effective_sessions(sample(Trajectories.from_arrays([one, *rest], NAMES)))
    assert uneven.statistic < 3
    assert uneven.holds is False
    assert identifiability.condition(sample(panel(REAL, 50, 10))).statistic < 3


def test_states_that_move_as_one_are_ill_conditioned() -> None:
    data = panel(REAL, 50, 10)
    scores = data.scores.copy()
    scores[:, 1] = scores[:, 0] + 0.01 * scores[:, 1]
    answer = identifiability.condition(sample(Trajectories.from_arrays(scores.reshape(50, 11, 3), NAMES)))
    correlation = np.corrcoef(scores.reshape(50, 11, 3)[:, :-1].reshape(-1, 3).T)
    assert answer.statistic == pytest.approx(np.sqrt(np.linalg.cond(correlation)), rel=1e-6)
    assert answer.holds is False


def test_lenient_judges_are_no_noise_and_missing_judgements_do_not_count() -> None:
    scores = panel(REAL, 30, 6).scores.reshape(30, 7, 3)
    rng = np.random.default_rng(0)
    both = scores[..., None] + np.array([0.0, 2.0])
    alike = Trajectories.from_arrays(None, NAMES, judgements=both)
    assert memory.score_noise(sample(alike)).statistic == pytest.approx(0, abs=1e-12)
    noisy = both + rng.normal(0, 1, both.shape)
    noisy[rng.random((30, 7, 3)) < 0.5, 1] = np.nan
    answer = memory.score_noise(sample(Trajectories.from_arrays(None, NAMES, judgements=noisy)))
    assert answer.holds is False
    assert answer.low > 0.1


def test_numbers_beyond_bounds_are_counted_by_objective() -> None:
    data = panel(REAL, 30, 6)
    scores = np.clip(data.scores.reshape(30, 7, 3), None, 6.0)
    space = ObjectiveSpace([Objective(name, 0, 6) for name in NAMES])
    s = sample(Trajectories.from_arrays(scores, space))
    shares = (scores == 6).mean(axis=(0, 1))
    answer = at_bounds(s)
    assert answer.statistic == pytest.approx(shares.max())
    assert answer.holds is False
    assert f"'{NAMES[int(shares.argmax())]}'" in answer.says
    whole = sample(Trajectories.from_arrays(np.round(scores), space))
    assert coarse(whole).holds is False
    assert coarse(whole).statistic == min(len(np.unique(np.round(scores[..., j]))) for j in range(3))
    still = (np.diff(np.round(scores), axis=1) == 0).all(axis=2).mean()
    assert unchanged(whole).statistic == pytest.approx(still)
    assert "coarse scores alone explain as many" in unchanged(whole).says
    lazy = scores.copy()
    lazy[:, 1::2] = lazy[:, :-1:2]
    assert "mixed with steps that do" in unchanged(sample(Trajectories.from_arrays(lazy, space))).says


def test_infinite_figures_are_none_in_the_document() -> None:
    document = _finding(Finding("a", "?", math.inf, math.nan, -math.inf, 1.0, None, "So."))
    assert document["statistic"] is None
    assert document["p_value"] is None
    assert document["low"] is None
    assert document["high"] == 1.0
