"""The live object: somebody else's loop, threads, documents, and bad input."""

from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import numpy as np
import pytest

import trimtab as tt
from trimtab.control import live
from trimtab.control.document import json_schema
from trimtab.control.live import PilotSession
from trimtab.core.streams import stream
from trimtab.errors import InputError
from trimtab.simulation.reference import REFERENCE

NAMES = ("security", "efficiency", "functionality")


def pilot(**options: object) -> tt.Pilot:
    given = {"fit": "reference", "utility": "worst", "policy": "predictive:horizon=2,draws=2", **options}
    return tt.Pilot(NAMES, **given)  # type: ignore[arg-type]


def start(key: str) -> np.ndarray:
    return np.clip(REFERENCE["EF"].start_mean + stream(1, key).standard_normal(3), 0, 10)


def scores(x: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, map(float, x), strict=True))


def drive(session: PilotSession, most: int = 99) -> list[tt.Decision]:
    """Run a loop whose outcomes depend on the session's name, the strategy and the iteration alone."""
    x = start(session.key)
    decisions = [session.observe(scores(x))]
    for t in range(most):
        told = decisions[-1]
        if told.action != "continue":
            break
        z = stream(2, session.key, str(told.strategy), t).standard_normal(3)
        x = np.clip(REFERENCE[str(told.strategy)].model.step(x, z), 0, 10)
        decisions.append(session.observe(scores(x)))
    return decisions


def test_a_loop_is_steered_to_its_end() -> None:
    steering = pilot(iterations=6)
    decisions = drive(steering.session("a"))
    assert [told.iteration for told in decisions] == list(range(len(decisions)))
    assert decisions[-1].action == "stop"
    for told in decisions[:-1]:
        assert told.strategy in steering.strategies
        assert told.base == told.iteration
        assert set(told.gains) == set(steering.strategies)
        best = max(told.gains.values(), key=lambda gain: gain.expected)
        assert told.gains[str(told.strategy)] == best
        assert best.low <= best.expected <= best.high
    assert decisions[-1].utility == pytest.approx(max(told.utility for told in decisions))
    assert json.dumps(decisions[-1].to_dict())


def test_without_a_fit_it_learns() -> None:
    steering = tt.Pilot(NAMES, tuple(REFERENCE), utility="worst", policy="predictive:horizon=2,draws=2", iterations=6)
    kept = [drive(steering.session(f"s{i}"))[-1].utility for i in range(24)]
    assert steering.knowledge.steps.sum() > 24 * 3
    # Its first sessions try what there is; the worst objective of the best fixed strategy comes to about 5.2 then.
    assert np.mean(kept[8:]) > np.mean(kept[:8])
    learnt, true = steering.knowledge.mean.F[0], [one.model.transition for one in REFERENCE.values()]
    most = int(steering.knowledge.steps.argmax())
    assert np.abs(learnt[most] - true[most]).max() < 0.5


def test_sessions_opened_together_decide_the_same_in_any_order() -> None:
    keys = [f"s{i}" for i in range(12)]

    def run(workers: int, order: list[str]) -> tuple[dict[str, list[tt.Decision]], tt.Pilot]:
        steering = pilot(iterations=4)
        for _ in range(2):  # the second time with what the first has shown
            opened = {key: steering.session(key) for key in keys}
            with ThreadPoolExecutor(workers) as pool:
                found = dict(zip(order, pool.map(drive, [opened[key] for key in order]), strict=True))
        return found, steering

    one, first = run(1, keys)
    many, second = run(6, keys[::-1])
    assert one == many
    np.testing.assert_array_equal(first.knowledge.total, second.knowledge.total)


def test_it_goes_on_from_its_document_as_if_nothing_had_happened() -> None:
    steering = pilot(iterations=5)
    drive(steering.session("done"))
    for key in ("b", "c"):
        drive(steering.session(key), most=2)
    restored = tt.Pilot.from_json(steering.to_json())
    assert restored.to_json() == steering.to_json()
    for key in ("b", "c", "new"):
        ends = []
        for one in (steering, restored):
            session = one.session(key)
            told = session.decision or session.observe(scores(start(key)))
            for t in range(9):
                if told.action != "continue":
                    break
                z = stream(3, key, t).standard_normal(3)
                told = session.observe(scores(np.clip(REFERENCE[str(told.strategy)].model.step(start(key), z), 0, 10)))
            ends.append(told)
        assert ends[0] == ends[1]


@pytest.mark.parametrize("options", [{}, {"utility": lambda x: x[..., 0], "memory": 0.9, "triggers": ["drift:warn"]}])
def test_its_document_is_as_its_schema_says(options: dict[str, Any]) -> None:
    steering = pilot(**options)
    drive(steering.session("a"), 2)
    steering.session("a").end()
    steering.session("b")
    steering.session("c").observe({"security": 4.0})
    validator = jsonschema.Draft202012Validator(json_schema())
    jsonschema.Draft202012Validator.check_schema(json_schema())
    document = json.loads(steering.to_json())
    validator.validate(document)
    assert {len(one["scores"]) for one in document["running"]} == {0, 1}
    for path, value in ((("policy",), 5), (("ended", "-1"), []), (("running", 0, "index"), -1), (("memory",), 0)):
        assert not validator.is_valid(put(document, path, value))


def test_a_function_is_given_again() -> None:
    def utility(x: np.ndarray) -> np.ndarray:
        return x[..., 0]

    text = pilot(utility=utility).to_json()
    with pytest.raises(InputError, match="give it as utility="):
        tt.Pilot.from_json(text)
    assert tt.Pilot.from_json(text, utility=utility).goal.utility is utility


def test_missing_scores_are_estimated() -> None:
    session = pilot().session("a")
    session.observe(scores(start("a")))
    told = session.observe({"security": 6.0, "efficiency": None})
    assert told.iteration == 1
    situation = session.situation
    assert situation is not None
    x = situation.beliefs.past[0, 1]
    assert x[0] == pytest.approx(6.0)
    assert np.isfinite(x).all()
    assert situation.beliefs.past_covariance[0, 1, 2, 2] > 0.1


def test_a_lucky_score_does_not_win() -> None:
    """One score far above all others is mostly the scorer's luck where the scorer is known to be noisy."""
    exact, noisy = pilot(), pilot(score_noise=dict.fromkeys(NAMES, 2.0))
    for steering, kept in ((exact, 1), (noisy, None)):
        session = steering.session("a")
        session.observe(scores(np.array([5.2, 4.6, 7.2])))
        session.observe(scores(np.array([9.0, 9.0, 9.0])), strategy="EF")
        told = session.observe(scores(np.array([5.4, 4.8, 7.3])), strategy="EF")
        if kept is not None:
            assert (told.keep, told.utility) == (kept, 9.0)
        else:
            assert told.utility < 7.0


def test_a_floor_that_nothing_meets_calls_a_human() -> None:
    session = pilot(constraints=["security>=9.99"], iterations=1).session("a")
    session.observe(scores(np.array([4.0, 5.0, 6.0])))
    told = session.observe(scores(np.array([4.5, 5.0, 6.0])), strategy="EF")
    assert told.action == "ask"
    assert "no iterate meets security>=9.99@0.05" in told.reason
    assert told.keep == 1


def test_triggers_call_a_human_warn_or_stop() -> None:
    low = scores(np.array([1.0, 5.0, 6.0]))
    for text, action in (("security<2", "ask"), ("security<2:stop", "stop"), ("security<2:warn", "continue")):
        steering = pilot(triggers=[text])
        told = steering.session("a").observe(low)
        assert told.action == action
        assert "security" in str(told.trigger)
        assert tt.Pilot.from_json(steering.to_json()).triggers == steering.triggers
    assert pilot(triggers=["security<2"]).session("a").observe(scores(np.array([6.0, 5.0, 6.0]))).trigger is None
    # A person may say how to go on.
    steering = pilot(triggers=["security<2"])
    session = steering.session("a")
    session.observe(low)
    assert session.observe(scores(np.array([6.0, 5.0, 6.0])), strategy="SF").action == "continue"


def test_floors_on_each_iterate_rule_strategies_out() -> None:
    steering = pilot(constraints=["security>=3@0.05:each"])
    chosen = {str(told.strategy) for i in range(6) for told in drive(steering.session(f"s{i}"))}
    assert "FF" not in chosen  # it leads to a security of about 0


def test_wrong_input_is_named_and_nothing_is_taken_in() -> None:
    steering = pilot()
    session = steering.session("a")
    session.observe(scores(start("a")))
    for given, says in (
        ({"speed": 1.0}, "no objective is called 'speed'"),
        ({"security": "high"}, "must be a number or None"),
        ({"security": 11.0}, "must lie within 0 to 10"),
        ([1.0, 2.0, 3.0], "scores are given by objective"),
    ):
        with pytest.raises(InputError, match=says):
            session.observe(given)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no strategy is called 'XX'"):
        session.observe(scores(start("a")), strategy="XX")
    with pytest.raises(InputError, match="base must be an iterate seen, 0 to 0"):
        session.observe(scores(start("a")), base=3)
    with pytest.raises(InputError, match="base must be an iterate seen, 0 to 0"):
        session.observe(scores(start("a")), base=0.5)  # type: ignore[arg-type]
    assert session.iterations == 0
    session.end()
    with pytest.raises(InputError, match="has ended"):
        session.observe(scores(start("a")))


def test_a_stop_can_be_overruled() -> None:
    steering = pilot(cost=9.0)
    session = steering.session("a")
    assert session.observe(scores(start("a"))).action == "stop"
    assert "a" not in steering.sessions
    told = session.observe(scores(np.array([9.0, 9.0, 9.0])), strategy="EF")
    assert (told.keep, told.iteration) == (1, 1)
    assert steering.knowledge.steps.sum() - steering.prior.steps.sum() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fit": None}, "without a fit the pilot needs the names"),
        ({"strategies": ["EF", "EF"]}, "each once"),
        ({"strategies": "EF"}, "a list of names"),
        ({"strategies": ["EF", "other"]}, "no strategy is called 'other'"),
        ({"policy": "best"}, "no policy is called 'best'"),
        ({"iterations": 0}, "iterations must be a whole number"),
        ({"memory": 0.0}, "memory must lie above 0"),
        ({"memory": "all"}, "memory must lie above 0"),
        ({"seed": "one"}, "a seed is a whole number"),
        ({"cost": {"XX": 1.0}}, "a cost is given for XX"),
        ({"cost": "little"}, "a cost or least gain"),
        ({"constraints": "security>=2"}, "constraints are given as a list"),
        ({"constraints": [2.0]}, "a floor is a Floor"),
        ({"triggers": "drift"}, "triggers are given as a list"),
        ({"triggers": [2.0]}, "a trigger is a text"),
        ({"policy": None}, "a policy is a text"),
        ({"policy": "predictive:draws=1000000"}, "at most 256 draws"),
        ({"policy": "fixed:strategy=XX"}, "needs the strategy 'XX'"),
        ({"policy": "rules:balanced=XX"}, "needs the strategy 'XX'"),
        ({"policy": "sequential:order=speed"}, "no objective is called 'speed'"),
        ({"policy": "schedule:schedule=XXx3"}, "XX"),
        ({"utility": lambda x: x.sum()}, "one finite number for each row"),
        ({"score_noise": 0.3}, "given by objective"),
        ({"score_noise": {"security": "low"}}, "a standard deviation of zero or more"),
    ],
)
def test_what_is_no_pilot_is_refused(options: dict, says: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InputError, match=says):
        pilot(**options)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": "trimtab.pilot/1"}', '{"schema": "trimtab.pilot/1", "goal": 3}']
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        tt.Pilot.from_json(text)


def put(document: Any, path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """Return the document with another value at a place."""
    made = copy.deepcopy(document)
    at = made
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return dict(made)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("iterations",), 10**9),
        (("iterations",), True),
        (("memory",), float("nan")),
        (("seed",), float("inf")),
        (("opened",), -1),
        (("opened",), 0),
        (("opened",), 10**30),
        (("policy",), 5),
        (("policy",), "predictive:draws=1000000000"),
        (("triggers",), [5]),
        (("known",), []),
        (("prior",), {}),
        (("prior", "strategies"), ["EF", "EF", "EF", "EF"]),
        (("prior", "strategies"), "EFSA"),
        (("prior", "scale"), [0.0, 1.0, 1.0]),
        (("prior", "scale"), [1e-308] * 3),
        (("prior", "score_noise"), [-1.0] * 3),
        (("prior", "start_covariance"), [[1.0, 5.0, 0.0], [5.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (("prior", "total", 0, 0, 1), 1e9),
        (("prior", "total", 0, 0, 0), 1e300),
        (("ended",), {"0": [1.0]}),
        (("ended", "-1"), "the sums of 0"),
        (("ended", "99"), "the sums of 0"),
        (("ended", "0", 0), (-1e6 * np.eye(7)).tolist()),
        (("ended", "0", 0, 0, 0), None),
        (("running", 0, "key"), 3),
        (("running", 0, "index"), -1),
        (("running", 0, "index"), 10**9),
        (("running", 0, "known"), 7),
        (("running", 0, "known"), -1),
        (("running", 0, "scores"), [[4.0, 4.0]] * 2),
        (("running", 0, "scores"), [[4.0, 4.0, 11.0]] * 2),
        (("running", 0, "scores"), [[4.0, 4.0, 4.0]] * 3),
        (("running", 0, "strategies"), ["XX"]),
        (("running", 0, "bases"), [7]),
        (("running", 0, "bases"), [-1]),
        (("running", 0, "bases"), ["0"]),
        (("goal", "objectives"), [{}, {}, {}]),
        (("goal", "floors"), ["security<=2"]),
        (("goal", "weights"), {"security": "high"}),
        (("goal", "cost"), "high"),
    ],
)
def test_a_damaged_document_is_refused(damaged: dict[str, Any], path: tuple[str | int, ...], value: object) -> None:
    if value == "the sums of 0":
        value = damaged["ended"]["0"]
    with pytest.raises(InputError):
        tt.Pilot.from_dict(put(damaged, path, value))


def test_a_session_cannot_run_twice_or_for_ever(damaged: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (running,) = damaged["running"]
    with pytest.raises(InputError, match="a key and an index of its own"):
        tt.Pilot.from_dict({**damaged, "running": [running, running]})
    long = {"scores": [[4.0] * 3] * 5000, "strategies": ["EF"] * 4999, "bases": [0] * 4999}
    with pytest.raises(InputError, match="at most 1,000 iterations"):
        tt.Pilot.from_dict({**damaged, "running": [{**running, **long}]})
    monkeypatch.setattr(live, "MOST_ITERATIONS", 2)
    session = pilot(policy="fixed:strategy=EF").session("a")
    drive(session, 2)
    with pytest.raises(InputError, match="at most 2 iterations"):
        session.observe(scores(start("a")))


@pytest.fixture(scope="module")
def damaged() -> dict[str, Any]:
    """A whole document of a pilot with one session that ended and one under way."""
    steering = pilot(policy="fixed:strategy=EF")
    drive(steering.session("a"), 1)
    steering.session("a").end()
    drive(steering.session("b"), 1)
    return steering.to_dict()


def test_numbers_that_no_short_text_holds_come_back_as_they_were() -> None:
    space = ["security:0:9.87654321098", "cost:0:123.456789012:min"]
    floors = ["security>=2.34567891234@0.0123456789123", "cost<=98.7654321098@0.2"]
    triggers = ["security<1.23456789012", "security falls 33.3333333333%", "rate>1.23456789012@0.123456789012"]
    steering = tt.Pilot(space, ["A", "B"], constraints=floors, triggers=triggers)
    back = tt.Pilot.from_json(steering.to_json())
    assert (back.goal.space, back.goal.floors, back.triggers) == (
        steering.goal.space,
        steering.goal.floors,
        steering.triggers,
    )


def test_it_can_be_written_down_while_sessions_run() -> None:
    steering, written = pilot(iterations=4), []
    with ThreadPoolExecutor(8) as pool:
        loops = [pool.submit(drive, steering.session(f"s{i}")) for i in range(40)]
        while not all(loop.done() for loop in loops):
            written.append(steering.to_json())
    whole = [loop.result()[-1] for loop in loops]
    back = tt.Pilot.from_json(written[0])
    assert back.sessions
    for i, told in enumerate(whole):
        if f"s{i}" not in back.sessions:
            continue  # it had ended
        at, last = back.session(f"s{i}"), back.session(f"s{i}").decision
        x = start(at.key) if last is None else np.array(at.history()[0][-1])
        last = at.observe(scores(x)) if last is None else last
        while last.action == "continue":
            z = stream(2, at.key, str(last.strategy), last.iteration).standard_normal(3)
            x = np.clip(REFERENCE[str(last.strategy)].model.step(x, z), 0, 10)
            last = at.observe(scores(x))
        assert last == told
