"""How findings become a score: every finding weighs something, repetition counts less and less, and the sum is clipped.

With a rule's weight w, a finding's amount a, and k findings of the same rule that weigh at least as much before it::

    weight of a finding = w * a * decay^k        decay = 0.5 for credits (w > 0), 0.7 for penalties (w < 0)
    C = sum of credits,  P = - sum of penalties
    score = clip(base + c (1 - exp(-C / c)) - p (1 - exp(-P / p)), 0, 10)

with the objective's limits c and p. The evidence of a score holds the base, the findings and the two corrections that
turn C and P into their saturated values, so that ``score = clip(sum of evidence weights, 0, 10)`` holds exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from trimtab.core.objectives import Objective
from trimtab.core.records import Evidence, Score

__all__ = [
    "BOOKKEEPING",
    "CREDIT_DECAY",
    "EVIDENCE_LIMIT",
    "PENALTY_DECAY",
    "Finding",
    "Rule",
    "Scale",
    "compose",
    "rule_table",
    "saturating",
]

CREDIT_DECAY = 0.5
PENALTY_DECAY = 0.7
EVIDENCE_LIMIT = 50
DIGITS = 6

BOOKKEEPING = ("base", "remaining", "credit-saturation", "penalty-saturation", "syntax-error")
"""Evidence that is no rule's finding: the base, what the cap left out, the two corrections, unparsable code."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing a scorer looks for.

    Parameters
    ----------
    id
        Stable identifier, unique within an objective.
    weight
        Score units that one finding of amount 1 adds (positive) or takes (negative).
    summary
        What is found, for readers of the evidence and of the documentation.
    scale
        For rules that count something, the count at which 63% of the weight is reached; otherwise None.
    """

    id: str
    weight: float
    summary: str
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired at a line; `amount` multiplies its weight and is 1 unless the rule measures something."""

    rule: Rule
    line: int | None = None
    amount: float = 1.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """One objective's base level and the most that all credits and all penalties together can move it.

    Parameters
    ----------
    subject
        What the evidence calls that which is scored.
    """

    objective: Objective
    base: float
    credit_limit: float
    penalty_limit: float
    subject: str = "program"


def saturating(rule: Rule, count: float, line: int | None = None) -> Finding:
    """Return the finding of a counting rule, of amount 1 - exp(-count / scale).

    Raises
    ------
    ValueError
        If the rule has no scale.
    """
    if rule.scale is None:
        raise ValueError(f"rule {rule.id!r} needs a scale to count with, but has none")
    return Finding(rule, line, 1.0 - math.exp(-count / rule.scale), f"{count:g}")


def _weighted(findings: Iterable[Finding]) -> list[Evidence]:
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule.id, []).append(finding)
    weighted = []
    for group in by_rule.values():
        group.sort(key=lambda f: (-f.amount, f.line or 0, f.detail))
        decay = CREDIT_DECAY if group[0].rule.weight > 0 else PENALTY_DECAY
        factor = 1.0
        for finding in group:
            rule = finding.rule
            message = f"{rule.summary}: {finding.detail}" if finding.detail else rule.summary
            weight = round(rule.weight * finding.amount * factor, DIGITS)
            weighted.append(Evidence(rule.id, weight, finding.line, message))
            factor *= decay
    return weighted


def _saturation(raw: float, limit: float) -> float:
    return round(limit * -math.expm1(-raw / limit) - raw, DIGITS)


def compose(scale: Scale, findings: Iterable[Finding]) -> Score:
    """Return the score that the findings amount to, with at most `EVIDENCE_LIMIT` pieces of evidence.

    Evidence is ordered by the size of its weight. What does not fit is summed up in one piece called ``"remaining"``.
    """
    weighted = _weighted(findings)
    weighted.sort(key=lambda e: (-abs(e.weight), e.line or 0, e.rule))
    credit = math.fsum(e.weight for e in weighted if e.weight > 0)
    penalty = -math.fsum(e.weight for e in weighted if e.weight < 0)
    room = EVIDENCE_LIMIT - 4
    kept = [e for e in weighted[:room] if e.weight != 0.0]
    rest = len(weighted) - len(kept)
    evidence = [
        Evidence("base", scale.base, None, f"where every {scale.subject} starts on {scale.objective.name}"),
        *kept,
    ]
    if rest:
        left = round(math.fsum(e.weight for e in weighted[len(kept) :]), DIGITS)
        evidence.append(Evidence("remaining", left, None, f"{rest} further findings, {len(weighted)} in all"))
    for rule, raw, limit, sign in (
        ("credit-saturation", credit, scale.credit_limit, 1.0),
        ("penalty-saturation", penalty, scale.penalty_limit, -1.0),
    ):
        correction = sign * _saturation(raw, limit)
        if correction:
            what = "credits" if sign > 0 else "penalties"
            evidence.append(Evidence(rule, correction, None, f"{what} of {raw:.2f} saturate at {limit:g}"))
    total = math.fsum(e.weight for e in evidence)
    value = min(max(total, scale.objective.low), scale.objective.high)
    return Score(scale.objective.name, value, evidence=tuple(evidence))


def rule_table(rules: Iterable[Rule]) -> str:
    """Return the rules as a Markdown table, the form in which the documentation holds them."""
    rows = ["| rule | weight | scale | what is found |", "|---|---|---|---|"]
    rows += [
        f"| `{rule.id}` | {rule.weight:+g} | {'' if rule.scale is None else f'{rule.scale:g}'} | {rule.summary} |"
        for rule in rules
    ]
    return "\n".join(rows)
