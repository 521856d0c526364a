"""What a fit holds: one strategy's figures, and all strategies together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.by_name import ByStrategy
from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.trajectories import Exclusion, Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import FitError, InputError
from trimtab.estimation.coarse.choice import Coarse
from trimtab.estimation.decomposition import InterferenceParts
from trimtab.estimation.diagnosis import Diagnosis, Label
from trimtab.estimation.dropout import MeanCurve
from trimtab.estimation.estimates import R2, ArrayEstimate, Draws, Estimate, RegimeEstimate
from trimtab.estimation.multiplicity import Adjusted, adjusted_interference
from trimtab.estimation.rungs import Rung, RungName

if TYPE_CHECKING:
    from trimtab.estimation.audit.audit import Audit
    from trimtab.estimation.coupling.results import Coupling
    from trimtab.estimation.pooling.results import Pooling

__all__ = ["R2", "ArrayEstimate", "Draws", "Estimate", "Fit", "RegimeEstimate", "StrategyFit", "Verdict"]

Floats = NDArray[np.float64]


class Verdict(str):
    """A verdict in a few sentences. It is that text; ``label`` is one of `diagnosis.LABELS`, ``reasons`` why."""

    __slots__ = ("label", "reasons")
    label: Label
    reasons: tuple[str, ...]

    def __new__(cls, text: str, diagnosis: Diagnosis) -> Verdict:
        """Make the verdict that reads `text` and rests on `diagnosis`."""
        made = super().__new__(cls, text)
        made.label, made.reasons = diagnosis.label, diagnosis.reasons
        return made


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StrategyFit:
    """Everything that one strategy's steps say about its dynamics (paper, eq. 5, and what follows from it).

    The dynamics are those of the trusted rung: ``one.rate`` is ``one.rungs[one.trusted].rate``, and likewise for all
    fields of `Rung`.

    Parameters
    ----------
    name, sessions, steps
        Strategy, number of sessions with a complete step, number of complete steps.
    active
        (n,) false for objectives that explain no step, because they are the same at the start of every one or an exact
        combination of those before them: their columns of A are 0, and the spectrum leaves them out.
    identified
        False where the design is singular or too short, so that no rate or regime can be given.
    rungs
        The estimators that the data allow, by name; ``"least_squares"`` is always among them.
    trusted, trust
        Name of the rung to believe, and why, in sentences.
    predicts
        Name of the rung that forecasts and policies go by: the trusted one, and ``"tobit"`` where most scores of an
        objective sit at a bound, since scores that end there are predicted by what knows it, whatever its rates mean.
        Where too few scores are inside for Tobit, ``"least_squares"`` in place of ``"state_space"``.
    diagnosis
        Whether the data show dynamics at all, and what says so.
    started, reached
        Means of the sessions' first and last completely scored iterations, each (n,).
    started_covariance
        Covariance of the first ones over sessions, (n, n).
    r2
        Of the least-squares predictions of observed scores.
    pareto_efficiency, hypervolume
        Mean over sessions of the share of non-dominated iterations; share of the objective box that the final scores
        dominate together (nan where a bound is open, and above five objectives).
    memory_p_value, second_lag_p_value
        Of the hypotheses that the next score does not depend on the present one, and not on the one before it.
    at_bound
        (n,) share of the scores that the strategy produced or started from that lie at either bound.
    curve
        Mean active scores by iteration, as observed and corrected for sessions that end early; None where none does.
    coarse
        Steps that stand still and scores on few levels: how many, and whether a hurdle or a Markov chain predicts
        unseen sessions better than the affine step, of which all other fields speak.
    interference_parts
        Where the interference comes from; None for a single objective and without a step.
    interference_p_value
        (n, n) of "these steps are uncorrelated", adjusted for all pairs of objectives and strategies of the fit by
        Holm's method; nan where that cannot be tested.
    """

    name: str
    space: ObjectiveSpace
    sessions: int
    steps: int
    dt: float
    active: NDArray[np.bool_]
    identified: bool
    rungs: Mapping[RungName, Rung]
    trusted: RungName
    predicts: RungName
    trust: tuple[str, ...]
    diagnosis: Diagnosis
    started: ArrayEstimate
    started_covariance: Floats
    reached: ArrayEstimate
    r2: R2
    pareto_efficiency: Estimate
    hypervolume: float
    memory_p_value: float
    second_lag_p_value: float
    at_bound: Floats
    curve: MeanCurve | None
    coarse: Coarse
    interference_parts: InterferenceParts | None
    interference_p_value: Floats
    warnings: tuple[str, ...]

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
    def verdict(self) -> Verdict:
        """What the figures mean, in plain words; ``verdict.label`` says it in one, ``verdict.reasons`` why."""
        from trimtab.estimation.verdict import verdict

        return Verdict(verdict(self), self.diagnosis)

    @property
    def rung(self) -> Rung:
        """The trusted rung."""
        return self.rungs[self.trusted]

    @property
    def A(self) -> Floats:
        """See `Rung`."""
        return self.rung.A

    @property
    def b(self) -> Floats:
        """See `Rung`."""
        return self.rung.b

    @property
    def Q(self) -> Floats:
        """See `Rung`."""
        return self.rung.Q

    @property
    def eigenvalues(self) -> NDArray[np.complex128]:
        """See `Rung`."""
        return self.rung.eigenvalues

    @property
    def rate(self) -> Estimate:
        """See `Rung`."""
        return self.rung.rate

    @property
    def smooth_rate(self) -> Estimate:
        """See `Rung`."""
        return self.rung.smooth_rate

    @property
    def multiplier(self) -> Estimate:
        """See `Rung`."""
        return self.rung.multiplier

    @property
    def multipliers(self) -> ArrayEstimate:
        """See `Rung`."""
        return self.rung.multipliers

    @property
    def spectral_radius(self) -> Estimate:
        """See `Rung`."""
        return self.rung.spectral_radius

    @property
    def half_life(self) -> Estimate:
        """See `Rung`."""
        return self.rung.half_life

    @property
    def period(self) -> float:
        """See `Rung`."""
        return self.rung.period

    @property
    def stable_continuous(self) -> bool | None:
        """See `Rung`."""
        return self.rung.stable_continuous

    @property
    def stable_discrete(self) -> bool | None:
        """See `Rung`."""
        return self.rung.stable_discrete

    @property
    def regime(self) -> RegimeEstimate:
        """See `Rung`."""
        return self.rung.regime

    @property
    def equilibrium(self) -> ArrayEstimate:
        """See `Rung`."""
        return self.rung.equilibrium

    @property
    def interference(self) -> ArrayEstimate:
        """See `Rung`."""
        return self.rung.interference

    @property
    def draws(self) -> Draws:
        """See `Rung`."""
        return self.rung.draws


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fit(ByStrategy[StrategyFit]):
    """The fits of all strategies, and of all steps pooled.

    ``fit["EF"]`` is the fit of strategy EF; iterating gives the names. `pooling` is what grouping sessions adds, where
    that was asked for.
    """

    space: ObjectiveSpace
    dt: float
    level: float
    seed: int
    estimator: str
    strategies: Mapping[str, StrategyFit]
    pooled: StrategyFit
    warnings: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]
    trajectories: Trajectories
    pooling: Pooling | None = None

    @property
    def interference(self) -> ArrayEstimate:
        """Interference matrix of all steps pooled, (n, n)."""
        return self.pooled.interference

    def __repr__(self) -> str:
        return f"Fit of {', '.join(self.space.names)} under {', '.join(self.strategies)}; print(fit.summary()) for all"

    @property
    def own_warnings(self) -> tuple[str, ...]:
        """The last of `warnings`: those that concern no single strategy."""
        return self.warnings[sum(len(one.warnings) for one in self.strategies.values()) :]

    @property
    def interference_parts(self) -> dict[str | None, InterferenceParts]:
        """Where interference comes from, by strategy, and for all steps pooled under None; those that are known."""
        parts = {None: self.pooled.interference_parts} | {
            n: one.interference_parts for n, one in self.strategies.items()
        }
        return {name: found for name, found in parts.items() if found is not None}

    @property
    def interference_tests(self) -> dict[str | None, Adjusted]:
        """p-values of the same, adjusted for the number of pairs and strategies."""
        return adjusted_interference(self.interference_parts)

    def audit(self, *, shuffles: int = 200) -> Audit:
        """Ask of the same trajectories what a sceptical referee asks, see `trimtab.audit`."""
        from trimtab.estimation.audit.audit import audit

        return audit(self.trajectories, level=self.level, seed=self.seed, shuffles=shuffles)

    def coupling(self) -> Coupling:
        """Return the drift in blocks where the objectives are those of several agents, see `trimtab.couple`."""
        from trimtab.estimation.coupling.blocks import coupling

        return coupling(self)

    def summary(self) -> str:
        """Return the figures and the verdicts as text for a terminal."""
        from trimtab.estimation.summary import summary

        return summary(self)

    def to_dict(self, *, timings: bool = False, audit: bool = True) -> dict[str, Any]:
        """Return the document described by the JSON Schema ``trimtab.fit/1``, as plain Python values.

        The same fit gives the same document, unless `timings` asks for what each rung cost. Without `audit` the lists
        of findings are empty, which saves a few tenths of a second.
        """
        from trimtab.estimation.document import document

        return document(self, timings=timings, audit=audit)

    def to_json(self, *, indent: int | None = 2, timings: bool = False, audit: bool = True) -> str:
        """Return the document of `to_dict` as JSON; unknown numbers are null."""
        import json

        return json.dumps(self.to_dict(timings=timings, audit=audit), indent=indent, allow_nan=False)

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
