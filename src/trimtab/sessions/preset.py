"""Presets: a domain's objectives with rubrics, its strategies and example tasks, ready to run.

Each is a TOML file of the package. The paper names the domains and their objectives (Appendix A); the words are
trimtab's own.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from trimtab.errors import InputError
from trimtab.judging.judge import JUDGE
from trimtab.judging.rubric import Rubric, rubric_from_table
from trimtab.sessions.strategies import Strategy, builtin_strategies, strategies_from_mapping
from trimtab.sessions.task import Task

__all__ = ["OFFLINE", "PRESETS", "Preset", "get_preset", "preset_defaults"]

PRESETS = ("code", "content", "reasoning", "collaboration", "multimodal", "safety")
"""Names of the presets, in the order of the paper."""

OFFLINE = ("rewriter", "replay")
"""Providers that call no model: with them a preset is not judged by a model either, unless one is named."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One domain.

    Parameters
    ----------
    title, about
        What it is, in a few words and in a few sentences.
    unit
        What one step on the scales means.
    rubrics
        One per objective, in the order of the paper.
    strategies
        What can be asked for: each objective by itself, and all in balance.
    tasks
        Source of the tasks, as `trimtab.sessions.tasks.load_tasks` reads it.
    examples
        Tasks of the preset's own; none where `tasks` names others.
    scorer
        What scores offline.
    judged
        True where a model judges as soon as one is at hand.
    """

    name: str
    title: str
    about: str
    unit: str
    rubrics: tuple[Rubric, ...]
    strategies: tuple[Strategy, ...]
    tasks: str
    examples: tuple[Task, ...]
    scorer: str
    judged: bool

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the objectives."""
        return tuple(rubric.objective.name for rubric in self.rubrics)


def get_preset(name: str) -> Preset:
    """Return the preset called `name`; ``InputError`` if there is none."""
    if name not in PRESETS:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"no preset is called {name!r:.80}; there are {', '.join(PRESETS)}{hint}")
    return _preset(name)


@cache
def _preset(name: str) -> Preset:
    file = resources.files("trimtab.sessions") / "presets" / f"{name}.toml"
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    where = f"the preset {name}"
    own = strategies_from_mapping(table.get("strategies", {}), where)
    tasks = table.get("tasks", {})
    examples = tuple(
        Task(key, entry["prompt"].strip(), entry["artefact"].lstrip("\n"), entry.get("language", "text"))
        for key, entry in tasks.items()
    )
    return Preset(
        name=name,
        title=table["title"],
        about=table["about"].strip(),
        unit=table["unit"],
        rubrics=tuple(rubric_from_table(one, entry, where) for one, entry in table["rubrics"].items()),
        strategies=own or builtin_strategies(),
        tasks=f"preset:{name}" if examples else "builtin",
        examples=examples,
        scorer=table["scorer"],
        judged=table["judged"],
    )


def preset_defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the preset named among those `given` stands for, less those that are given.

    Scores come from a model where the provider calls one, or a model to judge is named, and otherwise from the
    preset's scorer.

    Raises
    ------
    InputError
        If there is no such preset.
    """
    name = given.get("preset")
    if not isinstance(name, str) or not name:
        return {}
    preset = get_preset(name)
    judge = given.get("judge")
    table: Mapping[str, Any] = judge if isinstance(judge, Mapping) else {}
    online = given.get("provider", OFFLINE[0]) not in OFFLINE
    named = bool(given.get("judge_model") or table.get("model"))
    by_model = named or (online and preset.judged)
    more = table.get("rubrics")
    objectives = dict.fromkeys((*preset.objectives, *(more if by_model and isinstance(more, Mapping) else ())))
    defaults = {
        "tasks": preset.tasks,
        "strategies": [strategy.name for strategy in preset.strategies],
        "scorers": [JUDGE if by_model else preset.scorer],
        "objectives": list(objectives),
    }
    return {key: value for key, value in defaults.items() if key not in given}
