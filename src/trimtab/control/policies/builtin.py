"""The policies that come with the package, as its entry points: keyword parameters are their options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trimtab.control.situation import Policy

__all__ = [
    "best_of_n",
    "fixed",
    "predictive",
    "rate_control",
    "rules",
    "schedule",
    "sequential",
    "simultaneous",
    "thompson",
]


def fixed(*, strategy: str) -> Policy:
    """Use one strategy throughout."""
    from trimtab.control.policies.fixed import Schedule

    return Schedule([strategy], "fixed")


def schedule(*, schedule: str | None = None) -> Policy:
    """Use strategies in an order set before, FFx3,SFx4,EFx3,AI unless told otherwise."""
    from trimtab.control.policies.fixed import Schedule

    return Schedule(schedule)


def rules(*, balanced: str | None = None, margin: float = 1.0, loss: float = 0.5) -> Policy:
    """Follow the paper's adaptive rules: balance, bounds, interference, exploration, exploitation."""
    from trimtab.control.policies.rules import Rules

    return Rules(balanced, margin, loss)


def sequential(*, order: str | None = None) -> Policy:
    """Take one objective after another."""
    from trimtab.control.policies.objectives import Sequential

    return Sequential(order)


def simultaneous() -> Policy:
    """Use the strategy that leads to the greatest utility of all objectives."""
    from trimtab.control.policies.objectives import Simultaneous

    return Simultaneous()


def rate_control(*, behaviour: str = "settled") -> Policy:
    """Use the strategy whose spectrum behaves as wanted: fast, slow, settled, exploring, or a rate."""
    from trimtab.control.policies.rate_control import RateControl

    return RateControl(behaviour)


def best_of_n(*, strategy: str | None = None) -> Policy:
    """Make independent answers to the first iterate while another is worth its cost."""
    from trimtab.control.policies.best_of_n import BestOfN

    return BestOfN(strategy)


def predictive(
    *, hedge: float | None = None, explore: float = 1.0, horizon: int | None = None, draws: int | None = None
) -> Policy:
    """Look ahead with the fitted dynamics, and do what promises most."""
    from trimtab.control.lookahead import Effort
    from trimtab.control.policies.predictive import Predictive

    given = {"horizon": horizon, "draws": draws}
    effort = Effort(**{name: n for name, n in given.items() if n is not None})
    return Predictive(effort=effort, hedge=hedge, explore=explore)


def thompson(*, horizon: int | None = None) -> Policy:
    """Do what is best under one drift drawn from those that the data allow."""
    from trimtab.control.policies.thompson import Thompson

    usual = Thompson()
    return usual if horizon is None else Thompson(replace(usual.effort, horizon=horizon))
