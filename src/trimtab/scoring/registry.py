"""Scorers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from trimtab.errors import InputError
from trimtab.scoring.base import Scorer
from trimtab.scoring.python_static import PythonStaticScorer

__all__ = ["get_scorer", "scorers"]

_BUILT_IN: Mapping[str, Callable[[], Scorer]] = MappingProxyType({PythonStaticScorer.name: PythonStaticScorer})


def scorers() -> Mapping[str, Callable[[], Scorer]]:
    """Return how to make each known scorer, by name."""
    return _BUILT_IN


def get_scorer(name: str) -> Scorer:
    """Return the scorer called `name`.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return _BUILT_IN[name]()
    except KeyError:
        raise InputError(f"no scorer is called {name!r}; there are {', '.join(sorted(_BUILT_IN))}") from None
