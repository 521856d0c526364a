"""Runs of the embedded rewriter in the working folder, and replays of them under a scorer that measures length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.core.records import Iteration
from trimtab.sessions.config import load_config
from trimtab.sessions.experiment import run_experiment
from trimtab.sessions.progress import Outcome
from trimtab.store.open import open_store

LENGTH = """
    from trimtab.core.objectives import Objective
    from trimtab.core.records import Score

    class Length:
        name = "length"
        objectives = (Objective("length", 0, 1e6), Objective("lines", 0, 1e5))
        def score(self, artefact, context):
            return Score("length", float(len(artefact))), Score("lines", float(len(artefact.splitlines())))
"""


def run(out: str, **given: Any) -> Outcome:
    return run_experiment(load_config({"out": out, **given}))


def followed(out: str, recording: str = "a", **given: Any) -> Outcome:
    return run(out, provider="replay", recording=recording, **{"scorers": "length", **given})


def url(out: str) -> str:
    return f"sqlite:///{out}/trimtab.db"


def records(out: str) -> list[Iteration]:
    store = open_store(url(out))
    found = sorted(store.iterations(), key=lambda one: (one.session_id, one.index))
    store.close()
    return found


def course(found: Sequence[Iteration]) -> list[tuple[object, ...]]:
    """Return what iterations are apart from their scores."""
    return [
        (r.session_id, r.index, r.strategy, r.base, r.status, r.reason, r.artefact, r.answer, r.extraction)
        for r in found
    ]


def settings_of(out: str) -> Mapping[str, Any]:
    store = open_store(url(out))
    found = store.experiment()
    store.close()
    assert found is not None
    return found.settings


def lengths(record: Iteration) -> dict[str, float]:
    text = record.artefact or ""
    return {"length": len(text), "lines": len(text.splitlines())}
