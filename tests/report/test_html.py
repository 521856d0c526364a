from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from report_fits import DRAWS, HOSTILE, ODD, fitted, hostile, ordinary, simulated, stopping
from simulated import noise
from trimtab.core.trajectories import Trajectories
from trimtab.errors import InputError
from trimtab.estimation.fit import fit as make_fit
from trimtab.estimation.rungs import RUNGS
from trimtab.report.html import render_report, write_report
from trimtab.report.standing_still import says_something
from trimtab.report.text import interval

HOSTILE_RUN = {
    "provider": HOSTILE[3],
    HOSTILE[0]: HOSTILE[1],
    "tasks": list(HOSTILE),
    "nested": {HOSTILE[4]: HOSTILE[0]},
}
SECTIONS = [
    "verdicts",
    "trajectories",
    "estimators",
    "eigenvalues",
    "interference",
    "phase",
    "pareto",
    "all",
    "audit",
    "quality",
]


class Page(HTMLParser):
    """Elements, attributes and visible text of a page."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        # The library is long and of no interest here.
        self.feed(document.replace(get_plotlyjs(), ""))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.text.append(data)

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.elements if name in attrs]

    @property
    def visible(self) -> str:
        return " ".join(" ".join(self.text).split())

    @property
    def figures(self) -> dict[str, dict[str, object]]:
        return json.loads(self.scripts[0])


def decoded(values):
    """Return an array as plotly writes it: a list, or a type with its bytes."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values)


@pytest.fixture(scope="module")
def fit():
    return ordinary()


@pytest.fixture(scope="module")
def page(fit):
    run = {"provider": "rewriter", "model": "rewriter", "seed": 7, "tasks": 24, "version": "0.1.0", "note": None}
    return Page(render_report(fit, run=run))


@pytest.fixture(scope="module")
def attacked():
    return render_report(hostile(), run=HOSTILE_RUN, title=HOSTILE[3])


def test_sections_stand_in_order_under_one_main_heading(page):
    found = [attrs["id"] for tag, attrs in page.elements if tag == "section"]
    assert found == SECTIONS
    assert sum(tag == "h1" for tag, _ in page.elements) == 1
    assert ("html", {"lang": "en"}) in page.elements
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_strategy_has_its_verdict_and_key_figures(fit, page):
    for name in fit:
        one = fit[name]
        assert one.verdict in page.visible
        assert interval(one.rate) in page.visible
        for objective, reached in zip(fit.space, one.reached.estimate, strict=True):
            assert objective.name in page.visible
            assert f"{reached:.2f} [" in page.visible
        for text in one.warnings:
            assert text in page.visible


def test_every_place_for_a_figure_has_its_figure(page):
    names = set(page.figures)
    pairs = ["0-1", "0-2", "1-2"]
    wanted = {
        f"{attrs['data-figure']}{suffix}"
        for tag, attrs in page.elements
        if "data-figure" in attrs
        for suffix in ([f"-{pair}" for pair in pairs] if "data-pairs" in attrs else [""])
    }
    assert wanted == names
    assert len(names) == 12 + 4 + 5 + 5 + 4 * 3 + 3


def test_figures_have_descriptions(page):
    labels = [attrs.get("aria-label") for tag, attrs in page.elements if "data-figure" in attrs]
    assert all(labels)
    assert any("mean" in label and "iteration 10 (30 sessions)" in label for label in labels)


def test_the_embedded_rewriter_is_labelled(fit, page):
    assert "embedded rewriter: a stand-in for an LLM, not an LLM" in page.visible
    assert "rewriter" not in Page(render_report(fit, run={"provider": "openai", "model": "gpt"})).visible
    assert "rewriter" not in Page(render_report(fit)).visible


def test_settings_are_shown_in_words_and_without_passwords(fit):
    run = {"store": "postgresql://me:secret@db/runs", "strategies": ["EF", "SF"], "seed": 3, "extra_option": True}
    text = Page(render_report(fit, run=run, title="A title")).visible
    assert "A title" in text
    assert "secret" not in text
    assert "EF, SF" in text
    assert "Extra option yes" in text


def test_the_reading_of_r2_and_the_baselines_are_there(page):
    assert "R² of steps = 0.5 with rate 1 is what pure scoring noise shows" in page.visible
    for label in ("Levels, held out", "“stays where it is”", "“jumps to the mean”", "Loop stable", "Equation stable"):
        assert label in page.visible


def test_nothing_is_loaded_and_only_known_scripts_may_run(page):
    assert not [tag for tag, _ in page.elements if tag in ("link", "img", "iframe", "object", "embed", "form")]
    assert page.attributes("src") == []
    assert all(href.startswith("#") for href in page.attributes("href"))
    policy = next(attrs["content"] for tag, attrs in page.elements if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("style-src")[0]


def test_the_same_input_gives_the_same_bytes(fit):
    first = render_report(fit, run={"date": "2025-01-01"})
    anew = make_fit(simulated(), draws=DRAWS)
    assert first == render_report(anew, run={"date": "2025-01-01"})
    assert first != render_report(fit)


def test_hostile_names_stay_text(attacked, page):
    document, calm = attacked, page
    page = Page(attacked)
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in calm.elements} | {"ul", "li"}
    assert sum(tag == "script" for tag, _ in page.elements) == 3
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    assert all(href.startswith("#") for href in page.attributes("href"))
    assert "{{7*7}}" in page.visible
    assert "49" not in [text.strip() for text in page.text]
    assert "<script>alert(1)</script>" in page.visible
    # The data of the figures hold no markup at all: what plotly draws is what was named.
    raw = re.search(r'<script type="application/json" id="figures">(.*?)</script>', document, re.DOTALL)
    assert raw is not None
    assert not set(raw[1]) & set("<>&")
    drawn = json.dumps(page.figures)
    assert "<script" not in drawn
    assert "<img" not in drawn
    assert "<a href" not in drawn
    assert "<b>bold" not in drawn
    assert "&lt;script&gt;" in drawn


def test_names_never_become_part_of_a_template(attacked, page):
    def templates(value):
        if isinstance(value, dict):
            for key, item in value.items():
                if key in ("hovertemplate", "texttemplate"):
                    yield item
                else:
                    yield from templates(item)
        elif isinstance(value, list):
            for item in value:
                yield from templates(item)

    assert set(templates(Page(attacked).figures)) == set(templates(page.figures))


@pytest.mark.parametrize("name", ODD)
def test_odd_fits_have_a_report(name, tmp_path):
    fit = fitted(ODD[name]())
    path = write_report(fit, tmp_path / "report.html")
    page = Page(path.read_text(encoding="utf-8"))
    still = any(says_something(one.coarse) for one in fit.strategies.values())
    wanted = [*SECTIONS[:2], *(["still"] if still else []), *SECTIONS[2:]]
    assert [attrs["id"] for tag, attrs in page.elements if tag == "section"] == wanted
    for one in fit.strategies.values():
        assert one.verdict in page.visible
    assert not re.search(r"\b(nan|inf|None|NaN|Infinity)\b", page.visible)
    assert page.figures


def test_an_unidentified_strategy_is_shown_without_numbers():
    page = Page(render_report(fitted(ODD["some strategies not identified"]())))
    assert "Nothing can be said" in page.visible
    assert "Not identified: no eigenvalues." in page.visible
    assert "Not identified: no drift, only sessions." in page.visible


def test_unequal_lengths_and_switching_are_pointed_out():
    assert "Sessions differ in length" in Page(render_report(fitted(ODD["missing scores, unequal lengths"]()))).visible
    text = Page(render_report(fitted(ODD["switching midway"]()))).visible
    assert "10 sessions switch strategy midway" in text
    assert "Sessions differ in length" not in text


def test_every_strategy_has_its_label_its_reasons_and_its_trusted_estimator(fit, page):
    for name, card in zip(fit, page.visible.split("Why “")[:-1], strict=True):
        one = fit[name]
        assert f"{name} {one.verdict.label} {one.verdict}" in card
        for reason in (*one.verdict.reasons, *one.trust):
            assert reason[1:] in page.visible
        assert f"Trusted: {RUNGS[one.trusted]}" in page.visible


def test_figures_that_describe_no_dynamics_are_pale(page):
    quiet = fitted(noise(sessions=60))
    assert quiet["EF"].verdict.label == "noise"
    pale = Page(render_report(quiet))
    assert "keys moot" in pale.attributes("class")
    assert "Pale, because no dynamics are shown" in pale.visible
    assert "keys moot" not in page.attributes("class")


def test_means_of_all_sessions_are_told_apart_from_those_still_going(page):
    text = Page(render_report(fitted(stopping()))).visible
    assert "all sessions, had they gone on" in text
    assert "expect all 120 sessions to show had they gone on." in text
    assert "had they gone on" not in page.visible
    left_out = Page(render_report(fitted(stopping(still=True)))).visible
    assert "only objectives that vary at the start of steps have one" in left_out
    paths = np.split(simulated(n=2, strategies=("A",), sessions=40).scores, 40)
    hardly = Page(render_report(fitted(Trajectories.from_arrays([paths[0][:-1], *paths[1:]], ["a", "b"], "A"))))
    assert "changes these averages too little to be seen" in hardly.visible
    assert "had they gone on" not in hardly.visible
    assert "no corrected line can be drawn" in Page(render_report(fitted(ODD["switching midway"]()))).visible


def test_sessions_without_a_step_are_not_among_the_averages():
    data = stopping()
    ended = np.flatnonzero(data.lengths == 2)
    assert len(ended)
    cut = Trajectories.from_arrays(
        [path[: 1 if s in ended else None] for s, path in enumerate(np.split(data.scores, data.offsets[1:-1]))],
        data.space,
        "retry",
    )
    page = Page(render_report(fitted(cut)))
    assert f"{len(ended)} sessions without a complete step" in page.visible
    *_, line, _ = page.figures["trajectory-0-0"]["data"]
    kept = np.flatnonzero(cut.lengths > 1)
    first = decoded(line["y"])[0]
    assert first == pytest.approx(cut.scores[cut.offsets[:-1]][kept, 0].mean(), rel=1e-5)
    assert first != pytest.approx(cut.scores[cut.offsets[:-1], 0].mean(), rel=1e-5)


def test_p_values_name_their_correction(page):
    assert "P-values are adjusted for the number of pairs that are tested, by Holm’s method." in page.visible


def test_exclusions_and_missing_scores_are_counted():
    fit = fitted(ODD["missing scores, unequal lengths"]())
    text = Page(render_report(fit)).visible
    for exclusion in fit.exclusions:
        assert str(exclusion) in text
    unscored = int(np.isnan(fit.trajectories.scores[:, 0]).sum())
    assert f"helpful {fit.trajectories.n_rows - unscored} {unscored} 0 {unscored / fit.trajectories.n_rows:.0%}" in text


def test_a_chosen_pair_comes_first(fit):
    def selected(**options):
        return [attrs["value"] for tag, attrs in Page(render_report(fit, **options)).elements if "selected" in attrs]

    assert selected() == ["0-1", "0-1"]
    assert selected(pair=("efficiency", "functionality")) == ["1-2", "1-2"]
    # The order given is the order of the axes.
    assert selected(pair=("functionality", "security")) == ["2-0", "2-0"]


def test_with_many_objectives_only_the_chosen_pair_is_drawn():
    fit = fitted(simulated(n=6, strategies=("A",), sessions=60))
    page = Page(render_report(fit, pair=("cost", "tone")))
    assert [name for name in page.figures if name.startswith("phase")] == ["phase-0-3-4"]
    assert page.attributes("data-pair") == ["3-4", "3-4"]
    assert not page.attributes("data-pair-select")


@pytest.mark.parametrize("pair", [("security", "security"), ("security", "beauty"), ("security",), "se"])
def test_a_pair_must_name_two_objectives(fit, pair):
    with pytest.raises(InputError, match="security, efficiency, functionality"):
        render_report(fit, pair=pair)


def test_more_strategies_than_figures_are_still_listed(monkeypatch):
    monkeypatch.setattr("trimtab.report.html.STRATEGIES", 2)
    data = simulated(n=1, strategies=("a", "b", "c", "d"), sessions=12, steps=5)
    few = data.select(np.flatnonzero(~np.isin(np.arange(48), [0, 1, 2, 24])))
    page = Page(render_report(fitted(few)))
    assert "Figures show the 2 strategies with the most sessions of 4" in page.visible
    assert len([name for name in page.figures if name.startswith("eigenvalues")]) == 2
    pressed = [attrs for tag, attrs in page.elements if tag == "button" and "data-toggle" in attrs]
    assert len(pressed) == 2
    # b and d kept all their sessions; a and c are in the overview only.
    assert page.visible.count("● b") == page.visible.count("● d") > 5
    assert "● a" not in page.visible
    assert "● c" not in page.visible


def test_a_report_through_the_fit(fit, tmp_path):
    path = fit.report(tmp_path / "new" / "folder" / "report.html", title="Through the fit")
    assert isinstance(path, Path)
    assert "Through the fit" in path.read_text(encoding="utf-8")


def test_a_path_that_cannot_be_written_is_a_clear_error(fit, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot"):
        write_report(fit, tmp_path / "file" / "report.html")


def test_a_lone_surrogate_does_not_stop_the_report(fit, tmp_path):
    path = write_report(fit, tmp_path / "r.html", title="broken \ud800 name")
    assert "broken ? name" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("sessions", "limit"), [(100, 7e6), (1250, 10e6)])
def test_size(tmp_path, sessions, limit):
    path = write_report(fitted(simulated(sessions=sessions)), tmp_path / "r.html")
    assert path.stat().st_size < limit
