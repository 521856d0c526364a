"""Whether chains can be trusted, and what they say: R-hat, effective sample sizes, divergences, and a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import InputError

__all__ = ["Diagnostics", "Row", "diagnose", "require", "table"]

Floats = NDArray[np.float64]

R_HAT = 1.01
"""Largest R-hat that passes (Vehtari et al. 2021, "Rank-normalization, folding, and localization")."""

ESS = 400.0
"""Smallest effective sample size that passes, of bulk and tails alike."""

DIVERGENT = 0.001
"""Largest share of divergent transitions that passes."""

BFMI = 0.3
"""Smallest Bayesian fraction of missing information that passes."""

_TAILS = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """How far the chains can be trusted.

    Parameters
    ----------
    r_hat, ess_bulk, ess_tail
        The worst over all scalars reported.
    worst
        The scalar with the largest R-hat.
    divergences, transitions
        Number of divergent transitions, and of all.
    bfmi
        The worst over chains.
    acceptance
        Mean acceptance probability.
    """

    r_hat: float
    ess_bulk: float
    ess_tail: float
    worst: str
    divergences: int
    transitions: int
    bfmi: float
    acceptance: float

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not as it should be."""
        found = []
        if not self.r_hat <= R_HAT:
            found.append(f"R-hat of {self.worst} is {self.r_hat:.3f}, above {R_HAT}")
        for name, size in (("bulk", self.ess_bulk), ("tail", self.ess_tail)):
            if not size >= ESS:
                found.append(f"the {name} effective sample size is {size:.0f}, below {ESS:.0f}")
        if self.divergences > DIVERGENT * self.transitions:
            found.append(f"{self.divergences:,} of {self.transitions:,} transitions diverged")
        if not self.bfmi >= BFMI:
            found.append(f"the fraction of missing information is {self.bfmi:.2f}, below {BFMI}")
        return tuple(found)

    def __str__(self) -> str:
        return (
            f"R-hat at most {self.r_hat:.3f} ({self.worst}), effective sample size at least {self.ess_bulk:.0f} (bulk) "
            f"and {self.ess_tail:.0f} (tails), {self.divergences:,} of {self.transitions:,} transitions divergent, "
            f"BFMI at least {self.bfmi:.2f}, acceptance {self.acceptance:.2f}"
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One scalar of the posterior: mean, standard deviation, central interval, and how well its chains mixed."""

    name: str
    mean: float
    sd: float
    low: float
    high: float
    r_hat: float
    ess_bulk: float
    ess_tail: float


def diagnose(samples: Any) -> Diagnostics:
    """Return the diagnostics of what `sample` returned: rank-normalised R-hat, ESS, divergences, BFMI."""
    require("arviz_stats")
    from arviz_stats.base import array_stats

    values = dict(_scalars(samples))
    rows = {name: _mixing(draws) for name, draws in values.items()}
    worst = max(rows, key=lambda name: np.nan_to_num(rows[name][0], nan=np.inf))
    stats = samples["sample_stats"]
    diverging = stats["diverging"].values
    bfmi = array_stats.bfmi(stats["energy"].values, chain_axis=0, draw_axis=1)
    return Diagnostics(
        r_hat=rows[worst][0],
        ess_bulk=float(np.min([row[1] for row in rows.values()])),
        ess_tail=float(np.min([row[2] for row in rows.values()])),
        worst=worst,
        divergences=int(diverging.sum()),
        transitions=int(diverging.size),
        bfmi=float(np.min(bfmi)),
        acceptance=float(stats["acceptance_rate"].values.mean()),
    )


def table(samples: Any, level: float = 0.95) -> tuple[Row, ...]:
    """Return one row per scalar of what `sample` returned, rates first.

    Intervals are central: as much of the posterior lies below as above.
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie strictly between 0 and 1, for example 0.95, but got {level!r}")
    require("arviz_stats")
    rows = []
    for name, draws in _scalars(samples):
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        rows.append(Row(name, float(draws.mean()), float(draws.std()), float(low), float(high), *_mixing(draws)))
    return tuple(rows)


def require(*modules: str) -> None:
    """Import what is needed; one sentence where it is not there."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise InputError(
                f'sampling needs {module}, which cannot be imported ({error}): pip install "trimtab[bayes]"'
            ) from error


def _scalars(samples: Any) -> Iterator[tuple[str, Floats]]:
    """Yield name and draws (chains, draws) of each scalar of the posterior; of Q the lower triangle."""
    posterior = samples["posterior"]
    for name, variable in posterior.data_vars.items():
        values = np.asarray(variable.values)
        labels = [[str(label) for label in variable.coords[dim].values] for dim in variable.dims[2:]]
        for index in np.ndindex(values.shape[2:]):
            if name == "Q" and index[1] > index[0]:
                continue
            where = ", ".join(axis[i] for axis, i in zip(labels, index, strict=True))
            yield (f"{name}[{where}]" if where else str(name)), values[(..., *index)]


def _mixing(draws: Floats) -> tuple[float, float, float]:
    """Return R-hat, and the effective sample sizes of bulk and tails."""
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 0, "draw_axis": 1}
    bulk, tail = (
        array_stats.ess(draws, **axes, method="bulk"),
        array_stats.ess(draws, **axes, method="tail", prob=_TAILS),
    )
    return float(array_stats.rhat(draws, **axes)), float(bulk), float(tail)
