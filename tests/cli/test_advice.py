"""What a run advises against the failures that settings may spare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trimtab.cli.advice import advice
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment

CUT = "no code in the answer (it was cut off at the longest answer allowed)"
LONG = "the request does not fit into the context of the model m (400): request (3031 tokens) exceeds it"
SLOW = "no judgement: the endpoint http://127.0.0.1:1/v1 gave no answer within 120 s (the last of 7 attempts)"


ENDPOINT = {"provider": "openai", "model": "m"}
JUDGED = {"scorers": "judge", "judge_model": "m"}


@pytest.mark.parametrize(
    ("reason", "given", "said"),
    [
        (CUT, {"max_tokens": 500}, "more than --max-tokens 500"),
        (CUT, ENDPOINT, "the endpoint's own limit"),
        (LONG, ENDPOINT, "take shorter tasks"),
        (SLOW, {**ENDPOINT, "timeout": 90}, "a --timeout of more than 90 gives them time"),
    ],
)
def test_what_may_help(reason: str, given: dict[str, Any], said: str) -> None:
    (sentence,) = advice(["syntax error", reason, reason], [], load_config(given))
    assert said in sentence


def test_one_at_a_time_cannot_become_fewer() -> None:
    (many,), (one,) = (advice([SLOW], [], load_config({**ENDPOINT, "concurrency": n})) for n in (2, 1))
    assert "a --concurrency below 2" in many
    assert "--concurrency" not in one


def test_nothing_is_said_where_no_setting_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert advice(["syntax error", "no code in the answer"], [], load_config(ENDPOINT)) == []
    assert advice([LONG, SLOW], [], load_config({})) == [], "an embedded model has no server and no context"
    run_experiment(load_config({"sessions": 1, "iterations": 1, "strategies": "EF", "out": "a", "max_tokens": 9}))
    again = {"provider": "replay", "recording": "a"}
    assert advice([CUT, LONG, SLOW], [], load_config(again)) == [], "what was recorded stays as it is"


@pytest.mark.parametrize(("reason", "said"), [(LONG, "take shorter tasks"), (SLOW, "a --timeout of more than 120")])
def test_what_may_help_a_judge_is_said_whatever_answers(reason: str, said: str) -> None:
    (sentence,) = advice([], [reason], load_config(JUDGED))
    assert said in sentence
