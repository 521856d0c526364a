"""What is known about the run behind a source."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

__all__ = ["run_settings"]

_APART = ("config", "fingerprints", "imports", "pilot")


def run_settings(source: str) -> Mapping[str, Any] | None:
    """Return what a report shows of the run that filled the store `source`; None for files and imported data."""
    if "://" not in source:
        return None
    from trimtab.store.open import open_store

    store = open_store(source)
    try:
        experiment = store.experiment()
    finally:
        store.close()
    # What was given, fingerprints and the pilot serve resuming, and what imports left out is told elsewhere.
    shown = {name: value for name, value in experiment.settings.items() if name not in _APART} if experiment else {}
    return {**shown, "version": version("trimtab")} if shown else None
