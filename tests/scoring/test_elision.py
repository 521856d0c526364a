"""Which lines stand for what a text leaves out, and which are its own."""

from __future__ import annotations

import time

import pytest

from trimtab.scoring.elision import elision
from trimtab.scoring.text_extraction import extract_text

BODY = "One harbour, and many boats in it.\n\nAll of them are old."


@pytest.mark.parametrize(
    "line",
    [
        "[The rest of the text stays as it was.]",
        "[rest unchanged]",
        "[... rest of the article remains the same ...]",
        "[Remaining sections unchanged]",
        "[Sections 3-5 remain the same]",
        "[Everything else stays the same]",
        "[Rest of the wedding toast as before]",
        "[... rest of document]",
        "[Continue with the remaining sections...]",
        "(The rest of the letter remains unchanged.)",
        "(Remaining paragraphs as in the original)",
        "*The rest of the text is the same as before.*",
        "**[Rest of the plan unchanged]**",
        "...the rest of the essay remains the same...",
        "… (rest of the text unchanged) …",
        "<!-- remaining content unchanged -->",
        "  // ... existing code ...",
        "/* the rest of the file is unchanged */",
    ],
)
def test_a_line_that_stands_for_others_is_found(line: str) -> None:
    text = f"{BODY}\n{line}\n"
    assert elision(text) == (4, line.strip())
    assert elision(text, current=f"Before.\n{line}\n") is None, "a text may speak of such lines"


@pytest.mark.parametrize(
    "line",
    [
        "The rest of the text stays as it was.",
        "The rest is silence...",
        "... the rest of the night was quiet, and all the same.",
        "(The rest of the crew stayed as they were.)",
        "(Step 4 is the same as for the first batch.)",
        "(The rest of the plan is the same for all teams.)",
        "[1] The rest of the text is unchanged since 1911.",
        "[The rest of the money goes to the harbour.]",
        "[x] All items are the same",
        "- The rest of the plan stays as it was.",
        "* The rest of the plan stays as it was.",
        "## Remaining steps",
        "# The rest of the story stays the same",
        "[Your name]",
        "[" + "The rest of the text " * 20 + "is unchanged]",
        "",
    ],
)
def test_a_line_of_the_text_itself_is_none(line: str) -> None:
    assert elision(f"{BODY}\n{line}\n") is None


@pytest.mark.parametrize(
    "line", ["# ... rest of the script unchanged", "-- remaining query as before", "% existing text omitted"]
)
def test_comments_stand_for_others_in_programs_only(line: str) -> None:
    assert elision(line) is None
    assert elision(line, comments=True) == (1, line)


@pytest.mark.parametrize("answer", ["```text\n{}\n```\n", "{}", "Sure, here is the revised text:\n\n{}"])
def test_an_answer_that_leaves_a_part_out_is_no_text(answer: str) -> None:
    found = extract_text(answer.format(f"{BODY}\n\n[The rest stays as it was.]"), "text", BODY)
    assert not found.ok
    assert found.reason == "the answer leaves out a part of the text on line 5: '[The rest stays as it was.]'"


def test_what_stands_around_a_fenced_text_leaves_nothing_out_of_it() -> None:
    assert extract_text(f"```text\n{BODY}\n```\n[The rest stays as it was.]", "text", BODY).ok


@pytest.mark.parametrize(
    "piece", ["[the rest of a ", "(rest rest rest ", "[", "... remaining x y z ", "[and all the of your "]
)
def test_hostile_texts_are_read_in_time(piece: str) -> None:
    began = time.process_time()
    for length in (1, 10, 150, 70_000):
        elision("\n".join([(piece * length)[:length]] * (64_000 // length)), comments=True)
    assert time.process_time() - began < 3
