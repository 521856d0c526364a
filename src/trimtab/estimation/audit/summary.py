"""An audit as text for a terminal."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab.estimation.audit.audit import Audit, StrategyAudit
from trimtab.estimation.audit.finding import Finding
from trimtab.estimation.audit.wording import number, plain

__all__ = ["AuditSummary", "summary"]

_WIDTH = 118
_WIDE_ENOUGH = 110
_REPEATED = 3  # times from which on one and the same sentence gets one row
_STYLE = {"yes": "green", "no": "bold red", "cannot say": "dim"}


def summary(audit: Audit) -> str:
    """Return questions, answers and sentences as plain text, at most 118 columns wide."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=_WIDTH, color_system=None, legacy_windows=False)
    console.print(AuditSummary(audit))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


@dataclass(frozen=True, slots=True)
class AuditSummary:
    """An audit as something that rich prints, in colour and laid out for the width of the terminal."""

    audit: Audit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a table per strategy, then what was left out and assumed, then how many tests were made."""
        audit = self.audit
        for one in audit.strategies.values():
            yield _table(one, narrow=options.max_width < _WIDE_ENOUGH)
        for heading, lines in (
            ("Left out", [*map(str, audit.exclusions)]),
            ("Assumed", [*audit.notes]),
            ("How to read this", _foot(audit)),
        ):
            if lines:
                yield Text(heading, style="bold")
                yield from (Padding(Text(plain(line)), (0, 0, 0, 2)) for line in lines)


def _table(one: StrategyAudit, narrow: bool) -> Table:
    """Return the findings as a table; a narrow one puts the question above the sentence."""
    sessions, steps = _count(one.sessions, "session"), _count(one.steps, "step")
    title = Text(f"{plain(one.name)} ({sessions}, {steps})", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    if not narrow:
        table.add_column("question", width=33)
    table.add_column("answer", no_wrap=True)
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("in words" if not narrow else "question, and in words", overflow="fold")
    repeated = Counter(finding.says for finding in one if finding.holds is None)
    common = [says for says, times in repeated.items() if times > _REPEATED]
    for finding in one:
        if finding.says in common:
            continue
        cells = [Text(finding.answer, style=_STYLE[finding.answer]), _figure(finding)]
        says = Text(plain(finding.says))
        if narrow:
            table.add_row(*cells, Text.assemble((finding.question, "bold"), "\n", says))
        else:
            table.add_row(Text(finding.question), *cells, says)
    for reason in common:
        question, cells = f"{repeated[reason]} more questions", [Text("cannot say", style="dim"), Text("–")]
        if narrow:
            table.add_row(*cells, Text.assemble((question, "bold"), "\n", plain(reason)))
        else:
            table.add_row(Text(question), *cells, Text(plain(reason)))
    return table


def _figure(finding: Finding) -> Text:
    if np.isnan(finding.statistic):
        return Text("–")
    text = Text(number(finding.statistic))
    if not (np.isnan(finding.low) or np.isnan(finding.high)):
        text.append(f"\n{number(finding.low)}..{number(finding.high)}", style="dim")
    return text


def _count(count: int, unit: str) -> str:
    return f"{count:,} {unit}" if count == 1 else f"{count:,} {unit}s"


def _foot(audit: Audit) -> list[str]:
    """Say what the answers mean, and how many tests were made."""
    alpha = 1 - audit.level
    corrected = [one.assumption_tests for one in audit.strategies.values()]
    each = f"{min(corrected)}" if min(corrected) == max(corrected) else f"{min(corrected)} to {max(corrected)}"
    return [
        '"Yes" speaks for the fit, and for an assumption means that nothing was found against it. Surprises are what '
        f"the fit did not predict of a step. Second lines of figures are {audit.level:.0%} intervals, or the range "
        "that shuffled scores show.",
        f"{_count(audit.tests, 'test')} of {len(audit)} {'strategy' if len(audit) == 1 else 'strategies'}: of so many, "
        f"about {max(1, round(alpha * audit.tests))} would reject at {alpha:.0%} by chance. Where a rejection speaks "
        'against the fit, the answer is "no" only if it stands after Holm\'s correction over such tests of the '
        f"strategy ({each}); p-values are given as they are.",
    ]
