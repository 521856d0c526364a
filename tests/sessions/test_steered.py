"""Steered runs: the same decisions whatever the order and wherever a run was broken off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import trimtab as tt
from support.providers import ScriptedProvider, TinyProvider, fenced
from trimtab.core.records import RESTARTED, Iteration, Score
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError, StoreError
from trimtab.estimation.fit import fit
from trimtab.providers.base import Provider
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.config import RunConfig, load_config
from trimtab.sessions.course import Intake
from trimtab.sessions.experiment import run_experiment
from trimtab.sessions.plan import Plan, agreed_settings, make_plan
from trimtab.sessions.runner import Outcome, run_sessions
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.task import Task
from trimtab.store.base import Experiment, Store
from trimtab.store.contents import contents
from trimtab.store.load import load
from trimtab.store.memory import MemoryStore
from trimtab.store.open import open_store

TASKS = tuple(Task(f"task{i}", "Do it.", f"def f{i}(x):\n    return x\n") for i in range(3))
SCORERS = [get_scorer("python-static")]


def plan_for(
    policy: str = "predictive", sessions: int = 6, iterations: int = 4, names: Sequence[str] = ("EF", "SF"), **fields
) -> Plan:
    config = RunConfig(policy=policy, sessions=sessions, iterations=iterations, **{"round": 3, **fields})
    return make_plan(config, TASKS, load_strategies(names), SCORERS)


def store_for(plan: Plan, store: Store | None = None) -> Store:
    store = store or MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    return store


def run(plan: Plan, store: Store, provider: Provider | None = None, **options) -> Outcome:
    return asyncio.run(run_sessions(plan, store, provider or TinyProvider(), SCORERS, **options))


def done(plan: Plan, **options) -> Store:
    store = store_for(plan)
    assert run(plan, store, **options).ended == "complete"
    return store


def decisions(store: Store, session: str) -> list[dict]:
    return [record.meta["decision"] for record in store.iterations(session)]


@pytest.mark.parametrize("policy", ["predictive", "best_of_n", "thompson"])
def test_concurrency_changes_nothing(policy: str) -> None:
    plan = plan_for(policy)
    one, many = done(plan, concurrency=1), done(plan, concurrency=16)
    assert contents(one) == contents(many)


def test_every_iteration_is_made_by_the_strategy_that_was_decided_on_before_it() -> None:
    store = done(plan_for("thompson", sessions=9))
    used = set()
    for session in store.sessions():
        assert session.strategy == "thompson"
        records = list(store.iterations(session.id))
        taken = [record.meta["decision"] for record in records]
        assert [one["iteration"] for one in taken] == list(range(len(records)))
        assert [one["action"] for one in taken] == ["continue"] * (len(taken) - 1) + ["stop"]
        assert [record.strategy for record in records[1:]] == [one["strategy"] for one in taken[:-1]]
        assert len(records) == 1 or records[0].strategy == records[1].strategy
        used |= {record.strategy for record in records}
    assert used == {"EF", "SF"}
    assert len({len(list(store.iterations(s.id))) for s in store.sessions()}) > 1, "some sessions must stop early"


def test_what_speaks_against_the_fit_is_said_and_an_exact_scorer_can_be_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ["security", "efficiency", "functionality"]
    noise = Trajectories.from_arrays(rng.uniform(2, 8, (60, 8, 3)), names, ["EF", "SF"] * 30)
    file = tmp_path / "noise.json"
    file.write_text(fit(noise, draws=100).to_json(audit=False))
    exact = [f"{name}=0" for name in names]
    doubtful, sure = (plan_for(fit=str(file), score_noise=given) for given in ((), exact))
    doubts = doubtful.settings["pilot"]["doubts"]
    expected = [f"{name}, taken here as fitted: verdict noise" for name in ("EF", "SF")]
    assert [doubt.split(": its")[0] for doubt in doubts] == expected
    assert tt.Pilot.from_dict(doubtful.settings["pilot"]).doubts == tuple(doubts)
    # Noise of the scorer is no reason to go on; a fresh draw of an exact one is.
    assert {one["action"] for s in done(doubtful).sessions() for one in decisions(done(doubtful), s.id)} == {"stop"}
    assert not sure.settings["pilot"]["prior"]["score_noise"][0]
    store = done(sure)
    assert "continue" in {one["action"] for s in store.sessions() for one in decisions(store, s.id)}
    said: list[str] = []
    config = RunConfig(
        policy="predictive", fit=str(file), strategies=["EF", "SF"], sessions=1, iterations=1, out=tmp_path / "out"
    )
    run_experiment(config, say=said.append)
    assert said == [f"Assumed: {doubt}" for doubt in doubts]


def test_sessions_learn_from_former_rounds_and_not_from_their_own() -> None:
    def first(plan: Plan) -> list[dict]:
        store = done(plan)
        return [decisions(store, session.id)[0] for session in plan.sessions]

    rounds, alone = first(plan_for(round=3)), first(plan_for(round=1, sessions=1))
    # All tasks score alike at their start, so what differs is what was known.
    assert rounds[0]["gains"] == rounds[1]["gains"] == rounds[2]["gains"] == alone[0]["gains"]
    assert rounds[3]["gains"] == rounds[4]["gains"] != rounds[0]["gains"]


class Dying(MemoryStore):
    """A store whose process dies after so many writes: nothing more gets in."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def extend(self, iterations: Sequence[Iteration], owner: str = "") -> None:
        if self.left < len(iterations):
            raise StoreError("killed")
        self.left -= len(iterations)
        super().extend(iterations, owner)


@pytest.mark.parametrize("policy", ["predictive", "best_of_n"])
def test_a_killed_run_goes_on_with_the_same_decisions(policy: str) -> None:
    plan = plan_for(policy)
    whole = contents(done(plan))
    for writes in (0, 2, 7, 15, 16, 24):
        broken = store_for(plan, Dying(writes))
        for again in (3, 0):
            with pytest.raises(StoreError, match="killed"):
                run(plan, broken, concurrency=2)
            broken.left = again
        broken.left = 10**6
        assert run(plan, broken).ended == "complete"
        assert contents(broken) == whole


def test_a_finished_run_asks_nothing_and_more_sessions_add_to_it() -> None:
    small, large = plan_for(sessions=4), plan_for(sessions=8)
    grown, provider = done(small), TinyProvider()
    outcome = run(small, grown, provider)
    assert (outcome.progress.new, provider.calls) == (0, 0)
    assert outcome.progress.iterations == outcome.progress.iterations_done
    grown.set_experiment(Experiment("test", large.space, agreed_settings(small.settings, large.settings, "")))
    run(large, grown)
    assert contents(grown) == contents(done(large))


def test_a_policy_that_starts_anew_gives_the_model_the_first_program(tmp_path: Path) -> None:
    plan = plan_for("best_of_n:strategy=EF", sessions=1)
    provider = ScriptedProvider(lambda r: fenced(f"def g(x):\n    return x + {r.seed % 97}\n"))
    for store in (store_for(plan), store_for(plan, open_store(f"sqlite:///{tmp_path}/s.db", create=True))):
        run(plan, store, provider)
        assert all(TASKS[0].artefact in request.messages[-1].content for request in provider.requests)
        records = list(store.iterations())
        assert len(records) > 2
        assert [record.meta.get(RESTARTED) for record in records] == [None, None] + [0] * (len(records) - 2)
        assert [record.base for record in records] == [-1] + [0] * (len(records) - 1)
        found = store.trajectories()
        assert (found.n_rows, len(found.steps())) == (2, 1)
        assert found.judgements is None
        (left_out,) = found.exclusions
        assert (left_out.count, left_out.unit) == (len(records) - 2, "rows")
        assert "started anew" in left_out.reason
        store.close()
    assert load(f"sqlite:///{tmp_path}/s.db").n_rows == 2


def test_a_session_that_no_iterate_satisfies_asks_a_human_and_is_counted() -> None:
    plan = plan_for(floor=("security>=9.9",), sessions=4)
    store = store_for(plan)
    outcome = run(plan, store)
    ((reason, count),) = outcome.aside
    assert count == 4
    assert "no iterate meets security>=9.9" in reason
    assert all(decisions(store, s.id)[-1]["action"] == "ask" for s in store.sessions())
    assert run(plan, store).aside == outcome.aside


def test_triggers_ask_or_stop_or_warn() -> None:
    plan = plan_for("schedule:schedule=EF", sessions=4, trigger=("security<9.9",), iterations=2)
    store = store_for(plan)
    outcome = run(plan, store)
    assert outcome.aside == (("security is past 9.9", 4),)
    assert (outcome.progress.new, outcome.progress.iterations) == (0, 0)
    assert store.trajectories().n_rows == 4
    for action, length in (("stop", 1), ("warn", 3)):
        store = done(plan_for("schedule:schedule=EF", sessions=1, trigger=(f"security<9.9:{action}",), iterations=2))
        taken = decisions(store, store.sessions()[0].id)
        assert len(taken) == length
        assert all(one["trigger"].startswith("security is past 9.9") for one in taken)


def test_a_steered_store_is_fitted_by_the_strategies_that_were_used() -> None:
    import trimtab as tt

    store = done(plan_for("schedule:schedule=EFx2,SF", sessions=12))
    found = store.trajectories()
    assert found.strategies == ("EF", "SF")
    assert list(tt.fit(found).strategies) == ["EF", "SF"]
    assert {found.strategies[code] for code in found.session_strategy} == {"SF"}
    steps = found.steps()
    assert {(int(t), found.strategies[k]) for t, k in zip(steps.iteration, steps.strategy, strict=True)} <= {
        (0, "EF"), (1, "EF"), (2, "SF"), (3, "SF"),
    }  # fmt: skip


def test_settings_that_change_what_decisions_mean_are_named() -> None:
    plan = plan_for(floor=("security>=1",))
    changes = {
        "policy": plan_for("rules", floor=("security>=1",)),
        "utility": plan_for(floor=("security>=1",), utility="worst"),
        "weights": plan_for(floor=("security>=1",), weights=("security=1",)),
        "floor": plan_for(),
        "cost": plan_for(floor=("security>=1",), cost=0.1),
        "trigger": plan_for(floor=("security>=1",), trigger=("security<2",)),
        "round": plan_for(floor=("security>=1",), round=4),
        "iterations": plan_for(floor=("security>=1",), iterations=5),
        "strategies": plan_for(floor=("security>=1",), names=("EF", "SF", "FF")),
        "fit": plan_for(floor=("security>=1",), fit="reference"),
    }
    for name, changed in changes.items():
        with pytest.raises(StoreError, match=rf"other settings: {name} \(.*choose another --out or --store"):
            agreed_settings(plan.settings, changed.settings, "sqlite:///x.db")
    same = plan_for(floor=("security>=1",), sessions=9, concurrency=1, timeout=5)
    assert agreed_settings(plan.settings, same.settings, "")["sessions"] == 9
    fixed = make_plan(RunConfig(sessions=6, iterations=4), TASKS, load_strategies(["EF", "SF"]), SCORERS)
    for one, other in ((plan, fixed), (fixed, plan)):
        with pytest.raises(StoreError, match=r"other settings: policy \("):
            agreed_settings(one.settings, other.settings, "")


def test_a_decision_that_cannot_be_followed_is_refused() -> None:
    plan = plan_for(sessions=1, iterations=2)
    for decision in ({"action": "continue", "strategy": "XX", "base": 0}, {"action": "fly"}, None):
        store = store_for(plan)
        store.add_sessions(plan.records())
        start = next(iter(done(plan).iterations()))
        meta = {} if decision is None else {"decision": decision}
        store.append(Iteration(start.session_id, 0, start.strategy, start.artefact, start.scores, meta=meta))
        with pytest.raises(StoreError, match="the decision after its iteration 0 is"):
            run(plan, store)


def test_a_failed_answer_leaves_the_scores_of_the_program_in_force() -> None:
    told = []

    class Session:
        def take(self, scores: object, **made: object) -> None:
            told.append((scores, made))

    intake = Intake(Session())
    good, better = (Score("security", 3.0),), (Score("security", 5.0),)
    broken = (Score("security", 9.0), Score("functionality", None, "failed", "syntax error"))
    intake.take(Iteration("s", 0, "EF", "a", good))
    intake.take(Iteration("s", 1, "EF", "b", better))
    intake.take(Iteration("s", 2, "SF", "b", broken, status="failed", reason="syntax error"))
    intake.take(Iteration("s", 3, "SF", "a", broken, status="failed", reason="no", meta={RESTARTED: 0}))
    assert told == [
        ({"security": 3.0}, {}),
        ({"security": 5.0}, {"strategy": "EF", "base": 0}),
        ({"security": 5.0}, {"strategy": "SF", "base": 1}),
        ({"security": 3.0}, {"strategy": "SF", "base": 0}),
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cost": 0.1}, "cost is given, but only a policy has one: add --policy NAME"),
        ({"policy": "predictive\n"}, r"policy should be NAME\[:OPTION=VALUE,...\]"),
        ({"policy": "predictive", "utility": "best"}, "--utility should be"),
    ],
)
def test_settings_of_steering_are_checked(given: dict[str, object], said: str, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        load_config(given)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"policy": "clever"}, "no policy is called 'clever'"),
        ({"weights": ("security",)}, "weights are written NAME=NUMBER"),
        ({"weights": ("beauty=1",)}, "beauty"),
        ({"floor": ("beauty>=2",)}, "beauty"),
        ({"fit": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_what_a_pilot_cannot_use_is_refused_before_anything_is_stored(fields: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan_for(**fields)


def test_weights_may_be_a_table(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trimtab.toml").write_text('policy = "predictive"\n[weights]\nsecurity = 0.75\nefficiency = 0.25\n')
    config = load_config()
    assert config.weights == ("security=0.75", "efficiency=0.25")
    plan = make_plan(config, TASKS, load_strategies(["EF", "SF"]), SCORERS)
    assert plan.settings["pilot"]["goal"]["weights"] == {"security": 0.75, "efficiency": 0.25}
