from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.scoring import efficiency, evidence, expressions, extraction, functionality, program, security, syntax
from trimtab.scoring.evidence import Rule, Scale, rule_table

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scoring.md").read_text(encoding="utf-8")
TABLES = (security.RULES, efficiency.RULES, functionality.RULES)


@pytest.mark.parametrize("rule", [rule for table in TABLES for rule in table], ids=lambda rule: rule.id)
def test_every_rule_stands_on_the_page_as_it_is(rule: Rule) -> None:
    row = rule_table([rule]).splitlines()[-1]
    assert PAGE.count(f"{row}\n") == 1


def test_the_page_names_no_rule_that_is_gone() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) == sum(map(len, TABLES))


@pytest.mark.parametrize(
    "scale", [security.SCALE, efficiency.SCALE, functionality.SCALE], ids=lambda s: s.objective.name
)
def test_base_levels_and_limits_stand_on_the_page(scale: Scale) -> None:
    assert f"| {scale.objective.name} | {scale.base:g} | {scale.credit_limit:g} | {scale.penalty_limit:g} |" in PAGE


@pytest.mark.parametrize(
    "sentence",
    [
        f"decay = {evidence.CREDIT_DECAY:g} for credits (w > 0), {evidence.PENALTY_DECAY:g} for penalties (w < 0)",
        f"At most {evidence.EVIDENCE_LIMIT} are listed",
        f"Weights are rounded to {evidence.DIGITS} digits",
        f"over 64 KB ({syntax.MAX_PROGRAM_BYTES:,} bytes of UTF-8)",
        f"{efficiency.SYNTAX_ERROR_SCORE:.1f}, evidence `syntax-error`",
        f"at most {expressions.HOPS} steps, {program.MAX_VALUES} values a name",
        f"{expressions.BUDGET} nodes an expression",
        f"`growth`, amount 1 - exp(-(r - 1) / {functionality.GROWTH.scale:g})",
        f"r > {functionality.BLOAT:g}: `bloat` as well, amount ln(r / {functionality.BLOAT:g})",
        f"Answers over {extraction.MAX_ANSWER_CHARACTERS:,} characters are refused",
        f"At most {extraction.MAX_ATTEMPTS} candidates and {extraction.MAX_PARSED_CHARACTERS:,} characters are\nparsed",
        *(f"`{name}`" for name in evidence.BOOKKEEPING),
        f"at most {extraction.NESTING} deep",
        f"at most {extraction.MAX_TRIMS} stretches of unfenced code are tried",
        f"each cut back at most {extraction.MAX_TRIMS} times",
        *(f"`{m}`" for m in ("bare", "fence", "tilde-fence", "unterminated-fence", "nested-fence", "prose-trimmed")),
        "`other-language-fence`",
    ],
)
def test_constants_stand_on_the_page(sentence: str) -> None:
    assert sentence in PAGE
