"""Whether there is memory at all, whether what lasts fades, and how much of it is the scorer's own noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trimtab.core.counting import are
from trimtab.core.streams import stream
from trimtab.estimation.audit.clustered import half_width, standard_error
from trimtab.estimation.audit.finding import Answer, CannotSayError
from trimtab.estimation.audit.sample import Regression, Sample
from trimtab.estimation.audit.wording import number, p_text, percent, span
from trimtab.estimation.diagnosis import FADING
from trimtab.estimation.lag_covariance import lag_tests
from trimtab.estimation.memory import memory_p_value
from trimtab.estimation.panel import Block, Panel

__all__ = ["memory", "score_noise", "static_levels"]

Floats = NDArray[np.float64]

TIGHT = 0.3
"""How near to 1 the whole interval of the average rate must lie for noise to be more than a guess."""


NOISE = 0.05
"""Share of the variance of scores that noise may have: it biases multipliers by about as much."""

_GROUPS = 10  # of sessions, left out in turn


def memory(sample: Sample) -> Answer:
    """Answer whether the next score depends on the present one.

    Hotelling's test of I + A = 0; the figure is -tr(A)/n.
    """
    r, alpha = sample.regression, sample.options.alpha
    r.with_noise()
    p = memory_p_value(r.moments)
    if np.isnan(p):
        raise CannotSayError(f"{r.n + 3} sessions are needed, and there {are(r.S)}")
    rate, low, high = _average_rate(r, sample.options.level)
    figures = f"{p_text(p)}; average rate {number(rate)}{span(low, high)}, where scores without memory show 1"
    if p < alpha:
        return Answer(rate, f"The next score depends on the present one ({figures}).", p, low, high, True)
    if 1 - TIGHT <= low <= high <= 1 + TIGHT:
        text = f"The scores look like independent draws around a fixed level ({figures})."
        return Answer(rate, text, p, low, high, False)
    return Answer(rate, f"Too few sessions to tell dynamics from noise ({figures}).", p, low, high)


def _average_rate(r: Regression, level: float) -> tuple[float, float, float]:
    """Return -tr(A)/n and its t interval over sessions."""
    contrast = np.vstack([np.zeros(r.n), -np.eye(r.n) / r.n])
    rate = float((r.beta * contrast).sum())
    half = float(half_width(standard_error(r, r.Z, contrast), level, r.S))
    return rate, rate - half, rate + half


def static_levels(sample: Sample) -> Answer:
    """Answer whether deviations fade, rather than last for good.

    Flatness of the lag autocovariances, see `lag_covariance`, at the level at which the verdict tests it.

    The figure is the share of what does not last for good that the next score still knows, over the objectives: 0 for
    lasting levels under independent noise.
    """
    r, alpha = sample.regression, sample.options.alpha
    tests = lag_tests(Panel.of(sample.trajectories, sample.code, sample.chosen))
    p, kept = tests.fading_p_value, tests.dependence_p_value
    if np.isnan(p) or np.isnan(kept):
        needed = 2 * r.n + 3
        if tests.runs >= needed:
            raise CannotSayError("scores vary in too few sessions, or in none beyond what others say of them")
        raise CannotSayError(f"it takes {needed} sessions of three scores or more, and there {are(tests.runs)}")
    fading = tests.fading
    half = float(half_width(tests.fading_error, sample.options.level, tests.runs))
    low, high = fading - half, fading + half
    if p < FADING and (np.isnan(fading) or fading <= 0):
        text = f"Neighbouring scores are less alike than distant ones ({p_text(p)}), as an overshooting loop has it."
        return Answer(fading, text, p, low, high, True)
    if p < FADING:
        text = (
            f"Deviations fade ({p_text(p)}): of what does not last for good, the next score still knows "
            f"{percent(fading)}{span(low, high, shares=True)}."
        )
        return Answer(fading, text, p, low, high, True)
    if kept >= alpha:
        text = f"No score depends on another one of its session ({p_text(kept)}), so that there is nothing to fade."
        return Answer(fading, text, p, low, high)
    text = (
        f"Nothing shows to fade ({p_text(p)}; of what does not last for good, the next score knows {percent(fading)}"
        f"{span(low, high, shares=True)}): "
    )
    if tests.flat:
        text += "levels that differ for good, under scoring noise, explain it without any dynamics."
        return Answer(fading, text, p, low, high, False)
    return Answer(fading, text + "too few data to tell a slow loop from levels that differ for good.", p, low, high)


def score_noise(sample: Sample) -> Answer:
    """Answer whether scoring noise is small beside the real differences.

    The figure is the largest share of a variance of scores.

    From repeated judgements where there are any; else from the drop of the autocovariance at lag 0, which lasting
    differences and couplings cause too: then it is an upper bound, which can clear the scorer and not convict it.
    """
    repeated = _from_judgements(sample)
    if repeated is not None:
        name, share, low, high = repeated
        figures = f"{percent(share)}{span(low, high, shares=True)} of the variance of {name}"
        if np.isnan(low) or low <= NOISE <= high:
            text = f"Repeated judgements of the same output account for {figures}: too few to say whether that harms."
            return Answer(share, text, low=low, high=high)
        fine = high < NOISE
        harm = "too little to harm" if fine else "rates come out too fast by about that much"
        text = f"Repeated judgements of the same output disagree by {figures}: {harm}."
        return Answer(share, text, low=low, high=high, holds=fine)
    name, share, high = _from_lags(sample)
    if high < NOISE:
        text = f"Scoring noise is at most {percent(high)} of the variance of {name}: too little to harm."
        return Answer(share, text, low=0.0, high=high, holds=True)
    text = (
        f"Scoring noise could be up to {percent(high)} of the variance of {name}: without outputs that are scored "
        "twice it cannot be told from lasting differences."
    )
    return Answer(share, text, low=0.0, high=high)


def _from_judgements(sample: Sample) -> tuple[str, float, float, float] | None:
    """Return objective, noise share and interval from repeated judgements; None where there are none.

    The noise variance of a row's score is the variance of its k judgements over k, if the score is their mean.
    """
    t = sample.trajectories
    judgements = t.judgements
    if judgements is None:
        return None
    mine = np.isin(t.session, np.unique(sample.steps.session)) & t.complete
    values, scores, owner = judgements[mine][:, sample.chosen], t.scores[mine][:, sample.chosen], t.session[mine]
    known = np.isfinite(values)
    values = values - _offsets(values, known)
    count = known.sum(axis=2)
    mean = np.where(known, values, 0.0).sum(axis=2) / np.maximum(count, 1)
    squares = np.where(known, (values - mean[..., None]) ** 2, 0.0).sum(axis=2)
    repeated = count >= 2
    columns = np.flatnonzero(repeated.sum(axis=0) >= 2)
    if not len(columns):
        return None
    noise = np.where(repeated, squares / np.maximum(count - 1, 1) / np.maximum(count, 1), 0.0)[:, columns]
    spread = np.where(repeated[:, columns], (scores[:, columns] - scores[:, columns].mean(axis=0)) ** 2, 0.0)
    _, starts = np.unique(owner, return_index=True)
    by_noise, by_spread = np.add.reduceat(noise, starts, axis=0), np.add.reduceat(spread, starts, axis=0)
    total = np.maximum(by_spread.sum(axis=0), np.finfo(float).tiny)
    share = by_noise.sum(axis=0) / total
    errors = np.sqrt(((by_noise - share * by_spread) ** 2).sum(axis=0)) / total
    j = int(share.argmax())
    half = float(half_width(errors[j], sample.options.level, len(starts))) if len(starts) > 1 else float("nan")
    low = max(float(share[j]) - half, 0.0)
    return sample.regression.names[columns[j]], float(share[j]), low, float(share[j]) + half


def _offsets(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Return by how much each judge (place) is above the others on average, (n, r): lasting leniency is no noise."""
    mean = np.where(known, values, 0.0).sum(axis=2) / np.maximum(known.sum(axis=2), 1)
    above = np.where(known & (known.sum(axis=2) > 1)[..., None], values - mean[..., None], 0.0)
    return np.asarray(above.sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def _from_lags(sample: Sample) -> tuple[str, float, float]:
    """Return objective, largest share, and the upper end of its interval, from autocovariances.

    The error comes from leaving out a tenth of the sessions in turn.
    """
    panel = Panel.of(sample.trajectories, sample.code, sample.chosen)
    if panel.n_sessions < 2 * _GROUPS:
        raise CannotSayError(f"without repeated judgements it takes {2 * _GROUPS} sessions or more")
    group = stream(sample.options.seed, "noise").permutation(sample.trajectories.n_sessions) % _GROUPS
    share = _lag_zero_drop(panel)
    without = np.stack([_lag_zero_drop(_part(panel, group != g)) for g in range(_GROUPS)])
    usable = np.flatnonzero(np.isfinite(share) & np.isfinite(without).all(axis=0))
    if not len(usable):
        raise CannotSayError("nothing lasts long enough to compare, and no output was judged twice")
    errors = np.sqrt((_GROUPS - 1) / _GROUPS * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    half = half_width(errors, sample.options.level, _GROUPS)
    j = int(usable[(share + half)[usable].argmax()])
    high = float(np.clip(share[j] + half[j], 0.0, 1.0))
    return sample.regression.names[j], float(np.clip(share[j], 0.0, 1.0)), high


def _lag_zero_drop(panel: Panel) -> Floats:
    """Return 1 - g_1^2 / (g_2 g_0), (n,): the share of the variance that a geometric decline does not account for."""
    g = lag_tests(panel).autocovariance
    if len(g) < 3:
        return np.full(panel.n, np.nan)
    usable = (g[0] > 0) & (g[1] > 0) & (g[2] > 0)
    return np.where(usable, 1 - g[1] ** 2 / np.where(usable, g[2] * g[0], 1.0), np.nan)


def _part(panel: Panel, kept: NDArray[np.bool_]) -> Panel:
    blocks = (
        Block(block.at, block.y[kept[block.session]], block.session[kept[block.session]]) for block in panel.blocks
    )
    return Panel(tuple(block for block in blocks if len(block.session)), panel.n)
