from __future__ import annotations

import re
from collections import Counter

import pytest

from report_fits import ODD, fitted, graded, noisy
from trimtab.estimation.results import Fit
from trimtab.report.audit import AGAINST, REPEATED, Audited, audited
from trimtab.report.html import render_report
from trimtab.report.text import p_value


@pytest.fixture(scope="module")
def fit() -> Fit:
    return fitted(noisy(sessions=30))


@pytest.fixture(scope="module")
def made(fit: Fit) -> Audited:
    return audited(fit, [*fit.strategies.values()])


def test_every_finding_has_a_row(fit: Fit, made: Audited) -> None:
    audit = fit.audit()
    assert made.tests == audit.tests
    for table, name in zip(made.tables, fit, strict=True):
        rows = {row.question: row for row in table.rows}
        for finding in audit[name]:
            row = rows[finding.question]
            assert row.answer == finding.answer
            assert row.p_value == p_value(finding.p_value)
            assert row.says == finding.says
        answers = [finding.answer for finding in audit[name]]
        assert table.counted.startswith(f"{answers.count('yes')} yes")


def test_the_same_reason_for_not_knowing_is_given_once() -> None:
    fit = fitted(ODD["some strategies not identified"]())
    _, table, _ = audited(fit, [*fit.strategies.values()]).tables
    says = [row.says for row in table.rows if row.answer == "cannot say"]
    assert max(Counter(says).values()) <= REPEATED
    total = len(fit.audit()["still"])
    merged = sum(int(row.question.split()[0]) for row in table.rows if row.question.endswith("more questions"))
    rest = sum(not row.question.endswith("more questions") for row in table.rows)
    assert merged + rest == total
    assert merged == 18


def test_what_speaks_against_the_fit_is_named_before_the_table_is_opened() -> None:
    fit = fitted(graded())
    (table,) = audited(fit, [*fit.strategies.values()]).tables
    failed = [finding.question for finding in fit.audit()["retry"] if finding.holds is False]
    assert failed
    assert list(table.against[:AGAINST]) == failed[:AGAINST]
    assert len(table.against) <= AGAINST + 1
    if len(failed) > AGAINST + 1:
        assert table.against[-1] == f"and {len(failed) - AGAINST} more"


def test_tables_are_closed_at_first(fit: Fit) -> None:
    page = render_report(fit)
    section = page[page.index('<section id="audit">') :]
    section = section[: section.index("</section>")]
    assert len(re.findall(r'<details data-strategy="\d+">', section)) == 2
    assert " open" not in "".join(re.findall(r"<details[^>]*>", section))
    assert "Holm’s correction" in section
