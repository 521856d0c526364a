"""Loops: the models that a forecast goes by, with what is not known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import ObjectiveSpace
from trimtab.dynamics import spectrum
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import FitError, InputError
from trimtab.forecasting.starts import Starts

__all__ = ["Drifts", "Loop", "Loops", "usable"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Drifts:
    """K drifts that the data leave possible: A (K, n, n) and b (K, n)."""

    A: Floats
    b: Floats

    def __len__(self) -> int:
        return len(self.A)


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """One strategy's loop.

    Parameters
    ----------
    name
        Of the strategy.
    model
        On all n objectives.
    starts
        Where its sessions start.
    drifts
        What else the drift may be; None where only the model itself is known.
    active
        (n,) false for objectives that steps do not depend on: their columns of A are 0, and they are no part of the
        loop's own spectrum.
    score_noise
        (n,) variances of the score noise, where it is known.
    session_sd
        (n,) standard deviation of a session's own lasting drift, per unit of time, where it is known.
    estimator
        What the model was estimated by, in words; empty for a model that was given.
    label
        What the fit's diagnosis calls the strategy, such as ``"noise"``; empty for a model that was given.
    cautions
        What to know before reading its forecast, one sentence each.
    """

    name: str
    model: AffineSDE
    starts: Starts
    drifts: Drifts | None = None
    active: NDArray[np.bool_] | None = None
    score_noise: Floats | None = None
    session_sd: Floats | None = None
    estimator: str = ""
    label: str = ""
    cautions: tuple[str, ...] = ()

    def with_cautions(self, cautions: tuple[str, ...]) -> Loop:
        """Return the same loop with these cautions."""
        return replace(self, cautions=cautions)

    @property
    def radius(self) -> float:
        """Largest abs(1 + lambda dt): below 1 the loop converges; nan where steps depend on no objective."""
        return float(self._radii(self.model.A[None])[0])

    @property
    def unstable(self) -> float:
        """Share of the drifts with which the loop does not converge; nan where only one drift is known."""
        return float((self._radii(self.drifts.A) >= 1).mean()) if self.drifts is not None else float("nan")

    def _radii(self, A: Floats) -> Floats:
        chosen = np.arange(self.model.n) if self.active is None else np.flatnonzero(self.active)
        if not len(chosen):
            return np.full(len(A), np.nan)
        own = np.ascontiguousarray(A[:, chosen[:, None], chosen])
        return np.asarray(spectrum.spectral_radius(spectrum.eigenvalues(own), self.model.dt))


@dataclass(frozen=True, slots=True, eq=False)
class Loops:
    """Loops of one space of objectives.

    Parameters
    ----------
    loops
        By name of their strategy.
    kind
        ``"fit"``, ``"fit file"``, ``"model file"`` or ``"reference"``.
    left_out
        Strategies of the source without a loop, and why.
    notes
        What was assumed, in sentences.
    """

    space: ObjectiveSpace
    loops: Mapping[str, Loop]
    kind: str
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def doubts(self, strategies: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return what speaks against taking estimates for the truth, in sentences; of all strategies if None."""
        names = self.loops if strategies is None else strategies
        return tuple(f"{name}, taken here as fitted: {text}." for name in names for text in self[name].cautions)

    def __getitem__(self, name: str) -> Loop:
        if name in self.loops:
            return self.loops[name]
        if name in self.left_out:
            raise InputError(f"{name!r} cannot be forecast: {self.left_out[name]}")
        raise InputError(f"no strategy is called {name!r}; there are {', '.join(self.loops) or 'none'}")


def usable(candidates: Mapping[str, Callable[[], Loop] | str]) -> tuple[dict[str, Loop], dict[str, str]]:
    """Return the loops that can be made, and why the others cannot.

    Parameters
    ----------
    candidates
        By strategy: what makes its loop, or why there is none.

    Raises
    ------
    FitError
        If there is no loop at all.
    """
    loops: dict[str, Loop] = {}
    left_out: dict[str, str] = {}
    for name, make in candidates.items():
        try:
            if isinstance(make, str):
                left_out[name] = make
            else:
                loops[name] = make()
        except InputError as error:  # such as a Q that extreme scores leave without a sense
            left_out[name] = str(error)
    if not loops:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise FitError(f"a forecast needs a fitted drift, but no strategy has a usable one ({reasons})")
    return loops, left_out
