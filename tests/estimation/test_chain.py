from __future__ import annotations

import itertools

import numpy as np
import pytest

from coarse_panels import hopping, look
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.estimation.coarse.chain import Chain, chain_fit, smoothed
from trimtab.estimation.coarse.levels import levels_of
from trimtab.estimation.coarse.states import RARE, States, states_of
from trimtab.estimation.coarse.wording import chain_behaviour
from trimtab.estimation.options import Options

STAY = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.1, 0.3, 0.6]])
TURN = np.array([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])


def states(data: Trajectories) -> States | None:
    rows = np.ones(data.n_rows, dtype=bool)
    return states_of(data, data.steps(), rows, levels_of(data, data.steps(), rows)[1])


def chain(data: Trajectories, level: float = 0.95, draws: int = 500) -> Chain:
    found = states(data)
    assert found is not None
    return chain_fit(found, data.steps(), data.space.names, Options(1.0, level, draws, 0), "test")


def test_smoothing_adds_one_step_to_every_row() -> None:
    counts = np.array([[3.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(smoothed(counts), [[3.5 / 5, 1.5 / 5], [0.5, 0.5]])
    np.testing.assert_allclose(smoothed(np.stack([counts, counts]))[1], smoothed(counts))


@pytest.mark.parametrize("P", [STAY, TURN])
def test_the_figures_of_an_irreducible_chain_are_those_of_its_powers(P: np.ndarray) -> None:
    data = hopping(P)
    found = chain(data)
    steps, counts = data.steps(), np.zeros((3, 3))
    for x, dx in zip(steps.x[:, 0], steps.dx[:, 0], strict=True):
        counts[int(x), int(x + dx)] += 1
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_allclose(found.P, smoothed(counts))
    far = np.linalg.matrix_power(found.P, 500)
    np.testing.assert_allclose(found.law, far[0], atol=1e-10)
    np.testing.assert_allclose(found.equilibrium.estimate, far[0] @ [[0], [1], [2]], atol=1e-10)
    # What is left of a deviation falls by the second modulus per step, over enough steps for the other to die.
    left = [np.abs(np.linalg.matrix_power(found.P, k) - far).max() for k in (6, 18)]
    assert (left[1] / left[0]) ** (1 / 12) == pytest.approx(1 - found.rate, rel=0.05)
    known = np.linalg.eigvals(found.P)
    known = known[np.argsort(np.abs(known - 1))[1:]]
    np.testing.assert_allclose(np.sort_complex(found.eigenvalues), np.sort_complex(known), atol=1e-10)
    assert found.half_life == pytest.approx(np.log(0.5) / np.log(1 - found.rate))
    assert found.rate.low < found.rate < found.rate.high
    assert not found.absorbing.any()
    assert np.isnan(found.absorbed)


def test_a_chain_that_turns_has_a_period_of_three() -> None:
    found = chain(hopping(TURN))
    assert found.period == pytest.approx(3, abs=0.2)
    assert found.regime.label == "oscillatory"
    assert chain(hopping(STAY)).regime.label == "exponential"


def test_a_chain_of_two_states_has_the_sum_of_its_chances_as_rate() -> None:
    found = chain(hopping(np.array([[0.8, 0.2], [0.3, 0.7]])))
    assert found.rate == pytest.approx(found.P[0, 1] + found.P[1, 0])
    np.testing.assert_allclose(found.law, np.array([found.P[1, 0], found.P[0, 1]]) / float(found.rate))


def gambler(p: float, n: int) -> np.ndarray:
    P = np.eye(n + 1)
    for i in range(1, n):
        P[i, i], P[i, i + 1], P[i, i - 1] = 0, p, 1 - p
    return P


def test_the_gambler_s_ruin_is_known() -> None:
    """With chance p of winning one unit, r = (1 - p) / p: P(n before 0 | i) = (1 - r^i) / (1 - r^n)."""
    n, p = 5, 0.6
    data = hopping(gambler(p, n), sessions=60, steps=200)
    found = states(data)
    # Sessions go on in 0 and n, where nothing ever happens again.
    assert found.never_left.tolist() == [True, False, False, False, False, True]
    one = chain(data)
    exact = Chain(**{**{f: getattr(one, f) for f in one.__slots__}, "P": gambler(p, n)})
    from trimtab.estimation.coarse.chain import Future

    r = (1 - p) / p
    for i in range(1, n):
        future = Future(one.absorbing, np.eye(n + 1)[i], 7)
        win = (1 - r**i) / (1 - r**n)
        np.testing.assert_allclose(future.law(exact.P), [1 - win, 0, 0, 0, 0, win], atol=1e-12)
        np.testing.assert_allclose(future.expected(exact.P), i / (1 - 2 * p) - n / (1 - 2 * p) * win, rtol=1e-10)
        ended = exact.forecast([float(i)], 7)[0][-1, [0, n]].sum()
        assert future.absorbed(exact.P) == pytest.approx(ended)
    # lambda_k = 2 sqrt(p (1 - p)) cos(k pi / n) for the states between.
    future = Future(one.absorbing, np.eye(n + 1)[2], 7)
    expected = 2 * np.sqrt(p * (1 - p)) * np.cos(np.pi / n)
    assert np.abs(future.eigenvalues(exact.P)[0]) == pytest.approx(expected)
    going = future.going(exact.P)
    # Every move changes the parity, so that two neighbouring times make one law.
    late = exact.forecast([2.0], 81)[0][-2:, 1:n]
    late = (late / expected ** np.array([[80], [81]])).sum(axis=0)
    np.testing.assert_allclose(going[1:n], late / late.sum(), rtol=1e-6)


def test_sessions_that_end_on_a_state_make_it_absorbing_by_design() -> None:
    data = hopping(np.array([[0.6, 0.3, 0.1], [0.2, 0.6, 0.2], [0.0, 0.0, 1.0]]), stop=2, sessions=80, steps=8)
    found = chain(data)
    assert found.by_design.tolist() == found.absorbing.tolist() == [False, False, True]
    assert found.law.tolist() == pytest.approx([0, 0, 1])
    assert found.equilibrium.estimate == pytest.approx(2)
    T = found.P[:2, :2]
    firsts = np.array([path[0] for path in np.split(data.scores[:, 0], data.offsets[1:-1]) if path[0] < 2])
    start = np.bincount(firsts.astype(int)) / len(firsts)
    assert found.expected_steps == pytest.approx(start @ np.linalg.inv(np.eye(2) - T) @ np.ones(2))
    assert found.horizon == 8
    assert found.absorbed == pytest.approx(1 - start @ np.linalg.matrix_power(T, 8) @ np.ones(2))
    assert found.rate == pytest.approx(1 - np.abs(np.linalg.eigvals(T)).max())
    assert found.sessions_p_value > 1e-4
    started = [path for path in np.split(data.scores[:, 0], data.offsets[1:-1]) if path[0] < 2]
    assert found.reached == pytest.approx(np.mean([(path == 2).any() for path in started]))
    assert f"{found.reached:.0%} reached grade 2; the chain expects {found.absorbed:.0%}" in chain_behaviour(found)
    assert "sessions end on reaching grade 2" in look(data).cautions[0]


def test_sessions_of_one_length_end_anywhere() -> None:
    assert not chain(hopping(STAY)).by_design.any()
    pairs = Trajectories.from_arrays([np.array([[1.0], [0.0]])] * 40 + [np.array([[1.0], [1.0]])] * 10, ["flaw"])
    found = chain(pairs)
    # Nothing starts from 0, where most arrive: the long run is unknown.
    assert not found.by_design.any()
    assert not found.identified
    assert np.isnan(found.rate)
    assert np.isnan(found.equilibrium.estimate).all()
    assert "cannot be said" in chain_behaviour(found)


def test_a_state_never_left_is_absorbing_only_if_others_are_left() -> None:
    never = np.array([[0.9, 0.1], [0.0, 1.0]])
    assert chain(hopping(never)).absorbing.tolist() == [False, True]
    rare = np.array([[0.99, 0.01], [0.005, 0.995]])
    data = Trajectories.from_arrays([p[:, None] for p in np.split(hopping(rare, 30, 4).scores[:, 0], 30)], ["grade"])
    if states(data) is not None:
        assert not chain(data).absorbing.any()


def test_only_complete_consecutive_pairs_count() -> None:
    scores = [np.array([[0.0], [1.0], [np.nan], [1.0], [0.0]]), np.array([[0.0], [0.0], [1.0]])] * 4
    found = chain(Trajectories.from_arrays(scores, ["solved"]))
    np.testing.assert_array_equal(found.counts, 4 * np.array([[1.0, 2.0], [1.0, 0.0]]))


def test_joint_states_are_those_seen() -> None:
    rng = np.random.default_rng(0)
    hops = np.stack([rng.integers(0, 3, 90), rng.integers(0, 2, 90), np.full(90, 7)], axis=1).astype(float)
    hops[:, 1] = np.where(hops[:, 0] == 2, 0, hops[:, 1])
    found = states(Trajectories.from_arrays(hops.reshape(9, 10, 3), ["a", "b", "c"]))
    seen = sorted(map(tuple, np.unique(hops[:, :2], axis=0)))
    assert [tuple(v) for v in found.values] == seen
    assert found.objectives.tolist() == [0, 1]
    assert found.complete
    many = np.column_stack([hops[:, 0], rng.normal(size=90)]).reshape(9, 10, 2)
    part = states(Trajectories.from_arrays(many, ["a", "b"]))
    assert part.objectives.tolist() == [0]
    assert not part.complete


def test_many_objectives_do_not_overflow() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 2, (30, 10, 1)).astype(float)
    found = states(Trajectories.from_arrays(np.repeat(one, 90, axis=2), [f"o{j}" for j in range(90)]))
    assert len(found.values) == 2


def test_what_is_seen_once_or_twice_is_no_state() -> None:
    rng = np.random.default_rng(0)
    assert states(Trajectories.from_arrays(rng.integers(0, 60, (20, 10, 1)).astype(float), ["a"])) is None
    assert states(Trajectories.from_arrays(rng.normal(size=(20, 10, 1)), ["a"])) is None
    assert states(Trajectories.from_arrays(np.ones((20, 10, 1)), ["a"])) is None


def test_rare_states_are_lumped() -> None:
    data = hopping(np.pad(STAY, ((0, 2), (0, 2))) + np.diag([0, 0, 0, 1.0, 1.0]), sessions=200, steps=10, seed=4)
    scores = np.where(data.scores > 2, 0.0, data.scores)
    scores[[5, 45]], scores[[82, 115]] = 3.0, 4.0
    found = chain(Trajectories.from_arrays(scores.reshape(200, 11, 1), ["grade"]))
    assert len(found.P) == 4
    np.testing.assert_array_equal(found.group, [0, 1, 2, 3, 3])
    assert found.values[3] == pytest.approx(3.5)
    assert found.state([3.0]) == found.state([4.0]) == 3
    assert found.counts[3].sum() < 2 * RARE


def test_a_forecast_is_the_sum_over_all_paths() -> None:
    found = chain(hopping(STAY))
    law, mean = found.forecast([1.0], 3)
    slow = np.zeros(3)
    for path in itertools.product(range(3), repeat=3):
        slow[path[-1]] += np.prod([found.P[i, j] for i, j in itertools.pairwise((1, *path))])
    np.testing.assert_allclose(law[3], slow)
    np.testing.assert_allclose(mean[:, 0], law @ [0, 1, 2])
    assert law[0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(("scores", "match"), [([0.5], "visited are"), ([1, 1], "one score"), ([np.nan], "one score")])
def test_forecasts_start_from_states(scores: list[float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        chain(hopping(STAY)).forecast(scores, 1)
    with pytest.raises(InputError, match="steps >= 0"):
        chain(hopping(STAY)).forecast([1.0], -1)


def test_draws_of_single_steps_are_the_dirichlet_posterior() -> None:
    from trimtab.estimation.coarse.chain import _drawn

    rng = np.random.default_rng(2)
    origin = rng.integers(0, 2, 60)
    pairs = np.stack([origin, rng.random(60) < np.where(origin == 0, 0.2, 0.7)], axis=1).astype(float)[:, :, None]
    data = Trajectories.from_arrays(pairs, ["solved"])
    found = states(data)
    drawn = _drawn(found.origin, found.arrival, data.steps(), np.zeros(2, bool), Options(1.0, 0.95, 500, 0), "x")
    counts = np.zeros((2, 2))
    np.add.at(counts, (found.origin, found.arrival), 1)
    a = counts + 0.5
    total = a.sum(axis=1, keepdims=True)
    mean, variance = a / total, a * (total - a) / total**2 / (total + 1)
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=6 * np.sqrt(variance.max() / 500))
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=6 * np.sqrt(2 / 500))


def test_an_unbiased_report_of_the_chain_is_plain() -> None:
    from trimtab.estimation.coarse.document import coarse_document

    plain = coarse_document(look(hopping(STAY)))["chain"]
    assert plain["states"] == [[0.0], [1.0], [2.0]]
    assert plain["absorbed"]["estimate"] is None
    assert plain["regime"]["label"] == "exponential"
