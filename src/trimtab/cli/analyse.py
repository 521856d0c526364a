"""The analysis of a finished run: one place that fits, prints and writes everything that a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.estimation.results import Fit

__all__ = ["Analysis", "analyse"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A fit and the files written from it."""

    fit: Fit
    fit_json: Path
    trajectories: Path
    report: Path


def analyse(store_url: str, out: Path) -> Analysis:
    """Fit what is in the store and write ``fit.json``, ``trajectories.parquet`` and ``report.html`` to `out`.

    Raises
    ------
    SourceError
        If the store holds nothing yet.
    FitError
        If what it holds cannot be fitted.
    InputError
        If a file cannot be written.
    """
    from trimtab.cli.output import write_text
    from trimtab.cli.source_facts import run_settings
    from trimtab.estimation.fit import fit
    from trimtab.store.load import load, save

    trajectories = load(store_url)
    out.mkdir(parents=True, exist_ok=True)
    saved = save(trajectories, out / "trajectories.parquet")
    result = fit(trajectories)
    fit_json = out / "fit.json"
    write_text(fit_json, result.to_json() + "\n")
    report = result.report(out / "report.html", run=run_settings(store_url))
    return Analysis(result, fit_json, saved, Path(report))
