"""Loops that stand still and chains against simulated truth: bounds are six standard errors, and faults are planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trimtab as tt
from coarse_panels import hopping, look, stalling
from simulated import COMPLEX, REAL, panel
from support.binomial import least, most
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.coarse import choice, held_out
from trimtab.estimation.coarse.choice import coarse_fit
from trimtab.estimation.coarse.document import coarse_document
from trimtab.estimation.coarse.hurdle import Hurdle
from trimtab.estimation.least_squares import cluster_covariance, coefficients, estimate
from trimtab.estimation.moments import session_moments
from trimtab.estimation.options import Options

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
OPTIONS = Options(dt=1.0, level=0.95, draws=100, seed=0)
SLOW = np.array([[0.8, 0.15, 0.05, 0.0], [0.1, 0.8, 0.05, 0.05], [0.0, 0.1, 0.8, 0.1], [0.05, 0.0, 0.3, 0.65]])
JUMPY = np.array([[0.1, 0.0, 0.0, 0.9], [0.3, 0.5, 0.2, 0.0], [0.0, 0.5, 0.4, 0.1], [0.8, 0.0, 0.1, 0.1]])


def largest_z(data: Trajectories, truth: AffineSDE, *, all_steps: bool) -> float:
    """Return max abs(estimate - truth) / standard error over A_c and b_c, fitted to the changes or to all steps."""
    steps = data.steps()
    chosen = steps if all_steps else steps.where((steps.dx != 0).any(axis=1))
    m = session_moments(chosen, np.zeros(3), np.ones(3))
    error = np.sqrt(np.diagonal(cluster_covariance(m))).reshape(4, 3)
    if all_steps:
        return float(np.abs((coefficients(m.total)[0] - np.vstack([truth.b, truth.A.T])) / error).max())
    loop = look(data).hurdle.per_change
    return float(np.abs((np.vstack([loop.b, loop.A.T]) - np.vstack([truth.b, truth.A.T])) / error).max())


@pytest.mark.parametrize("model", [REAL, COMPLEX])
@pytest.mark.parametrize("slope", [None, np.array([0.5, 0.0, 0.0])])
def test_the_changes_recover_the_drift_within_six_standard_errors(model: AffineSDE, slope: np.ndarray | None) -> None:
    assert largest_z(stalling(model, slope=slope, sessions=400, seed=3), model, all_steps=False) < 6


def test_all_steps_together_do_not() -> None:
    assert largest_z(stalling(sessions=400, seed=3), REAL, all_steps=True) > 20


def test_the_share_and_what_it_depends_on_are_recovered() -> None:
    hurdle = look(stalling(sessions=400, seed=3)).hurdle
    assert abs(hurdle.unchanged - 0.6) < 6 * np.sqrt(0.24 / 4000)
    assert not hurdle.state_dependent
    slope = np.array([0.5, 0.0, -0.3])
    hurdle = look(stalling(slope=slope, sessions=400, seed=3)).hurdle
    assert hurdle.state_p_value < 1e-6
    # Curvature of the likelihood: at least 4000 steps x 0.2 x variance of the scores, about 0.5.
    error = 1 / np.sqrt(4000 * 0.2 * 0.5)
    assert np.abs(hurdle.slope - slope).max() < 6 * error
    assert abs(hurdle.stays([5.0, 5.0, 5.0]) - 0.6) < 6 * 2 * error


def test_the_spread_of_a_forecast_is_that_of_the_loop_and_not_of_an_averaged_one() -> None:
    """Far from equilibrium a loop that stands still either jumps or stays; the affine fit spreads alike everywhere."""
    data = stalling(sessions=400, seed=3)
    hurdle, x, k = look(data).hurdle, np.array([9.0, 9.0, 9.0]), 3
    paths = np.tile(x, (20_000, 1))
    rng = np.random.default_rng(0)
    for _ in range(k):
        moved = REAL.step(paths, rng.standard_normal(paths.shape))
        paths = np.where(rng.random(len(paths))[:, None] < 0.6, paths, moved)
    truth = np.cov(paths.T)
    spread = np.abs(hurdle.forecast(x, k)[1][-1] - truth).max()
    m = session_moments(data.steps())
    plain = estimate(m.total, m.center, m.scale)
    wrong = np.abs(AffineSDE(plain.A, plain.b, plain.Q).forecast(x, k)[1][-1] - truth).max()
    assert spread < 0.1 * np.abs(truth).max() < 0.3 * np.abs(truth).max() < wrong


def covered(hurdle: Hurdle) -> np.ndarray:
    truths = (
        (hurdle.per_change.rate, REAL.rate),
        (hurdle.per_iteration.rate, 0.4 * REAL.rate),
        (hurdle.unchanged, 0.6),
    )
    return np.array([e.low < truth < e.high for e, truth in truths])


@pytest.mark.slow
def test_intervals_of_the_hurdle_cover_as_often_as_they_say() -> None:
    hits = sum(covered(look(stalling(sessions=60, seed=s)).hurdle) for s in range(100))
    assert (hits >= least(100)).all(), hits
    assert (hits < 100).any(), hits


@pytest.mark.slow
def test_intervals_of_the_chain_cover_as_often_as_they_say() -> None:
    truth = 1 - np.sort(np.abs(np.linalg.eigvals(SLOW)))[-2]
    level = np.linalg.matrix_power(SLOW, 1000)[0] @ np.arange(4)
    hits = np.zeros(2)
    for seed in range(100):
        found = look(hopping(SLOW, sessions=60, seed=seed)).chain
        mean = found.equilibrium
        hits += [found.rate.low < truth < found.rate.high, mean.low[0] < level < mean.high[0]]
    assert (hits >= least(100)).all(), hits


@pytest.mark.slow
def test_absorption_is_covered_and_forgetting_the_design_is_seen() -> None:
    P = np.array([[0.75, 0.2, 0.05], [0.2, 0.7, 0.1], [0.0, 0.0, 1.0]])
    hits = np.zeros(2)
    for seed in range(100):
        found = look(hopping(P, sessions=80, steps=8, seed=seed, stop=2)).chain
        assert found.by_design.tolist() == [False, False, True]
        # Starts are even over the three states; those of sessions with a step over the first two.
        expected = np.array([0.5, 0.5]) @ np.linalg.solve(np.eye(2) - P[:2, :2], np.ones(2))
        within = 1 - np.array([0.5, 0.5]) @ np.linalg.matrix_power(P[:2, :2], 8) @ np.ones(2)
        hits += [
            found.expected_steps.low < expected < found.expected_steps.high,
            found.absorbed.low < within < found.absorbed.high,
        ]
    assert (hits >= least(100)).all(), hits


def test_each_kind_of_data_gets_its_model() -> None:
    for seed in range(8):
        assert look(stalling(sessions=60, seed=seed)).chosen == "hurdle"
        assert look(stalling(sessions=60, slope=np.array([1.0, 0, 0]), seed=seed)).chosen == "hurdle"
        assert look(hopping(JUMPY, sessions=60, seed=seed)).chosen == "chain"
        assert (
            look(hopping(JUMPY[:2, :2] / JUMPY[:2, :2].sum(axis=1)[:, None], sessions=60, seed=seed)).chosen == "chain"
        )
        assert look(panel(sessions=60, seed=seed)).chosen == "affine"


@pytest.mark.parametrize(("n", "spread", "unit"), [(1, 0.5, 1.0), (1, 1.0, 1.0), (3, 0.5, 1.0), (3, 0.3, 0.5)])
def test_rounding_alone_asks_for_no_hurdle(n: int, spread: float, unit: float) -> None:
    """Rounded scores stand still often, and the affine step on the same cells explains it."""
    model = AffineSDE(REAL.A[:n, :n], REAL.b[:n], spread**2 * np.eye(n))
    unchanged = []
    for seed in range(15):
        rounded = np.round(panel(model, sessions=100, seed=seed).scores.reshape(100, 11, n) / unit) * unit
        found = look(Trajectories.from_arrays(rounded, [f"o{j}" for j in range(n)]))
        assert found.chosen == "affine", found.says
        unchanged.append(found.levels.unchanged)
    assert np.mean(unchanged) > 0.05


def test_a_wrong_footing_would_choose_the_hurdle_for_rounded_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: the affine step gets its density at the score and not the probability of its cell."""

    def density(sample: held_out.Sample) -> np.ndarray:
        scores = np.empty(len(sample.y))
        for own, mean, L in sample.training(sample.parts):
            z = np.linalg.solve(L, (sample.y[own] - mean).T)
            # With a resolution of a thousandth of a score.
            scores[own] = -0.5 * (z**2).sum(axis=0) - np.log(np.diagonal(L)).sum() + len(L) * (np.log(1e-3) - 0.92)
        return scores

    rounded = np.round(panel(AffineSDE([[-0.33]], [1.7], [[0.25]]), sessions=100).scores.reshape(100, 11, 1))
    data = Trajectories.from_arrays(rounded, ["a"])
    assert look(data).chosen == "affine"
    monkeypatch.setattr(choice, "affine_scores", density)
    assert look(data).chosen != "affine"


def rejections(p_values: list[float], level: float = 0.05) -> int:
    return int((np.array(p_values) < level).sum())


@pytest.mark.slow
def test_the_tests_have_their_size_and_power() -> None:
    same = [look(stalling(sessions=100, seed=s), draws=10).hurdle for s in range(100)]
    # A true size of .07 is granted.
    assert rejections([h.state_p_value for h in same]) <= most(100, 0.07)
    assert rejections([h.sessions_p_value for h in same]) <= most(100, 0.07)
    chains = [look(hopping(SLOW, sessions=60, seed=s), draws=10).chain for s in range(100)]
    assert rejections([c.sessions_p_value for c in chains]) <= most(100, 0.07)
    differing = [look(stalling(slope=np.array([0.7, 0, 0]), seed=s), draws=10).hurdle for s in range(20)]
    assert rejections([h.state_p_value for h in differing]) > 15


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize("path", sorted(DATA.glob("*.jsonl.gz")), ids=lambda path: path.name.split(".")[0])
def test_no_public_log_breaks_it(path: Path) -> None:
    if path.name.startswith("tasks_"):
        pytest.skip("tasks and no sessions")
    data = tt.load(path)
    steps = data.steps()
    for code in range(len(data.strategies)):
        own = steps.where(steps.strategy == code)
        found = coarse_fit(data, own, code, OPTIONS)
        assert coarse_document(found)["chosen"] in ("affine", "hurdle", "chain")
        if "chain" in found.scores:
            assert -20 < found.scores["chain"].mean <= 0


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")
def test_repair_loops_end_when_their_tests_pass() -> None:
    data = tt.load(DATA / "reflexion_final_humaneval.jsonl.gz")
    steps, code = data.steps(), data.strategies.index("reflexion_ucs")
    found = coarse_fit(data, steps.where(steps.strategy == code), code, OPTIONS)
    assert found.chosen == "chain"
    assert found.chain.values[found.chain.by_design].tolist() == [[1.0]]
    assert found.chain.counts[0].sum() == 1067
    assert found.chain.rate.low < found.chain.counts[0, 1] / 1067 < found.chain.rate.high
