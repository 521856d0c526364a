"""The page of a reproduction: the paper's claims beside simulated experiments, in one HTML file without a network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trimtab.core.objectives import Objective
from trimtab.report.book import Book, Panel
from trimtab.report.figures.reproduction import Row, spread_figure
from trimtab.report.page import environment, page_parts, write_page
from trimtab.report.palette import Look, look
from trimtab.report.text import fixed
from trimtab.reproduction.claims import Claim, by_strategy, not_shown
from trimtab.reproduction.experiments import NOISE
from trimtab.reproduction.paper import INTERFERENCE, REPORTED, SESSIONS, STEPS
from trimtab.reproduction.reproduce import Reproduction
from trimtab.reproduction.summary import CAVEAT, tally, verdict_cells
from trimtab.simulation.reference import REFERENCE

__all__ = ["render_reproduction", "write_reproduction"]


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim as the page shows it: numbers as text."""

    claim: Claim
    found: tuple[tuple[str, str, str], ...]


def write_reproduction(found: Reproduction, path: Path | str) -> Path:
    """Write the page and return its path; the same reproduction gives the same bytes.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    return write_page(render_reproduction(found), path, "reproduction")


def render_reproduction(found: Reproduction) -> str:
    """Return the page that `write_reproduction` writes."""
    book = Book()
    looks = {name: look(k) for k, name in enumerate((*REPORTED, NOISE))}
    panels = _panels(book, found, looks)
    groups = [
        (name, not_shown(own) if name else "", [_row(claim) for claim in own])
        for name, own in by_strategy(found.claims).items()
    ]
    return (
        environment()
        .get_template("reproduction.html")
        .render(
            title="Which figures of the paper hold, alone and together",
            **page_parts(),
            figures=book.json(),
            tally=tally(found.claims),
            caveat=CAVEAT,
            settings=_settings(found),
            groups=groups,
            names=_NAMES,
            regimes=[(name, paper.regime) for name, paper in REPORTED.items()],
            strains=found.strains,
            panels=panels,
            verdicts=[(one.name, verdict_cells(one, found.fitted)) for one in found.verdicts],
            fitted=found.fitted,
            models=_models(),
            objectives=found.simulated.space.names,
        )
    )


_NAMES = {
    "EF": "EF, efficiency-focused",
    "SF": "SF, security-focused",
    "FF": "FF, feature-focused",
    "AI": "AI, ambiguous improvement",
    "": "All strategies",
}


def _row(claim: Claim) -> ClaimRow:
    found = tuple(
        (
            value.label,
            "" if value.paper is None else fixed(value.paper, 2),
            f"{fixed(value.found.median, 2)} [{fixed(value.found.low, 2)}, {fixed(value.found.high, 2)}]",
        )
        for value in claim.values
    )
    return ClaimRow(claim, found)


def _settings(found: Reproduction) -> list[tuple[str, str]]:
    return [
        ("Paper", "arXiv:2510.10739"),
        ("Experiments", f"{found.simulated.experiments:,}"),
        ("Sessions per strategy", f"{SESSIONS:,}"),
        ("Iterations", f"{STEPS:,}"),
        ("Scale", "0 to 10, clipped"),
        ("Estimator", "least squares of dx on [1, x] (eq. 5)"),
        ("Seed", f"{found.simulated.seed}"),
    ]


def _panels(book: Book, found: Reproduction, looks: dict[str, Look]) -> list[Panel]:
    simulated = found.simulated
    figures = {**simulated.figures, NOISE: simulated.noise}
    panels = []

    def add(key: str, title: str, rows: list[Row]) -> None:
        height = book.add(key, spread_figure(rows, title))
        panels.append(Panel(key, f"{title}: simulated experiments and the paper's figures", height))

    add(
        "rate", "Rate",
        [
            Row(name, looks[name], own.rate, REPORTED[name].rate, REPORTED[name].rate_error)
            if name in REPORTED else Row(name, looks[name], own.rate)
            for name, own in figures.items()
        ],
    )  # fmt: skip
    for key, title, paper in (
        ("multiplier", "Modulus of the multiplier", {name: one.multiplier for name, one in REPORTED.items()}),
        ("r2_steps", "R² of steps", {name: one.r2 for name, one in REPORTED.items()}),
        ("r2_levels", "R² of levels", {name: one.r2 for name, one in REPORTED.items()}),
        ("pareto", "Pareto efficiency", {name: one.pareto for name, one in REPORTED.items()}),
    ):
        add(key, title, [Row(name, looks[name], getattr(own, key), paper.get(name)) for name, own in figures.items()])
    for j, objective in enumerate(simulated.space):
        rows = [Row(n, looks[n], own.reached[:, j], REPORTED[n].reached[j]) for n, own in simulated.figures.items()]
        add(f"reached-{j}", f"Reached {_plain(objective)}", rows)
    rows = []
    for (one, other), value in INTERFERENCE.items():
        pair = simulated.interference[:, simulated.space.index(one), simulated.space.index(other)]
        rows.append(Row(f"{one} with {other}", look(5), pair, value))
    add("interference", "Interference, all steps pooled", rows)
    return panels


def _plain(objective: Objective) -> str:
    return objective.name


def _models() -> list[tuple[str, list[list[str]]]]:
    """Return each model's A, b and Q as rows of a table, objective by objective."""
    made = []
    for name, one in REFERENCE.items():
        model = one.model
        rows = [
            [*(fixed(v, 2) for v in model.A[j]), fixed(model.b[j], 2), *(fixed(v, 2) for v in model.Q[j])]
            for j in range(model.n)
        ]
        made.append((name, rows))
    return made
