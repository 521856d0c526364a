from __future__ import annotations

import numpy as np
import pytest

from simulated import panel
from trimtab.estimation import memory
from trimtab.estimation.memory import second_lag_p_value


def test_of_very_many_sessions_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = panel(sessions=70).steps()
    spread = np.isin(steps.session, np.floor(np.arange(1, 31) * 70 / 30 - 1e-9).astype(int))
    assert len(np.unique(steps.session[spread])) == 30
    expected = second_lag_p_value(steps.where(spread))
    assert second_lag_p_value(steps) != expected
    monkeypatch.setattr(memory, "MOST_TESTED", 30)
    assert second_lag_p_value(steps) == expected
    monkeypatch.setattr(memory, "MOST_TESTED", 70)
    assert second_lag_p_value(steps) != expected


def test_no_steps_say_nothing() -> None:
    steps = panel(sessions=3).steps()
    assert np.isnan(second_lag_p_value(steps.where(np.zeros(len(steps), dtype=bool))))
