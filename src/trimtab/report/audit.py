"""The audit's questions and answers as a table for each strategy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.estimation.audit.audit import Audit, StrategyAudit
from trimtab.estimation.audit.finding import Finding
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.report.text import UNKNOWN, number, p_value, shorten

__all__ = ["AuditRow", "AuditTable", "Audited", "audited"]

REPEATED = 3
"""Times from which on one and the same reason for not knowing gets one row."""

AGAINST = 4
"""Questions answered with no that are named before a table is opened."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A question, its answer (yes, no or cannot say), the figure with its interval, the p-value, and a sentence."""

    question: str
    answer: str
    figure: str
    p_value: str
    says: str


@dataclass(frozen=True, slots=True)
class AuditTable:
    """The findings about one strategy: how many answers are yes, no and unknown, the questions answered no, and all."""

    index: int
    counted: str
    against: tuple[str, ...]
    rows: tuple[AuditRow, ...]


@dataclass(frozen=True, slots=True)
class Audited:
    """All findings, the number of tests behind them, and how many of those would reject by chance."""

    tables: tuple[AuditTable, ...]
    tests: int
    by_chance: int


def audited(fit: Fit, shown: Sequence[StrategyFit]) -> Audited:
    """Ask every question of the strategies shown."""
    audit: Audit = fit.audit()
    tables = tuple(_table(k, audit[one.name]) for k, one in enumerate(shown) if one.name in audit.strategies)
    return Audited(tables, audit.tests, round((1 - audit.level) * audit.tests))


def _table(index: int, one: StrategyAudit) -> AuditTable:
    repeated = Counter(finding.says for finding in one if finding.holds is None)
    common = [says for says, times in repeated.items() if times > REPEATED]
    rows = [_row(finding) for finding in one if finding.holds is not None or finding.says not in common]
    rows += [
        AuditRow(f"{repeated[says]} more questions", "cannot say", UNKNOWN, UNKNOWN, shorten(says, 600))
        for says in common
    ]
    answers = Counter(finding.answer for finding in one)
    counted = ", ".join(f"{answers[answer]} {answer}" for answer in ("yes", "no", "cannot say") if answers[answer])
    against = [finding.question for finding in one if finding.holds is False]
    more = [f"and {len(against) - AGAINST} more"] if len(against) > AGAINST + 1 else []
    return AuditTable(index, counted, (*against[: AGAINST if more else None], *more), tuple(rows))


def _row(finding: Finding) -> AuditRow:
    shown = number(finding.statistic)
    if np.isfinite(finding.low) and np.isfinite(finding.high):
        shown += f"\n{number(finding.low)} to {number(finding.high)}"
    return AuditRow(finding.question, finding.answer, shown, p_value(finding.p_value), shorten(finding.says, 600))
