"""Write the rows of one file to a store, in batches and each session whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.core.objectives import Objective
from trimtab.core.records import Iteration, Score, Session
from trimtab.core.trajectories import OK, UNSCORED, Exclusion
from trimtab.ingest.sameness import Fingerprints
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.text import score_text
from trimtab.store.base import Store
from trimtab.store.columns import Columns
from trimtab.store.readers import open_file
from trimtab.store.tables import Loaded

__all__ = ["FileScores", "Writer"]

_BATCH = 2_000


@dataclass(slots=True)
class FileScores:
    """One file's scores in memory; its texts stay in the file until they are written."""

    path: Path
    loaded: Loaded
    extra: tuple[str, ...]
    scored: bool
    exclusions: list[Exclusion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Writer:
    """Writes one file's new sessions, batch by batch, and counts."""

    def __init__(
        self, file: FileScores, store: Store, columns: Columns, scorer: Scorer | None, chosen: Sequence[Objective]
    ) -> None:
        self.sessions = self.iterations = 0
        self._file, self._store, self._columns, self._scorer = file, store, columns, scorer
        self._chosen = frozenset(objective.name for objective in chosen)
        self._unscored: Counter[str] = Counter()
        self._bad_meta: list[str] = []
        self._trajectories = file.loaded.trajectories
        self._labels = self._trajectories.covariates
        self._names = self._trajectories.space.names

    def write(self) -> Iterator[int]:
        """Write, yielding the number of iterations dealt with after each batch."""
        data = self._trajectories
        taken = {session.id for session in self._store.sessions()} & set(data.session_ids)
        compared = [name for name in data.space.names if name not in self._chosen] if self._file.scored else []
        prints = Fingerprints(compared)
        owner = data.session
        starts = data.offsets[:-1]
        known = np.array([session_id in taken for session_id in data.session_ids], dtype=bool)
        start = 0
        for batch in self._batches():
            records: list[Iteration] = []
            for row, text, meta in zip(range(start, start + len(batch)), *zip(*batch, strict=True), strict=True):
                session = int(owner[row])
                if known[session]:
                    prints.add_new(data.session_ids[session], self._plain(row, session, text))
                else:
                    records.append(self._record(row, session, text, meta))
            first, last = np.searchsorted(starts, [start, start + len(batch)])
            new = [self._session(s) for s in range(int(first), int(last)) if not known[s]]
            if new:
                self.sessions += self._store.add_sessions(new)
            if records:
                self._store.extend(records)
                self.iterations += len(records)
            start += len(batch)
            yield len(batch)
        self._report(taken, prints)

    def _batches(self) -> Iterator[list[tuple[str | None, str | None]]]:
        rows, extra = self._file.loaded.row, self._file.extra
        if not extra:
            for start in range(0, len(rows), _BATCH):
                yield [(None, None)] * len(rows[start : start + _BATCH])
            return
        at = {name: i for i, name in enumerate(extra)}
        text, meta = at.get(self._columns.text), at.get("meta")
        with closing(open_file(self._file.path)) as source:
            for batch in source.batches(extra, rows, _BATCH):
                if batch:
                    yield [(None if text is None else r[text], None if meta is None else r[meta]) for r in batch]

    def _session(self, session: int) -> Session:
        data = self._trajectories
        return Session(
            id=data.session_ids[session],
            task_id=self._label("task_id", session),
            strategy=data.strategies[data.strategy[data.offsets[session]]],
            model=self._label("model", session),
            meta={"file": self._file.path.name},
        )

    def _label(self, name: str, session: int) -> str:
        return self._labels[name][session] if name in self._labels else ""

    def _plain(self, row: int, session: int, text: str | None) -> Iteration:
        """Return the row as the file has it, before any scoring."""
        data = self._trajectories
        scores = []
        if self._file.scored:
            status = data.status[row]
            for j in np.flatnonzero(status != UNSCORED).tolist():
                name = self._names[j]
                if status[j] != OK:
                    scores.append(Score(name, None, "failed", "failed in the source"))
                elif data.judgements is None:
                    scores.append(Score(name, float(data.scores[row, j])))
                else:
                    given = data.judgements[row, j]
                    scores += [
                        Score(name, float(given[k]), repeat=k) for k in np.flatnonzero(np.isfinite(given)).tolist()
                    ]
        return Iteration(
            session_id=data.session_ids[session],
            index=int(data.iteration[row]),
            strategy=data.strategies[data.strategy[row]],
            artefact=text,
            scores=tuple(scores),
        )

    def _record(self, row: int, session: int, text: str | None, meta: str | None) -> Iteration:
        record = replace(self._plain(row, session, text), meta=self._meta(meta, row))
        if self._scorer is None:
            return record
        own = tuple(score for score in record.scores if score.objective not in self._chosen)
        if text is None:
            self._unscored["no text"] += 1
            reason = "the source holds no text here"
            return replace(
                record, scores=(*own, *(Score(name, None, "unscored", reason) for name in sorted(self._chosen)))
            )
        scored = score_text(text, self._scorer, ScoringContext(task_id=self._label("task_id", session)))
        failure = next((score for score in scored.scores if score.status != "ok"), None)
        if failure is not None:
            self._unscored[_kind(failure.reason)] += 1
        return replace(
            record,
            artefact=scored.program,
            answer=None if scored.program == text else text,
            extraction=scored.method,
            scores=(*own, *(score for score in scored.scores if score.objective in self._chosen)),
            status="ok" if failure is None else "failed",
            reason="" if failure is None else failure.reason,
        )

    def _meta(self, text: str | None, row: int) -> dict[str, Any]:
        if text is None or not text.strip():
            return {}
        try:
            found = json.loads(text)
            json.dumps(found, allow_nan=False)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        if found is not None or text.strip() != "null":
            self._bad_meta.append(f"row {int(self._file.loaded.row[row]) + 1}")
        return {}

    def _report(self, taken: frozenset[str] | set[str], prints: Fingerprints) -> None:
        leave_out = self._file.exclusions.append
        for reason, count in sorted(self._unscored.items(), key=lambda item: (-item[1], item[0])):
            leave_out(Exclusion(f"text not scored on every objective: {reason}", count, "rows"))
        if self._bad_meta:
            reason = "the meta is no JSON object of plain values, so it was left out"
            leave_out(Exclusion(reason, len(self._bad_meta), "rows", tuple(self._bad_meta[:3])))
        if not taken:
            return
        same, other = prints.compare(self._store, [i for i in self._trajectories.session_ids if i in taken])
        for reason, found in (
            ("in the store already, with the same contents; not added again", same),
            ("in the store already, with other contents; not added and not merged", other),
        ):
            if found:
                leave_out(Exclusion(reason, len(found), "sessions", tuple(found[:3])))
        if not self.sessions:
            self._file.notes.append("Every session was in the store already: nothing was added.")
        if other:
            self._file.notes.append(
                "Sessions of the same id but with other contents may come from another experiment or from an import "
                "that was interrupted: give them other ids, or import into a new store."
            )


def _kind(reason: str) -> str:
    """Return the part of a reason that does not differ from text to text."""
    return reason.split(" on line")[0].split(":")[0]
