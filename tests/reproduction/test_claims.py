from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reproduced import small
from trimtab.reproduction import claims as module
from trimtab.reproduction.claims import by_strategy, claims, not_shown
from trimtab.reproduction.paper import REPORTED


def test_every_claim_is_there_once() -> None:
    made = small().claims
    keys = [claim.key for claim in made]
    assert len(set(keys)) == len(keys)
    for name in REPORTED:
        parts = {key.split(".")[1] for key in keys if key.startswith(f"{name}.")}
        assert parts == {"rate", "multiplier", "regime", "r2", "reached", "pareto"}
    assert {"abstract.rates", "companion.findings", "interference.functionality-efficiency"} <= set(keys)
    assert [*by_strategy(made)] == [*REPORTED, ""]


def test_a_number_agrees_where_it_lies_in_the_central_range() -> None:
    found = small()
    for claim in found.claims:
        for value in claim.values:
            if value.paper is not None and claim.key != "abstract.rates":
                assert value.agrees == (value.found.low <= value.paper <= value.found.high)
    rates = found.simulated.figures["EF"].rate
    value = next(claim for claim in found.claims if claim.key == "EF.rate").values[0]
    assert value.found.median == np.median(rates)
    assert np.mean((rates >= value.found.low) & (rates <= value.found.high)) == pytest.approx(0.95, abs=0.03)


def test_a_reported_rate_far_off_does_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = {claim.key: claim for claim in claims(small().simulated)}
    assert agreed["EF.rate"].agrees == "yes"
    monkeypatch.setattr(module, "REPORTED", {**REPORTED, "EF": replace(REPORTED["EF"], rate=0.9)})
    planted = {claim.key: claim for claim in claims(small().simulated)}
    assert planted["EF.rate"].agrees == planted["EF.rate"].together == "no"
    assert planted["EF.r2"].together == "without others"
    assert not_shown(by_strategy(claims(small().simulated))["EF"]) == "rate 0.9 ± 0.08"


def test_ff_cannot_have_its_figures_together() -> None:
    made = {claim.key: claim for claim in small().claims}
    assert made["FF.regime"].agrees == "no"
    assert made["FF.rate"].agrees == "no" or made["FF.r2"].agrees == "no"
    assert all(claim.together != "yes" for key, claim in made.items() if key.startswith("FF."))


def test_claims_hold_together_exactly_where_all_of_a_strategy_agree() -> None:
    for name, own in by_strategy(small().claims).items():
        if name:
            together = all(claim.agrees == "yes" for claim in own)
            assert {claim.together == "yes" for claim in own} == {together}


def test_the_companion_study_needs_a_run() -> None:
    made = next(claim for claim in small().claims if claim.key == "companion.findings")
    assert made.agrees == "needs a run"
    assert "37.6%" in made.says
    assert "trimtab findings" in made.why


def test_shares_come_with_a_binomial_range() -> None:
    value = module._share(np.array([True] * 30 + [False] * 10))
    assert value.median == 0.75
    assert value.high - value.low == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 40))
