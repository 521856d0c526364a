"""The settings of a run: one documented model, read from the command line, the environment, a file and defaults."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.sources import InitSettingsSource

from trimtab.core.judgements import MOST_JUDGEMENTS
from trimtab.errors import InputError
from trimtab.judging.settings import JudgeSettings
from trimtab.plugins import PROVIDERS, plugins
from trimtab.providers.base import ProviderSettings
from trimtab.sessions.config_checks import check_together
from trimtab.sessions.config_file import CONFIG_FILE, CONFIG_VARIABLE, read_file, shown
from trimtab.sessions.preset import preset_defaults
from trimtab.sessions.spending import Price

__all__ = ["CONFIG_FILE", "RunConfig", "Setting", "load_config", "option_of", "settings_table", "variable_of"]

_PREFIX = "TRIMTAB_"
_TABLES = ("strategy_tables", "prices", "judge")
"""Settings that are tables of the file, and neither options nor variables."""

_file_values: ContextVar[Mapping[str, Any]] = ContextVar("values of the configuration file", default={})  # noqa: B039 - read only


def _split(value: object) -> object:
    """Take a comma-separated text as the list it means: options and variables cannot hold lists."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _pairs(value: object) -> object:
    """Take a table as the texts NAME=VALUE that options and variables can hold."""
    return [f"{name}={one}" for name, one in value.items()] if isinstance(value, Mapping) else _split(value)


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("Input should be a number")
    return value


def _texts(value: object) -> object:
    """Take one text as it is: commas and blanks are part of it."""
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], NoDecode, BeforeValidator(_texts)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Pairs = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_pairs)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)]


def _known_provider(name: str) -> str:
    known = plugins(PROVIDERS)
    if name not in known:
        raise ValueError(f"should be one of {', '.join(known) or 'those that an installed trimtab brings'}")
    return name


Count = Annotated[int, BeforeValidator(_number)]
Real = Annotated[float, BeforeValidator(_number)]


class RunConfig(BaseSettings):
    """Everything that a run depends on. Precedence: given value > environment > file > default.

    Keys are never among the settings: the provider reads its own from the environment.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    provider: Annotated[str, AfterValidator(_known_provider)] = Field(
        "rewriter",
        description="What answers: 'rewriter', an embedded stand-in for an LLM; 'openai', any compatible endpoint; or "
        "another that 'trimtab plugins' lists.",
    )
    model: str = Field("", description="Name of the model as the endpoint knows it. Needed with provider openai.")
    base_url: str = Field("", description="Address of the endpoint, as in http://127.0.0.1:8000/v1. Provider openai.")
    provider_options: Pairs = Field(
        (), description="What else the provider is told, as NAME=VALUE. No keys: they are stored with the run."
    )
    recording: str = Field(
        "",
        description="Provider replay: what was recorded, as a store, the output folder of a run, or a file with texts.",
    )
    preset: str = Field(
        "",
        description="Domain whose tasks, strategies, objectives and scorer are used where none are given; "
        "'trimtab presets' lists them.",
    )
    strategies: Names = Field(("EF", "SF", "FF", "AI"), description="Names of the strategies to run, in order.")
    strategy_files: Paths = Field((), description="TOML files that define more strategies.")
    tasks: str = Field("builtin", description="Tasks: 'builtin', a folder of programs or texts, or a JSONL file.")
    sessions: Count = Field(100, ge=1, le=1_000_000, description="Sessions per strategy, spread over the tasks.")
    iterations: Count = Field(10, ge=1, le=100_000, description="Iterations per session, the starting artefact aside.")
    concurrency: Count = Field(16, ge=1, le=10_000, description="Sessions at work at the same time.")
    seed: Count = Field(0, ge=0, lt=2**63, description="Seed of all random streams.")
    store: str = Field("", description="Store URL, SQLite or PostgreSQL. By default sqlite:///OUT/trimtab.db.")
    out: Path = Field(Path("trimtab-out"), description="Output folder.")
    scorers: Names = Field(("python-static",), description="Names of the scorers.")
    objectives: Names = Field((), description="Objectives to record, of those the scorers give. By default all.")
    judge_model: str = Field(
        "", description="Name of the model that the scorer 'judge' asks. By default the run's own."
    )
    judge_repeats: Count | None = Field(
        None,
        ge=1,
        le=MOST_JUDGEMENTS,
        description="How often each iteration is judged by the scorer 'judge'. By default once.",
    )
    temperature: Real | None = Field(
        None, ge=0, le=10, allow_inf_nan=False, description="Sampling temperature. By default the provider's own."
    )
    max_tokens: Count | None = Field(None, ge=1, description="Longest answer in tokens. By default the provider's own.")
    stop: Texts = Field((), max_length=4, description="Texts at which an answer ends, four at most. Provider openai.")
    timeout: Real = Field(
        120.0, gt=0, allow_inf_nan=False, description="Seconds that one attempt at an answer may take."
    )
    retries: Count = Field(
        6, ge=0, le=100, description="How often a request is sent again after a fault that may pass. Provider openai."
    )
    adaptive: bool = Field(
        True,
        description="Whether the requests under way, at most concurrency, follow what the endpoint bears. "
        "Provider openai.",
    )
    cache: bool = Field(
        True,
        description="Whether answers that cost something are kept, so that no run pays for them again.",
    )
    policy: str = Field(
        "", description="Policy that steers, as NAME[:OPTION=VALUE,...]. By default every strategy is run on its own."
    )
    fit: str = Field(
        "",
        description="What policy and triggers know at first: a fit, a file of models, or 'reference'. "
        "By default nothing.",
    )
    utility: Literal["weighted", "worst", "product", "hypervolume"] = Field(
        "weighted", description="What the policy wants: 'weighted', 'worst', 'product' or 'hypervolume'."
    )
    weights: Pairs = Field((), description="Weights of the objectives, as NAME=NUMBER, in the utility.")
    floor: Names = Field((), description="Floors that the policy keeps, as NAME>=LEVEL[@ALPHA][:kept|each].")
    cost: Real = Field(0.0, ge=0, allow_inf_nan=False, description="Utility points that an iteration costs the policy.")
    score_noise: Pairs = Field(
        (),
        description="Standard deviations of the scorer's own error, 0 where it is exact. By default what the fit says.",
    )
    trigger: Names = Field((), description="Conditions to watch for, and what to do then, as in security<2:ask.")
    webhook: str = Field(
        "", exclude=True, repr=False, description="Address that triggers with :webhook call. It is never stored."
    )
    webhook_artefact: bool = Field(False, exclude=True, description="Tell the webhook the artefact in force as well.")
    answers: Count | None = Field(
        None,
        exclude=True,
        ge=0,
        le=65535,
        description="Port of this machine at which questions are answered over HTTP; 0 takes one.",
    )
    resume_paused: bool = Field(False, exclude=True, description="Go on with the sessions that are set aside.")
    round: Count = Field(
        16,
        ge=1,
        le=1_000_000,
        description="Sessions that start with the same knowledge, before the policy learns of them.",
    )
    history: Literal["none", "last", "full"] = Field(
        "none",
        description="What a request shows of its session: 'none', the 'last' exchange, or the 'full' conversation.",
    )
    history_limit: Count = Field(
        100_000, ge=1, description="Most characters of former exchanges in a request; the oldest are left out first."
    )
    budget_usd: Real | None = Field(
        None, gt=0, allow_inf_nan=False, description="Most that all runs into the store may cost, in USD. Needs prices."
    )
    budget_tokens: Count | None = Field(None, ge=1, description="Most tokens that all runs into the store may take.")
    deadline: str = Field(
        "", description="When to end: after a duration such as 30m or 2h, or at a time in ISO format."
    )
    prices: dict[str, Price] = Field(
        default_factory=dict, description="Prices in USD per million tokens, as tables [prices.MODEL]."
    )
    judge: JudgeSettings = Field(
        default_factory=JudgeSettings, description="The model that judges, and its rubrics, as a table [judge]."
    )
    strategy_tables: dict[str, Any] = Field(
        default_factory=dict, description="Strategies defined in the file, as tables [strategies.NAME]."
    )
    _file: str = PrivateAttr(CONFIG_FILE)
    _aside: tuple[str, ...] = PrivateAttr(())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, strongest first."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=dict(_file_values.get()))

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Fill in what a recording or preset stands for; strategies of the file are run with those there anyway."""
        from trimtab.sessions.rerun import recording_defaults

        given = {**recording_defaults(given), **given}
        filled = {**preset_defaults(given), **given}
        tables = given.get("strategy_tables")
        if "strategies" not in given and tables:
            before = filled.get("strategies", cls.model_fields["strategies"].default)
            filled["strategies"] = list(dict.fromkeys([*before, *tables]))
        return filled

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_together(self)
        return self

    @property
    def provider_settings(self) -> ProviderSettings:
        """What the provider is made from."""
        options = dict(text.split("=", 1) for text in self.provider_options)
        if self.recording:
            options["recording"] = self.recording
        return ProviderSettings(
            self.model, self.base_url, self.timeout, options, self.retries, self.concurrency, self.adaptive
        )

    @property
    def may_ask(self) -> bool:
        """True where a trigger asks a human, or a policy may."""
        quiet = (":warn", ":webhook", ":pause", ":stop")
        return bool(self.policy) or any(not text.replace(" ", "").endswith(quiet) for text in self.trigger)

    @property
    def file(self) -> str:
        """Configuration file that was read, or would have been read if it were there."""
        return self._file

    @property
    def aside(self) -> tuple[str, ...]:
        """Settings of the file that do not hold, see `trimtab.sessions.set_aside`."""
        return self._aside

    @property
    def store_url(self) -> str:
        """URL of the store, its default filled in."""
        return self.store or f"sqlite:///{self.out / 'trimtab.db'}"


def option_of(name: str) -> str:
    """Return the command-line option of a setting.

    >>> option_of("base_url")
    '--base-url'
    """
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """Return the environment variable of a setting.

    >>> variable_of("base_url")
    'TRIMTAB_BASE_URL'
    """
    return _PREFIX + name.upper()


def load_config(options: Mapping[str, Any] | None = None, file: Path | None = None) -> RunConfig:
    """Read the settings of a run from all their sources.

    Parameters
    ----------
    options
        Settings given on the command line or by a caller, by name; None means not given.
    file
        TOML file. By default the one that ``TRIMTAB_CONFIG`` names, or ``trimtab.toml`` in the working folder if any.

    Raises
    ------
    InputError
        If the file cannot be read, or any setting is unknown or unusable: a sentence each, naming where it came from.
    """
    from trimtab.sessions.set_aside import set_aside

    given = {name: value for name, value in (options or {}).items() if value is not None}
    source, values = read_file(file)
    variables = _variables()
    others = {**{name: os.environ[one] for name, one in variables.items()}, **given}
    aside = set_aside(values, others)
    token = _file_values.set({name: value for name, value in values.items() if name not in aside})
    try:
        config = RunConfig(**given)
    except ValidationError as error:
        recording = {**values, **others}.get("recording")

        def place(name: str) -> str:
            return source if name in values or not recording else f"the recording {recording}"

        sentences = [_sentence(problem, given, variables, place) for problem in error.errors()]
        raise InputError("\n".join(dict.fromkeys(sentences))) from error
    finally:
        _file_values.reset(token)
    config._file, config._aside = source, aside
    return config


def _variables() -> dict[str, str]:
    """Return which variable gives which setting; refuse those that give none."""
    known = {variable_of(name): name for name in RunConfig.model_fields if name not in _TABLES}
    found = {}
    for variable, value in os.environ.items():
        upper = variable.upper()
        if not upper.startswith(_PREFIX) or upper == CONFIG_VARIABLE or not value:
            continue
        if upper not in known:
            raise InputError(f"the environment variable {variable} is no setting of trimtab{_hint(upper, known)}")
        found[known[upper]] = variable
    return found


def _sentence(
    problem: Any, options: Mapping[str, Any], variables: Mapping[str, str], place: Callable[[str], str]
) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name = str(problem["loc"][0])
    file = place(name)
    if name in _TABLES and len(problem["loc"]) > 1:
        return _in_table(problem, f"{file}: {'.'.join(map(str, problem['loc']))}")
    if name in options:
        origin = option_of(name)
    elif name in variables:
        origin = f"the environment variable {variables[name]}"
    else:
        origin = f"{file}: {name}"
    if problem["type"] == "extra_forbidden":
        where = f"{file}: {name!r}" if name not in options else repr(name)
        return f"{where} is no setting of trimtab{_hint(name, RunConfig.model_fields)}"
    message = message.removeprefix("Input ")
    given = shown(problem["input"]) if RunConfig.model_fields[name].repr else "something else (not shown)"
    return f"{origin} {message[0].lower()}{message[1:]}, but is {given}"


def _in_table(problem: Any, where: str) -> str:
    if problem["type"] == "missing":
        return f"{where} is missing"
    if problem["type"] == "extra_forbidden":
        known = JudgeSettings.model_fields if problem["loc"][0] == "judge" else Price.model_fields
        return f"{where} is no setting of trimtab{_hint(str(problem['loc'][-1]), known)}"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{where} {message[0].lower()}{message[1:]}, but is {shown(problem['input'])}"


def _hint(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, [k for k in known if k != "strategy_tables"], n=1)
    return f"; did you mean {close[0]}?" if close else ""


class Setting(NamedTuple):
    """One row of the table of settings."""

    name: str
    option: str
    variable: str
    default: str
    description: str


def settings_table() -> Iterator[Setting]:
    """Yield what the documentation says about each setting, in order."""
    for name, field in RunConfig.model_fields.items():
        if name in _TABLES:
            continue
        default = field.default
        if isinstance(default, tuple):
            default = ",".join(default)
        shown = f"`{default}`" if default not in (None, "") else "none"
        yield Setting(name, option_of(name), variable_of(name), shown, field.description or "")
