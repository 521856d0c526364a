"""Policies by name and options: the entry points of the group ``trimtab.policies``, see `trimtab.plugins`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from trimtab.control.situation import Policy
from trimtab.errors import InputError
from trimtab.plugins import POLICIES, made, plugin

__all__ = ["make_policy", "read_policy"]

_NEXT = re.compile(r",(?=\s*[a-z_]+\s*=)")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _whole(value: Any) -> int:
    number = float(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _truth(value: Any) -> bool:
    return _TRUTH[str(value).strip().lower()]


_READ: Mapping[str, tuple[str, Callable[[Any], Any]]] = MappingProxyType(
    {"bool": ("true or false", _truth), "int": ("a whole number", _whole), "float": ("a number", float)}
)
"""What an option should be and how its text is read, by the type of its parameter; other types get it as it is."""


def make_policy(name: str, /, **options: Any) -> Policy:
    """Return the policy called `name`.

    Parameters
    ----------
    options
        As values or as texts, such as ``horizon=5`` or ``horizon="5"``: the keyword parameters of the policy's factory.
        A text is read as its parameter's annotation says: ``int``, ``float`` or ``bool``, with or without ``None``.

    Raises
    ------
    InputError
        If there is no such policy or option, one is missing, or a value cannot be used.

    Examples
    --------
    >>> make_policy("schedule", schedule="FFx3,SF").name
    'schedule'
    """
    one = plugin(POLICIES, name)
    factory = one.load()
    known = _options(factory)
    if known is not None:
        unknown = [option for option in options if option not in known]
        if unknown:
            there = ", ".join(known) or "none"
            raise InputError(f"the policy {name!r} has no option {unknown[0]!r:.80}; its options are: {there}")
        missing = [option for option, parameter in known.items() if parameter.default is parameter.empty]
        if missing := [option for option in missing if option not in options]:
            raise InputError(f"the policy {name!r} needs the option {missing[0]!r}, as in {name}:{missing[0]}=VALUE")
    read = {
        option: _read(name, option, value, _kind(known[option].annotation) if known else "")
        for option, value in options.items()
    }
    found: Policy = made(one, ("name", "choose"), **read)
    return found


def read_policy(text: str) -> Policy:
    """Return the policy that a text such as ``predictive:horizon=3,hedge=0.2`` names.

    >>> read_policy("schedule:schedule=FFx3,SFx4,EF").name
    'schedule'
    """
    name, _, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in _NEXT.split(rest) if rest.strip() else []:
        option, equals, value = part.partition("=")
        option = option.strip()
        if not equals or option in options:
            raise InputError(f"a policy is written NAME[:OPTION=VALUE,...], each option once, but got {text!r:.200}")
        options[option] = value.strip()
    return make_policy(name.strip(), **options)


def _options(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """Return the parameters that can be given by name; None where they are not known, or any name will do."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return None
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return None
    return {name: one for name, one in parameters.items() if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}


def _kind(annotation: Any) -> str:
    """Return the name of the one type that an annotation allows, None aside: ``"float"`` for ``float | None``."""
    words = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return " | ".join(word for part in words.split("|") if (word := part.strip()) != "None")


def _read(policy: str, option: str, value: Any, kind: str) -> Any:
    if kind not in _READ or value is None:
        return value
    what, read = _READ[kind]
    try:
        return read(value)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(f"the option {option!r} of {policy!r} is {what}, but got {value!r:.80}") from None
