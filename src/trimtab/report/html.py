"""The report: one HTML file that needs no network and shows everything a fit says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.estimation.results import Estimate, Fit, StrategyFit
from trimtab.report import heading
from trimtab.report.audit import audited
from trimtab.report.bands import Corrected
from trimtab.report.book import Panel
from trimtab.report.estimators import EstimatorTable, estimator_table, unsaid
from trimtab.report.figures.interference import panel_width
from trimtab.report.figures.interference_parts import bars_width
from trimtab.report.page import environment, page_parts, write_page
from trimtab.report.palette import Look, look
from trimtab.report.panels import Panels, choose_pairs, make_panels
from trimtab.report.quality import idle_sessions, lengths_differ, quality
from trimtab.report.standing_still import ModelFigures, half_life, headline_figures
from trimtab.report.tables import Matrix, figure_rows, half_life_text, matrices, regime_shares
from trimtab.report.text import bounds, fixed, interval, percent, scale_decimals, shorten

__all__ = ["render_report", "write_report"]

STRATEGIES = 40
"""Most strategies with figures of their own; those with the most sessions."""

FIRST_SHOWN = 8
"""Most strategies shown before the reader asks for more."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the page says about one strategy."""

    index: int
    name: str
    look: Look
    fit: StrategyFit
    verdict: str
    label: str
    reasons: tuple[str, ...]
    trust: tuple[str, ...]
    model: ModelFigures
    estimators: EstimatorTable
    curve: Corrected | None
    rate: tuple[str, str]
    half_life: tuple[str, str]
    regimes: tuple[tuple[str, float], ...]
    levels: tuple[tuple[str, str, str, str], ...]
    warnings: tuple[str, ...]
    matrices: tuple[Matrix, ...]
    trajectories: tuple[Panel, ...]
    eigenvalues: Panel
    phase: Panel
    finals: tuple[str, str]


def write_report(
    fit: Fit,
    path: Path | str,
    *,
    run: Mapping[str, Any] | None = None,
    title: str | None = None,
    pair: tuple[str, str] | None = None,
) -> Path:
    """Write the report of a fit as one self-contained HTML file and return its path.

    The same arguments give the same bytes. The file opens without a network; it embeds plotly.js, 4.8 MB.

    Parameters
    ----------
    fit
        What to report.
    path
        Where to write; missing folders are made.
    run
        Settings of the run that made the data, such as ``provider``, ``model``, ``seed``, ``date``; shown as they are.
    title
        Heading of the page.
    pair
        The two objectives that phase portraits and the Pareto scatter show first; the first two if not given.

    Raises
    ------
    InputError
        If `pair` does not name two different objectives, or the file cannot be written.
    """
    return write_page(render_report(fit, run=run, title=title, pair=pair), path, "report")


def render_report(
    fit: Fit,
    *,
    run: Mapping[str, Any] | None = None,
    title: str | None = None,
    pair: tuple[str, str] | None = None,
) -> str:
    """Return the page that `write_report` writes."""
    shown = _shown(fit)
    looks = [look(k) for k in range(len(shown))]
    panels = make_panels(fit, shown, looks, choose_pairs(fit, pair))
    cards = _cards(shown, looks, panels)
    parts = page_parts()
    columns = [*shown, fit.pooled] if len(fit) > 1 else shown
    return (
        environment()
        .get_template("report.html")
        .render(
            title=shorten(title, 200) if title else "How the loop behaves",
            **parts,
            figures=panels.book.json(),
            fit=fit,
            space=fit.space,
            stand_ins=heading.stand_ins(run),
            settings=heading.settings(run, [*fit.strategies]),
            facts=heading.facts(fit),
            objectives=heading.objective_rows(fit.space),
            cards=cards,
            overview=_overview(fit, {one.name: looks[k] for k, one in enumerate(shown)}),
            pooled=fit.pooled,
            panels=panels,
            columns=[(k if one is not fit.pooled else None, shorten(one.name, 80)) for k, one in enumerate(columns)],
            rows=figure_rows(columns, fit.dt),
            quality=quality(fit, shown),
            idle=idle_sessions(fit.trajectories),
            audit=audited(fit, shown),
            lengths_differ=lengths_differ(fit.trajectories),
            first_shown=FIRST_SHOWN,
            total=len(fit),
            cell_width=panel_width(fit.space.n),
            bars_width=bars_width,
            bounded=all(objective.bounded for objective in fit.space),
        )
    )


def _shown(fit: Fit) -> list[StrategyFit]:
    strategies = list(fit.strategies.values())
    if len(strategies) <= STRATEGIES:
        return strategies
    order = np.argsort([-one.sessions for one in strategies], kind="stable")[:STRATEGIES]
    return [strategies[k] for k in np.sort(order)]


def _cards(shown: Sequence[StrategyFit], looks: Sequence[Look], panels: Panels) -> list[Card]:
    found = panels.finals
    cards = []
    for k, one in enumerate(shown):
        model, verdict = headline_figures(one), str(one.verdict)
        best, own = int(found.best[found.owner == k].sum()), int((found.owner == k).sum())
        cards.append(
            Card(
                index=k,
                name=shorten(one.name, 80),
                look=looks[k],
                fit=one,
                verdict=shorten(verdict, 2000),
                label=one.diagnosis.label,
                reasons=unsaid(one.diagnosis.reasons, verdict),
                trust=unsaid(one.trust, verdict),
                model=model,
                estimators=estimator_table(one),
                curve=panels.curves[k],
                rate=bounds(model.rate),
                half_life=_half_life(model.half_life),
                regimes=tuple(regime_shares(model.regime)),
                levels=_levels(one),
                warnings=tuple(shorten(text, 600) for text in one.warnings),
                matrices=tuple(matrices(one)),
                trajectories=panels.trajectories[k],
                eigenvalues=panels.eigenvalues[k],
                phase=panels.phase[k],
                finals=(f"{own:,}", f"{best:,} ({percent(best / own)})" if own else "0"),
            )
        )
    return cards


def _levels(one: StrategyFit) -> tuple[tuple[str, str, str, str], ...]:
    return tuple(
        (
            shorten(objective.name, 40),
            interval(Estimate(one.started.estimate[j]), scale_decimals(objective)),
            interval(one.reached[j], scale_decimals(objective)),
            interval(one.equilibrium[j], scale_decimals(objective)),
        )
        for j, objective in enumerate(one.space)
    )


def _overview(fit: Fit, looks: Mapping[str, Look]) -> list[tuple[Look | None, bool, tuple[str, ...]]]:
    """Return one line per strategy, also where there are too many for figures: look, model not affine, and cells."""
    lines: list[tuple[Look | None, bool, tuple[str, ...]]] = []
    for one in fit.strategies.values():
        model = headline_figures(one)
        cells = (
            shorten(one.name, 80),
            one.diagnosis.label,
            f"{one.sessions:,}",
            str(model.regime),
            interval(model.rate),
            half_life(model.half_life),
            fixed(one.r2.levels_held_out, 2),
            fixed(max(one.r2.levels_persistence, one.r2.levels_mean), 2),
        )
        lines.append((looks.get(one.name), bool(model.averaged), cells))
    return lines


def _half_life(value: Estimate) -> tuple[str, str]:
    return bounds(value) if np.isfinite(float(value)) else (half_life_text(value), "")
