"""``trimtab reproduce``: the claims of the paper beside what its own estimator shows on simulated experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["reproduce"]


def reproduce(
    experiments: Annotated[int, typer.Option(help="Simulated copies of the paper's experiment, 20 to 2,000.")] = 200,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the page.")] = Path("reproduce.html"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document (trimtab.reproduction/1) instead; write no page.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 0,
    fitted: Annotated[int, typer.Option(help="How many of the experiments to fit as trimtab fit does as well.")] = 3,
) -> None:
    """Simulate the paper's experiment and say which of its claims hold, alone and together."""
    from trimtab.reproduction.reproduce import reproduce as reproduce_claims

    result = reproduce_claims(experiments, seed=seed, fitted=fitted)
    from trimtab.cli.output import print_blocks, say, say_json

    if as_json:
        say_json(result.to_json())
        return
    from trimtab.reproduction.summary import ReproductionSummary

    print_blocks(ReproductionSummary(result))
    from trimtab.report.reproduction import write_reproduction

    say(f"Page: {write_reproduction(result, out)}")
