"""Hypothesis strategies for records, and small ones made by hand."""

from __future__ import annotations

from hypothesis import strategies as st

from trimtab.core.objectives import ObjectiveSpace
from trimtab.core.records import Evidence, Iteration, Score, Session
from trimtab.store.base import Experiment

__all__ = ["SPACE", "experiment", "iteration", "iterations", "score", "session"]

SPACE = ObjectiveSpace(["security", "efficiency:0:10", "latency:0:inf:min"])

# Everything that is valid Unicode, NUL included; lone surrogates are refused and tested by themselves.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
metas = st.dictionaries(texts, json_values, max_size=3)
evidences = st.lists(st.builds(Evidence, texts, finite, st.none() | st.integers(1, 10**6), texts), max_size=3).map(
    tuple
)


@st.composite
def scores(draw: st.DrawFn) -> tuple[Score, ...]:
    """Any subset of objectives, any repeats, missing and failed ones among them."""
    places = draw(st.lists(st.tuples(st.sampled_from(SPACE.names), st.integers(0, 3)), unique=True, max_size=6))
    found = []
    for objective, repeat in places:
        status = draw(st.sampled_from(["ok", "unscored", "failed"]))
        value = draw(finite) if status == "ok" else None
        found.append(Score(objective, value, status, draw(texts), draw(evidences), repeat))
    return tuple(found)


def iterations(session_id: str) -> st.SearchStrategy[list[Iteration]]:
    """Iterations of one session at distinct t, in any order."""
    one = st.builds(
        Iteration,
        session_id=st.just(session_id),
        index=st.integers(0, 50) | st.integers(0, 2**63 - 1),
        strategy=texts,
        artefact=st.none() | texts,
        scores=scores(),
        status=st.sampled_from(["ok", "failed"]),
        reason=texts,
        answer=st.none() | texts,
        extraction=texts,
        meta=metas,
    )
    return st.lists(one, max_size=5, unique_by=lambda record: record.index)


def experiment(**settings: object) -> Experiment:
    return Experiment("test", SPACE, settings)


def session(session_id: str = "EF/a/0", **fields: object) -> Session:
    return Session(session_id, **{"task_id": "a", "strategy": "EF", **fields})


def score(objective: str, value: float | None, repeat: int = 0, status: str = "ok", reason: str = "") -> Score:
    return Score(objective, value, status, reason, repeat=repeat)


def iteration(session_id: str = "EF/a/0", index: int = 0, *scores: Score, **fields: object) -> Iteration:
    given = scores or tuple(score(name, float(index + j)) for j, name in enumerate(SPACE.names))
    return Iteration(session_id, index, **{"strategy": "EF", "artefact": "x = 1\n", "scores": given, **fields})
