"""Scorers by name: the entry points of the group ``trimtab.scorers``, see `trimtab.plugins`."""

from __future__ import annotations

from trimtab.core.objectives import Objective
from trimtab.errors import InputError
from trimtab.plugins import SCORERS, made, plugin
from trimtab.scoring.base import AnyScorer, Judge, Scorer

__all__ = ["get_any_scorer", "get_scorer", "scorer_label"]


def get_scorer(name: str) -> Scorer:
    """Return the scorer called `name`, which scores at once.

    Raises
    ------
    InputError
        If there is none, it cannot be used, or it is a judge, which has to be waited for.
    """
    found = get_any_scorer(name)
    if isinstance(found, Judge):
        raise InputError(f"the scorer {name!r} is a judge, which is asked in sessions only: use it with trimtab run")
    return found


def get_any_scorer(name: str) -> AnyScorer:
    """Return the scorer or judge called `name`.

    Raises
    ------
    InputError
        If there is none, or it cannot be used.
    """
    one = plugin(SCORERS, name)
    found: AnyScorer = made(one, ("name", "objectives"))
    if not isinstance(found, Judge) and not hasattr(found, "score"):
        raise InputError(
            f"the scorer {name!r} of {one.origin} is unusable: {one.value} makes a {type(found).__name__}, "
            "which has neither score, as a scorer, nor judge and aclose, as a judge"
        )
    if found.name != name:
        raise InputError(
            f"the scorer {name!r} of {one.origin} calls itself {found.name!r:.80}: both should be the same"
        )
    objectives = found.objectives
    if not isinstance(objectives, tuple) or not objectives or not all(isinstance(o, Objective) for o in objectives):
        raise InputError(f"the scorer {name!r} of {one.origin} should have a tuple of objectives, at least one")
    return found


def scorer_label(name: str) -> str:
    """Return the name of a scorer with what it is in a few words, to be shown wherever the name is."""
    says = plugin(SCORERS, name).says
    return f"{name} ({says})" if says else name
