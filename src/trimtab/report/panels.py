"""The figures of one page: which are drawn, under which names, and what each says to a reader who cannot see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trimtab.core.counting import count_of
from trimtab.errors import InputError
from trimtab.estimation.decomposition import PARTS
from trimtab.estimation.moments import stepping_sessions
from trimtab.estimation.results import ArrayEstimate, Fit, StrategyFit
from trimtab.report.bands import Band, Corrected, band, corrected
from trimtab.report.book import Book, Panel
from trimtab.report.figures.eigenvalues import eigenvalue_figure, plane
from trimtab.report.figures.interference import color_limit, interference_figure, is_clear
from trimtab.report.figures.interference_parts import (
    COLORS,
    MEANINGS,
    bar_range,
    explanations,
    interference_parts_figure,
    strongest_pairs,
)
from trimtab.report.figures.pareto import Finals, finals, finals_figure, pareto_figure
from trimtab.report.figures.phase import drift_figure, held_at, phase_figure, sample_paths, state_ranges
from trimtab.report.figures.trajectories import score_range, trajectory_figure
from trimtab.report.groups import Groups, groups
from trimtab.report.palette import Look
from trimtab.report.standing_still import Still, standing_still
from trimtab.report.text import number, shorten

__all__ = ["PairChoice", "Panels", "choose_pairs", "make_panels"]

OBJECTIVES = 12
"""Most objectives with a trajectory panel of their own."""

SELECTABLE = 5
"""Up to this many objectives the reader chooses among all pairs; the file would grow too large with more."""

CONTEXT = 8
"""Up to this many strategies each panel shows the others' means in grey."""


@dataclass(frozen=True, slots=True)
class PairChoice:
    """The pairs of objectives offered, as (key, label), and the key of the first shown."""

    options: tuple[tuple[str, str], ...]
    chosen: str

    @property
    def positions(self) -> tuple[tuple[int, int], ...]:
        """The pairs as positions of objectives."""
        return tuple((int(i), int(j)) for i, j in (key.split("-") for key, _ in self.options))


@dataclass(frozen=True, slots=True)
class PartsPanels:
    """Where interference comes from: the key, and for each strategy its panel, if any, and what it says in words.

    Parameters
    ----------
    key
        (colour, part, meaning) of the parts that any of the figures shows.
    widest
        Most pairs of objectives in one figure.
    panels
        (strategy, panel, explanations), the strategy being ``all`` or its position.
    """

    key: tuple[tuple[str, str, str], ...]
    widest: int
    panels: tuple[tuple[str, Panel | None, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Panels:
    """All panels of a page; those per strategy in the order of the strategies shown."""

    book: Book
    pairs: PairChoice | None
    trajectories: tuple[tuple[Panel, ...], ...]
    curves: tuple[Corrected | None, ...]
    eigenvalues: tuple[Panel, ...]
    interference: tuple[tuple[str, Panel], ...]
    interference_parts: PartsPanels
    phase: tuple[Panel, ...]
    pareto: Panel | None
    finals: Finals
    still: tuple[Still, ...]
    groups: Groups | None
    hidden_objectives: tuple[str, ...]


def choose_pairs(fit: Fit, pair: tuple[str, str] | None) -> PairChoice | None:
    """Return the pairs to offer; None for a single objective.

    Raises
    ------
    InputError
        If `pair` does not name two different objectives of the fit.
    """
    names, n = fit.space.names, fit.space.n
    first = (0, 1)
    if pair is not None:
        if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
            raise InputError(f"pair needs two different objectives, but got {pair!r}; there are {', '.join(names)}")
        first = (fit.space.index(pair[0]), fit.space.index(pair[1]))
    if n == 1:
        return None
    listed = [(i, j) for i in range(n) for j in range(i + 1, n)] if n <= SELECTABLE else []
    if first not in listed:
        # The order given is the order of the axes.
        listed = [first, *(other for other in listed if set(other) != set(first))]
    options = tuple((f"{i}-{j}", f"{shorten(names[i], 40)} × {shorten(names[j], 40)}") for i, j in listed)
    return PairChoice(options, f"{first[0]}-{first[1]}")


def make_panels(fit: Fit, shown: Sequence[StrategyFit], looks: Sequence[Look], pairs: PairChoice | None) -> Panels:
    """Draw every figure of the page."""
    book = Book()
    # The others say nothing of steps, and neither the figures nor the corrected curves know of them.
    stepping = stepping_sessions(fit.trajectories)
    whole = len(stepping) == fit.trajectories.n_sessions
    drawn = fit.trajectories if whole else fit.trajectories.select(stepping)
    bands = [band(drawn, one.name, fit.level) for one in shown]
    curves = [corrected(drawn, one) for one in shown]
    visible = [curve if curve is not None and curve.matters else None for curve in curves]
    found = finals(fit.trajectories, [one.name for one in shown])
    return Panels(
        book=book,
        pairs=pairs,
        trajectories=_trajectories(book, fit, shown, looks, bands, visible),
        curves=tuple(curves),
        eigenvalues=_eigenvalues(book, fit, shown, looks),
        interference=_interference(book, fit, shown),
        interference_parts=_interference_parts(book, fit, shown),
        phase=_phase(book, fit, shown, looks, pairs),
        pareto=_pareto(book, fit, shown, looks, pairs, found),
        finals=found,
        still=standing_still(book, shown),
        groups=groups(book, fit, shown, looks),
        hidden_objectives=tuple(shorten(name, 40) for name in fit.space.names[OBJECTIVES:]),
    )


def _trajectories(
    book: Book,
    fit: Fit,
    shown: Sequence[StrategyFit],
    looks: Sequence[Look],
    bands: Sequence[Band],
    curves: Sequence[Corrected | None],
) -> tuple[tuple[Panel, ...], ...]:
    objectives = fit.space.objectives[:OBJECTIVES]
    ranges = [score_range(bands, j, objective, curves) for j, objective in enumerate(objectives)]
    rows = []
    for k, (one, own) in enumerate(zip(shown, bands, strict=True)):
        others = [other for m, other in enumerate(bands) if m != k] if len(bands) <= CONTEXT else []
        row = []
        for j, objective in enumerate(objectives):
            drawn = trajectory_figure(
                own, j, objective, looks[k], y_range=ranges[j], level=fit.level, others=others, curve=curves[k]
            )
            name = f"trajectory-{k}-{j}"
            row.append(Panel(name, _trajectory_label(one, own, j, curves[k]), book.add(name, drawn)))
        rows.append(tuple(row))
    return tuple(rows)


def _trajectory_label(one: StrategyFit, own: Band, j: int, curve: Corrected | None) -> str:
    what = f"{shorten(one.name, 60)}, {shorten(one.space.names[j], 60)} by iteration"
    known = np.flatnonzero(np.isfinite(own.mean[:, j]))
    if not len(known):
        return f"{what}: no score known"
    ends = [
        f"{number(own.mean[t, j])} at iteration {own.iteration[t]} ({count_of(int(own.count[t, j]), 'session')})"
        for t in (known[0], known[-1])
    ]
    said = f"{what}: mean {ends[0]}, {ends[1]}"
    if curve is None or not np.isfinite(curve.mean[-1, j]):
        return said
    return f"{said}; had all sessions gone on, {number(curve.mean[-1, j])} at iteration {curve.iteration[-1]}"


def _eigenvalues_listed(one: StrategyFit) -> str:
    """Return the eigenvalues one by one, or where they are known by cluster only, the mean and size of each."""
    clusters = [(cluster.mean, cluster.size) for cluster in one.rung.clusters]
    return ", ".join(
        number(lam.real)
        + (f" {'−' if lam.imag < 0 else '+'} {number(abs(lam.imag))}i" if lam.imag else "")
        + (f" (mean of {size} that cannot be told apart)" if size > 1 else "")
        for lam, size in clusters or [(lam, 1) for lam in one.eigenvalues]
    )


def _eigenvalues(book: Book, fit: Fit, shown: Sequence[StrategyFit], looks: Sequence[Look]) -> tuple[Panel, ...]:
    view = plane(shown, fit.dt)
    panels = []
    for k, one in enumerate(shown):
        name = f"eigenvalues-{k}"
        height = book.add(name, eigenvalue_figure(one, looks[k], view))
        note = f"λ = {_eigenvalues_listed(one)}" if one.identified else "Not identified: no eigenvalues."
        label = f"Eigenvalues of {shorten(one.name, 60)} in the complex plane. {note}"
        panels.append(Panel(name, label, height, note=note))
    return tuple(panels)


def _interference(book: Book, fit: Fit, shown: Sequence[StrategyFit]) -> tuple[tuple[str, Panel], ...]:
    if fit.space.n < 2:
        return ()
    matrices: list[tuple[str, ArrayEstimate]] = [("all", fit.interference)]
    if len(fit) > 1:
        matrices += [(str(k), one.interference) for k, one in enumerate(shown)]
    limit = color_limit([matrix for _, matrix in matrices])
    panels = []
    for key, matrix in matrices:
        name = f"interference-{key}"
        height = book.add(name, interference_figure(matrix, fit.space, limit))
        who = "all strategies pooled" if key == "all" else shorten(shown[int(key)].name, 60)
        panels.append((key, Panel(name, f"Interference, {who}: {_pairs_text(matrix, fit)}", height)))
    return tuple(panels)


def _pairs_text(matrix: ArrayEstimate, fit: Fit) -> str:
    names = [shorten(name, 40) for name in fit.space.names]
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    # The strongest first; a reader listening to a list hears no more than a few.
    strength = {pair: -np.nan_to_num(abs(matrix.estimate[pair])) for pair in pairs}
    return "; ".join(
        f"{names[i]} and {names[j]} {number(matrix.estimate[i, j], 2)}"
        + (", interval excludes 0" if is_clear(matrix, i, j) else "")
        for i, j in sorted(pairs, key=lambda pair: strength[pair])[:6]
    )


def _interference_parts(book: Book, fit: Fit, shown: Sequence[StrategyFit]) -> PartsPanels:
    if fit.space.n < 2:
        return PartsPanels((), 0, ())
    found = fit.interference_parts
    wanted: list[tuple[str, str | None, ArrayEstimate]] = [("all", None, fit.interference)]
    if len(fit) > 1:
        wanted += [(str(k), one.name, one.interference) for k, one in enumerate(shown)]
    drawn = [(found[name], matrix) for _, name, matrix in wanted if name in found and strongest_pairs(found[name])]
    tests = fit.interference_tests
    y = bar_range(drawn)
    panels: list[tuple[str, Panel | None, tuple[tuple[str, str], ...]]] = []
    for key, strategy, matrix in wanted:
        parts = found.get(strategy)
        if parts is None or not strongest_pairs(parts):
            panels.append((key, None, ()))
            continue
        said = explanations(parts, matrix, tests[strategy], fit.space)
        name = f"interference-parts-{key}"
        height = book.add(name, interference_parts_figure(parts, matrix, tests[strategy], fit.space, y))
        whose = "all strategies pooled" if strategy is None else shorten(strategy, 60)
        heard = " ".join(f"{pair}: {text}" for pair, text in said)
        panels.append((key, Panel(name, f"Where interference comes from, {whose}: {heard}", height), said))
    present = [part for part in PARTS if any(part in parts.shares for parts, _ in drawn)]
    widest = max((len(strongest_pairs(parts)) for parts, _ in drawn), default=1)
    return PartsPanels(tuple((COLORS[part], part, MEANINGS[part]) for part in present), widest, tuple(panels))


def _phase(
    book: Book, fit: Fit, shown: Sequence[StrategyFit], looks: Sequence[Look], pairs: PairChoice | None
) -> tuple[Panel, ...]:
    ranges = state_ranges(fit.trajectories)
    panels = []
    for k, one in enumerate(shown):
        who = shorten(one.name, 60)
        if pairs is None:
            name = f"drift-{k}"
            drawn = drift_figure(one, fit.trajectories, looks[k], ranges[0], fit.level)
            label = f"Expected change against score, {who}"
            panels.append(Panel(name, label, book.add(name, drawn), note=_phase_note(one, ranges, "")))
            continue
        held = held_at(one, fit.trajectories)
        paths = sample_paths(fit.trajectories, one.name)
        height = 0
        for i, j in pairs.positions:
            drawn = phase_figure(one, (i, j), looks[k], held, ranges, paths)
            height = book.add(f"phase-{k}-{i}-{j}", drawn)
        names = one.space.names
        values = ", ".join(f"{shorten(name, 24)} {number(v)}" for name, v in zip(names, held.at, strict=True))
        where = f"Objectives not shown are held at the {held.kind} ({values})." if one.space.n > 2 else ""
        label = f"Phase portrait of {who}"
        panels.append(Panel(f"phase-{k}", label, height, "phase", _phase_note(one, ranges, where)))
    return tuple(panels)


def _phase_note(one: StrategyFit, ranges: Sequence[tuple[float, float]], where: str) -> str:
    if not one.identified:
        return "Not identified: no drift, only sessions."
    outside = [
        f"{shorten(name, 24)} {number(value)}"
        for name, value, (low, high) in zip(one.space.names, one.equilibrium.estimate, ranges, strict=True)
        if np.isfinite(value) and not low <= value <= high
    ]
    away = f"The equilibrium lies outside the view: {', '.join(outside)}." if outside else ""
    return " ".join(filter(None, [where, away]))


def _pareto(
    book: Book,
    fit: Fit,
    shown: Sequence[StrategyFit],
    looks: Sequence[Look],
    pairs: PairChoice | None,
    found: Finals,
) -> Panel | None:
    if not len(found.scores):
        return None
    names = [one.name for one in shown]
    label = f"Final scores of {count_of(len(found.scores), 'session')}, {int(found.best.sum()):,} of them non-dominated"
    if pairs is None:
        height = book.add("finals", finals_figure(found, fit.trajectories, names, looks))
        return Panel("finals", label, height)
    height = 0
    for i, j in pairs.positions:
        height = book.add(f"pareto-{i}-{j}", pareto_figure(found, (i, j), fit.trajectories, names, looks))
    return Panel("pareto", label, height, "pareto")
