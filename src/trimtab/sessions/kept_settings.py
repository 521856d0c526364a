"""The settings that a store keeps of its run, checked where they are read: others may have written to it since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from trimtab.core.objectives import Objective
from trimtab.errors import InputError, StoreError
from trimtab.store.base import Store

__all__ = ["Part", "checked_settings", "is_run", "said", "settings_of"]


class Part(BaseModel):
    """Values that are taken as they are or not at all; what else there is does not matter here."""

    model_config = ConfigDict(strict=True, extra="ignore")


def _objective(text: str) -> str:
    try:
        Objective.parse(text)
    except InputError as error:
        raise ValueError("should be an objective") from error
    return text


class _Fingerprints(Part):
    tasks: str
    strategies: dict[str, str]


class _Given(Part):
    tasks: str
    scorers: list[str]
    objectives: list[str]
    policy: str = ""
    strategies: list[str]
    strategy_tables: dict[str, dict[str, Any]]
    sessions: int
    iterations: int
    out: str


class _Judge(Part):
    rubrics: dict[str, Any]


class _Prior(Part):
    strategies: list[str]


class _Pilot(Part):
    prior: _Prior
    goal: dict[str, Any]


class _Run(Part):
    """What is relied on of the settings of a run; with a default where runs of former versions have none."""

    provider: str
    model: str
    base_url: str = ""
    seed: int
    scorers: list[str]
    objectives: list[Annotated[str, AfterValidator(_objective)]]
    tasks: str
    strategies: dict[str, str]
    sessions: int = Field(ge=1)
    iterations: int = Field(ge=1)
    fingerprints: _Fingerprints
    judge: _Judge | None = None
    policy: str = ""
    fit: str = ""
    follows: str = ""
    round: int = Field(1, ge=1)
    pilot: _Pilot | None = None
    config: _Given | None = None

    @model_validator(mode="after")
    def _steered(self) -> _Run:
        if self.policy and (self.pilot is None or "round" not in self.model_fields_set):
            raise ValueError("a policy needs a pilot and a round beside it")
        return self


def is_run(settings: Mapping[str, Any]) -> bool:
    """Tell whether the settings of a store are those of a run, and not of imported data."""
    return "fingerprints" in settings


def settings_of(store: Store) -> Mapping[str, Any]:
    """Return what `store` keeps of its run or its imports, nothing where it is new.

    Raises
    ------
    StoreError
        If it is not what a run writes.
    """
    experiment = store.experiment()
    return {} if experiment is None else checked_settings(experiment.settings, store.url)


def checked_settings(settings: Mapping[str, Any], url: str) -> Mapping[str, Any]:
    """Return the settings of the store `url`; ``StoreError`` where they are those of a run, but spoiled."""
    if is_run(settings):
        try:
            _Run.model_validate(settings)
        except ValidationError as error:
            raise StoreError(
                f"the settings of the run in {url} cannot be used: {said(error.errors()[0])}. They were changed, or "
                "written by another version of trimtab: restore the store from a copy, or take its scores along with "
                "trimtab export"
            ) from error
    return settings


def said(problem: Any) -> str:
    """Return in words what pydantic found wrong with a value that was kept."""
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "missing":
        return f"{name} is missing"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ").partition(" or instance")[0]
    return f"{name} {message[0].lower()}{message[1:]}, but is {problem['input']!r:.80}" if name else message
