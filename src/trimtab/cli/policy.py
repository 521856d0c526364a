"""``trimtab policy``: policies of steering, put to the test and explained."""

from __future__ import annotations

import typer

from trimtab.cli.evaluate import evaluate
from trimtab.cli.explain import explain

__all__ = ["policy"]

policy = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
)


@policy.callback()
def _group() -> None:
    """Put policies that steer loops to the test, and see why one did what it did."""


policy.command(short_help="Run policies side by side on simulated sessions.")(evaluate)
policy.command(short_help="Say why a steered session went as it did.")(explain)
