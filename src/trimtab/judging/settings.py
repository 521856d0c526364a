"""The table ``[judge]`` of the configuration: which model judges, how often, and by which rubrics."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from trimtab.core.judgements import MOST_JUDGEMENTS
from trimtab.judging.rubric import Rubric, rubric_from_table

__all__ = ["JudgeSettings"]


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("Input should be a number")
    return value


_Count = Annotated[int, BeforeValidator(_number)]
_Real = Annotated[float, BeforeValidator(_number)]


class JudgeSettings(BaseModel):
    """What a judge is made from.

    Parameters
    ----------
    provider, model, base_url
        Where it is asked; by default where the run's own model is.
    temperature, max_tokens
        As of a run. By default the endpoint's own.
    timeout
        Seconds to wait for one judgement.
    repeats
        Judgements of each iteration.
    structured
        Whether the form of an answer is asked for by a JSON schema, and not in words alone.
    concurrency
        Judgements at work at the same time; by default as many as sessions.
    budget_tokens
        Most tokens that judgements may take, in all runs into the store.
    rubrics
        Tables ``[judge.rubrics.OBJECTIVE]``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: str = ""
    model: str = ""
    base_url: str = ""
    temperature: _Real | None = Field(None, ge=0, le=10, allow_inf_nan=False)
    max_tokens: _Count | None = Field(None, ge=1)
    timeout: _Real | None = Field(None, gt=0, allow_inf_nan=False)
    repeats: _Count = Field(1, ge=1, le=MOST_JUDGEMENTS)
    structured: bool = True
    concurrency: _Count | None = Field(None, ge=1, le=10_000)
    budget_tokens: _Count | None = Field(None, ge=1)
    rubrics: dict[str, Any] = Field(default_factory=dict)

    def own_rubrics(self) -> tuple[Rubric, ...]:
        """Return the rubrics of the table; ``InputError`` where one cannot be used."""
        return tuple(rubric_from_table(name, table, "judge.rubrics") for name, table in self.rubrics.items())
