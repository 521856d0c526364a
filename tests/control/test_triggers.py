from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from support.steering import known, situation
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.situation import Situation
from trimtab.control.triggers import Below, Drift, Falling, RateAbove, fired, read_trigger
from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError

SPACE = ObjectiveSpace(["quality", "cost:0:100:min"])
F = {"slow": [[0.9, 0.0], [0.0, 0.8]], "over": [[-0.6, 0.0], [0.0, -0.7]]}
C = {name: (np.eye(2) - np.array(one)) @ [5.0, 50.0] for name, one in F.items()}
Q = [[0.5, 0.0], [0.0, 9.0]]


def at(scores: object, strategy: object = None, noise: tuple[float, float] = (0.0, 0.0)) -> Situation:
    knowledge = known(SPACE, F, C, Q, score_noise=noise, start_sd=2.0)
    return situation(Goal(SPACE), knowledge, scores, strategy)


def test_below_is_the_normal_chance_of_the_true_quality() -> None:
    now = at([[[2.5, 90.0]], [[8.0, 20.0]]], noise=(1.0, 4.0))
    # Starts are N((5, 50), 4 I); with noise 1 and 4 a score counts 4/5 and 1/2.
    mean, sd = 5 + 0.8 * (np.array([2.5, 8.0]) - 5), np.sqrt(0.8)
    hit, p = Below("quality", 3.5).check(now)
    assert p == pytest.approx(stats.norm.cdf(3.5, mean, sd), rel=1e-6)
    assert hit.tolist() == [True, False]
    _, p = Below("cost", 60.0).check(now)
    assert p == pytest.approx(stats.norm.sf(60.0, 50 + 0.5 * (np.array([90.0, 20.0]) - 50), np.sqrt(2.0)), rel=1e-6)


def test_falling_is_the_normal_chance_of_the_difference() -> None:
    now = at([[[6.0, 40.0], [4.0, 60.0]]], [[0]], noise=(1.0, 4.0))
    # The slow way: x_0, x_1 and both scores are jointly normal.
    f = np.array([0.9, 0.8])
    for j, (name, by, sign) in enumerate([("quality", 0.2, 1.0), ("cost", 0.3, -1.0)]):
        q, r, m = np.array(Q)[j, j], (1.0, 4.0)[j], (5.0, 50.0)[j]
        x = np.array([[4.0, 4.0 * f[j]], [4.0 * f[j], 4.0 * f[j] ** 2 + q]])
        gain = x @ np.linalg.inv(x + r * np.eye(2))
        y = np.array([[6.0, 4.0], [40.0, 60.0]])[j]
        mean, covariance = m + gain @ (y - m), x - gain @ x
        d = np.array([1.0, -1.0]) * sign
        expected = stats.norm.sf(by * abs(mean[0]), d @ mean, np.sqrt(d @ covariance @ d))
        hit, p = Falling(name, by).check(now)
        assert p[0] == pytest.approx(expected, rel=1e-5)
        assert hit[0] == (expected >= 0.5)


def test_scores_without_noise_decide_for_certain() -> None:
    now = at([[[6.0, 40.0], [4.0, 53.0]], [[6.0, 40.0], [4.3, 51.0]]], [[0], [0]])
    assert Falling("quality", 0.3).check(now)[1].tolist() == [1.0, 0.0]
    assert Falling("cost", 0.3).check(now)[1].tolist() == [1.0, 0.0]
    assert Below("quality", 4.2).check(now)[1].tolist() == [1.0, 0.0]


def test_a_fall_is_from_the_iterate_gone_on_from() -> None:
    now = at([[[6.0, 40.0], [2.0, 40.0]]], [[0]])
    now.beliefs.step(np.array([0]), np.array([[5.5, 40.0]]), np.array([0]))
    later = Situation(**{**{k: getattr(now, k) for k in now.__dataclass_fields__}, "t": 2})
    assert Falling("quality", 0.05).check(later)[1].tolist() == [1.0]
    assert Falling("quality", 0.1).check(later)[1].tolist() == [0.0]


def test_a_rate_is_that_of_the_strategy_in_force_over_the_posterior() -> None:
    steps = [[[5.0, 50.0], [5.0, 50.0]]] * 2
    assert RateAbove(1.5).check(at(steps, [[0], [1]]))[1].tolist() == [0.0, 1.0]
    assert RateAbove(1.7).check(at(steps, [[0], [1]]))[1].tolist() == [0.0, 0.0]
    # One objective, one coefficient: the posterior of the rate is normal.
    space = ObjectiveSpace(["quality"])
    u = np.linspace(-1, 1, 9)
    w = np.c_[np.ones(9), u, -1.4 * u + 0.3 * (-1.0) ** np.arange(9)]
    knowledge = Knowledge.none(space, ["A"]).added((w.T @ w)[None])
    T = knowledge.total[0]
    mean = -np.linalg.solve(T[:2, :2], T[:2, 2])[1]
    sd = np.sqrt(np.linalg.inv(T[:2, :2])[1, 1] * knowledge.mean.Q[0, 0, 0])
    _, p = RateAbove(1.3).check(situation(Goal(space), knowledge, [[[5.0], [5.0]]]))
    expected = stats.norm.sf(1.3, mean, sd)
    assert abs(p[0] - expected) <= 6 * np.sqrt(expected * (1 - expected) / 400)
    assert 0.05 < expected < 0.95


def test_nothing_falls_or_is_in_force_before_the_first_step() -> None:
    now = at([[[6.0, 40.0]]])
    for trigger in (Falling("quality", 0.1), RateAbove(-5.0), Drift()):
        assert not trigger.check(now)[0].any()


def test_drift_fires_where_steps_are_not_what_the_dynamics_say() -> None:
    calm = np.tile([5.0, 50.0], (1, 6, 1))
    wild = calm + np.array([0, 4, -4, 4, -4, 4])[None, :, None]
    now = at(np.concatenate([calm, wild]), np.zeros((2, 5), dtype=int))
    result = fired([Drift()], now)
    assert result.first.tolist() == [-1, 0]
    assert result.sentences == (
        "", "scores move as they would in fewer than 0.1% of sessions if the dynamics known still held"
    )  # fmt: skip


def test_the_first_call_for_a_human_counts_and_no_warning_hides_it() -> None:
    now = at([[[1.0, 90.0]], [[1.0, 10.0]], [[9.0, 90.0]], [[9.0, 10.0]]])
    triggers = [Below("quality", 2.0, action="warn"), Below("cost", 80.0), Below("cost", 70.0, action="stop")]
    result = fired(triggers, now)
    assert result.first.tolist() == [1, 0, 1, -1]
    assert result.fired.tolist() == [[True, True, True], [True, False, False], [False, True, True], [False] * 3]
    assert result.sentences[:2] == ("cost is past 80 with probability 100%", "quality is past 2 with probability 100%")
    assert fired([], now).first.tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("text", "trigger", "told"),
    [
        ("quality<2", Below("quality", 2.0), None),
        (" cost > 80 @0.9 :stop", Below("cost", 80.0, 0.9, "stop"), "cost>80@0.9:stop"),
        ("quality falls 30%", Falling("quality", 0.3), None),
        ("cost rises by 12.5 %:warn", Falling("cost", 0.125, action="warn"), "cost rises 12.5%:warn"),
        ("rate>1.5@0.7", RateAbove(1.5, 0.7), None),
        ("drift", Drift(), None),
        ("drift@0.05:ask", Drift(0.05), "drift@0.05"),
        ("quality<2:webhook", Below("quality", 2.0, action="webhook"), None),
        ("rate>1.5@0.7:pause", RateAbove(1.5, 0.7, "pause"), None),
    ],
)
def test_triggers_are_read_and_told(text: str, trigger: object, told: str | None) -> None:
    read = read_trigger(text, SPACE)
    assert read == trigger
    assert read.told(SPACE) == (text if told is None else told)
    assert read_trigger(read.told(SPACE), SPACE) == trigger


def test_an_objective_may_itself_be_called_rate() -> None:
    assert read_trigger("rate>9", ObjectiveSpace(["rate:0:10:min"])) == Below("rate", 9.0)
    with pytest.raises(InputError, match="rate is maximised, and a trigger watches its bad side: write rate<9"):
        read_trigger("rate>9", ObjectiveSpace(["rate"]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a trigger is written"),
        ("quality", "a trigger is written"),
        ("quality<low", "a trigger is written"),
        ("quality<=2", "a trigger is written"),
        ("quality<2:shout", "a trigger is written"),
        ("quality<2@often", "a trigger is written"),
        ("quality falls", "a trigger is written"),
        ("size<2", "no objective is called 'size'"),
        ("quality>2", "quality is maximised, and a trigger watches its bad side: write quality<2"),
        ("cost<2", "write cost>2"),
        ("cost falls 3%", "write cost rises 3%"),
        ("quality<2@1.5", "a probability between 0 and 1"),
        ("quality<nan", "must be a finite number"),
        ("rate>inf", "must be a finite number"),
        ("quality falls -3%", "by a fraction of more than 0"),
        ("drift@0", "a probability between 0 and 1"),
    ],
)
def test_what_is_no_trigger_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_trigger(text, SPACE)


def test_a_trigger_of_an_unknown_objective_is_refused_when_it_is_checked() -> None:
    with pytest.raises(InputError, match="no objective is called 'size'"):
        fired([Below("size", 2.0)], at([[[6.0, 40.0]]]))


@pytest.mark.parametrize("text", ["a{}!", "security{}falls", "security falls{}y", "security<2@{}!", "security<2:{}!"])
def test_a_text_of_blanks_is_refused_without_trying_every_way_to_split_it(text: str) -> None:
    began = time.process_time()
    with pytest.raises(InputError, match="a trigger is written"):
        read_trigger(text.format(" " * 3000), SPACE)
    assert time.process_time() - began < 10
