"""What a run says of itself on the way."""

from __future__ import annotations

from trimtab.sessions.progress import kind_of


def test_numbers_of_tokens_are_one_kind() -> None:
    assert {kind_of(f"{n} tokens are more than 2,048 tokens") for n in ("3031", "30,310")} == {
        "N tokens are more than N tokens"
    }


def test_a_reason_of_digits_is_read_once() -> None:
    """Reasons of imported sessions are anybody's. Numbers of any length would take time with the square of it."""
    assert kind_of("1" * 30 + " tokens") == "1" * 10 + "N tokens"
    assert kind_of("1," * 500_000) == "1," * 500_000
