from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.scoring.extraction import MAX_ANSWER_CHARACTERS
from trimtab.scoring.text_extraction import extract_text, text_may_be_cut

TEXT = "The harbour opens at six.\nBoats must leave by nine, and dogs stay on the pier.\n"
LONG = TEXT * 10
TUTORIAL = f"# Sorting\n\n{TEXT}\n```python\nprint(sorted(x))\n```\n\nThen look at the result.\n"


def fence(text: str, tag: str = "text", mark: str = "```") -> str:
    return f"{mark}{tag}\n{text}{mark}\n"


FOUND = {
    "one fence": (f"Here is the revised text:\n\n{fence(TEXT)}\nLet me know!", TEXT, "fence"),
    "no tag": (fence(TEXT, ""), TEXT, "fence"),
    "another name for prose": (fence(TEXT, "markdown"), TEXT, "fence"),
    "capitals and attributes": (fence(TEXT, " Text title=x"), TEXT, "fence"),
    "tildes": (fence(TEXT, "text", "~~~"), TEXT, "tilde-fence"),
    "indented": ("- so:\n\n  ```text\n  one\n  two\n  ```\n", "one\ntwo\n", "fence"),
    "never closed": (f"Here:\n```text\n{TEXT}", TEXT, "unterminated-fence"),
    "a longer fence around": (fence(TUTORIAL, "markdown", "````"), TUTORIAL, "fence"),
    "fences of one length that nest": (fence(TUTORIAL, "markdown"), TUTORIAL, "fence"),
    "the longest of several": (fence("dogs stay\n") + "becomes part of\n" + fence(LONG) + fence(TEXT), LONG, "fence"),
    "a tagged one before an untagged": (fence(LONG, "") + fence(TEXT, "text"), TEXT, "fence"),
    "after thinking": (f"<think>\nShall I {fence(LONG)}?\n</think>\n{fence(TEXT)}", TEXT, "fence"),
    "no fence": (LONG, LONG, "bare"),
    "no fence, with code in it": (TUTORIAL, TUTORIAL, "bare"),
    "preamble": (f"Sure, here is the revised text:\n\n{LONG}", LONG, "prose-trimmed"),
    "preamble on the line above": (f"Here is the revised text:\n{LONG}", LONG, "prose-trimmed"),
    "bold preamble": (f"**Revised text:**\n\n{LONG}", LONG, "prose-trimmed"),
    "preamble, rule and closing": (
        f"Certainly! I have shortened this version.\n\n---\n\n{LONG}\n---\n\nLet me know if you want more.",
        LONG,
        "prose-trimmed",
    ),
    "report": (f"I've reworked the opening and cut two lines.\n\n{LONG}\nI hope this helps!", LONG, "prose-trimmed"),
    "a fence of some other language alone": (f"Sure:\n\n{fence(TEXT, 'email')}", TEXT, "other-language-fence"),
    "windows line ends": (fence(TEXT).replace("\n", "\r\n"), TEXT, "fence"),
}


@pytest.mark.parametrize("case", FOUND)
def test_text_is_found(case: str) -> None:
    answer, text, method = FOUND[case]
    found = extract_text(answer, "text", TEXT)
    assert (found.code, found.method, found.ok, found.reason) == (text, method, True, "")


@pytest.mark.parametrize(
    "opening",
    [
        "Here are the opening hours of the harbour, which nobody reads:",
        "I have lived here for years.",
        "This is a plan of the harbour.",
        "Great harbours open early.",
        "Certain boats leave at nine:",
    ],
)
def test_a_text_may_begin_much_like_an_answer(opening: str) -> None:
    text = f"{opening}\n\n{LONG}"
    assert extract_text(text, "text", TEXT).code == text


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "the answer is empty"),
        (" \n\t\n", "the answer is empty"),
        ("<think>How?", "the answer holds nothing but thinking"),
        ("I'm sorry, but I can't help with that request.", "the answer refuses, or asks, instead of giving a text"),
        ("I am not able to help without knowing more.", "the answer refuses, or asks, instead of giving a text"),
        ("Before I change anything, who is going to read it?", "the answer refuses, or asks"),
        ("Could you send me the text?", "the answer refuses, or asks"),
        ("Looks good to me.", "the answer holds no fenced block, and is too short for a new version"),
        (f"```text\n{'x' * 70_000}\n```", "the text is larger than 64 KB"),
        ("x" * (MAX_ANSWER_CHARACTERS + 1), "at most 1,000,000 are read"),
        ("```text\n\n```\n", "the answer holds no fenced block, and is too short"),
    ],
)
def test_answers_without_a_text_say_why(answer: str, reason: str) -> None:
    found = extract_text(answer, "text", LONG)
    assert not found.ok
    assert reason in found.reason
    assert found.code is None


def test_a_refusal_inside_a_fence_is_the_text_asked_for() -> None:
    reply = "I can't help with that, but here is who can.\n"
    assert extract_text(fence(reply), "text", LONG).code == reply


def test_json_must_be_json() -> None:
    assert extract_text('Here it is:\n```json\n{"a": 1}\n```', "json").code == '{"a": 1}\n'
    assert extract_text('{"a": [1, 2]}', "json").method == "bare"
    broken = extract_text("```json\n{'a': 1}\n```", "json")
    assert not broken.ok
    assert "the text is not JSON" in broken.reason
    deep = extract_text(f"```json\n{'[' * 20_000}\n```", "json")
    assert not deep.ok


def test_a_program_in_another_language_needs_a_fence() -> None:
    assert extract_text("```js\nlet a = 1\n```", "javascript").code == "let a = 1\n"
    assert extract_text("```c\nint a;\n```", "cpp").method == "other-language-fence"
    assert extract_text("let a = 1", "javascript").reason == "no fenced block of javascript in the answer"


@pytest.mark.parametrize(
    ("answer", "cut"),
    [
        (f"Here:\n{fence(TEXT)}and then", False),
        (f"```text\n{TEXT}", True),
        (fence(TEXT) + "Better still:\n```text\nThe har", True),
        (LONG, True),
        (f"Sure, the revised text:\n\n{LONG}", True),
    ],
)
def test_what_may_be_cut(answer: str, cut: bool) -> None:
    found = extract_text(answer, "text", TEXT)
    assert found.ok
    assert text_may_be_cut(answer, found) is cut


@given(
    st.lists(
        st.sampled_from(
            ["```", "````", "~~~", "```text", "```python", "\n", "\r\n", " ", "Sure:", "I can't", "<think>", "{"]
        )
        | st.text(max_size=8),
        max_size=30,
    ).map("".join),
    st.sampled_from(["", "text", "json", "sql"]),
    st.sampled_from(["", TEXT, LONG]),
)
def test_any_answer_gives_a_text_or_a_reason(answer: str, language: str, current: str) -> None:
    found = extract_text(answer, language, current)
    assert found.ok == (found.reason == "")
    assert not found.ok or (found.code or "").strip()
    text_may_be_cut(answer, found)


@given(st.text(min_size=1, max_size=300).filter(str.strip))
def test_what_the_prompt_fences_comes_back(text: str) -> None:
    from trimtab.core.fencing import fence_for, fenced

    answer = fenced(text, fence_for(text), "text")
    expected = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufeff", "")
    found = extract_text(answer, "text", text)
    assert (found.code or "").strip("\n") == expected.strip("\n")


@pytest.mark.parametrize(
    "answer",
    ["```a\n" * 50_000, "```\n```text\n" * 30_000, "~~~\n```\n" * 30_000, "\n\n" * 120_000 + "x", "Sure:\n\n" * 40_000],
)
def test_hostile_answers_are_read_in_time(answer: str) -> None:
    began = time.process_time()
    extract_text(answer, "text", TEXT)
    assert time.process_time() - began < 3
