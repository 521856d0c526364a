"""Plan: what every block of an ensemble needs, checked once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.dynamics.affine import AffineSDE
from trimtab.dynamics.covariance import semidefinite_cholesky
from trimtab.errors import InputError
from trimtab.simulation import philox
from trimtab.simulation.bounds import read_bounds
from trimtab.simulation.transitions import SCHEMES, NonlinearSDE, Transitions

__all__ = ["BACKENDS", "Model", "Plan", "Policy", "make_plan"]

Array = NDArray[Any]
Ints = NDArray[np.int64]
Model = AffineSDE | NonlinearSDE
Policy = Callable[[int, Array], Any]

BACKENDS = ("auto", "numba", "numpy")


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What every block of an ensemble needs, checked.

    Parameters
    ----------
    models
        K models of one number of objectives.
    names
        Their names.
    codes
        (steps,) Which model each iteration is by; None with a policy.
    policy
        Function of (t, block (n, paths)) that says by which model each path of the block goes on.
    x0
        (1, n) or (paths, n) Starts.
    h
        Length of one step of the scheme; `substeps` of them make an iteration.
    transitions
        Those of all affine models; one of no meaning at the place of each nonlinear model.
    score_noise
        (n, n) L with L L' = R, or None.
    low, high, mode
        See `bounds.read_bounds`.
    key
        Of the generator.
    backend
        The module `compiled` or `portable`.
    """

    models: tuple[Model, ...]
    names: tuple[str, ...]
    codes: Ints | None
    policy: Policy | None
    x0: Array
    steps: int
    paths: int
    h: float
    substeps: int
    transitions: Transitions
    score_noise: Array | None
    low: Array
    high: Array
    mode: int
    key: tuple[int, int]
    backend: ModuleType

    @property
    def n(self) -> int:
        """Number of objectives."""
        return self.models[0].n

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the states."""
        return self.x0.dtype


def make_plan(
    model: Any, x0: Any, steps: Any, paths: Any, seed: int, *, dt: float | None, substeps: int, scheme: str,
    bounds: Any, at_bounds: str, schedule: Any, policy: Policy | None, score_noise: Any, dtype: Any, backend: str,
) -> Plan:  # fmt: skip
    """Check what `ensemble.simulate` was given; see there."""
    steps, substeps = _whole("steps", steps, 1), _whole("substeps", substeps, 1)
    if steps * substeps > 2**33:
        raise InputError(f"steps times substeps must be at most 2^33, but are {steps * substeps:,}")
    if paths is not None and _whole("paths", paths, 1) > 2**32:
        raise InputError(f"paths must be at most 2^32, but are {paths:,}")
    try:
        key, kind = philox.key(operator.index(seed)), np.dtype(dtype)
    except TypeError as error:
        raise InputError(f"seed must be a whole number and dtype float64 or float32, but: {error}") from error
    if kind not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise InputError(f"dtype must be float64 or float32, but is {kind}")
    names, models, codes = _models(model, steps, schedule, policy)
    n = models[0].n
    low, high, mode = read_bounds(bounds, at_bounds, n)
    starts = _starts(x0, n, paths)
    if mode and not ((starts >= low) & (starts <= high)).all():
        raise InputError(
            f"starts must lie within the bounds {low} to {high}, but reach from {starts.min(axis=0)} to "
            f"{starts.max(axis=0)}; clip x0 first, or use at_bounds='none'"
        )
    h = _length(models, dt) / substeps
    if scheme not in SCHEMES:
        raise InputError(f"scheme must be one of {', '.join(map(repr, SCHEMES))}, but got {scheme!r}")
    if scheme == "exact" and any(isinstance(one, NonlinearSDE) for one in models):
        raise InputError("only affine models have an exact transition: use scheme='euler' with more substeps")
    still = AffineSDE(np.zeros((n, n)), np.zeros(n), np.zeros((n, n)))
    affine = [one if isinstance(one, AffineSDE) else still for one in models]
    root = None if score_noise is None else semidefinite_cholesky(_covariance(score_noise, n)).astype(kind)
    return Plan(
        models=models,
        names=names,
        codes=codes,
        policy=policy,
        x0=starts.astype(kind),
        steps=steps,
        paths=len(starts) if paths is None else int(paths),
        h=h,
        substeps=substeps,
        transitions=Transitions.of(affine, h, scheme, kind),
        score_noise=root,
        low=low.astype(kind),
        high=high.astype(kind),
        mode=mode,
        key=key,
        backend=_backend(backend),
    )


def _whole(name: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise InputError(f"{name} must be a whole number, {least} or more, but got {value!r}")
    return number


def _models(
    model: Any, steps: int, schedule: Any, policy: Policy | None
) -> tuple[tuple[str, ...], tuple[Model, ...], Ints | None]:
    """Return names, models and which of them each iteration is by."""
    codes: Ints | None = np.zeros(steps, dtype=np.int64)
    if isinstance(model, Mapping):
        names, models = tuple(map(str, model)), tuple(model.values())
        codes = _switching(tuple(model), steps, schedule, policy)
    elif schedule is not None or policy is not None:
        raise InputError("a schedule or a policy chooses among models: give a mapping from strategy names to models")
    elif isinstance(model, Sequence):
        distinct = list({id(one): one for one in model}.values())
        names, models = tuple(f"model {k}" for k in range(len(distinct))), tuple(distinct)
        codes = np.array([[id(one) for one in distinct].index(id(one)) for one in model], dtype=np.int64)
        if len(codes) != steps:
            raise InputError(f"a sequence needs one model for each of the {steps} steps, but has {len(codes)}")
    else:
        names, models = ("model",), (model,)
    for one in models:
        if not isinstance(one, AffineSDE | NonlinearSDE):
            raise InputError(f"a model must be an AffineSDE or a NonlinearSDE, but got {type(one).__name__}")
    sizes = sorted({one.n for one in models})
    if len(sizes) != 1:
        raise InputError(f"one or more models of one number of objectives are needed, but got {sizes or 'none'}")
    return names, models, codes


def _switching(keys: tuple[Any, ...], steps: int, schedule: Any, policy: Policy | None) -> Ints | None:
    if (schedule is None) == (policy is None) and (len(keys) > 1 or policy is not None):
        raise InputError("several models need a schedule or a policy, one of the two, to choose among them")
    if policy is not None:
        if not callable(policy):
            raise InputError(f"a policy must be a function of (t, block of states), but is {type(policy).__name__}")
        return None
    if schedule is None:
        return np.zeros(steps, dtype=np.int64)
    given = list(schedule)
    if len(given) != steps:
        raise InputError(f"a schedule needs one strategy for each of the {steps} steps, but has {len(given)}")
    unknown = sorted({str(one) for one in given if one not in keys})
    if unknown:
        raise InputError(f"a schedule names strategies among {', '.join(map(str, keys))}, but has {', '.join(unknown)}")
    return np.array([keys.index(one) for one in given], dtype=np.int64)


def _starts(x0: Any, n: int, paths: Any) -> NDArray[np.float64]:
    try:
        starts = np.array(x0, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"x0 must be numbers, ({n},) or (paths, {n}), but: {error}") from error
    rows = len(starts) if starts.ndim == 2 and paths is None else paths
    if rows is None:
        raise InputError("paths is needed where x0 is one start for all")
    if starts.shape not in ((n,), (rows, n)):
        raise InputError(f"x0 must be ({n},) or (paths, {n}) with paths = {rows}, but has the shape {starts.shape}")
    if not np.isfinite(starts).all():
        raise InputError("x0 must be finite, but holds inf or not-a-number")
    return starts.reshape(-1, n)


def _length(models: Sequence[Model], dt: float | None) -> float:
    lengths = {one.dt for one in models}
    if dt is None and len(lengths) > 1:
        raise InputError(f"the models' own dt differ ({', '.join(map(str, sorted(lengths)))}): say which dt to use")
    length = lengths.pop() if dt is None else dt
    if not isinstance(length, int | float | np.number) or not 0 < length < np.inf:
        raise InputError(f"dt must be a positive, finite number, but got {length!r}")
    return float(length)


def _covariance(score_noise: Any, n: int) -> NDArray[np.float64]:
    R = np.asarray(score_noise, dtype=np.float64)
    if R.shape == (n,):
        R = np.diag(R)
    if R.shape != (n, n) or not np.isfinite(R).all():
        raise InputError(
            f"score noise needs finite variances ({n},) or a covariance ({n}, {n}), but has the shape {R.shape}"
        )
    size = max(float(np.abs(R).max()), np.finfo(float).tiny)
    if np.abs(R - R.T).max() > 1e-9 * size or np.linalg.eigvalsh(R).min() < -1e-9 * size:
        raise InputError("score noise must be symmetric and positive semidefinite: it is a covariance")
    return R


def _backend(name: str) -> ModuleType:
    if name not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(map(repr, BACKENDS))}, but got {name!r}")
    there = find_spec("numba") is not None
    if name == "numba" and not there:
        raise InputError("the backend 'numba' needs Numba: install trimtab[fast], or use backend='numpy'")
    if name == "numpy" or not there:
        from trimtab.simulation import portable

        return portable
    from trimtab.simulation import compiled

    return compiled
