"""Which rows make a session, and which strategy each of them belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trimtab as tt


def test_session_ids_counted_anew_for_each_strategy_are_told_apart() -> None:
    wide = {
        "session_id": [1, 1, 1, 1, 2, 2, 2],
        "strategy": ["EF", "EF", "SF", "SF", "EF", "SF", "SF"],
        "iteration": [0, 1, 0, 1, 0, 1, 2],
        "x": [1, 2, 3, 4, 5, 6, 7],
    }
    long = {**wide, "objective": ["x"] * 7, "value": wide["x"]}
    long.pop("x")
    for table in (wide, long):
        found = tt.load(table)
        # Session 2 has one strategy at each iteration: it switched midway, and stays whole.
        assert found.session_ids == ("2", "EF/1", "SF/1")
        assert found.scores.ravel().tolist() == [5, 6, 7, 1, 2, 3, 4]
        assert any("named STRATEGY/SESSION (for example EF/1)" in note for note in found.notes)
        assert not found.exclusions


def test_ids_used_again_are_told_apart_without_iteration_numbers_too() -> None:
    again = tt.load({"session_id": [1, 1, 2, 2, 1, 1, 2, 2], "strategy": ["EF"] * 4 + ["SF"] * 4, "x": range(8)})
    assert again.session_ids == ("EF/1", "SF/1", "EF/2", "SF/2")
    assert again.scores.ravel().tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
    assert again.iteration.tolist() == [0, 1] * 4
    switched = tt.load({"session_id": [1, 1, 2, 2], "strategy": ["EF", "SF", "EF", "SF"], "x": range(4)})
    assert switched.session_ids == ("1", "2")
    assert switched.scores.ravel().tolist() == [0, 1, 2, 3]


def test_rows_that_name_no_strategy_do_not_run_into_those_that_do() -> None:
    found = tt.load(
        {"session_id": [1, 1, 1, 1], "strategy": ["EF", "EF", None, ""], "iteration": [0, 1, 0, 1], "x": [1, 2, 3, 4]}
    )
    assert found.session_ids == ("unnamed/1", "EF/1")
    assert found.strategies == ("unnamed", "EF")
    assert found.scores.ravel().tolist() == [3, 4, 1, 2]
    assert not found.exclusions


def test_a_name_that_is_taken_is_not_given_to_a_split_session() -> None:
    found = tt.load(
        {"session_id": ["1", "1", "EF/1"], "strategy": ["EF", "SF", "AI"], "iteration": [0, 0, 0], "x": [1, 2, 3]}
    )
    assert found.session_ids == ("EF/1", "EF/1'", "SF/1")
    assert found.scores.ravel().tolist() == [3, 1, 2]


def test_rows_without_a_strategy() -> None:
    found = tt.load(
        {"session_id": list("aaab"), "strategy": [None, "EF", "", None], "iteration": [0, 1, 2, 0], "x": [1, 2, 3, 4]}
    )
    assert [found.strategies[code] for code in found.strategy] == ["EF", "EF", "unnamed", "unnamed"]
    assert sum(note.startswith("No strategy is named in") for note in found.notes) == 2


def test_gaps_and_late_starts_are_kept_and_noted() -> None:
    found = tt.load({"session_id": list("aabb"), "iteration": [3, 5, 0, 1], "x": [1, 2, 3, 4]})
    assert found.iteration.tolist() == [3, 5, 0, 1]
    assert [str(e) for e in found.lost_steps()] == ["1 step: a gap in the iteration numbers"]
    assert any("1 of 2 sessions do not start at iteration 0" in note for note in found.notes)


def test_labels_that_change_within_a_session_are_reported() -> None:
    found = tt.load(
        {"session_id": list("aabb"), "iteration": [0, 1, 0, 1], "model": ["m", "n", None, None], "x": [1, 2, 3, 4]}
    )
    assert found.covariates == {"model": ("m", "")}
    assert any("model changes within 1 session (" in note for note in found.notes)


@pytest.mark.parametrize("truth", ["true", '"True"'])
def test_truth_values_are_no_iterations(truth: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [f'{{"session_id": "a", "iteration": {t}, "scores": {{"x": 1}}}}' for t in ("0", truth, "2")]
    path.write_text("\n".join(lines))
    found = tt.load(path)
    assert found.iteration.tolist() == [0, 2]
    assert [(e.reason, e.count, e.examples) for e in found.exclusions] == [
        ("the iteration is no whole number", 1, ("row 2, session 'a'",))
    ]


def test_arrays_are_sessions() -> None:
    scores = np.random.default_rng(0).uniform(0, 1, (4, 6, 2))
    found = tt.load(scores)
    assert found.space.names == ("objective_1", "objective_2")
    assert (found.space.low.tolist(), found.space.high.tolist()) == ([0, 0], [1, 1])
    np.testing.assert_array_equal(found.scores, scores.reshape(-1, 2))
    ragged = tt.load([scores[0], scores[1, :3]], objectives=["a:0:5", "b:min"], strategy_default="EF")
    assert ragged.lengths.tolist() == [6, 3]
    assert [str(o) for o in ragged.space] == ["a:0:5:max", "b:0:1:min"]
    assert ragged.strategies == ("EF",)
    assert tt.load(scores[0]).n_sessions == 1
    assert tt.fit(scores)["all"].sessions == 4


@pytest.mark.parametrize("source", [[], np.zeros(3), [["a", "b"]], np.zeros((2, 2, 2, 2)), 5, object()])
def test_what_is_no_array_of_scores_is_refused(source: object) -> None:
    with pytest.raises(tt.TrimtabError):
        tt.load(source)
