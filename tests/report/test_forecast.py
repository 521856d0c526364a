from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import trimtab as tt
from report_fits import HOSTILE
from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.dynamics.affine import AffineSDE
from trimtab.errors import InputError
from trimtab.forecasting.forecast import forecast
from trimtab.forecasting.loops import Loop, Loops
from trimtab.forecasting.starts import Starts
from trimtab.report.figures.fan import fan_figure, fan_range
from trimtab.report.forecast import render_fan_chart, write_fan_chart
from trimtab.report.palette import look


@pytest.fixture(scope="module")
def schedule() -> tt.Forecast:
    return tt.forecast("reference", paths=300, strategy="EF", schedule="FFx3,SF", targets={"security": 6.0})


def figures(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_bands_and_line_are_the_quantiles(schedule: tt.Forecast) -> None:
    fan, objective = schedule["EF"], schedule.space["security"]
    drawn = fan_figure(fan, 0, objective, look(0), fan_range([fan], 0, objective))
    wide, narrow, line = drawn.data
    for trace, low, high in ((wide, 0, 4), (narrow, 1, 3)):
        expected = np.concatenate([fan.quantiles[:, high, 0], fan.quantiles[::-1, low, 0]])
        np.testing.assert_allclose(trace.y, expected, rtol=1e-6)
    np.testing.assert_allclose(line.y, fan.quantiles[:, 2, 0], rtol=1e-6)


def test_changes_of_strategy_and_targets_are_marked(schedule: tt.Forecast) -> None:
    fan, objective = schedule["FFx3,SF"], schedule.space["security"]
    shapes = fan_figure(fan, 0, objective, look(0), (0.0, 10.0)).layout.shapes
    assert [shape.x0 for shape in shapes if shape.yref == "paper"] == [3]
    assert 6.0 in [shape.y0 for shape in shapes if shape.line.dash == "dash"]
    other = fan_figure(fan, 1, schedule.space["efficiency"], look(0), (0.0, 10.0)).layout.shapes
    assert not [shape for shape in other if shape.line.dash == "dash"]


def test_long_forecasts_are_thinned() -> None:
    fan = tt.forecast("reference", 3000, 20, strategy="EF")["EF"]
    drawn = fan_figure(fan, 0, Objective("security"), look(0), (0.0, 10.0))
    assert len(drawn.data[2].x) == 400
    assert drawn.data[2].x[-1] == 3000


def test_the_page_draws_every_fan_and_names_what_was_assumed(schedule: tt.Forecast, tmp_path: Path) -> None:
    page = write_fan_chart(schedule, tmp_path / "fan.html").read_text(encoding="utf-8")
    assert [*figures(page)] == [f"fan-{k}-{j}" for k in range(2) for j in range(3)]
    for text in schedule.notes:
        assert text in page
    assert "come to security ≥ 6.00" in page
    assert page == render_fan_chart(schedule)


def test_names_are_text_and_nothing_else() -> None:
    space = ObjectiveSpace([Objective(HOSTILE[0]), Objective(HOSTILE[1])])
    starts = Starts(np.array([5.0, 5.0]), np.eye(2), HOSTILE[3])
    model = AffineSDE([[-0.5, 0], [0, -0.5]], [2, 3], np.eye(2))
    loops = Loops(space, {name: Loop(name, model, starts, cautions=HOSTILE) for name in HOSTILE}, "fit", {}, HOSTILE)
    page = render_fan_chart(forecast(loops, 3, 20), title=HOSTILE[0])
    body = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    for text in ("<script>alert", "<img src=x", "<a href='https://attacker"):
        assert text not in body
    assert len(figures(page)) == 2 * len(HOSTILE)


def test_a_place_that_cannot_be_written_is_refused(schedule: tt.Forecast, tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError, match="the fan chart needs a file that can be written"):
        write_fan_chart(schedule, tmp_path / "folder.html")


def test_a_forecast_finds_its_renderer_by_the_suffix(schedule: tt.Forecast, tmp_path: Path) -> None:
    assert schedule.report(tmp_path / "fan.html").read_text(encoding="utf-8") == render_fan_chart(schedule)
    with pytest.raises(InputError, match=r"ending in \.html"):
        schedule.report(tmp_path / "fan.pdf")
