"""evaluate: figures, intervals, documents and tables."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from scipy.stats import beta, binom

from trimtab.control.evaluation.document import json_schema
from trimtab.control.evaluation.evaluate import Evaluation, evaluate
from trimtab.control.evaluation.handling import handling
from trimtab.control.evaluation.outcome import Outcome, binomial_interval, outcome_of, paired, share_of_gain
from trimtab.control.evaluation.world import steer
from trimtab.control.evaluation.worlds import random_world
from trimtab.control.floor import Floor
from trimtab.control.goal import Goal
from trimtab.control.knowledge import Knowledge
from trimtab.control.policies.fixed import Schedule
from trimtab.dynamics.interference import interference_matrix
from trimtab.dynamics.pareto import hypervolume
from trimtab.errors import InputError
from trimtab.forecasting.sources import loops_of


@pytest.fixture(scope="module")
def reference() -> Evaluation:
    loops = loops_of("reference")
    floors = (Floor("security", 2.0, 0.05), Floor("efficiency", 2.0, 0.1, on="each"))
    return evaluate(
        loops,
        Goal(loops.space, "worst", floors=floors, cost=0.02),
        sessions=150,
        budget=6,
        triggers=["security<2:warn", "rate>1.5"],
        oracle=False,
    )


def test_figures_are_those_of_the_sessions(reference: Evaluation) -> None:
    world, goal = reference.world, reference.goal
    known = Knowledge.of_loops(loops_of("reference"))
    ran = steer(world, Schedule("FFx3,SFx4,EFx3,AI"), goal, known, 6, 150, 0)
    own = reference["schedule"]
    kept = ran.states[np.arange(150), ran.keep]
    np.testing.assert_allclose(own.utility, kept.min(axis=1))
    np.testing.assert_allclose(own.net, own.utility - 0.02 * ran.used)
    np.testing.assert_array_equal(own.uses, [(ran.strategy == k).sum() for k in range(4)])
    assert own.uses.sum() == ran.used.sum()
    states = ran.states[3][: ran.used[3] + 1]
    np.testing.assert_allclose(own.hypervolume[3], hypervolume(states, [0] * 3, [10] * 3))
    first, each = own.passed
    assert (first.count, first.of) == (int((kept[:, 0] < 2).sum()), 150)
    later = ran.states[:, 1:, 1]
    assert (each.count, each.of) == (int((later < 2).sum()), int(np.isfinite(later).sum()))


def test_differences_are_of_pairs(reference: Evaluation) -> None:
    standing = reference.standing("schedule")
    best = reference[reference.best_fixed]
    assert reference.best_fixed == max(
        (name for name in reference if name.startswith("fixed:")), key=lambda name: reference[name].net.mean()
    )
    gain = reference["schedule"].net - best.net
    assert standing.over_fixed.mean == pytest.approx(gain.mean())
    assert standing.over_fixed.high - standing.over_fixed.mean == pytest.approx(
        1.959964 * gain.std(ddof=1) / np.sqrt(150)
    )
    assert standing.over_schedule == paired(gain * 0)
    assert standing.regret is standing.share is None


def test_the_document_fits_its_schema(reference: Evaluation) -> None:
    with_oracle = evaluate(random_world(1, 0), Goal(random_world(1, 0).space), ["predictive"], sessions=20, budget=3)
    validator = jsonschema.Draft202012Validator(json_schema())
    for found in (reference, with_oracle):
        document = json.loads(found.to_json())
        validator.validate(document)
        assert list(document["policies"]) == list(found)
    assert document["oracle"]["by"] == "dynamic programming"
    broken = json.loads(reference.to_json())
    del broken["policies"]["schedule"]["share"]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(broken)


def test_the_summary_shows_every_policy_best_first(reference: Evaluation) -> None:
    lines = reference.summary().splitlines()
    assert max(map(len, lines)) <= 118
    order = sorted(reference, key=lambda name: -reference[name].net.mean())
    for name, line in zip(order, lines[4 : 4 + len(order)], strict=True):
        label = name.replace("fixed:strategy=", "always ")
        assert line.strip().startswith(label)
        assert f"{reference[name].net.mean():.3f}" in line
    assert "Handled one after another" in reference.summary()
    assert "security>=2@0.05" in reference.summary()
    assert "Triggers: sessions" in reference.summary()


@pytest.mark.parametrize(("count", "of"), [(0, 40), (3, 40), (40, 40), (17, 1000)])
def test_the_binomial_interval_is_clopper_and_pearsons(count: int, of: int) -> None:
    low, high = binomial_interval(count, of)
    np.testing.assert_allclose(low, 0.0 if count == 0 else beta.ppf(0.025, count, of - count + 1))
    np.testing.assert_allclose(high, 1.0 if count == of else beta.ppf(0.975, count + 1, of - count))
    # Its ends are the chances under which so extreme a count has a chance of 2.5%.
    if 0 < count < of:
        np.testing.assert_allclose(binom.sf(count - 1, of, low), 0.025)
        np.testing.assert_allclose(binom.cdf(count, of, high), 0.025)


def test_floors_on_each_iterate_count_sessions_that_are_alike_as_such() -> None:
    world = replace(random_world(1, 0), F=np.ones((1, 1, 1)), c=np.zeros((1, 1)), Q=np.zeros((1, 1, 1)))
    world = replace(world, strategies=("A",), session_sd=np.zeros((1, 1)), starts=np.array([[1.0]] * 3 + [[6.0]] * 7))
    goal = Goal(world.space, floors=(Floor("q1", 2.0, 0.5, on="each"),))
    # Sessions stand still: all iterates of one are alike, so that 20 of each tell no more than one.
    known = Knowledge.none(world.space, world.strategies)
    forced = replace(goal, floors=())
    ran = steer(world, Schedule(["A"]), forced, known, 20, 200, 0)
    (passed,) = outcome_of("x", ran, goal, world.strategies).passed
    count = int((ran.states[:, 0, 0] < 2).sum())
    assert (passed.count, passed.of) == (20 * count, 4000)
    low, high = binomial_interval(count, 200)
    np.testing.assert_allclose([passed.low, passed.high], [low, high], atol=2e-3)
    assert passed.verdict == "kept"
    assert replace(passed, floor=Floor("q1", 2.0, 0.05)).verdict == "broken"
    assert replace(passed, floor=Floor("q1", 2.0, 0.3)).verdict == "open"


def test_the_interval_of_a_share_covers_it() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        z = rng.normal(size=(3, 200))
        fixed, oracle = z[0], z[0] + 1 + 0.5 * z[1]
        held += (f := share_of_gain(fixed + 0.8 * (oracle - fixed) + 0.3 * z[2], fixed, oracle)).low < 0.8 < f.high
    # Exact binomial: with coverage .95, fewer than 359 of 400 has a chance below 1e-5.
    assert binom.cdf(358, 400, 0.95) < 1e-5
    assert held >= 359
    assert np.isnan(share_of_gain(z[0], z[1], z[1] - 5).mean)


def test_interference_of_handling_is_that_of_all_steps() -> None:
    rng = np.random.default_rng(1)
    root = np.linalg.cholesky(np.array([[1.0, -0.6], [-0.6, 1.0]]))
    steps = rng.normal(size=(300, 6, 2))
    tangled = rng.normal(size=(300, 6, 2)) @ root.T
    tangled[::3, 4:] = np.nan

    def outcome(own: np.ndarray) -> Outcome:
        none = np.zeros(300)
        return Outcome("x", none, none, none, none, none > 0, none, (), own)

    found = handling(outcome(steps), outcome(tangled))
    flat = tangled.reshape(-1, 2)
    whole = interference_matrix(flat[np.isfinite(flat[:, 0])])[0, 1]
    np.testing.assert_allclose(found.simultaneous, whole)
    # The standard error of a correlation is (1 - r^2) / sqrt(N).
    error = np.sqrt(1 / 1800 + (1 - 0.36) ** 2 / 1600)
    half = (found.interference.high - found.interference.low) / 2 / 1.96
    assert 0.6 * error < half < 1.6 * error
    assert "objectives hinder each other less" in found.says
    assert "worth neither more nor less" in found.says
    assert "hinder each other neither more nor less" in handling(outcome(steps), outcome(steps)).says


def test_set_valued_goals_count_all_iterates() -> None:
    world = random_world(2, seed=0)
    found = evaluate(world, Goal(world.space, "hypervolume"), ["simultaneous"], sessions=30, budget=3, oracle=False)
    for name in found:
        np.testing.assert_allclose(found[name].utility, 10 * found[name].hypervolume)


def test_what_speaks_against_a_fit_is_said_before_anything_rests_on_it() -> None:
    loops = loops_of("reference")
    doubtful = replace(
        loops,
        loops={**loops.loops, "FF": loops["FF"].with_cautions(("verdict undetermined: its forecast is a guess",))},
    )
    goal = Goal(loops.space)
    with_doubt, without = (
        evaluate(source, goal, ["schedule"], sessions=4, budget=2, oracle=False) for source in (doubtful, loops)
    )
    said = "FF, taken here as fitted: verdict undetermined: its forecast is a guess."
    assert with_doubt.notes[0] == said
    assert said in str(with_doubt.to_dict()["notes"])
    assert not any("taken here as fitted" in note for note in without.notes)


def test_what_cannot_be_evaluated_is_refused() -> None:
    world = random_world(2, seed=0)
    goal = Goal(world.space)
    other = random_world(3, seed=0)
    with pytest.raises(InputError, match="sessions must be a whole number"):
        evaluate(world, goal, sessions=0)
    with pytest.raises(InputError, match="iterations must be a whole number"):
        evaluate(world, goal, budget=1.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the same objectives and strategies"):
        evaluate(world, Goal(other.space), sessions=5)
    with pytest.raises(InputError, match="comes twice"):
        evaluate(world, goal, ["predictive", "predictive"], sessions=5)
    with pytest.raises(InputError, match="no policy"):
        evaluate(world, goal, ["magic"], sessions=5)
    with pytest.raises(InputError, match="no policy is called"):
        evaluate(world, goal, [], sessions=5, budget=1, oracle=False)["x"]
