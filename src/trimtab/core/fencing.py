"""Fences for texts of unknown content, so that no text can leave the block it stands in."""

from __future__ import annotations

import re

__all__ = ["fence_for", "fenced"]

_SHORTEST_FENCE = 3


def fence_for(*texts: str) -> str:
    """Return a run of backticks longer than any in `texts`, and at least three.

    No line of the texts can then open or close a block fenced with it.

    >>> fence_for("plain"), fence_for("a ``` b")
    ('```', '````')
    """
    longest = max((len(run) for text in texts for run in re.findall("`+", text)), default=0)
    return "`" * max(_SHORTEST_FENCE, longest + 1)


def fenced(text: str, fence: str, info: str = "") -> str:
    """Return `text` as a block behind `fence`, with a final newline added if it has none."""
    end = "" if text.endswith("\n") else "\n"
    return f"{fence}{info}\n{text}{end}{fence}\n"
