"""Registry: every policy by name, with its options."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from trimtab.control.lookahead import Effort
from trimtab.control.policies.best_of_n import BestOfN
from trimtab.control.policies.fixed import PAPER, Schedule
from trimtab.control.policies.objectives import Sequential, Simultaneous
from trimtab.control.policies.predictive import Predictive
from trimtab.control.policies.rate_control import RateControl
from trimtab.control.policies.rules import Rules
from trimtab.control.policies.thompson import Thompson
from trimtab.control.situation import Policy
from trimtab.errors import InputError

__all__ = ["POLICIES", "make_policy", "read_policy"]


@dataclass(frozen=True)
class _Kind:
    """A kind of policy: what it does, what makes one, and how each option is read."""

    says: str
    make: Callable[..., Policy]
    options: Mapping[str, Callable[[Any], Any]]
    required: tuple[str, ...] = ()


def _whole(value: Any) -> int:
    number = float(value)
    if number != int(number) or number < 1:
        raise ValueError
    return int(number)


_KINDS: dict[str, _Kind] = {
    "fixed": _Kind(
        "one strategy throughout", lambda strategy: Schedule([strategy], "fixed"), {"strategy": str}, ("strategy",)
    ),
    "schedule": _Kind(
        f"strategies in an order set before, {PAPER} unless told otherwise", lambda schedule=None: Schedule(schedule),
        {"schedule": str},
    ),
    "rules": _Kind(
        "the paper's adaptive rules: balance, bounds, interference, exploration, exploitation", Rules,
        {"balanced": str, "margin": float, "loss": float},
    ),
    "sequential": _Kind("one objective after another", Sequential, {"order": str}),
    "simultaneous": _Kind("the strategy that leads to the greatest utility of all objectives", Simultaneous, {}),
    "rate_control": _Kind(
        "the strategy whose spectrum behaves as wanted: fast, slow, settled, exploring, or a rate", RateControl,
        {"behaviour": str},
    ),
    "best_of_n": _Kind(
        "independent answers to the first iterate while another is worth its cost", BestOfN, {"strategy": str}
    ),
    "predictive": _Kind(
        "look ahead with the fitted dynamics, and do what promises most",
        lambda hedge=None, **effort: Predictive(effort=Effort(**effort), hedge=hedge),
        {"hedge": float, "horizon": _whole, "draws": _whole},
    ),
    "thompson": _Kind(
        "do what is best under one drift drawn from those that the data allow",
        lambda **effort: Thompson(replace(Thompson().effort, **effort)), {"horizon": _whole},
    ),
}  # fmt: skip

POLICIES: Mapping[str, str] = MappingProxyType({name: kind.says for name, kind in _KINDS.items()})
"""What each policy does, by name."""

_NEXT = re.compile(r",(?=\s*[a-z_]+\s*=)")


def make_policy(name: str, /, **options: Any) -> Policy:
    """Return the policy called `name`.

    Parameters
    ----------
    options
        As values or as texts, such as ``horizon=5`` or ``horizon="5"``.

    Raises
    ------
    InputError
        If there is no such policy or option, one is missing, or a value cannot be used.

    Examples
    --------
    >>> make_policy("schedule", schedule="FFx3,SF").name
    'schedule'
    """
    if name not in _KINDS:
        raise InputError(f"there is no policy {name!r:.80}; there are {', '.join(_KINDS)}")
    kind = _KINDS[name]
    unknown = [option for option in options if option not in kind.options]
    if unknown:
        known = ", ".join(kind.options) or "none"
        raise InputError(f"the policy {name!r} has no option {unknown[0]!r:.80}; its options are: {known}")
    missing = [option for option in kind.required if option not in options]
    if missing:
        raise InputError(f"the policy {name!r} needs the option {missing[0]!r}, as in {name}:{missing[0]}=VALUE")
    read = {}
    for option, value in options.items():
        try:
            read[option] = kind.options[option](value)
        except (TypeError, ValueError, OverflowError):
            what = "a whole number from 1" if kind.options[option] is _whole else "a number"
            raise InputError(f"the option {option!r} of {name!r} is {what}, but got {value!r:.80}") from None
    return kind.make(**read)


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
