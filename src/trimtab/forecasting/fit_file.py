"""Loops of a saved fit: a document ``trimtab.fit/1``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.streams import stream
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.estimation.document import SCHEMA
from trimtab.estimation.rungs import RUNGS
from trimtab.forecasting.cautions import of_coarse, of_radius, of_verdict, unidentified
from trimtab.forecasting.loops import Drifts, Loop, Loops, usable
from trimtab.forecasting.starts import Starts

__all__ = ["DRAWS", "loops_of_fit_document", "loops_of_fit_file"]

Floats = NDArray[np.float64]

DRAWS = 2000
"""Drifts that are drawn for each strategy."""


def loops_of_fit_file(path: Path) -> Loops:
    """Return the loops of a file that ``trimtab fit --out`` or ``trimtab run`` left.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    FitError
        If no strategy has a fitted drift.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != SCHEMA:
        raise InputError(
            f"a forecast needs a document {SCHEMA}, such as trimtab fit --out FILE.json writes, but {path} "
            + (f"is {found!r}" if found is not None else "does not say that it is one")
        )
    try:
        return loops_of_fit_document(document)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{path}: {error}") from error
        raise InputError(f"{path} is not a whole document {SCHEMA} ({error!r}): fit again") from error


def loops_of_fit_document(document: Mapping[str, Any]) -> Loops:
    """Return the loops of a document ``trimtab.fit/1``; paths start by a normal law of its sessions' first scores.

    Drifts are drawn from N((A, b), V), V being ``drift_covariance`` of the rung that predicts.
    """
    space = ObjectiveSpace(
        Objective(one["name"], _bound(one["low"], -np.inf), _bound(one["high"], np.inf), one["direction"])
        for one in document["objectives"]
    )
    dt, seed = float(document["dt"]), int(document["seed"])
    loops, left_out = usable(
        {
            name: partial(_loop, name, one, dt, seed) if one["identified"] else unidentified(one["warnings"])
            for name, one in document["strategies"].items()
        }
    )
    return Loops(space, loops, "fit file", left_out)


def _loop(name: str, one: Mapping[str, Any], dt: float, seed: int) -> Loop:
    name_of_rung = one.get("predicts", one["trusted"])
    rung = one["rungs"][name_of_rung]
    A, b = _floats(rung["A"]), _floats(rung["b"])
    covariance = rung.get("drift_covariance")
    loop = Loop(
        name=name,
        model=AffineSDE(A, b, _floats(rung["Q"]), dt),
        starts=_starts(one, len(b)),
        drifts=None if covariance is None else _drawn(A, b, _floats(covariance), seed, name),
        active=np.array(one["active"], dtype=bool),
        score_noise=None if rung["R"] is None else _floats(rung["R"]),
        session_sd=None if rung["session_sd"] is None else _floats(rung["session_sd"]),
        estimator=RUNGS[name_of_rung],
        label=one["verdict"]["label"],
    )
    return loop.with_cautions(
        (
            *of_verdict(one["verdict"]["label"], one["verdict"]["reasons"]),
            *of_coarse(one["coarse"]["chosen"], one["coarse"]["says"]),
            *of_radius(loop),
        )
    )


def _drawn(A: Floats, b: Floats, covariance: Floats, seed: int, name: str) -> Drifts:
    n = len(b)
    at = np.concatenate([A.ravel(), b])
    if covariance.shape != (len(at), len(at)) or not np.isfinite(covariance).all():
        raise InputError(f"the drift covariance of {name!r} must be {len(at)} by {len(at)} numbers, but is not")
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    z = stream(seed, "forecast", "drift", name).standard_normal((DRAWS, len(at)))
    drawn = at + z @ (vectors * np.sqrt(np.clip(values, 0, None))).T
    return Drifts(drawn[:, : n * n].reshape(-1, n, n), drawn[:, n * n :])


def _starts(one: Mapping[str, Any], n: int) -> Starts:
    mean = _floats(one["started"])
    if not np.isfinite(mean).all():
        raise InputError("the fit does not say where its sessions started")
    covariance = one.get("started_covariance")
    if covariance is None or not np.isfinite(_floats(covariance)).all():
        return Starts(mean, np.zeros((n, n)), "all at the mean of its first scores: the fit does not say how they vary")
    says = "from a normal law with mean and covariance of the first scores of its sessions"
    return Starts(mean, _floats(covariance), says, scored=True)


def _floats(values: Any) -> Floats:
    return np.array(values, dtype=np.float64)  # None becomes not-a-number


def _bound(value: float | None, infinite: float) -> float:
    return infinite if value is None else float(value)
