from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from coarse_panels import look, stalling
from simulated import NAMES, REAL, panel
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import FitError, InputError
from trimtab.estimation.coarse import choice
from trimtab.estimation.coarse.document import coarse_document
from trimtab.estimation.coarse.gaussian import gaussian_log_mass, root
from trimtab.estimation.coarse.hurdle_fit import coincidence
from trimtab.estimation.coarse.levels import Cells, levels_of
from trimtab.estimation.coarse.resampling import resampled
from trimtab.estimation.coarse.stays import INTERCEPT_SPREAD, SLOPE_SPREAD, logistic
from trimtab.estimation.least_squares import estimate
from trimtab.estimation.moments import session_moments


def cells_of(*columns: list[float]) -> Cells:
    longest = max(map(len, columns))
    scores = np.array([column + [np.nan] * (longest - len(column)) for column in columns]).T
    return Cells.of(scores, np.isfinite(scores))


def test_levels_and_unchanged_steps_are_counted() -> None:
    data = Trajectories.from_arrays(
        [np.array([[1, 0.1], [1, 0.3], [2, 0.1 + 0.2], [2, 0.3]]), np.array([[1, np.nan], [2, 5.0]])], NAMES[:2]
    )
    levels, _, unchanged = levels_of(data, data.steps(), np.ones(6, dtype=bool))
    # 0.1 + 0.2 is not 0.3, by rounding error only.
    np.testing.assert_array_equal(unchanged, [False, False, True])
    np.testing.assert_allclose(levels.unchanged_per_objective, [2 / 3, 2 / 3])
    assert levels.unchanged == pytest.approx(1 / 3)
    assert levels.values == ((1.0, 2.0), (0.1, 0.3, 5.0))
    np.testing.assert_array_equal(levels.count, [2, 3])
    np.testing.assert_allclose(levels.share, [2 / 6, 3 / 5])


def test_an_enormous_score_does_not_make_the_others_one_level() -> None:
    data = Trajectories.from_arrays([np.array([[0.001], [0.002], [1e12], [0.003], [0.0], [1e-30]])], NAMES[:1])
    levels, _, unchanged = levels_of(data, data.steps(), np.ones(6, dtype=bool))
    assert levels.count[0] == 5
    np.testing.assert_array_equal(unchanged, [False, False, False, False, True])


def test_the_mass_of_all_cells_is_one() -> None:
    cells = cells_of([0.0, 1.0, 2.5, 4.0], [-1.0, 0.0, 0.5])
    grid = np.array(list(itertools.product(*cells.levels)))
    lower, upper = cells.bounds(cells.codes(grid, np.arange(2)))
    for mean in ([1.0, 0.0], [9.0, -7.0]):
        L = np.linalg.cholesky([[0.6, 0.3], [0.3, 0.4]])
        mass = np.exp(gaussian_log_mass(np.tile(mean, (len(grid), 1)), L, grid, lower, upper))
        assert mass.sum() == pytest.approx(1, abs=1e-12)


def test_the_mass_is_the_normal_law_s_own() -> None:
    one = gaussian_log_mass(
        np.full((2, 1), 1.0), np.full((1, 1), 2.0), np.zeros((2, 1)), *np.array([[[-1.0], [40.0]], [[0.5], [41.0]]])
    )
    law = scipy.stats.norm(1, 2)
    np.testing.assert_allclose(
        one, [np.log(law.cdf(0.5) - law.cdf(-1)), law.logsf(40) + np.log1p(-law.sf(41) / law.sf(40))]
    )
    Q = np.array([[0.6, 0.3], [0.3, 0.4]])
    y, h = np.array([[0.4, -0.3]]), 1e-4
    narrow = gaussian_log_mass(np.zeros((1, 2)), np.linalg.cholesky(Q), y, y - h / 2, y + h / 2)
    density = scipy.stats.multivariate_normal(np.zeros(2), Q).logpdf(y[0])
    assert narrow[0] == pytest.approx(density + 2 * np.log(h), abs=1e-6)


def test_a_root_is_found_for_covariances_that_are_none() -> None:
    cells = cells_of([0.0, 1.0], [0.0, 5.0])
    for Q in ([[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]], [[1e-20, 3.0], [3.0, -1e-9]]):
        L = root(np.array(Q), cells)
        assert np.isfinite(L).all()
        assert (np.diagonal(L) > 0).all()
    np.testing.assert_allclose(root(np.eye(2) * 4, cells), 2 * np.eye(2), atol=0.02)


def test_the_logistic_model_is_the_maximum_of_its_posterior() -> None:
    rng = np.random.default_rng(3)
    X = np.hstack([np.ones((300, 1)), rng.normal(size=(300, 2))])
    y = (rng.random(300) < 1 / (1 + np.exp(-X @ [0.5, 1.0, -2.0]))).astype(float)
    spread = np.array([INTERCEPT_SPREAD, SLOPE_SPREAD, SLOPE_SPREAD])

    def loss(b: np.ndarray) -> float:
        return float(np.logaddexp(0, X @ b).sum() - y @ X @ b + 0.5 * ((b / spread) ** 2).sum())

    beta, curvature = logistic(X, y)
    np.testing.assert_allclose(beta, scipy.optimize.minimize(loss, np.zeros(3), tol=1e-10).x, atol=1e-4)
    h = 1e-3 * np.eye(3)
    second = [
        [(loss(beta + a + b) - loss(beta + a - b) - loss(beta - a + b) + loss(beta - a - b)) / 4e-6 for b in h]
        for a in h
    ]
    np.testing.assert_allclose(curvature, second, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("y", [np.zeros(50), np.ones(50), np.arange(50) >= 25])
def test_separated_outcomes_have_a_finite_fit(y: np.ndarray) -> None:
    X = np.column_stack([np.ones(50), np.linspace(-2, 2, 50)])
    beta, _ = logistic(X, y.astype(float))
    assert np.abs(beta).max() < 30


def test_steps_that_change_something_are_fitted_alone() -> None:
    data = stalling()
    steps = data.steps()
    changed = session_moments(steps.where((steps.dx != 0).any(axis=1)))
    direct = estimate(changed.total, changed.center, changed.scale)
    hurdle = look(data).hurdle
    np.testing.assert_allclose(hurdle.per_change.A, direct.A, atol=1e-10)
    np.testing.assert_allclose(hurdle.per_change.Q, direct.Q, atol=1e-10)
    still = 1 - changed.n_steps / len(steps)
    assert float(hurdle.unchanged) == pytest.approx(still)
    np.testing.assert_allclose(hurdle.per_iteration.A, (1 - still) * direct.A, atol=1e-10)
    assert hurdle.per_iteration.rate == pytest.approx((1 - still) * hurdle.per_change.rate)
    np.testing.assert_allclose(hurdle.equilibrium.estimate, -np.linalg.solve(direct.A, direct.b))
    assert hurdle.model.rate == pytest.approx(float(hurdle.per_change.rate))


def test_half_the_time_between_iterations_doubles_the_rates() -> None:
    once, twice = look(stalling()).hurdle, look(stalling(), dt=0.5).hurdle
    assert twice.per_iteration.rate == pytest.approx(2 * once.per_iteration.rate)
    assert twice.per_iteration.half_life == pytest.approx(float(once.per_iteration.half_life))
    np.testing.assert_allclose(twice.forecast([3, 4, 5], 4)[1], once.forecast([3, 4, 5], 4)[1])


def test_a_forecast_weighs_all_ways_of_standing_still() -> None:
    hurdle = look(stalling(p=0.4)).hurdle
    p, model, start, k = float(hurdle.unchanged), hurdle.model, np.array([2.0, 8.0, 5.0]), 5
    means, seconds = np.zeros(3), np.zeros((3, 3))
    for moves in range(k + 1):
        # Given the number of moves, the state is that many affine steps away.
        weight = scipy.stats.binom(k, 1 - p).pmf(moves)
        mean, covariance = (v[-1] for v in model.forecast(start, moves))
        means += weight * mean
        seconds += weight * (covariance + np.outer(mean, mean))
    mean, covariance = hurdle.forecast(start, k)
    np.testing.assert_allclose(mean[-1], means)
    np.testing.assert_allclose(covariance[-1], seconds - np.outer(means, means), atol=1e-10)
    assert (covariance[0] == 0).all()


def test_a_state_dependent_forecast_is_simulated() -> None:
    hurdle = look(stalling(slope=np.array([0.8, 0, 0]), sessions=300)).hurdle
    assert hurdle.state_dependent
    x = np.array([3.0, 5.0, 6.0])
    mean, covariance = hurdle.forecast(x, 3, paths=40_000)
    p, drift = float(hurdle.stays(x)), hurdle.per_change.A @ x + hurdle.per_change.b
    expected = (1 - p) * hurdle.per_change.Q + p * (1 - p) * np.outer(drift, drift)
    np.testing.assert_allclose(mean[1], x + (1 - p) * drift, atol=6 * np.sqrt(np.diagonal(expected).max() / 40_000))
    np.testing.assert_allclose(covariance[1], expected, atol=6 * 2 * np.abs(expected).max() / np.sqrt(20_000))
    np.testing.assert_array_equal(hurdle.forecast(x, 3)[0], hurdle.forecast(x, 3)[0])
    # One of p as it is there gives the same one-step forecast.
    constant = replace(hurdle, slope=np.zeros(3), intercept=float(np.log(p / (1 - p))))
    np.testing.assert_allclose(constant.forecast(x, 1)[1][1], expected, atol=1e-10)


@pytest.mark.parametrize(("x", "steps"), [([1, 2], 3), ([1, 2, np.nan], 3), ([1, 2, 3], -1)])
def test_forecasts_need_a_state(x: list[float], steps: int) -> None:
    with pytest.raises(InputError, match="one state of 3 scores"):
        look(stalling()).hurdle.forecast(x, steps)


def test_moves_that_identify_nothing_say_so() -> None:
    # Every change starts from 0, so that nothing is known of a drift; unequal lengths, so that 1 can end sessions.
    rng = np.random.default_rng(0)
    paths = []
    for _ in range(60):
        last = int(min(rng.geometric(0.2), 9))
        paths.append(np.append(np.zeros(last), float(last < 9))[:, None])
    found = look(Trajectories.from_arrays(paths, ["solved"]))
    assert not found.hurdle.identified
    assert np.isnan(found.hurdle.per_change.rate)
    assert "hurdle" not in found.scores
    assert found.chosen == "chain"
    with pytest.raises(FitError, match="identify"):
        found.hurdle.forecast([0.0], 1)
    with pytest.raises(FitError, match="identify"):
        _ = found.hurdle.model


def test_where_scores_meet_the_change_alone_looks_like_overshooting() -> None:
    # Fresh draws from three levels: no dynamics, and yet every change leads elsewhere.
    rng = np.random.default_rng(1)
    found = look(Trajectories.from_arrays(rng.integers(0, 3, (100, 11, 1)).astype(float), ["grade"])).hurdle
    assert found.per_change.rate > 1.4
    assert found.coincidence > 0.2
    assert found.per_change.regime.label == "undetermined"
    assert look(stalling()).hurdle.coincidence == 0


def test_coincidence_counts_pairs_of_different_sessions() -> None:
    rng = np.random.default_rng(0)
    a, b, owner = rng.integers(0, 2, (40, 2)), rng.integers(0, 3, (40, 2)), rng.integers(0, 5, 40)
    met = [(a[i] == b[j]).all() for i in range(40) for j in range(40) if owner[i] != owner[j]]
    assert coincidence(a.astype(float), b.astype(float), owner) == pytest.approx(np.mean(met))
    assert coincidence(a.astype(float), b.astype(float), np.zeros(40, dtype=int)) == 0


def test_sums_are_resampled_over_sessions() -> None:
    rng = np.random.default_rng(0)
    for S in (7, 6_000):
        values = rng.normal(1, 2, (S, 2))
        sums = resampled(values, 4_000, np.random.default_rng(1))
        spread = values.std(axis=0) * np.sqrt(S)
        np.testing.assert_allclose(sums.mean(axis=0), values.sum(axis=0), atol=6 * spread.max() / np.sqrt(4_000))
        np.testing.assert_allclose(sums.std(axis=0), spread, rtol=0.08 if S < 10 else 0.3)


def test_scores_of_unseen_sessions_are_those_of_a_slow_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    from trimtab.estimation.coarse import held_out

    monkeypatch.setattr(held_out, "DOUBT", 1e-300)
    data = stalling(AffineSDE([[-0.5]], [2.5], [[1.0]]), sessions=20)
    steps = data.steps()
    cells = Cells.of(data.scores, np.isfinite(data.scores))
    moments = session_moments(steps)
    still = (steps.dx == 0).all(axis=1)
    changed = session_moments(steps.where(~still), moments.center, moments.scale)
    everything = np.ones(len(steps), dtype=bool)
    sample = held_out.Sample.of(
        cells, steps, moments, changed.outer, steps.session, everything, np.random.default_rng(0)
    )
    affine, hurdle = held_out.affine_scores(sample), held_out.hurdle_scores(sample, still, None)
    edges = cells.edges[0]

    def mass(score: float, law) -> float:
        cell = np.searchsorted(edges, score) - 1
        return law.cdf(edges[cell + 1]) - law.cdf(edges[cell])

    for i in range(0, len(steps), 7):
        rest = sample.fold != sample.fold[i]
        laws = []
        for used in (rest, rest & ~still):
            X = np.column_stack([np.ones(used.sum()), steps.x[used, 0]])
            beta, rss = np.linalg.lstsq(X, steps.dx[used, 0], rcond=None)[:2]
            mean = steps.x[i, 0] + beta @ [1, steps.x[i, 0]]
            laws.append(scipy.stats.norm(mean, np.sqrt(rss[0] / (used.sum() - 2))))
        y, p = steps.x[i, 0] + steps.dx[i, 0], (still[rest].sum() + 0.5) / (rest.sum() + 1)
        assert affine[i] == pytest.approx(np.log(mass(y, laws[0])), rel=1e-3)
        moved = (1 - p) * mass(y, laws[1]) / (1 - mass(steps.x[i, 0], laws[1]))
        assert hurdle[i] == pytest.approx(np.log(p if still[i] else moved), rel=1e-3)


def test_comparing_every_second_session_chooses_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stalling()
    whole = look(data)
    monkeypatch.setattr(choice, "MOST_COMPARED", 500)
    part = look(data)
    assert part.chosen == whole.chosen == "hurdle"
    assert part.gains["hurdle"].se > whole.gains["hurdle"].se
    assert part.hurdle.per_change.rate == whole.hurdle.per_change.rate


def test_nothing_is_tried_where_nothing_stands_still() -> None:
    found = look(panel())
    assert (found.chosen, found.hurdle, found.chain, dict(found.scores)) == ("affine", None, None, {})
    assert found.behaviour == ""
    assert "many levels" in found.says


def test_what_cannot_be_compared_is_said() -> None:
    frozen = Trajectories.from_arrays(np.ones((20, 5, 2)), NAMES[:2])
    assert look(frozen).says == "No step changes any score."
    alone = look(stalling(sessions=1, steps=60))
    assert alone.chosen == "affine"
    assert "one session is too few" in alone.says
    assert np.isnan(alone.hurdle.per_change.rate.low)
    none = Trajectories.from_arrays([np.ones((1, 1)), np.zeros((1, 1))], ["a"])
    assert look(none).says == "There is no step to look at."


@pytest.mark.parametrize("data", [stalling(), stalling(sessions=3), panel(), stalling(slope=np.array([1.0, 0, 0]))])
def test_the_document_is_plain(data: Trajectories) -> None:
    found = look(data)
    plain = json.loads(json.dumps(coarse_document(found), allow_nan=False))
    assert plain["chosen"] == found.chosen
    assert set(plain) >= {"says", "levels", "hurdle", "chain", "log_scores", "gains", "behaviour", "cautions"}
    if found.hurdle is not None:
        assert plain["hurdle"]["per_change"]["rate"]["estimate"] == float(found.hurdle.per_change.rate)


def test_sessions_that_differ_are_noticed() -> None:
    rng = np.random.default_rng(5)
    ready, stuck = (stalling(p=p, seed=s).scores.reshape(100, 11, 3) for p, s in ((0.2, 1), (0.9, 2)))
    mixed = look(Trajectories.from_arrays(np.where(rng.random((100, 1, 1)) < 0.5, ready, stuck), NAMES))
    assert mixed.hurdle.sessions_p_value < 1e-6
    assert any("sessions differ" in text for text in mixed.cautions)


def test_the_same_seed_gives_the_same_result() -> None:
    one, two = (coarse_document(look(stalling())) for _ in range(2))
    assert one == two


def test_speed() -> None:
    slow, quick = stalling(REAL), panel()
    for data, limit in ((slow, 0.08), (quick, 0.005)):
        look(data, draws=2000)
        taken = []
        for _ in range(5):
            start = time.perf_counter()
            look(data, draws=2000)
            taken.append(time.perf_counter() - start)
        # Machines differ and are shared; what matters is the order of magnitude.
        assert min(taken) < 5 * limit
