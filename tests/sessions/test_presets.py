from __future__ import annotations

import asyncio
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from support.providers import ScriptedProvider
from trimtab.errors import InputError
from trimtab.judging.settings import JudgeSettings
from trimtab.scoring.registry import get_scorer
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import plan_of, strategies_of
from trimtab.sessions.preset import PRESETS, get_preset
from trimtab.sessions.runner import run_sessions
from trimtab.sessions.tasks import builtin_tasks, load_tasks
from trimtab.store.base import Experiment
from trimtab.store.memory import MemoryStore

DOMAINS = {
    "code": ("security", "efficiency", "functionality"),
    "content": ("creativity", "accuracy", "engagement"),
    "reasoning": ("speed", "thoroughness", "interpretability"),
    "collaboration": ("autonomy", "user_control", "efficiency"),
    "multimodal": ("accuracy", "latency", "resource_use"),
    "safety": ("helpfulness", "harmlessness", "honesty"),
}
TEXTS = [name for name in PRESETS if name != "code"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_presets_are_the_domains_of_the_paper() -> None:
    assert {name: get_preset(name).objectives for name in PRESETS} == DOMAINS
    files = {path.name for path in (resources.files("trimtab.sessions") / "presets").iterdir()}
    assert files == {f"{name}.toml" for name in PRESETS}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_whole(name: str) -> None:
    preset = get_preset(name)
    assert preset.title
    assert preset.about
    assert preset.unit.startswith("points of 10")
    assert len(preset.strategies) == 4
    for rubric in preset.rubrics:
        assert (rubric.objective.low, rubric.objective.high, rubric.objective.direction) == (0, 10, "max")
        assert [value for value, _ in rubric.anchors] == [0, 5, 10]
        assert rubric.text.endswith(".")
    assert {o.name for o in get_scorer(preset.scorer).objectives} >= set(preset.objectives)


@pytest.mark.parametrize("name", TEXTS)
def test_a_preset_of_texts_brings_tasks_and_strategies_of_its_own(name: str) -> None:
    preset = get_preset(name)
    assert preset.judged
    assert len(preset.examples) >= 6
    assert len({task.id for task in preset.examples}) == len(preset.examples)
    for task in preset.examples:
        assert task.kind == "text"
        assert task.artefact.endswith("\n")
        assert max(map(len, task.artefact.splitlines())) <= 120
        assert 40 <= len(task.prompt) <= 400
    *single, balanced = preset.strategies
    assert balanced.name == "balanced"
    for strategy, objective in zip(single, preset.objectives, strict=True):
        assert strategy.title.lower().replace(" ", "_") == objective
        assert "counts in this round" in strategy.instruction
    assert all("one fenced block" in strategy.instruction for strategy in preset.strategies)
    assert "three counts" in balanced.instruction


@pytest.mark.parametrize("name", TEXTS)
def test_starting_texts_are_of_mixed_quality(name: str) -> None:
    """Every objective can be gained and lost from where sessions start."""
    from trimtab.scoring.base import ScoringContext

    preset, scorer = get_preset(name), get_scorer("lexical")
    for objective in preset.objectives:
        values = [
            score.value
            for task in preset.examples
            for score in scorer.score(task.artefact, ScoringContext(task.id, task.prompt, task.artefact, task.language))
            if score.objective == objective
        ]
        assert max(values) - min(values) > 0.5, (objective, values)
        assert min(values) < 9.5
        assert max(values) > 0.5


def test_a_preset_fills_in_what_is_not_given() -> None:
    config = load_config({"preset": "safety"})
    assert (config.tasks, config.scorers) == ("preset:safety", ("lexical",))
    assert config.strategies == ("helpful", "harmless", "honest", "balanced")
    assert config.objectives == DOMAINS["safety"]
    assert [strategy.title for strategy in strategies_of(config)] == [
        "Helpfulness",
        "Harmlessness",
        "Honesty",
        "Balanced",
    ]
    given = load_config({"preset": "safety", "strategies": "honest,EF", "objectives": "honesty", "tasks": "builtin"})
    assert (given.strategies, given.objectives, given.tasks) == (("honest", "EF"), ("honesty",), "builtin")


def test_a_preset_of_the_environment_or_the_file_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_PRESET", "content")
    monkeypatch.setenv("TRIMTAB_STRATEGIES", "creative")
    assert (load_config().tasks, load_config().strategies) == ("preset:content", ("creative",))
    monkeypatch.delenv("TRIMTAB_PRESET")
    monkeypatch.delenv("TRIMTAB_STRATEGIES")
    Path("trimtab.toml").write_text('preset = "reasoning"\n[strategies.mine]\ninstruction = "Do it."\n')
    config = load_config()
    assert config.strategies == ("fast", "thorough", "clear", "balanced", "mine")
    assert [strategy.name for strategy in strategies_of(config)] == [*config.strategies]


def test_who_scores_depends_on_who_answers() -> None:
    online = {"provider": "openai", "model": "m", "base_url": "http://a/v1"}
    assert load_config({"preset": "content"}).scorers == ("lexical",)
    assert load_config({"preset": "content", **online}).scorers == ("judge",)
    assert load_config({"preset": "content", "judge_model": "j"}).scorers == ("judge",)
    assert load_config({"preset": "content", "scorers": "lexical", **online}).scorers == ("lexical",)
    assert load_config({"preset": "code", **online}).scorers == ("python-static",)


def test_example_tasks_can_be_named_by_themselves() -> None:
    assert load_tasks("preset:content") == get_preset("content").examples
    assert [task.id for task in load_tasks("preset:content:sourdough,bike_light")] == ["sourdough", "bike_light"]
    assert load_tasks("preset:code") == builtin_tasks()
    with pytest.raises(InputError, match="no task of the preset content is called 'x'; there are library_evening"):
        load_tasks("preset:content:x")
    with pytest.raises(InputError, match="no preset is called 'x'"):
        load_tasks("preset:x")


def test_the_store_remembers_the_preset() -> None:
    assert plan_of(load_config({"preset": "content"})).settings["preset"] == "content"
    assert "preset" not in plan_of(load_config({})).settings


@pytest.mark.parametrize("name", TEXTS)
def test_a_preset_runs(name: str) -> None:
    """With a provider that appends a sentence, all objectives are scored at every iteration."""
    config = load_config({"preset": name, "sessions": 6, "iterations": 2})
    plan, scorers = plan_of(config), [get_scorer("lexical")]

    def longer(request: object) -> str:
        content = request.messages[-1].content
        assert "## Current text\n\n```text\n" in content
        text = re.split("```(?:text)?\n", content)[-2]
        return f"```text\n{text}And so on.\n```"

    store = MemoryStore()
    store.set_experiment(Experiment("test", plan.space, plan.settings))
    outcome = asyncio.run(run_sessions(plan, store, ScriptedProvider(longer), scorers))
    assert (outcome.ended, outcome.progress.failures) == ("complete", 0)
    for record in store.iterations():
        assert [score.objective for score in record.scores] == [*DOMAINS[name]]
        assert all(score.status == "ok" for score in record.scores)


def test_the_files_hold_nothing_that_is_not_read() -> None:
    for name in PRESETS:
        text = (resources.files("trimtab.sessions") / "presets" / f"{name}.toml").read_text("utf-8")
        assert set(tomllib.loads(text)) <= {
            "title",
            "about",
            "unit",
            "scorer",
            "judged",
            "rubrics",
            "strategies",
            "tasks",
        }


def test_the_documentation_lists_the_presets_and_the_keys_of_a_judge() -> None:
    text = (Path(__file__).parents[2] / "docs/text-loops.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| (`.+`) \| `(\S+)` \|$", text, flags=re.MULTILINE)
    assert rows == [
        (
            preset.name,
            ", ".join(preset.objectives),
            ", ".join(f"`{strategy.name}`" for strategy in preset.strategies),
            preset.scorer,
        )
        for preset in map(get_preset, PRESETS)
    ]
    table = text.partition("| key of `[judge]` |")[2].partition("\n\n")[0]
    keys = {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert keys == set(JudgeSettings.model_fields)
