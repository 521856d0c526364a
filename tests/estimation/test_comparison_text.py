from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

import trimtab as tt
from simulated import NAMES, REAL, panel
from support.sides import FASTER, renamed, retries
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.estimation.comparison import summary
from trimtab.estimation.comparison.compare import compare
from trimtab.estimation.comparison.document import json_schema
from trimtab.estimation.comparison.results import Row
from trimtab.estimation.results import Estimate


def test_verdict_and_document_say_what_differs() -> None:
    a, b = panel(REAL, 100, seed=1), panel(FASTER, 100, seed=2)
    found = tt.compare(a, b, paired=False, names=("old", "new"))
    assert found.verdict.startswith("new converges faster than old, by 0.1")
    assert "No difference in where they end can be seen" in found.verdict
    back = compare(b, a, paired=False)
    assert back.verdict.startswith("B converges slower than A, by 0.1")
    shifted = Trajectories.from_arrays(a.scores.reshape(100, 11, 3) + np.array([0, 2, 0]), NAMES, "EF")
    assert "ends higher in efficiency by 2" in compare(a, shifted).verdict
    jsonschema.validate(json.loads(found.to_json()), json_schema())
    row = next(row for row in found.to_dict()["strategies"]["EF"]["figures"] if row["figure"] == "rate")
    assert row["difference"]["estimate"] == float(found["EF"]["rate"].difference)
    text = found.summary()
    assert "new - old" in text
    assert "Holm's adjustment over the rows of one kind (16 of least squares and outcomes" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 118
    assert repr(found).startswith("Comparison of old and new")
    assert "rate" in repr(found["EF"])
    with pytest.raises(InputError, match="nothing is compared under 'SF'"):
        found["SF"]


def test_names_from_data_are_neither_markup_nor_control() -> None:
    evil = "[red]x[/red]\x1b[2J"
    a = panel(REAL, 20, seed=1, strategy=evil, names=["[b]a[/b]", "b\x1b", "c"])
    text = compare(a, renamed(panel(REAL, 20, seed=2, strategy=evil, names=["[b]a[/b]", "b\x1b", "c"]), "x")).summary()
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
    assert "[b]a[/b]" in text


def of_kind(kind: str, seed: int) -> Trajectories:
    """Simulate one objective: a pull back, independent draws, or a level of each session's own, all of one spread."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=(100, 11, 1))
    if kind == "noise":
        x = e
    elif kind == "static":
        x = 0.6 * e + 0.8 * rng.normal(size=(100, 1, 1))
    else:
        x = e.copy()
        for t in range(10):
            x[:, t + 1] = 0.7 * x[:, t] + 0.7 * e[:, t + 1]
    return renamed(Trajectories.from_arrays(5 + x, ["quality"], "EF"), f"{kind}{seed}")


def test_noise_has_no_speed_to_compare() -> None:
    found = compare(of_kind("pull", 0), of_kind("noise", 1))
    text = found["EF"].verdict
    assert found["EF"]["rate"].p_adjusted < 0.001
    assert text.startswith("No difference in dynamics can be claimed. B is noise")
    assert "its rate is no speed at all" in text
    assert "faster: a difference of numbers, not of speeds" in text
    assert "converges" not in text
    sides = found.to_dict()["strategies"]["EF"]["sides"]
    assert (sides["a"]["verdict"], sides["b"]["verdict"]) == ("dynamics", "noise")
    both = compare(of_kind("static", 0), of_kind("static", 1))["EF"].verdict
    assert "A and B are static" in both
    assert "either's rate is no speed at all" in both
    mixed = compare(of_kind("static", 0), of_kind("noise", 1))["EF"].verdict
    assert "A is static" in mixed
    assert "B is noise" in mixed


def noisy(data: Trajectories, sd: float) -> Trajectories:
    return replace(data, scores=data.scores + np.random.default_rng(9).normal(0, sd, data.scores.shape))


def test_what_least_squares_makes_of_noise_is_named_and_not_believed() -> None:
    a, b = panel(REAL, 150, seed=1), renamed(noisy(panel(REAL, 150, seed=2), 0.8), "x")
    found = compare(a, b)
    one = found["EF"]
    assert one.fits[1].trusted == "state_space"
    assert one["rate"].p_adjusted < 0.001
    assert one.trusted["rate"].p_adjusted > 0.05
    assert "No difference in speed can be seen between A and B" in one.verdict
    assert "Plain least squares alone would call B faster" in one.verdict
    assert "the trusted estimates rule that out. Believe these (B: state space" in one.verdict
    assert "because the data show score noise" in one.verdict
    text = found.summary()
    assert "Trusted estimates: least squares (A) and state space (B)" in text
    assert "10 of trusted estimates" in text
    document = json.loads(found.to_json())
    jsonschema.validate(document, json_schema())
    assert len(document["strategies"]["EF"]["trusted"]["figures"]) == 10
    assert not document["strategies"]["EF"]["trusted"]["same_as_least_squares"]


def test_loops_of_zeros_and_ones_are_told_in_chances() -> None:
    a, b = (retries(np.full(60, p), 6, np.random.default_rng(i)) for i, p in enumerate((0.1, 0.4)))
    found = compare(a, b, paired=False, names=("plain", "hints"))
    text = found.summary()
    assert "hints reaches solved 1 more often per try than plain" in found.verdict
    assert "chance per try to reach solved 1" in text
    assert "points" in text
    assert "no drift can be fitted" in text
    document = json.loads(found.to_json())
    jsonschema.validate(document, json_schema())
    still = document["strategies"]["retry"]["stillness"]
    assert still["absorbing"] == [False, True]
    assert still["test"]["p_value"] < 0.001
    assert document["strategies"]["retry"]["trusted"] is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row("half_life", (), 1, 2, Estimate(2.0, 0.5, 8.0), "ratio", 0.5), ("2.00 times", "0.50 to 8.00 times")),
        (Row("half_life", (), 1, 13.78, Estimate(13.78), "ratio", np.nan), ("13.78 times", "cannot be said")),
        (Row("half_life", (), 1, np.nan, Estimate(np.nan), "ratio", np.nan), ("–", "cannot be said")),
        (
            Row("reached", ("x",), 1, 1, Estimate(-0.019, -0.044, 0.00588), "difference", 0.1),
            ("-0.019", "-0.044 to +0.006"),
        ),
        (Row("reached", ("x",), 1, 1, Estimate(190.0, 10.0, 370.0), "difference", 0.1), ("+190", "+10 to +370")),
        (
            Row("chance", (), 0.1, 0.3, Estimate(0.2, 0.1, 0.3), "difference", 0.1),
            ("+20.0 points", "+10.0 to +30.0 points"),
        ),
        (Row("rate", (), 0.1, 0.3, Estimate(0.2), "difference", np.nan), ("+0.200", "cannot be said")),
    ],
)
def test_differences_are_written_so_that_they_can_be_read(row: Row, expected: tuple[str, str]) -> None:
    assert summary._change(row) == expected
