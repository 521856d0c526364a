"""How the sentences of an audit write numbers and names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trimtab.core.visible import visible

__all__ = ["listed", "named", "number", "p_text", "percent", "plain", "span"]

_MOST = 3
_LONGEST = 40


def p_text(p: float) -> str:
    """Return ``p = 0.03`` or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def number(value: float) -> str:
    """Return `value` with as many digits as matter."""
    if not np.isfinite(value):
        return "unknown" if np.isnan(value) else "infinite"
    if value != 0 and (abs(value) < 0.01 or abs(value) >= 1e5):
        return f"{value:.2g}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percent(share: float) -> str:
    """Return a share as per cent, with a decimal where it is small."""
    return f"{share:.0%}" if share == 0 or abs(share) >= 0.0995 else f"{share:.1%}"


def span(low: float, high: float, *, shares: bool = False) -> str:
    """Return ``(0.1 to 0.3)`` with a space before it, or nothing where there is no interval."""
    if np.isnan(low) or np.isnan(high):
        return ""
    write = percent if shares else number
    return f" ({write(low)} to {write(high)})"


def plain(text: str) -> str:
    """Return `text` on one line, in which whatever a terminal would obey or hide can be seen."""
    return visible(text)


def named(name: str) -> str:
    """Return a name from the data in quotes, shortened and on one line."""
    clean = plain(name)
    return f"'{clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + '…'}'"


def listed(items: Sequence[str]) -> str:
    """Return the first few items, and how many more there are."""
    shown, more = list(items[:_MOST]), len(items) - _MOST
    if more > 0:
        return ", ".join(shown) + f" and {more} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
