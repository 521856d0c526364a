"""What trimtab itself says of a few of the simulated experiments, beside what the paper's estimator says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trimtab.core.trajectories import Trajectories
from trimtab.estimation.fit import fit
from trimtab.reproduction.experiments import NOISE, Experiments
from trimtab.simulation.reference import REFERENCE

__all__ = ["Verdict", "verdicts"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the fits of one strategy say, over the experiments looked at.

    Parameters
    ----------
    name
        The strategy, or `experiments.NOISE`.
    truth
        Rate of the model that made the data; None for independent scores, which have none.
    least_squares, trusted
        Median rate by the paper's estimator, and by the estimate that the fit trusts.
    covered
        In how many experiments the trusted interval holds the truth; None where there is none.
    labels
        In how many experiments the diagnosis is which.
    rungs
        In how many experiments which estimator is trusted.
    """

    name: str
    truth: float | None
    least_squares: float
    trusted: float
    covered: int | None
    labels: Mapping[str, int]
    rungs: Mapping[str, int]


def verdicts(found: Experiments, count: int) -> tuple[Verdict, ...]:
    """Fit the first `count` experiments as ``trimtab fit`` does."""
    names = [*REFERENCE, NOISE]
    fits = []
    for e in range(count):
        scores = [found.scores(name, e) for name in names]
        owners = np.repeat(names, [len(one) for one in scores]).tolist()
        fits.append(fit(Trajectories.from_arrays(np.concatenate(scores), found.space, owners), seed=found.seed))
    made = []
    for name in names:
        own = [one[name] for one in fits]
        truth = REFERENCE[name].model.rate if name in REFERENCE else None
        made.append(
            Verdict(
                name=name,
                truth=truth,
                least_squares=float(np.median([one.rungs["least_squares"].rate for one in own])),
                trusted=float(np.median([one.rate for one in own])),
                covered=None if truth is None else sum(one.rate.low <= truth <= one.rate.high for one in own),
                labels=Counter(one.verdict.label for one in own),
                rungs=Counter(one.trusted for one in own),
            )
        )
    return tuple(made)
