"""``trimtab resume``: go on with a run as its store says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.cli.options import Store, option, store_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trimtab.sessions.config import RunConfig

__all__ = ["resume"]


def resume(
    store: Store = None,
    sessions: Annotated[int | None, option("Sessions per strategy, to have more than before.", "N")] = None,
    iterations: Annotated[int | None, option("Iterations per session, to have more than before.", "N")] = None,
    concurrency: Annotated[int | None, option("Sessions at work at the same time.", "N")] = None,
    timeout: Annotated[float | None, option("Seconds to wait for one answer.", "SECONDS")] = None,
    base_url: Annotated[str | None, option("Address of the endpoint, if it has moved.", "URL")] = None,
    budget_usd: Annotated[float | None, option("Most that all runs into the store may cost.", "USD")] = None,
    budget_tokens: Annotated[int | None, option("Most tokens that all runs into the store may take.", "N")] = None,
    deadline: Annotated[str | None, option("When to end, as for trimtab run.", "WHEN")] = None,
    webhook: Annotated[str | None, option("Address that triggers with :webhook call, as before.", "URL")] = None,
    answers: Annotated[
        int | None, option("Port at which questions are answered over HTTP; 0 takes one.", "PORT")
    ] = None,
    resume_paused: Annotated[
        bool | None, typer.Option("--resume-paused", help="Go on with the sessions that are set aside.")
    ] = None,
    out: Annotated[Path | None, option("Output folder, if another than before.", "FOLDER")] = None,
) -> None:
    """Go on with a run from where it stopped, with the settings it was given then, and report as trimtab run does.

    No setting needs to be repeated. Keys are not stored: the environment must hold them again.
    """
    changes = {name: value for name, value in locals().items() if name not in ("store", "out")}
    from trimtab.cli.run import carry_out

    carry_out(_settings(store_at(store), changes, out))


def _settings(url: str, changes: Mapping[str, Any], out: Path | None) -> RunConfig:
    from trimtab.sessions.resumption import stored_config
    from trimtab.store.open import open_store

    opened = open_store(url)
    try:
        return stored_config(opened, changes, out)
    finally:
        opened.close()
