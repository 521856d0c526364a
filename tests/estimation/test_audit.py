"""The audit as a whole: findings, correction, words, and data that answer nothing."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.console import Console

import trimtab as tt
from simulated import COMPLEX, NAMES, REAL, noise, panel
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.estimation.audit.audit import audit
from trimtab.estimation.audit.finding import AuditOptions, Finding, corrected
from trimtab.estimation.audit.strategy import ASSUMPTIONS, QUESTIONS, audit_strategy
from trimtab.estimation.audit.summary import AuditSummary
from trimtab.estimation.multiplicity import holm

KEYS = {"name", "question", "statistic", "p_value", "low", "high", "holds", "says"}


def two_strategies() -> Trajectories:
    a, b = panel(REAL, 30, seed=1), panel(COMPLEX, 30, seed=2)
    sessions = [t.scores[t.offsets[s] : t.offsets[s + 1]] for t in (a, b) for s in range(30)]
    return Trajectories.from_arrays(sessions, NAMES, ["EF"] * 30 + ["SF"] * 30)


def finding(name: str, p_value: float, holds: bool | None) -> Finding:
    return Finding(name, "?", 0.0, p_value, math.nan, math.nan, holds, "It is so.")


def test_dynamics_pass_and_noise_does_not() -> None:
    clean, fake = audit(panel(seed=3))["EF"], audit(noise())["EF"]
    assert all(clean[name].holds for name in ("memory", "shuffled_rate", "shuffled_r2", "static_levels", "power"))
    assert all(clean[name].holds for name in ASSUMPTIONS - {"dropout"})
    assert fake["memory"].holds is False
    assert fake["shuffled_rate"].holds is False
    assert fake["shuffled_pairs"].holds is not True
    assert "In random order the scores show a rate of 0.9" in fake["shuffled_rate"].says
    assert fake["static_levels"].holds is None


def test_every_question_is_answered_for_every_strategy() -> None:
    result = tt.audit(two_strategies())
    assert [*result] == ["EF", "SF"]
    for one in result.strategies.values():
        assert [f.name for f in one] == [q.name for q in QUESTIONS]
        assert all(f.says.endswith(".") and f.says.count("\n") == 0 for f in one)
        assert {f.answer for f in one} <= {"yes", "no", "cannot say"}
    assert result["SF"]["shuffled_pairs"].holds is True
    assert result["EF"]["shuffled_pairs"].holds is None
    assert result.tests == sum(np.isfinite(f.p_value) for one in result.strategies.values() for f in one)


def test_one_strategy_alone_is_as_among_others() -> None:
    both, alone = audit(two_strategies(), seed=5), audit(two_strategies(), seed=5, strategy="SF")
    assert [*alone] == ["SF"]
    assert alone.to_dict()["strategies"]["SF"] == both.to_dict()["strategies"]["SF"]
    assert alone.to_json() != audit(two_strategies(), seed=6, strategy="SF").to_json()
    with pytest.raises(InputError, match=r"'XX'.*EF, SF"):
        audit(two_strategies(), strategy="XX")
    with pytest.raises(InputError, match=r"'XX'.*EF"):
        both["XX"]
    with pytest.raises(InputError, match=r"'XX'.*memory"):
        both["EF"]["XX"]


def test_all_steps_pooled_are_one_strategy_more() -> None:
    data = two_strategies()
    found = audit_strategy(data, data.steps(), None, AuditOptions(shuffles=50))
    names = [f.name for f in found]
    sessions = found[names.index("over_sessions")]
    assert sessions.holds is False  # the first half is one strategy, the second the other
    assert sessions.p_value < 0.01


def test_the_document_is_plain() -> None:
    document = json.loads(audit(two_strategies()).to_json())
    assert document["schema"] == "trimtab.audit/1"
    assert document["correction"] == "Holm"
    one = document["strategies"]["EF"]
    assert (one["sessions"], one["steps"]) == (30, 300)
    assert all(set(f) == KEYS for f in one["findings"])
    assert one["assumption_tests"] == sum(f["p_value"] is not None for f in one["findings"] if f["name"] in ASSUMPTIONS)
    dropped = next(f for f in one["findings"] if f["name"] == "dropout")
    assert dropped["p_value"] is None
    assert dropped["holds"] is None
    assert "same length" in dropped["says"]


def test_only_what_stands_after_the_correction_speaks_against_the_fit() -> None:
    rng = np.random.default_rng(0)
    for _ in range(12):
        p = rng.random(6) ** rng.integers(1, 8)
        found = corrected(
            [finding(f"a{i}", v, bool(v >= 0.05)) for i, v in enumerate(p)],
            frozenset({"a0", "a1", "a2", "a3", "a4", "a5"}),
            0.05,
        )
        np.testing.assert_array_equal([f.holds is False for f in found], holm(p) <= 0.05)


def test_the_correction_leaves_the_others_alone() -> None:
    before = [
        finding("a", 0.04, False),
        finding("b", 0.03, False),
        finding("c", 0.045, False),
        finding("d", math.nan, None),
    ]
    after = corrected(before, frozenset("abd"), 0.05)
    assert [f.holds for f in after] == [True, True, False, None]
    assert after[0].says == "It is so; among 2 such tests that is no proof."
    assert after[2] == before[2]
    alone = corrected(before[:1], frozenset("a"), 0.05)
    assert alone[0].holds is False


def test_order_proves_nothing_where_sessions_end_by_their_scores() -> None:
    whole = panel(REAL, 200, 8).scores.reshape(200, 9, 3)
    kept = []
    for x in whole:
        ends = np.flatnonzero(x[:, 0] > 5.8)
        kept.append(x[: ends[0] + 1] if len(ends) else x)
    one = audit(Trajectories.from_arrays(kept, NAMES, "EF"))["EF"]
    assert one["dropout"].holds is False
    assert "'security'" in one["dropout"].says
    assert "higher" in one["dropout"].says
    assert one["shuffled_rate"].holds is None
    assert "random order undoes" in one["shuffled_rate"].says


def test_objectives_are_chosen_by_name() -> None:
    one = audit(panel(), objectives="security")["EF"]
    assert "only one objective" in one["shuffled_interference"].says
    assert one["condition"].statistic == pytest.approx(1)
    table = {"session_id": ["a", "a", "a"], "iteration": [0, 1, 2], "quality": [2.0, 4.5, 6.0]}
    assert audit(table, objectives=["quality"])["all"]["memory"].holds is None


@pytest.mark.parametrize(
    "option", [{"level": 1}, {"level": "x"}, {"shuffles": 1}, {"shuffles": 10**9}, {"seed": 1.5}, {"shuffles": 30.5}]
)
def test_options_that_make_no_sense_are_refused(option: dict) -> None:
    with pytest.raises(InputError):
        audit(panel(sessions=5), **option)


def shown(data: Trajectories, width: int) -> list[str]:
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None).print(AuditSummary(audit(data)))
    return buffer.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 118])
def test_the_summary_keeps_to_the_width_and_says_how_many_tests_were_made(width: int) -> None:
    lines = shown(two_strategies(), width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "EF (30 sessions, 300 steps)" in text
    assert "Holm's correction" in text
    assert "tests of 2 strategies" in text
    assert "cannot say" in text


def test_the_summary_gives_one_row_to_one_reason() -> None:
    constant = Trajectories.from_arrays(np.full((20, 11, 2), 5.0), ["a", "b"])
    text = audit(constant).summary()
    assert text.count("every step starts from the same scores") == 1
    assert "more questions" in text


def test_hostile_names_are_shown_as_they_are_and_steer_nothing() -> None:
    evil = "\x1b[31m[bold]evil\x07\n" + "x" * 500
    data = replace(panel(sessions=20), strategies=(evil,))
    data = data.select(objectives=NAMES)
    space = tt.ObjectiveSpace([tt.Objective(evil), *NAMES[1:]])
    text = audit(replace(data, space=space)).summary()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]evil" in text
    assert max(map(len, text.splitlines())) <= 118


def test_a_constant_or_redundant_objective_is_left_out() -> None:
    data = panel(sessions=40)
    scores = data.scores.copy()
    scores[:, 1], scores[:, 2] = 4.2, 10 - scores[:, 0]
    one, alone = audit(replace(data, scores=scores))["EF"], audit(data, objectives="security")["EF"]
    for name in (
        "memory",
        "over_iterations",
        "linear",
        "first_order",
        "homoscedastic",
        "session_variance",
        "condition",
    ):
        assert one[name].statistic == pytest.approx(alone[name].statistic, rel=1e-6)
    assert one["coarse"].statistic == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (panel(sessions=1, steps=400), "only one session"),
        (panel(sessions=1, steps=2), "objectives need at least"),
        (Trajectories.from_arrays(np.full((20, 11, 2), 5.0), ["a", "b"]), "every step starts from the same scores"),
        (Trajectories.from_arrays(np.full((20, 1, 2), 5.0), ["a", "b"]), "no complete step"),
        (
            Trajectories.from_arrays(
                np.arange(12.0) + np.arange(20.0)[:, None, None] + np.zeros((20, 6, 1)), [*"abcdefghijkl"]
            ),
            "exactly",
        ),
    ],
)
def test_data_that_answer_nothing_say_why(data: Trajectories, words: str) -> None:
    one = audit(data)[data.strategies[0]]
    assert any(words in f.says for f in one)
    for f in one:
        if f.says.startswith("Cannot be said"):
            assert f.holds is None
            assert np.isnan(f.p_value)


def test_a_long_session_alone_is_asked_what_it_can_answer() -> None:
    one = audit(panel(sessions=1, steps=400))["EF"]
    assert one["tails"].holds is True
    assert one["memory"].holds is None
    assert one["power"].holds is None


def test_many_objectives_are_tested_by_their_own_terms() -> None:
    wide = tt.AffineSDE(-0.3 * np.eye(12), np.full(12, 1.5), 0.2 * np.eye(12))
    one = audit(panel(wide, sessions=80))["EF"]
    for name in ("linear", "over_iterations", "homoscedastic", "symmetric", "tails"):
        assert np.isfinite(one[name].p_value), name


@given(
    st.tuples(st.integers(1, 8), st.integers(1, 6), st.integers(1, 3)).flatmap(
        lambda shape: arrays(
            np.float64,
            shape,
            elements=st.one_of(
                st.integers(0, 3).map(float), st.just(float("nan")), st.sampled_from([1e-300, -1e150, 1e300])
            ),
        )
    )
)
@settings(max_examples=50, deadline=None)
def test_small_broken_and_extreme_data_are_audited_in_words(scores: np.ndarray) -> None:
    result = audit(Trajectories.from_arrays(scores, [f"o{j}" for j in range(scores.shape[2])]), shuffles=20)
    json.loads(result.to_json())
    result.summary()
    for f in result["all"]:
        assert f.says.endswith(".")
        assert f.name not in ASSUMPTIONS or f.holds is None or np.isfinite(f.p_value)
