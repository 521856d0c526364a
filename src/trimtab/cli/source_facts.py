"""What is known about the run behind a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["run_settings"]


def run_settings(source: str) -> Mapping[str, Any] | None:
    """Return the settings of the run that filled the store `source`; None for files and imported data."""
    if "://" not in source:
        return None
    from trimtab.store.open import open_store

    store = open_store(source)
    try:
        experiment = store.experiment()
    finally:
        store.close()
    return experiment.settings or None if experiment else None
