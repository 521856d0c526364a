"""The paper's four strategies as affine models, calibrated so that its own estimator finds its reported figures.

The paper reports what it found but not the drift coefficients. ``studies/reference.py`` searches for models that,
simulated and analysed as the paper did, come closest to the reported figures; its result is ``reference.json``. Where
a figure was not reached, `Target` says so: no model stands for data that the paper does not show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.streams import stream, stream_seed
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.simulation.ensemble import Ensemble, simulate

__all__ = ["REFERENCE", "ReferenceStrategy", "Target", "ff_without_levels", "reference"]

Floats = NDArray[np.float64]

NAMES = ("EF", "SF", "FF", "AI")
"""Efficiency-focused, security-focused, feature-focused and ambiguous improvement."""

_WITHOUT_LEVELS = "FF without levels"


@dataclass(frozen=True, slots=True)
class Target:
    """One figure: what the paper reports, and what the calibrated model shows.

    Parameters
    ----------
    figure
        Its name, such as ``"rate"`` or ``"reached security"``.
    paper
        The reported value. Where the paper has only a word, such as "high", what it was read as.
    achieved
        Median over the simulated experiments that the table was measured on.
    low, high
        2.5% and 97.5% quantiles over the same experiments.
    """

    figure: str
    paper: float
    achieved: float
    low: float
    high: float

    @property
    def reached(self) -> bool:
        """True where the reported value is one that an experiment on the model may well show."""
        return self.low <= self.paper <= self.high


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceStrategy:
    """A calibrated strategy: its model on a scale of 0 to 10, and where its sessions start.

    Parameters
    ----------
    model
        A, b, Q with dt = 1; the objectives are those of `space`.
    start_mean, start_sd
        (n,) of the scores of the starting artefact: independent and normal, then clipped to the scale.
    targets
        Every figure that it was calibrated to.
    """

    name: str
    model: AffineSDE
    start_mean: Floats
    start_sd: Floats
    space: ObjectiveSpace
    targets: tuple[Target, ...]

    def starts(self, sessions: int, seed: int) -> Floats:
        """Return starting scores (sessions, n); the first stay the same when more are asked for."""
        if sessions < 1:
            raise InputError(f"sessions must be 1 or more, but got {sessions}")
        z = stream(seed, "reference", self.name, "start").standard_normal((sessions, self.space.n))
        return np.clip(self.start_mean + self.start_sd * z, self.space.low, self.space.high)

    def ensemble(self, sessions: int, seed: int, steps: int = 10) -> Ensemble:
        """Return sessions of `steps` iterations, clipped to the scale, with all their states.

        Sessions that are asked for one after the other are independent, so that one call also serves for many
        experiments.
        """
        noise = stream_seed(seed, "reference", self.name)
        models, x0 = {self.name: self.model}, self.starts(sessions, seed)
        return simulate(models, x0, steps, seed=noise, bounds=self.space, schedule=[self.name] * steps, keep="all")

    def paths(self, sessions: int, seed: int, steps: int = 10) -> Floats:
        """Return the states of `ensemble`, (sessions, steps + 1, n)."""
        return np.asarray(self.ensemble(sessions, seed, steps).states)

    def simulate(self, sessions: int, seed: int, steps: int = 10) -> Trajectories:
        """Return `ensemble` as `Trajectories` whose strategy bears this one's name.

        Examples
        --------
        >>> REFERENCE["EF"].simulate(100, seed=1).n_rows
        1100
        """
        return self.ensemble(sessions, seed, steps).trajectories()


class _Reference(Mapping[str, ReferenceStrategy]):
    """The four strategies by name, read when first asked for."""

    def __getitem__(self, name: str) -> ReferenceStrategy:
        return _read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


REFERENCE: Mapping[str, ReferenceStrategy] = _Reference()
"""EF, SF, FF and AI."""


def reference(name: str) -> ReferenceStrategy:
    """Return the calibrated strategy called `name`.

    Raises
    ------
    InputError
        If the paper has no such strategy.
    """
    if name not in REFERENCE:
        raise InputError(f"the reference strategies are {', '.join(NAMES)}, but got {name!r}")
    return REFERENCE[name]


def ff_without_levels() -> ReferenceStrategy:
    """Return the model that comes closest to FF's rate, R2 and interference, all its other figures left free."""
    return _read()[_WITHOUT_LEVELS]


@cache
def _read() -> dict[str, ReferenceStrategy]:
    document = json.loads(files("trimtab.simulation").joinpath("reference.json").read_text(encoding="utf-8"))
    space = ObjectiveSpace(document["objectives"])
    mean, sd = (np.array(document["start"][key]) for key in ("mean", "sd"))
    return {name: _strategy(name, entry, mean, sd, space) for name, entry in document["strategies"].items()}


def _strategy(
    name: str, entry: Mapping[str, Any], mean: Floats, sd: Floats, space: ObjectiveSpace
) -> ReferenceStrategy:
    return ReferenceStrategy(
        name=name,
        model=AffineSDE(entry["A"], entry["b"], entry["Q"]),
        start_mean=mean,
        start_sd=sd,
        space=space,
        targets=tuple(Target(**target) for target in entry["targets"]),
    )
