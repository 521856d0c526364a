"""A posterior as plain Python values and back, to the last bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trimtab.errors import FitError, InputError
from trimtab.estimation.conjugate.prior import MOST, Evidence, Prior, law_of, number

if TYPE_CHECKING:
    from trimtab.estimation.posterior import Posterior

__all__ = ["SCHEMA", "from_dict", "to_dict"]

Floats = NDArray[np.float64]

SCHEMA = "trimtab.posterior/1"

_RUNNING = 100_000  # sessions that may run at once


def to_dict(posterior: Posterior) -> dict[str, Any]:
    """Return the document: JSON writes and reads every float exactly."""
    prior = posterior.prior
    return {
        "schema": SCHEMA,
        "dt": posterior.dt,
        "prior": {
            "names": [*prior.names],
            "center": prior.center.tolist(),
            "scale": prior.scale.tolist(),
            "evidence": _evidence(prior.evidence),
        },
        "evidence": _evidence(posterior.evidence),
        "running": {name: own.tolist() for name, own in posterior.running.items()},
        "surprises": [*posterior.surprises],
    }


def from_dict(document: Mapping[str, Any]) -> Posterior:
    """Restore a posterior; ``InputError`` where the document is not one."""
    from trimtab.estimation.posterior import Posterior

    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != SCHEMA:
        raise InputError(f"a document of schema {SCHEMA} is needed, but got {schema!r}")
    written = _part(document, "prior")
    names = written.get("names")
    if not isinstance(names, list) or not 1 <= len(names) <= MOST or not all(isinstance(o, str) for o in names):
        raise InputError(f"prior.names must be a list of 1 to {MOST} texts, but got {names!r:.80}")
    n = len(names)
    scale = _array(written, "scale", (n,))
    if not (scale > 0).all():
        raise InputError("prior.scale must be positive")
    prior = Prior(tuple(names), _array(written, "center", (n,)), scale, _restored(_part(written, "evidence"), n))
    running = _part(document, "running")
    if len(running) > _RUNNING or not all(isinstance(name, str) for name in running):
        raise InputError(f"running must hold at most {_RUNNING:,} sessions, by name")
    total, variance = _array(document, "surprises", (2,)).tolist()
    if variance < 0:
        raise InputError("the second of surprises is a variance and cannot be negative")
    evidence = _restored(_part(document, "evidence"), n)
    try:
        law_of(prior.total)
        law_of(prior.total + evidence.total)
    except FitError as error:
        raise InputError("the document's sums are no sums of squares") from error
    return Posterior(n, prior, dt=number(document.get("dt"), "dt", least=0)).with_sums(
        evidence, {name: _array(running, name, (1 + n, 1 + 2 * n)) for name in running}, (total, variance)
    )


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "total": evidence.total.tolist(),
        "second": evidence.second.tolist(),
        "sessions": float(evidence.sessions),
        "sizes": evidence.sizes.tolist(),
        "squares": evidence.squares.tolist(),
    }


def _restored(written: Mapping[str, Any], n: int) -> Evidence:
    k, p = 1 + n, 1 + 2 * n
    sessions = number(written.get("sessions"), "sessions")
    total, sizes, squares = (
        _array(written, "total", (p, p)),
        _array(written, "sizes", (n,)),
        _array(written, "squares", (n,)),
    )
    if sessions < 0 or (sizes < 0).any() or (squares < 0).any() or not np.array_equal(total, total.T):
        raise InputError("sessions, sizes and squares cannot be negative, and total must be symmetric")
    return Evidence(total, _array(written, "second", (k, p, k, p)), sessions, sizes, squares)


def _part(written: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = written.get(name)
    if not isinstance(part, Mapping):
        raise InputError(f"{name} must be an object, but got {part!r:.80}")
    return part


def _array(written: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Floats:
    try:
        made = np.array(written.get(name), dtype=np.float64)
    except (TypeError, ValueError):
        made = np.empty(0)
    if made.shape != shape or not np.isfinite(made).all():
        raise InputError(f"{name} must hold {' x '.join(map(str, shape))} finite numbers")
    return made
