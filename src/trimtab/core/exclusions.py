"""What was left out, counted."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Exclusion"]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Something left out or changed on the way from the source to the fit, counted so that nothing is silent.

    Parameters
    ----------
    reason
        What was wrong, in a few words a reader understands.
    count
        How many.
    unit
        What was counted: ``"rows"``, ``"scores"``, ``"judgements"``, ``"steps"``, ``"sessions"`` or ``"objectives"``.
    examples
        The first few, by name or line.
    """

    reason: str
    count: int
    unit: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        shown = f" (for example {', '.join(self.examples)})" if self.examples else ""
        unit = self.unit[:-1] if self.count == 1 and self.unit.endswith("s") else self.unit
        return f"{self.count:,} {unit}: {self.reason}{shown}"
