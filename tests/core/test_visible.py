from __future__ import annotations

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.visible import escaped, visible

TEXT = st.text(st.characters(exclude_categories=()))
"""Any text, lone surrogates too."""


def obeyed(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


def test_every_character_that_a_terminal_may_obey_or_hide_is_shown() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    assert not obeyed(visible(every))
    assert obeyed(visible(every, lines=True)) == {"\n", "\t"}


def test_other_characters_stay() -> None:
    words = "naïve 漢字 👍 ❤️ ∑ ␛ e\u0301 \xa0|"
    assert visible(words) == words


def test_how_they_are_shown() -> None:
    assert visible("\x1b[31mred\x07\r\x7f\x9b\u202ed\U000e0041") == "␛[31mred␇␍␡\\x9b\\u202ed\\U000e0041"
    assert visible("a\tb\n") == "a␉b␊"
    assert visible("a\tb\r\n", lines=True) == "a\tb␍\n"


def test_long_lines_are_cut_off_and_say_so() -> None:
    assert visible("abcdef\nab", lines=True, most=4) == "abcd… (2 more characters)\nab"


@given(TEXT)
def test_doing_it_twice_changes_nothing(text: str) -> None:
    assert visible(visible(text)) == visible(text)
    assert visible(visible(text, lines=True), lines=True) == visible(text, lines=True)


@given(st.text())
def test_json_means_the_same_and_holds_nothing_obeyed(text: str) -> None:
    document = escaped(json.dumps({"text": text}, ensure_ascii=False, indent=2))
    assert json.loads(document) == {"text": text}
    assert obeyed(document) <= {"\n"}
