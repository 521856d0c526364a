"""What a run leaves behind that never got an answer: nothing."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trimtab.sessions.config import RunConfig
from trimtab.store.sqlite import path_of

__all__ = ["Leftovers"]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The files and folders that a run is about to make.

    Parameters
    ----------
    store
        File of the store; None where it is there already, or is no file.
    folders
        Folders that are not there yet, the innermost first.
    """

    store: Path | None
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Look at what is there, before anything is made."""
        path = path_of(config.store_url) if config.store_url.startswith("sqlite:") else None
        places = [config.out, *config.out.parents]
        return cls(
            store=path if path is not None and not path.exists() else None,
            folders=tuple(place for place in places if not place.exists()),
        )

    def remove(self) -> None:
        """Remove the store and the folders that hold nothing else."""
        if self.store is None:
            return
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                self.store.with_name(self.store.name + ending).unlink()
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()
