"""Loops of a file of models: TOML, checked by one documented model."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.forecasting.cautions import of_radius
from trimtab.forecasting.loops import Loop, Loops
from trimtab.forecasting.starts import Starts

__all__ = ["ModelFile", "loops_of_model_file"]

Floats = NDArray[np.float64]

_LONGEST_SHOWN = 60


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("Input should be a number")
    return value


Real = Annotated[float, BeforeValidator(_number)]
Finite = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]
Vector = tuple[Finite, ...]
Deviations = tuple[Positive, ...]
Matrix = tuple[Vector, ...]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ObjectiveTable(_Table):
    """``[[objectives]]``: an axis of quality."""

    name: str
    low: Real = 0.0
    high: Real = 10.0
    direction: Literal["max", "min"] = "max"


class StartTable(_Table):
    """``[start]``: where sessions start, normally and each objective by itself."""

    mean: Vector
    sd: Deviations | None = None


class StrategyTable(_Table):
    """``[strategies.NAME]``: an affine step, dx = (A x + b) dt + w with w ~ N(0, Q)."""

    A: Matrix
    b: Vector | None = None
    equilibrium: Vector | None = None
    Q: Matrix | None = None
    sd: Deviations | None = None
    score_noise_sd: Deviations | None = None
    session_sd: Deviations | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for one, other in (("b", "equilibrium"), ("Q", "sd")):
            if (getattr(self, one) is None) == (getattr(self, other) is None):
                raise ValueError(f"needs one of {one} and {other}, and only one")
        return self


class ModelFile(_Table):
    """A whole file."""

    dt: float = Field(1.0, gt=0, allow_inf_nan=False)
    objectives: Annotated[tuple[ObjectiveTable, ...], Field(min_length=1)]
    start: StartTable | None = None
    strategies: Annotated[dict[str, StrategyTable], Field(min_length=1)]


def loops_of_model_file(path: Path) -> Loops:
    """Return the loops of a TOML file; see ``docs/simulate.md`` for what is in it.

    Raises
    ------
    InputError
        If the file cannot be read, or holds anything unknown or unusable: a sentence each, naming where.
    """
    try:
        values = tomllib.loads(path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be UTF-8, but byte {error.start} is not") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not valid TOML: {error}") from error
    try:
        found = ModelFile.model_validate(values)
    except ValidationError as error:
        raise InputError("\n".join(dict.fromkeys(_sentences(error.errors(), path)))) from error
    return _loops(found, path)


def _loops(found: ModelFile, path: Path) -> Loops:
    try:
        space = ObjectiveSpace(Objective(one.name, one.low, one.high, one.direction) for one in found.objectives)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    starts = _starts(found.start, space, path)
    loops = {name: _loop(name, one, starts, found.dt, path) for name, one in found.strategies.items()}
    return Loops(space, loops, "model file", {})


def _loop(name: str, one: StrategyTable, starts: Starts, dt: float, path: Path) -> Loop:
    where, n = f"{path}: strategies.{name}", len(starts.mean)
    A = _sized(one.A, (n, n), f"{where}.A")
    if one.equilibrium is not None:
        b = -A @ _sized(one.equilibrium, (n,), f"{where}.equilibrium")
    else:
        b = _sized(one.b, (n,), f"{where}.b")
    Q = np.diag(_sized(one.sd, (n,), f"{where}.sd") ** 2) if one.sd is not None else _sized(one.Q, (n, n), f"{where}.Q")
    try:
        model = AffineSDE(A, b, Q, dt)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    noise = None if one.score_noise_sd is None else _sized(one.score_noise_sd, (n,), f"{where}.score_noise_sd") ** 2
    lasting = None if one.session_sd is None else _sized(one.session_sd, (n,), f"{where}.session_sd")
    loop = Loop(name, model, starts, score_noise=noise, session_sd=lasting)
    return loop.with_cautions(of_radius(loop))


def _starts(start: StartTable | None, space: ObjectiveSpace, path: Path) -> Starts:
    if start is None:
        if not all(objective.bounded for objective in space):
            raise InputError(f"{path} needs a table [start] with a mean, because an objective has an open scale")
        middle = (space.low + space.high) / 2
        return Starts(middle, np.zeros((space.n, space.n)), "all in the middle of the scales: the file names no start")
    mean = _sized(start.mean, (space.n,), f"{path}: start.mean")
    outside = [name for name, m, o in zip(space.names, mean, space, strict=True) if not o.low <= m <= o.high]
    if outside:
        raise InputError(f"{path}: start.mean must lie within the bounds, but that of {', '.join(outside)} does not")
    if start.sd is None:
        return Starts(mean, np.zeros((space.n, space.n)), "all at the start that the file gives")
    sd = _sized(start.sd, (space.n,), f"{path}: start.sd")
    return Starts(mean, np.diag(sd**2), "from a normal law, mean and standard deviations as in the file")


def _sized(values: Any, shape: tuple[int, ...], where: str) -> Floats:
    try:
        array = np.array(values, dtype=np.float64)
    except ValueError:
        raise InputError(f"{where} needs rows of equal length") from None
    if array.shape != shape:
        wanted = " by ".join(map(str, shape)) + (" numbers" if len(shape) > 1 or shape[0] > 1 else " number")
        got = " by ".join(map(str, array.shape))
        raise InputError(f"{where} needs {wanted}, one for each objective, but has {got}")
    return array


def _sentences(problems: Sequence[Any], path: Path) -> Iterator[str]:
    for problem in problems:
        inside = any(other["loc"][:-1][: len(problem["loc"])] == problem["loc"] for other in problems)
        if problem["type"] != "too_short" or not inside:  # a list with a faulty entry is not empty
            yield _sentence(problem, path)


def _sentence(problem: Any, path: Path) -> str:
    """Return what is wrong with the file, in a sentence."""
    where = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] == "extra_forbidden":
        return f"{path}: {where!r} is nothing that a file of models holds"
    if problem["type"] == "missing":
        return f"{path} needs {where!r}, which it does not have"
    if problem["type"] == "too_short":
        return f"{path}: {where} needs at least one entry, but is empty"
    if problem["type"] == "value_error":
        return f"{path}: {where} {message[0].lower()}{message[1:]}"
    shown = repr(problem["input"])
    shown = shown if len(shown) <= _LONGEST_SHOWN else shown[:_LONGEST_SHOWN] + "..."
    return f"{path}: {where} {message[0].lower()}{message[1:]}, but is {shown}"
