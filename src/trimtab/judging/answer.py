"""Read a judge's answer, which is as hostile as any: bounded, strict, and a reason for everything that is missing.

Nothing is repaired: a number outside of its scale, in quotes or said twice is no judgement. What a judge writes beside
its JSON object is not read at all, so that an artefact it quotes cannot speak for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.core.objectives import Objective
from trimtab.core.records import Evidence, Score
from trimtab.judging.prompt import LONGEST_RATIONALE
from trimtab.judging.rubric import Rubric
from trimtab.scoring.fences import normalise, strip_thinking

__all__ = ["MAX_JUDGEMENT_CHARACTERS", "RULE", "read_judgement"]

MAX_JUDGEMENT_CHARACTERS = 64 * 1024
"""Longest answer of a judge that is read."""

RULE = "rationale"
"""Rule of the evidence that holds a judge's rationale."""

_SURROGATES = re.compile("[\ud800-\udfff]")
_SHOWN = 40


class _UnusableError(Exception):
    """Says why an answer holds no judgement at all."""


def read_judgement(answer: str, rubrics: Sequence[Rubric], repeat: int = 0) -> tuple[Score, ...]:
    """Return one score per rubric from a judge's answer; never raises.

    A score that cannot be read is ``"failed"`` with its reason. A rationale is kept as evidence, cut to 400 characters.
    """
    try:
        entries = _object(answer)
    except _UnusableError as error:
        return tuple(Score(r.objective.name, None, "failed", str(error), repeat=repeat) for r in rubrics)
    return tuple(_score(entries, rubric.objective, repeat) for rubric in rubrics)


def _object(answer: str) -> Mapping[str, Any]:
    """Return the answer's JSON object: the whole text, or all from its first brace to its last, in a fence or not."""
    if len(answer) > MAX_JUDGEMENT_CHARACTERS:
        raise _UnusableError(
            f"the judge's answer has {len(answer):,} characters; at most {MAX_JUDGEMENT_CHARACTERS:,} are read"
        )
    text = strip_thinking(normalise(answer)).strip()
    if not text:
        raise _UnusableError("the judge's answer is empty")
    if not text.startswith("{"):
        first, last = text.find("{"), text.rfind("}")
        if first < 0 or last < first:
            raise _UnusableError(f"the judge's answer holds no JSON object, but begins with {_shown(text)}")
        text = text[first : last + 1]
    try:
        found = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except _UnusableError:
        raise
    except json.JSONDecodeError as error:
        raise _UnusableError(f"the judge's answer is not JSON: {error.msg} (line {error.lineno})") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, thousands of brackets
        raise _UnusableError(f"the judge's answer is not usable JSON ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise _UnusableError(f"the judge's answer is not a JSON object, but begins with {_shown(text)}")
    return found


def _no_number(name: str) -> Any:
    raise _UnusableError(f"the judge's answer holds {name}, which is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _UnusableError(f"the judge's answer says {_shown(name)} twice")
        found[name] = value
    return found


def _score(entries: Mapping[str, Any], objective: Objective, repeat: int) -> Score:
    name = objective.name

    def failed(reason: str) -> Score:
        return Score(name, None, "failed", reason, repeat=repeat)

    entry = entries.get(name)
    if entry is None:
        return failed(f"the judge said nothing of {name}")
    if not isinstance(entry, Mapping):
        return failed(
            f"the judge's entry for {name} should be an object with rationale and score, but is {_shown(entry)}"
        )
    value, rationale = entry.get("score"), entry.get("rationale")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return failed(f"the judge's score for {name} should be a number, but is {_shown(value)}")
    if not objective.low <= value <= objective.high:
        return failed(
            f"the judge's score for {name} should lie in {objective.low:g} to {objective.high:g}, "
            f"but is {_shown(value)}"
        )
    evidence = (
        (Evidence(RULE, 0.0, None, _line(rationale)),) if isinstance(rationale, str) and rationale.strip() else ()
    )
    return Score(name, float(value), evidence=evidence, repeat=repeat)


def _line(text: str) -> str:
    """Return a rationale on one line, storable, and short."""
    line = " ".join(_SURROGATES.sub("\ufffd", text[: 4 * LONGEST_RATIONALE]).split())
    return line if len(line) <= LONGEST_RATIONALE else line[: LONGEST_RATIONALE - 3] + "..."


def _shown(value: object) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except ValueError:  # a number of thousands of digits
        text = "a number of thousands of digits"
    text = " ".join(_SURROGATES.sub("\ufffd", text[: 4 * _SHOWN]).split())
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
