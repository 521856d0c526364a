from __future__ import annotations

import json
from types import MappingProxyType

import numpy as np
import pytest

from report_fits import fitted, graded, ordinary, stalling
from trimtab.estimation.coarse.chain import Chain
from trimtab.estimation.results import Fit
from trimtab.report.book import Book
from trimtab.report.figures.transitions import FRAME, ending, state_names, transition_figure
from trimtab.report.html import render_report
from trimtab.report.standing_still import model_figures, says_something, standing_still
from trimtab.report.text import interval


@pytest.fixture(scope="module")
def ending_fit() -> Fit:
    return fitted(graded())


@pytest.fixture(scope="module")
def stalled() -> Fit:
    return fitted(stalling())


def chain_of(fit: Fit) -> Chain:
    chain = fit["retry"].coarse.chain
    assert chain is not None
    return chain


def test_the_heat_map_is_the_transition_matrix_with_its_long_run(ending_fit: Fit) -> None:
    chain = chain_of(ending_fit)
    drawn = transition_figure(chain)
    (cells,) = drawn.data
    np.testing.assert_allclose(cells.z[:4], chain.P, rtol=1e-6)
    assert np.isnan(cells.z[4]).all()
    np.testing.assert_allclose(cells.z[5], chain.law, rtol=1e-6)
    assert list(drawn.layout.xaxis.ticktext) == state_names(chain) == ["0", "1", "2", "3"]
    assert drawn.layout.yaxis.ticktext[-1] == "sessions end at"
    assert cells.text[0][0] == f"{chain.P[0, 0]:.0%}"
    seen = int(chain.counts[0, 1])
    assert cells.customdata[0][1].endswith(f"<br>{seen} of {int(chain.counts[0].sum())} steps from 0")


def test_states_that_are_not_left_are_framed(ending_fit: Fit) -> None:
    chain = chain_of(ending_fit)
    assert chain.absorbing.tolist() == [False, False, False, True]
    (frame,) = transition_figure(chain).layout.shapes
    assert (frame.y0, frame.y1, frame.line.color) == (2.5, 3.5, FRAME)
    assert ending(chain) == "3 (sessions end there, so that nothing is known of what would follow)"
    moving = chain_of(fitted(graded(stop=False)))
    drawn = transition_figure(moving)
    assert not drawn.layout.shapes
    assert ending(moving) == ""
    assert drawn.layout.yaxis.ticktext[-1] == "in the long run"


def test_a_chain_is_told_with_its_choice(ending_fit: Fit) -> None:
    book = Book()
    one = ending_fit["retry"]
    (still,) = standing_still(book, [one])
    assert one.coarse.chosen == "chain"
    assert still.model == "Markov chain"
    assert still.rate == interval(chain_of(ending_fit).rate) != interval(one.rate)
    assert still.says == (one.coarse.says, one.coarse.behaviour)
    assert still.levels[0][:2] == ("grade", "4: 0, 1, 2, 3")
    assert [model for model, _, _ in still.gains if model.endswith(", chosen")] == ["Markov chain, chosen"]
    assert still.panel is not None
    assert list(book.pages) == ["transitions-0"]
    assert np.isfinite(json.loads(book.pages["transitions-0"])["layout"]["height"])


def test_too_many_states_are_not_drawn(monkeypatch: pytest.MonkeyPatch, ending_fit: Fit) -> None:
    monkeypatch.setattr("trimtab.report.standing_still.STATES", 3)
    book = Book()
    (still,) = standing_still(book, [ending_fit["retry"]])
    assert still.panel is None
    assert still.states == 4
    assert not book.pages


def test_the_card_shows_the_chosen_model_and_doubts_the_affine_one(stalled: Fit) -> None:
    one = stalled["retry"]
    assert one.coarse.chosen == "hurdle"
    assert one.coarse.hurdle is not None
    loop = one.coarse.hurdle.per_iteration
    figures = model_figures(one)
    assert (figures.rate, figures.half_life, figures.regime) == (loop.rate, loop.half_life, loop.regime)
    page = " ".join(render_report(stalled).split())
    card = page[page.index('<article class="card"') : page.index("</article>")]
    assert f"{loop.rate:.2f}" in card
    assert (
        f"The affine step’s, rate {interval(one.rate)} and regime {one.regime}, average standing still and moving"
        in card
    )
    assert "<dd>hurdle before an affine step</dd>" in card
    assert 'id="still"' in page


def test_ordinary_steps_have_no_such_section() -> None:
    fit = ordinary()
    assert not any(says_something(one.coarse) for one in fit.strategies.values())
    page = render_report(fit)
    assert 'id="still"' not in page
    assert 'href="#still"' not in page
    assert not model_figures(fit["EF"]).averaged


def test_a_strategy_keeps_its_place(ending_fit: Fit) -> None:
    shown = [ordinary()["EF"], ending_fit["retry"]]
    (still,) = standing_still(Book(), shown)
    assert still.index == 1
    assert isinstance(ending_fit["retry"].coarse.gains, dict | MappingProxyType)
