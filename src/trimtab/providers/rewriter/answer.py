"""The pure function below the provider: from a request to what a model might have answered."""

from __future__ import annotations

import ast
import math
import re

import numpy as np

from trimtab.core.streams import stream
from trimtab.providers.base import Completion, Request
from trimtab.providers.rewriter.edits import Edit
from trimtab.providers.rewriter.failures import DEFAULT_FAILURE_RATE, draw_failure, slip
from trimtab.providers.rewriter.fences import Found, fence_for, find_program
from trimtab.providers.rewriter.instruction import affinities_of
from trimtab.providers.rewriter.phrases import opening
from trimtab.providers.rewriter.program import Program
from trimtab.providers.rewriter.prose.answer import answer_text, find_text
from trimtab.providers.rewriter.selection import DEFAULT_TEMPERATURE, change_program

__all__ = ["MODEL", "estimate_tokens", "instruction_parts", "rewrite"]

#: What a completion names as its model.
MODEL = "rewriter-1"

#: Longest text around the program that is read for its words, in characters.
_READ = 8_000
#: Weight of what the message says about the task, and of the system message, against the instruction.
_LATER, _SYSTEM = 0.15, 0.15
_HEADING = re.compile(r"#{1,6} [^\n]*|\*{0,2}[A-Z][\w ]{0,40}:\*{0,2}(?=\s)")
_CONTEXT = re.compile(r"(?i)task|problem|context|specification|program|code|description|background|previous")

_OPENINGS = (
    "Here is the improved version.",
    "I went through the program and changed the following.",
    "Below is the updated code.",
    "Sure, this is a revised version of the program.",
    "I have reworked the code as asked.",
)
_CLOSINGS = (
    "Let me know if you would like me to go further.",
    "The behaviour is otherwise the same as before.",
    "I have not run this, so please test it before use.",
    "Further improvements are possible if you need them.",
)
_REFUSALS = (
    "Before I change anything, could you say which inputs the program has to handle? That decides how far to go.",
    "The program looks reasonable to me as it is. I would suggest profiling it and reviewing its inputs first.",
    "I am not able to help with changing this program without knowing more about where it runs.",
)
_NO_PROGRAM = "I could not find a program in your message. Please send the code in a fenced block."
_NO_PYTHON = "I could not parse this program, so I return it as it is."


def estimate_tokens(text: str) -> int:
    """Return the estimated number of tokens of `text`: a quarter of its characters, rounded up."""
    return math.ceil(len(text) / 4)


def instruction_parts(system: str, around: str) -> tuple[tuple[str, float], ...]:
    """Return the texts of a request that are read for their words, with their weights.

    A section headed as task, context or program weighs less than the rest. Without headings the first paragraph is
    taken for the instruction, and later ones weigh less. So does the system message.
    """
    parts = [(system[:_READ], _SYSTEM)] if system.strip() else []
    paragraphs = [part for part in re.split(r"\n\s*\n", around[:_READ]) if part.strip()]
    headed = any(_HEADING.match(text) for text in paragraphs)
    weight = 1.0
    for position, text in enumerate(paragraphs):
        heading = _HEADING.match(text)
        if heading:
            weight = _LATER if _CONTEXT.search(heading[0]) else 1.0
        elif not headed and position:
            weight = _LATER
        parts.append((text[heading.end() :] if heading else text, weight))
    return tuple(parts)


def rewrite(request: Request, *, failure_rate: float = DEFAULT_FAILURE_RATE) -> Completion:
    """Answer a request; a pure function of its arguments that never raises for any message.

    Parameters
    ----------
    request
        Messages as for a chat model. What is edited stands in the last user message: the text below a heading
        ``## Current text``, else the last block that parses as Python, else the last block of text. The seed is the
        random stream.
    failure_rate
        Probability that the answer is truncated, broken, without program or text, or leaves it unchanged.
    """
    rng = stream(request.seed, "rewriter")
    system = "\n".join(message.content for message in request.messages if message.role == "system")
    user = next((message.content for message in reversed(request.messages) if message.role == "user"), "")
    prose = find_text(user)
    found = None if prose is not None and prose.headed else find_program(user)
    if found is not None and found.tree is not None:
        prose = None
    finish = "stop"
    if prose is not None:
        parts = instruction_parts(system, prose.around)
        text, finish = answer_text(prose, parts, _temperature(request), failure_rate, rng)
    elif found is None:
        text = _NO_PROGRAM
    elif found.tree is None:
        fence = fence_for(found.text)
        text = f"{_NO_PYTHON}\n\n{fence}{found.language}\n{found.text}\n{fence}"
    else:
        text, finish = _answer(found, system, request, failure_rate, rng)
    stops = [place for stop in request.stop if (place := text.find(stop)) >= 0]
    if stops:
        text, finish = text[: min(stops)], "stop"
    if request.max_tokens is not None and estimate_tokens(text) > request.max_tokens:
        text, finish = text[: 4 * max(0, request.max_tokens)], "length"
    return Completion(
        text=text,
        model=MODEL,
        finish_reason=finish,
        prompt_tokens=sum(estimate_tokens(message.content) for message in request.messages),
        completion_tokens=estimate_tokens(text),
    )


def _temperature(request: Request) -> float:
    return DEFAULT_TEMPERATURE if request.temperature is None else request.temperature


def _answer(
    found: Found, system: str, request: Request, failure_rate: float, rng: np.random.Generator
) -> tuple[str, str]:
    failure = draw_failure(failure_rate, rng)
    if failure == "prose":
        return str(rng.choice(_REFUSALS)), "stop"
    program = Program.read(found.text, found.tree)
    source = found.text
    edits: tuple[Edit, ...] = ()
    if program is not None and failure != "unchanged":
        wanted = affinities_of(instruction_parts(system, found.around))
        change = change_program(program, wanted, _temperature(request), rng)
        source, edits = change.source, change.edits
    if failure == "syntax":
        source = slip(source, rng)
    if failure == "truncated":
        kept = source[: int(len(source) * rng.uniform(0.3, 0.9))]
        return f"{opening(_OPENINGS, edits, 'program', rng)}\n\n```python\n{kept}", "length"
    return _layout(source, edits, program, rng), "stop"


def _layout(source: str, edits: tuple[Edit, ...], program: Program | None, rng: np.random.Generator) -> str:
    parts = [opening(_OPENINGS, edits, "program", rng)]
    example = _example(program) if rng.random() < 0.08 else ""
    if example:
        parts.append(f"It is used like this:\n\n```python\n{example}\n```\n\nThe whole program:")
    mark, tag = "`", "python"
    style = rng.random()
    if style < 0.15:
        tag = ""
    elif style < 0.2:
        mark = "~"
    elif style < 0.25:
        tag = "py"
    fence = fence_for(source, mark)
    parts.append(f"{fence}{tag}\n{source.rstrip(chr(10))}\n{fence}")
    if rng.random() < 0.5:
        parts.append(str(rng.choice(_CLOSINGS)))
    return "\n\n".join(parts)


def _example(program: Program | None) -> str:
    functions = [n for n in program.tree.body if isinstance(n, ast.FunctionDef)] if program else []
    if not functions:
        return ""
    given = ", ".join(argument.arg for argument in functions[0].args.args)
    return f"print({functions[0].name}({given}))"
