from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.steering import known, situation
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.lookahead import Effort
from trimtab.control.policies.best_of_n import BestOfN
from trimtab.control.policies.fixed import Schedule
from trimtab.control.policies.objectives import Sequential, Simultaneous, handling_order, known_interference
from trimtab.control.policies.predictive import Predictive
from trimtab.control.policies.rate_control import RateControl, wanted_chance
from trimtab.control.policies.rules import Rules
from trimtab.control.policies.thompson import Thompson
from trimtab.control.registry import make_policy, read_policy
from trimtab.control.situation import STOP, Choice, Situation
from trimtab.control.track import Track
from trimtab.core.objectives import ObjectiveSpace
from trimtab.errors import InputError
from trimtab.plugins import POLICIES, plugins

SPACE = ObjectiveSpace(["security", "speed"])
PAPER = ("EF", "SF", "FF", "AI")
NOISE = np.eye(2) * 0.25
TURN = [[0.6, -0.6], [0.6, 0.6]]
SLOW = [[0.9, 0.0], [0.0, 0.9]]
FAST = [[0.2, 0.0], [0.0, 0.1]]
OUT = [[1.1, 0.0], [0.0, 0.5]]


def towards(F: list[list[float]], *goals: float) -> np.ndarray:
    """Return the shift with which F has its fixed point there."""
    return (np.eye(2) - F) @ np.array(goals)


def two_sided(**more: object) -> Knowledge:
    """Return strategies of which one heads for security and one for speed."""
    F = {"secure": FAST, "speedy": FAST}
    return known(SPACE, F, {"secure": towards(FAST, 9, 3), "speedy": towards(FAST, 2, 9)}, NOISE, **more)


def four() -> Knowledge:
    """Return strategies that turn, creep, jump and diverge."""
    F = {"turning": TURN, "creeping": SLOW, "jumping": FAST, "leaving": OUT}
    return known(SPACE, F, {name: towards(F[name], 6, 6) for name in F}, NOISE)


def names(choice: Choice, knowledge: Knowledge) -> list[str]:
    return ["stop" if a == STOP else knowledge.strategies[a] for a in choice.action]


def sentence(choice: Choice, knowledge: Knowledge, i: int = 0) -> str:
    facts = {name: values[i] for name, values in choice.facts.items()}
    gain = 0.0 if choice.gain is None else round(choice.gain[i, max(choice.action[i], 0), 0], 9)
    return choice.reasons[choice.reason[i]].format(
        strategy=names(choice, knowledge)[i], gain=gain, best="?", least=0.01, floor="security>=2", **facts
    )


def at(knowledge: Knowledge, *states: list[float], goal: Goal | None = None, **more: object) -> Situation:
    return situation(goal or Goal(knowledge.space), knowledge, np.array(states)[:, None], **more)


def test_a_schedule_goes_through_its_order_and_holds_the_last() -> None:
    knowledge = Knowledge.none(SPACE, PAPER)
    used = []
    for t in range(12):
        scores = np.full((1, t + 1, 2), 5.0)
        used += names(Schedule().choose(situation(Goal(SPACE), knowledge, scores, budget=12)), knowledge)
    assert used == ["FF"] * 3 + ["SF"] * 4 + ["EF"] * 3 + ["AI"] * 2
    now = at(knowledge, [5.0, 5.0])
    assert names(Schedule("SFx2,EF").choose(now), knowledge) == ["SF"]
    assert names(Schedule(["EF"], "fixed").choose(now), knowledge) == ["EF"]


def test_a_schedule_skips_what_a_floor_forbids_and_stops_where_all_is_forbidden() -> None:
    knowledge = two_sided()
    goal = Goal(SPACE, floors=(Floor("security", 4.0, 0.05, "each"),))
    now = at(knowledge, [8.0, 3.0], [3.0, 3.0], goal=goal)
    choice = Schedule("speedyx2,secure").choose(now)
    assert names(choice, knowledge) == ["secure", "secure"]
    assert "comes next after speedy" in sentence(choice, knowledge)
    choice = Schedule(["speedy"], "fixed").choose(now)
    assert names(choice, knowledge) == ["stop", "stop"]
    assert (
        sentence(choice, knowledge)
        == "every strategy would pass the floor security>=2 with more than the chance allowed"
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Schedule(["XX"], "fixed"), "'fixed' needs the strategy 'XX', but there are secure, speedy"),
        (lambda: Schedule("XXx2"), "names 'XX', but the strategies are secure, speedy"),
        (Schedule, "follows FFx3,SFx4,EFx3,AI unless told otherwise, but the strategies are secure, speedy"),
        (lambda: Rules(balanced="XX"), "'rules' needs the strategy 'XX'"),
        (lambda: BestOfN("XX"), "'best_of_n' needs the strategy 'XX'"),
        (lambda: Sequential("size>speed"), "no objective is called 'size'"),
        (lambda: Sequential("speed>speed"), "names each objective once"),
    ],
)
def test_what_the_strategies_or_objectives_cannot_give_is_refused_in_words(make: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make().choose(at(two_sided(), [5.0, 5.0]))  # type: ignore[operator]


def test_rate_control_finds_each_behaviour() -> None:
    knowledge = four()
    now = at(knowledge, [5.0, 5.0])
    found = {b: names(RateControl(b).choose(now), knowledge)[0] for b in ("fast", "slow", "exploring", 0.1, "0.79")}
    assert found == {"fast": "jumping", "slow": "creeping", "exploring": "turning", 0.1: "creeping", "0.79": "jumping"}
    # Two strategies settle for certain: the one that comes closer to where both lead is used.
    choice = RateControl("settled").choose(now)
    assert names(choice, knowledge) == ["jumping"]
    assert (
        sentence(choice, knowledge)
        == "jumping has the wanted spectrum (settled) with probability 100%, the most of all"
    )


def test_rate_control_says_so_where_no_strategy_has_the_spectrum() -> None:
    knowledge = two_sided()
    choice = RateControl("exploring").choose(at(knowledge, [5.0, 5.0]))
    assert sentence(choice, knowledge).startswith("no strategy is likely to have the wanted spectrum (exploring)")


def test_the_chance_of_a_behaviour_is_counted_over_draws() -> None:
    lam = np.array([[[-0.2], [-0.5]], [[-0.6], [-0.5]], [[-0.1], [0.2]], [[-1.3], [-0.4]]], dtype=complex)
    assert wanted_chance("fast", lam).tolist() == [0.75, 0.25]
    assert wanted_chance("slow", lam).tolist() == [0.5, 0.5]
    assert wanted_chance("settled", lam).tolist() == [0.75, 0.75]
    assert wanted_chance(0.5, lam).tolist() == [0.25, 0.75]


@pytest.mark.parametrize("behaviour", ["quick", "nan", float("inf")])
def test_a_behaviour_that_is_none_is_refused(behaviour: str | float) -> None:
    with pytest.raises(InputError, match="a behaviour is one of fast, slow, settled, exploring or a rate"):
        RateControl(behaviour)


def test_objectives_are_handled_one_after_another_or_at_once() -> None:
    knowledge = two_sided()
    goal = Goal(SPACE, {"security": 0.7, "speed": 0.3})
    for t, expected in [(0, "speedy"), (2, "speedy"), (3, "secure"), (5, "secure")]:
        now = situation(goal, knowledge, np.full((1, t + 1, 2), 5.0), budget=6)
        choice = Sequential("speed>security").choose(now)
        assert names(choice, knowledge) == [expected]
        assert names(Simultaneous().choose(now), knowledge) == ["secure"]
    assert sentence(choice, knowledge) == "in stage 2 of 2, which is for security, secure takes it furthest"


def test_the_objective_most_at_odds_with_the_others_is_handled_first() -> None:
    I = np.array([[0.0, -0.2, 0.3], [-0.2, 0.0, -0.3], [0.3, -0.3, 0.0]])  # noqa: E741
    assert handling_order(I) == [1, 2, 0]


def test_interference_is_the_correlation_of_steps_with_minimised_objectives_turned_round() -> None:
    space = ObjectiveSpace(["quality", "cost:0:10:min"])
    rng = np.random.default_rng(0)
    u = rng.normal(size=(500, 2))
    du = rng.multivariate_normal([0.3, -0.2], [[1.0, 0.6], [0.6, 1.0]], size=500)
    w = np.concatenate([np.ones((500, 1)), u, du], axis=1)
    knowledge = Knowledge.none(space, ["A"]).added((w.T @ w)[None])
    # The prior weighs one step.
    assert known_interference(knowledge)[0, 1] == pytest.approx(-np.corrcoef(du.T)[0, 1], abs=0.01)


def test_the_rules_apply_in_their_order() -> None:
    knowledge = known(
        SPACE,
        {"secure": FAST, "speedy": FAST, "middle": FAST, "turning": TURN},
        {
            "secure": towards(FAST, 9, 3), "speedy": towards(FAST, 2, 9),
            "middle": towards(FAST, 5.5, 5.5), "turning": towards(TURN, 5, 5),
        },
        NOISE,
    )  # fmt: skip
    goal = Goal(SPACE)

    def told(*path: list[float], budget: int = 10) -> str:
        choice = Rules().choose(situation(goal, knowledge, np.array([path]), budget=budget))
        return sentence(choice, knowledge)

    assert told([5, 5]) == "middle is the balanced strategy to begin with"
    assert told([5, 5], [0.4, 6]).startswith("security is near the end of its scale, and secure")
    fell = told([5, 5], [6, 4.7], [7, 4.2])
    assert fell == "speed fell by 0.80 points in two iterations while another rose, and speedy does most for it"
    assert told([5, 5], [4.9, 4.9], [4.9, 4.9]).endswith("and turning explores: it turns with probability 100%")
    later = told([5, 5], [4.9, 4.9], [4.9, 4.9], budget=3)
    assert later == "secure settles with probability 100%, at the greatest utility of the strategies that do"


def test_near_a_bound_a_strategy_that_drifts_is_not_trusted() -> None:
    F = {"leaving": OUT, "jumping": FAST}
    knowledge = known(SPACE, F, {"leaving": np.array([3.0, 2.5]), "jumping": towards(FAST, 3, 5)}, NOISE)
    choice = Rules().choose(situation(Goal(SPACE), knowledge, [[[5, 5], [0.5, 5]]]))
    assert names(choice, knowledge) == ["jumping"]


def test_best_of_n_is_worth_the_expected_maximum_and_starts_anew() -> None:
    space = ObjectiveSpace(["quality"])
    knowledge = known(space, {"draw": [[0.0]]}, {"draw": [5.0]}, [[0.49]])
    for left in (1, 2, 5):
        now = situation(Goal(space, costs={"draw": 0.02}), knowledge, [[[2.0]], [[5.5]]], budget=left)
        choice = BestOfN().choose(now)
        assert choice.base is not None
        assert choice.base.tolist() == [0, 0]
        draws = np.random.default_rng(1).normal(5.0, 0.7, (200_000, left))
        for i, best in enumerate((2.0, 5.5)):
            kept = np.maximum(best, np.maximum.accumulate(draws, axis=1)).mean(axis=0)
            worth = (kept - best - 0.02 * np.arange(1, left + 1)).max()
            assert choice.gain is not None
            assert choice.gain[i, 0, 0] == pytest.approx(worth, abs=0.03)


def test_best_of_n_stops_where_another_draw_is_not_worth_its_cost() -> None:
    space = ObjectiveSpace(["quality"])
    knowledge = known(space, {"draw": [[0.0]]}, {"draw": [5.0]}, [[0.49]])
    choice = BestOfN("draw").choose(situation(Goal(space, cost=0.1), knowledge, [[[4.0]], [[5.6]], [[6.5]]]))
    # E (U - best)+ is 1.05, .11 and .01 standard deviations' worth: only the first beats the cost.
    assert names(choice, knowledge) == ["draw", "stop", "stop"]


def test_a_lucky_score_wins_best_of_n_nothing() -> None:
    space = ObjectiveSpace(["quality"])
    certain = known(space, {"draw": [[0.0]]}, {"draw": [5.0]}, [[0.49]])
    noisy = known(space, {"draw": [[0.0]]}, {"draw": [5.0]}, [[0.49]], score_noise=[9.0])
    gains = [BestOfN().choose(situation(Goal(space), one, [[[5.0]]])).gain for one in (certain, noisy)]
    assert gains[0] is not None
    assert gains[1] is not None
    assert 0 < gains[1][0, 0, 0] < gains[0][0, 0, 0] / 2


def test_best_of_n_counts_the_hypervolume_of_all_draws() -> None:
    knowledge = known(SPACE, {"draw": np.zeros((2, 2))}, {"draw": [5.0, 5.0]}, [[1.0, -0.9], [-0.9, 1.0]])
    goal = Goal(SPACE, "hypervolume")
    now = situation(goal, knowledge, [[[4.0, 4.0]]], budget=3)
    gain = BestOfN().choose(now).gain
    rng = np.random.default_rng(2)
    x = rng.multivariate_normal([5, 5], [[1.0, -0.9], [-0.9, 1.0]], size=(2000, 3))
    cells = goal.cells(goal.dominated(x)).any(axis=1) | goal.cells(goal.dominated(np.array([4.0, 4.0])))
    assert gain is not None
    assert gain[0, 0, 0] == pytest.approx(cells.mean() * 10 - goal.value(np.array([4.0, 4.0])), abs=0.1)


@pytest.mark.parametrize("policy", [Rules(), Sequential(), Simultaneous(), RateControl("fast"), BestOfN()])
def test_strategies_hardly_known_are_tried_in_turn(policy: object) -> None:
    knowledge = Knowledge.none(SPACE, ["A", "B", "C"])
    scores = np.full((6, 4, 2), 5.0)
    tried = np.array([[0, 1, 2], [0, 0, 1], [2, 0, 2], [1, 2, 0], [1, 1, 2], [0, 2, 2]])
    choice = policy.choose(situation(Goal(SPACE), knowledge, scores, tried))  # type: ignore[attr-defined]
    assert choice.action[[1, 2, 4, 5]].tolist() == [2, 1, 0, 1]
    assert sentence(choice, knowledge).endswith("is tried because too little is known of it: 1 of 4 steps wanted")
    begin = policy.choose(at(knowledge, *[[5.0, 5.0]] * 6))  # type: ignore[attr-defined]
    assert len(set(begin.action.tolist())) > 1


def test_what_is_little_known_is_tried_now_and_then_until_enough_is_known() -> None:
    sums = np.zeros((2, 5, 5))
    sums[:] = np.diag([400.0, 400, 400, 100, 100])
    sums[1] *= 0.02
    learned = Knowledge.none(SPACE, ["much", "little"]).added(sums)
    fitted = replace(learned, before=None)

    def told(t: int, explore: float = 1.0, cost: float = 0.0, knowledge: Knowledge = learned) -> Choice:
        now = situation(Goal(SPACE, cost=cost), knowledge, np.full((200, t + 1, 2), 5.0), np.zeros((200, t), int))
        return Predictive(Effort(draws=2, horizon=2), explore=explore).choose(now)

    # (1 + 2) / 2 sqrt(400 + 8 + t) steps are wanted, from one of the ten iterations on that is drawn for a session.
    early, later, last = (told(t) for t in (0, 4, 9))
    tried = [choice.reason == 2 for choice in (early, later, last)]
    assert 0 < tried[0].sum() < tried[1].sum() < tried[2].sum() == 200
    assert (tried[1] >= tried[0]).all()
    assert set(last.action) == {1}
    assert "8 of 31 steps wanted" in sentence(last, learned)
    assert (told(9, explore=0.0).reason != 2).all()
    assert (told(9, knowledge=fitted).reason != 2).all()
    # An iteration that costs more than anything promises is not spent on finding out.
    assert set(told(9, cost=3.0).action) == {STOP}


def test_a_known_strategy_is_not_tried_before_those_that_are_not() -> None:
    sums = np.zeros((2, 5, 5))
    sums[0] = np.diag([4.0, 4.0, 4.0, 1.0, 1.0])
    knowledge = Knowledge.none(SPACE, ["A", "B"]).added(sums)
    assert names(Simultaneous().choose(at(knowledge, [5.0, 5.0], [4.0, 4.0])), knowledge) == ["B", "B"]


def test_thompson_depends_on_a_sessions_name_and_not_on_the_others() -> None:
    knowledge = Knowledge.none(SPACE, ["A", "B", "C"])
    states = np.random.default_rng(3).uniform(2, 8, (12, 1, 2))
    all_of_them = situation(Goal(SPACE, "worst"), knowledge, states)
    policy = Thompson()
    choice = policy.choose(all_of_them)
    assert len(set(choice.action.tolist())) > 1  # what is unknown is explored
    for i in (0, 5, 11):
        alone = Track(all_of_them.goal, knowledge, 10, 0, [f"s{i}"], states[i : i + 1, 0]).situation()
        assert policy.choose(alone).action[0] == choice.action[i]


def test_thompson_does_what_is_best_where_nothing_is_unknown() -> None:
    knowledge = two_sided()
    choice = Thompson().choose(at(knowledge, [5.0, 2.0], goal=Goal(SPACE, {"security": 1.0})))
    assert names(choice, knowledge) == ["secure"]
    assert "under a drift drawn" in sentence(choice, knowledge)
    dear = Thompson().choose(at(knowledge, [9.0, 2.0], goal=Goal(SPACE, {"security": 1.0}, cost=3.0)))
    assert names(dear, knowledge) == ["stop"]


@pytest.mark.parametrize("name", [name for name in plugins(POLICIES) if name not in ("fixed", "schedule")])
def test_no_policy_uses_a_strategy_that_a_floor_on_each_iterate_forbids(name: str) -> None:
    knowledge = two_sided()
    goal = Goal(SPACE, {"speed": 1.0}, floors=(Floor("security", 4.0, 0.05, "each"),))
    choice = make_policy(name).choose(at(knowledge, [8.0, 1.0], goal=goal))
    assert names(choice, knowledge)[0] in ("secure", "stop")
    free = make_policy(name, **({"behaviour": "fast"} if name == "rate_control" else {})).choose(
        at(knowledge, [8.0, 1.0])
    )
    assert free.action[0] >= 0


@pytest.mark.parametrize("name", plugins(POLICIES))
def test_a_batch_of_one_is_told_the_same_as_a_batch(name: str) -> None:
    knowledge = known(
        SPACE, dict.fromkeys(PAPER, TURN), {k: towards(TURN, i + 3, 8 - i) for i, k in enumerate(PAPER)}, NOISE,
        score_noise=[0.3, 0.2],
    )  # fmt: skip
    policy = make_policy(name, **({"strategy": "SF"} if name == "fixed" else {}))
    paths = np.random.default_rng(5).uniform(1, 9, (5, 4, 2))
    goal = Goal(SPACE, "worst", cost=0.02)
    choice = policy.choose(situation(goal, knowledge, paths))
    one = policy.choose(situation(goal, knowledge, paths[:1]))
    assert one.action[0] == choice.action[0]
    assert sentence(one, knowledge) == sentence(choice, knowledge)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("best", "no policy is called 'best'; there are best_of_n, fixed"),
        ("fixed", "'fixed' needs the option 'strategy', as in fixed:strategy=VALUE"),
        ("fixed:name=SF", "'fixed' has no option 'name'; its options are: strategy"),
        ("simultaneous:a=1", "its options are: none"),
        ("predictive:horizon=2.5", "'horizon' of 'predictive' is a whole number, but got '2.5'"),
        ("predictive:horizon=inf", "a whole number"),
        ("predictive:hedge=much", "'hedge' of 'predictive' is a number, but got 'much'"),
        ("predictive:horizon=0", "a lookahead needs one or more of everything"),
        ("predictive:hedge=2", "a hedge is a level between 0 and 1"),
        ("rules:margin=-1", "margin and loss are points from 0 to 10"),
        ("predictive:hedge", "a policy is written NAME"),
        ("predictive:hedge=.1,hedge=.2", "each option once"),
    ],
)
def test_policies_that_cannot_be_made_are_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_policy(text)


def test_policies_are_made_from_text() -> None:
    assert read_policy("schedule:schedule=FFx3,SFx4,EF") == Schedule("FFx3,SFx4,EF")
    assert read_policy(" rules : balanced=AI, margin=2") == Rules("AI", 2.0)
    assert read_policy("thompson:horizon=3").effort.horizon == 3  # type: ignore[attr-defined]
    made = read_policy("predictive:horizon=3,hedge=0.2")
    assert (made.effort.horizon, made.hedge) == (3, 0.2)  # type: ignore[attr-defined]
    for name in plugins(POLICIES):
        assert make_policy(name, **({"strategy": "SF"} if name == "fixed" else {})).name == name
