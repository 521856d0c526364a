"""Whether sessions end because of what they scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.estimation.audit.clustered import hotelling
from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Sample
from trimtab.estimation.audit.wording import named, number, p_text

__all__ = ["dropout"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PER_COEFFICIENT = 5
_MOST = 60


def dropout(sample: Sample) -> Answer:
    """Answer whether sessions end regardless of their last score and its change.

    The score test of a discrete-time hazard. At each iteration the sessions still running are compared: U_s = sum over
    t of (w_st - mean of w at t) (1[s ends at t] - share that ends at t), w being the last seen scores and their last
    change, with Hotelling's test over sessions. It is the score of a proportional hazard with its own baseline at
    every iteration (Cox 1972). The longest sessions may have reached their budget, so that their last iteration tells
    nothing. The figure is by how many standard deviations sessions that end differ from all that are still running,
    for the objective for which that is surest.
    """
    trajectories, sessions = sample.trajectories, sample.sessions
    lengths = trajectories.lengths[sessions]
    if not len(sessions) or lengths.min() == lengths.max():
        raise CannotSayError("all sessions are of the same length")
    position, owner, last, change, ended = _at_risk(sample, lengths)
    if not len(position):
        raise CannotSayError("no score is known before sessions end")
    values = np.hstack([last, change])
    spread = values.std(axis=0)
    values = np.where(spread > 1e-12, (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
    centred, surprise = (
        values - _means(values, position)[position],
        ended - _means(ended[:, None], position)[position, 0],
    )
    U = np.zeros((len(sessions), values.shape[1]))
    np.add.at(U, owner, centred * surprise[:, None])
    n = last.shape[1]
    informative = int((U != 0).any(axis=1).sum())
    if 2 * n > _MOST or informative < _PER_COEFFICIENT * 2 * n:
        U = U[:, :n]
    p = hotelling(U)
    size = np.sqrt((U**2).sum(axis=0))
    k = int((np.abs(U.sum(axis=0)) / np.where(size > 0, size, np.inf)).argmax())
    informed = np.abs(centred[:, k]) > 0
    ends = informed & (ended > 0)
    gap = float(values[ends, k].mean() - _means(values, position)[position[ends], k].mean()) if ends.any() else 0.0
    name = named(trajectories.space.names[k % n])
    what = f"had last seen {name}" if k < n else f"had last seen {name} change"
    where = "higher" if gap > 0 else "lower"
    if p < sample.options.alpha:
        text = (
            f"Sessions that end {what} {number(abs(gap))} standard deviations {where} than all at that iteration "
            f"({p_text(p)}): ending by the last seen score spoils averages by iteration, but not likelihood estimates."
        )
        return Answer(gap, text, p, holds=False)
    return Answer(gap, f"When sessions end does not show to depend on what they scored ({p_text(p)}).", p, holds=True)


def _at_risk(sample: Sample, lengths: Ints) -> tuple[Ints, Ints, Floats, Floats, Floats]:
    """Return what was known at each iteration after which a session could have gone on, and whether it did.

    Position and session of the iteration, the last seen scores, their change since those before (0 at first), and 1.0
    where the session ended there.
    """
    t, sessions = sample.trajectories, sample.sessions
    first = t.offsets[sessions]
    rows = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
    owner = np.repeat(np.arange(len(sessions)), lengths)
    position = rows - first[owner]
    # The row that was last seen complete, carried forward, and the one seen before that.
    complete = t.complete[rows]
    seen = np.maximum.accumulate(np.where(complete, np.arange(len(rows)), -1))
    begins = np.arange(len(rows)) - position
    known = seen >= begins
    rank = np.cumsum(complete) - 1
    where = np.flatnonzero(complete)
    last_index = np.where(known, seen, 0)
    before = where[np.maximum(rank[last_index] - 1, 0)] if len(where) else last_index
    has_before = known & (before >= begins) & (before < last_index)
    last = t.scores[rows[last_index]]
    change = np.where(has_before[:, None], last - t.scores[rows[np.where(has_before, before, last_index)]], 0.0)
    kept = known & (position < lengths.max() - 1)
    ended = (position == lengths[owner] - 1).astype(np.float64)
    return position[kept], owner[kept], last[kept], change[kept], ended[kept]


def _means(values: Floats, position: Ints) -> Floats:
    """Return the mean of values (R, k) at each position, (P, k)."""
    size = int(position.max()) + 1
    sums = np.zeros((size, values.shape[1]))
    np.add.at(sums, position, values)
    return sums / np.maximum(np.bincount(position, minlength=size), 1)[:, None]
