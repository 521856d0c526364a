from __future__ import annotations

import numpy as np
import pytest

from simulated import panel
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.estimation import moments as module
from trimtab.estimation.least_squares import estimate
from trimtab.estimation.moments import session_moments


def test_moments_are_the_sums_they_say() -> None:
    steps = panel(sessions=7).steps()
    got = session_moments(steps, np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 0.5]))
    for s in range(7):
        own = steps.session == s
        w = np.hstack([np.ones((10, 1)), (steps.x[own] - got.center) / got.scale, steps.dx[own] / got.scale])
        np.testing.assert_allclose(got.outer[s], w.T @ w)
    assert got.n_steps == 70


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [3, 1, 9, 2, 30, 4]
    rng = np.random.default_rng(0)
    steps = Trajectories.from_arrays([rng.normal(size=(k, 2)) for k in lengths], ["a", "b"]).steps()
    whole = session_moments(steps)
    for block in (1, 2, 3, 7, 48):
        monkeypatch.setattr(module, "_BLOCK", block)
        np.testing.assert_allclose(session_moments(steps).outer, whole.outer, atol=1e-12)
    np.testing.assert_array_equal(whole.session, [0, 2, 3, 4, 5])


def test_merging_parts_gives_the_whole() -> None:
    steps = panel(sessions=9).steps()
    whole = session_moments(steps)
    early = steps.iteration < 4
    parts = [session_moments(steps.where(keep), whole.center, whole.scale) for keep in (early, ~early)]
    np.testing.assert_allclose(parts[0].merge(parts[1]).outer, whole.outer)
    with pytest.raises(InputError, match="share center"):
        whole.merge(session_moments(steps, whole.center + 1, whole.scale))


def test_center_and_scale_drop_out() -> None:
    steps = panel().steps()
    one = session_moments(steps)
    other = session_moments(steps, np.array([100.0, -3.0, 0.0]), np.array([0.1, 7.0, 2.0]))
    a, b = (estimate(m.total, m.center, m.scale) for m in (one, other))
    for name in ("A", "b", "Q", "step_covariance", "residual", "total_steps", "total_levels"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6, atol=1e-7)
