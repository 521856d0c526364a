"""``trimtab presets``: domains that are ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trimtab.sessions.preset import Preset

__all__ = ["presets"]


def presets(
    name: Annotated[
        str | None, typer.Argument(help="Show this one, with its rubrics, strategies and tasks.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.presets/1) instead.")
    ] = False,
) -> None:
    """List the domains that 'trimtab run --preset NAME' runs: objectives with rubrics, strategies and example tasks."""
    from trimtab.sessions.preset import PRESETS, get_preset

    chosen = [get_preset(one) for one in ([name] if name else PRESETS)]
    if as_json:
        import json

        from trimtab.cli.output import say_json

        document = {"schema": "trimtab.presets/1", "presets": [_document(preset) for preset in chosen]}
        say_json(json.dumps(document, indent=2, ensure_ascii=False))
    elif name:
        _show(chosen[0])
    else:
        _list(chosen)


def _list(chosen: list[Preset]) -> None:
    from trimtab.cli.output import print_blocks, say, words

    table = words(["preset", "domain", "objectives", "strategies", "tasks"])
    for preset in chosen:
        tasks = str(len(preset.examples)) if preset.examples else preset.tasks
        strategies = ", ".join(strategy.name for strategy in preset.strategies)
        table.add_row(preset.name, preset.title, ", ".join(preset.objectives), strategies, tasks)
    print_blocks(table)
    say("")
    say("Look at one with: trimtab presets NAME. Run it with: trimtab run --preset NAME. Offline, embedded stand-ins")
    say("revise and score; with --provider openai --model NAME a model revises, and judges by the rubrics.")


def _show(preset: Preset) -> None:
    import textwrap

    from trimtab.cli.output import say
    from trimtab.scoring.registry import scorer_label

    def paragraph(text: str, indent: str = "", first: str | None = None) -> None:
        say(textwrap.fill(text, 110, initial_indent=indent if first is None else first, subsequent_indent=indent))

    say(f"{preset.name}: {preset.title}")
    paragraph(preset.about)
    say("")
    say(f"Objectives ({preset.unit})")
    for rubric in preset.rubrics:
        one = rubric.objective
        paragraph(rubric.text, "    ", f"  {one.name} ({one.low:g} to {one.high:g}): ")
        for value, said in rubric.anchors:
            paragraph(said, "        ", f"    {value:>3g}  ")
    say("")
    say("Strategies")
    for strategy in preset.strategies:
        paragraph(strategy.instruction, "    ", f"  {strategy.name} ({strategy.title}): ")
    say("")
    say(f"Tasks ({preset.tasks})")
    for task in preset.examples:
        paragraph(task.prompt, "    ", f"  {task.id}: ")
    if not preset.examples:
        say("  programs that come with trimtab, see docs/tasks.md")
    say("")
    say(f"Scored offline by {scorer_label(preset.scorer)}.")
    if preset.judged:
        say("With a provider that calls a model, or --judge-model NAME, scored by a model that judges by the rubrics.")


def _document(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "title": preset.title,
        "about": preset.about,
        "unit": preset.unit,
        "rubrics": {rubric.objective.name: rubric.to_table() for rubric in preset.rubrics},
        "strategies": {one.name: {"title": one.title, "instruction": one.instruction} for one in preset.strategies},
        "tasks": preset.tasks,
        "examples": [
            {"id": task.id, "prompt": task.prompt, "artefact": task.artefact, "language": task.language}
            for task in preset.examples
        ],
        "scorer": preset.scorer,
        "judged": preset.judged,
    }
