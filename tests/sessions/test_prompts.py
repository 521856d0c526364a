from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.fencing import fence_for
from trimtab.errors import InputError
from trimtab.providers.base import Message
from trimtab.sessions.prompts import DEFAULT_SYSTEM, build_messages
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
            assert (system.role, system.content) == ("system", DEFAULT_SYSTEM["program"])
            assert user.role == "user"
            goal = strategy.instruction.replace("{language}", "python")
            places = [user.content.index(text) for text in (goal, task.prompt, task.artefact)]
            assert places == sorted(places)
            assert "could not be used" not in user.content


@pytest.mark.parametrize("system", DEFAULT_SYSTEM.values(), ids=DEFAULT_SYSTEM)
def test_default_system_message_favours_no_objective(system: str) -> None:
    assert not re.search(r"secur|safe|fast|effici|perform|feature|function|creativ|accura|engag|honest|help", system)


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


def test_what_a_python_task_sends_stays_as_it_is_to_the_byte() -> None:
    """Stored runs are compared with new ones: a changed frame would be another experiment."""
    strategy = Strategy("X", "X", "Tidy this {language} program.")
    messages = build_messages(strategy, TASK, "n = 2\n", 1, "no code in the answer")
    assert messages == (
        Message(
            "system",
            "You are an experienced programmer who revises an existing program. You are given a goal, the task that "
            "the program serves, and its current version. You answer with one complete new version in one fenced code "
            "block.",
        ),
        Message(
            "user",
            "## Goal\n\nTidy this python program.\n\n## Task\n\nCounts bees.\n\n## Previous answer\n\nYour previous "
            "answer could not be used: no code in the answer. The program below is the one from before it.\n\n"
            "## Current program\n\n```python\nn = 2\n```\n",
        ),
    )


@pytest.mark.parametrize("language", ["", "text", "markdown", "json"])
def test_a_text_is_called_a_text(language: str) -> None:
    task = Task("t", "Invites the neighbours.", "Come!", language)
    system, user = build_messages(PLAIN, task, task.artefact, 2, "it was empty")
    assert system.content == DEFAULT_SYSTEM["text"]
    assert "program" not in system.content + user.content
    assert "The text below is the one from before it." in user.content
    assert user.content.endswith(f"## Current text\n\n```{language or 'text'}\nCome!\n```\n")
    assert recover(user.content) == (language or "text", "Come!\n")


def test_a_program_in_another_language_is_a_program() -> None:
    _, user = build_messages(PLAIN, Task("t", "Lists.", "SELECT 1", "sql"), "SELECT 1", 1)
    assert user.content.endswith("## Current program\n\n```sql\nSELECT 1\n```\n")
