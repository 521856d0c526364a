"""Bring files into a store: the same rows as `trimtab.store.load.load` reads, with their texts and details."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.core.objectives import Objective, ObjectiveSpace
from trimtab.core.trajectories import Exclusion
from trimtab.errors import InputError, StoreError
from trimtab.ingest.writer import FileScores, Writer
from trimtab.scoring.base import Scorer
from trimtab.store.base import Experiment, Store
from trimtab.store.columns import Columns
from trimtab.store.imports import IMPORTS, import_entry
from trimtab.store.inference import rescaled
from trimtab.store.layout import candidates_of
from trimtab.store.open import open_store
from trimtab.store.readers import open_file
from trimtab.store.source import Source
from trimtab.store.tables import load_table

__all__ = ["ImportReport", "import_files"]

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


def import_files(
    paths: Sequence[str | Path] | str | Path,
    store: Store | str,
    *,
    columns: Columns | None = None,
    objectives: ObjectiveSpace | Sequence[str | Objective] | None = None,
    judgements: Mapping[str, Sequence[str]] | None = None,
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
    judgements
        As for `trimtab.store.load.load`. Repeated judgements are stored as repeats of a score.
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
    if judgements and scorer is not None and not keep_scores:
        raise InputError(
            f"judgements name columns with scores, but those of the scorer {scorer.name!r} take their place; "
            "leave the scorer or the judgements out, or keep the scores of the file too"
        )
    files = [_read(path, names, wanted, judgements, scorer, keep_scores) for path in given]
    with ExitStack() as stack:
        opened = stack.enter_context(closing(open_store(store, create=True))) if isinstance(store, str) else store
        return _write(files, opened, names, scorer, chosen, progress)


def _write(
    files: Sequence[FileScores],
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
        writer = Writer(file, store, names, scorer, chosen)
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
    path: Path,
    columns: Columns,
    wanted: Sequence[str | Objective] | None,
    judgements: Mapping[str, Sequence[str]] | None,
    scorer: Scorer | None,
    keep_scores: bool,
) -> FileScores:
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
        loaded = load_table(source, columns, [] if replaced else wanted, judgements=judgements, every=True)
        extra = tuple(name for name in (columns.text, "meta") if name in source.names)
    trajectories = loaded.trajectories
    return FileScores(path, loaded, extra, not replaced, [*trajectories.exclusions], [*trajectories.notes, *notes])


def _own_scores(source: Source, columns: Columns) -> tuple[str, ...]:
    try:
        return candidates_of(source, columns, None, {}).names
    except InputError:
        return ()


def _space(files: Iterable[FileScores], chosen: Sequence[Objective]) -> tuple[ObjectiveSpace, list[str]]:
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


def _prepare(store: Store, files: Sequence[FileScores], chosen: Sequence[Objective]) -> list[str]:
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


def _remember(store: Store, file: FileScores, scorer: Scorer | None) -> None:
    """Keep with the store what reading the file left out and assumed, so that every later analysis can say so."""
    experiment = store.experiment()
    if experiment is None:
        return
    entry = import_entry(file.path.name, file.exclusions, file.notes, None if scorer is None else scorer.name)
    entries = [*experiment.settings.get(IMPORTS, ()), entry]
    store.set_experiment(replace(experiment, settings={**experiment.settings, IMPORTS: entries}))
