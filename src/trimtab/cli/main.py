"""The command ``trimtab``: one file per group of commands, and one place where errors become sentences."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from trimtab.errors import TrimtabError

__all__ = ["application", "main"]

_COMMANDS = {
    "run": ("run", "run", "Run sessions, score them, fit, report."),
    "resume": ("resume", "resume", "Go on with a run from where it stopped."),
    "status": ("status", "status", "Say how far a run is, and how to go on."),
    "sessions": ("sessions", "sessions", "List the sessions of a store."),
    "show": ("show", "show", "Show a session, iteration by iteration."),
    "presets": ("presets", "presets", "List the domains that are ready to run."),
    "import": ("data", "import_", "Bring recorded sessions into a store."),
    "fit": ("fit", "fit", "Fit and print the dynamics of a source."),
    "audit": ("audit", "audit", "Ask whether it is dynamics, and whether a fit may be believed."),
    "nonlinear": ("nonlinear", "nonlinear", "Ask whether a drift bends, and where the loop then leads."),
    "compare": ("compare", "compare", "Compare the dynamics of two sources, strategies or models."),
    "simulate": ("simulate", "simulate", "Forecast sessions from a fit, a file of models or the paper."),
    "agents": ("agents", "agents", "Ask which of several agents moves which."),
    "policy": ("policy", "policy", "Put policies that steer loops to the test, and explain what one did."),
    "report": ("fit", "report", "Write the HTML report of a source."),
    "export": ("data", "export", "Write a source as a tidy table."),
    "score": ("score", "score", "Score programs without running them."),
    "findings": ("findings", "findings", "Count a store's findings by severity, and how they change."),
    "serve-model": ("serve_model", "serve_model", "Serve the embedded models over HTTP, to try clients against."),
    "plugins": ("plugins", "plugins", "List providers, scorers and policies, and who brings them."),
    "reproduce": ("reproduce", "reproduce", "Hold the paper's claims against simulated experiments."),
}
"""By name: the module here, its function or group of commands, and a line for the list of commands."""

_SECTIONS = {
    "Run loops": ("run", "resume", "status", "sessions", "show", "presets", "policy", "serve-model", "plugins"),
    "Bring and take data": ("import", "export", "score", "findings"),
    "Understand": ("fit", "report", "audit", "compare", "simulate", "nonlinear", "agents", "reproduce"),
}
"""How the list of commands is parted; a command that stands in none is listed last."""


class _Sections(TyperGroup):
    """A group whose list of commands has sections."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        named = {name for names in _SECTIONS.values() for name in names}
        rest = tuple(name for name in self.commands if name not in named)
        width = max(map(len, self.commands))
        for title, names in {**_SECTIONS, "Others": rest}.items():
            there = [name for name in names if name in self.commands]
            if there:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(width), self.commands[name].short_help or "") for name in there])


def application(names: Iterable[str] = tuple(_COMMANDS)) -> typer.Typer:
    """Return the command line with the commands called `names`; the modules of others are not imported."""
    app = typer.Typer(
        name="trimtab",
        cls=_Sections,
        help="Measure, model and steer iterative LLM loops that chase several objectives at once.",
        epilog="Start with: trimtab run. On your own logs: trimtab fit FILE, then trimtab report FILE.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in names:
        module, function, line = _COMMANDS[name]
        found = getattr(import_module(f"trimtab.cli.{module}"), function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, short_help=line)
        else:
            app.command(name, short_help=line)(found)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"trimtab {version('trimtab')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Measure, model and steer iterative LLM loops that chase several objectives at once."""


def main() -> None:
    """Run the command line: user errors become one message on standard error and exit code 1."""
    # All of them take a twentieth of a second to set up, so that they are where help or an error has to name them.
    called = [name for name in sys.argv[1:2] if name in _COMMANDS]
    app = application(called or _COMMANDS)
    try:
        app()
    except TrimtabError as error:
        from trimtab.core.visible import visible

        typer.echo(visible(f"Error: {error}", lines=True), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) went away. Point stdout elsewhere so that the exit itself stays quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        # A name that is too long, a folder that nobody may read, a full disk: the system's own words say it.
        if error.filename is None or error.strerror is None:
            raise
        from trimtab.core.visible import visible

        typer.echo(visible(f"Error: {str(error.filename)!r:.200} cannot be used: {error.strerror}"), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
