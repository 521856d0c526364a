"""How much memory a Python program of its own takes, as source text for the program."""

from __future__ import annotations

__all__ = ["MEGABYTES"]

# Not resource.getrusage: a child's peak there begins at what its parent held when it was forked.
MEGABYTES = """
def megabytes(what):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":"))
"""
"""Defines ``megabytes("VmRSS")``, what is held now, and ``megabytes("VmHWM")``, the most that ever was. Linux only."""
