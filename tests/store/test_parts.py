from __future__ import annotations

import pytest

from trimtab.store.parts import families, parts_of


@pytest.mark.parametrize(
    ("names", "clear"),
    [
        (["q_rep0", "q_rep1", "q_rep2"], {"q": ("q_rep0", "q_rep1", "q_rep2")}),
        (["q_judge_2", "q_judge_1"], {"q": ("q_judge_1", "q_judge_2")}),
        (
            ["my score judge rep 1", "my score judge rep 2"],
            {"my score": ("my score judge rep 1", "my score judge rep 2")},
        ),
        (["a_b.Repeat.0", "a_b.Repeat.1"], {"a_b": ("a_b.Repeat.0", "a_b.Repeat.1")}),
        (["q_judgement1", "q_judgement2"], {"q": ("q_judgement1", "q_judgement2")}),
        ([f"q_rep{k:02}" for k in range(12)], {"q": tuple(f"q_rep{k:02}" for k in range(12))}),
        (["q_rep1"], {}),
        (["q_rep0", "q_rep2"], {}),
        (["q_rep2", "q_rep3"], {}),
        (["q_rep1", "q_rep01"], {}),
        (["q_rep0", "p_rep1"], {}),
        (["q_rep0", "q_judge1"], {}),
        (["report0", "report1"], {}),
        (["q0", "q1"], {}),
        (["q_step0", "q_step1"], {}),
        (["rep0", "rep1"], {}),
        (["_rep0", "_rep1"], {}),
        (["q_rep0", "q_rep1" + "0" * 5_000], {}),
        (["_" * 5_000 + "0", "_" * 5_000 + "1"], {}),
    ],
)
def test_judgements_are_told_by_name_only_where_it_is_plain(names: list[str], clear: dict) -> None:
    assert families(names) == (clear, {})


def test_names_that_can_be_read_in_two_ways_are_left_alone() -> None:
    assert families(["q", "q_rep0", "q_rep1"]) == ({}, {"q": ("q_rep0", "q_rep1")})
    two = ["q_rep0", "q_rep1", "q_judge1", "q_judge2"]
    assert families(two) == ({}, {"q": tuple(two)})
    made = parts_of(two, two, None, {}, "it")
    assert made.names == tuple(two)
    assert "--judgements q=COLUMN,COLUMN" in made.notes[0]


def test_what_the_caller_says_goes_before_names() -> None:
    names = ["q", "q_rep0", "q_rep1", "x"]
    made = parts_of(names, names, None, {"q": ("q_rep1", "q_rep0")}, "it")
    assert (made.names, made.parts, made.owner, made.places) == (
        ("q", "x"),
        ("q_rep1", "q_rep0", "x"),
        (0, 0, 1),
        (0, 1, 0),
    )
    assert "'q' itself is not read" in made.notes[0]
    kept = parts_of(names, names, None, {"q": ("q", "q_rep0")}, "it")
    assert kept.names == ("q", "q_rep1", "x")
    assert parts_of(names, names, ["q"], {}, "it").parts == ("q",)


def test_a_flood_of_names_takes_no_time() -> None:
    names = [f"{'_rep' * 20}{k % 7}{'_' * 10}{k}" for k in range(5_000)]
    assert families(names) == ({}, {})
