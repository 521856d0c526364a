"""The door for providers, scorers and policies: entry points of installed packages, trimtab's own among them.

Nothing is imported before it is used. A plugin that cannot be imported stands in nobody's way but that of whoever asks
for it, and a name that two packages claim belongs to neither.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from trimtab.errors import InputError, TrimtabError

__all__ = ["GROUPS", "POLICIES", "PROVIDERS", "SCORERS", "Plugin", "made", "plugin", "plugins"]

PROVIDERS = "trimtab.providers"
SCORERS = "trimtab.scorers"
POLICIES = "trimtab.policies"

GROUPS = {PROVIDERS: "provider", SCORERS: "scorer", POLICIES: "policy"}
"""Each group of entry points, and what one of it is called."""

_LONGEST_SAID = 300


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point, not imported yet.

    Parameters
    ----------
    group, name
        Where it is registered, and as what.
    value
        What it points to, as ``module:attribute``.
    distribution, version
        The installed package that brings it.
    clash
        The other packages that register the same name; it can then be used from none of them.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str
    clash: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What it is, in a word."""
        return GROUPS[self.group]

    @property
    def origin(self) -> str:
        """The package that brings it, with its version."""
        return f"{self.distribution} {self.version}".strip()

    def load(self) -> Callable[..., Any]:
        """Import what the entry point names.

        Raises
        ------
        InputError
            If two packages claim the name, the import fails in any way, or what is found cannot be called.
        """
        if self.clash:
            claimed = " and ".join((self.origin, *self.clash))
            raise InputError(f"the {self.kind} {self.name!r} is claimed by {claimed}: uninstall all of them but one")
        try:
            found: object = EntryPoint(self.name, self.value, self.group).load()
        except (Exception, SystemExit) as error:  # a module of others may do anything when it is imported
            raise InputError(
                f"the {self.kind} {self.name!r} of {self.origin} cannot be imported: {_said(error)}"
            ) from error
        if not callable(found):
            raise InputError(
                f"the {self.kind} {self.name!r} of {self.origin} should be something to call, but {self.value} is "
                f"of type {type(found).__name__}"
            )
        return found

    @property
    def says(self) -> str:
        """What it is in a few words: the first line of its docstring, without the full stop; "" where it has none.

        Raises
        ------
        InputError
            See `load`.
        """
        return (inspect.getdoc(self.load()) or "").strip().partition("\n")[0].strip().removesuffix(".")[:_LONGEST_SAID]


def plugins(group: str) -> Mapping[str, Plugin]:
    """Return all plugins of a group by name, in the order of their names."""
    return _found(group, tuple(sys.path))


@lru_cache(maxsize=16)
def _found(group: str, path: tuple[str, ...]) -> Mapping[str, Plugin]:
    """Return the plugins that can be seen from `path`, which is `sys.path`: looking takes some milliseconds."""
    claims: dict[str, dict[tuple[str, str], Plugin]] = {}
    for entry in entry_points(group=group):
        name, version = (entry.dist.name, entry.dist.version) if entry.dist else ("an unnamed package", "")
        one = Plugin(group, entry.name, entry.value, name, version)
        claims.setdefault(entry.name, {}).setdefault((name, entry.value), one)
    found = {}
    for name in sorted(claims):
        first, *others = claims[name].values()
        clash = tuple(other.origin for other in others)
        found[name] = Plugin(group, name, first.value, first.distribution, first.version, clash)
    return found


def plugin(group: str, name: str) -> Plugin:
    """Return the plugin of a group that is called `name`, without importing it.

    Raises
    ------
    InputError
        If there is none.
    """
    known = plugins(group)
    if name in known:
        return known[name]
    if not any(one.distribution == "trimtab" for one in known.values()):
        raise InputError(
            f"no {GROUPS[group]} is called {name!r:.80}, and not even trimtab's own are registered: "
            "trimtab must be installed, for example by pip install, and not merely lie on the path"
        )
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(f"no {GROUPS[group]} is called {name!r:.80}; there are {', '.join(known)}{hint}")


def made(one: Plugin, needs: tuple[str, ...], *arguments: Any, **options: Any) -> Any:
    """Return what the plugin's factory makes of its arguments, if that has the attributes that it `needs`.

    Raises
    ------
    InputError
        If it cannot be imported or made, or lacks an attribute. What the factory says on purpose is left as it is.
    """
    factory = one.load()
    try:
        found = factory(*arguments, **options)
    except TrimtabError:
        raise
    except Exception as error:  # a factory of others may raise anything
        raise InputError(f"the {one.kind} {one.name!r} of {one.origin} cannot be made: {_said(error)}") from error
    lacking = [name for name in needs if not hasattr(found, name)]
    if lacking:
        raise InputError(
            f"the {one.kind} {one.name!r} of {one.origin} is unusable: {one.value} makes a {type(found).__name__}, "
            f"which has no {' and no '.join(lacking)}"
        )
    return found


def _said(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _LONGEST_SAID else text[:_LONGEST_SAID] + "..."
