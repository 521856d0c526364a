from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from support.steering import known, situation
from trimtab.control.cusum import alarm_chance
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.monitor import StreamWatch, session_alarm, step_surprises, surprise_of
from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError

EXPONENTIAL = stats.expon.cdf


def loop(n: int, seed: int) -> tuple[ObjectiveSpace, np.ndarray, np.ndarray, np.ndarray]:
    """Return a space without bounds that matter, a stable transition, its shift and its innovations."""
    rng = np.random.default_rng(seed)
    F = rng.normal(size=(n, n))
    F *= 0.8 / np.abs(np.linalg.eigvals(F)).max()
    root = rng.normal(0, 0.4, (n, n)) + np.eye(n)
    space = ObjectiveSpace([f"o{j}:-1000:1000" for j in range(n)])
    return space, F, rng.normal(size=n), root @ root.T


def walked(F: np.ndarray, c: np.ndarray, Q: np.ndarray, sessions: int, steps: int, seed: int, noise: float = 0.0):
    rng = np.random.default_rng(seed)
    n = len(c)
    x = np.empty((sessions, steps + 1, n))
    x[:, 0] = rng.normal(size=(sessions, n))
    for t in range(steps):
        x[:, t + 1] = x[:, t] @ F.T + c + rng.multivariate_normal(np.zeros(n), Q, size=sessions)
    return x + rng.normal(0, noise, x.shape) if noise else x


@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize("noise", [0.0, 0.8])
def test_surprises_are_standard_exponential_while_nothing_changes(n: int, noise: float) -> None:
    space, F, c, Q = loop(n, n)
    knowledge = known(space, {"A": F}, {"A": c}, Q, score_noise=[noise**2] * n)
    y = walked(F, c, Q, 600, 6, n, noise)
    y[::3, 2, 0] = np.nan  # with one objective, a step without any score
    e = step_surprises(situation(Goal(space), knowledge, y))
    assert np.isnan(e).sum() == (200 if n == 1 else 0)
    assert stats.kstest(e[np.isfinite(e)], EXPONENTIAL).pvalue > 1e-6


@pytest.mark.parametrize(("n", "budget"), [(1, 4), (3, 10), (5, 25)])
def test_the_false_alarm_rate_of_sessions_is_the_stated_one(n: int, budget: int) -> None:
    space, F, c, Q = loop(n, n)
    knowledge = known(space, {"A": F}, {"A": c}, Q)
    sessions = 30_000 // budget
    now = situation(Goal(space), knowledge, walked(F, c, Q, sessions, budget, n), budget=budget)
    for alpha in (0.2, 0.05):
        alarm = session_alarm(now, alpha)
        assert stats.binomtest(int(alarm.fired.sum()), sessions, alpha).pvalue > 1e-6
        assert (alarm.fired == (alarm.p <= alpha)).mean() > 0.999  # p-values come from a table
    # Each p-value is the chance of getting as far: uniform where it is not 1.
    for level in (0.5, 0.1):
        assert stats.binomtest(int((alarm.p <= level).sum()), sessions, level).pvalue > 1e-6


def test_what_is_known_from_few_steps_surprises_no_more_than_that_allows() -> None:
    wide = ObjectiveSpace(["a:-1e6:1e6", "b:-1e6:1e6"])
    judged, taken_for_known = [], []
    for seed in range(400):
        # Innovations and drift are drawn from the weak prior, and five steps seen: then one more is predicted.
        rng = np.random.default_rng(seed)
        Q = stats.invwishart.rvs(df=4, scale=0.25 * np.eye(2), random_state=rng).reshape(2, 2)
        B = rng.normal(size=(3, 2)) @ np.linalg.cholesky(Q).T
        u = rng.normal(size=(6, 2))
        du = np.c_[np.ones(6), u] @ B + rng.multivariate_normal(np.zeros(2), Q, size=6)
        w = np.c_[np.ones(5), u[:5], du[:5]]
        knowledge = Knowledge.none(ObjectiveSpace(["a", "b"]), ["A"]).added((w.T @ w)[None])
        now = situation(Goal(wide), knowledge, 5.0 + np.array([[u[5], u[5] + du[5]]]))
        judged.append(step_surprises(now)[0, 0])
        taken_for_known.append(surprise_of(now.beliefs.surprise[0, 1], 2))
    assert stats.kstest(judged, EXPONENTIAL).pvalue > 1e-6
    assert stats.kstest(np.ravel(taken_for_known), EXPONENTIAL).pvalue < 1e-6


def test_a_real_change_is_found() -> None:
    space, F, c, Q = loop(3, 3)
    knowledge = known(space, {"A": F}, {"A": c}, Q)
    shift = 1.5 * np.linalg.cholesky(Q)[:, 0] / np.linalg.norm(np.linalg.cholesky(Q)[:, 0]) * np.sqrt(Q[0, 0])
    moved = situation(Goal(space), knowledge, walked(F, c + shift, Q, 1000, 10, 4))
    same = situation(Goal(space), knowledge, walked(F, c, Q, 1000, 10, 5))
    found, false = session_alarm(moved, 0.05).fired.mean(), session_alarm(same, 0.05).fired.mean()
    assert found > 0.6
    assert false < 0.09
    wilder = situation(Goal(space), knowledge, walked(F, c, 3 * Q, 1000, 10, 6))
    assert session_alarm(wilder, 0.05).fired.mean() > 0.9


def test_before_the_first_step_there_is_no_alarm() -> None:
    space, F, c, Q = loop(2, 2)
    alarm = session_alarm(situation(Goal(space), known(space, {"A": F}, {"A": c}, Q), np.zeros((3, 1, 2))))
    assert not alarm.fired.any()
    assert alarm.p.tolist() == [1.0, 1.0, 1.0]


def test_a_stream_adds_up_over_sessions_and_says_when() -> None:
    rng = np.random.default_rng(7)
    parts = [rng.exponential(size=10) for _ in range(20)]
    later = [2.5 * rng.exponential(size=10) for _ in range(20)]
    watch = StreamWatch(0.01, 1000)
    for part in parts:
        watch = watch.after(part)
    assert watch.alarm is None
    for part in later:
        watch = watch.after(part)
    assert watch.alarm is not None
    assert 200 < watch.alarm <= 260
    at_once = StreamWatch(0.01, 1000).after(np.concatenate(parts + later))
    assert (at_once.total, at_once.steps, at_once.alarm) == (watch.total, watch.steps, watch.alarm)
    assert alarm_chance(watch.height, 1000) == pytest.approx(0.01, rel=1e-6)


def test_a_stream_is_one_dimensional_and_has_a_rate() -> None:
    with pytest.raises(InputError, match=r"shape \(T,\)"):
        StreamWatch().after(np.zeros((2, 3)))
    with pytest.raises(InputError, match="0 < alpha < 1"):
        StreamWatch(alpha=0.0)
