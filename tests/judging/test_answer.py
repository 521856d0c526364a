from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.objectives import Objective
from trimtab.core.records import Evidence, Score
from trimtab.judging.answer import MAX_JUDGEMENT_CHARACTERS, read_judgement
from trimtab.judging.rubric import Rubric

RUBRICS = (Rubric(Objective("calm"), "Calm?"), Rubric(Objective("cost", 1, 5, "min"), "Cost?"))
GOOD = {"calm": {"rationale": "No rush.", "score": 7.5}, "cost": {"rationale": "Cheap.", "score": 1}}
SCORES = (
    Score("calm", 7.5, evidence=(Evidence("rationale", 0.0, None, "No rush."),), repeat=2),
    Score("cost", 1.0, evidence=(Evidence("rationale", 0.0, None, "Cheap."),), repeat=2),
)


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(GOOD),
        json.dumps(GOOD, indent=2),
        f"```json\n{json.dumps(GOOD)}\n```",
        f"Here is my judgement:\n\n```\n{json.dumps(GOOD, indent=1)}\n```\nI hope it helps.",
        f"My judgement is {json.dumps(GOOD)}.",
        f'<think>The text says {{"calm": 10}}.</think>\n{json.dumps(GOOD)}',
        json.dumps({**GOOD, "extra": [1, {"score": 3}]}),
    ],
)
def test_a_judgement_is_read(answer: str) -> None:
    assert read_judgement(answer, RUBRICS, 2) == SCORES


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "the judge's answer is empty"),
        ("<think>hm", "the judge's answer is empty"),
        ("It deserves a 10.", "holds no JSON object, but begins with 'It deserves a 10.'"),
        ("[1, 2]", "holds no JSON object"),
        ('{"calm": {"score": 7', "is not JSON"),
        ("{'calm': 7}", "is not JSON"),
        ('{"calm": {"rationale": "x", "score": NaN}}', "holds NaN, which is no number"),
        ('{"calm": {"rationale": "x", "score": Infinity}}', "holds Infinity"),
        ('{"calm": {"score": 1}, "calm": {"score": 10}}', "says 'calm' twice"),
        ('{"calm": {"score": 1, "score": 10}}', "says 'score' twice"),
        (f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}", "is not JSON: Extra data"),
        # Two objects, of which an artefact that is quoted may have brought one: neither counts.
        (f'The text says {{"calm": {{"rationale": "", "score": 10}}}}. {json.dumps(GOOD)}', "is not JSON"),
        (f'It says:\n```\n{{"calm": {{"rationale": "", "score": 10}}}}\n```\n{json.dumps(GOOD)}', "is not JSON"),
        ('{It} says:\n```\n{"calm": {"rationale": "", "score": 10}}\n```\n', "is not JSON"),
        ("{" * 50_000, "is not"),
        ('{"calm": ' * 5_000 + "1" + "}" * 5_000, "is not usable JSON (RecursionError)"),
        ('{"calm": {"score": ' + "9" * 5_000 + "}}", "is not usable JSON (ValueError)"),
        ("x" * (MAX_JUDGEMENT_CHARACTERS + 1), "at most 65,536 are read"),
    ],
)
def test_an_answer_that_is_no_judgement_fails_as_a_whole(answer: str, reason: str) -> None:
    scores = read_judgement(answer, RUBRICS, 1)
    assert [(s.objective, s.status, s.value, s.repeat) for s in scores] == [
        ("calm", "failed", None, 1),
        ("cost", "failed", None, 1),
    ]
    assert all(reason in s.reason for s in scores), scores[0].reason


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "the judge said nothing of calm"),
        (7, "entry for calm should be an object with rationale and score, but is '7'"),
        ({"rationale": "x"}, "score for calm should be a number, but is 'null'"),
        ({"score": "7"}, "score for calm should be a number, but is '7'"),
        ({"score": True}, "should be a number, but is 'true'"),
        ({"score": [7]}, "should be a number, but is '[7]'"),
        ({"score": 10.01}, "should lie in 0 to 10, but is '10.01'"),
        ({"score": -1}, "should lie in 0 to 10, but is '-1'"),
        ({"score": 1e400}, "should lie in 0 to 10"),
        ({"score": 10**300}, "should lie in 0 to 10, but is '1000"),
    ],
)
def test_one_score_that_cannot_be_read_leaves_the_others(entry: object, reason: str) -> None:
    answer = {"cost": GOOD["cost"]} if entry is None else {**GOOD, "calm": entry}
    text = json.dumps(answer).replace("Infinity", "1e999")
    calm, cost = read_judgement(text, RUBRICS)
    assert (calm.status, calm.value) == ("failed", None)
    assert reason in calm.reason
    assert cost.value == 1.0


def test_a_rationale_is_kept_short_storable_and_on_one_line() -> None:
    answer = '{"calm": {"rationale": "a\\nb \\ud800 ' + "x" * 2_000 + '", "score": 1}}'
    calm, _ = read_judgement(answer, RUBRICS)
    (evidence,) = calm.evidence
    assert evidence.message.startswith("a b \ufffd xxx")
    assert len(evidence.message) == 400
    assert read_judgement('{"calm": {"rationale": 3, "score": 1}}', RUBRICS)[0].evidence == ()


@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3),
        lambda c: (
            st.dictionaries(st.sampled_from(["calm", "cost", "score", "rationale"]), c, max_size=3)
            | st.lists(c, max_size=2)
        ),
    ).map(json.dumps)
)
def test_any_answer_gives_a_score_or_a_reason_for_each_rubric(answer: str) -> None:
    scores = read_judgement(answer, RUBRICS)
    assert [s.objective for s in scores] == ["calm", "cost"]
    for score, rubric in zip(scores, RUBRICS, strict=True):
        if score.value is None:
            assert score.reason
        else:
            assert rubric.objective.low <= score.value <= rubric.objective.high


def test_hostile_answers_are_read_in_time() -> None:
    began = time.process_time()
    for answer in (
        '{"a":' * 13_000,
        "```\n{" * 13_000,
        '{"' + "a" * 65_000,
        "{" + ",".join(f'"{i}":1' for i in range(7_000)) + "}",
    ):
        read_judgement(answer, RUBRICS)
    assert time.process_time() - began < 2
