"""Bring files into a store: the same rows as `trimtab.store.load.load` reads, with their texts and details."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.records import Iteration, Score, Session
from trimtab.core.trajectories import OK, UNSCORED, Exclusion
from trimtab.errors import InputError, StoreError
from trimtab.ingest.sameness import Fingerprints
from trimtab.scoring.base import Scorer, ScoringContext
from trimtab.scoring.text import score_text
from trimtab.store.base import Experiment, Store
from trimtab.store.columns import Columns
from trimtab.store.imports import IMPORTS, import_entry
from trimtab.store.inference import rescaled
from trimtab.store.layout import candidates_of
from trimtab.store.open import open_store
from trimtab.store.readers import open_file
from trimtab.store.source import Source
from trimtab.store.tables import Loaded, load_table

__all__ = ["ImportReport", "import_files"]

_BATCH = 2_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Parameters
    ----------
    sessions, iterations
        How many were added to the store.
    exclusions
        What was left out, and why.
    notes
        What was assumed, in sentences.
    """

    sessions: int
    iterations: int
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _File:
    """One file's scores in memory; its texts stay in the file until they are written."""

    path: Path
    loaded: Loaded
    extra: tuple[str, ...]
    scored: bool
    exclusions: list[Exclusion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def import_files(
    paths: Sequence[str | Path] | str | Path,
    store: Store | str,
    *,
    columns: Columns | None = None,
    objectives: ObjectiveSpace | Sequence[str | Objective] | None = None,
    scorer: Scorer | None = None,
    keep_scores: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Add the sessions of files to a store.

    All files are read and checked before anything is written. A session whose id the store has already, from before or
    from an earlier file, is left out whole and reported, never merged; importing a file twice adds nothing.

    Parameters
    ----------
    paths
        CSV, Parquet or JSON lines files.
    store
        An open store, or the URL of one, which is made where there is none once all files have been read.
    columns, objectives
        As for `trimtab.store.load.load`. With a scorer and without `keep_scores`, a choice of the scorer's objectives.
    scorer
        Scores every row's text; a row without text is left unscored.
    keep_scores
        With a scorer, keep the scores of the files too, except those that share a name with one of the scorer's.
    progress
        Called with the iterations dealt with so far and the total.

    Raises
    ------
    InputError
        If a file cannot be used, or there is no text to score.
    SourceError
        If a file cannot be read.
    StoreError
        If the store refuses.
    """
    names = columns or Columns()
    given = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
    if not given:
        raise InputError("an import needs at least one file, but none was given")
    wanted = _wanted(objectives)
    chosen = _scorer_objectives(scorer, wanted, keep_scores)
    files = [_read(path, names, wanted, scorer, keep_scores) for path in given]
    with ExitStack() as stack:
        opened = stack.enter_context(closing(open_store(store, create=True))) if isinstance(store, str) else store
        return _write(files, opened, names, scorer, chosen, progress)


def _write(
    files: Sequence[_File],
    store: Store,
    names: Columns,
    scorer: Scorer | None,
    chosen: Sequence[Objective],
    progress: Progress | None,
) -> ImportReport:
    notes = _prepare(store, files, chosen)
    total = sum(file.loaded.trajectories.n_rows for file in files)
    done = sessions = iterations = 0
    for file in files:
        writer = _Writer(file, store, names, scorer, chosen)
        for handled in writer.write():
            done += handled
            if progress is not None:
                progress(done, total)
        sessions, iterations = sessions + writer.sessions, iterations + writer.iterations
        if writer.sessions:
            _remember(store, file, scorer)
    label = len(files) > 1
    exclusions = [
        replace(e, reason=f"{file.path.name}: {e.reason}") if label else e for file in files for e in file.exclusions
    ]
    notes += [f"{file.path.name}: {note}" if label else note for file in files for note in file.notes]
    return ImportReport(sessions, iterations, tuple(exclusions), tuple(notes))


def _wanted(objectives: ObjectiveSpace | Sequence[str | Objective] | None) -> list[str | Objective] | None:
    if objectives is None:
        return None
    asked: list[str | Objective] = [objectives] if isinstance(objectives, (str, Objective)) else list(objectives)
    ObjectiveSpace(asked)  # says what is wrong with them, if anything
    return asked


def _scorer_objectives(
    scorer: Scorer | None, wanted: Sequence[str | Objective] | None, keep_scores: bool
) -> tuple[Objective, ...]:
    if scorer is None:
        return ()
    if wanted is None or keep_scores:
        return scorer.objectives
    known = {objective.name: objective for objective in scorer.objectives}
    named = [(o.name if isinstance(o, Objective) else Objective.parse(o).name, o) for o in wanted]
    unknown = [name for name, _ in named if name not in known]
    if unknown:
        raise InputError(
            f"the scorer {scorer.name!r} scores {', '.join(o.name for o in scorer.objectives)}, but "
            f"{', '.join(unknown)} was asked for; leave the scorer out, or keep the scores of the file too"
        )
    return tuple(rescaled(known[name], asked) for name, asked in named)


def _read(
    path: Path, columns: Columns, wanted: Sequence[str | Objective] | None, scorer: Scorer | None, keep_scores: bool
) -> _File:
    with closing(open_file(path)) as source:
        if scorer is not None and columns.text not in source.names:
            raise InputError(
                f"{path} has no column {columns.text!r} with a text to score; it has "
                f"{', '.join(map(repr, source.names))}; name yours with --text-column"
            )
        replaced = scorer is not None and not keep_scores
        notes: list[str] = []
        if scorer is not None and replaced and (own := _own_scores(source, columns)):
            notes.append(f"The scores in the file ({', '.join(own)}) were replaced by those of {scorer.name!r}.")
        loaded = load_table(source, columns, [] if replaced else wanted, every=True)
        extra = tuple(name for name in (columns.text, "meta") if name in source.names)
    trajectories = loaded.trajectories
    return _File(path, loaded, extra, not replaced, [*trajectories.exclusions], [*trajectories.notes, *notes])


def _own_scores(source: Source, columns: Columns) -> tuple[str, ...]:
    try:
        return candidates_of(source, columns, None).names
    except InputError:
        return ()


def _space(files: Iterable[_File], chosen: Sequence[Objective]) -> tuple[ObjectiveSpace, list[str]]:
    """Return all objectives; a scale inferred from several files is the widest, and the scorer's stand as they are."""
    found: dict[str, Objective] = {}
    notes = []
    for file in files:
        for objective in file.loaded.trajectories.space if file.scored else ():
            known = found.setdefault(objective.name, objective)
            if known != objective:
                wider = replace(known, low=min(known.low, objective.low), high=max(known.high, objective.high))
                found[objective.name] = wider
                notes.append(f"The files suggest different scales for {objective.name}; {wider} is used.")
    for objective in chosen:
        if objective.name in found:
            notes.append(f"{objective.name} is scored anew, so the values in the file were replaced.")
        found[objective.name] = objective
    return ObjectiveSpace(found.values()), notes


def _prepare(store: Store, files: Sequence[_File], chosen: Sequence[Objective]) -> list[str]:
    """Make sure that the store's experiment has every objective of what will be added, and say what that changed.

    Raises
    ------
    StoreError
        If a run filled the store.
    """
    experiment = store.experiment()
    if experiment is not None and "fingerprints" in experiment.settings:
        raise StoreError(
            f"the store {store.url} was filled by a run, and imported sessions would mix with its own; "
            "give another store for the import"
        )
    known = {session.id for session in store.sessions()}
    adding = []
    for file in files:
        ids = set(file.loaded.trajectories.session_ids)
        if ids - known:
            adding.append(file)
            known |= ids
    if not adding:
        return []
    space, notes = _space(adding, chosen)
    if experiment is None:
        store.set_experiment(Experiment(", ".join(file.path.name for file in files), space))
        return notes
    new = [objective for objective in space if objective.name not in experiment.space]
    for objective in space:
        if objective not in new and experiment.space[objective.name] != objective:
            kept = experiment.space[objective.name]
            notes.append(
                f"The store has the scale {kept} for {objective.name}, which stands; the files suggest {objective}."
            )
    if new:
        store.set_experiment(replace(experiment, space=ObjectiveSpace([*experiment.space, *new])))
        notes.append(
            f"Added to the store's objectives: {', '.join(map(str, new))}; what it had before is unscored there."
        )
    return notes


def _remember(store: Store, file: _File, scorer: Scorer | None) -> None:
    """Keep with the store what reading the file left out and assumed, so that every later analysis can say so."""
    experiment = store.experiment()
    if experiment is None:
        return
    entry = import_entry(file.path.name, file.exclusions, file.notes, None if scorer is None else scorer.name)
    entries = [*experiment.settings.get(IMPORTS, ()), entry]
    store.set_experiment(replace(experiment, settings={**experiment.settings, IMPORTS: entries}))


class _Writer:
    """Writes one file's new sessions, batch by batch, and counts."""

    def __init__(
        self, file: _File, store: Store, columns: Columns, scorer: Scorer | None, chosen: Sequence[Objective]
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
                if status[j] == OK:
                    scores.append(Score(name, float(data.scores[row, j])))
                else:
                    scores.append(Score(name, None, "failed", "failed in the source"))
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
