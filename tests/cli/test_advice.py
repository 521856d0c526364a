"""What a run advises against the failures that settings may spare."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab.cli.advice import advice
from trimtab.sessions.config import load_config

CUT = "no code in the answer (it was cut off at the longest answer allowed)"
LONG = "the request does not fit into the context of the model m (400): request (3031 tokens) exceeds it"
SLOW = "no judgement: the endpoint http://127.0.0.1:1/v1 gave no answer within 120 s (the last of 7 attempts)"


@pytest.mark.parametrize(
    ("reason", "given", "said"),
    [
        (CUT, {"max_tokens": 500}, "more than --max-tokens 500"),
        (CUT, {}, "the endpoint's own limit"),
        (LONG, {}, "take shorter tasks"),
        (SLOW, {"timeout": 90}, "a --timeout of more than 90 gives them time"),
    ],
)
def test_what_may_help(reason: str, given: dict[str, Any], said: str) -> None:
    (sentence,) = advice(["syntax error", reason, reason], load_config(given))
    assert said in sentence


def test_nothing_is_said_where_no_setting_helps() -> None:
    assert advice(["syntax error", "no code in the answer"], load_config({})) == []
