"""What goes wrong in answers of real models, at a small rate."""

from __future__ import annotations

from typing import Literal

import numpy as np

from trimtab.providers.rewriter.program import parse

__all__ = ["DEFAULT_FAILURE_RATE", "KINDS", "Failure", "draw_failure", "slip"]

Failure = Literal["truncated", "syntax", "prose", "unchanged"]

#: Share of answers that fail in one of the ways below.
DEFAULT_FAILURE_RATE = 0.04
#: Share of each way among the failures.
KINDS: dict[Failure, float] = {"truncated": 0.3, "syntax": 0.25, "prose": 0.2, "unchanged": 0.25}


def draw_failure(rate: float, rng: np.random.Generator) -> Failure | None:
    """Draw whether and how an answer fails: one uniform number, cut at the cumulated shares."""
    left = float(rng.random())
    for kind, share in KINDS.items():
        left -= rate * share
        if left < 0:
            return kind
    return None


def slip(source: str, rng: np.random.Generator) -> str:
    """Return `source` with a slip of the pen that keeps it from being parsed."""
    lines = source.split("\n")
    headers = [n for n, line in enumerate(lines) if line.rstrip().endswith(":") and not line.lstrip().startswith("#")]
    closings = [n for n, line in enumerate(lines) if line.rstrip().endswith(")")]
    tries = []
    if headers:
        number = headers[int(rng.integers(len(headers)))]
        tries.append([*lines[:number], lines[number].rstrip()[:-1], *lines[number + 1 :]])
    if closings:
        number = closings[int(rng.integers(len(closings)))]
        tries.append([*lines[:number], lines[number].rstrip()[:-1], *lines[number + 1 :]])
    for position in rng.permutation(len(tries)):
        text = "\n".join(tries[int(position)])
        if parse(text) is None:
            return text
    return f"{source.rstrip()}\n    return result)\n"
