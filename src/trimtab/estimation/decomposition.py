"""Where interference comes from: additive parts of the correlation of steps, each with an interval over sessions.

Steps dx = A x + b + e of one strategy, A by least squares, have exactly Cov(dx) = A Cov(x) A' + Cov(e), and Cov(x) is
the sum of what the iterations' means, the sessions' levels and the rest contribute (see `two_way`). Divided by the two
standard deviations of the steps, every term is a share of their correlation, the interference (paper, eq. 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from trimtab.core import plain
from trimtab.core.trajectories import Steps
from trimtab.errors import InputError
from trimtab.estimation.estimates import ArrayEstimate
from trimtab.estimation.step_parts import BETWEEN, DRIFT_PARTS, NOISE, PARTS, UNEQUAL, StepParts, step_parts

__all__ = ["PARTS", "InterferenceParts", "interference_parts", "parts_document"]

Floats = NDArray[np.float64]

FEWEST = 4
"""Sessions below which no correlation is tested."""

_PRESENT = 1e-9  # share of a variance below which a part is rounding error of one that does not exist


@dataclass(frozen=True, slots=True, eq=False)
class InterferenceParts:
    """An interference matrix and the parts that sum to it.

    A part that cannot exist here is absent: ``unequal lengths`` where all sessions have the same iterations, ``score
    noise`` where none is known, ``between strategies`` for one strategy alone. With n + 1 steps or fewer all are.

    Parameters
    ----------
    interference
        (n, n), eq. 4; nan for an objective whose steps are all alike.
    p_value
        (n, n) of "the steps of the two objectives are uncorrelated": artanh I_ij (Fisher, Metron 1, 1921) over its
        standard error from leaving out each session in turn, against Student's t with S - 1 degrees of freedom. Nan on
        the diagonal, with fewer than 4 sessions, and for an objective that changes in one session only.
    shares
        For each part, (n, n) with diagonal 0. They sum to `interference`.
    variances
        For each part, (n,): shares of the variances of steps. They sum to 1. For one strategy without known score
        noise, all but ``innovations`` are what the drift explains: they sum to the R2 of steps.
    drift_shares
        For ``own pull``, ``coupling``, ``innovations`` and those present of ``score noise`` and ``between strategies``,
        (n, n): the coarser split in which the first two are made of the whole Cov(x). They sum to `interference` too.
    sessions
        Number of sessions with a step.
    """

    interference: ArrayEstimate
    p_value: Floats
    shares: Mapping[str, ArrayEstimate]
    variances: Mapping[str, ArrayEstimate]
    drift_shares: Mapping[str, ArrayEstimate]
    sessions: int


def interference_parts(
    steps: Steps, *, score_noise: ArrayLike | None = None, of_states: bool = False, level: float = 0.95
) -> InterferenceParts:
    """Split the interference of `steps` into additive parts.

    With D = diag A, and C_transient, C_session and C_within the parts of Cov(x), these covariances sum to Cov(dx):

    ================== ============================ ====================================================
    part               covariance                   where it comes from
    ================== ============================ ====================================================
    own pull           D C_within D                 each objective pulled back by itself, states correlated
    coupling           A C_within A' - own pull     one objective's state moves the other
    transients         A C_transient A'             the means over sessions move as sessions go on
    session levels     A C_session A'               sessions lie at different levels, or wander slowly
    unequal lengths    A (Cov(x) - all three C) A'  late iterations are of other sessions than early ones
    innovations        Cov(e)                       what is new in a step hits both
    score noise        2 R                          the scorer errs on both at once
    between strategies Cov of strategies' means     strategies differ in their mean steps, for pooled steps
    ================== ============================ ====================================================

    Steps of several strategies are split within each, with its own A, and weighted by their number. The means of
    sessions contain what wanders slower than a session lasts, so that ``session levels`` is not zero for sessions that
    are all alike; where sessions differ for good, least squares makes this part and the innovations offset each other.

    Intervals are those of a jackknife over sessions with t quantiles, S - 1 degrees of freedom.

    Parameters
    ----------
    steps
        Complete steps; ``steps.strategy`` tells which of them share a drift. Of a strategy with n + 1 of them or fewer
        all counts as innovations.
    score_noise
        R, (n, n): covariance of the error of one recorded score, where it is known in full. R is then taken from
        C_within, 2 R from innovations, and A is that of the scores without noise, (Cov(dx, x) + R) (Cov(x) - R)^-1,
        unless R makes up nearly all of Cov(x). It counts as known exactly.
    of_states
        Divide by the standard deviations of steps without scoring noise, the roots of Var(dx_j) - 2 R_jj, as the
        interference of an estimator that knows of noise does. A diagonal R leaves no part of its own then.
    level
        Coverage of the intervals.

    Raises
    ------
    InputError
        If there is no step, `score_noise` is no covariance (n, n), or `level` does not lie between 0 and 1.
    """
    n = steps.x.shape[1]
    noise = None if score_noise is None else _checked(score_noise, n)
    if not 0 < level < 1:
        raise InputError(f"level must lie strictly between 0 and 1, for example 0.95, but got {level:g}")
    if not len(steps):
        raise InputError("interference is a correlation of steps, but there is no complete step")
    diagonal = np.eye(n, dtype=bool)
    found = step_parts(steps, noise, of_states=of_states)
    present = {
        UNEQUAL: bool((np.abs(found.shares[PARTS.index(UNEQUAL)]) > _PRESENT).any()),
        NOISE: noise is not None and (not of_states or bool(noise[~diagonal].any())),
        BETWEEN: found.strategies > 1,
    }
    half = scipy.special.stdtrit(max(found.sessions - 1, 1), 0.5 + level / 2) * found.errors

    def pairs(at: int) -> ArrayEstimate:
        share = found.shares[at]
        return ArrayEstimate(*(np.where(diagonal, 0.0, part) for part in (share, share - half[at], share + half[at])))

    def own(at: int) -> ArrayEstimate:
        share, width = np.diagonal(found.shares[at]), np.diagonal(half[at])
        return ArrayEstimate(share.copy(), share - width, share + width)

    total = pairs(-1)
    if len(steps) <= n + 1:
        present = dict.fromkeys(PARTS, False)
    fine = {name: at for at, name in enumerate(PARTS) if present.get(name, True)}
    coarse = {name: len(PARTS) + at for at, name in enumerate(DRIFT_PARTS) if present.get(name, True)}
    return InterferenceParts(
        interference=ArrayEstimate(*(np.clip(part, -1, 1) for part in (total.estimate, total.low, total.high))),
        p_value=_p_values(found),
        shares={name: pairs(at) for name, at in fine.items()},
        variances={name: own(at) for name, at in fine.items() if not (of_states and name == NOISE)},
        drift_shares={name: pairs(at) for name, at in coarse.items()},
        sessions=found.sessions,
    )


def parts_document(parts: InterferenceParts) -> dict[str, Any]:
    """Return `parts` as plain Python values for a JSON document; numbers that are unknown are None.

    ``parts`` lists the names; ``shares``, ``low`` and ``high`` map each to its matrix, ``variances`` to its list.
    """
    return {
        "parts": [*parts.shares],
        "shares": {name: plain.array(share.estimate) for name, share in parts.shares.items()},
        "low": {name: plain.array(share.low) for name, share in parts.shares.items()},
        "high": {name: plain.array(share.high) for name, share in parts.shares.items()},
        "variances": {name: plain.array(share.estimate) for name, share in parts.variances.items()},
    }


def _p_values(found: StepParts) -> Floats:
    fisher, error = np.abs(found.fisher), found.fisher_error
    if found.sessions < FEWEST:
        return np.full_like(fisher, np.nan)
    # Without any spread between sessions a correlation is exact: perfect, or none.
    exact = np.where(fisher > 0, np.inf, np.where(fisher == 0, 0.0, np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error > 0, fisher / error, exact + 0 * error)
    p = 2 * scipy.special.stdtr(found.sessions - 1, -t)
    np.fill_diagonal(p, np.nan)
    return np.asarray(p)


def _checked(noise: ArrayLike, n: int) -> Floats:
    """Return score noise as an array if it is a covariance (n, n)."""
    R = np.asarray(noise, dtype=np.float64)
    if R.shape != (n, n) or not np.isfinite(R).all():
        raise InputError(f"score_noise needs a finite covariance of shape ({n}, {n}), but got shape {R.shape}")
    size = max(float(np.abs(R).max()), np.finfo(float).tiny)
    if np.abs(R - R.T).max() > 1e-9 * size or np.linalg.eigvalsh(R).min() < -1e-9 * size:
        raise InputError("score_noise must be symmetric and positive semidefinite: it is a covariance")
    return R
