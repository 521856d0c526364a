from __future__ import annotations

import math

import pytest

from trimtab.core.records import Score
from trimtab.errors import InputError


@pytest.mark.parametrize(
    ("value", "status"), [(None, "ok"), (1.0, "failed"), (1.0, "unscored"), (math.nan, "ok"), (math.inf, "ok")]
)
def test_a_missing_score_is_never_a_number(value: float | None, status: str) -> None:
    with pytest.raises(InputError):
        Score("security", value, status)  # type: ignore[arg-type]  # the point of the test


def test_a_score_and_a_missing_one() -> None:
    assert Score("security", 3.0).status == "ok"
    assert Score("security", None, "failed", "syntax error").value is None
