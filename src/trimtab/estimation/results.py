"""What a fit holds: estimates with their intervals, one strategy's figures, and all strategies together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Exclusion, Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.spectrum import Regime
from trimtab.errors import FitError, InputError

__all__ = ["R2", "ArrayEstimate", "Draws", "Estimate", "Fit", "RegimeEstimate", "StrategyFit"]

Floats = NDArray[np.float64]


class Estimate(float):
    """A number with an interval. It behaves as the number; ``low`` and ``high`` are its interval, nan if unknown."""

    __slots__ = ("high", "low")
    low: float
    high: float

    def __new__(cls, estimate: float, low: float = float("nan"), high: float = float("nan")) -> Estimate:
        """Make the number `estimate` with its interval."""
        made = super().__new__(cls, estimate)
        made.low, made.high = float(low), float(high)
        return made

    @property
    def estimate(self) -> float:
        """The number alone."""
        return float(self)

    def __str__(self) -> str:
        return f"{float(self):.3g} [{self.low:.3g}, {self.high:.3g}]"

    def __repr__(self) -> str:
        return f"Estimate({float(self):.6g}, low={self.low:.6g}, high={self.high:.6g})"


@dataclass(frozen=True, slots=True, eq=False)
class ArrayEstimate:
    """An array with elementwise intervals; all three arrays share one shape."""

    estimate: Floats
    low: Floats
    high: Floats

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.array(self.estimate, dtype=dtype)

    def __getitem__(self, index: Any) -> Estimate:
        return Estimate(float(self.estimate[index]), float(self.low[index]), float(self.high[index]))


@dataclass(frozen=True, slots=True)
class RegimeEstimate:
    """The name of the qualitative behaviour and the share of bootstrap draws that show each regime."""

    label: Regime
    probabilities: Mapping[str, float]

    def __str__(self) -> str:
        if self.label == "undetermined":
            return self.label
        return f"{self.label} ({self.probabilities[self.label]:.0%})"


@dataclass(frozen=True, slots=True, eq=False)
class R2:
    """Coefficients of determination, each the mean over the objectives that vary.

    Parameters
    ----------
    steps, levels
        Of dx_t and of x_{t+1}, in sample.
    steps_held_out, levels_held_out
        The same for sessions that the fit has not seen (10-fold, grouped by session).
    levels_persistence, levels_mean
        Of x_{t+1}, for the baselines "stays where it is" and, held out, "jumps to the mean".
    per_objective
        `steps` of each objective, (n,).
    """

    steps: Estimate
    levels: Estimate
    steps_held_out: float
    levels_held_out: float
    levels_persistence: float
    levels_mean: float
    per_objective: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Bootstrap replicates of the drift: A (draws, n, n), b (draws, n), eigenvalues (draws, active objectives)."""

    A: Floats
    b: Floats
    eigenvalues: NDArray[np.complex128]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StrategyFit:
    """Everything that one strategy's steps say about its dynamics (paper, eq. 5, and what follows from it).

    Parameters
    ----------
    name, sessions, steps
        Strategy, number of sessions with a complete step, number of complete steps.
    A, b, Q
        Drift matrix (n, n), drift at the origin (n,), innovation covariance of a step (n, n); nan where the steps
        cannot identify them.
    active
        (n,) false for objectives that explain no step, because they are the same at the start of every one or an exact
        combination of those before them: their columns of A are 0, and the spectrum leaves them out.
    identified
        False where the design is singular or too short, so that no rate or regime can be given.
    eigenvalues
        Of A, by decreasing real part.
    rate
        -max Re(lambda), per unit of time.
    smooth_rate
        -tr(A)/n: the average rate, smooth also where eigenvalues meet.
    multiplier
        abs(1 + lambda dt) of the eigenvalue that sets the rate.
    multipliers
        abs(1 + lambda dt) of all, in decreasing order.
    spectral_radius
        The largest of them: below 1 the loop converges.
    half_life, period
        Iterations until a deviation along the slowest mode halves; iterations per turn of that mode.
    stable_continuous, stable_discrete
        All Re(lambda) < 0; all abs(1 + lambda dt) < 1.
    equilibrium, started, reached
        -A^-1 b, and the means of the sessions' first and last completely scored iterations, each (n,).
    interference
        (n, n), eq. 4.
    pareto_efficiency, hypervolume
        Mean over sessions of the share of non-dominated iterations; share of the objective box that the final scores
        dominate together (nan where a bound is open, and above five objectives).
    memory_p_value, second_lag_p_value
        Of the hypotheses that the next score does not depend on the present one, and not on the one before it.
    at_bound
        (n,) share of the scores that the strategy produced or started from that lie at either bound.
    """

    name: str
    space: ObjectiveSpace
    sessions: int
    steps: int
    dt: float
    A: Floats
    b: Floats
    Q: Floats
    active: NDArray[np.bool_]
    identified: bool
    eigenvalues: NDArray[np.complex128]
    rate: Estimate
    smooth_rate: Estimate
    multiplier: Estimate
    multipliers: ArrayEstimate
    spectral_radius: Estimate
    half_life: Estimate
    period: float
    stable_continuous: bool | None
    stable_discrete: bool | None
    regime: RegimeEstimate
    equilibrium: ArrayEstimate
    started: ArrayEstimate
    reached: ArrayEstimate
    r2: R2
    interference: ArrayEstimate
    pareto_efficiency: Estimate
    hypervolume: float
    memory_p_value: float
    second_lag_p_value: float
    at_bound: Floats
    warnings: tuple[str, ...]
    draws: Draws

    def __repr__(self) -> str:
        return f"StrategyFit({self.name!r}, sessions={self.sessions}, rate={self.rate!s}, regime={self.regime!s})"

    @property
    def model(self) -> AffineSDE:
        """The fitted model of the `active` objectives; ``FitError`` where the steps do not identify one."""
        if not self.identified:
            raise FitError(f"the steps of {self.name!r} do not identify a model: {'; '.join(self.warnings)}")
        square = np.ix_(self.active, self.active)
        return AffineSDE(self.A[square], self.b[self.active], self.Q[square], self.dt)

    @property
    def verdict(self) -> str:
        """What the figures mean, in plain words."""
        from trimtab.estimation.verdict import verdict

        return verdict(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fit:
    """The fits of all strategies, and of all steps pooled.

    ``fit["EF"]`` is the fit of strategy EF; iterating gives the names.
    """

    space: ObjectiveSpace
    dt: float
    level: float
    seed: int
    strategies: Mapping[str, StrategyFit]
    pooled: StrategyFit
    warnings: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]
    trajectories: Trajectories

    @property
    def interference(self) -> ArrayEstimate:
        """Interference matrix of all steps pooled, (n, n)."""
        return self.pooled.interference

    def __repr__(self) -> str:
        return f"Fit of {', '.join(self.space.names)} under {', '.join(self.strategies)}; print(fit.summary()) for all"

    def __getitem__(self, name: str) -> StrategyFit:
        try:
            return self.strategies[name]
        except KeyError:
            raise InputError(f"no strategy is called {name!r}; there are {', '.join(self.strategies)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.strategies)

    def __len__(self) -> int:
        return len(self.strategies)

    def summary(self) -> str:
        """Return the figures and the verdicts as text for a terminal."""
        from trimtab.estimation.summary import summary

        return summary(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.fit/1``, as plain Python values."""
        from trimtab.estimation.document import document

        return document(self)

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return the document described by the JSON Schema ``trimtab.fit/1``; unknown numbers are null."""
        import json

        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def report(self, path: str | Path, **options: Any) -> Path:
        """Write a report and return its path.

        The file's suffix names the renderer, found in the entry-point group ``trimtab.renderers``; ``.html`` is built
        in. So this room does not know the one that draws.

        Parameters
        ----------
        path
            Where to write, for example ``"report.html"``.
        options
            Passed to the renderer.
        """
        if not isinstance(path, str | os.PathLike):
            raise InputError(f"a report needs a file name such as 'report.html', but got {path!r}")
        target = Path(path)
        renderers = entry_points(group="trimtab.renderers")
        suffix = target.suffix.lstrip(".").lower()
        if suffix not in renderers.names:
            known = ", ".join(sorted(f".{name}" for name in renderers.names))
            raise InputError(f"a report needs a file name ending in {known}, but got {str(path)!r}")
        written: Path = renderers[suffix].load()(self, target, **options)
        return written
