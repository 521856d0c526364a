"""What to know before reading a forecast, said in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.estimation.cautions import CANNOT_IDENTIFY
from trimtab.forecasting.loops import Loop

__all__ = ["of_coarse", "of_radius", "of_verdict", "unidentified"]

_VERDICTS = {
    "noise": "its scores are independent draws about one level, so that its forecast is a flat band, which more "
    "iterations do not move",
    "static level": "each of its sessions keeps a level of its own, so that a session's best forecast is that level, "
    "and not the common one to which the forecast here leads",
    "trend": "its scores are independent draws about a level that moves alike in all sessions, and nothing says where "
    "that goes on to",
    "undetermined": "the data do not show whether there are dynamics at all, so that its forecast is a guess",
}


def of_verdict(label: str, reasons: Sequence[str]) -> tuple[str, ...]:
    """Return what a verdict other than dynamics means for a forecast."""
    if label == "dynamics":
        return ()
    why = f" ({'; '.join(reasons)})" if reasons else ""
    said = _VERDICTS.get(label, "it has no dynamics")
    return (f"verdict {label}: {said}{why}",)


def of_coarse(chosen: str, says: str) -> tuple[str, ...]:
    """Return what it means that another model than an affine step describes the loop better."""
    if chosen == "affine":
        return ()
    return (f"its steps are not affine, as a forecast takes them to be: {says.rstrip('.')}",)


def of_radius(loop: Loop) -> tuple[str, ...]:
    """Return a warning of a loop that does not converge."""
    if not loop.radius >= 1:
        return ()
    return (
        f"its loop does not converge (the largest multiplier is {loop.radius:.3g}): only bounds, where there are any, "
        "keep its paths",
    )


def unidentified(warnings: Sequence[str]) -> str:
    """Return why a strategy without a drift has none."""
    return next((text for text in warnings if CANNOT_IDENTIFY in text), CANNOT_IDENTIFY)
