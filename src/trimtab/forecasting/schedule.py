"""Schedules: which strategy each step of a forecast is by."""

from __future__ import annotations

import re
from collections.abc import Collection

from trimtab.errors import InputError

__all__ = ["MOST_STEPS", "parse_schedule"]

MOST_STEPS = 100_000
"""Steps up to which a forecast goes."""

_COUNTED = re.compile(r"(.+?)\s*[x×*]\s*(\d+)", re.DOTALL)
_FORM = 'a schedule is written "FFx3,SFx4,EF": names with their numbers of steps'


def parse_schedule(text: str, known: Collection[str], steps: int | None = None, default: int = 10) -> tuple[str, ...]:
    """Return the strategy of each step of a schedule such as ``"FFx3,SFx4,EFx3"``.

    Each part is a strategy and how many steps it is in force for. The last may be a name alone, which is in force for
    all steps that are left.

    Parameters
    ----------
    known
        Names of the strategies.
    steps
        How many steps there are; None for as many as the schedule has.
    default
        How many there are where nothing says it: `steps` is None, and the schedule ends in a name alone.

    Raises
    ------
    InputError
        If a part cannot be read, a strategy is unknown, or the parts do not make up the steps.

    Examples
    --------
    >>> parse_schedule("FFx1,SFx2", ["FF", "SF"])
    ('FF', 'SF', 'SF')
    >>> parse_schedule("FFx1,SF", ["FF", "SF"], steps=4)
    ('FF', 'SF', 'SF', 'SF')
    """
    parts = [part.strip() for part in text.split(",")]
    taken: list[str] = []
    for k, part in enumerate(parts):
        name, count = _part(part, known, text)
        if count is None:
            if k < len(parts) - 1:
                raise InputError(f"{_FORM}; only the last may be a name alone, but in {text!r} {part!r} is one")
            last = default if steps is None else steps
            count = last - len(taken)
            if count < 1:
                raise InputError(f"{text!r} leaves no step for {name!r}: it has {len(taken)} before, of {last}")
        taken += [name] * count
        if len(taken) > MOST_STEPS:
            raise InputError(f"a forecast goes up to {MOST_STEPS:,} steps, but the schedule {text!r} has more")
    if steps is not None and len(taken) != steps:
        total = "more" if len(taken) > steps else f"only {len(taken)}"
        raise InputError(
            f"{steps} steps are asked for, but the schedule {text!r} has {total}: change one of the two, or let the "
            "schedule end in a name alone, as in FFx3,SFx4,EF"
        )
    return tuple(taken)


def _part(part: str, known: Collection[str], text: str) -> tuple[str, int | None]:
    if part in known:  # also where a name itself ends like a count
        return part, None
    found = _COUNTED.fullmatch(part)
    if not part or (found and not 1 <= int(found[2]) <= MOST_STEPS):
        raise InputError(f"{_FORM}, each from 1 to {MOST_STEPS:,}, but got {text!r}")
    name = found[1] if found else part
    if name not in known:
        raise InputError(f"the schedule {text!r} names {name!r}, but the strategies are {', '.join(known)}")
    return name, int(found[2]) if found else None
