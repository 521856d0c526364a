from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reproduced import small
from trimtab.errors import InputError
from trimtab.report.figures.reproduction import Row, spread_figure
from trimtab.report.palette import look
from trimtab.report.reproduction import render_reproduction, write_reproduction


def test_the_page_shows_every_claim_and_question() -> None:
    page = render_reproduction(small())
    for claim in small().claims:
        assert claim.says.replace("'", "&#39;") in page
    for strain in small().strains:
        assert strain.question.replace("'", "&#39;") in page
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL).group(1))
    drawn = re.findall(r'data-figure="([^"]+)"', page)
    assert set(drawn) == set(figures)
    assert {"rate", "r2_steps", "pareto", "reached-0", "interference"} <= set(drawn)


def test_words_are_escaped() -> None:
    found = small()
    hostile = replace(found.claims[0], why="<script>alert(1)</script>")
    page = render_reproduction(replace(found, claims=(hostile, *found.claims[1:])))
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_same_reproduction_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_reproduction(small(), tmp_path / name) for name in ("a.html", "b.html"))
    assert one.read_bytes() == other.read_bytes()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="the reproduction needs a file that can be written"):
        write_reproduction(small(), tmp_path / "file" / "page.html")


def test_boxes_hold_the_middle_half_and_whiskers_95_percent() -> None:
    values = np.linspace(0, 1, 1001)
    drawn = spread_figure([Row("EF", look(0), values, paper=0.33, error=0.08), Row("none", look(1), values)], "Rate")
    box = drawn.data[0]
    ends = [float(box[key][0]) for key in ("lowerfence", "q1", "median", "q3", "upperfence")]
    assert ends == pytest.approx([0.025, 0.25, 0.5, 0.75, 0.975], abs=1e-6)
    diamonds = [trace for trace in drawn.data if trace.type == "scatter" and trace.marker.symbol == "diamond"]
    assert [trace.x[0] for trace in diamonds] == [0.33]
    assert diamonds[0].error_x.array[0] == 0.08
