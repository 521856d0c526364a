from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from simulated import NAMES, REAL, panel
from support.sides import joined, labelled, renamed, retries, tasks
from trimtab.core.trajectories import Trajectories
from trimtab.estimation.comparison import permutation
from trimtab.estimation.comparison.compare import compare


def loops(a: float, b: float, sessions: int = 60, tries: int = 6) -> tuple[Trajectories, Trajectories]:
    return tuple(
        retries(np.full(sessions, chance), tries, np.random.default_rng(seed)) for seed, chance in enumerate((a, b))
    )


def tried(data: Trajectories) -> tuple[int, int]:
    """Return successes and tries, by counting."""
    return int(data.scores.sum()), data.n_rows - data.n_sessions


def test_chances_per_try_are_those_that_counting_gives() -> None:
    a, b = loops(0.1, 0.4)
    found = compare(a, b, paired=False)["retry"].stillness
    assert found.model == "chain"
    assert found.target == "solved 1"
    assert found.horizon == 6
    row = found["chance"]
    for data, value in ((a, row.a), (b, row.b)):
        successes, tries = tried(data)
        # A prior of one step in all, half of it to each state.
        assert value == pytest.approx((successes + 0.5) / (tries + 1))
    assert row.difference.low < 0.3 < row.difference.high
    assert row.p_value < 0.001
    assert found["absorbed"].b == pytest.approx(1 - (1 - row.b) ** 6)
    assert found.test.p_value == 1 / (1 + permutation.PERMUTATIONS)
    # With one state to try from, standing still is not succeeding, and needs no row of its own.
    assert [one.figure for one in found.rows] == ["chance", "absorbed"]


def test_intervals_of_chances_are_those_of_the_ratio_over_sessions() -> None:
    a, b = loops(0.15, 0.3, sessions=150)
    row = compare(a, b, paired=False)["retry"].stillness["chance"]
    errors = []
    for data in (a, b):
        successes = np.add.reduceat(data.scores[:, 0], data.offsets[:-1])
        tries = data.lengths - 1
        errors.append(np.sqrt(((successes - tries * successes.sum() / tries.sum()) ** 2).sum()) / tries.sum())
    half = 1.97 * np.hypot(*errors)
    assert (row.difference.high - row.difference.low) / 2 == pytest.approx(half, rel=0.1)


def test_budgets_that_differ_are_no_difference() -> None:
    a = retries(np.full(80, 0.2), 5, np.random.default_rng(0))
    b = renamed(retries(np.full(80, 0.2), 14, np.random.default_rng(1)), "x")
    one = compare(a, b)["retry"]
    assert one.stillness.horizon == 5
    assert one["reached", "solved"].p_adjusted < 0.05
    assert one.stillness["absorbed"].p_adjusted > 0.05
    assert one.stillness.test.p_value > 0.05
    assert "ends higher" in one.verdict
    assert any("up to 5 tries and those of B up to 14" in text for text in one.warnings)
    # Later tries do not count: cutting them off changes nothing.
    cut = Trajectories.from_arrays(
        [b.scores[first : min(last, first + 6)] for first, last in zip(b.offsets, b.offsets[1:], strict=False)],
        b.space,
        "retry",
    )
    assert compare(a, cut, paired=False)["retry"].stillness["chance"].b == one.stillness["chance"].b
    assert "No difference in the chance to reach solved 1 can be seen" in one.verdict


def test_a_state_that_ends_sessions_on_one_side_ends_the_chain_on_both() -> None:
    stops = retries(np.full(60, 0.2), 8, np.random.default_rng(0))
    moves = np.random.default_rng(1).random((60, 8))
    x = np.zeros((60, 9, 1))
    for t in range(8):
        x[:, t + 1, 0] = np.where(x[:, t, 0] == 1, moves[:, t] > 0.3, moves[:, t] < 0.2)
    goes_on = renamed(Trajectories.from_arrays(x, stops.space, "retry"), "x")
    found = compare(stops, goes_on)["retry"].stillness
    assert found.absorbing == (False, True)
    assert found["chance"].p_value > 0.01


def test_a_side_that_never_succeeds_is_compared_all_the_same() -> None:
    a, b = loops(0.0, 0.3)
    one = compare(a, b, paired=False)["retry"]
    assert one.stillness["chance"].a < 0.01
    assert one.stillness["chance"].p_adjusted < 0.001
    assert "B reaches solved 1 more often per try than A" in one.verdict
    # Where neither ever does, nothing moves on either side.
    c, d = loops(0.0, 0.0)
    none = compare(c, d, paired=False)["retry"]
    assert none.stillness.model == "share"
    assert none.stillness["unchanged"].a == 1
    assert np.isnan(none.drift.p_value)
    assert none.trusted is None


def test_a_side_that_never_varies_is_compared_by_its_ends() -> None:
    constant = Trajectories.from_arrays(np.full((30, 5, 3), 4.0), NAMES, "EF")
    one = compare(panel(REAL, 30, seed=1), renamed(constant, "x"))["EF"]
    assert one["reached", "security"].b == 4
    assert (one.stillness["unchanged"].a, one.stillness["unchanged"].b) == (0, 1)
    assert any("no objective varies" in text for text in one.warnings)
    assert "StrategyComparison('EF'" in repr(one)


def test_pairs_narrow_what_hard_and_easy_tasks_share() -> None:
    rng = np.random.default_rng(0)
    chances = rng.beta(0.3, 1.2, 120)
    a, b = (retries(np.clip(chances + more, 0, 1), 3, rng) for more in (0.0, 0.1))
    together, apart = (compare(a, b, paired=paired)["retry"].stillness for paired in (True, False))
    width = [found["chance"].difference.high - found["chance"].difference.low for found in (together, apart)]
    assert width[0] < 0.9 * width[1]


def test_levels_without_an_end_are_compared_by_where_they_lead() -> None:
    def side(up: float, seed: int) -> Trajectories:
        rng = np.random.default_rng(seed)
        x = np.zeros((60, 13, 1))
        for t in range(12):
            moves = rng.random((60, 1))
            x[:, t + 1] = np.where(moves < up, 1.0, np.where(moves > 0.85, 0.0, x[:, t]))
        return Trajectories.from_arrays(x, ["works:0:1"], "loop")

    one = compare(side(0.1, 0), renamed(side(0.4, 1), "x"))["loop"]
    found = one.stillness
    assert not any(found.absorbing)
    row = found["long_run", "works"]
    assert (row.a, row.b) == pytest.approx((0.1 / 0.25, 0.4 / 0.55), abs=0.1)
    assert found["chain_rate"].difference == pytest.approx(0.3, abs=0.1)
    assert "In the long run B averages higher in works" in one.verdict


def test_loops_that_mostly_stand_still_are_compared_as_hurdles() -> None:
    def side(moves: float, seed: int) -> Trajectories:
        rng = np.random.default_rng(seed)
        x = np.empty((80, 13, 1))
        x[:, 0] = rng.normal(5, 2, (80, 1))
        for t in range(12):
            step = -0.6 * (x[:, t] - 5) + rng.normal(0, 0.7, (80, 1))
            x[:, t + 1] = x[:, t] + np.where(rng.random((80, 1)) < moves, step, 0.0)
        return Trajectories.from_arrays(x, ["quality"], "loop")

    found = compare(side(0.2, 0), renamed(side(0.45, 1), "x"))["loop"].stillness
    assert found.model == "hurdle"
    assert found["unchanged"].difference == pytest.approx(-0.25, abs=0.08)
    assert found["rate_per_change"].p_adjusted > 0.05
    assert found["rate_per_iteration"].difference.low < 0.6 * 0.25 < found["rate_per_iteration"].difference.high
    assert found["rate_per_iteration"].p_adjusted < 0.05


def test_affine_loops_have_no_such_part() -> None:
    assert compare(panel(REAL, 40, seed=1), panel(REAL, 40, seed=2), draws=50)["EF"].stillness is None


def test_sessions_solved_at_once_are_counted_as_left_out() -> None:
    a, b = loops(0.2, 0.2)
    at_once = Trajectories.from_arrays(np.ones((7, 1, 1)), ["solved:0:1"], "retry")
    found = compare(joined(a, at_once), b, paired=False)
    assert [(e.count, e.unit) for e in found.exclusions] == [(7, "sessions")]
    assert "7 of them end at the best score" in str(found.exclusions[0])


def slow_statistic(a: np.ndarray, b: np.ndarray, *, paired: bool) -> float:
    """Return the statistic from its definition, cell by cell."""
    total = 0.0
    for i in range(a.shape[1]):
        rows = [side[:, i].sum() for side in (a, b)]
        for j in range(a.shape[2]):
            if not all(rows) or not (a[:, i, j].sum() + b[:, i, j].sum()):
                continue
            P = [side[:, i, j].sum() / row for side, row in zip((a, b), rows, strict=True)]
            u = [(s[:, i, j] - p * s[:, i].sum(axis=1)) / row for s, p, row in zip((a, b), P, rows, strict=True)]
            spread = ((u[1] - u[0]) ** 2).sum() if paired else (u[0] ** 2).sum() + (u[1] ** 2).sum()
            total += (P[1] - P[0]) ** 2 / (spread + sum(1 / (2 * row + 2) ** 2 for row in rows))
    return total


def units(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).poisson(0.8, (count, 3, 3)).astype(float)


@pytest.mark.parametrize("paired", [True, False])
def test_the_statistic_and_its_permutations_are_those_of_the_definition(paired: bool) -> None:
    a, b = units(6, 1), units(6 if paired else 9, 2)
    found = permutation.transition_test(a, b, paired=paired, seed=0, key=("x",))
    assert found.statistic == pytest.approx(slow_statistic(a, b, paired=paired))
    cells = np.arange(9)
    kind = permutation._Paired if paired else permutation._Apart
    statistic = kind(permutation._cells(a, cells), permutation._cells(b, cells))
    dealt = statistic.dealt(np.random.default_rng(3), 20)
    for one, value in zip(dealt, statistic.values(dealt), strict=True):
        if paired:
            sides = np.where(one[:, None, None], b, a), np.where(one[:, None, None], a, b)
        else:
            both = np.concatenate([a, b])
            assert one.sum() == len(a)
            sides = both[one], both[~one]
        assert value == pytest.approx(slow_statistic(*sides, paired=paired))


def test_of_one_try_each_the_test_is_a_permutation_test_of_two_shares() -> None:
    rng = np.random.default_rng(0)
    wins = rng.random(25) < 0.3, rng.random(30) < 0.65
    sides = [np.stack([np.stack([~won, won], 1), np.zeros((len(won), 2))], 1).astype(float) for won in wins]
    p = permutation.transition_test(*sides, paired=False, seed=0, key=("x",)).p_value
    table = [[won.sum(), (~won).sum()] for won in wins]
    exact = scipy.stats.fisher_exact(table).pvalue
    # Ties are broken by the statistic here and by the probability there; otherwise the two agree.
    assert p == pytest.approx(exact, abs=0.02)


def test_many_units_are_dealt_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = units(60, 1), units(60, 2)
    whole = permutation.transition_test(a, b, paired=True, seed=0, key=("x",))
    monkeypatch.setattr(permutation, "_MOST", 20)
    grouped = permutation.transition_test(a, b, paired=True, seed=0, key=("x",))
    assert grouped.p_value == pytest.approx(whole.p_value, abs=0.15)
    assert grouped.p_value != whole.p_value


def test_tasks_with_many_sessions_are_the_units() -> None:
    rng = np.random.default_rng(1)
    chances = np.repeat(rng.beta(0.4, 0.8, 12), 10)
    a, b = (labelled(retries(chances, 3, rng), task_id=tasks(12, 10)) for _ in range(2))
    b = renamed(b, "x")
    by_tasks, by_sessions = (
        compare(a, b, by=by, paired=False)["retry"].stillness["chance"].difference for by in ("task_id", "session_id")
    )
    assert by_tasks.high - by_tasks.low > 1.3 * (by_sessions.high - by_sessions.low)


def test_the_order_of_sessions_does_not_matter() -> None:
    a, b = loops(0.2, 0.4, sessions=30)
    turned = replace(b.select(np.arange(30)[::-1]))
    one, other = (compare(a, side)["retry"].stillness["chance"] for side in (b, turned))
    assert one.difference == pytest.approx(other.difference)
    assert one.difference.low == pytest.approx(other.difference.low, abs=1e-9)
