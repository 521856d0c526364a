from __future__ import annotations

from trimtab.core.counting import are, count_of


def test_one_is_no_plural() -> None:
    said = [count_of(n, "new row") for n in (0, 1, 2, 1500)]
    assert said == ["0 new rows", "1 new row", "2 new rows", "1,500 new rows"]
    assert [are(n) for n in (0, 1, 1500)] == ["are 0", "is one", "are 1,500"]
