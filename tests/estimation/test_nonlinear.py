from __future__ import annotations

import json

import numpy as np
import pytest

import trimtab as tt
from simulated import REAL, panel
from trimtab.core.streams import stream
from trimtab.dynamics.drift_basis import BasisDrift, monomials
from trimtab.errors import FitError, InputError
from trimtab.estimation.audit.clustered import held_out_gain
from trimtab.estimation.audit.finding import AuditOptions
from trimtab.estimation.audit.sample import Sample
from trimtab.estimation.nonlinear.long_run import followed_points, long_run
from trimtab.estimation.nonlinear.regression import PENALTIES, Wide, held_out, replicates


def iterated(drift, start, steps: int, sd: float, seed: int) -> np.ndarray:
    """Simulate paths (S, steps + 1, n) of x + drift(x) + noise from starts (S, n)."""
    rng = np.random.default_rng(seed)
    x = [np.asarray(start, dtype=float)]
    for _ in range(steps):
        x.append(x[-1] + drift(x[-1]) + sd * rng.standard_normal(x[-1].shape))
    return np.stack(x, axis=1)


def pitchfork(seed: int = 0, sessions: int = 80, sd: float = 0.1) -> tt.Trajectories:
    start = np.linspace(-1.6, 1.6, sessions)[:, None]
    return tt.Trajectories.from_arrays(iterated(lambda x: 0.5 * (x - x**3), start, 8, sd, seed), ["lean:-2:2"], "EF")


def regression(data: tt.Trajectories):
    return Sample(data, 0, data.steps(), AuditOptions()).regression


@pytest.fixture(scope="module")
def forked():
    return tt.fit_nonlinear(pitchfork(), basis="cubic", draws=80)


def test_a_pitchfork_has_its_three_points_of_their_kinds(forked) -> None:
    one = forked["EF"]
    assert one.chosen == "nonlinear"
    assert [point.kind for point in one.fixed_points] == ["stable node", "unstable node", "stable node"]
    for point, truth in zip(one.fixed_points, (-1, 0, 1), strict=True):
        assert point.low[0] < truth < point.high[0]
        assert point.probability > 0.99
        assert point.seen
        # The multiplier is 1 + .5 (1 - 3 x^2).
        assert point.multipliers[0].real == pytest.approx(1 + 0.5 * (1 - 3 * truth**2), abs=0.25)
    assert one.counts == {3: 1.0}
    assert one.long_run.high < 0
    assert one.long_run.escaped == 0


def test_its_drift_can_be_asked_and_simulated(forked) -> None:
    one = forked["EF"]
    x = np.linspace(-1.5, 1.5, 7)[:, None]
    assert one.drift(x) == pytest.approx(0.5 * (x - x**3), abs=0.1)
    assert one.drift([0.5]).shape == (1,)
    model = tt.NonlinearSDE(lambda x: one.drift(x.T).T, lambda x: 0.1 + 0 * x, n=1)
    assert model.drift(np.array([[1.0, -1.0]])) == pytest.approx(0, abs=0.05)


def test_without_a_ridge_the_gain_is_that_of_the_audit() -> None:
    for data in (panel(REAL, 60, 6), pitchfork()):
        r = regression(data)
        wide = Wide.of(r, monomials(r.n, 2))
        assert wide.penalties == (0.0,)
        i, j = np.triu_indices(r.n)
        theirs = held_out_gain(r, r.beyond_state(r.u[:, i] * r.u[:, j]), 0.95, 3)
        mine = held_out(wide, 0.95, 3).gain
        assert [mine.estimate, mine.low, mine.high] == pytest.approx([theirs.estimate, theirs.low, theirs.high])


def test_coefficients_are_those_of_plain_least_squares_and_replicates_those_of_resampled_sessions() -> None:
    data = panel(REAL, 40, 6)
    r = regression(data)
    basis = monomials(3, 2)
    wide = Wide.of(r, basis)
    linear, full = replicates(wide, 0.0, 200, 0, "EF")
    X = np.hstack([r.Z, basis(r.u)])
    assert full[0] == pytest.approx(np.linalg.lstsq(X, r.du)[0], abs=1e-9)
    assert linear[0] == pytest.approx(r.beta, abs=1e-9)
    # By hand: sessions drawn with replacement, and refitted.
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(200):
        rows = np.concatenate([np.flatnonzero(r.owner == s) for s in rng.integers(0, 40, 40)])
        drawn.append(np.linalg.lstsq(X[rows], r.du[rows])[0])
    assert full[1:].std(axis=0) == pytest.approx(np.std(drawn, axis=0), rel=6 * 1.5 / np.sqrt(200))


def test_a_ridge_is_tried_only_where_sessions_are_few_and_its_choice_is_paid_for() -> None:
    few = regression(panel(REAL, 12, 6))
    wide = Wide.of(few, monomials(3, 3))
    assert wide.penalties == PENALTIES
    found = held_out(wide, 0.95, 0)
    assert found.penalty > 0
    # By hand, the choice being made anew without each fold.
    folds = stream(0, "folds").permutation(12) % 10
    X, du, k = wide.X, few.du, 4

    def beta(rows, penalty):
        P = np.diag([0.0] * k + [penalty * len(rows)] * wide.terms)
        return np.linalg.solve(X[rows].T @ X[rows] + P, X[rows].T @ du[rows])

    weight = 1 / ((du - du.mean(axis=0)) ** 2).sum(axis=0) / 3
    of = folds[few.owner]
    saved = 0.0
    for fold in range(10):
        losses = [
            sum(
                (((du - X @ beta(np.flatnonzero((of != fold) & (of != g)), penalty))[of == g]) ** 2 @ weight).sum()
                for g in range(10)
                if g != fold
            )
            for penalty in PENALTIES[1:]
        ]
        rest, own = np.flatnonzero(of != fold), of == fold
        best = PENALTIES[1 + int(np.argmin(losses))]
        narrow = np.linalg.solve(X[rest, :k].T @ X[rest, :k], X[rest, :k].T @ du[rest])
        saved += ((du - X[:, :k] @ narrow)[own] ** 2 @ weight).sum() - (
            (du - X @ beta(rest, best))[own] ** 2 @ weight
        ).sum()
    assert found.gain.estimate == pytest.approx(saved, rel=1e-6)


def test_a_point_that_vanishes_in_half_of_the_draws_says_so() -> None:
    """Drifts u^2 - c: two points where c > 0 and none elsewhere."""
    rng = np.random.default_rng(0)
    c = np.concatenate([[0.04], rng.normal(0.04, 0.08, 400)])
    theta = np.zeros((401, 3, 1))
    theta[:, 0, 0], theta[:, 2, 0] = -c, 1.0
    points, counts = followed_points(
        BasisDrift(theta, monomials(1, 2)), np.full(1, -1.0), np.full(1, 1.0), (np.full(1, -0.1), np.ones(1)), 0.95, 50
    )
    share = float((c[1:] > 0).mean())
    assert 0.5 < share < 0.8
    assert [point.kind for point in points] == ["stable node", "unstable node"]
    assert [point.probability for point in points] == pytest.approx([share, share])
    assert counts == pytest.approx({0: 1 - share, 2: share})
    assert [point.seen for point in points] == [False, True]
    assert [point.stable for point in points] == [1.0, 0.0]


def test_orbits_that_escape_are_counted() -> None:
    """The map u + .5 u + u^2 has a stable point at -.5, and sends every u > 0 to infinity."""
    theta = np.tile(np.array([[0.0], [0.5], [1.0]]), (21, 1, 1))
    low, high = np.full(1, -1.0), np.full(1, 1.0)
    starts = np.array([[-0.9], [-0.4], [0.2], [0.5]])
    found = long_run(BasisDrift(theta, monomials(1, 2)), starts, low, high, 0.95, 20)
    assert found.escaped == 0.5
    assert found.escaped_draws == 1.0
    assert found.exponent == pytest.approx(np.log(0.5), abs=1e-6)  # 1 + .5 + 2 (-.5)
    lost = long_run(BasisDrift(theta, monomials(1, 2)), starts[2:], low, high, 0.95, 20)
    assert np.isnan(lost.exponent)
    assert lost.escaped == 1.0


def test_chaos_is_called_so() -> None:
    """The logistic map at r = 3.9, whose exponent is .496 (Sprott 2003)."""
    rng = np.random.default_rng(0)
    x = [rng.uniform(0.1, 0.9, (60, 1))]
    for _ in range(8):
        x.append(3.9 * x[-1] * (1 - x[-1]))
    scores = np.stack(x, axis=1) + 0.001 * rng.standard_normal((60, 9, 1))
    one = tt.fit_nonlinear(tt.Trajectories.from_arrays(scores, ["q:0:1"], "EF"), draws=60)["EF"]
    assert one.chosen == "nonlinear"
    assert one.long_run.exponent == pytest.approx(0.496, abs=0.05)
    assert one.long_run.positive > 0.95
    assert [point.kind for point in one.fixed_points] == ["unstable node", "unstable node"][-len(one.fixed_points) :]


def test_linear_data_keep_their_linear_drift_and_equilibrium() -> None:
    data = panel(REAL, 80, 8)
    found = tt.fit_nonlinear(data, draws=80)
    one, fit = found["EF"], tt.fit(data, estimator="least-squares")["EF"]
    assert one.chosen == "linear"
    assert one.fixed_points[0].point == pytest.approx(fit.equilibrium.estimate)
    assert one.long_run.exponent == pytest.approx(np.log(fit.spectral_radius), abs=2e-3)
    assert one.fixed_points[0].high - one.fixed_points[0].low == pytest.approx(
        fit.equilibrium.high - fit.equilibrium.low, rel=0.5
    )
    assert found.strategies["EF"].says.startswith("Linear is")


def test_units_do_not_matter() -> None:
    data = pitchfork()
    other = tt.Trajectories.from_arrays(data.scores.reshape(80, 9, 1) * 1000 + 5000, ["lean:3000:7000"], "EF")
    a, b = (tt.fit_nonlinear(one, basis="cubic", draws=12)["EF"] for one in (data, other))
    assert [p.point[0] * 1000 + 5000 for p in a.fixed_points] == pytest.approx([p.point[0] for p in b.fixed_points])
    assert b.gain.estimate == pytest.approx(a.gain.estimate)
    assert b.long_run.exponent == pytest.approx(a.long_run.exponent, abs=1e-4)


def test_the_same_seed_gives_the_same_document_and_another_seed_another(forked) -> None:
    again = tt.fit_nonlinear(pitchfork(), basis="cubic", draws=80)
    assert again.to_json() == forked.to_json()
    document = json.loads(forked.to_json())
    assert document["schema"] == "trimtab.nonlinear/1"
    one = document["strategies"]["EF"]
    assert [point["type"] for point in one["fixed_points"]] == ["stable node", "unstable node", "stable node"]
    assert set(one["lyapunov"]) == {"exponent", "low", "high", "positive", "escaped", "escaped_draws"}
    assert one["terms"] == ["lean^2", "lean^3"]


def test_a_basis_of_ones_own(forked) -> None:
    found = tt.fit_nonlinear(pitchfork(), basis=lambda u: np.concatenate([u**2, u**3], axis=-1), draws=12)
    assert found["EF"].gain == forked["EF"].gain
    for mine, theirs in zip(found["EF"].fixed_points, forked["EF"].fixed_points, strict=True):
        assert mine.point == pytest.approx(theirs.point)
        assert mine.multipliers == pytest.approx(theirs.multipliers, abs=1e-6)


def test_open_objectives_are_looked_at_a_little_beyond_what_was_seen_and_a_box_decides() -> None:
    data = pitchfork()
    scores = data.scores.reshape(80, 9, 1)
    free = tt.Trajectories.from_arrays(scores, ["lean:-inf:inf"], "EF")
    one = tt.fit_nonlinear(free, basis="cubic", draws=10)["EF"]
    assert one.low[0] == pytest.approx(scores.min() - (scores.max() - scores.min()) / 2)
    half = tt.fit_nonlinear(free, basis="cubic", draws=20, box={"lean": (0.5, 2.0)})["EF"]
    assert [round(point.point[0]) for point in half.fixed_points] == [1]


def test_the_summary_reads_as_sentences(forked) -> None:
    text = forked.summary()
    assert "A straight line does not do: cubic terms change the R2 of unseen steps" in text
    assert "3 fixed points within lean -2.00 to 2.00. 100% of the draws agree on the number." in text
    assert "runs that start close together end close together" in text
    assert max(map(len, text.splitlines())) <= 118


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"basis": "quintic"}, "'quadratic' or 'cubic'"),
        ({"basis": lambda u: u[:, 0]}, "returned the shape"),
        ({"basis": lambda u: np.log(u)}, "not finite"),
        ({"basis": lambda u: np.tile(u, 61)}, "from 1 to 60 terms"),
        ({"drift": "bent"}, "'auto', 'linear' or 'nonlinear'"),
        ({"strategy": "XX"}, "there are EF"),
        ({"box": {"lean": (2, 1)}}, "low < high"),
        ({"box": {"speed": (0, 1)}}, "no objective is called"),
        ({"draws": 1}, "from 10 to"),
    ],
)
def test_what_cannot_be_used_is_said(options, words: str) -> None:
    with pytest.raises(InputError, match=words):
        tt.fit_nonlinear(pitchfork(), **options)


def test_without_enough_sessions_there_is_no_comparison_and_without_steps_no_fit() -> None:
    data = pitchfork()
    one = tt.fit_nonlinear(data.select(np.arange(3)), draws=10)["EF"]
    assert one.chosen == "linear"
    assert "at least 5 sessions, and there are 3" in one.says
    with pytest.raises(FitError, match="no complete step"):
        tt.fit_nonlinear(tt.Trajectories.from_arrays(np.zeros((5, 1, 1)), ["q"], "EF"))
    still = tt.Trajectories.from_arrays(np.random.default_rng(0).integers(0, 2, (30, 6, 1)) * 1.0, ["q:0:1"], "EF")
    assert "so few values that no bend" in tt.fit_nonlinear(still, draws=10)["EF"].says
