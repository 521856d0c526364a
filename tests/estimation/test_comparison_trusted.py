from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from simulated import NAMES, REAL, noise, panel
from support.sides import labelled, renamed, tasks
from trimtab.core.trajectories import Trajectories
from trimtab.dynamics.affine import AffineSDE
from trimtab.estimation.comparison import trusted
from trimtab.estimation.comparison.compare import compare
from trimtab.estimation.fit import fit


def noisy(sessions: int, seed: int, sd: float = 0.8) -> Trajectories:
    data = panel(REAL, sessions, seed=seed)
    return renamed(
        replace(data, scores=data.scores + np.random.default_rng(seed).normal(0, sd, data.scores.shape)), "x"
    )


def test_each_side_is_fitted_as_fit_does() -> None:
    a, b = noise(60, seed=1), noisy(80, seed=2)
    one = compare(a, b)["EF"]
    for data, found in zip((a, b), one.fits, strict=True):
        alone = fit(data)["EF"]
        assert found.diagnosis.label == alone.diagnosis.label
        assert found.trusted == alone.trusted
        assert found.trust == alone.trust
        assert found.rate == alone.rate
        np.testing.assert_array_equal(found.reached.estimate, alone.reached.estimate)
    assert one.fits[0].diagnosis.label != one.fits[1].diagnosis.label == "dynamics"


def test_differences_of_trusted_estimates_have_the_errors_of_both() -> None:
    a, b = panel(REAL, 80, seed=1), noisy(80, seed=2)
    one = compare(a, b)["EF"]
    assert [found.trusted for found in one.fits] == ["least_squares", "state_space"]
    assert one.trusted.own
    for figure in ("rate", "smooth_rate", "spectral_radius"):
        row, sides = one.trusted[figure], [getattr(found, figure) for found in one.fits]
        assert (row.a, row.b) == pytest.approx(tuple(map(float, sides)))
        errors = [(side.high - side.low) / 2 / scipy.stats.t.ppf(0.975, 79) for side in sides]
        error = np.hypot(*errors)
        dof = error**4 / sum(e**4 / 79 for e in errors)
        half = scipy.stats.t.ppf(0.975, dof) * error
        # Least squares has other replicates here than in a fit.
        assert (row.difference.high - row.difference.low) / 2 == pytest.approx(half, rel=0.06)
        t = abs(row.difference) / (row.difference.high - row.difference) * scipy.stats.t.ppf(0.975, dof)
        assert row.p_value == pytest.approx(2 * scipy.stats.t.sf(t, dof), rel=0.05)
    target = one.trusted["equilibrium", NAMES[0]]
    assert target.b == pytest.approx(one.fits[1].equilibrium.estimate[0])
    assert one.trusted["interference", NAMES[0], NAMES[1]].b == pytest.approx(one.fits[1].interference.estimate[0, 1])
    assert np.isfinite(one.trusted["half_life"].p_value)


def test_where_both_trust_least_squares_its_rows_are_the_trusted_ones() -> None:
    model = AffineSDE([[-0.4]], [2.0], [[0.25]])
    one = compare(panel(model, 150, seed=1), panel(model, 150, seed=2), draws=100)["EF"]
    assert not one.trusted.own
    assert one.trusted["rate"] == one["rate"]
    assert all(row in one.rows for row in one.trusted.rows)


def test_each_kind_of_row_is_adjusted_by_itself() -> None:
    one = compare(panel(REAL, 80, seed=1), noisy(80, seed=2))["EF"]
    for rows in (one.rows, one.trusted.rows):
        least = min(rows, key=lambda row: row.p_value)
        assert least.p_adjusted == pytest.approx(min(1.0, len(rows) * least.p_value))


def test_sessions_of_one_task_widen_the_errors_as_they_widen_those_of_least_squares() -> None:
    level = np.random.default_rng(0).normal(0, 1, (20, 1, 3)).repeat(6, axis=0)

    def side(seed: int) -> Trajectories:
        x = noisy(120, seed).scores.reshape(120, 11, 3) + level
        return labelled(renamed(Trajectories.from_arrays(x, NAMES, "EF"), f"{seed}/"), task_id=tasks(20, 6))

    a, b = side(1), side(2)
    by_tasks, by_sessions = (compare(a, b, by=by, paired=False)["EF"].trusted for by in ("task_id", "session_id"))
    assert by_tasks.own
    for j in range(3):
        wide, narrow = (found["equilibrium", NAMES[j]].difference for found in (by_tasks, by_sessions))
        assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)
    assert trusted._Replicated(None, None).widening(None, None) == 1


def test_objectives_left_out_of_the_drift_are_left_out_of_the_fits() -> None:
    a, b = panel(REAL, 40, seed=1), renamed(panel(REAL, 40, seed=2), "x")
    b.scores[:, 1] = 4.0
    one = compare(a, b)["EF"]
    assert one.fits[0].space.names == (NAMES[0], NAMES[2])
    assert {row.objectives for row in one.trusted.rows if row.figure == "equilibrium"} == {(NAMES[0],), (NAMES[2],)}
