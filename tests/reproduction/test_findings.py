from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
import scipy.stats

from trimtab.core.records import Evidence, Iteration, Score
from trimtab.errors import InputError
from trimtab.reproduction.findings import (
    SEVERITIES,
    FindingCounts,
    Findings,
    FindingTrend,
    count_findings,
    finding_trends,
    severity,
)
from trimtab.reproduction.schemas import json_schema
from trimtab.scoring import security


def scored(session: str, index: int, *evidence: Evidence, objective: str = "security") -> Iteration:
    scores = (Score(objective, 5.0, evidence=(Evidence("base", 6.5), *evidence)),)
    return Iteration(session, index, "EF", "x = 1", scores)


def counts(before: list[int], after: list[int], strategies: list[str] | None = None) -> FindingCounts:
    """Return counts of critical findings, all others zero."""
    table = np.zeros((len(before), 2, len(SEVERITIES)), dtype=np.int64)
    table[:, 0, 0], table[:, 1, 0] = before, after
    names = tuple(strategies or ["EF"] * len(before))
    return FindingCounts("security", table, names, tuple(f"s{k}" for k in range(len(before))), 0)


def trend(found: Findings, label: str = "critical", strategy: str = "EF") -> FindingTrend:
    return next(one for one in found.trends if (one.strategy, one.severity) == (strategy, label))


@pytest.mark.parametrize(
    ("weight", "label"), [(-2.0, "critical"), (-1.5, "critical"), (-1.0, "high"), (-0.75, "medium"), (-0.2, "low")]
)
def test_severity_goes_by_the_weight_of_the_rule(weight: float, label: str) -> None:
    assert severity(weight) == label


def test_findings_are_counted_by_the_weight_of_their_rule_not_of_the_repetition() -> None:
    iterations = [
        scored("a", 0, Evidence("eval", -2.0, 3), Evidence("eval", -1.4, 9), Evidence("weak-hash", -0.75, 4)),
        scored(
            "a", 1, Evidence("secure-random", 0.5, 2), Evidence("penalty-saturation", 0.3), Evidence("remaining", -1.0)
        ),
    ]
    found = count_findings(iterations, {"a": "EF"}, "security")
    assert found.counts.tolist() == [[[2, 0, 1, 0], [0, 0, 0, 0]]]
    assert found.cut_short == 1
    assert found.strategies == ("EF",)


def test_a_rule_that_is_not_built_in_is_rated_by_its_evidence() -> None:
    found = count_findings([scored("a", 0, Evidence("own-rule", -1.1))], {"a": "EF"}, "security")
    assert found.counts[0, 0].tolist() == [0, 1, 0, 0]


def test_every_built_in_penalty_has_a_severity() -> None:
    labels = {severity(rule.weight) for rule in security.RULES if rule.weight < 0}
    assert labels == {*SEVERITIES}


def test_iterations_without_a_score_are_left_out() -> None:
    failed = Iteration("a", 1, "EF", "x", (Score("security", None, "failed", "syntax error"),))
    later = scored("a", 2, Evidence("eval", -2.0))
    found = count_findings([scored("a", 0), failed, later], {"a": "EF"}, "security")
    assert found.counts[0, :, 0].tolist() == [0, -1, 1]
    one = trend(finding_trends(found, 1, 0.95))
    assert one.sessions == 0
    assert np.isnan(one.before)
    assert np.isnan(one.mean[1])


def test_scores_without_evidence_are_refused_with_what_there_is() -> None:
    bare = Iteration("a", 0, "EF", "x", (Score("security", 5.0),))
    with pytest.raises(InputError, match="but no score has"):
        count_findings([bare], {"a": "EF"}, "security")
    with pytest.raises(InputError, match="those of efficiency have"):
        count_findings([bare, scored("a", 1, objective="efficiency")], {"a": "EF"}, "security")


def test_the_change_is_a_paired_t_interval_over_sessions() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.poisson(2.0, 40), rng.poisson(3.0, 40)
    one = trend(finding_trends(counts(before.tolist(), after.tolist()), 1, 0.9))
    exact = scipy.stats.ttest_rel(after, before).confidence_interval(0.9)
    assert float(one.change) == pytest.approx(after.mean() - before.mean())
    assert (one.change.low, one.change.high) == pytest.approx((exact.low, exact.high))
    assert float(one.relative) == pytest.approx(after.sum() / before.sum() - 1)


def test_the_interval_of_the_relative_change_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    repeats, truth, held = 600, 0.376, 0
    for _ in range(repeats):
        task = rng.gamma(2.0, 1.0, 60)  # sessions differ, so that before and after go together
        found = counts(rng.poisson(task).tolist(), rng.poisson((1 + truth) * task).tolist())
        relative = trend(finding_trends(found, 1, 0.95)).relative
        held += relative.low <= truth <= relative.high
    # Without the pairing, with the spread of the change alone, coverage is far from this.
    assert abs(held / repeats - 0.95) <= 6 * np.sqrt(0.95 * 0.05 / repeats)


def test_a_relative_change_needs_ten_sessions_with_findings_for_an_interval() -> None:
    one = trend(finding_trends(counts([1] * 9 + [0] * 5, [2] * 14), 1, 0.95))
    assert np.isfinite(float(one.relative))
    assert np.isnan(one.relative.low)
    none = trend(finding_trends(counts([0] * 5, [1] * 5), 1, 0.95))
    assert np.isnan(float(none.relative))


def test_strategies_are_told_apart_and_pooled() -> None:
    found = finding_trends(counts([1, 1, 2, 2], [1, 1, 4, 4], ["EF", "EF", "FF", "FF"]), 1, 0.95)
    assert [float(trend(found, strategy=name).change) for name in ("EF", "FF", "all")] == [0.0, 2.0, 1.0]
    alone = finding_trends(counts([1, 2], [1, 4]), 1, 0.95)
    assert {one.strategy for one in alone.trends} == {"EF"}


def test_the_document_has_no_numbers_that_are_none() -> None:
    document = finding_trends(counts([0, 0], [1, 2]), 1, 0.95).to_dict()
    assert document["schema"] == "trimtab.findings/1"
    critical = next(one for one in document["trends"] if one["severity"] == "critical")
    assert critical["mean"] == [0.0, 1.5]
    assert critical["relative"] == {"estimate": None, "low": None, "high": None}


def test_documents_fit_their_schema_which_refuses_others() -> None:
    schema = json_schema("findings")
    jsonschema.Draft202012Validator.check_schema(schema)
    valid = jsonschema.Draft202012Validator(schema).is_valid
    failed = Iteration("a", 1, "EF", "x", (Score("security", None, "failed", "syntax error"),))
    iterations = [scored("a", 0, Evidence("eval", -2.0)), failed, scored("a", 2)]
    unscored = count_findings(iterations, {"a": "EF"}, "security")
    whole = counts([1] * 12, [2] * 12, ["EF", "FF"] * 6)
    for found in (counts([0, 0], [1, 2]), whole, unscored):
        assert valid(json.loads(json.dumps(finding_trends(found, 1, 0.95).to_dict(), allow_nan=False)))
    for change in (
        lambda document: document.update(level=1.0),
        lambda document: document["trends"][0].pop("change"),
        lambda document: document["trends"][0]["change"].update(low="unknown"),
        lambda document: document["trends"][0].update(mean=[1.0]),
        lambda document: document.pop("severities"),
    ):
        document = finding_trends(whole, 1, 0.95).to_dict()
        change(document)
        assert not valid(document)


def test_sessions_of_one_iteration_have_no_change() -> None:
    with pytest.raises(InputError, match="two iterations with a score or more"):
        finding_trends(count_findings([scored("a", 0)], {"a": "EF"}, "security"), 1, 0.95)


@pytest.mark.parametrize(("after", "level"), [(0, 0.95), (2, 0.95), (1, 1.0)])
def test_bad_settings_are_refused(after: int, level: float) -> None:
    with pytest.raises(InputError, match=r"--after must be from 1 to 1|level must be between 0 and 1"):
        finding_trends(counts([1, 2], [2, 3]), after, level)
