"""reproduce(experiments) -> Reproduction: the paper's claims beside what its estimator shows on simulated data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trimtab.errors import InputError
from trimtab.estimation.threads import single_threaded
from trimtab.reproduction.claims import Claim, claims
from trimtab.reproduction.experiments import Experiments, check_experiments, simulate_experiments
from trimtab.reproduction.paper import SESSIONS, STEPS
from trimtab.reproduction.strains import Strain, strains
from trimtab.reproduction.verdicts import Verdict, verdicts
from trimtab.simulation.reference import REFERENCE

__all__ = ["Reproduction", "reproduce"]


@dataclass(frozen=True, slots=True, eq=False)
class Reproduction:
    """The claims, the questions that they raise, and what trimtab says of the same data.

    Parameters
    ----------
    simulated
        The experiments behind it.
    claims
        What the paper says, see `claims.Claim`.
    strains
        Where its figures strain against each other, see `strains.Strain`.
    verdicts
        What ``trimtab fit`` says of the first few experiments, see `verdicts.Verdict`.
    fitted
        How many these are.
    """

    simulated: Experiments
    claims: tuple[Claim, ...]
    strains: tuple[Strain, ...]
    verdicts: tuple[Verdict, ...]
    fitted: int

    def to_dict(self) -> dict[str, Any]:
        """Return the document ``trimtab.reproduction/1``; unknown numbers are None."""
        document: dict[str, Any] = {
            "schema": "trimtab.reproduction/1",
            "papers": ["arXiv:2510.10739", "arXiv:2506.11022"],
            "experiments": self.simulated.experiments,
            "sessions_per_strategy": SESSIONS,
            "steps": STEPS,
            "seed": self.simulated.seed,
            "claims": [asdict(claim) for claim in self.claims],
            "strains": [asdict(strain) for strain in self.strains],
            "fitted_experiments": self.fitted,
            "verdicts": [
                {**asdict(one), "labels": dict(one.labels), "rungs": dict(one.rungs)} for one in self.verdicts
            ],
            "reference": {
                name: {
                    "A": one.model.A.tolist(),
                    "b": one.model.b.tolist(),
                    "Q": one.model.Q.tolist(),
                    "start": {"mean": one.start_mean.tolist(), "sd": one.start_sd.tolist()},
                }
                for name, one in REFERENCE.items()
            },
        }
        cleaned: dict[str, Any] = _known(document)
        return cleaned

    def to_json(self) -> str:
        """Return the document of `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(inner) for inner in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value


@single_threaded
def reproduce(experiments: int = 200, *, seed: int = 0, fitted: int = 3) -> Reproduction:
    """Simulate the paper's experiment from the reference models and hold what comes out against its claims.

    Parameters
    ----------
    experiments
        Copies of the experiment, 100 sessions of 10 iterations per strategy each.
    seed
        Of everything.
    fitted
        How many of the experiments are also fitted as ``trimtab fit`` does.

    Raises
    ------
    InputError
        If `experiments` is not from 20 to 2,000, or `fitted` not from 0 to `experiments`.
    """
    check_experiments(experiments)
    if not 0 <= fitted <= experiments:
        raise InputError(f"fitted must be from 0 to the {experiments} experiments, but got {fitted}")
    found = simulate_experiments(experiments, seed)
    return Reproduction(found, claims(found), strains(found), verdicts(found, fitted) if fitted else (), fitted)
