"""The scorers of a run: those that its settings name, and the judge that they describe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trimtab.errors import InputError
from trimtab.judging.judge import JUDGE, LLMJudge
from trimtab.judging.rubric import Rubric, rubrics_by_objective
from trimtab.providers.base import Provider, ProviderSettings
from trimtab.providers.registry import get_provider
from trimtab.scoring.base import AnyScorer
from trimtab.scoring.registry import get_any_scorer
from trimtab.scoring.remembered import remembering
from trimtab.sessions.config import RunConfig
from trimtab.sessions.preset import OFFLINE, get_preset

__all__ = ["differing_judge", "judge_endpoint", "judge_settings", "rubrics_of", "scorers_of"]


def scorers_of(config: RunConfig, provider: Provider | None = None) -> tuple[AnyScorer, ...]:
    """Return the scorers that `config` names, in order.

    Parameters
    ----------
    provider
        The provider of the run, which a judge at the same endpoint shares, so that one limit holds for both.

    Raises
    ------
    InputError
        If one is unknown or cannot be made.
    """
    return tuple(
        _judge(config, provider) if name == JUDGE else remembering(get_any_scorer(name)) for name in config.scorers
    )


def rubrics_of(config: RunConfig) -> tuple[Rubric, ...]:
    """Return the rubrics that the judge goes by: those of the preset and of the configuration, if recorded.

    Raises
    ------
    InputError
        If there is none, or one cannot be used.
    """
    preset = get_preset(config.preset).rubrics if config.preset else ()
    found = rubrics_by_objective((*preset, *config.judge.own_rubrics()))
    if not found:
        raise InputError(
            "the scorer judge needs a rubric for each objective: give --preset NAME, or tables "
            f"[judge.rubrics.OBJECTIVE] with a text in {config.file}"
        )
    wanted = [name for name in config.objectives if name in found] or list(found)
    return tuple(found[name] for name in wanted)


def judge_endpoint(config: RunConfig) -> tuple[str, ProviderSettings]:
    """Return where the judge is asked: the name of its provider and the settings of that.

    What is not said of the judge is as for the run, as long as both have the same provider.

    Raises
    ------
    InputError
        If no model is named.
    """
    judge, run = config.judge, config.provider_settings
    name = judge.provider or ("openai" if config.provider in OFFLINE else config.provider)
    same = name == config.provider
    base_url = judge.base_url or (run.base_url if same else "")
    model = config.judge_model or judge.model or (run.model if same and base_url == run.base_url else "")
    if not model:
        raise InputError(
            "the scorer judge needs the name of a model: give --judge-model NAME, or model in the table [judge]"
        )
    settings = ProviderSettings(
        model=model,
        base_url=base_url,
        timeout=judge.timeout or run.timeout,
        options=run.options if same else {},
        retries=run.retries,
        concurrency=judge.concurrency or run.concurrency,
        adaptive=run.adaptive,
    )
    return name, settings


def _judge(config: RunConfig, provider: Provider | None) -> LLMJudge:
    rubrics = rubrics_of(config)
    name, settings = judge_endpoint(config)
    judge = config.judge
    shared = (
        provider is not None
        and name == config.provider
        and settings.base_url == config.base_url
        and judge.timeout is None
        and judge.concurrency is None
    )
    return LLMJudge(
        rubrics,
        provider if shared and provider is not None else get_provider(name, settings),
        model=settings.model,
        temperature=judge.temperature,
        max_tokens=judge.max_tokens,
        repeats=config.judge_repeats or judge.repeats,
        schema=judge.structured,
        concurrency=settings.concurrency,
        timeout=settings.timeout,
        owns=not shared,
    )


def judge_settings(scorers: Iterable[AnyScorer]) -> dict[str, Any]:
    """Return what a store remembers of the judge among the scorers: nothing where there is none."""
    judge = next((one for one in scorers if isinstance(one, LLMJudge)), None)
    return {} if judge is None else {"judge": judge.described()}


def differing_judge(stored: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what differs between the judges in the settings of a store and of a run."""
    there, here = stored.get("judge") or {}, new.get("judge") or {}
    if not there or not here:
        return []  # then the names of the scorers differ, which are named already
    found = [
        f"{name} of the judge ({there.get(name)!r} there, {here[name]!r} now)"
        for name in here
        if name != "rubrics" and there.get(name) != here[name]
    ]
    rubrics = here["rubrics"]
    return found + [f"the rubric of {name}" for name in rubrics if there["rubrics"].get(name) != rubrics[name]]
