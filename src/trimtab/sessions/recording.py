"""Recordings: sessions of a store or file, which the provider ``replay`` answers by."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path

from trimtab.core.fencing import fence_for
from trimtab.core.python_syntax import parse_python
from trimtab.core.records import Iteration, Session, made_from
from trimtab.errors import InputError, ProviderError, SourceError
from trimtab.providers.base import Place, Provider, ProviderSettings
from trimtab.providers.replay import ReplayProvider
from trimtab.sessions.kept_settings import is_run, settings_of
from trimtab.sessions.plan import PlannedSession
from trimtab.sessions.steering import FOLLOWS
from trimtab.sessions.task import Task
from trimtab.sessions.task_files import GENERAL_PROMPT, GENERAL_TEXT_PROMPT
from trimtab.store.base import Store
from trimtab.store.memory import MemoryStore
from trimtab.store.open import is_store_url, open_store

__all__ = ["Recording", "open_recording", "replay"]

_HELD = 256
"""Sessions whose iterations are held in memory: many more than are at work at a time."""


class Recording:
    """Recorded sessions by arm, task and replicate.

    Parameters
    ----------
    store
        It is closed with the recording.
    source
        What it is called.
    """

    def __init__(self, store: Store, source: str) -> None:
        self.source = source
        self._store = store
        self.settings = settings_of(store)
        self._heads = store.heads()
        sessions = [session for session in store.sessions() if session.id in self._heads]
        if not sessions:
            raise SourceError(f"the recording {source} holds no session that has begun")
        self._held: OrderedDict[str, dict[int, Iteration]] = OrderedDict()
        self._starts: dict[str, str] = {}
        self._sessions: dict[tuple[str, str, int], str] = {}
        free: dict[tuple[str, str, int], int] = {}  # from where on a replicate may be free, where it itself is not
        for session in sessions:
            task = session.task_id if self.is_run else self._own_task(session)
            wanted = session.strategy, task, session.replicate
            replicate = free.get(wanted, session.replicate)
            while (session.strategy, task, replicate) in self._sessions:
                replicate += 1
            self._sessions[session.strategy, task, replicate], free[wanted] = session.id, replicate + 1
        self.model = next((session.model for session in sessions if session.model), "")

    def _own_task(self, session: Session) -> str:
        """Return the task of an imported session: sessions of one task start from the same artefact."""
        start = self._of(session.id).get(0)
        artefact = (start.artefact if start else None) or ""
        task = session.task_id or session.id
        if self._starts.setdefault(task, artefact) == artefact:
            return task
        self._starts[session.id] = artefact
        return session.id

    @property
    def arms(self) -> tuple[str, ...]:
        """The strategies or policies that sessions were planned with, in order of appearance."""
        return tuple(dict.fromkeys(arm for arm, _, _ in self._sessions))

    @property
    def is_run(self) -> bool:
        """True where a run recorded the sessions, and not an import."""
        return is_run(self.settings)

    @property
    def told(self) -> str:
        """What a run follows that takes its course from the recording."""
        policy = self.settings.get("policy")
        return f"the recorded decisions of {policy}" if policy else self.settings.get(FOLLOWS) or "the recorded steps"

    @property
    def strategies(self) -> tuple[str, ...]:
        """What iterations were made by, in order of appearance."""
        return tuple(dict.fromkeys(name for course in self._courses.values() for name, _ in course.values()))

    def course(self, session: PlannedSession) -> Mapping[int, tuple[str, int]]:
        """Return by which strategy and from which iterate each iteration of a session was made."""
        return self._courses[self._sessions[session.arm, session.task.id, session.replicate]]

    @cached_property
    def _courses(self) -> Mapping[str, Mapping[int, tuple[str, int]]]:
        found: dict[str, dict[int, tuple[str, int]]] = {}
        made: dict[tuple[str, int], tuple[str, int]] = {}  # one object for all that are equal
        for one in self._store.outlines():
            step = one.strategy, made_from(one.meta, one.index)
            found.setdefault(one.session_id, {})[one.index] = made.setdefault(step, step)
        return found

    @property
    def iterations(self) -> int:
        """The highest index of any session."""
        return max(self._heads.values())

    def holds(self, session: PlannedSession) -> bool:
        """Tell whether a session was recorded."""
        return (session.arm, session.task.id, session.replicate) in self._sessions

    def size(self, tasks: int) -> int:
        """Return how many sessions per strategy a plan on so many tasks needs, to have all that were recorded."""
        return tasks * (1 + max(replicate for _, _, replicate in self._sessions))

    def tasks(self) -> tuple[Task, ...]:
        """Return the tasks as far as iteration 0 tells: their artefacts, under a general prompt.

        Raises
        ------
        InputError
            If a session begins without a text.
        """
        found: dict[str, Task] = {}
        for (_, task, _), name in self._sessions.items():
            if task in found:
                continue
            start = self._of(name).get(0)
            if start is None or not (start.artefact or "").strip():
                raise InputError(
                    f"the recording {self.source} does not say what session {name!r:.200} began with: it needs "
                    "iteration 0 with its text"
                )
            found[task] = _task(task, start.artefact or "")
        return tuple(found.values())

    def iteration(self, place: Place, asked: str) -> Iteration:
        """See `trimtab.providers.replay.Recorded`."""
        name = self._sessions.get((place.arm, place.task, place.replicate))
        if name is None:
            raise ProviderError(
                f"not recorded: there is no session {place.arm}/{place.task}/{place.replicate} in {self.source}"
            )
        records = self._of(name)
        record = records.get(place.iteration)
        if record is None:
            raise ProviderError(f"not recorded: session {name} has no iteration {place.iteration} in {self.source}")
        if record.strategy != place.strategy:
            raise ProviderError(
                f"not recorded: iteration {place.iteration} of session {name} was made by {record.strategy}, "
                f"not by {place.strategy}"
            )
        base = records.get(record.base)
        chosen = place.arm != place.strategy and not place.followed
        if chosen and base is not None and (base.artefact or "") not in asked:
            raise ProviderError(
                f"not recorded: iteration {place.iteration} of session {name} was made from another artefact"
            )
        return record

    def text(self, record: Iteration) -> str | None:
        """Return the artefact of a record in a fence, which stands in for an answer that was not recorded."""
        if not record.artefact:
            return None
        start = self._of(record.session_id).get(0)
        language = _task("start", (start.artefact if start else None) or record.artefact).tag
        fence = fence_for(record.artefact)
        return f"{fence}{language}\n{record.artefact}{'' if record.artefact.endswith(chr(10)) else chr(10)}{fence}\n"

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _of(self, name: str) -> dict[int, Iteration]:
        if name not in self._held:
            self._held[name] = {record.index: record for record in self._store.iterations(name)}
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        self._held.move_to_end(name)
        return self._held[name]


def _task(name: str, artefact: str) -> Task:
    try:
        parse_python(artefact)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Task(name, GENERAL_TEXT_PROMPT, artefact, "text")
    return Task(name, GENERAL_PROMPT, artefact)


def open_recording(source: str) -> Recording:
    """Open what was recorded.

    Parameters
    ----------
    source
        A store URL, the output folder of a run, a database file, or a CSV, Parquet or JSON lines file with texts.

    Raises
    ------
    InputError
        If it cannot be read, or holds no session.
    """
    if is_store_url(source):
        return Recording(open_store(source), source)
    path = Path(source)
    if path.is_dir():
        path = path / "trimtab.db"
    if not path.exists():
        raise SourceError(
            f"there is no recording at {source!r}: give a store URL, the output folder of a run, a database file, or a "
            ".csv, .parquet or .jsonl file with texts"
        )
    if path.suffix in (".db", ".sqlite", ".sqlite3"):
        return Recording(open_store(f"sqlite:///{path}"), source)
    found = path.stat()
    return Recording(_imported(path.absolute(), found.st_mtime_ns, found.st_size), source)


@lru_cache(maxsize=1)
def _imported(path: Path, changed: int, size: int) -> Store:
    """Read a file into memory; a run opens its recording a few times, and a file takes long to read."""
    from trimtab.ingest.importer import import_files

    store = MemoryStore()
    import_files(path, store)
    return store


def replay(settings: ProviderSettings) -> Provider:
    """Answers recorded before: no model is asked."""
    source = settings.options.get("recording", "")
    if not source:
        raise InputError("the provider replay needs what was recorded: give --recording SOURCE")
    if settings.base_url:
        raise InputError("base_url is given, but the provider replay asks no endpoint: leave it out")
    return ReplayProvider(open_recording(source))
