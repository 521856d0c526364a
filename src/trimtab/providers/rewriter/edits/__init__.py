"""The edits of the rewriter: small named changes to a program, each in one of four families."""

from __future__ import annotations

from trimtab.providers.rewriter.edits import (
    accumulations,
    additions,
    careless_additions,
    cleanup,
    extensions,
    hardening_calls,
    hardening_checks,
    hardening_errors,
    loops,
    shortcuts,
    simplify,
    sql,
)
from trimtab.providers.rewriter.edits.base import FAMILIES as FAMILIES
from trimtab.providers.rewriter.edits.base import Edit as Edit
from trimtab.providers.rewriter.edits.base import Family as Family

__all__ = ["EDITS", "FAMILIES", "Edit", "Family"]

#: All edits, in the order in which the documentation lists them.
EDITS: tuple[Edit, ...] = (
    *hardening_calls.EDITS,
    *sql.EDITS,
    *hardening_checks.EDITS,
    *hardening_errors.EDITS,
    *accumulations.EDITS,
    *loops.EDITS,
    *simplify.EDITS,
    *shortcuts.EDITS,
    *extensions.EDITS,
    *additions.EDITS,
    *careless_additions.EDITS,
    *cleanup.EDITS,
)
