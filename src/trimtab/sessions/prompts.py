"""Prompts: the messages that ask for the next iteration, the same for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trimtab.core.fencing import fence_for, fenced
from trimtab.errors import InputError
from trimtab.providers.base import Message
from trimtab.sessions.strategies import Strategy
from trimtab.sessions.task import Kind, Task

__all__ = ["DEFAULT_SYSTEM", "build_messages"]

DEFAULT_SYSTEM: Mapping[Kind, str] = MappingProxyType(
    {
        "program": (
            "You are an experienced programmer who revises an existing program. You are given a goal, the task that "
            "the program serves, and its current version. You answer with one complete new version in one fenced code "
            "block."
        ),
        "text": (
            "You are an experienced editor who revises an existing text. You are given a goal, the task that the text "
            "serves, and its current version. You answer with one complete new version in one fenced block."
        ),
    }
)
"""System message, by the task's kind, of a strategy that brings none. It favours no objective."""

_LONGEST_FAILURE = 200


def build_messages(
    strategy: Strategy, task: Task, current: str, iteration: int, previous_failure: str = ""
) -> tuple[Message, ...]:
    """Build the messages that ask for one iteration: a system message and a user message.

    The user message has the sections ``## Goal`` (the strategy's instruction), ``## Task`` (the task's prompt) and
    ``## Current program`` or, for a task of that kind, ``## Current text``, and ends with the artefact in a fence. The
    fence is longer than any run of backticks in the whole message, so it occurs exactly twice: what lies between is the
    artefact, with a final newline added if it has none.

    The index of the iteration is shown only where the instruction asks for it by ``{iteration}``: the drift that is
    fitted depends on scores and strategy, and a model that counts rounds would make it depend on time as well.

    Parameters
    ----------
    strategy, task
        What is wanted, and of what.
    current
        The artefact in force, iteration t - 1.
    iteration
        Index t >= 1 of the iteration asked for.
    previous_failure
        Why the answer before this one could not be used. Empty, the default, says nothing about it, so that an answer
        depends on the current artefact alone; a text is shown, cut to 200 characters, and changes the dynamics.

    Raises
    ------
    InputError
        If `iteration` is below 1: iteration 0 is the starting artefact, which nobody is asked for.
    """
    if iteration < 1:
        raise InputError(f"an iteration that is asked for has an index of at least 1, but got {iteration}")
    instruction = _fill(strategy.instruction, task, iteration)
    system = _fill(strategy.system, task, iteration) or DEFAULT_SYSTEM[task.kind]
    sections = [f"## Goal\n\n{instruction}", f"## Task\n\n{task.prompt.strip()}"]
    if failure := " ".join(previous_failure.split())[:_LONGEST_FAILURE]:
        sections.append(
            f"## Previous answer\n\nYour previous answer could not be used: {failure}. "
            f"The {task.kind} below is the one from before it."
        )
    sections.append(f"## Current {task.kind}")
    block = fenced(current, fence_for(current, *sections), task.tag)
    content = "\n\n".join(sections) + f"\n\n{block}"
    return (Message("system", system), Message("user", content))


def _fill(template: str, task: Task, iteration: int) -> str:
    """Fill the two placeholders by plain replacement: braces elsewhere in a user's text mean nothing."""
    return template.strip().replace("{language}", task.language or "text").replace("{iteration}", str(iteration))
