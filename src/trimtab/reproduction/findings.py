"""How many findings of each severity a scorer has at every iteration, and how that changes after k iterations.

The companion study (arXiv:2506.11022) counts critical vulnerabilities and reports that there are 37.6% more after five
iterations. This is the same figure for any store whose scores keep their evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray

from trimtab.core import plain
from trimtab.core.records import Iteration, Score
from trimtab.errors import InputError
from trimtab.estimation.estimates import Estimate
from trimtab.scoring import efficiency, functionality, security
from trimtab.scoring.evidence import BOOKKEEPING

__all__ = [
    "FEWEST",
    "SEVERITIES",
    "FindingCounts",
    "FindingTrend",
    "Findings",
    "count_findings",
    "finding_trends",
    "severity",
]

Ints = NDArray[np.int64]

FEWEST = 10
"""Sessions with a finding at the start that the interval of a ratio needs."""

SEVERITIES: Mapping[str, float] = {"critical": 1.5, "high": 1.0, "medium": 0.5, "low": 0.0}
"""Least score units, of ten, that the rule behind a finding takes for its first finding."""

_WEIGHTS = {
    scale.objective.name: {rule.id: rule.weight for rule in rules}
    for scale, rules in (
        (security.SCALE, security.RULES),
        (efficiency.SCALE, efficiency.RULES),
        (functionality.SCALE, functionality.RULES),
    )
}
"""Weights of the built-in rules. The weight of a piece of evidence is smaller where its rule fired before."""


def severity(weight: float) -> str:
    """Return the severity of a rule that takes -weight score units; `weight` is negative."""
    return next(name for name, least in SEVERITIES.items() if -weight >= least)


@dataclass(frozen=True, slots=True, eq=False)
class FindingCounts:
    """Counts of one objective's findings.

    Parameters
    ----------
    counts
        (S, T + 1, severities); -1 where a session has no score on the objective at that iteration.
    strategies
        (S,) name of each session's strategy.
    sessions
        (S,) names.
    cut_short
        How many scores kept only their heaviest evidence, so that some light findings are not counted.
    """

    objective: str
    counts: Ints
    strategies: tuple[str, ...]
    sessions: tuple[str, ...]
    cut_short: int


@dataclass(frozen=True, slots=True, eq=False)
class FindingTrend:
    """One strategy's findings of one severity, or of all.

    Parameters
    ----------
    strategy, severity
        ``"all"`` stands for all strategies, and for all severities.
    sessions
        How many have a score at the start and after `after` iterations: those that the change is of.
    mean
        (T + 1,) mean number per scored session at each iteration; nan where none is scored.
    before, change, relative
        Over those sessions: mean number at the start; how many more there are after `after` iterations; and this as a
        share of `before`. Intervals are t intervals over sessions; the last is unknown where fewer than 10 of them
        have a finding at the start.
    """

    strategy: str
    severity: str
    sessions: int
    mean: NDArray[np.float64]
    before: float
    change: Estimate
    relative: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Trends of all strategies and severities, after `after` iterations."""

    objective: str
    after: int
    level: float
    cut_short: int
    trends: tuple[FindingTrend, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the document ``trimtab.findings/1``; unknown numbers are None."""
        return {
            "schema": "trimtab.findings/1",
            "objective": self.objective,
            "after": self.after,
            "level": self.level,
            "severities": dict(SEVERITIES),
            "cut_short": self.cut_short,
            "trends": [
                {
                    "strategy": one.strategy,
                    "severity": one.severity,
                    "sessions": one.sessions,
                    "mean": plain.array(one.mean),
                    "before": plain.number(one.before),
                    "change": plain.interval(one.change),
                    "relative": plain.interval(one.relative),
                }
                for one in self.trends
            ],
        }


def count_findings(iterations: Iterable[Iteration], strategies: Mapping[str, str], objective: str) -> FindingCounts:
    """Count the findings against each iteration: evidence of negative weight that names a rule.

    Parameters
    ----------
    iterations
        In any order.
    strategies
        Name of each session's strategy, by session.
    objective
        Whose scores to look at. Of repeated judgements the first that has a value counts.

    Raises
    ------
    InputError
        If no score on the objective has evidence.
    """
    found: dict[str, dict[int, Ints]] = {}
    cut_short, evidence = 0, 0
    names: set[str] = set()
    for iteration in iterations:
        names.update(score.objective for score in iteration.scores if score.evidence)
        score = next((s for s in iteration.scores if s.objective == objective and s.value is not None), None)
        if score is None:
            continue
        evidence += len(score.evidence)
        cut_short += any(piece.rule == "remaining" for piece in score.evidence)
        found.setdefault(iteration.session_id, {})[iteration.index] = _counted(score)
    if not evidence:
        has = f"those of {', '.join(sorted(names))} have" if names else "no score has"
        raise InputError(
            f"findings need scores of {objective!r} with evidence, as trimtab run and trimtab import --score store "
            f"them, but {has}"
        )
    last = max(max(own) for own in found.values())
    counts = np.full((len(found), last + 1, len(SEVERITIES)), -1, dtype=np.int64)
    for s, own in enumerate(found.values()):
        for t, count in own.items():
            counts[s, t] = count
    return FindingCounts(objective, counts, tuple(strategies[name] for name in found), tuple(found), cut_short)


def _counted(score: Score) -> Ints:
    names, weights = [*SEVERITIES], _WEIGHTS.get(score.objective, {})
    result = np.zeros(len(names), dtype=np.int64)
    for piece in score.evidence:
        if piece.weight < 0 and piece.rule not in BOOKKEEPING:
            result[names.index(severity(min(weights.get(piece.rule, piece.weight), piece.weight)))] += 1
    return result


def finding_trends(counted: FindingCounts, after: int, level: float) -> Findings:
    """Return the trends of every strategy and of all together, and of every severity and of all together.

    Raises
    ------
    InputError
        If no session goes on after its start, `after` is not an iteration that some session reached, or `level` is no
        coverage.
    """
    last = counted.counts.shape[1] - 1
    if last < 1:
        raise InputError(
            f"changes need sessions of two iterations with a score or more, but no session has a score on "
            f"{counted.objective!r} after its start"
        )
    if not 1 <= after <= last:
        raise InputError(f"--after must be from 1 to {last}, the last iteration in the store, but got {after}")
    if not 0 < level < 1:
        raise InputError(f"level must be between 0 and 1, but got {level:g}")
    owner = np.array(counted.strategies)
    groups = {"all": np.ones(len(owner), dtype=bool)} | {name: owner == name for name in dict.fromkeys(owner.tolist())}
    if len(groups) == 2:
        del groups["all"]
    trends = []
    for name, chosen in groups.items():
        own = counted.counts[chosen]
        per_severity = {"all": np.where((own < 0).any(axis=-1), -1, own.sum(axis=-1))}
        per_severity |= {label: own[:, :, k] for k, label in enumerate(SEVERITIES)}
        trends += [_trend(name, label, counts, after, level) for label, counts in per_severity.items()]
    return Findings(counted.objective, after, level, counted.cut_short, tuple(trends))


def _trend(strategy: str, label: str, counts: Ints, after: int, level: float) -> FindingTrend:
    scored = counts >= 0
    with np.errstate(invalid="ignore"):
        mean = np.where(scored, counts, 0).sum(axis=0) / scored.sum(axis=0)
    both = scored[:, 0] & scored[:, after]
    x, y = counts[both, 0].astype(float), counts[both, after].astype(float)
    S = len(x)
    if S == 0:
        unknown = Estimate(float("nan"))
        return FindingTrend(strategy, label, 0, mean, float("nan"), unknown, unknown)
    before, change = float(x.mean()), float((y - x).mean())
    relative = change / before if before > 0 else float("nan")
    if S == 1:
        return FindingTrend(strategy, label, S, mean, before, Estimate(change), Estimate(relative))
    t = float(scipy.special.stdtrit(S - 1, 0.5 + level / 2)) / np.sqrt(S)
    half = t * float((y - x).std(ddof=1))
    # Delta method for the ratio of means: y - (1 + relative) x has mean zero over sessions.
    enough = int((x > 0).sum()) >= FEWEST
    ratio = t * float((y - (1 + relative) * x).std(ddof=1)) / before if enough else float("nan")
    return FindingTrend(
        strategy,
        label,
        S,
        mean,
        before,
        Estimate(change, change - half, change + half),
        Estimate(relative, relative - ratio, relative + ratio),
    )
