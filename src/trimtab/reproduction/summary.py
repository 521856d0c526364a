"""A reproduction as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from trimtab.estimation.layout import listed, number, paragraph, table
from trimtab.estimation.rungs import RUNGS
from trimtab.reproduction.claims import Claim, Value
from trimtab.reproduction.paper import SESSIONS, STEPS
from trimtab.reproduction.reproduce import Reproduction
from trimtab.reproduction.verdicts import Verdict

__all__ = ["CAVEAT", "ReproductionSummary", "tally", "verdict_cells"]

CAVEAT = (
    "The paper's coefficients cannot be recovered from its text, and its data were not used. The models simulated here "
    "were fitted to its figures, so agreement shows only that a linear model on a bounded scale can produce a figure. "
    "It is no evidence that the figure is right. What is evidence is where no such model was found, or where figures "
    "contradict each other."
)


class ReproductionSummary:
    """Renders a reproduction through rich, as wide as the terminal."""

    def __init__(self, found: Reproduction) -> None:
        self.found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        found = self.found
        yield paragraph(
            f"{found.simulated.experiments:,} simulated experiments of {SESSIONS} sessions x {STEPS} iterations per "
            f"strategy, analysed by the paper's least squares. {tally(found.claims)}",
            "Reproduction",
        )
        yield paragraph(CAVEAT)
        yield Text("")
        made = table("Claims", ["Claim", "Agrees", "With the others", "Figure of an experiment", "Median [95%]"])
        made.columns[3].justify = "left"
        for claim in found.claims:
            lead = f"{claim.strategy}: " if claim.strategy else ""
            figures = "\n".join(value.label for value in claim.values) or "–"
            values = "\n".join(map(_found, claim.values)) or "–"
            made.add_row(Text(lead + claim.says), claim.agrees, claim.together, Text(figures), Text(values))
        yield made
        yield from listed("Why", (f"{claim.key}: {claim.why}" for claim in found.claims if claim.agrees != "yes"))
        yield Text("\nQuestions to the authors", style="bold")
        yield from (paragraph(strain.says, strain.question) for strain in found.strains)
        if found.verdicts:
            yield Text("")
            yield from _verdicts(found)


def _verdicts(found: Reproduction) -> Iterator[RenderableType]:
    made = table(
        f"What trimtab fit says of {found.fitted} of these experiments",
        ["Scores of", "True rate", "Least squares", "Trusted", "Intervals hold", "Diagnosis", "Trusted is"],
    )
    for one in found.verdicts:
        made.add_row(one.name, *verdict_cells(one, found.fitted))
    yield made


def verdict_cells(one: Verdict, fitted: int) -> tuple[str, ...]:
    """Return what tables show of one verdict, beside its name."""
    return (
        "none" if one.truth is None else number(one.truth),
        number(one.least_squares),
        number(one.trusted),
        "–" if one.covered is None else f"{one.covered} of {fitted}",
        _counted(one.labels, fitted),
        _counted({RUNGS[name]: count for name, count in one.rungs.items()}, fitted),  # type: ignore[index]
    )


def _counted(counts: Mapping[str, int], total: int) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return "\n".join(f"{name} {count}/{total}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1]))


def _found(value: Value) -> str:
    """Return what was found as ``median [low, high]``, with the minus sign of the claims."""
    found = value.found
    return f"{number(found.median)} [{number(found.low)}, {number(found.high)}]".replace("-", "−")


def tally(claims: tuple[Claim, ...]) -> str:
    """Return how many claims agree, in words."""
    counts = {word: sum(claim.agrees == word for claim in claims) for word in ("yes", "partly", "no", "needs a run")}
    together = sum(claim.together == "no" for claim in claims)
    return (
        f"Of {len(claims)} claims {counts['yes']} agree, {counts['partly']} agree in part, {counts['no']} do not, and "
        f"{counts['needs a run']} needs a run. {together} cannot be had together with the others."
    )
