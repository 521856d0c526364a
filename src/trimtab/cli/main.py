"""The command ``trimtab``: one file per group of commands, and one place where errors become sentences."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from trimtab.cli import agents, audit, compare, data, findings, fit, nonlinear, reproduce, run, score, simulate
from trimtab.errors import TrimtabError

__all__ = ["app", "main"]

app = typer.Typer(
    name="trimtab",
    help="Measure, model and steer iterative LLM loops that chase several objectives at once.",
    epilog="Start with: trimtab run. On your own logs: trimtab fit FILE, then trimtab report FILE.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"trimtab {version('trimtab')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Measure, model and steer iterative LLM loops that chase several objectives at once."""


app.command("run", short_help="Run sessions, score them, fit, report.")(run.run)
app.command("import", short_help="Bring recorded sessions into a store.")(data.import_)
app.command("fit", short_help="Fit and print the dynamics of a source.")(fit.fit)
app.command("audit", short_help="Ask whether it is dynamics, and whether a fit may be believed.")(audit.audit)
app.command("nonlinear", short_help="Ask whether a drift bends, and where the loop then leads.")(nonlinear.nonlinear)
app.command("compare", short_help="Compare the dynamics of two sources, strategies or models.")(compare.compare)
app.command("simulate", short_help="Forecast sessions from a fit, a file of models or the paper.")(simulate.simulate)
app.command("agents", short_help="Ask which of several agents moves which.")(agents.agents)
app.command("report", short_help="Write the HTML report of a source.")(fit.report)
app.command("export", short_help="Write a source as a tidy table.")(data.export)
app.command("score", short_help="Score programs without running them.")(score.score)
app.command("findings", short_help="Count a store's findings by severity, and how they change.")(findings.findings)
app.command("reproduce", short_help="Hold the paper's claims against simulated experiments.")(reproduce.reproduce)


def main() -> None:
    """Run the command line: user errors become one message on standard error and exit code 1."""
    try:
        app()
    except TrimtabError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) went away. Point stdout elsewhere so that the exit itself stays quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
