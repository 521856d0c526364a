"""Results that hold one part per strategy, policy or schedule, and the one way in which all of them are read."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from trimtab.errors import InputError

__all__ = ["ByName", "ByStrategy"]

Part = TypeVar("Part")


class ByName(ABC, Generic[Part]):
    """Parts by name: ``found["EF"]`` is one of them; iterating gives the names."""

    __slots__ = ()

    _unknown = "nothing is called"  # begins the sentence on a name that is not there

    @property
    @abstractmethod
    def _parts(self) -> Mapping[str, Part]:
        """The parts, in their order."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values; numbers that are unknown or infinite are None."""

    def to_json(self, *, indent: int | None = 2) -> str:
        """Return the document of `to_dict` as JSON; numbers that are unknown or infinite are null."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def __getitem__(self, name: str) -> Part:
        try:
            return self._parts[name]
        except KeyError:
            raise InputError(f"{self._unknown} {name!r}; there are {', '.join(self._parts)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


class ByStrategy(ByName[Part]):
    """Parts by strategy, in the field `strategies`."""

    __slots__ = ()

    _unknown = "no strategy is called"

    strategies: Mapping[str, Part]

    @property
    def _parts(self) -> Mapping[str, Part]:
        return self.strategies
