"""Text for people: numbers with sensible digits, and strings made safe for figures and scripts."""

from __future__ import annotations

import math
import re
import unicodedata

from trimtab.core.objectives import Objective
from trimtab.estimation.results import Estimate

__all__ = [
    "UNKNOWN",
    "bounds",
    "brief",
    "decimals_for",
    "fixed",
    "interval",
    "number",
    "p_value",
    "percent",
    "plain",
    "scale_decimals",
    "script_json",
    "shorten",
]

UNKNOWN = "–"

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})
_SCRIPT = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})
_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]*@")


def fixed(value: float, decimals: int) -> str:
    """Return `value` with a fixed number of decimals, a true minus sign, and ∞ or – where it is no number."""
    if not math.isfinite(value):
        return number(value)
    text = f"{value:,.{decimals}f}"
    # A rounded zero has no sign.
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


def number(value: float, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits, a true minus sign, ∞ for infinity and – for unknown."""
    value = float(value)
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size > 6:
        return f"{value:.{digits - 1}e}".replace("e+0", "e").replace("e-0", "e-").replace("-", "−")
    return fixed(value, max(0, digits - 1 - size))


def brief(value: float) -> str:
    """Return a value that scores take, such as 0.25 or 5, in as few characters as tell it from others."""
    return number(value) if not math.isfinite(value) else f"{value:.3g}".replace("-", "−")


def decimals_for(*widths: float) -> int:
    """Return the decimals that the smallest positive finite half-width deserves, 0 to 4.

    It shows one significant digit, or two if the first is a 1.
    """
    finite = [width for width in widths if math.isfinite(width) and width > 0]
    if not finite:
        return 2
    size = math.floor(math.log10(min(finite)))
    return min(4, max(0, -size + (min(finite) < 2 * 10.0**size)))


def bounds(estimate: Estimate, decimals: int | None = None) -> tuple[str, str]:
    """Return an estimate and its interval ``[low, high]`` with the same decimals; the latter is empty if unknown.

    Decimals not given follow from the width of the interval.
    """
    value, low, high = float(estimate), estimate.low, estimate.high
    if math.isnan(low) or math.isnan(high) or not math.isfinite(value):
        return number(value) if decimals is None else fixed(value, decimals), ""
    if max(abs(v) for v in (value, low, high) if math.isfinite(v)) >= 1e6:
        return number(value), f"[{number(low)}, {number(high)}]"
    decimals = decimals_for(value - low, high - value) if decimals is None else decimals
    return fixed(value, decimals), f"[{fixed(low, decimals)}, {fixed(high, decimals)}]"


def interval(estimate: Estimate, decimals: int | None = None) -> str:
    """Return ``estimate [low, high]``, the number alone where the interval is unknown."""
    return " ".join(filter(None, bounds(estimate, decimals)))


def scale_decimals(objective: Objective) -> int | None:
    """Return the decimals that resolve a thousandth of an objective's scale or less; None where it is open."""
    if not objective.bounded:
        return None
    return min(4, max(0, 3 - math.ceil(math.log10(objective.high - objective.low))))


def percent(share: float) -> str:
    """Return a share as a percentage; a small but positive one is never shown as zero, nor a large one as whole."""
    if not math.isfinite(share):
        return UNKNOWN
    if 0 < share <= 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.0%}"


def p_value(p: float) -> str:
    """Return a p-value with two significant digits, or ``< 0.001``."""
    if not math.isfinite(p):
        return UNKNOWN
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def shorten(text: object, limit: int) -> str:
    """Return `text` on one line of at most `limit` characters, without control characters or passwords of URLs."""
    whole = str(text)[: 4 * limit]
    kept = "".join(c if unicodedata.category(c) != "Cc" else " " for c in whole if c not in _BIDI)
    one_line = " ".join(_PASSWORD.sub(r"\1:***@", kept).split())
    return one_line if len(one_line) <= limit else one_line[: limit - 1].rstrip() + "…"


def plain(text: object, limit: int = 40) -> str:
    """Return `text` so that plotly draws it as it is, shortened to `limit` characters.

    Plotly reads a subset of HTML (tags such as ``<b>`` and ``<a href>``, entities) and TeX between dollar signs in
    every string it draws; with ``&``, ``<``, ``>`` and ``$`` as entities none is left to read. Such strings must still
    not be made part of a hover or text *template*, in which ``%{...}`` is replaced.
    """
    return shorten(text, limit).translate(_ENTITIES)


def script_json(document: str) -> str:
    r"""Return a JSON document in a form that cannot leave the ``<script>`` element it is put in.

    The characters ``<``, ``>`` and ``&`` occur in JSON only within strings, where ``\u003c`` and so on say the same.
    """
    return document.translate(_SCRIPT)
