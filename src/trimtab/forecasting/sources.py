"""Where the loops of a forecast come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trimtab.estimation.fit import fit
from trimtab.estimation.results import Fit
from trimtab.forecasting.fit_file import loops_of_fit_file
from trimtab.forecasting.from_fit import loops_of_fit
from trimtab.forecasting.loops import Loop, Loops
from trimtab.forecasting.model_file import loops_of_model_file
from trimtab.forecasting.starts import Starts
from trimtab.simulation.reference import REFERENCE, ReferenceStrategy

__all__ = ["REFERENCE_WORD", "holds_loops", "loops_of", "loops_of_reference"]

REFERENCE_WORD = "reference"
"""What stands for the paper's strategies where a source is asked for."""


def holds_loops(source: Any) -> bool:
    """Say whether a source holds loops, rather than trajectories that have to be fitted first."""
    return isinstance(source, str | Path) and (
        str(source) == REFERENCE_WORD or Path(source).suffix.lower() in (".json", ".toml")
    )


def loops_of(source: Any) -> Loops:
    """Return the loops of a source, see `forecast.forecast`."""
    if isinstance(source, Fit):
        return loops_of_fit(source)
    if not holds_loops(source):
        return loops_of_fit(fit(source))
    if str(source) == REFERENCE_WORD:
        return loops_of_reference()
    return (loops_of_fit_file if Path(source).suffix.lower() == ".json" else loops_of_model_file)(Path(source))


def loops_of_reference() -> Loops:
    """Return the paper's four strategies, calibrated to its figures."""
    return Loops(
        space=next(iter(REFERENCE.values())).space,
        loops={name: Loop(name, one.model, _reference_starts(one)) for name, one in REFERENCE.items()},
        kind="reference",
        left_out={},
        notes=("The models are calibrated to the figures that the paper reports; they are no fit of its data.",),
    )


def _reference_starts(one: ReferenceStrategy) -> Starts:
    levels = ", ".join(
        f"{name} {mean:g} ± {sd:g}"
        for name, mean, sd in zip(one.space.names, one.start_mean, one.start_sd, strict=True)
    )
    words = f"from a normal law, {levels} (mean ± standard deviation)"
    return Starts(one.start_mean, np.diag(np.square(one.start_sd)), words)
