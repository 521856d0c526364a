from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from simulated import NAMES, REAL, panel
from support.sides import FASTER, joined, labelled, renamed, tasks
from support.sides import compare_plainly as compare
from trimtab.core.trajectories import Trajectories
from trimtab.errors import FitError, InputError


def test_pairs_narrow_what_tasks_share() -> None:
    rng = np.random.default_rng(1)
    level = rng.normal(0, 0.6, (40, 1, 3))

    def side(seed: int) -> Trajectories:
        x = panel(REAL, 40, seed=seed).scores.reshape(40, 11, 3) + level
        return labelled(renamed(Trajectories.from_arrays(x, NAMES, "EF"), f"{seed}/"), task_id=tasks(40))

    a, b = side(1), side(2)
    found = compare(a, b)["EF"]
    assert found.paired
    assert found.noun == "tasks"
    apart = compare(a, b, paired=False)["EF"]
    for key in (("reached", "security"), ("reached", "efficiency")):
        assert found[key].difference.high - found[key].difference.low < 0.9 * (
            apart[key].difference.high - apart[key].difference.low
        )


@pytest.mark.parametrize(
    ("ids", "columns", "expected"),
    [
        ("same", {}, (True, "session_id", 40)),
        ("other", {}, (False, "session_id", 40)),
        ("half", {}, (False, "session_id", 40)),
        ("other", {"task_id": tasks(40)}, (True, "task_id", 40)),
        ("other", {"task_id": tasks(20, 2)}, (True, "task_id", 20)),
        ("other", {"task_id": tasks(2, 20)}, (False, "session_id", 40)),
        ("other", {"task_id": [""] * 40}, (False, "session_id", 40)),
    ],
)
def test_pairs_are_found_where_they_are(ids: str, columns: dict, expected: tuple) -> None:
    a, b = panel(REAL, 40, seed=1), panel(REAL, 40, seed=2)
    if ids != "same":
        b = (
            renamed(b, "x")
            if ids == "other"
            else replace(b, session_ids=(*a.session_ids[:20], *"abcdefghijklmnopqrst"))
        )
    one = compare(labelled(a, **columns), labelled(b, **columns), draws=50)["EF"]
    assert (one.paired, one.by, one.units[0]) == expected


def test_tasks_on_one_side_only_are_left_out_of_pairs_and_counted() -> None:
    a, b = (labelled(renamed(panel(REAL, 40, seed=s), f"{s}"), task_id=tasks(40)) for s in (1, 2))
    b = b.select(np.arange(25))
    found = compare(a, b)
    assert found["EF"].units == (25, 25)
    assert [(e.count, e.unit) for e in found.exclusions] == [(15, "sessions")]
    assert compare(a, b, paired=False)["EF"].units == (40, 25)
    c = replace(b, covariates={"task_id": tuple(f"other {i}" for i in range(25))})
    with pytest.raises(InputError, match="paired comparison needs at least 6 tasks on both sides, but there are 0"):
        compare(a, c, paired=True)
    few = replace(b, covariates={"task_id": (*tasks(7), *(f"other {i}" for i in range(18)))})
    found = compare(a, few)
    assert not found["EF"].paired
    assert any("Only 7 of 40 and 25" in note for note in found.notes)


def test_strategies_models_and_switching_sessions_of_one_source() -> None:
    one = labelled(panel(REAL, 40, seed=1, strategy="EF"), task_id=tasks(40), model=["x", "y"] * 20)
    other = labelled(panel(FASTER, 40, seed=2, strategy="SF"), task_id=tasks(40), model=["x", "y"] * 20)
    both = joined(one, other)
    found = compare(both, between="strategy=EF,SF", draws=200)
    assert [*found] == ["EF vs SF"]
    assert found.names == ("EF", "SF")
    assert found["EF vs SF"].paired
    assert found["EF vs SF"]["rate"].difference == pytest.approx(
        compare(one, other, draws=200)["EF vs SF"]["rate"].difference
    )
    models = compare(both, between=("model", "x", "y"), draws=50)
    assert [*models] == ["EF", "SF"]
    assert not models["EF"].paired
    assert models["EF"].units == (20, 20)
    assert [*compare(both, between="model=x,y", strategy="SF", draws=50)] == ["SF"]
    # A session that changes its strategy midway is on both sides.
    half = replace(one, strategies=("EF", "SF"), strategy=(one.iteration > 5).astype(np.int64), covariates={})
    switched = compare(half, between="strategy=EF,SF", draws=50)["EF vs SF"]
    assert switched.paired
    assert switched.by == "session_id"
    assert switched.steps == (200, 200)


def test_labels_with_commas_are_cut_where_both_parts_are_known() -> None:
    both = joined(panel(REAL, 20, seed=1, strategy="a,b"), panel(REAL, 20, seed=2, strategy="c"))
    assert compare(both, between="strategy=a,b,c", draws=50).names == ("a,b", "c")


def test_several_strategies_are_compared_by_name_and_the_others_named() -> None:
    a = joined(panel(REAL, 20, seed=1, strategy="EF"), panel(REAL, 20, seed=2, strategy="SF"))
    b = joined(panel(REAL, 20, seed=3, strategy="EF"), panel(REAL, 20, seed=4, strategy="AI"))
    found = compare(a, b, names=("old", "new"), draws=50)
    assert [*found] == ["EF"]
    assert any("Only old has steps under 'SF'" in note for note in found.notes)
    assert any("Only new has steps under 'AI'" in note for note in found.notes)
    p = [row.p_adjusted for one in found.strategies.values() for row in one.rows]
    two = compare(a, a, draws=50, paired=False)
    q = np.array([row.p_value for one in two.strategies.values() for row in one.rows])
    np.testing.assert_allclose(
        [row.p_adjusted for one in two.strategies.values() for row in one.rows], multipletests(q, method="holm")[1]
    )
    assert len(p) == len(q) / 2
    tests = [one.drift for one in two.strategies.values()]
    np.testing.assert_allclose(
        [t.p_adjusted for t in tests], multipletests([t.p_value for t in tests], method="holm")[1]
    )


def test_objectives_may_stand_in_any_order_and_scales_may_differ() -> None:
    a, b = panel(REAL, 30, seed=1), renamed(panel(REAL, 30, seed=2), "x")
    turned = b.select(objectives=NAMES[::-1])
    one, other = compare(a, b)["EF"], compare(a, turned)["EF"]
    assert [float(row.difference) for row in one.rows] == pytest.approx([float(row.difference) for row in other.rows])
    wide = replace(b, space=type(b.space)([f"{NAMES[0]}:0:100", *NAMES[1:]]))
    assert any("0 to 10 in A and on 0 to 100 in B" in note for note in compare(a, wide, draws=50).notes)


def refused(error: type[Exception], words: str, *arguments: object, **options: object) -> None:
    with pytest.raises(error, match=words):
        compare(*arguments, **options)


def test_what_cannot_be_compared_is_refused_with_reasons() -> None:
    a = panel(REAL, 30, seed=1)
    other = panel(REAL, 30, seed=2, names=["security", "efficiency", "cost"])
    refused(InputError, "only A has 'functionality'; only B has 'cost'.*--objective security", a, other)
    refused(InputError, "none in common", a, panel(REAL, 30, seed=2, names=["x", "y", "z"]))
    flipped = replace(a, space=type(a.space)([f"{NAMES[0]}:0:10:min", *NAMES[1:]]))
    refused(InputError, "one says max and the other min", a, flipped)
    two = joined(panel(REAL, 9, strategy="x"), panel(REAL, 9, strategy="y"))
    refused(InputError, "A has 'EF'; B has 'x', 'y'", a, two)
    refused(InputError, "B has no step under the strategy 'EF'", a, two, strategy="EF")
    refused(FitError, "at least 6 sessions on each side, but B has 5", a, renamed(panel(REAL, 5), "x"))
    refused(InputError, "between strategy=EF,SF", a)
    refused(InputError, "both were given", a, a, between="strategy=EF,SF")
    refused(InputError, "columns are 'strategy'", a, between="model=x,y")
    refused(InputError, "of which there are 'x', 'y'", two, between="strategy=x,z")
    refused(InputError, "of which there are 'x', 'y'", two, between="strategy=x")
    refused(InputError, "two different labels", two, between=("strategy", "x", "x"))
    refused(InputError, "but got 3", a, between=3)
    refused(InputError, "both were asked for", two, between="strategy=x,y", strategy="x")
    refused(InputError, "no column 'model'", a, a, by="model")
    refused(InputError, "two different names", a, a, names=("x", "x"))
    refused(InputError, "between 0 and 1", a, a, level=2)
    short = Trajectories.from_arrays(np.random.default_rng(0).normal(size=(4, 2, 3)), NAMES, "EF")
    refused(FitError, "at least 6 sessions", short, short)


def test_columns_that_differ_between_the_sides_are_named() -> None:
    a, b = panel(REAL, 30, seed=1), panel(REAL, 30, seed=2)
    found = compare(labelled(a, model=["x", "y"] * 15), labelled(b, model=["x"] * 30), draws=50)
    assert any("model is 'x', 'y' in A and 'x' in B" in text for text in found.warnings)
