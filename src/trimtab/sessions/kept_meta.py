"""What a run keeps in the meta of an iteration, checked where it goes by it: others may have written to it since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from trimtab.core.records import Iteration
from trimtab.errors import StoreError
from trimtab.sessions.kept_settings import Part, said

__all__ = ["meta_of"]


class _Decision(Part):
    action: str = "continue"
    reason: str = ""


class _Fired(Part):
    trigger: str
    action: str
    probability: float
    says: str


class _Call(Part):
    action: str
    says: str = ""


class _Watch(Part):
    fired: list[_Fired]
    call: _Call | None = None


class _Answer(Part):
    action: str


class _Meta(Part):
    """What is relied on. The words are those of `trimtab.sessions.watch`."""

    decision: _Decision | None = None
    watch: _Watch | None = None
    answers: list[_Answer] | None = None
    webhook: dict[str, Any] | None = None


_KEYS = {*_Meta.model_fields}


def meta_of(record: Iteration) -> Mapping[str, Any]:
    """Return the meta of an iteration of a run; ``StoreError`` where what the run goes by was spoiled."""
    if not _KEYS.isdisjoint(record.meta):
        try:
            _Meta.model_validate(record.meta)
        except ValidationError as error:
            raise StoreError(
                f"the meta of iteration {record.index} of session {record.session_id!r:.200} cannot be used: "
                f"{said(error.errors()[0])}. It was changed, or written by another version of trimtab: restore the "
                "store from a copy"
            ) from error
    return record.meta
