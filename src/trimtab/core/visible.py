"""Text from anywhere, as a terminal may show it: nothing in it is obeyed, and nothing in it is hidden."""

from __future__ import annotations

import json
import re

__all__ = ["escaped", "visible"]

_HIDDEN = (
    "\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Format characters, which turn the direction of a line or take up no room, lone surrogates, and fillers."""

_ON_ONE_LINE = re.compile(f"[\x00-\x1f\x7f-\x9f{_HIDDEN}]")
_ON_LINES = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_HIDDEN}]")
_IN_JSON = re.compile(f"[\x7f-\x9f{_HIDDEN}]")
_PICTURES = 0x2400  # of the control characters, in their order
_DELETE = 0x7F


def visible(text: str, *, lines: bool = False, most: int | None = None) -> str:
    r"""Return `text` with everything that a terminal would obey or not show in a form that can be seen.

    Control characters become their pictures, such as ␛ for an escape; what has no picture becomes ``\x9b`` or
    ``\u202e``. What is left is printed as it is: colours, cursor movements, links and titles need an escape, and a line
    cannot change its direction. Applying it again changes nothing.

    Parameters
    ----------
    lines
        Keep newlines and tabs; otherwise they become visible too.
    most
        Longest line in characters. The rest of a longer one is cut off, and said to be.
    """
    made = (_ON_LINES if lines else _ON_ONE_LINE).sub(_shown, text)
    if most is None:
        return made
    return "\n".join(_bounded(line, most) for line in made.split("\n"))


def escaped(document: str) -> str:
    """Return a JSON document whose strings spell such characters as escapes: it means the same, and is safe to show."""
    return _IN_JSON.sub(lambda found: json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f", document)


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == _DELETE:
        return "␡"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _bounded(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[:most]}… ({len(line) - most:,} more characters)"
