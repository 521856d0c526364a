"""What stands around the artefact in an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

__all__ = ["Done", "opening"]


class Done(Protocol):
    """An edit that was made."""

    @property
    def summary(self) -> str:
        """What it did, as an instruction."""
        ...


def opening(openings: Sequence[str], edits: Sequence[Done], what: str, rng: np.random.Generator) -> str:
    """Return how an answer begins: one of the openings, and what was done."""
    chosen = str(rng.choice(openings))
    if not edits:
        return f"I looked for something to improve and left the {what} as it is."
    done = [f"{edit.summary[0].upper()}{edit.summary[1:]}" for edit in edits]
    if rng.random() < 0.5:
        return chosen + "\n\n" + "\n".join(f"- {summary}." for summary in done)
    return f"{chosen} {'. '.join(done)}."
