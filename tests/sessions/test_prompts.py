from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import InputError
from trimtab.sessions.prompts import DEFAULT_SYSTEM, build_messages, fence_for
from trimtab.sessions.strategies import Strategy, builtin_strategies
from trimtab.sessions.tasks import Task, builtin_tasks

PLAIN = Strategy("X", "X", "Do it.")
TASK = Task("t", "Counts bees.", "n = 1\n")

texts_with_fences = st.lists(
    st.sampled_from(["`", "```", "`````", "~~~", "```python", "\n", "\r\n", " ", "x = 1", '"""', "ü", "\u2028", "\f"])
    | st.text(max_size=5),
    max_size=25,
).map("".join)


def recover(content: str) -> tuple[str, str]:
    """Read language and program back as CommonMark does: from the opening fence to the first line that closes it.

    Which fence is the program's shows at the end of the message, which its closing fence is.
    """
    fence = content.rstrip("\n").rsplit("\n", 1)[-1]
    assert re.fullmatch("`{3,}", fence)
    opening = re.search(rf"(?<=\n){fence}(?!`)([^\n`]*)\n", content)
    assert opening
    closing = re.search(rf"(?:^|(?<=[\r\n])) {{0,3}}{fence}`*[ \t]*(?=[\r\n]|$)", content[opening.end() :])
    assert closing
    assert content[opening.end() + closing.end() :] == "\n"
    return opening[1], content[opening.end() : opening.end() + closing.start()]


@given(program=texts_with_fences)
def test_program_is_recoverable_verbatim(program: str) -> None:
    _, user = build_messages(PLAIN, TASK, program, 1)
    expected = program if program.endswith("\n") else program + "\n"
    assert recover(user.content) == ("python", expected)


@given(
    program=texts_with_fences,
    prompt=texts_with_fences.filter(str.strip),
    instruction=texts_with_fences.filter(str.strip),
    failure=texts_with_fences,
)
def test_fences_elsewhere_in_the_message_cannot_be_taken_for_the_programs(
    program: str, prompt: str, instruction: str, failure: str
) -> None:
    prompt, instruction = (text.encode("utf-8", "ignore").decode() for text in (prompt + "p", instruction + "i"))
    _, user = build_messages(Strategy("X", "X", instruction), Task("t", prompt, "n = 1\n"), program, 3, failure)
    assert recover(user.content)[1].rstrip("\n") == program.rstrip("\n")
    closing = user.content.rstrip("\n").rsplit("\n", 1)[-1]
    assert user.content.count(closing) == 2


@given(st.lists(st.text(alphabet="`a\n"), max_size=4))
def test_fence_is_longer_than_every_run(texts: list[str]) -> None:
    fence = fence_for(*texts)
    assert set(fence) == {"`"}
    assert len(fence) >= 3
    assert all(fence not in text for text in texts)


def test_messages_hold_instruction_prompt_and_program() -> None:
    for strategy in builtin_strategies():
        for task in builtin_tasks()[:3]:
            system, user = build_messages(strategy, task, task.artefact, 1)
            assert (system.role, system.content) == ("system", DEFAULT_SYSTEM)
            assert user.role == "user"
            goal = strategy.instruction.replace("{language}", "python")
            places = [user.content.index(text) for text in (goal, task.prompt, task.artefact)]
            assert places == sorted(places)
            assert "could not be used" not in user.content


def test_default_system_message_favours_no_objective() -> None:
    assert not re.search(r"secur|safe|fast|effici|perform|feature|function", DEFAULT_SYSTEM)


def test_placeholders_are_filled_and_other_braces_left_alone() -> None:
    strategy = Strategy("X", "X", "Round {iteration} of {language}, {other} {0} {", system="You know {language}.")
    system, user = build_messages(strategy, Task("t", "Keep {language}.", "SELECT 1", "sql"), "SELECT 1", 4)
    assert "Round 4 of sql, {other} {0} {" in user.content
    assert system.content == "You know sql."
    assert "Keep {language}." in user.content
    assert recover(user.content) == ("sql", "SELECT 1\n")


def test_message_does_not_depend_on_the_iteration_unless_asked_to() -> None:
    assert build_messages(PLAIN, TASK, "n = 1\n", 1) == build_messages(PLAIN, TASK, "n = 1\n", 9)


def test_previous_failure_is_told_in_one_short_line() -> None:
    _, user = build_messages(PLAIN, TASK, "n = 1\n", 2, "no program\n\nin it ``` " + "x" * 1000)
    (line,) = [line for line in user.content.splitlines() if "could not be used" in line]
    assert "no program in it ```" in line
    assert len(line) < 400
    assert recover(user.content)[1] == "n = 1\n"


def test_iteration_zero_is_never_asked_for() -> None:
    with pytest.raises(InputError, match="at least 1, but got 0"):
        build_messages(PLAIN, TASK, "n = 1\n", 0)
