"""A fit as text for a terminal."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from trimtab.estimation.cautions import CANNOT_IDENTIFY
from trimtab.estimation.layout import NARROW, as_text, listed, paragraph
from trimtab.estimation.results import Fit
from trimtab.estimation.summary_clusters import clusters
from trimtab.estimation.summary_tables import coarse, dynamics, interference, levels, rungs

__all__ = ["Summary", "summary"]


def summary(fit: Fit) -> str:
    """Return the figures and verdicts of `fit` as plain text, at most 118 columns wide."""
    return as_text(Summary(fit))


@dataclass(frozen=True, slots=True)
class Summary:
    """A fit as something that rich prints, in colour and laid out for the width of the terminal."""

    fit: Fit

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield tables, then verdicts, then what to be warned of."""
        fit, narrow = self.fit, options.max_width < NARROW
        yield from dynamics(fit, narrow)
        yield from rungs(fit, narrow)
        yield from clusters(fit, narrow)
        yield from coarse(fit, narrow)
        yield from levels(fit, narrow)
        yield from interference(fit, narrow)
        if fit.pooling is not None:
            from trimtab.estimation.pooling.summary import PoolingSummary

            yield PoolingSummary(fit.pooling, alone=False)
        yield Text("What it means", style="bold")
        for one in fit.strategies.values():
            yield paragraph(f"{one.diagnosis.label}. {one.verdict}", one.name)
        if fit.pooling is not None:
            for name, pooled in fit.pooling.strategies.items():
                yield paragraph(pooled.verdict, f"{name} by {fit.pooling.group}")
        yield from listed("Warnings", _warnings(fit))
        yield from listed("Left out", map(str, fit.exclusions))
        yield from listed("Assumed", fit.notes)


def _warnings(fit: Fit) -> list[str]:
    """Return every warning once, with the strategies it concerns; those that are a whole verdict are left out."""
    concerned: dict[str, list[str]] = {}
    for name, one in fit.strategies.items():
        for text in one.warnings:
            if CANNOT_IDENTIFY not in text:
                concerned.setdefault(text, []).append(name)
    said = [*(f"{', '.join(names)}: {text}" for text, names in concerned.items()), *fit.own_warnings]
    return said + ([] if fit.pooling is None else [f"by {fit.pooling.group}: {text}" for text in fit.pooling.warnings])
