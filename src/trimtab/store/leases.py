"""Leases: which process works on which session, and whether it still lives.

A lease is held by an owner until it expires by the clock of the database. An owner's name says which process it is, so
that a process on the same machine sees at once that another has died, and need not wait for its leases to expire.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trimtab.errors import LeaseError

__all__ = ["Lease", "is_gone", "new_owner", "taken_over"]


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on a session.

    Parameters
    ----------
    session_id
        The session.
    owner
        Name of the owner, from `new_owner`.
    seconds
        Until it expires; negative where it has expired and nobody has taken the session over yet.
    """

    session_id: str
    owner: str
    seconds: float

    @property
    def host(self) -> str:
        """The machine of the owner."""
        return self.owner.split(":")[0]

    @property
    def process(self) -> int:
        """The owner's process on that machine; 0 where the name says none."""
        number = [*self.owner.split(":"), ""][1]
        return int(number) if number.isdecimal() else 0

    @property
    def alive(self) -> bool:
        """False where the lease has expired or its owner is seen to have died."""
        return self.seconds > 0 and not is_gone(self.owner)


def new_owner() -> str:
    """Return a name that nobody else has: ``host:process:its start:place:chance``.

    The place stands for this machine since it booted, and for what processes can be seen on it: names of processes can
    be compared only where it is the same.
    """
    host = socket.gethostname().replace(":", "-") or "localhost"
    return ":".join((host, str(os.getpid()), _start_of(os.getpid()) or "?", _place(), secrets.token_hex(4)))


def is_gone(owner: str) -> bool:
    """Tell whether the process behind an owner's name has ended; False where that cannot be seen from here.

    >>> is_gone(new_owner()), is_gone("elsewhere:1:2:3:4")
    (False, False)
    """
    parts = owner.split(":")
    if len(parts) != 5 or parts[3] != _place() or not parts[1].isdecimal() or parts[2] == "?":
        return False
    process = int(parts[1])
    try:
        os.kill(process, 0)  # sends nothing; other users' processes may be hidden, but not from this
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return _start_of(process) not in ("", parts[2])


def _start_of(process: int) -> str:
    """Return when a process started, in the kernel's ticks; "over" where it has ended, "" where it cannot be seen."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name of the program, in brackets, may hold anything. A process may have ended and not been collected yet.
    state, *numbers = fields.rpartition(")")[2].split()
    return "over" if state in "ZX" else numbers[18]


def taken_over(session_id: str) -> LeaseError:
    """Return the error of a write by an owner whose lease another has."""
    return LeaseError(
        f"session {session_id!r} was taken over by another process, because this one did not renew its lease in time; "
        "nothing was written"
    )


@cache
def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        seen = str(Path("/proc/self/ns/pid").readlink())
    except (OSError, UnicodeDecodeError):
        return secrets.token_hex(4)
    return hashlib.blake2b(f"{boot} {seen}".encode(), digest_size=4).hexdigest()
