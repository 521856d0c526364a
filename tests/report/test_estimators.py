from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from report_fits import ODD, fitted, noisy, simulated
from trimtab.estimation.results import Fit, StrategyFit
from trimtab.estimation.rungs import RUNGS
from trimtab.report.estimators import LISTED, estimator_table, unsaid
from trimtab.report.html import render_report
from trimtab.report.text import bounds, number


@pytest.fixture(scope="module")
def fit() -> Fit:
    return fitted(noisy())


def with_rung(one: StrategyFit, **changed: object) -> StrategyFit:
    rungs = {**one.rungs, one.trusted: replace(one.rung, **changed)}
    return replace(one, rungs=MappingProxyType(rungs))


def test_every_rung_has_a_row_and_one_is_trusted(fit: Fit) -> None:
    one = fit["EF"]
    table = estimator_table(one)
    assert [row.name for row in table.rows] == [RUNGS[name] for name in one.rungs] == ["least squares", "state space"]
    assert [row.trusted for row in table.rows] == [False, True]
    assert table.trusted == "state space"
    for row, rung in zip(table.rows, one.rungs.values(), strict=True):
        assert row.rate == bounds(rung.rate)
        assert row.smooth_rate == bounds(rung.smooth_rate)
        assert row.regime == str(rung.regime)
    plain, full = table.rows
    assert plain.noise == plain.lasting == ()
    sd = np.sqrt(one.rungs["state_space"].R)
    assert full.noise == tuple((name, number(sd[j], 2)) for j, name in enumerate(one.space.names))
    # The noise that was put in.
    assert 0.6 < sd.min() <= sd.max() < 1.0
    assert len(full.lasting) == 2


def test_unsettled_and_nearly_repeated_are_said(fit: Fit) -> None:
    one = with_rung(fit["EF"], converged=False, nearly_repeated=True)
    *_, row = estimator_table(one).rows
    assert (row.settled, row.repeated) == (False, True)
    *_, row = estimator_table(with_rung(fit["EF"], converged=True, nearly_repeated=False)).rows
    assert (row.settled, row.repeated) == (True, False)
    marked = replace(fit, strategies=MappingProxyType({"EF": one, "SF": fit["SF"]}))
    text = " ".join(render_report(marked).split())
    told = sum(rung.nearly_repeated for rung in (*one.rungs.values(), *fit["SF"].rungs.values()))
    assert text.count("eigenvalues too close to tell apart: read the average rate") == told >= 1
    assert text.count("<td>no</td></tr>") == 1


def test_the_reasons_for_trust_are_sentences(fit: Fit) -> None:
    one = fit["EF"]
    trust = estimator_table(one).trust
    assert len(trust) == len(one.trust)
    assert all(text[0].isupper() and text.endswith(".") for text in trust)
    assert "score noise" in trust[0]


def test_what_the_verdict_says_is_not_said_again() -> None:
    assert unsaid(("it rains", "it pours"), "Stay in: it rains.") == ("It pours.",)
    assert unsaid((), "") == ()


def test_objectives_that_explain_nothing_have_no_noise() -> None:
    data = simulated(n=2, strategies=("A",), sessions=40)
    still = data.scores.copy()
    still[:, 1] = 4.0
    one = fitted(replace(data, scores=still))["A"]
    rows = estimator_table(one).rows
    assert [name for name, _ in rows[-1].noise] == ["security"]
    unknown = fitted(ODD["some strategies not identified"]())["still"]
    (row,) = estimator_table(unknown).rows
    assert row.rate == ("–", "")
    assert not row.repeated


def test_many_objectives_are_summed_up() -> None:
    one = fitted(simulated(n=7, strategies=("A",), sessions=60))["A"]
    (what, reach), *rest = estimator_table(one).rows[-1].noise
    assert what == "7 objectives"
    assert " to " in reach
    assert not rest
    assert LISTED < 7
