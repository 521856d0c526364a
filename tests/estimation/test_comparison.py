from __future__ import annotations

import json
import time
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

import trimtab as tt
from simulated import NAMES, REAL, panel
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import FitError, InputError
from trimtab.estimation.comparison import figures, wald
from trimtab.estimation.comparison.compare import compare
from trimtab.estimation.comparison.document import json_schema
from trimtab.estimation.least_squares import coefficients, estimate
from trimtab.estimation.moments import Moments, session_moments
from trimtab.estimation.prediction import r_squared

FASTER = AffineSDE(REAL.A - 0.15 * np.eye(3), REAL.b + 0.15 * REAL.equilibrium, REAL.Q)


def labelled(data: Trajectories, **columns: list[str]) -> Trajectories:
    return replace(data, covariates={name: tuple(labels) for name, labels in columns.items()})


def renamed(data: Trajectories, prefix: str) -> Trajectories:
    return replace(data, session_ids=tuple(f"{prefix}{name}" for name in data.session_ids))


def joined(*parts: Trajectories) -> Trajectories:
    """Put sessions of several sources into one, covariates included."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.strategies))
    codes = [np.array([names.index(name) for name in part.strategies])[part.strategy] for part in parts]
    lengths = np.concatenate([part.lengths for part in parts])
    return Trajectories(
        space=parts[0].space,
        scores=np.concatenate([part.scores for part in parts]),
        status=np.concatenate([part.status for part in parts]),
        iteration=np.concatenate([part.iteration for part in parts]),
        strategy=np.concatenate(codes),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        session_ids=tuple(f"{i}/{name}" for i, part in enumerate(parts) for name in part.session_ids),
        strategies=names,
        covariates={name: sum((part.covariates[name] for part in parts), ()) for name in parts[0].covariates},
    )


def tasks(count: int, times: int = 1) -> list[str]:
    return [f"task {i // times}" for i in range(count * times)]


def test_both_sides_show_what_a_fit_of_each_shows() -> None:
    a, b = panel(REAL, 60, seed=1), panel(FASTER, 50, seed=2)
    one = compare(a, b, paired=False)["EF"]
    for data, side in ((a, "a"), (b, "b")):
        m = session_moments(data.steps())
        fitted = estimate(m.total, m.center, m.scale)
        r2 = r_squared(m, fitted, None, np.ones(3, bool), 0.95, 0)
        assert getattr(one["rate"], side) == pytest.approx(-np.linalg.eigvals(fitted.A).real.max())
        assert getattr(one["smooth_rate"], side) == pytest.approx(-np.trace(fitted.A) / 3)
        assert getattr(one["r2_steps"], side) == pytest.approx(float(r2.steps))
        assert getattr(one["r2_held_out"], side) == pytest.approx(r2.steps_held_out)
        target = -np.linalg.solve(fitted.A, fitted.b)
        ends = data.scores[data.offsets[1:] - 1].mean(axis=0)
        dx = np.corrcoef(data.steps().dx.T)
        for j, name in enumerate(NAMES):
            assert getattr(one["equilibrium", name], side) == pytest.approx(target[j])
            assert getattr(one["reached", name], side) == pytest.approx(ends[j])
        assert getattr(one["interference", NAMES[0], NAMES[2]], side) == pytest.approx(dx[0, 2])
    assert one.sessions == (60, 50)
    assert one.units == (60, 50)
    for row in one.rows:
        expected = row.b / row.a if row.kind == "ratio" else row.b - row.a
        assert float(row.difference) == pytest.approx(expected)
        assert row.difference.low < row.difference < row.difference.high


def test_ends_are_compared_as_by_students_and_welchs_tests() -> None:
    a, b = panel(REAL, 40, seed=1), panel(REAL, 40, seed=2)
    ends = [data.scores[data.offsets[1:] - 1] for data in (a, b)]
    for paired, test in (
        (True, scipy.stats.ttest_rel(*ends[::-1])),
        (False, scipy.stats.ttest_ind(*ends[::-1], equal_var=False)),
    ):
        one = compare(a, b, paired=paired)["EF"]
        interval = test.confidence_interval()
        for j, name in enumerate(NAMES):
            row = one["reached", name]
            assert row.p_value == pytest.approx(test.pvalue[j])
            assert (row.difference.low, row.difference.high) == pytest.approx((interval.low[j], interval.high[j]))


def test_means_over_sessions_of_repeated_tasks_have_clustered_errors() -> None:
    rng = np.random.default_rng(0)
    unit = np.sort(rng.integers(0, 12, 40))
    unit[:12], unit = np.arange(12), np.sort(unit)
    values = rng.normal(size=(40, 1))
    mean, influence = figures._mean(unit, values, 12)
    by_hand = [(values[unit == g, 0] - values.mean()).sum() / 40 for g in range(12)]
    assert mean[0] == pytest.approx(values.mean())
    np.testing.assert_allclose(influence[:, 0], by_hand)


def test_the_paired_test_of_all_entries_is_hotellings() -> None:
    a, b = panel(REAL, 60, seed=3), panel(REAL, 60, seed=4)
    test = compare(a, b, paired=True)["EF"].drift
    values = []
    for data in (a, b):
        m = session_moments(data.steps(), np.zeros(3), np.ones(3))
        whole = coefficients(m.total)[0].ravel()
        left_out = [coefficients(np.delete(m.outer, s, axis=0).sum(axis=0))[0].ravel() for s in range(60)]
        values.append(whole + 59 * (whole - np.array(left_out)))
    d = values[1] - values[0]
    m = session_moments(a.steps(), np.zeros(3), np.ones(3)), session_moments(b.steps(), np.zeros(3), np.ones(3))
    v = (coefficients(m[1].total)[0] - coefficients(m[0].total)[0]).ravel()
    T2 = v @ np.linalg.solve(np.cov(d.T) / 60, v)
    assert test.dof == 12
    assert test.statistic == pytest.approx(T2, rel=1e-6)
    assert 20 < test.error_dof <= 59 + 1e-9
    nu = test.error_dof
    assert test.p_value == pytest.approx(scipy.stats.f.sf(T2 * (nu - 11) / (nu * 12), 12, nu - 11), rel=1e-6)


def test_degrees_of_freedom_are_welchs_for_one_entry() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (30, 1)), 3 * rng.uniform(-1, 1, (12, 1))  # light tails: no correction for heavy ones
    got = wald._test(np.array([0.5]), [a, b], "x")
    assert got.p_value == pytest.approx(
        scipy.stats.ttest_ind(b - b.mean() + 0.5, a - a.mean(), equal_var=False).pvalue[0]
    )
    assert wald._error_dof(rng.standard_t(3, (400, 2))) < 300
    assert wald._error_dof(np.zeros((7, 2))) == 6


def test_influences_and_leaving_out_agree_for_many_units(monkeypatch: pytest.MonkeyPatch) -> None:
    m = session_moments(panel(REAL, 800, seed=1).steps())
    jackknife = np.cov(wald.unit_estimates(m).T)
    monkeypatch.setattr(wald, "_JACKKNIFED", 10)
    influence = np.cov(wald.unit_estimates(m).T)
    size = np.sqrt(np.diagonal(jackknife))
    np.testing.assert_allclose(influence / size[:, None] / size, jackknife / size[:, None] / size, atol=0.03)


def test_holm_agrees_with_statsmodels() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5, 0.01])
    known = np.isfinite(p)
    np.testing.assert_allclose(wald.holm(p)[known], multipletests(p[known], method="holm")[1])
    assert np.isnan(wald.holm(p)[1])


def test_paired_replicates_use_the_same_units_on_both_sides() -> None:
    a, b = (session_moments(panel(REAL, 30, seed=s).steps(), np.full(3, 5.0), np.ones(3)) for s in (1, 1))
    same = Moments(b.outer * 2, b.session, b.center, b.scale)
    one, other = figures._together(a, same, 50, 0, ("x",))
    np.testing.assert_allclose(other, 2 * one, rtol=1e-3, atol=1e-3)
    assert one.std(axis=0)[1, 1] > 0
    first, second = figures.resampled(a, b, paired=True, dt=1.0, draws=50, seed=0, key=("x",))
    np.testing.assert_allclose(first.drawn.A, second.drawn.A, atol=1e-3)
    first, second = figures.resampled(a, b, paired=False, dt=1.0, draws=50, seed=0, key=("x",))
    assert not np.allclose(first.drawn.A, second.drawn.A, atol=0.01)


def test_a_side_compared_with_itself_differs_in_nothing() -> None:
    data = panel(REAL, 30, seed=1)
    one = compare(data, data)["EF"]
    assert one.paired
    assert one.drift.p_value == 1
    assert all(float(row.difference) == (row.kind == "ratio") and row.p_value == 1 for row in one.rows)
    assert "No difference in dynamics" in one.verdict


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


def test_the_rate_does_not_depend_on_the_unit_of_time() -> None:
    a, b = panel(REAL, 30, seed=1), panel(FASTER, 30, seed=2)
    one, half = compare(a, b, draws=100)["EF"], compare(a, b, dt=0.5, draws=100)["EF"]
    assert half["rate"].difference.low == pytest.approx(2 * one["rate"].difference.low)
    assert half["spectral_radius"].p_value == pytest.approx(one["spectral_radius"].p_value)
    assert half.drift.p_value == pytest.approx(one.drift.p_value)


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
    constant = Trajectories.from_arrays(np.full((30, 5, 3), 4.0), NAMES, "EF")
    refused(FitError, "no objective varies", a, constant)
    short = Trajectories.from_arrays(np.random.default_rng(0).normal(size=(4, 2, 3)), NAMES, "EF")
    refused(FitError, "at least 6 sessions", short, short)


def test_an_objective_that_stands_still_on_one_side_is_left_out_of_the_dynamics() -> None:
    a, b = panel(REAL, 30, seed=1), renamed(panel(REAL, 30, seed=2), "x")
    b.scores[:, 1] = 4.0
    one = compare(a, b)["EF"]
    assert any("left out of the dynamics: efficiency" in text for text in one.warnings)
    assert one.drift.dof == 6
    assert one["reached", "efficiency"].b == 4
    with pytest.raises(InputError, match="no row"):
        one["equilibrium", "efficiency"]


def test_an_objective_that_hardly_ever_varies_gets_no_intervals() -> None:
    a, b = panel(REAL, 30, seed=1), renamed(panel(REAL, 30, seed=2), "x")
    b.scores[:, 1] = 4.0
    b.scores[3:5, 1] = 5.0
    one = compare(a, b)["EF"]
    assert np.isnan(one["rate"].difference.low)
    assert any("too few sessions" in text for text in one.warnings)
    assert one.regimes[0] == {}
    json.dumps(compare(a, b).to_dict(), allow_nan=False)
    assert "too few sessions" in compare(a, b).summary()


def test_loops_that_do_not_settle_have_no_ratio_of_half_lives() -> None:
    walk = AffineSDE(np.zeros((1, 1)), [0.0], [[1.0]])
    one = compare(panel(walk, 40, seed=1), panel(AffineSDE([[-0.5]], [2.5], [[1.0]]), 40, seed=2), paired=False)["EF"]
    assert np.isnan(one["half_life"].p_value)
    assert np.isfinite(one["rate"].p_value)


def test_columns_that_differ_between_the_sides_are_named() -> None:
    a, b = panel(REAL, 30, seed=1), panel(REAL, 30, seed=2)
    found = compare(labelled(a, model=["x", "y"] * 15), labelled(b, model=["x"] * 30), draws=50)
    assert any("model is 'x', 'y' in A and 'x' in B" in text for text in found.warnings)


def test_verdict_and_document_say_what_differs() -> None:
    a, b = panel(REAL, 100, seed=1), panel(FASTER, 100, seed=2)
    found = tt.compare(a, b, paired=False, names=("old", "new"))
    assert found.verdict.startswith("new converges faster than old, by 0.1")
    assert "no difference in where they end can be seen" in found.verdict
    back = compare(b, a, paired=False)
    assert back.verdict.startswith("B converges slower than A, by 0.1")
    shifted = Trajectories.from_arrays(a.scores.reshape(100, 11, 3) + np.array([0, 2, 0]), NAMES, "EF")
    assert "ends higher in efficiency by 2" in compare(a, shifted).verdict
    jsonschema.validate(json.loads(found.to_json()), json_schema())
    row = next(row for row in found.to_dict()["strategies"]["EF"]["figures"] if row["figure"] == "rate")
    assert row["difference"]["estimate"] == float(found["EF"]["rate"].difference)
    text = found.summary()
    assert "new - old" in text
    assert "Holm's adjustment over the 16 rows shown" in text
    assert max(map(len, text.splitlines())) <= 118
    assert repr(found).startswith("Comparison of old and new")
    assert "rate" in repr(found["EF"])
    with pytest.raises(InputError, match="nothing is compared under 'SF'"):
        found["SF"]


def test_names_from_data_are_neither_markup_nor_control() -> None:
    evil = "[red]x[/red]\x1b[2J"
    a = panel(REAL, 20, seed=1, strategy=evil, names=["[b]a[/b]", "b\x1b", "c"])
    text = compare(a, renamed(panel(REAL, 20, seed=2, strategy=evil, names=["[b]a[/b]", "b\x1b", "c"]), "x")).summary()
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
    assert "[b]a[/b]" in text


def test_the_same_seed_gives_the_same_comparison() -> None:
    a, b = panel(REAL, 30, seed=1), panel(REAL, 30, seed=2)
    assert compare(a, b, draws=100).to_json() == compare(a, b, draws=100).to_json()
    assert compare(a, b, draws=100).to_json() != compare(a, b, draws=100, seed=1).to_json()


def test_400_sessions_a_side_take_less_than_a_second() -> None:
    a, b = panel(REAL, 400, seed=1), panel(FASTER, 400, seed=2)
    best = np.inf
    for _ in range(3):
        began = time.process_time()
        compare(a, b)
        best = min(best, time.process_time() - began)
    assert best < 1


def test_many_sessions_are_compared_through_the_gaussian_limit() -> None:
    a, b = panel(REAL, 2500, steps=3, seed=1), panel(FASTER, 2500, steps=3, seed=2)
    for paired in (True, False):
        one = compare(a, b, paired=paired)["EF"]
        assert one["smooth_rate"].difference.low < 0.15 < one["smooth_rate"].difference.high
