"""Trials: the same tasks and numbers for every arm, true utility of what is kept, and intervals that know of tasks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from support.providers import ScriptedProvider, TinyProvider, fenced
from trimtab.errors import InputError
from trimtab.providers.base import Request
from trimtab.sessions.config import RunConfig
from trimtab.sessions.strategies import load_strategies
from trimtab.sessions.task import Task
from trimtab.sessions.trial import COLD, Trial, clustered, default_arms, split_tasks, trial

TASKS = tuple(Task(f"task{i}", "Do it.", f"def f{i}(x):\n    return x + {i}\n") for i in range(8))
STRATEGIES = load_strategies(["EF", "SF"])


def tried(provider: object = None, arms: list[str] | None = None, **fields: object) -> Trial:
    config = RunConfig(policy="predictive", **{"sessions": 8, "iterations": 4, "round": 4, **fields})
    return trial(config, TASKS, STRATEGIES, arms, provider=provider or TinyProvider())


def program(lines: int) -> str:
    return fenced("def g(x):\n    return x\n" + "".join(f"\n\ndef g{k}(x):\n    return x\n" for k in range(lines)))


def by_strategy(better: str) -> Callable[[Request], str]:
    """Let one strategy turn programs into ones of more functions, and the other back."""
    instruction = {strategy.name: strategy.instruction for strategy in STRATEGIES}

    def answer(request: Request) -> str:
        said = request.messages[-1].content
        return program(6 if instruction[better].partition("}")[2][:40] in said else 0)

    return answer


def test_halves_share_no_task_and_depend_on_the_seed_alone() -> None:
    training, held_out = split_tasks(TASKS, 3)
    assert sorted(task.id for task in (*training, *held_out)) == [task.id for task in TASKS]
    assert len(training) == len(held_out) == 4
    assert split_tasks(TASKS, 3) == (training, held_out)
    assert any(split_tasks(TASKS, seed) != (training, held_out) for seed in range(5))
    with pytest.raises(InputError, match="at least four tasks"):
        split_tasks(TASKS[:3], 0)


def test_a_strategy_that_is_better_is_found_by_the_policy_that_knows_the_fit() -> None:
    found = tried(ScriptedProvider(by_strategy("SF")), weights=("functionality=1",))
    assert [*found] == ["fixed:strategy=EF", "fixed:strategy=SF", *default_arms(["EF", "SF"])]
    assert found.best_fixed == "fixed:strategy=SF"
    gain = found.over("predictive", "fixed:strategy=EF")
    assert gain.mean == pytest.approx(found["predictive"].net.mean() - found["fixed:strategy=EF"].net.mean())
    assert gain.low > 0
    assert found["predictive"].uses[1] > found["predictive"].uses[0]
    # Another iteration is worth nothing where one step is all there is to gain.
    assert found["predictive"].used.mean() < found["fixed:strategy=SF"].used.mean() == 4
    assert {*found.training} | {*found.held_out} == {task.id for task in TASKS}


def test_a_trial_is_the_same_whatever_the_concurrency_and_pairs_its_arms() -> None:
    one, many = tried(arms=["rules"], concurrency=1), tried(arms=["rules"], concurrency=16)
    assert one.to_dict() == many.to_dict()
    assert one.to_dict()["arms"]["rules"]["failed"] > 0
    # The answer to the first program by the same strategy is the same in every arm.
    again = tried(arms=["schedule:schedule=EFx1,SF"])
    assert np.array_equal(again["schedule:schedule=EFx1,SF"].steps[:, 0], again["fixed:strategy=EF"].steps[:, 0])


def test_floors_are_counted_on_the_iterates_that_were_kept() -> None:
    found = tried(arms=[f"predictive{COLD}"], floor=("security>=9.9",))
    passed = found[f"predictive{COLD}"].passed[0]
    assert (passed.count, passed.of) == (8, 8)
    assert found[f"predictive{COLD}"].asked.all()
    assert "security>=9.9@0.05" in found.summary()


def test_intervals_are_those_of_the_means_of_equal_clusters() -> None:
    rng = np.random.default_rng(1)
    cluster = np.arange(60) % 6
    values = rng.normal(size=60) + 3 * rng.normal(size=6)[cluster]
    means = np.array([values[cluster == g].mean() for g in range(6)])
    expected = scipy.stats.ttest_1samp(means, 0.0).confidence_interval(0.95)
    found = clustered(values, cluster)
    assert (found.mean, found.low, found.high) == pytest.approx((values.mean(), expected.low, expected.high))
    alone = clustered(values, np.arange(60))
    assert alone.high - alone.low < 0.7 * (found.high - found.low)
    assert np.isnan(clustered(values, np.zeros(60, dtype=int)).low)


def test_arms_are_checked_before_anything_runs() -> None:
    provider = TinyProvider()
    with pytest.raises(InputError, match="no policy is called 'clever'"):
        tried(provider, arms=["clever"])
    assert provider.calls == 0
