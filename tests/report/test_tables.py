from __future__ import annotations

import numpy as np
import pytest

from report_fits import ODD, fitted, ordinary
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.spectrum import REGIMES
from trimtab.estimation.rungs import RUNGS
from trimtab.report.tables import figure_rows, half_life_text, matrices, regime_shares
from trimtab.report.text import interval, percent


@pytest.fixture(scope="module")
def fit():
    return ordinary()


def test_every_figure_has_a_cell_per_strategy(fit):
    fits = [*fit.strategies.values(), fit.pooled]
    rows = figure_rows(fits, fit.dt)
    assert {len(row.cells) for row in rows} == {5}
    table = {(row.label): row.cells for row in rows if not row.label.startswith("Steps")}
    assert table["Rate"][1] == interval(fit["SF"].rate)
    assert table["Spectral radius"][2] == interval(fit["FF"].spectral_radius)
    assert table["Levels, “stays where it is”"][0] == f"{fit['EF'].r2.levels_persistence:.2f}".replace("-", "−")
    assert table["Sessions"] == ("30", "30", "30", "30", "120")
    assert table["All multipliers"][0].count("\n") == 2
    assert table["What they show"] == tuple(one.diagnosis.label for one in fits)
    assert table["Estimator"] == tuple(RUNGS[one.trusted] for one in fits)
    for regime in REGIMES:
        assert table[f"… {regime}"][3] == percent(fit["AI"].regime.probabilities[regime])
    assert [row.group for row in rows if row.group] == [
        "Data",
        "Speed",
        "Stability",
        "Where it goes",
        "Prediction (R²)",
        "Outcome",
    ]


def test_stability_of_loop_and_equation_are_told_apart():
    # lambda = -2.1: stable as an equation, divergent as a loop.
    rng = np.random.default_rng(1)
    paths = np.empty((60, 7, 1))
    paths[:, 0, 0] = rng.normal(size=60)
    for t in range(6):
        paths[:, t + 1] = -1.1 * paths[:, t] + rng.normal(0, 0.1, (60, 1))
    one = fitted(Trajectories.from_arrays(paths, ["x:-100:100"]))["all"]
    table = {row.label: row.cells[0] for row in figure_rows([one], 1.0)}
    assert (table["Loop stable"], table["Equation stable"]) == ("no", "yes")
    assert table["Half-life"] == half_life_text(one.half_life) == "never: deviations do not shrink"
    assert table["Period"] == "2.00"


def test_regime_shares_are_sorted_and_add_up(fit):
    shares = regime_shares(fit["EF"].regime)
    assert sum(share for _, share in shares) == pytest.approx(1)
    assert [share for _, share in shares] == sorted((share for _, share in shares), reverse=True)


def test_what_is_unknown_is_a_dash():
    still = fitted(ODD["some strategies not identified"]())["still"]
    table = {row.label: row.cells[0] for row in figure_rows([still], 1.0)}
    for label in ("Rate", "Half-life", "Period", "All multipliers", "Loop stable", "Memory test p", "… unstable"):
        assert table[label] == "–", label
    assert table["Reached, x"] == "4.00 [4.00, 4.00]"
    assert regime_shares(still.regime) == []


def test_matrices_hold_the_model(fit):
    one = fit["EF"]
    drift, noise, spectrum, *clusters = matrices(one)
    assert drift.columns == ("security", "efficiency", "functionality", "b")
    assert drift.rows[1][0] == "efficiency"
    shown = np.array([[float(cell.replace("−", "-")) for cell in cells] for _, cells in drift.rows])
    np.testing.assert_allclose(shown, np.column_stack([one.A, one.b]), rtol=6e-3)
    assert len(noise.rows) == 3
    assert spectrum.rows[0][1][2] == f"{abs(1 + one.eigenvalues[0]):.3f}"
    assert len(clusters) == bool(one.rung.clusters)
