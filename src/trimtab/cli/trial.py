"""``trimtab policy evaluate --live``: policies on real loops, on tasks that were not fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["run_trial"]

SESSIONS = 100
"""Sessions of every arm, if not given."""


def run_trial(policies: Sequence[str] | None, given: Mapping[str, Any], as_json: bool, out: Path | None) -> None:
    """Run a trial with the settings of a run, of which those `given` win over its file and variables, and print it."""
    from trimtab.cli.output import print_blocks, say, say_json, write_text
    from trimtab.errors import InputError
    from trimtab.providers.registry import provider_label
    from trimtab.sessions.config import load_config
    from trimtab.sessions.experiment import strategies_of
    from trimtab.sessions.tasks import load_tasks
    from trimtab.sessions.trial import trial
    from trimtab.sessions.trial_summary import TrialSummary

    if out is not None and out.suffix.lower() != ".json":
        raise InputError(f"a live trial is written to a .json file, but --out is {str(out)!r}")
    # Which policy stands here is of no matter: the trial has its own.
    config = load_config(
        {"sessions": SESSIONS, "policy": "predictive", **{name: v for name, v in given.items() if v is not None}}
    )
    say(f"provider: {provider_label(config.provider)}", err=True)
    found = trial(
        config,
        load_tasks(config.tasks),
        strategies_of(config),
        policies,
        progress=lambda arm: say(f"{arm} ...", err=True),
    )
    if out is not None:
        write_text(out, found.to_json() + "\n")
    if as_json:
        say_json(found.to_json())
        return
    print_blocks(TrialSummary(found))
    if out is not None:
        say(f"JSON:   {out}")
