"""Repeated judgements of one score: kept apart, bounded in number, and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trimtab.core.exclusions import Exclusion
from trimtab.errors import InputError

__all__ = [
    "MOST_JUDGEMENTS",
    "Folded",
    "check_judgements",
    "fold",
    "judged_scores",
    "mean_judgement",
    "repeated_or_none",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_JUDGEMENTS = 64
"""How many judgements of one score are kept; the rest is left out and counted."""

_SPARSEST = 8  # places for each judgement: an array that is emptier than this is cut, unless it is small
_SMALL = 2**24  # places, 128 MiB
_TOLERANCE = 1e-9
_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """Judgements by cell, a cell being one objective at one iteration.

    Parameters
    ----------
    scores
        (cells,) Mean of each cell's judgements; not-a-number where it has none.
    judgements
        (cells, r) Not-a-number where a judgement is absent; None where no cell has two.
    left_out
        Judgements beyond the most that are kept.
    most
        How many of a cell are kept.
    """

    scores: Floats
    judgements: Floats | None
    left_out: int = 0
    most: int = MOST_JUDGEMENTS

    def notes(self) -> tuple[str, ...]:
        """Say in a sentence how many scores have several judgements, if any."""
        if self.judgements is None:
            return ()
        counts = np.isfinite(self.judgements).sum(axis=1)
        several, known, most = int((counts > 1).sum()), int((counts > 0).sum()), int(counts.max())
        return (f"Of {known:,} scores, {several:,} are the mean of two or more judgements, of {most} at most.",)

    def exclusions(self) -> tuple[Exclusion, ...]:
        """Count what was left out."""
        reason = f"beyond the {self.most} judgements of one score that are kept"
        return (Exclusion(reason, self.left_out, "judgements"),) if self.left_out else ()


def mean_judgement(judgements: Floats) -> Floats:
    """Return the mean over the last axis of what is not not-a-number, and not-a-number where nothing is.

    >>> mean_judgement(np.array([[1.0, np.nan, 2.0], [np.nan, np.nan, np.nan]]))
    array([1.5, nan])
    """
    known = np.isfinite(judgements)
    times = known.sum(axis=-1)
    divisor = np.maximum(times, 1)
    values = np.where(known, judgements, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        means = values.sum(axis=-1) / divisor
        if not np.isfinite(means).all():  # the sum of a few of the largest numbers is no number
            parts = (values / divisor[..., None]).sum(axis=-1)
            means = np.where(np.isfinite(means), means, np.clip(parts, -_LARGEST, _LARGEST))
    return np.where(times > 0, means, np.nan)


def repeated_or_none(judgements: Floats) -> Floats | None:
    """Return judgements (..., r) as they are, or None where nothing has two."""
    several = np.isfinite(judgements).sum(axis=-1).max(initial=0) > 1
    return judgements if several else None


def fold(cell: Ints, label: Ints, value: Floats, cells: int) -> Folded:
    """Arrange E judgements by cell, and average them.

    A label (a judge, the number of a repeat) has the same place in every cell, places following the order of labels.
    Where there are more labels than places, each cell's judgements close up instead, still in the order of labels, and
    those beyond the last place are left out. There are at most `MOST_JUDGEMENTS` places, and fewer, but at least two,
    where a source of many cells and few judgements would fill memory with emptiness.

    Parameters
    ----------
    cell, label, value
        (E,) One finite value for each pair of cell and label, in any order.
    cells
        How many cells there are.
    """
    times = np.bincount(cell, minlength=cells)
    if times.max(initial=0) < 2:
        scores = np.full(cells, np.nan)
        scores[cell] = value
        return Folded(scores, None)
    most = max(2, min(MOST_JUDGEMENTS, (_SPARSEST * len(cell) + _SMALL) // cells))
    labels, place = np.unique(label, return_inverse=True)
    left_out = 0
    if len(labels) > most:
        order = np.lexsort((label, cell))
        cell, value = cell[order], value[order]
        starts = np.cumsum(times) - times
        place = np.arange(len(cell)) - starts[cell]
        kept = place < most
        left_out = int(len(kept) - kept.sum())
        cell, value, place = cell[kept], value[kept], place[kept]
    judgements = np.full((cells, int(place.max()) + 1), np.nan)
    judgements[cell, place] = value
    return Folded(mean_judgement(judgements), judgements, left_out, most)


def check_judgements(judgements: Floats, scores: Floats) -> None:
    """Raise ``InputError`` unless `judgements` (N, n, r) are several of some score, and `scores` (N, n) their means."""
    if judgements.ndim != 3 or judgements.shape[:2] != scores.shape:
        raise InputError(
            f"judgements needs the shape ({scores.shape[0]}, {scores.shape[1]}, r), but has {judgements.shape}"
        )
    known = np.isfinite(judgements)
    if np.isinf(judgements).any():
        raise InputError("judgements must be finite, or not-a-number where absent, but hold inf")
    if repeated_or_none(judgements) is None:
        raise InputError(
            "judgements need two or more of some score, but none has two; give scores alone, and None here"
        )
    means = mean_judgement(judgements)
    size = np.where(known, np.abs(judgements), 0.0).max(axis=2)
    with np.errstate(invalid="ignore", over="ignore"):
        wrong = (np.isfinite(means) != np.isfinite(scores)) | (np.abs(means - scores) > _TOLERANCE * size)
    if wrong.any():
        row, j = np.argwhere(wrong)[0]
        raise InputError(
            f"a score must be the mean of its judgements, but in row {row}, objective {j}, the score is "
            f"{scores[row, j]:g} and the mean {means[row, j]:g}"
        )


def judged_scores(scores: Floats, sessions: Sequence[Floats]) -> tuple[Floats, Floats | None, tuple[Exclusion, ...]]:
    """Return scores (N, n), judgements (N, n, r) as `fold` keeps them, and how many it does not.

    Parameters
    ----------
    scores
        (N, n) of all sessions.
    sessions
        (T_s + 1, n, r_s) each, N iterations in all.

    Raises
    ------
    InputError
        If a score is not the mean of its judgements.
    """
    width = max(array.shape[2] for array in sessions)
    stacked = np.concatenate([_widened(array, width) for array in sessions])
    cell, place = np.nonzero(np.isfinite(stacked).reshape(scores.size, width))
    folded = fold(cell, place, stacked.reshape(scores.size, width)[cell, place], scores.size)
    if folded.judgements is not None:
        check_judgements(stacked, scores)
    elif not np.array_equal(folded.scores, scores.ravel(), equal_nan=True):
        raise InputError("a score with one judgement must be equal to it, but some are not")
    kept = None if folded.judgements is None else folded.judgements.reshape(*scores.shape, -1)
    return folded.scores.reshape(scores.shape), kept, folded.exclusions()


def _widened(array: Floats, width: int) -> Floats:
    return np.pad(array, ((0, 0), (0, 0), (0, width - array.shape[2])), constant_values=np.nan)
