"""What a table reader gives, whatever the table is: named columns, read as text or as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trimtab.core.trajectories import Exclusion

__all__ = ["Numbers", "Profile", "Ref", "Source", "number_of"]


@dataclass(frozen=True, slots=True)
class Ref:
    """A column, or one key of the objects that a column holds."""

    column: str
    key: str | None = None

    @property
    def name(self) -> str:
        """The key where there is one, otherwise the column."""
        return self.column if self.key is None else self.key


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column read as numbers.

    Parameters
    ----------
    values
        (R,) Not-a-number where the value is missing or is no number; infinite where it is infinite.
    missing
        (R,) True where the source holds nothing.
    """

    values: NDArray[np.float64]
    missing: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a column holds, in counts.

    Parameters
    ----------
    filled
        Values that are there.
    numeric
        Those that are numbers, true or false.
    boolean
        Those that are true or false.
    words
        Those that are numbers but stored as words by a format that tells them apart.
    """

    filled: int
    numeric: int
    boolean: int
    words: int = 0

    @property
    def mostly_numeric(self) -> bool:
        """True where at least half of the values are numbers."""
        return self.numeric > 0 and 2 * self.numeric >= self.filled


class Source(Protocol):
    """A table that is open for reading. Rows come in the same order at every call."""

    @property
    def origin(self) -> str:
        """What messages call it."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        ...

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """Rows that could not be read at all."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader assumed about the file."""
        ...

    def keys(self, column: str) -> tuple[str, ...] | None:
        """Return the keys of the objects in `column`, or None where it holds none."""
        ...

    def profile(self, refs: Sequence[Ref]) -> dict[Ref, Profile]:
        """Count what each column holds."""
        ...

    def read(
        self, texts: Sequence[str], numbers: Sequence[Ref]
    ) -> tuple[dict[str, NDArray[np.object_]], dict[Ref, Numbers]]:
        """Return columns as text (None where missing) and as numbers."""
        ...

    def examples(self, ref: Ref) -> tuple[str, ...]:
        """Return the most frequent values of a column that are no finite number."""
        ...

    def batches(self, texts: Sequence[str], rows: NDArray[np.int64], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the text columns of the given `rows`, in the order of `rows`, in lists of up to `size` tuples."""
        ...

    def close(self) -> None:
        """Release what the reader holds."""
        ...


_TRUTH: Mapping[str, float] = {"true": 1.0, "false": 0.0}


def number_of(value: object) -> float | None:
    """Read one value as every reader does: None where missing, not-a-number where it is no number.

    >>> number_of(" 3.5 "), number_of("true"), number_of(""), number_of("n/a")
    (3.5, 1.0, None, nan)
    """
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)):
        return float(value)
    if isinstance(value, (int, float, np.integer, np.floating)):
        try:
            return float(value)
        except OverflowError:
            return float("inf")
    text = str(value).strip()
    if not text:
        return None
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if "_" in text or not text.isascii():
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return float("nan")
