"""What is left of keys in what a server says."""

from __future__ import annotations

import logging
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.providers.masking import SHORTEST_SECRET, Mask
from trimtab.providers.refusals import Refusals

KEY = "ab/cd+efgh=ijklmnop?>>~~"

KEYS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=SHORTEST_SECRET, max_size=80)


@given(KEYS, st.text(max_size=20), st.text(max_size=20))
def test_a_key_is_masked_however_it_is_sent_back(key: str, before: str, after: str) -> None:
    around = f"{before}{key}{after}".encode()
    for encoded in (b64encode(around).decode(), urlsafe_b64encode(around).decode()):
        masked, count = Mask([key]).hide(encoded), Mask([key]).count(encoded)
        hidden = len(encoded) - len(masked) + 3 * count
        # The characters at the two ends are in part its neighbours'.
        assert hidden >= 8 * len(key) // 6 - 1
    assert Mask([key]).hide(f"?key={quote(key, safe='')}") == "?key=***"


def test_other_texts_stay_as_they_are() -> None:
    text = f"{KEY[:-1]} {KEY[1:]} {b64encode(b'another key of ours').decode()} {quote(KEY[:-1])}"
    assert Mask([KEY]).hide(text) == text
    assert Mask([KEY]).count(text) == 0


def test_a_header_from_the_environment_may_hold_any_bytes() -> None:
    assert Mask(["gateway-\udcff-0123456789"]).hide("x gateway-\udcff-0123456789") == "x ***"


@pytest.mark.parametrize("cut", [5, 12, len(KEY) - 1])
def test_what_is_cut_short_shows_no_beginning_of_a_key(cut: int) -> None:
    refusals = Refusals("it", "http://host/v1", "/x", "OPENAI_API_KEY", True, Mask([KEY]), 1.0)
    assert KEY[:4] not in refusals.safe(" " * (4000 - cut) + KEY)


def test_log_records_are_masked_with_their_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("trimtab_test_masking.inner")
    mask = Mask([KEY])
    mask.guard("trimtab_test_masking")
    try:
        try:
            raise ValueError(f"sent {KEY}")
        except ValueError:
            logger.exception("with %s", quote(KEY, safe=""))
    finally:
        mask.release()
    assert "with ***" in caplog.text
    assert "ValueError: sent ***" in caplog.text
    logger.error(KEY)
    assert KEY in caplog.text
